/* Evidence of forks in the store. See database_evidence.h. */
#include "gossipd/host/store/database_evidence.h"

#include "gossipd/host/store/database_schema.h"
#include "gossipd/host/store/sql.h"
#include "gossipd/host/store/tips_table.h"

bool database_evidence_open(sqlite3 *handle)
{
    return sql_ensure_table(handle, "evidence", SCHEMA_EVIDENCE);
}

static bool forget(sqlite3 *handle, const struct crdt_origin *origin)
{
    sqlite3_stmt *statement =
        sql_prepare(handle, "DELETE FROM evidence WHERE key = ?1 AND generation = ?2");
    sql_bind_origin(statement, origin);
    return sql_finish(statement);
}

static void bind_tip(sqlite3_stmt *statement, int column, const struct tip *tip)
{
    sql_bind_bytes(statement, column, tip->batch.header);
    sql_bind_bytes(
        statement, column + 1, (struct crdt_bytes){tip->signature, sizeof tip->signature});
}

bool database_evidence_set(sqlite3 *handle, const struct row *row)
{
    struct evidence evidence;
    if (row->batch_bytes == 0) {
        return forget(handle, &row->origin);
    }
    const struct crdt_bytes bytes = {row->batch, row->batch_bytes};
    if (evidence_read(bytes, &evidence) != CRDT_OK) {
        return false;
    }
    sqlite3_stmt *statement = sql_prepare(handle,
        "INSERT OR REPLACE INTO evidence (key, generation, seq, header_a, signature_a, "
        "header_b, signature_b, found_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
    sql_bind_origin(statement, &row->origin);
    sqlite3_bind_int64(statement, 3, (int64_t)evidence_seq(&evidence));
    bind_tip(statement, 4, &evidence.here);
    if (evidence.is_proof) {
        bind_tip(statement, 6, &evidence.other);
    }
    sqlite3_bind_int64(statement, 8, (int64_t)evidence.found_ms);
    return sql_finish(statement);
}

/* Writes one column as a token. */
static bool append_column(sqlite3_stmt *statement, int column, struct crdt_buffer *buffer)
{
    return crdt_write_bytes(buffer, sql_bytes(statement, column)) == CRDT_OK;
}

/* Reads the row at hand into `buffer`; false when memory is out. */
static bool read_row(sqlite3_stmt *statement, struct crdt_buffer *buffer)
{
    crdt_buffer_clear(buffer);
    bool is_read =
        crdt_write_uint(buffer, (uint64_t)sqlite3_column_int64(statement, 4)) == CRDT_OK;
    for (int column = 0; column < 4; column++) {
        is_read = is_read && append_column(statement, column, buffer);
    }
    return is_read;
}

bool database_evidence_replay(sqlite3 *handle,
    void (*visit)(void *context, struct crdt_bytes evidence), void *context,
    struct failure *failure)
{
    struct crdt_buffer buffer;
    sqlite3_stmt *statement = NULL;
    enum sql_answer answer = sql_has_table(handle, "evidence");
    if (answer != SQL_FOUND) {
        return answer == SQL_ABSENT ||
            failure_say(failure, "cannot read the evidence of forks: %s", sqlite3_errmsg(handle));
    }
    crdt_buffer_init(&buffer, NULL);
    int code = sqlite3_prepare_v2(handle, "SELECT header_a, signature_a, header_b, signature_b, "
        "found_ms FROM evidence ORDER BY found_ms", -1, &statement, NULL);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code != SQLITE_ROW) {
            break;
        }
        if (!read_row(statement, &buffer)) {
            code = SQLITE_NOMEM;
            break;
        }
        visit(context, crdt_buffer_bytes(&buffer));
    }
    sqlite3_finalize(statement);
    crdt_buffer_close(&buffer);
    return code == SQLITE_DONE ||
        failure_say(failure, "cannot read the evidence of forks: %s", sqlite3_errstr(code));
}

bool database_evidence_open_file(const char *path, uint8_t ret_cluster_id[static CRDT_HASH_BYTES],
    sqlite3 **ret_handle, struct failure *failure)
{
    /* For writing, though nothing is: only then unix-excl keeps the index of the
     * log on the heap instead of in a file beside the store. */
    int code = sqlite3_open_v2(
        path, ret_handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_PRIVATECACHE, "unix-excl");
    if (code == SQLITE_OK) {
        sqlite3_db_config(*ret_handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        code = sqlite3_exec(*ret_handle, "PRAGMA query_only = 1", NULL, NULL, NULL);
    }
    sqlite3_stmt *statement = code != SQLITE_OK
        ? NULL : sql_prepare(*ret_handle, "SELECT value FROM mark WHERE name = 'cluster'");
    bool is_read = statement != NULL && sqlite3_step(statement) == SQLITE_ROW &&
        sql_fixed(statement, 0, ret_cluster_id, CRDT_HASH_BYTES);
    sqlite3_finalize(statement);
    return is_read || failure_say(failure, "cannot read the store %s: %s; is this the data "
        "directory of a gossipd?", path, sqlite3_errmsg(*ret_handle));
}

enum evidence_verdict evidence_check(
    struct crdt_bytes bytes, const uint8_t cluster_id[static CRDT_HASH_BYTES])
{
    struct evidence evidence;
    if (evidence_read(bytes, &evidence) != CRDT_OK) {
        return EVIDENCE_IS_BROKEN;
    }
    if (!tip_is_signed(&evidence.here, cluster_id) ||
        (evidence.is_proof && !tip_is_signed(&evidence.other, cluster_id))) {
        return EVIDENCE_IS_FORGED;
    }
    return evidence.is_proof ? EVIDENCE_PROVES : EVIDENCE_IS_SINGLE;
}
