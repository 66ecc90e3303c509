/* Small words for statements that are made, run once and forgotten. */
#ifndef GOSSIPD_HOST_SQL_H
#define GOSSIPD_HOST_SQL_H

#include <crdt.h>

#include <sqlite3.h>
#include <stdbool.h>

/* NULL when it cannot be made; every call below takes that for a failure. */
sqlite3_stmt *sql_prepare(sqlite3 *handle, const char *sql);
/* Binds an origin to ?1 and ?2. SQLite's integers are signed: a generation is
 * stored as its bits. The key is borrowed until the statement ends. */
void sql_bind_origin(sqlite3_stmt *statement, const struct crdt_origin *origin);
void sql_bind_bytes(sqlite3_stmt *statement, int at, struct crdt_bytes bytes);
/* Runs a statement that gives no rows and ends it. */
bool sql_finish(sqlite3_stmt *statement);
/* What a question that may have no answer came to. What cannot be read is never
 * taken for what is not there: whoever goes on as if nothing were there may write
 * over it. */
enum sql_answer {
    SQL_ABSENT,
    SQL_FOUND,
    SQL_FAILED, /* the disk or memory failed, or what is there makes no sense       */
};
/* Steps to the first row; the caller ends the statement. */
enum sql_answer sql_first(sqlite3_stmt *statement);
enum sql_answer sql_has_table(sqlite3 *handle, const char *name);
/* Makes a table that is missing. A start that changes nothing writes nothing: a full
 * disk lets it read. */
bool sql_ensure_table(sqlite3 *handle, const char *name, const char *create_sql);
/* The number in the first row, of a question that always has one, and ends it; false:
 * it cannot be read. */
bool sql_number(sqlite3_stmt *statement, int64_t *ret_number);
/* A column's bytes, until the statement moves on. */
struct crdt_bytes sql_bytes(sqlite3_stmt *statement, int column);
/* Takes a column of exactly `size` bytes; false when it has others. */
bool sql_fixed(sqlite3_stmt *statement, int column, void *ret_bytes, size_t size);

#endif
