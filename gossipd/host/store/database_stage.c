/* What is staged. See database_stage.h. */
#include "gossipd/host/store/database_stage.h"

#include "gossipd/host/store/database_schema.h"
#include "gossipd/host/store/database_snapshot.h"

bool database_stage_open(sqlite3 *handle)
{
    return sql_ensure_table(handle, "stage", SCHEMA_STAGE);
}

bool database_stage_clear(sqlite3 *handle)
{
    return sql_finish(sql_prepare(handle, "DELETE FROM stage"));
}

static bool begin(sqlite3 *handle, const struct core_snapshot *snapshot)
{
    sqlite3_stmt *statement = sql_prepare(handle,
        "INSERT INTO stage (hash, bytes, parts, tips, staged) VALUES (?1, ?2, ?3, ?4, 0)");
    sql_bind_bytes(statement, 1, (struct crdt_bytes){snapshot->hash, CRDT_HASH_BYTES});
    sqlite3_bind_int64(statement, 2, (int64_t)snapshot->bytes);
    sqlite3_bind_int64(statement, 3, (int64_t)snapshot->parts);
    sql_bind_bytes(statement, 4, snapshot->tips);
    return sql_finish(statement);
}

/* The number of this snapshot's staging, if it waits for exactly this part. */
static bool find(sqlite3 *handle, const uint8_t *hash, uint64_t part, int64_t *ret_id)
{
    sqlite3_stmt *statement =
        sql_prepare(handle, "SELECT id FROM stage WHERE hash = ?1 AND staged = ?2");
    sql_bind_bytes(statement, 1, (struct crdt_bytes){hash, CRDT_HASH_BYTES});
    sqlite3_bind_int64(statement, 2, (int64_t)part);
    return sql_number(statement, ret_id);
}

bool database_stage_add(sqlite3 *handle, const struct core_snapshot *snapshot, uint64_t part,
    struct crdt_bytes bytes, bool *ret_is_next)
{
    int64_t id = 0;
    *ret_is_next = true;
    if (part == 0 && !(database_stage_clear(handle) && begin(handle, snapshot))) {
        return false;
    }
    *ret_is_next = find(handle, snapshot->hash, part, &id);
    if (!*ret_is_next) {
        return false;
    }
    sqlite3_stmt *statement = sql_prepare(
        handle, "INSERT INTO snapshot_part (id, part, bytes) VALUES (-?1, ?2, ?3)");
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_int64(statement, 2, (int64_t)part);
    sql_bind_bytes(statement, 3, bytes);
    return sql_finish(statement) &&
        sql_finish(sql_prepare(handle, "UPDATE stage SET staged = staged + 1"));
}

bool database_stage_read(sqlite3 *handle, const struct crdt_memory *memory,
    struct database_stage *ret_stage)
{
    sqlite3_stmt *statement = sql_prepare(
        handle, "SELECT id, staged, bytes, parts, hash, tips FROM stage ORDER BY id DESC LIMIT 1");
    struct database_stage stage = {0};
    crdt_buffer_init(&stage.tips, memory);
    bool is_read = statement != NULL && sqlite3_step(statement) == SQLITE_ROW &&
        sql_fixed(statement, 4, stage.snapshot.hash, CRDT_HASH_BYTES);
    if (is_read) {
        struct crdt_bytes tips = sql_bytes(statement, 5);
        stage.id = sqlite3_column_int64(statement, 0);
        stage.staged = (uint64_t)sqlite3_column_int64(statement, 1);
        stage.snapshot.bytes = (uint64_t)sqlite3_column_int64(statement, 2);
        stage.snapshot.parts = (uint64_t)sqlite3_column_int64(statement, 3);
        is_read = crdt_buffer_append(&stage.tips, tips.data, tips.size) == CRDT_OK;
        stage.snapshot.tips = crdt_buffer_bytes(&stage.tips);
    }
    sqlite3_finalize(statement);
    if (is_read) {
        *ret_stage = stage;
    } else {
        crdt_buffer_close(&stage.tips);
    }
    return is_read;
}

bool database_stage_bytes(sqlite3 *handle, const struct database_stage *stage,
    struct crdt_buffer *ret_bytes, struct failure *failure)
{
    return database_parts_read(
        handle, -stage->id, stage->snapshot.bytes, ret_bytes, failure);
}
