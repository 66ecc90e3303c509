/* A look at a store before anything is made or opened. See database_peek.h. */
#include "gossipd/host/store/database_peek.h"

#include <errno.h>
#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* False: the question could not be answered. */
static bool count(sqlite3 *handle, const char *sql, int64_t *ret_count)
{
    sqlite3_stmt *statement = NULL;
    bool is_read = sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW;
    if (is_read) {
        *ret_count = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return is_read;
}

static bool has_no_rows(sqlite3 *handle)
{
    static const char tables[] =
        "SELECT count(*) FROM sqlite_master WHERE name IN ('batch', 'snapshot')";
    static const char rows[] =
        "SELECT EXISTS (SELECT 1 FROM batch) + EXISTS (SELECT 1 FROM snapshot)";
    int64_t found = 0;
    if (!count(handle, tables, &found)) {
        return false;
    }
    /* A start that was cut short has made none of them, or the first one only. */
    if (found < 2) {
        return found == 0 ||
            (count(handle, "SELECT count(*) FROM batch", &found) && found == 0);
    }
    return count(handle, rows, &found) && found == 0;
}

bool database_is_empty(const char *path)
{
    struct stat facts;
    sqlite3 *handle = NULL;
    if (stat(path, &facts) != 0) {
        return errno == ENOENT;
    }
    /* For writing, though nothing is: only then unix-excl keeps the index of the
     * log on the heap instead of in a file beside the store. */
    int code = sqlite3_open_v2(
        path, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_PRIVATECACHE, "unix-excl");
    if (code == SQLITE_OK) {
        sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        code = sqlite3_exec(handle, "PRAGMA query_only = 1", NULL, NULL, NULL);
    }
    bool is_empty = code == SQLITE_OK && has_no_rows(handle);
    sqlite3_close(handle);
    return is_empty;
}
