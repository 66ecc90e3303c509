/* The event store as a SQLite file. See database.h. */
#include "gossipd/host/database.h"

#include <assert.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "gossipd/host/database_evidence.h"
#include "gossipd/host/database_snapshot.h"
#include "gossipd/host/directory.h"
#include "gossipd/limits.h"

enum statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_INSERT,
    STATEMENT_MARK_SET,
    STATEMENT_MARK_GET,
    STATEMENT_REPLAY,
    STATEMENT_FETCH,
    STATEMENT_COUNT,
};

static const char *const statements_sql[STATEMENT_COUNT] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_INSERT] = "INSERT INTO batch (key, generation, first, last, previous, head, bytes, "
                         "signature, applied_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [STATEMENT_MARK_SET] = "INSERT OR REPLACE INTO mark (name, value) VALUES (?1, ?2)",
    [STATEMENT_MARK_GET] = "SELECT value FROM mark WHERE name = ?1",
    [STATEMENT_REPLAY] =
        "SELECT bytes, signature FROM batch WHERE place > ?1 ORDER BY place",
    [STATEMENT_FETCH] =
        "SELECT first, last, bytes, signature FROM batch WHERE key = ?1 AND generation = ?2 "
        "AND first >= coalesce((SELECT max(first) FROM batch WHERE key = ?1 AND "
        "generation = ?2 AND first <= ?3), 0) ORDER BY first",
};

static const char schema_sql[] =
    "CREATE TABLE batch (place INTEGER PRIMARY KEY, key BLOB NOT NULL, "
    "generation INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, "
    "previous BLOB NOT NULL, head BLOB NOT NULL, bytes BLOB NOT NULL, "
    "signature BLOB NOT NULL, applied_ms INTEGER NOT NULL);"
    "CREATE INDEX batch_feed ON batch (key, generation, first);"
    "CREATE TABLE mark (name TEXT PRIMARY KEY, value) WITHOUT ROWID;";

struct database {
    sqlite3 *handle;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    bool is_synced; /* PRAGMA synchronous is FULL, not NORMAL                   */
};

static bool say_sqlite(struct database *database, const char *doing, struct failure *failure)
{
    return failure_say(failure, "%s: %s", doing, sqlite3_errmsg(database->handle));
}

static bool run(struct database *database, const char *sql)
{
    return sqlite3_exec(database->handle, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* Runs a statement without rows to its end and makes it ready for the next time. */
static bool finish(struct database *database, enum statement which)
{
    sqlite3_stmt *statement = database->statements[which];
    bool is_done = sqlite3_step(statement) == SQLITE_DONE;
    int code = sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return is_done && code == SQLITE_OK;
}

static bool mark_set_int(struct database *database, const char *name, uint64_t value)
{
    sqlite3_stmt *statement = database->statements[STATEMENT_MARK_SET];
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, (int64_t)value);
    return finish(database, STATEMENT_MARK_SET);
}

static bool mark_set_blob(
    struct database *database, const char *name, const void *data, size_t size)
{
    sqlite3_stmt *statement = database->statements[STATEMENT_MARK_SET];
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_blob64(statement, 2, data, size, SQLITE_STATIC);
    return finish(database, STATEMENT_MARK_SET);
}

static bool mark_set_text(struct database *database, const char *name, const char *text)
{
    sqlite3_stmt *statement = database->statements[STATEMENT_MARK_SET];
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, text, -1, SQLITE_STATIC);
    return finish(database, STATEMENT_MARK_SET);
}

static uint64_t mark_get_int(struct database *database, const char *name)
{
    sqlite3_stmt *statement = database->statements[STATEMENT_MARK_GET];
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    uint64_t value = 0;
    if (sqlite3_step(statement) == SQLITE_ROW) {
        value = (uint64_t)sqlite3_column_int64(statement, 0);
    }
    sqlite3_reset(statement);
    return value;
}

/* Whether the mark is there with exactly these bytes; `ret_is_there` tells a
 * missing mark from another one. */
static bool mark_is(struct database *database, const char *name, const void *data, size_t size,
    bool *ret_is_there)
{
    sqlite3_stmt *statement = database->statements[STATEMENT_MARK_GET];
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    bool is_same = false;
    *ret_is_there = sqlite3_step(statement) == SQLITE_ROW;
    if (*ret_is_there) {
        const void *value = sqlite3_column_blob(statement, 0);
        is_same = (size_t)sqlite3_column_bytes(statement, 0) == size && value != NULL &&
            memcmp(value, data, size) == 0;
    }
    sqlite3_reset(statement);
    return is_same;
}

