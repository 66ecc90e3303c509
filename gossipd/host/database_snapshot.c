/* Snapshots in the store. See database_snapshot.h. */
#include "gossipd/host/database_snapshot.h"

#include <inttypes.h>

/* Numbers of snapshots are never used again (AUTOINCREMENT), so that parts left
 * over from one cannot become parts of another. */
static const char schema_sql[] =
    "CREATE TABLE IF NOT EXISTS snapshot (id INTEGER PRIMARY KEY AUTOINCREMENT, "
    "number INTEGER NOT NULL, place INTEGER NOT NULL, bytes INTEGER);"
    "CREATE TABLE IF NOT EXISTS snapshot_part (id INTEGER NOT NULL, part INTEGER NOT NULL, "
    "bytes BLOB NOT NULL);"
    "CREATE INDEX IF NOT EXISTS snapshot_part_order ON snapshot_part (id, part);";

/* Runs a statement with up to three numbers; `ret_changes` may be NULL. */
static bool run(sqlite3 *handle, const char *sql, const int64_t numbers[static 3],
    int *ret_changes)
{
    sqlite3_stmt *statement = NULL;
    bool is_done = sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) == SQLITE_OK;
    int count = is_done ? sqlite3_bind_parameter_count(statement) : 0;
    for (int i = 0; i < count; i++) {
        sqlite3_bind_int64(statement, i + 1, numbers[i]);
    }
    is_done = is_done && sqlite3_step(statement) == SQLITE_DONE;
    if (is_done && ret_changes != NULL) {
        *ret_changes = sqlite3_changes(handle);
    }
    sqlite3_finalize(statement);
    return is_done;
}

static int64_t ask(sqlite3 *handle, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int64_t value = 0;
    if (sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        value = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return value;
}

bool database_snapshot_open(sqlite3 *handle)
{
    static const int64_t none[3];
    if (ask(handle, "SELECT count(*) FROM sqlite_schema WHERE name = 'snapshot_part_order'") == 0 &&
        sqlite3_exec(handle, schema_sql, NULL, NULL, NULL) != SQLITE_OK) {
        return false;
    }
    /* A start that changes nothing writes nothing: a full disk lets it read. */
    return ask(handle, "SELECT count(*) FROM snapshot WHERE bytes IS NULL") == 0 ||
        run(handle, "DELETE FROM snapshot WHERE bytes IS NULL", none, NULL);
}

bool database_snapshot_begin(sqlite3 *handle, uint64_t number)
{
    const int64_t numbers[3] = {(int64_t)number};
    return run(handle, "DELETE FROM snapshot WHERE bytes IS NULL", numbers, NULL) &&
        run(handle, "INSERT INTO snapshot (number, place) VALUES (?1, "
                    "(SELECT coalesce(max(place), 0) FROM batch))",
            numbers, NULL);
}

bool database_snapshot_add(sqlite3 *handle, uint64_t number, uint64_t part, const void *data,
    size_t size, bool *ret_has_place)
{
    sqlite3_stmt *statement = NULL;
    bool is_done = sqlite3_prepare_v2(handle,
                       "INSERT INTO snapshot_part (id, part, bytes) SELECT id, ?2, ?3 FROM "
                       "snapshot WHERE number = ?1 AND bytes IS NULL",
                       -1, &statement, NULL) == SQLITE_OK;
    if (is_done) {
        sqlite3_bind_int64(statement, 1, (int64_t)number);
        sqlite3_bind_int64(statement, 2, (int64_t)part);
        sqlite3_bind_blob64(statement, 3, data, size, SQLITE_STATIC);
        is_done = sqlite3_step(statement) == SQLITE_DONE;
        *ret_has_place = !is_done || sqlite3_changes(handle) == 1;
        is_done = is_done && *ret_has_place;
    }
    sqlite3_finalize(statement);
    return is_done;
}

bool database_snapshot_finish(sqlite3 *handle, uint64_t number, uint64_t bytes)
{
    const int64_t numbers[3] = {(int64_t)number, (int64_t)bytes};
    int changes = 0;
    return run(handle, "UPDATE snapshot SET bytes = ?2 WHERE number = ?1 AND bytes IS NULL",
               numbers, &changes) &&
        changes == 1 &&
        run(handle, "DELETE FROM snapshot WHERE id < (SELECT max(id) FROM snapshot)", numbers,
            NULL);
}

bool database_snapshot_sweep(sqlite3 *handle, bool *ret_has_more)
{
    static const int64_t none[3];
    int changes = 0;
    bool is_done = run(handle,
        "DELETE FROM snapshot_part WHERE rowid = (SELECT rowid FROM snapshot_part "
        "WHERE id NOT IN (SELECT id FROM snapshot) LIMIT 1)",
        none, &changes);
    *ret_has_more = changes > 0;
    return is_done;
}

bool database_snapshot_newest(sqlite3 *handle, struct database_snapshot *ret_snapshot)
{
    sqlite3_stmt *statement = NULL;
    bool is_there = sqlite3_prepare_v2(handle,
                        "SELECT id, place, bytes FROM snapshot WHERE bytes IS NOT NULL "
                        "ORDER BY id DESC LIMIT 1",
                        -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW;
    if (is_there) {
        *ret_snapshot = (struct database_snapshot){.id = sqlite3_column_int64(statement, 0),
            .place = sqlite3_column_int64(statement, 1),
            .bytes = (uint64_t)sqlite3_column_int64(statement, 2)};
    }
    sqlite3_finalize(statement);
    return is_there;
}

/* Appends the part at hand. */
static bool read_part(sqlite3_stmt *statement, uint64_t part, struct crdt_buffer *ret_bytes)
{
    return (uint64_t)sqlite3_column_int64(statement, 0) == part &&
        crdt_buffer_append(ret_bytes, sqlite3_column_blob(statement, 1),
            (size_t)sqlite3_column_bytes(statement, 1)) == CRDT_OK;
}

bool database_snapshot_read(sqlite3 *handle, const struct database_snapshot *snapshot,
    struct crdt_buffer *ret_bytes, struct failure *failure)
{
    sqlite3_stmt *statement = NULL;
    size_t before = ret_bytes->size;
    int code = sqlite3_prepare_v2(handle,
        "SELECT part, bytes FROM snapshot_part WHERE id = ?1 ORDER BY part", -1, &statement, NULL);
    if (code == SQLITE_OK) {
        sqlite3_bind_int64(statement, 1, snapshot->id);
        code = sqlite3_step(statement);
    }
    for (uint64_t part = 0; code == SQLITE_ROW && read_part(statement, part, ret_bytes); part++) {
        code = sqlite3_step(statement);
    }
    sqlite3_finalize(statement);
    return (code == SQLITE_DONE && ret_bytes->size - before == snapshot->bytes) ||
        failure_say(failure, "the snapshot in the store has %zu of %" PRIu64 " bytes that can be "
            "read (%s)", ret_bytes->size - before, snapshot->bytes, sqlite3_errstr(code));
}
