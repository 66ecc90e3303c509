/* Snapshots in the store. See database_snapshot.h. */
#include "gossipd/host/store/database_snapshot.h"

#include <inttypes.h>

#include "gossipd/host/store/database_schema.h"

static const char schema_sql[] =
    "BEGIN IMMEDIATE;"
    "DROP TABLE IF EXISTS snapshot; DROP TABLE IF EXISTS snapshot_part;"
    SCHEMA_SNAPSHOT ";" SCHEMA_SNAPSHOT_PART ";" SCHEMA_SNAPSHOT_PART_ORDER ";"
    "COMMIT";

/* Makes the tables anew. Never where there is a floor: a snapshot is then all that is
 * left of what was dropped. */
static bool make_tables(sqlite3 *handle)
{
    int64_t floors = 0;
    enum sql_answer has_floor = sql_has_table(handle, "floor");
    if (has_floor == SQL_FAILED ||
        (has_floor == SQL_FOUND &&
            (!sql_number(sql_prepare(handle, "SELECT count(*) FROM floor"), &floors) ||
                floors > 0))) {
        return false;
    }
    return sqlite3_exec(handle, schema_sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* A table without tips was written before snapshots had any: it goes, and all
 * batches, of which none was ever dropped then, are replayed once. */
bool database_snapshot_open(sqlite3 *handle)
{
    int64_t has_tips = 0;
    int64_t unfinished = 0;
    if (!sql_number(sql_prepare(handle, "SELECT count(*) FROM pragma_table_info('snapshot') "
                                        "WHERE name = 'tips'"), &has_tips) ||
        (has_tips == 0 && !make_tables(handle)) ||
        !sql_number(sql_prepare(handle, "SELECT count(*) FROM snapshot WHERE bytes IS NULL"),
            &unfinished)) {
        return false;
    }
    /* A start that changes nothing writes nothing: a full disk lets it read. One that
     * has no room to forget them goes on too: nobody reads them, and the next snapshot
     * forgets them before it begins. */
    return unfinished == 0 ||
        sql_finish(sql_prepare(handle, "DELETE FROM snapshot WHERE bytes IS NULL")) ||
        sqlite3_errcode(handle) == SQLITE_FULL;
}

bool database_snapshot_begin(
    sqlite3 *handle, uint64_t number, int64_t place, uint64_t log_bytes)
{
    if (!sql_finish(sql_prepare(handle, "DELETE FROM snapshot WHERE bytes IS NULL"))) {
        return false;
    }
    sqlite3_stmt *statement = sql_prepare(
        handle, "INSERT INTO snapshot (number, place, log_bytes) VALUES (?1, ?2, ?3)");
    sqlite3_bind_int64(statement, 1, (int64_t)number);
    sqlite3_bind_int64(statement, 2, place);
    sqlite3_bind_int64(statement, 3, (int64_t)log_bytes);
    return sql_finish(statement);
}

bool database_snapshot_place(sqlite3 *handle, uint64_t number, int64_t *ret_place)
{
    sqlite3_stmt *statement =
        sql_prepare(handle, "SELECT place FROM snapshot WHERE number = ?1 AND bytes IS NULL");
    sqlite3_bind_int64(statement, 1, (int64_t)number);
    return sql_number(statement, ret_place);
}

bool database_snapshot_add(sqlite3 *handle, uint64_t number, uint64_t part, const void *data,
    size_t size, bool *ret_has_place)
{
    sqlite3_stmt *statement = sql_prepare(handle,
        "INSERT INTO snapshot_part (id, part, bytes) SELECT id, ?2, ?3 FROM snapshot "
        "WHERE number = ?1 AND bytes IS NULL");
    sqlite3_bind_int64(statement, 1, (int64_t)number);
    sqlite3_bind_int64(statement, 2, (int64_t)part);
    sql_bind_bytes(statement, 3, (struct crdt_bytes){data, size});
    bool is_done = sql_finish(statement);
    *ret_has_place = !is_done || sqlite3_changes(handle) == 1;
    return is_done && *ret_has_place;
}

bool database_snapshot_finish(
    sqlite3 *handle, uint64_t number, const struct core_snapshot *snapshot)
{
    sqlite3_stmt *statement = sql_prepare(handle,
        "UPDATE snapshot SET bytes = ?2, parts = ?3, hash = ?4, tips = ?5 "
        "WHERE number = ?1 AND bytes IS NULL");
    sqlite3_bind_int64(statement, 1, (int64_t)number);
    sqlite3_bind_int64(statement, 2, (int64_t)snapshot->bytes);
    sqlite3_bind_int64(statement, 3, (int64_t)snapshot->parts);
    sql_bind_bytes(statement, 4, (struct crdt_bytes){snapshot->hash, CRDT_HASH_BYTES});
    sql_bind_bytes(statement, 5, snapshot->tips);
    return sql_finish(statement) && sqlite3_changes(handle) == 1 &&
        sql_finish(sql_prepare(handle,
            "DELETE FROM snapshot WHERE id < (SELECT max(id) FROM snapshot)"));
}

bool database_snapshot_sweep(sqlite3 *handle, bool *ret_has_more)
{
    bool is_done = sql_finish(sql_prepare(handle,
        "DELETE FROM snapshot_part WHERE rowid = (SELECT rowid FROM snapshot_part WHERE "
        "id NOT IN (SELECT id FROM snapshot UNION ALL SELECT -id FROM stage) LIMIT 1)"));
    *ret_has_more = is_done && sqlite3_changes(handle) > 0;
    return is_done;
}

enum sql_answer database_snapshot_newest(
    sqlite3 *handle, struct database_snapshot *ret_snapshot)
{
    sqlite3_stmt *statement = sql_prepare(handle,
        "SELECT id, place, bytes, parts, log_bytes, hash FROM snapshot WHERE bytes IS NOT NULL "
        "ORDER BY id DESC LIMIT 1");
    struct database_snapshot snapshot;
    enum sql_answer answer = sql_first(statement);
    if (answer == SQL_FOUND &&
        !sql_fixed(statement, 5, snapshot.hash, sizeof snapshot.hash)) {
        answer = SQL_FAILED;
    }
    if (answer == SQL_FOUND) {
        snapshot.id = sqlite3_column_int64(statement, 0);
        snapshot.place = sqlite3_column_int64(statement, 1);
        snapshot.bytes = (uint64_t)sqlite3_column_int64(statement, 2);
        snapshot.parts = (uint64_t)sqlite3_column_int64(statement, 3);
        snapshot.log_bytes = (uint64_t)sqlite3_column_int64(statement, 4);
        *ret_snapshot = snapshot;
    }
    sqlite3_finalize(statement);
    return answer;
}

/* Appends the part at hand. */
static bool read_part(sqlite3_stmt *statement, uint64_t part, struct crdt_buffer *ret_bytes)
{
    struct crdt_bytes bytes = sql_bytes(statement, 1);
    return (uint64_t)sqlite3_column_int64(statement, 0) == part &&
        crdt_buffer_append(ret_bytes, bytes.data, bytes.size) == CRDT_OK;
}

bool database_parts_read(sqlite3 *handle, int64_t id, uint64_t bytes,
    struct crdt_buffer *ret_bytes, struct failure *failure)
{
    size_t before = ret_bytes->size;
    sqlite3_stmt *statement = sql_prepare(
        handle, "SELECT part, bytes FROM snapshot_part WHERE id = ?1 ORDER BY part");
    sqlite3_bind_int64(statement, 1, id);
    int code = statement != NULL ? sqlite3_step(statement) : sqlite3_errcode(handle);
    for (uint64_t part = 0; code == SQLITE_ROW && read_part(statement, part, ret_bytes); part++) {
        code = sqlite3_step(statement);
    }
    sqlite3_finalize(statement);
    return (code == SQLITE_DONE && ret_bytes->size - before == bytes) ||
        failure_say(failure, "the snapshot in the store has %zu of %" PRIu64 " bytes that can be "
            "read (%s)", ret_bytes->size - before, bytes, sqlite3_errstr(code));
}

bool database_snapshot_read(sqlite3 *handle, const struct database_snapshot *snapshot,
    struct crdt_buffer *ret_bytes, struct failure *failure)
{
    return database_parts_read(handle, snapshot->id, snapshot->bytes, ret_bytes, failure);
}

bool database_snapshot_tips(sqlite3 *handle, const struct database_snapshot *snapshot,
    struct crdt_buffer *ret_tips, struct failure *failure)
{
    sqlite3_stmt *statement = sql_prepare(handle, "SELECT tips FROM snapshot WHERE id = ?1");
    sqlite3_bind_int64(statement, 1, snapshot->id);
    bool is_read = statement != NULL && sqlite3_step(statement) == SQLITE_ROW;
    if (is_read) {
        struct crdt_bytes tips = sql_bytes(statement, 0);
        is_read = crdt_buffer_append(ret_tips, tips.data, tips.size) == CRDT_OK;
    }
    sqlite3_finalize(statement);
    return is_read || failure_say(failure, "the tips of the snapshot in the store cannot be read");
}

bool database_snapshot_part(sqlite3 *handle, const uint8_t hash[static CRDT_HASH_BYTES],
    uint64_t part, struct crdt_buffer *ret_bytes)
{
    sqlite3_stmt *statement = sql_prepare(handle,
        "SELECT p.part, p.bytes FROM snapshot AS s JOIN snapshot_part AS p ON p.id = s.id "
        "WHERE s.hash = ?1 AND s.bytes IS NOT NULL AND p.part = ?2");
    sql_bind_bytes(statement, 1, (struct crdt_bytes){hash, CRDT_HASH_BYTES});
    sqlite3_bind_int64(statement, 2, (int64_t)part);
    bool is_there = statement != NULL && sqlite3_step(statement) == SQLITE_ROW &&
        read_part(statement, part, ret_bytes);
    sqlite3_finalize(statement);
    return is_there;
}