/* Chooses whether the commits to come are fsynced. In WAL mode NORMAL keeps the
 * file sound at a power loss, only the newest commits may be missing; OFF, which
 * never syncs even at a checkpoint, could tear it. */
static bool set_synced(struct database *database, bool is_synced)
{
    if (database->is_synced == is_synced) {
        return true;
    }
    database->is_synced = is_synced;
    return run(database, is_synced ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
}

/* Makes durable what was committed before: it is all in the write-ahead log, for
 * SQLite syncs that before it copies from it. Writes nothing, so a full disk does
 * not stop it. Returns SQLite's code. */
static int log_sync(struct database *database)
{
    sqlite3_file *file = NULL;
    int code = sqlite3_file_control(database->handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);
    if (code != SQLITE_OK || file == NULL || file->pMethods == NULL) {
        return code;
    }
    return file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
}

static int64_t query_int(struct database *database, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int64_t value = -1;
    if (sqlite3_prepare_v2(database->handle, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        value = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return value;
}

static bool prepare(struct database *database)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        if (sqlite3_prepare_v3(database->handle, statements_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                &database->statements[i], NULL) != SQLITE_OK) {
            return false;
        }
    }
    return true;
}

/* Opens the file and brings its schema to this version; `ret_is_new`: there was
 * none. */
static bool open_schema(struct database *database, const char *path, const char *vfs,
    bool *ret_is_new, struct failure *failure)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_PRIVATECACHE;
    int code = sqlite3_open_v2(
        path, &database->handle, flags, vfs != NULL ? vfs : "unix-excl");
    if (code != SQLITE_OK) {
        return failure_say(failure, "cannot open the store %s: %s", path,
            database->handle != NULL ? sqlite3_errmsg(database->handle) : sqlite3_errstr(code));
    }
    sqlite3_extended_result_codes(database->handle, 1);
    sqlite3_busy_timeout(database->handle, STORE_BUSY_MS);
    database->is_synced = true;
    /* EXTRA while the mode changes: it syncs the directory behind the deletion of
     * the rollback journal, which could otherwise be back after a power loss and
     * empty the store. */
    if (!run(database, "PRAGMA synchronous = EXTRA; PRAGMA journal_mode = WAL; "
                       "PRAGMA synchronous = FULL; PRAGMA secure_delete = 0; "
                       "PRAGMA journal_size_limit = 67108864")) {
        return failure_say(failure, "cannot read the store %s: %s", path,
            sqlite3_errmsg(database->handle));
    }
    int64_t version = query_int(database, "PRAGMA user_version");
    if (version > DATABASE_VERSION) {
        return failure_say(failure, "the store %s has schema version %" PRId64 ", this gossipd "
            "knows versions up to %d: use the newer gossipd that wrote it", path, version,
            DATABASE_VERSION);
    }
    *ret_is_new = version <= 0;
    if (*ret_is_new && !(run(database, "BEGIN IMMEDIATE") && run(database, schema_sql) &&
                           run(database, "PRAGMA user_version = 1") && run(database, "COMMIT"))) {
        return failure_say(failure, "cannot make the store %s: %s", path,
            sqlite3_errmsg(database->handle));
    }
    return (database_snapshot_open(database->handle) &&
               database_evidence_open(database->handle) && prepare(database)) ||
        say_sqlite(database, "the store has an unknown schema", failure);
}

static bool check_cluster(struct database *database, const char *path, const uint8_t *cluster_id,
    struct failure *failure)
{
    bool is_there = false;
    if (mark_is(database, "cluster", cluster_id, CRDT_HASH_BYTES, &is_there) || !is_there) {
        return true;
    }
    return failure_say(failure, "the store %s belongs to another cluster: set `cluster` to the "
        "name it was made with (none, if it was made without), or choose another `dir`", path);
}

/* Reads what the store says about its writer. */
static void read_facts(struct database *database, const char *residence, const uint8_t *key,
    struct database_facts *ret_facts)
{
    bool is_there = false;
    ret_facts->has_moved =
        !mark_is(database, "residence", residence, strlen(residence), &is_there) && is_there;
    ret_facts->has_other_key =
        !mark_is(database, "key", key, CRDT_KEY_BYTES, &is_there) && is_there;
    ret_facts->generation =
        ret_facts->has_other_key ? 0 : mark_get_int(database, "generation");
    ret_facts->is_ahead = mark_get_int(database, "ahead") != 0;
    /* A crash between the making of the schema and this leaves them unnamed. */
    mark_is(database, "residence", "", 0, &ret_facts->is_named);
    int64_t rows = query_int(database, "SELECT coalesce(max(place), 0) FROM batch");
    ret_facts->row_count = rows > 0 ? (uint64_t)rows : 0;
}

