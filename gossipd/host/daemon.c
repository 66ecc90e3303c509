/* The daemon from its configuration to its exit code: directory, lock, key,
 * store, replay, links; the core says when clients may come. See daemon.h. */
#include "gossipd/host/daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gossipd/host/clock.h"
#include "gossipd/host/store/database_evidence.h"
#include "gossipd/host/store/database_floor.h"
#include "gossipd/host/store/database_peek.h"
#include "gossipd/host/store/database_snapshot.h"
#include "gossipd/host/store/database_stage.h"
#include "gossipd/host/directory.h"
#include "gossipd/host/loop.h"

/* A key that is lost must not be replaced unseen: the members would refuse what the
 * new one signs, while clients are told OK. */
static bool may_make_key(const char *dir, struct failure *failure)
{
    char path[4096];
    int size = snprintf(path, sizeof path, "%s/store.db", dir);
    if (size < 0 || (size_t)size >= sizeof path) {
        return failure_say(failure, "dir: expected a shorter path");
    }
    return database_is_empty(path) ||
        failure_say(failure, "%s holds data, but " IDENTITY_FILE " beside it is missing: put "
            "its copy back (mode 0600). Without one, move store.db* away to start with nothing, or "
            "run `gossipctl keygen --dir %s` to go on with this data as a new member. The other "
            "members must know a new key before they take what it writes", path, dir);
}

static bool identity_open(const char *dir, struct identity *ret_identity, struct failure *failure)
{
    char key[IDENTITY_HEX_BYTES];
    bool is_new = !identity_exists(dir);
    if (is_new && !may_make_key(dir, failure)) {
        return false;
    }
    bool is_open = is_new ? identity_create(dir, ret_identity, failure)
                          : identity_read(dir, ret_identity, failure);
    if (is_open) {
        identity_key_text(ret_identity->key, key);
        log_write(CORE_INFO, is_new ? "key-created" : "key-read", "key=%s", key);
    }
    return is_open;
}

/* Static mode: the hash of the cluster's name, or without one, of the node's key. */
static void cluster_id_make(const struct config *config, const struct identity *identity,
    uint8_t ret_id[static CRDT_HASH_BYTES])
{
    bool has_name = config->cluster[0] != '\0';
    const void *data = has_name ? (const void *)config->cluster : identity->key;
    size_t size = has_name ? strlen(config->cluster) : CRDT_KEY_BYTES;
    crypto_generichash(ret_id, CRDT_HASH_BYTES, data, size, NULL, 0);
}

static void warn_of(const struct config *config, const char *key, const char *reason)
{
    if (config_is_explicit(config, key)) {
        log_write(CORE_WARNING, "no-effect", "key=%s reason=\"%s\"", key, reason);
    }
}

static void warn_of_unserved(const struct config *config)
{
    static const char *const keys[] = {"history", "log-budget", "unacked-log"};
    warn_of(config, "http-address", "not served yet");
    for (size_t i = 0; config->snapshot_bytes == 0 && i < sizeof keys / sizeof keys[0]; i++) {
        warn_of(config, keys[i],
            "nothing is ever dropped without snapshots: set snapshot-bytes above 0");
    }
}

static void greet(const struct config *config)
{
    log_write(CORE_INFO, "start", "name=%s dir=\"%s\" peers=%zu durability=%s pid=%ld",
        config->name, config->dir, config->peer_count,
        config->durability == CORE_ALWAYS         ? "always"
            : config->durability == CORE_EVERYSEC ? "everysec"
                                                  : "no",
        (long)getpid());
    if (config->peer_count == 0) {
        log_write(CORE_INFO, "single-node", "reason=\"no peers are configured\" dir=\"%s\"",
            config->dir);
    } else {
        log_write(CORE_WARNING, "links-not-encrypted", "action=\"use loopback or a private "
            "network only; links are signed, not encrypted yet\"");
    }
    warn_of_unserved(config);
}

static bool core_start(
    struct loop *loop, const struct database_facts *facts, struct failure *failure)
{
    const struct config *config = loop->config;
    struct core_options options = {
        .memory = loop->memory,
        .crypto = {.sign = identity_sign, .context = loop->identity},
        .durability = config->durability,
        .peers = config->peers,
        .peer_count = config->peer_count,
        .settings = config->settings,
        .setting_count = config->setting_count,
        .facts = &loop->facts,
        .generation = facts->generation,
        .is_generation_burnt = facts->is_ahead || facts->has_moved,
        .maxmemory_bytes = config->maxmemory_bytes,
        .snapshot_bytes = config->snapshot_bytes,
        .history_ms = config->history_ms,
        .log_bytes_max = config->log_bytes_max,
        .unacked_bytes_max = config->unacked_bytes_max,
    };
    randombytes_buf(&options.seed, sizeof options.seed);
    memcpy(options.name, config->name, sizeof options.name);
    memcpy(options.key, loop->identity->key, sizeof options.key);
    memcpy(options.cluster_id, loop->cluster_id, sizeof options.cluster_id);
    enum crdt_status status = core_open(&options, &loop->core);
    return status == CRDT_OK ||
        failure_say(failure, "cannot start the core: %s", crdt_status_text(status));
}

