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
#include "gossipd/host/database_evidence.h"
#include "gossipd/host/database_snapshot.h"
#include "gossipd/host/directory.h"
#include "gossipd/host/loop.h"

static bool identity_open(const char *dir, struct identity *ret_identity, struct failure *failure)
{
    char key[IDENTITY_HEX_BYTES];
    bool is_new = !identity_exists(dir);
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

static void warn_of_unserved(const struct config *config)
{
    static const struct {
        const char *key;
        const char *reason;
    } keys[] = {
        {"http-address", "not served yet"},
        {"history", "all history is kept: dropping needs the snapshot join, not there yet"},
        {"log-budget", "all history is kept: dropping needs the snapshot join, not there yet"},
        {"unacked-log", "all history is kept: dropping needs the snapshot join, not there yet"},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (config_is_explicit(config, keys[i].key)) {
            log_write(CORE_WARNING, "no-effect", "key=%s reason=\"%s\"", keys[i].key,
                keys[i].reason);
        }
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

static bool core_start(struct loop *loop, const struct database_facts *facts,
    const uint8_t cluster_id[static CRDT_HASH_BYTES], struct failure *failure)
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
    };
    randombytes_buf(&options.seed, sizeof options.seed);
    memcpy(options.name, config->name, sizeof options.name);
    memcpy(options.key, loop->identity->key, sizeof options.key);
    memcpy(options.cluster_id, cluster_id, sizeof options.cluster_id);
    enum crdt_status status = core_open(&options, &loop->core);
    return status == CRDT_OK ||
        failure_say(failure, "cannot start the core: %s", crdt_status_text(status));
}

static void replay(void *context, const struct core_row *row)
{
    struct core_input input = {.kind = CORE_REPLAY, .rows = row, .row_count = 1};
    loop_step(context, &input);
}

/* Gives the core the newest snapshot, if it can be used; `ret_place`: of the last
 * batch in it. Every batch is still in the store, so one that cannot costs time,
 * nothing else. */
static void replay_snapshot(struct loop *loop, struct database *database, int64_t *ret_place)
{
    struct database_snapshot snapshot;
    struct crdt_buffer bytes;
    struct failure failure = {{0}};
    if (!database_snapshot_newest(database_handle(database), &snapshot)) {
        return;
    }
    crdt_buffer_init(&bytes, &loop->memory_store);
    if (database_snapshot_read(database_handle(database), &snapshot, &bytes, &failure)) {
        struct core_input input = {
            .kind = CORE_REPLAY_SNAPSHOT, .bytes = crdt_buffer_bytes(&bytes)};
        loop_step(loop, &input);
        *ret_place = core_has_snapshot(loop->core) ? snapshot.place : 0;
    } else {
        log_write(CORE_ALARM, "snapshot-unreadable", "error=\"%s\" action=\"all batches are "
            "replayed instead; check the disk\"", failure.text);
    }
    crdt_buffer_close(&bytes);
}

static void replay_evidence(void *context, struct crdt_bytes evidence)
{
    struct core_input input = {.kind = CORE_REPLAY_EVIDENCE, .bytes = evidence};
    loop_step(context, &input);
}

static bool replay_all(struct loop *loop, struct database *database, int64_t *ret_place,
    struct failure *failure)
{
    if (!database_evidence_replay(
            database_handle(database), replay_evidence, loop, failure)) {
        return false;
    }
    replay_snapshot(loop, database, ret_place);
    return database_replay(database, *ret_place, replay, loop, failure);
}

static bool store_open(struct loop *loop, const uint8_t cluster_id[static CRDT_HASH_BYTES],
    struct failure *failure)
{
    struct database *database = NULL;
    struct database_facts facts = {0};
    int64_t place = 0;
    uint64_t begun_us = clock_monotonic_us();
    if (!database_open(loop->store_path, NULL, cluster_id, loop->identity->key, &database,
            &facts, failure)) {
        return false;
    }
    if (facts.has_moved) {
        log_write(CORE_WARNING, "store-moved", "path=\"%s\" action=\"a copy may still be in "
            "use, so own writes go on under a new generation\"", loop->store_path);
    }
    if (facts.has_other_key) {
        log_write(CORE_WARNING, "key-changed", "path=\"%s\" action=\"this node is a new member "
            "with the old data\"", loop->store_path);
    }
    bool is_open = core_start(loop, &facts, cluster_id, failure) &&
        replay_all(loop, database, &place, failure) &&
        store_start(database, &loop->memory_store, loop_wake_store, loop, &loop->store, failure);
    if (!is_open) {
        database_close(database);
        return false;
    }
    log_write(CORE_INFO, "replayed", "batches=%" PRIu64 " ms=%" PRIu64,
        facts.row_count - (uint64_t)place, (clock_monotonic_us() - begun_us) / 1000);
    return true;
}

static bool open_all(struct loop *loop, struct failure *failure)
{
    uint8_t cluster_id[CRDT_HASH_BYTES];
    cluster_id_make(loop->config, loop->identity, cluster_id);
    int size = snprintf(loop->store_path, sizeof loop->store_path, "%s/store.db",
        loop->config->dir);
    if (size < 0 || (size_t)size >= sizeof loop->store_path) {
        return failure_say(failure, "dir: expected a shorter path");
    }
    mesh_init(loop, cluster_id);
    if (!store_open(loop, cluster_id, failure)) {
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
