/* Reads a feed from the store. See database.h. */
#include "gossipd/host/store/database.h"
#include "gossipd/host/store/database_floor.h"
#include "gossipd/limits.h"

/* Takes one row of a FETCH. `wanted` is the seq that must come next; false ends
 * the walk. */
static bool fetch_row(sqlite3_stmt *statement, uint64_t *wanted, struct fetched *fetched)
{
    uint64_t first = (uint64_t)sqlite3_column_int64(statement, 0);
    uint64_t last = (uint64_t)sqlite3_column_int64(statement, 1);
    if (last < *wanted) {
        return true;
    }
    if (first > *wanted) {
        fetched->is_ok = fetched->row_count > 0;
        return false;
    }
    if (sqlite3_column_bytes(statement, 3) != CORE_SIGNATURE_BYTES ||
        !fetched_add(fetched, sql_bytes(statement, 2), sqlite3_column_blob(statement, 3))) {
        return false;
    }
    *wanted = last + 1;
    return true;
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
    int code = statement != NULL ? sqlite3_step(statement) : SQLITE_ERROR;
    while (code == SQLITE_ROW && fetch_row(statement, &wanted, fetched) &&
        fetched->bytes.size < bytes_max && fetched->row_count < FETCH_ROWS_MAX) {
        code = sqlite3_step(statement);
    }
    sqlite3_finalize(statement);
    bool is_read = (code == SQLITE_DONE || code == SQLITE_ROW) &&
        database_floor_of(handle, &from->origin, &floor);
    /* Nothing at all may be there because all of it was dropped. */
    fetched->is_ok = fetched->is_ok && (fetched->row_count > 0 || from->seq > floor);
    fetched_finish(fetched);
    return is_read ||
        failure_say(failure, "cannot read the store: %s", sqlite3_errmsg(handle));
}