/* What a replay has brought. */
struct replayed {
    struct loop *loop;
    uint64_t batches;
};

static void replay(void *context, const struct core_row *row)
{
    struct replayed *replayed = context;
    struct core_input input = {.kind = CORE_REPLAY, .rows = row, .row_count = 1};
    replayed->batches++;
    loop_step(replayed->loop, &input);
}

/* Tells the core where its log begins; `ret_feeds`: of so many feeds something was
 * dropped. */
static bool replay_floor(struct loop *loop, struct sqlite3 *handle, uint64_t log_bytes,
    size_t *ret_feeds, struct failure *failure)
{
    struct crdt_buffer floor;
    crdt_buffer_init(&floor, &loop->memory_store);
    bool is_read = database_floor_read(handle, &floor, ret_feeds);
    if (is_read) {
        struct core_input input = {.kind = CORE_REPLAY_FLOOR,
            .bytes = crdt_buffer_bytes(&floor),
            .size = log_bytes};
        loop_step(loop, &input);
    }
    crdt_buffer_close(&floor);
    return is_read || failure_say(failure, "cannot read the store's floor: out of memory, or the "
                                           "store is damaged: run gossipctl verify");
}

/* Gives the core a snapshot; false: it cannot be read, or was not taken. */
static bool replay_snapshot(
    struct loop *loop, struct sqlite3 *handle, const struct database_snapshot *snapshot)
{
    struct crdt_buffer bytes;
    struct crdt_buffer tips;
    struct failure failure = {{0}};
    crdt_buffer_init(&bytes, &loop->memory_store);
    crdt_buffer_init(&tips, &loop->memory_store);
    bool is_taken = database_snapshot_read(handle, snapshot, &bytes, &failure) &&
        database_snapshot_tips(handle, snapshot, &tips, &failure);
    if (is_taken) {
        struct core_snapshot facts = {.bytes = snapshot->bytes,
            .parts = snapshot->parts,
            .tips = crdt_buffer_bytes(&tips)};
        memcpy(facts.hash, snapshot->hash, sizeof facts.hash);
        struct core_input input = {.kind = CORE_REPLAY_SNAPSHOT,
            .bytes = crdt_buffer_bytes(&bytes),
            .snapshot = &facts};
        loop_step(loop, &input);
        is_taken = core_has_snapshot(loop->core);
    } else {
        log_write(CORE_ALARM, "snapshot-unreadable", "error=\"%s\"", failure.text);
    }
    crdt_buffer_close(&bytes);
    crdt_buffer_close(&tips);
    return is_taken;
}

static void replay_staged(struct loop *loop, struct sqlite3 *handle)
{
    struct database_stage stage;
    if (!database_stage_read(handle, &loop->memory_store, &stage)) {
        return;
    }
    struct core_input input = {.kind = CORE_REPLAY_STAGED,
        .snapshot = &stage.snapshot,
        .number = stage.staged};
    loop_step(loop, &input);
    crdt_buffer_close(&stage.tips);
}

static void replay_evidence(void *context, struct crdt_bytes evidence)
{
    struct core_input input = {.kind = CORE_REPLAY_EVIDENCE, .bytes = evidence};
    loop_step(context, &input);
}

/* The core would say it too, if it has the memory to. */
static bool say_memory(const struct loop *loop, struct failure *failure)
{
    return failure_say(failure, "out of memory before all of the store %s was loaded: give the "
        "process more memory and start it again, the store is untouched", loop->store_path);
}

/* Starts the core on the newest snapshot. When that cannot be used and every batch
 * is still there, a core that has not seen it replays them all: that costs time,
 * nothing else. `ret_place`: of the last batch that needs no replay. */
static bool core_begin(struct loop *loop, struct sqlite3 *handle,
    const struct database_facts *facts, int64_t *ret_place, struct failure *failure)
{
    struct database_snapshot snapshot = {.place = 0};
    enum sql_answer answer = database_snapshot_newest(handle, &snapshot);
    bool has_snapshot = answer == SQL_FOUND;
    size_t feeds = 0;
    if (answer == SQL_FAILED) {
        return failure_say(failure, "cannot read the newest snapshot in the store %s: check the "
            "disk and memory, then start again", loop->store_path);
    }
    if (!core_start(loop, facts, failure) ||
        !replay_floor(loop, handle, snapshot.log_bytes, &feeds, failure)) {
        return false;
    }
    *ret_place = snapshot.place;
    if (has_snapshot && replay_snapshot(loop, handle, &snapshot)) {
        return true;
    }
    if (core_lacks_memory(loop->core)) {
        return say_memory(loop, failure);
    }
    if (feeds > 0) {
        return failure_say(failure, "the newest snapshot in the store %s cannot be used, and the "
            "batches before it were dropped: run `gossipctl verify` on it; when it is BROKEN, "
            "restore a backup with `gossipctl restore`, or start with node.key in an empty "
            "directory, then peers send all they have; else look at memory and the disk, and "
            "start again", loop->store_path);
    }
    *ret_place = 0;
    if (!has_snapshot) {
        return true;
    }
    log_write(CORE_ALARM, "snapshot-unusable", "action=\"all batches are replayed instead; check "
        "the disk\"");
    core_close(loop->core);
    loop->core = NULL;
    return core_start(loop, facts, failure) && replay_floor(loop, handle, 0, &feeds, failure);
}

