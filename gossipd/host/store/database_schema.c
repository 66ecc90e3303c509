/* What a store may hold. See database_schema.h. */
#include "gossipd/host/store/database_schema.h"

#include <string.h>

/* SQLite's own, for AUTOINCREMENT, PRIMARY KEY and ANALYZE: nobody else can give
 * such names, but by rewriting the schema. */
static bool is_own_to_sqlite(const char *type, const char *name, const char *sql)
{
    static const char *const tables[] = {"sqlite_sequence", "sqlite_stat1", "sqlite_stat4"};
    if (strcmp(type, "index") == 0) {
        return sql == NULL && strncmp(name, "sqlite_autoindex_", 17) == 0;
    }
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        if (strcmp(type, "table") == 0 && strcmp(name, tables[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Its name and kind are in its words. */
static bool is_ours(const char *sql)
{
    static const char *const known[] = {SCHEMA_BATCH, SCHEMA_BATCH_FEED, SCHEMA_MARK,
        SCHEMA_SNAPSHOT, SCHEMA_SNAPSHOT_PART, SCHEMA_SNAPSHOT_PART_ORDER,
        SCHEMA_SNAPSHOT_BEFORE, SCHEMA_FLOOR, SCHEMA_STAGE, SCHEMA_EVIDENCE};
    for (size_t i = 0; sql != NULL && i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(sql, known[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The thing at hand. */
static enum sql_answer check(sqlite3_stmt *statement, struct failure *failure)
{
    const char *type = (const char *)sqlite3_column_text(statement, 0);
    const char *name = (const char *)sqlite3_column_text(statement, 1);
    const char *sql = (const char *)sqlite3_column_text(statement, 2);
    if (type == NULL || name == NULL) {
        return SQL_FAILED;
    }
    if (is_own_to_sqlite(type, name, sql) || is_ours(sql)) {
        return SQL_FOUND;
    }
    failure_say(failure, "the %s \"%s\" in it is not what gossipd makes there, and may change "
        "what is stored", type, name);
    return SQL_ABSENT;
}

enum sql_answer database_schema_check(sqlite3 *handle, struct failure *failure)
{
    sqlite3_stmt *statement = sql_prepare(handle, "SELECT type, name, sql FROM sqlite_schema");
    enum sql_answer answer = SQL_FOUND;
    int code = statement != NULL ? sqlite3_step(statement) : SQLITE_ERROR;
    while (code == SQLITE_ROW && answer == SQL_FOUND) {
        answer = check(statement, failure);
        code = answer == SQL_FOUND ? sqlite3_step(statement) : code;
    }
    if (answer == SQL_FAILED || (answer == SQL_FOUND && code != SQLITE_DONE)) {
        failure_say(failure, "its tables cannot be read: %s", sqlite3_errmsg(handle));
        answer = SQL_FAILED;
    }
    sqlite3_finalize(statement);
    return answer;
}
