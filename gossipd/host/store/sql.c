/* Statements that are used once. See sql.h. */
#include "gossipd/host/store/sql.h"

#include <string.h>

sqlite3_stmt *sql_prepare(sqlite3 *handle, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    return sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) == SQLITE_OK ? statement : NULL;
}

void sql_bind_origin(sqlite3_stmt *statement, const struct crdt_origin *origin)
{
    sqlite3_bind_blob(statement, 1, origin->key, CRDT_KEY_BYTES, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, (int64_t)origin->generation);
}

void sql_bind_bytes(sqlite3_stmt *statement, int at, struct crdt_bytes bytes)
{
    /* NULL would be another thing than no bytes. */
    sqlite3_bind_blob64(
        statement, at, bytes.size > 0 ? bytes.data : "", bytes.size, SQLITE_STATIC);
}

bool sql_finish(sqlite3_stmt *statement)
{
    bool is_done = statement != NULL && sqlite3_step(statement) == SQLITE_DONE;
    sqlite3_finalize(statement);
    return is_done;
}

enum sql_answer sql_first(sqlite3_stmt *statement)
{
    int code = statement != NULL ? sqlite3_step(statement) : SQLITE_ERROR;
    return code == SQLITE_ROW ? SQL_FOUND : code == SQLITE_DONE ? SQL_ABSENT : SQL_FAILED;
}

bool sql_number(sqlite3_stmt *statement, int64_t *ret_number)
{
    bool is_there = sql_first(statement) == SQL_FOUND;
    if (is_there) {
        *ret_number = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return is_there;
}

enum sql_answer sql_has_table(sqlite3 *handle, const char *name)
{
    sqlite3_stmt *statement =
        sql_prepare(handle, "SELECT count(*) FROM sqlite_schema WHERE name = ?1");
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    int64_t count = 0;
    return !sql_number(statement, &count) ? SQL_FAILED : count > 0 ? SQL_FOUND : SQL_ABSENT;
}

bool sql_ensure_table(sqlite3 *handle, const char *name, const char *create_sql)
{
    enum sql_answer answer = sql_has_table(handle, name);
    return answer == SQL_FOUND ||
        (answer == SQL_ABSENT && sql_finish(sql_prepare(handle, create_sql)));
}

struct crdt_bytes sql_bytes(sqlite3_stmt *statement, int column)
{
    const void *data = sqlite3_column_blob(statement, column);
    return (struct crdt_bytes){data, (size_t)sqlite3_column_bytes(statement, column)};
}

bool sql_fixed(sqlite3_stmt *statement, int column, void *ret_bytes, size_t size)
{
    struct crdt_bytes bytes = sql_bytes(statement, column);
    if (bytes.size != size) {
        return false;
    }
    memcpy(ret_bytes, bytes.data, size);
    return true;
}