/* Writes down who uses the store from now on, in one durable transaction. */
static bool write_facts(struct database *database, const uint8_t *cluster_id, const uint8_t *key,
    const char *residence, const struct database_facts *facts, struct failure *failure)
{
    bool is_written = finish(database, STATEMENT_BEGIN) &&
        mark_set_blob(database, "cluster", cluster_id, CRDT_HASH_BYTES) &&
        mark_set_blob(database, "key", key, CRDT_KEY_BYTES) &&
        mark_set_text(database, "residence", residence) &&
        (!facts->has_moved || mark_set_int(database, "ahead", 1)) &&
        (!facts->has_other_key || mark_set_int(database, "generation", 0)) &&
        finish(database, STATEMENT_COMMIT);
    if (is_written) {
        return true;
    }
    say_sqlite(database, "cannot write to the store", failure);
    run(database, "ROLLBACK");
    return false;
}

static bool open_facts(struct database *database, const char *path,
    const uint8_t *cluster_id, const uint8_t *key, struct database_facts *facts,
    struct failure *failure)
{
    char residence[RESIDENCE_BYTES];
    if (!check_cluster(database, path, cluster_id, failure) ||
        !residence_text(path, residence, failure)) {
        return false;
    }
    read_facts(database, residence, key, facts);
    /* A start that changes nothing writes nothing: a full disk lets it read. */
    if (!facts->is_new && !facts->has_moved && !facts->has_other_key && facts->is_named) {
        return true;
    }
    return write_facts(database, cluster_id, key, residence, facts, failure);
}

/* See database.h: what is found is made durable before anyone relies on it. */
static bool make_durable(struct database *database, const char *path, struct failure *failure)
{
    int code = log_sync(database);
    directory_sync_of(path);
    return code == SQLITE_OK ||
        failure_say(failure, "cannot make the store %s durable: %s; check the disk", path,
            sqlite3_errstr(code));
}

struct sqlite3 *database_handle(struct database *database)
{
    return database->handle;
}

bool database_open(const char *path, const char *vfs,
    const uint8_t cluster_id[static CRDT_HASH_BYTES], const uint8_t key[static CRDT_KEY_BYTES],
    struct database **ret_database, struct database_facts *ret_facts, struct failure *failure)
{
    struct database *database = calloc(1, sizeof *database);
    if (database == NULL) {
        return failure_say(failure, "out of memory");
    }
    struct database_facts facts = {0};
    if (!open_schema(database, path, vfs, &facts.is_new, failure) ||
        !open_facts(database, path, cluster_id, key, &facts, failure) ||
        !make_durable(database, path, failure)) {
        database_close(database);
        return false;
    }
    *ret_database = database;
    *ret_facts = facts;
    return true;
}

void database_close(struct database *database)
{
    if (database == NULL) {
        return;
    }
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        sqlite3_finalize(database->statements[i]);
    }
    sqlite3_close(database->handle);
    free(database);
}

bool database_replay(struct database *database, int64_t place,
    void (*visit)(void *context, const struct core_row *row), void *context,
    struct failure *failure)
{
    sqlite3_stmt *statement = database->statements[STATEMENT_REPLAY];
    sqlite3_bind_int64(statement, 1, place);
    int code = SQLITE_ROW;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct core_row row = {
            .batch = {sqlite3_column_blob(statement, 0),
                (size_t)sqlite3_column_bytes(statement, 0)},
        };
        if (sqlite3_column_bytes(statement, 1) != CORE_SIGNATURE_BYTES) {
            sqlite3_reset(statement);
            return failure_say(failure, "the store is damaged: a signature has a wrong length; "
                "run `sqlite3 store.db 'pragma integrity_check'`, or start again from peers "
                "with an empty `dir`");
        }
        memcpy(row.signature, sqlite3_column_blob(statement, 1), sizeof row.signature);
        visit(context, &row);
    }
    bool is_whole = code == SQLITE_DONE;
    if (!is_whole) {
        say_sqlite(database, "cannot read the store", failure);
    }
    sqlite3_reset(statement);
    return is_whole;
}

static const char *mark_name(enum core_mark mark)
{
    switch (mark) {
    case CORE_MARK_AHEAD: return "ahead";
    case CORE_MARK_GENERATION: return "generation";
    }
    assert(false);
    return NULL;
}

