/* Marks of a store. See database_mark.h. */
#include "gossipd/host/store/database_mark.h"

#include <string.h>

static sqlite3_stmt *prepare_set(sqlite3 *handle, const char *name)
{
    sqlite3_stmt *statement =
        sql_prepare(handle, "INSERT OR REPLACE INTO mark (name, value) VALUES (?1, ?2)");
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    return statement;
}

static sqlite3_stmt *prepare_get(sqlite3 *handle, const char *name)
{
    sqlite3_stmt *statement = sql_prepare(handle, "SELECT value FROM mark WHERE name = ?1");
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    return statement;
}

bool mark_set_int(sqlite3 *handle, const char *name, uint64_t value)
{
    sqlite3_stmt *statement = prepare_set(handle, name);
    sqlite3_bind_int64(statement, 2, (int64_t)value);
    return sql_finish(statement);
}

bool mark_set_bytes(sqlite3 *handle, const char *name, const void *data, size_t size)
{
    sqlite3_stmt *statement = prepare_set(handle, name);
    sqlite3_bind_blob64(statement, 2, data, size, SQLITE_STATIC);
    return sql_finish(statement);
}

bool mark_set_text(sqlite3 *handle, const char *name, const char *text)
{
    sqlite3_stmt *statement = prepare_set(handle, name);
    sqlite3_bind_text(statement, 2, text, -1, SQLITE_STATIC);
    return sql_finish(statement);
}

bool mark_get_int(sqlite3 *handle, const char *name, uint64_t *ret_value)
{
    sqlite3_stmt *statement = prepare_get(handle, name);
    enum sql_answer answer = sql_first(statement);
    *ret_value = answer == SQL_FOUND ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return answer != SQL_FAILED;
}

enum mark_match mark_compare(
    sqlite3 *handle, const char *name, const void *data, size_t size)
{
    sqlite3_stmt *statement = prepare_get(handle, name);
    enum sql_answer answer = sql_first(statement);
    enum mark_match match = answer == SQL_FOUND ? MARK_OTHER
        : answer == SQL_ABSENT                  ? MARK_ABSENT
                                                : MARK_FAILED;
    if (answer == SQL_FOUND) {
        struct crdt_bytes value = sql_bytes(statement, 0);
        bool is_same =
            value.size == size && value.data != NULL && memcmp(value.data, data, size) == 0;
        match = is_same ? MARK_SAME : MARK_OTHER;
    }
    sqlite3_finalize(statement);
    return match;
}
