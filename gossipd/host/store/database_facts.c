/* What a store says of its writer. See database_facts.h. */
#include "gossipd/host/store/database_facts.h"

#include <string.h>

#include "gossipd/host/directory.h"
#include "gossipd/host/store/database_mark.h"

static bool run(sqlite3 *handle, const char *sql)
{
    return sqlite3_exec(handle, sql, NULL, NULL, NULL) == SQLITE_OK;
}

static bool say_sqlite(sqlite3 *handle, const char *doing, struct failure *failure)
{
    return failure_say(failure, "%s: %s", doing, sqlite3_errmsg(handle));
}

static bool check_cluster(sqlite3 *handle, const char *path, const uint8_t *cluster_id,
    struct failure *failure)
{
    switch (mark_compare(handle, "cluster", cluster_id, CRDT_HASH_BYTES)) {
    case MARK_ABSENT:
    case MARK_SAME: return true;
    case MARK_OTHER:
        return failure_say(failure, "the store %s belongs to another cluster: set `cluster` to "
            "the name it was made with (none, if it was made without), or choose another `dir`",
            path);
    case MARK_FAILED: break;
    }
    return say_sqlite(handle, "cannot read whose store it is", failure);
}

/* Reads what the store says about its writer. False: it cannot be read; a mark that is
 * overlooked lets dots be used again. */
static bool read_facts(sqlite3 *handle, const char *residence, const uint8_t *key,
    struct database_facts *ret_facts)
{
    uint64_t generation = 0;
    uint64_t ahead = 0;
    enum mark_match resides = mark_compare(handle, "residence", residence, strlen(residence));
    enum mark_match writes = mark_compare(handle, "key", key, CRDT_KEY_BYTES);
    if (resides == MARK_FAILED || writes == MARK_FAILED ||
        !mark_get_int(handle, "generation", &generation) ||
        !mark_get_int(handle, "ahead", &ahead)) {
        return false;
    }
    ret_facts->has_moved = resides == MARK_OTHER;
    ret_facts->has_other_key = writes == MARK_OTHER;
    ret_facts->generation = ret_facts->has_other_key ? 0 : generation;
    ret_facts->is_ahead = ahead != 0;
    /* A crash between the making of the schema and this leaves them unnamed. */
    ret_facts->is_named = resides != MARK_ABSENT;
    return true;
}

/* Writes down who uses the store from now on, in one durable transaction. */
static bool write_facts(sqlite3 *handle, const uint8_t *cluster_id, const uint8_t *key,
    const char *residence, const struct database_facts *facts, struct failure *failure)
{
    bool is_written = run(handle, "BEGIN IMMEDIATE") &&
        mark_set_bytes(handle, "cluster", cluster_id, CRDT_HASH_BYTES) &&
        mark_set_bytes(handle, "key", key, CRDT_KEY_BYTES) &&
        mark_set_text(handle, "residence", residence) &&
        (!facts->has_moved || mark_set_int(handle, "ahead", 1)) &&
        (!facts->has_other_key || mark_set_int(handle, "generation", 0)) &&
        run(handle, "COMMIT");
    if (is_written) {
        return true;
    }
    say_sqlite(handle, "cannot write to the store", failure);
    run(handle, "ROLLBACK");
    return false;
}

bool database_facts_open(sqlite3 *handle, const char *path,
    const uint8_t cluster_id[static CRDT_HASH_BYTES], const uint8_t key[static CRDT_KEY_BYTES],
    struct database_facts *facts, struct failure *failure)
{
    char residence[RESIDENCE_BYTES];
    if (!check_cluster(handle, path, cluster_id, failure) ||
        !residence_text(path, residence, failure)) {
        return false;
    }
    if (!read_facts(handle, residence, key, facts)) {
        return say_sqlite(handle, "cannot read what the store says of itself", failure);
    }
    /* A start that changes nothing writes nothing: a full disk lets it read. */
    if (!facts->is_new && !facts->has_moved && !facts->has_other_key && facts->is_named) {
        return true;
    }
    return write_facts(handle, cluster_id, key, residence, facts, failure);
}
