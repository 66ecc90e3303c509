/* Verifies a store. See verify.h. */
#include "gossipd/host/store/verify.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "gossipd/host/store/database.h"
#include "gossipd/host/store/database_schema.h"
#include "gossipd/host/identity.h"
#include "gossipd/host/store/verify_fault.h"
#include "gossipd/host/store/verify_snapshot.h"
#include "gossipd/limits.h"

#define WHAT_TO_DO "keep a copy of this store, then restore a backup with `gossipctl restore`, " \
    "or start the node with its node.key in an empty directory: its peers send it all they have"

/* The columns of a row, as the query below gives them. */
enum column {
    COLUMN_PLACE,
    COLUMN_KEY,
    COLUMN_GENERATION,
    COLUMN_FIRST,
    COLUMN_LAST,
    COLUMN_PREVIOUS,
    COLUMN_HEAD,
    COLUMN_BYTES,
    COLUMN_SIGNATURE,
};
static const char rows_sql[] = "SELECT place, key, generation, first, last, previous, head, "
                               "bytes, signature FROM batch ORDER BY place";

struct verifier {
    const char *path;
    sqlite3 *handle;
    sqlite3_stmt *rows;
    struct crdt_document *document;
    struct verify_base base;
    struct tips_table chain; /* the newest row of every feed so far                 */
    bool is_compared;        /* the snapshot with what the rows before it make       */
    uint8_t cluster_id[CRDT_HASH_BYTES];
    struct verify_report report;
    struct failure *failure;
};

static enum verify_result say(struct verifier *verifier, enum verify_result result,
    const char *what)
{
    failure_say(verifier->failure, "%s: %s", verifier->path, what);
    return result;
}

/* Says what is wrong with the row at hand, and what to do. */
static enum verify_result say_row(struct verifier *verifier, const char *what)
{
    char key[IDENTITY_HEX_BYTES] = "?";
    sqlite3_stmt *rows = verifier->rows;
    if (sqlite3_column_bytes(rows, COLUMN_KEY) == CRDT_KEY_BYTES) {
        identity_key_text(sqlite3_column_blob(rows, COLUMN_KEY), key);
    }
    failure_say(verifier->failure, "%s: row %" PRId64 " (feed %s generation %016" PRIx64
        ", operations %" PRId64 " to %" PRId64 "): %s; %s", verifier->path,
        (int64_t)sqlite3_column_int64(rows, COLUMN_PLACE), key,
        (uint64_t)sqlite3_column_int64(rows, COLUMN_GENERATION),
        (int64_t)sqlite3_column_int64(rows, COLUMN_FIRST),
        (int64_t)sqlite3_column_int64(rows, COLUMN_LAST), what, WHAT_TO_DO);
    return VERIFY_BROKEN;
}

/* The same for what is wrong with the snapshot or the schema. */
static enum verify_result say_base(
    struct verifier *verifier, enum verify_result result, const struct failure *what)
{
    failure_say(verifier->failure, "%s: %s%s%s", verifier->path, what->text,
        result == VERIFY_BROKEN ? "; " : "", result == VERIFY_BROKEN ? WHAT_TO_DO : "");
    return result;
}

/* The result for what failed last: `broken` when it was for the bytes in the file. */
static enum verify_result say_failed(struct verifier *verifier, const char *broken)
{
    struct failure why = {{0}};
    return verify_fault_passes(sqlite3_extended_errcode(verifier->handle), &why)
        ? say(verifier, VERIFY_CANNOT, why.text)
        : say(verifier, VERIFY_BROKEN, broken);
}