static bool replay_all(struct loop *loop, struct database *database,
    const struct database_facts *facts, struct failure *failure)
{
    struct replayed replayed = {loop, 0};
    struct sqlite3 *handle = database_handle(database);
    uint64_t begun_us = clock_monotonic_us();
    int64_t place = 0;
    if (!core_begin(loop, handle, facts, &place, failure) ||
        !database_evidence_replay(handle, replay_evidence, loop, failure) ||
        !database_replay(database, place, replay, &replayed, failure)) {
        return false;
    }
    if (core_lacks_memory(loop->core)) {
        return say_memory(loop, failure);
    }
    replay_staged(loop, handle);
    log_write(CORE_INFO, "replayed", "batches=%" PRIu64 " ms=%" PRIu64, replayed.batches,
        (clock_monotonic_us() - begun_us) / 1000);
    return true;
}

static bool store_open(struct loop *loop, struct failure *failure)
{
    struct database *database = NULL;
    struct database_facts facts = {0};
    if (!database_open(loop->store_path, NULL, loop->cluster_id, loop->identity->key, &database,
            &facts, failure)) {
        return false;
    }
    if (facts.has_moved) {
        log_write(CORE_WARNING, "store-moved", "path=\"%s\" action=\"a copy may still be in "
            "use, so own writes go on under a new generation\"", loop->store_path);
    }
    if (facts.has_other_key) {
        log_write(CORE_WARNING, "key-changed", "path=\"%s\" action=\"this node is a new member "
            "with the old data: enter its key at the others\"", loop->store_path);
    }
    bool is_open = replay_all(loop, database, &facts, failure) &&
        store_start(database, &loop->memory_store, loop_wake_store, loop, &loop->store, failure);
    if (!is_open) {
        database_close(database);
    }
    return is_open;
}

static bool open_all(struct loop *loop, struct failure *failure)
{
    cluster_id_make(loop->config, loop->identity, loop->cluster_id);
    int size = snprintf(loop->store_path, sizeof loop->store_path, "%s/store.db",
        loop->config->dir);
    if (size < 0 || (size_t)size >= sizeof loop->store_path) {
        return failure_say(failure, "dir: expected a shorter path");
    }
    mesh_init(loop, loop->cluster_id);
    if (!store_open(loop, failure)) {
        return false;
    }
    bool has_peers = loop->config->peer_count > 0;
    if (has_peers && !mesh_listen(loop, failure)) {
        return false;
    }
    struct core_input input = {.kind = CORE_SERVE};
    loop_input(loop, &input);
    return true;
}

static int run(struct config *config, struct identity *identity)
{
    /* Too large for the stack of every machine, and one is enough. */
    static struct loop loop;
    struct failure failure = {{0}};
    int exit_code = 1;
    if (loop_init(&loop, config, identity, &failure) && open_all(&loop, &failure)) {
        exit_code = loop_run(&loop);
    } else {
        log_write(CORE_ALARM, "cannot-start", "reason=\"%s\"", failure.text);
    }
    loop_close(&loop);
    if (exit_code == 0) {
        log_write(CORE_INFO, "exit", "code=0");
    }
    return exit_code;
}

static bool prepare(struct config *config, int *ret_lock, struct identity *ret_identity,
    struct failure *failure)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    /* Until the loop listens to it. */
    sigaction(SIGHUP, &ignore, NULL);
    if (sodium_init() < 0) {
        return failure_say(failure, "libsodium cannot start: the kernel gives no randomness");
    }
    return directory_make(config->dir, failure) &&
        directory_lock(config->dir, ret_lock, failure) &&
        identity_open(config->dir, ret_identity, failure);
}

int daemon_run(struct config *config)
{
    struct failure failure = {{0}};
    struct identity identity = {0};
    int lock = -1;
    int exit_code = 1;
    greet(config);
    if (prepare(config, &lock, &identity, &failure)) {
        if (config_drop_self(config, identity.key)) {
            log_write(CORE_INFO, "self-ignored", "reason=\"a peer section has this node's own "
                "key\" peers=%zu", config->peer_count);
        }
        exit_code = run(config, &identity);
    } else {
        log_write(CORE_ALARM, "cannot-start", "reason=\"%s\"", failure.text);
    }
    identity_close(&identity);
    if (lock >= 0) {
        close(lock);
    }
    return exit_code;
}
