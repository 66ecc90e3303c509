/* The event store as a SQLite file. See database.h. */
#include "gossipd/host/store/database.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "gossipd/host/store/database_evidence.h"
#include "gossipd/host/store/database_facts.h"
#include "gossipd/host/store/database_floor.h"
#include "gossipd/host/store/database_mark.h"
#include "gossipd/host/store/database_schema.h"
#include "gossipd/host/store/database_snapshot.h"
#include "gossipd/host/store/database_stage.h"
#include "gossipd/host/clock.h"
#include "gossipd/host/directory.h"
#include "gossipd/limits.h"

enum statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_INSERT,
    STATEMENT_REPLAY,
    STATEMENT_COUNT,
};

static const char *const statements_sql[STATEMENT_COUNT] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_INSERT] = "INSERT INTO batch (key, generation, first, last, previous, head, bytes, "
                         "signature, applied_ms, place) "
                         "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [STATEMENT_REPLAY] =
        "SELECT bytes, signature FROM batch WHERE place > ?1 ORDER BY place",
};

static const char schema_sql[] = SCHEMA_BATCH ";" SCHEMA_BATCH_FEED ";" SCHEMA_MARK;

struct database {
    sqlite3 *handle;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    bool is_synced; /* PRAGMA synchronous is FULL, not NORMAL                   */
    /* Given out by us: SQLite would use the places of dropped batches again, and a
     * snapshot would then seem to have what came after it. */
    int64_t newest_place;
    uint64_t log_bytes;      /* of all batches, as committed                      */
    uint64_t log_bytes_next; /* the same, once the open transaction commits       */
    int wal_pages;           /* in the write-ahead log after the last commit      */
    uint64_t told_us;        /* when a failed checkpoint was logged; 0: never     */
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

/* Chooses whether the commits to come are fsynced. In WAL mode NORMAL keeps the
 * file sound at a power loss, only the newest commits may be missing; OFF, which
 * never syncs even at a checkpoint, could tear it. */
static bool set_synced(struct database *database, bool is_synced)
{
    if (database->is_synced == is_synced) {
        return true;
    }
    if (!run(database, is_synced ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL")) {
        return false;
    }
    /* Not before: the next try would believe it and vouch for what was not synced. */
    database->is_synced = is_synced;
    return true;
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

static bool is_fsync_failure(int code)
{
    return code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC;
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

/* Finds the newest place, and how many bytes all batches have. What lies before
 * the newest snapshot was counted when that was made. */
static bool count_log(struct database *database)
{
    struct database_snapshot snapshot = {0};
    if (database_snapshot_newest(database->handle, &snapshot) == SQL_FAILED) {
        return false;
    }
    int64_t behind = 0;
    int64_t newest = 0;
    sqlite3_stmt *statement = sql_prepare(database->handle,
        "SELECT coalesce(sum(length(bytes)), 0) FROM batch WHERE place > ?1");
    sqlite3_bind_int64(statement, 1, snapshot.place);
    if (!sql_number(statement, &behind) ||
        !sql_number(sql_prepare(database->handle, "SELECT coalesce(max(place), 0) FROM batch"),
            &newest)) {
        return false;
    }
    database->newest_place = newest > snapshot.place ? newest : snapshot.place;
    database->log_bytes = snapshot.log_bytes + (uint64_t)behind;
    return true;
}

static int count_pages(void *context, sqlite3 *handle, const char *name, int pages)
{
    (void)handle;
    (void)name;
    struct database *database = context;
    database->wal_pages = pages;
    return SQLITE_OK;
}

static bool say_unreadable(struct database *database, const char *path, struct failure *failure)
{
    return failure_say(failure, "cannot read the store %s: %s", path,
        database->handle != NULL ? sqlite3_errmsg(database->handle) : "out of memory");
}

static bool open_file(
    struct database *database, const char *path, const char *vfs, struct failure *failure)
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
    /* In the place of SQLite's own checkpoints: see checkpoint(). */
    sqlite3_wal_hook(database->handle, count_pages, database);
    database->is_synced = true;
    /* EXTRA while the mode changes: it syncs the directory behind the deletion of
     * the rollback journal, which could otherwise be back after a power loss and
     * empty the store. */
    return run(database, "PRAGMA synchronous = EXTRA; PRAGMA journal_mode = WAL; "
                         "PRAGMA synchronous = FULL; PRAGMA secure_delete = 0; "
                         "PRAGMA journal_size_limit = 67108864") ||
        say_unreadable(database, path, failure);
}

/* Looks whether this is a store that this gossipd knows, before anything in it is
 * touched. */
static bool check_schema(struct database *database, const char *path, int64_t *ret_version,
    struct failure *failure)
{
    struct failure what = {{0}};
    if (!sql_number(sql_prepare(database->handle, "PRAGMA user_version"), ret_version)) {
        return say_unreadable(database, path, failure);
    }
    if (*ret_version > DATABASE_VERSION) {
        return failure_say(failure, "the store %s has schema version %" PRId64 ", this gossipd "
            "knows versions up to %d: use the newer gossipd that wrote it", path, *ret_version,
            DATABASE_VERSION);
    }
    switch (database_schema_check(database->handle, &what)) {
    case SQL_FOUND: return true;
    case SQL_FAILED: return failure_say(failure, "the store %s: %s", path, what.text);
    case SQL_ABSENT: break;
    }
    return failure_say(failure, "the store %s is not as gossipd left it: %s; find out who changed "
        "it, then drop that with `sqlite3` if it is harmless, or restore a backup", path,
        what.text);
}

/* See database.h: what is found is made durable before anyone relies on it. That it is
 * synced is not enough: where the last process ended by a failed fsync, the system's
 * cache shows what the disk may not have, and syncing it again does nothing. Copied
 * into the file it is written anew, and synced there; then the log goes. A full disk
 * lets the store be read all the same. */
static bool make_durable(struct database *database, const char *path, struct failure *failure)
{
    int code = log_sync(database);
    if (code == SQLITE_OK) {
        code = sqlite3_wal_checkpoint_v2(
            database->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    }
    if (code != SQLITE_OK && !is_fsync_failure(code)) {
        log_write(CORE_WARNING, "log-not-emptied", "path=\"%s\" error=\"%s\" action=\"free space "
            "on the disk; if the last process ended by a failed fsync, what it wrote last may be "
            "gone after a power loss\"", path, sqlite3_errstr(code));
        code = SQLITE_OK;
    }
    if (code == SQLITE_OK) {
        code = log_sync(database);
    }
    return code == SQLITE_OK ||
        failure_say(failure, "cannot make the store %s durable: %s; check the disk", path,
            sqlite3_errstr(code));
}

/* Brings the schema to this version; `ret_is_new`: there was none. */
static bool open_schema(
    struct database *database, const char *path, bool *ret_is_new, struct failure *failure)
{
    int64_t version = 0;
    if (!check_schema(database, path, &version, failure) ||
        !make_durable(database, path, failure)) {
        return false;
    }
    *ret_is_new = version <= 0;
    if (*ret_is_new && !(run(database, "BEGIN IMMEDIATE") && run(database, schema_sql) &&
                           run(database, "PRAGMA user_version = 1") && run(database, "COMMIT"))) {
        return failure_say(failure, "cannot make the store %s: %s", path,
            sqlite3_errmsg(database->handle));
    }
    return (database_snapshot_open(database->handle) &&
               database_floor_open(database->handle) && database_stage_open(database->handle) &&
               database_evidence_open(database->handle) && prepare(database) &&
               count_log(database)) ||
        say_sqlite(database, "the store cannot be read, or has an unknown schema", failure);
}

static bool sync_directory(const char *path, struct failure *failure)
{
    return directory_sync_of(path) ||
        failure_say(failure, "cannot make durable that the store %s is there: fsync of its "
            "directory failed: %s; check the disk", path, strerror(errno));
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
    if (!open_file(database, path, vfs, failure) ||
        !open_schema(database, path, &facts.is_new, failure) ||
        !database_facts_open(database->handle, path, cluster_id, key, &facts, failure) ||
        !sync_directory(path, failure)) {
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
        if (sqlite3_errcode(database->handle) == SQLITE_NOMEM) {
            break;
        }
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
        return database_snapshot_begin(database->handle, row->snapshot, database->newest_place,
            database->log_bytes_next);
    }
    if (row->is_evidence) {
        return database_evidence_set(database->handle, row);
    }
    if (row->is_mark) {
        return mark_set_int(database->handle, mark_name(row->mark), row->value);
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
    sqlite3_bind_int64(statement, 10, ++database->newest_place);
    database->log_bytes_next += row->batch_bytes;
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
    return is_fsync_failure(code) ? DATABASE_FSYNC_FAILED : DATABASE_FAILED;
}

/* The log grows without another sign of it. */
static void tell_of_checkpoint(struct database *database)
{
    uint64_t now_us = clock_monotonic_us();
    if (database->told_us != 0 && now_us - database->told_us < CHECKPOINT_TELL_US) {
        return;
    }
    database->told_us = now_us;
    log_write(CORE_ALARM, "checkpoint-failed", "error=\"%s\" pages=%d action=\"the write-ahead log "
        "beside the store grows until this succeeds: free space on the disk and check it\"",
        sqlite3_errmsg(database->handle), database->wal_pages);
}

/* Copies the write-ahead log into the file when it has become long. SQLite would do
 * so by itself, but it says nothing of a sync that failed there; the system takes
 * what it could not write for written, and the next sync would vouch for it. Any
 * other failure leaves the log as long as it is. */
static enum database_result checkpoint(struct database *database, struct failure *failure)
{
    if (database->wal_pages < CHECKPOINT_PAGES) {
        return DATABASE_DONE;
    }
    int code = sqlite3_wal_checkpoint_v2(
        database->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (code == SQLITE_OK) {
        return DATABASE_DONE;
    }
    if (is_fsync_failure(sqlite3_extended_errcode(database->handle))) {
        failure_say(failure, "%s", sqlite3_errmsg(database->handle));
        return DATABASE_FSYNC_FAILED;
    }
    tell_of_checkpoint(database);
    return DATABASE_DONE;
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

static bool begin(struct database *database, bool is_synced)
{
    database->log_bytes_next = database->log_bytes;
    return set_synced(database, is_synced) && finish(database, STATEMENT_BEGIN);
}

static bool commit(struct database *database)
{
    bool is_done = finish(database, STATEMENT_COMMIT);
    database->log_bytes = is_done ? database->log_bytes_next : database->log_bytes;
    return is_done;
}

enum database_result database_write(struct database *database, const struct row *rows,
    size_t count, bool is_synced, struct failure *failure)
{
    if (count == 0) {
        return is_synced ? sync_written(database, failure) : DATABASE_DONE;
    }
    if (!begin(database, is_synced)) {
        return write_failed(database, failure);
    }
    const struct row *row = rows;
    for (size_t i = 0; i < count; i++, row = row->next) {
        if (!insert(database, row)) {
            return write_failed(database, failure);
        }
    }
    return commit(database) ? checkpoint(database, failure) : write_failed(database, failure);
}

enum database_result database_transact(struct database *database,
    bool (*work)(struct sqlite3 *handle, void *context), void *context, bool is_synced,
    struct failure *failure)
{
    bool is_done =
        begin(database, is_synced) && work(database->handle, context) && commit(database);
    return is_done ? checkpoint(database, failure) : write_failed(database, failure);
}

struct drop_work {
    struct database *database;
    const struct core_drop *drop;
    const struct crdt_memory *memory;
    bool has_more;
};

static bool drop_rows(sqlite3 *handle, void *context)
{
    struct drop_work *work = context;
    return database_floor_drop(handle, work->drop, work->memory,
        &work->database->log_bytes_next, &work->has_more);
}

enum database_result database_drop(struct database *database, const struct core_drop *drop,
    const struct crdt_memory *memory, bool *ret_has_more, struct failure *failure)
{
    struct drop_work work = {database, drop, memory, false};
    enum database_result result = database_transact(database, drop_rows, &work, true, failure);
    *ret_has_more = work.has_more;
    return result;
}

uint64_t database_log_bytes(const struct database *database)
{
    return database->log_bytes;
}