static bool insert(struct database *database, const struct row *row)
{
    if (row->snapshot != 0) {
        return database_snapshot_begin(database->handle, row->snapshot);
    }
    if (row->is_evidence) {
        return database_evidence_set(database->handle, row);
    }
    if (row->is_mark) {
        return mark_set_int(database, mark_name(row->mark), row->value);
    }
    sqlite3_stmt *statement = database->statements[STATEMENT_INSERT];
    sqlite3_bind_blob(statement, 1, row->origin.key, CRDT_KEY_BYTES, SQLITE_STATIC);
    /* SQLite's integers are signed: a generation is stored as its bits. */
    sqlite3_bind_int64(statement, 2, (int64_t)row->origin.generation);
    sqlite3_bind_int64(statement, 3, (int64_t)row->first_seq);
    sqlite3_bind_int64(statement, 4, (int64_t)row->last_seq);
    sqlite3_bind_blob(statement, 5, row->previous, CRDT_HASH_BYTES, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 6, row->head, CRDT_HASH_BYTES, SQLITE_STATIC);
    sqlite3_bind_blob64(statement, 7, row->batch, row->batch_bytes, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 8, row->signature, CORE_SIGNATURE_BYTES, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 9, (int64_t)row->wall_ms);
    return finish(database, STATEMENT_INSERT);
}

/* Takes a failed transaction back and says what kind of failure it was. */
static enum database_result write_failed(struct database *database, struct failure *failure)
{
    int code = sqlite3_extended_errcode(database->handle);
    failure_say(failure, "%s", sqlite3_errmsg(database->handle));
    if (sqlite3_get_autocommit(database->handle) == 0) {
        run(database, "ROLLBACK");
    }
    bool is_fsync = code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC;
    return is_fsync ? DATABASE_FSYNC_FAILED : DATABASE_FAILED;
}

/* Makes durable what was written without fsync. */
static enum database_result sync_written(struct database *database, struct failure *failure)
{
    int code = log_sync(database);
    if (code == SQLITE_OK) {
        return DATABASE_DONE;
    }
    failure_say(failure, "%s", sqlite3_errstr(code));
    return DATABASE_FSYNC_FAILED;
}

enum database_result database_write(struct database *database, const struct row *rows,
    size_t count, bool is_synced, struct failure *failure)
{
    if (count == 0) {
        return is_synced ? sync_written(database, failure) : DATABASE_DONE;
    }
    if (!set_synced(database, is_synced) || !finish(database, STATEMENT_BEGIN)) {
        return write_failed(database, failure);
    }
    const struct row *row = rows;
    for (size_t i = 0; i < count; i++, row = row->next) {
        if (!insert(database, row)) {
            return write_failed(database, failure);
        }
    }
    return finish(database, STATEMENT_COMMIT) ? DATABASE_DONE : write_failed(database, failure);
}

enum database_result database_transact(struct database *database,
    bool (*work)(struct sqlite3 *handle, void *context), void *context, bool is_synced,
    struct failure *failure)
{
    bool is_done = set_synced(database, is_synced) && finish(database, STATEMENT_BEGIN) &&
        work(database->handle, context) && finish(database, STATEMENT_COMMIT);
    return is_done ? DATABASE_DONE : write_failed(database, failure);
}

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
    const struct crdt_bytes batch = {
        sqlite3_column_blob(statement, 2), (size_t)sqlite3_column_bytes(statement, 2)};
    if (sqlite3_column_bytes(statement, 3) != CORE_SIGNATURE_BYTES ||
        !fetched_add(fetched, batch, sqlite3_column_blob(statement, 3))) {
        return false;
    }
    *wanted = last + 1;
    return true;
}

bool database_fetch(struct database *database, const struct crdt_dot *from, size_t bytes_max,
    struct fetched *fetched, struct failure *failure)
{
    sqlite3_stmt *statement = database->statements[STATEMENT_FETCH];
    sqlite3_bind_blob(statement, 1, from->origin.key, CRDT_KEY_BYTES, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, (int64_t)from->origin.generation);
    sqlite3_bind_int64(statement, 3, (int64_t)from->seq);
    uint64_t wanted = from->seq;
    int code = SQLITE_DONE;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        if (!fetch_row(statement, &wanted, fetched) || fetched->bytes.size >= bytes_max ||
            fetched->row_count >= FETCH_ROWS_MAX) {
            break;
        }
    }
    bool is_read = code == SQLITE_DONE || code == SQLITE_ROW;
    if (!is_read) {
        say_sqlite(database, "cannot read the store", failure);
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    fetched_finish(fetched);
    return is_read;
}