static enum verify_result open_file(struct verifier *verifier)
{
    /* For writing, though nothing is: only then unix-excl keeps the index of the
     * log on the heap instead of in a file beside the store. */
    int code = sqlite3_open_v2(verifier->path, &verifier->handle,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_PRIVATECACHE, "unix-excl");
    int64_t version = 0;
    sqlite3_stmt *statement = NULL;
    if (code == SQLITE_OK) {
        sqlite3_db_config(verifier->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        code = sqlite3_exec(verifier->handle, "PRAGMA query_only = 1", NULL, NULL, NULL);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_prepare_v2(
            verifier->handle, "PRAGMA user_version", -1, &statement, NULL);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
        version = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
        code = code == SQLITE_ROW ? SQLITE_OK : code;
    }
    sqlite3_finalize(statement);
    if (code != SQLITE_OK) {
        return say_failed(verifier, "this is no SQLite database, or a damaged one; " WHAT_TO_DO);
    }
    if (version > DATABASE_VERSION) {
        return say(verifier, VERIFY_CANNOT, "written by a newer gossipd: use its gossipctl");
    }
    return version == DATABASE_VERSION
        ? VERIFY_WHOLE
        : say(verifier, VERIFY_BROKEN, "a database, but no store of gossipd");
}

/* Lets SQLite look at its pages and indexes. */
static enum verify_result check_pages(struct verifier *verifier)
{
    sqlite3_stmt *statement = NULL;
    char text[512] = "it cannot be read; " WHAT_TO_DO;
    struct failure why = {{0}};
    bool is_ok = false;
    bool is_passing = false;
    if (sqlite3_prepare_v2(verifier->handle, "PRAGMA integrity_check(1)", -1, &statement, NULL) ==
            SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        const char *said = (const char *)sqlite3_column_text(statement, 0);
        is_ok = said != NULL && strcmp(said, "ok") == 0;
        is_passing = said != NULL && verify_fault_line_passes(said, &why);
        snprintf(text, sizeof text, "damaged: SQLite says \"%s\"; %s", said != NULL ? said : "?",
            WHAT_TO_DO);
    }
    sqlite3_finalize(statement);
    if (is_passing) {
        return say(verifier, VERIFY_CANNOT, why.text);
    }
    return is_ok ? VERIFY_WHOLE : say_failed(verifier, text);
}

/* A trigger could take out of the restored store what was verified here. */
static enum verify_result check_schema(struct verifier *verifier)
{
    struct failure what = {{0}};
    if (database_schema_check(verifier->handle, &what) == SQL_FOUND) {
        return VERIFY_WHOLE;
    }
    bool is_passing = verify_fault_passes(sqlite3_extended_errcode(verifier->handle), &what);
    return say_base(verifier, is_passing ? VERIFY_CANNOT : VERIFY_BROKEN, &what);
}

/* Reads a mark of exactly `size` bytes. ABSENT: there is none. */
static enum sql_answer read_mark(
    struct verifier *verifier, const char *name, void *ret_value, size_t size)
{
    sqlite3_stmt *statement =
        sql_prepare(verifier->handle, "SELECT value FROM mark WHERE name = ?1");
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    enum sql_answer answer = sql_first(statement);
    if (answer == SQL_FOUND && !sql_fixed(statement, 0, ret_value, size)) {
        answer = SQL_ABSENT;
    }
    sqlite3_finalize(statement);
    return answer;
}

/* Who wrote the store, and for which cluster. */
static enum verify_result read_marks(struct verifier *verifier)
{
    if (read_mark(verifier, "cluster", verifier->cluster_id, CRDT_HASH_BYTES) != SQL_FOUND) {
        return say_failed(
            verifier, "it does not say which cluster it belongs to; " WHAT_TO_DO);
    }
    return read_mark(verifier, "key", verifier->report.key, CRDT_KEY_BYTES) != SQL_FAILED
        ? VERIFY_WHOLE
        : say_failed(verifier, "whose it is cannot be read; " WHAT_TO_DO);
}

static bool column_is(sqlite3_stmt *rows, enum column column, const void *data, size_t size)
{
    return (size_t)sqlite3_column_bytes(rows, (int)column) == size &&
        memcmp(sqlite3_column_blob(rows, (int)column), data, size) == 0;
}

/* People and FETCHes read the columns; only the batch itself is signed. */
static bool columns_agree(sqlite3_stmt *rows, const struct crdt_batch *batch)
{
    return column_is(rows, COLUMN_KEY, batch->origin.key, CRDT_KEY_BYTES) &&
        (uint64_t)sqlite3_column_int64(rows, COLUMN_GENERATION) == batch->origin.generation &&
        (uint64_t)sqlite3_column_int64(rows, COLUMN_FIRST) == batch->first_seq &&
        (uint64_t)sqlite3_column_int64(rows, COLUMN_LAST) == batch->last_seq &&
        column_is(rows, COLUMN_PREVIOUS, batch->previous, CRDT_HASH_BYTES) &&
        column_is(rows, COLUMN_HEAD, batch->head, CRDT_HASH_BYTES);
}

/* The place of a batch in its feed; NULL when it is the right one. What is below
 * the floor may be missing, the oldest first. */
static const char *chain_fault(const struct verifier *verifier, const struct crdt_batch *batch)
{
    static const uint8_t none[CRDT_HASH_BYTES];
    const struct tip *before = tips_table_find(&verifier->chain, &batch->origin);
    uint64_t seq = before != NULL ? before->batch.last_seq : 0;
    if (batch->first_seq <= seq) {
        return "an earlier row of this feed has these operations already";
    }
    if (batch->first_seq > seq + 1) {
        return batch->first_seq - 1 <= verify_base_floor(&verifier->base, &batch->origin)
            ? NULL
            : "operations of this feed before it are missing";
    }
    return memcmp(batch->previous, before != NULL ? before->batch.head : none,
               CRDT_HASH_BYTES) == 0
        ? NULL
        : "its previous head is not the head of the row before it in this feed";
}

static bool is_signed(const struct verifier *verifier, const struct crdt_batch *batch)
{
    uint8_t message[CORE_SIGNED_BYTES];
    core_signed_message(verifier->cluster_id, batch->head, message);
    return sqlite3_column_bytes(verifier->rows, COLUMN_SIGNATURE) == CORE_SIGNATURE_BYTES &&
        identity_verify(batch->origin.key, message, sizeof message,
            sqlite3_column_blob(verifier->rows, COLUMN_SIGNATURE));
}

static enum verify_result say_status(struct verifier *verifier, enum crdt_status status,
    const struct crdt_dot *missing)
{
    char text[256];
    char key[IDENTITY_HEX_BYTES];
    if (status == CRDT_ERR_NOMEM) {
        return say(verifier, VERIFY_CANNOT, VERIFY_MEMORY);
    }
    if (status != CRDT_ERR_GAP) {
        return say_row(verifier, crdt_status_text(status));
    }
    identity_key_text(missing->origin.key, key);
    snprintf(text, sizeof text, "it depends on operation %" PRIu64 " of feed %s generation %016"
        PRIx64 ", which no row before it has", missing->seq, key, missing->origin.generation);
    return say_row(verifier, text);
}

/* Where the log is whole the rows make the state; else the snapshot has what came
 * before its place. */
static bool is_log_whole(const struct verifier *verifier)
{
    return verifier->base.floor_count == 0;
}

static bool is_to_merge(const struct verifier *verifier)
{
    return is_log_whole(verifier) ||
        sqlite3_column_int64(verifier->rows, COLUMN_PLACE) > verifier->base.snapshot.place;
}

/* Once every row up to the snapshot's place is in, both must be the same. */
static enum verify_result compare_snapshot(struct verifier *verifier)
{
    if (verifier->is_compared || !verifier->base.has_snapshot || !is_log_whole(verifier)) {
        return VERIFY_WHOLE;
    }
    verifier->is_compared = true;
    struct failure what = {{0}};
    enum verify_result result =
        verify_base_compare(&verifier->base, verifier->document, &what);
    return result == VERIFY_WHOLE ? result : say_base(verifier, result, &what);
}

static enum verify_result check_row(struct verifier *verifier)
{
    sqlite3_stmt *rows = verifier->rows;
    const struct crdt_bytes bytes = {sqlite3_column_blob(rows, COLUMN_BYTES),
        (size_t)sqlite3_column_bytes(rows, COLUMN_BYTES)};
    struct crdt_batch batch;
    struct crdt_dot missing = {.seq = 0};
    enum crdt_status status = crdt_batch_read(bytes, &batch);
    if (status == CRDT_OK && batch.bytes.size != bytes.size) {
        status = CRDT_ERR_MALFORMED;
    }
    if (status != CRDT_OK) {
        return say_status(verifier, status, &missing);
    }
    if (!columns_agree(rows, &batch)) {
        return say_row(verifier, "its columns are not what its batch says");
    }
    const char *fault = chain_fault(verifier, &batch);
    if (fault != NULL) {
        return say_row(verifier, fault);
    }
    if (!is_signed(verifier, &batch)) {
        return say_row(verifier, "its signature is not its origin's");
    }
    if (is_to_merge(verifier)) {
        status = crdt_batch_check(verifier->document, &batch, &missing);
        if (status == CRDT_OK) {
            status = crdt_merge(verifier->document, bytes);
        }
    }
    if (status == CRDT_OK) {
        status = tips_table_put(
            &verifier->chain, &batch, sqlite3_column_blob(rows, COLUMN_SIGNATURE));
    }
    if (status != CRDT_OK) {
        return say_status(verifier, status, &missing);
    }
    verifier->report.batches++;
    verifier->report.operations += batch.last_seq - batch.first_seq + 1;
    return VERIFY_WHOLE;
}

static enum verify_result check_rows(struct verifier *verifier,
    void (*progress)(void *context, uint64_t done, uint64_t total), void *context)
{
    int64_t total = 0;
    int code = SQLITE_ROW;
    bool is_counted =
        sql_number(sql_prepare(verifier->handle, "SELECT count(*) FROM batch"), &total);
    verifier->rows = is_counted ? sql_prepare(verifier->handle, rows_sql) : NULL;
    if (verifier->rows == NULL) {
        return say_failed(verifier, "a database, but no store of gossipd");
    }
    while ((code = sqlite3_step(verifier->rows)) == SQLITE_ROW) {
        enum verify_result result = VERIFY_WHOLE;
        if (sqlite3_column_int64(verifier->rows, COLUMN_PLACE) > verifier->base.snapshot.place) {
            result = compare_snapshot(verifier);
        }
        if (result == VERIFY_WHOLE) {
            result = check_row(verifier);
        }
        if (result != VERIFY_WHOLE) {
            return result;
        }
        if (progress != NULL && verifier->report.batches % VERIFY_PROGRESS_ROWS == 0) {
            progress(context, verifier->report.batches, (uint64_t)total);
        }
    }
    return code == SQLITE_DONE
        ? compare_snapshot(verifier)
        : say_failed(verifier, "its rows cannot be read to the end; " WHAT_TO_DO);
}

/* As the core opens it for replay, but under no key, so that no feed is its own.
 * The snapshot is looked at in any case; where batches were dropped, it is what the
 * others are merged into. */
static enum verify_result open_document(struct verifier *verifier)
{
    struct crdt_options options;
    struct crdt_document *loaded = NULL;
    struct failure what = {{0}};
    crdt_options_init(&options);
    options.generation = 0;
    options.keep_log = false;
    options.pending_bytes_max = 0;
    enum verify_result result = verify_base_read(verifier->handle, &verifier->base, &what);
    if (result == VERIFY_WHOLE && verifier->base.has_snapshot) {
        result = verify_base_check(
            &verifier->base, &options, verifier->cluster_id, &loaded, &what);
    }
    if (result != VERIFY_WHOLE) {
        return say_base(verifier, result, &what);
    }
    verifier->report.dropped_feeds = verifier->base.floor_count;
    verifier->chain.memory = verifier->base.tips.memory;
    if (!is_log_whole(verifier)) {
        verifier->document = loaded;
        return VERIFY_WHOLE;
    }
    crdt_close(loaded);
    return crdt_open(&options, &verifier->document) == CRDT_OK
        ? VERIFY_WHOLE
        : say(verifier, VERIFY_CANNOT, VERIFY_MEMORY);
}

static enum verify_result check_all(struct verifier *verifier,
    void (*progress)(void *context, uint64_t done, uint64_t total), void *context)
{
    enum verify_result result = open_file(verifier);
    if (result == VERIFY_WHOLE) {
        result = check_pages(verifier);
    }
    if (result == VERIFY_WHOLE) {
        result = check_schema(verifier);
    }
    if (result == VERIFY_WHOLE) {
        result = read_marks(verifier);
    }
    if (result == VERIFY_WHOLE) {
        result = open_document(verifier);
    }
    if (result == VERIFY_WHOLE) {
        result = check_rows(verifier, progress, context);
    }
    if (result == VERIFY_WHOLE) {
        verifier->report.feeds = crdt_feed_count(verifier->document);
        result = crdt_digest(verifier->document, &verifier->report.digest) == CRDT_OK
            ? VERIFY_WHOLE
            : say(verifier, VERIFY_CANNOT, VERIFY_MEMORY);
    }
    return result;
}

enum verify_result verify_store(const char *path,
    void (*progress)(void *context, uint64_t done, uint64_t total), void *context,
    struct verify_report *ret_report, struct sqlite3 **ret_handle, struct failure *failure)
{
    struct verifier verifier = {.path = path, .failure = failure};
    enum verify_result result = check_all(&verifier, progress, context);
    sqlite3_finalize(verifier.rows);
    crdt_close(verifier.document);
    if (verifier.chain.memory.reallocate != NULL) {
        tips_table_close(&verifier.chain);
    }
    verify_base_close(&verifier.base);
    if (result == VERIFY_WHOLE) {
        *ret_report = verifier.report;
    }
    if (result == VERIFY_WHOLE && ret_handle != NULL) {
        *ret_handle = verifier.handle;
    } else {
        sqlite3_close(verifier.handle);
    }
    return result;
}
