/* Reads a feed from the store. See database.h. */
#include "gossipd/host/store/database.h"
#include "gossipd/host/store/database_floor.h"
#include "gossipd/limits.h"

enum taken {
    TAKEN,
    TAKEN_END,       /* there is a gap: what lies behind it is no answer             */
    TAKEN_DAMAGED,
    TAKEN_NO_MEMORY,
};

/* Takes one row of a FETCH. `wanted` is the seq that must come next. */
static enum taken fetch_row(sqlite3_stmt *statement, uint64_t *wanted, struct fetched *fetched)
{
    uint8_t signature[CORE_SIGNATURE_BYTES];
    uint64_t first = (uint64_t)sqlite3_column_int64(statement, 0);
    uint64_t last = (uint64_t)sqlite3_column_int64(statement, 1);
    if (last < *wanted) {
        return TAKEN;
    }
    if (first > *wanted) {
        fetched->seq_behind = fetched->row_count > 0 ? 0 : first;
        return TAKEN_END;
    }
    if (!sql_fixed(statement, 3, signature, sizeof signature)) {
        return TAKEN_DAMAGED;
    }
    if (!fetched_add(fetched, sql_bytes(statement, 2), signature)) {
        return TAKEN_NO_MEMORY;
    }
    *wanted = last + 1;
    return TAKEN;
}

static bool has_room(const struct fetched *fetched, size_t bytes_max)
{
    return fetched->bytes.size < bytes_max && fetched->row_count < FETCH_ROWS_MAX;
}

static bool say_taken(enum taken taken, sqlite3 *handle, struct failure *failure)
{
    switch (taken) {
    case TAKEN_DAMAGED:
        return failure_say(failure, "a batch in the store is damaged, its signature has a wrong "
            "length: stop the node and run gossipctl verify");
    case TAKEN_NO_MEMORY: return failure_say(failure, "out of memory");
    case TAKEN:
    case TAKEN_END: break;
    }
    return failure_say(failure, "cannot read the store: %s", sqlite3_errmsg(handle));
}

bool database_fetch(struct database *database, const struct crdt_dot *from, size_t bytes_max,
    struct fetched *fetched, struct failure *failure)
{
    sqlite3 *handle = database_handle(database);
    sqlite3_stmt *statement = sql_prepare(handle,
        "SELECT first, last, bytes, signature FROM batch WHERE key = ?1 AND generation = ?2 "
        "AND first >= coalesce((SELECT max(first) FROM batch WHERE key = ?1 AND "
        "generation = ?2 AND first <= ?3), 0) ORDER BY first");
    sql_bind_origin(statement, &from->origin);
    sqlite3_bind_int64(statement, 3, (int64_t)from->seq);
    uint64_t wanted = from->seq;
    uint64_t floor = 0;
    enum taken taken = TAKEN;
    int code = statement != NULL ? sqlite3_step(statement) : SQLITE_ERROR;
    while (code == SQLITE_ROW && taken == TAKEN && has_room(fetched, bytes_max)) {
        taken = fetch_row(statement, &wanted, fetched);
        code = taken == TAKEN && has_room(fetched, bytes_max) ? sqlite3_step(statement) : code;
    }
    sqlite3_finalize(statement);
    bool is_read = (code == SQLITE_DONE || code == SQLITE_ROW) &&
        (taken == TAKEN || taken == TAKEN_END) &&
        database_floor_of(handle, &from->origin, &floor);
    /* What is not there may have been dropped. */
    fetched->is_ok =
        fetched->is_ok && (fetched->row_count > 0 || (is_read && from->seq > floor));
    fetched_finish(fetched);
    return is_read || say_taken(taken, handle, failure);
}
