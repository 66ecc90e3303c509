/* Builds a snapshot aside. See assembly.h.
 *
 *     newest snapshot -> batches behind it -> (a join: staged snapshot) -> file
 */
#include "gossipd/host/store/assembly.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gossipd/core/memory.h"
#include "gossipd/host/store/database_snapshot.h"
#include "gossipd/host/store/database_stage.h"
#include "gossipd/host/store/draft.h"
#include "gossipd/host/identity.h"
#include "gossipd/host/store/tips_table.h"
#include "gossipd/limits.h"
#include "gossipd/wire/evidence.h"

struct builder {
    const struct assembly_order *order;
    struct assembly *assembly;
    struct failure *failure;
    sqlite3 *handle;
    struct crdt_document *document;
    struct tips_table tips;
    int64_t place; /* of the newest batch that is in                                */
    int64_t last;  /* of the newest batch that is to be                             */
};

static bool say_status(struct builder *builder, const char *doing, enum crdt_status status)
{
    return failure_say(builder->failure, "%s: %s", doing, crdt_status_text(status));
}

static bool is_given_up(const struct builder *builder)
{
    return atomic_load(builder->order->is_given_up) &&
        !failure_say(builder->failure, "the node stops");
}

static bool open_store(struct builder *builder)
{
    const struct assembly_order *order = builder->order;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_PRIVATECACHE;
    int code = sqlite3_open_v2(
        order->path, &builder->handle, flags, order->vfs != NULL ? order->vfs : "unix-excl");
    if (code == SQLITE_OK) {
        sqlite3_busy_timeout(builder->handle, STORE_BUSY_MS);
        code = sqlite3_exec(builder->handle, "PRAGMA query_only = 1", NULL, NULL, NULL);
    }
    return (code == SQLITE_OK &&
               database_snapshot_place(builder->handle, order->number, &builder->last)) ||
        failure_say(builder->failure, "cannot read the store: %s",
            code == SQLITE_OK ? "the snapshot's place is not in it" : sqlite3_errstr(code));
}

/* Opens a document without a base, which only all batches together can replace.
 * `why` there is none. */
static bool open_empty(struct builder *builder, const char *why)
{
    int64_t floors = 0;
    if (!sql_number(
            sql_prepare(builder->handle, "SELECT count(*) FROM floor"), &floors)) {
        return failure_say(
            builder->failure, "cannot read the floor: %s", sqlite3_errmsg(builder->handle));
    }
    if (floors > 0) {
        return failure_say(builder->failure, "%s, and batches were dropped: keep the node "
            "running and run gossipctl verify on a backup of it", why);
    }
    enum crdt_status status = crdt_open(&builder->order->options, &builder->document);
    return status == CRDT_OK || say_status(builder, "cannot open a document", status);
}

/* Lets the lack of memory be told from damage. */
struct watch {
    const struct crdt_memory *memory;
    bool has_refused;
};

static void *watch_reallocate(void *context, void *block, size_t old_bytes, size_t new_bytes)
{
    struct watch *watch = context;
    void *moved = watch->memory->reallocate(watch->memory->context, block, old_bytes, new_bytes);
    watch->has_refused = watch->has_refused || (moved == NULL && new_bytes > 0);
    return moved;
}

/* Takes a snapshot over, with its tips. What is wrong with it is said; NOMEM: perhaps
 * nothing is. */
static enum crdt_status take_newest(struct builder *builder,
    const struct database_snapshot *newest, struct crdt_buffer *bytes, struct crdt_buffer *tips)
{
    if (!database_snapshot_read(builder->handle, newest, bytes, builder->failure) ||
        !database_snapshot_tips(builder->handle, newest, tips, builder->failure)) {
        return sqlite3_errcode(builder->handle) == SQLITE_NOMEM ? CRDT_ERR_NOMEM
                                                                : CRDT_ERR_MALFORMED;
    }
    enum crdt_status status =
        crdt_load(&builder->order->options, crdt_buffer_bytes(bytes), &builder->document);
    if (status == CRDT_OK) {
        status = tips_table_put_row(&builder->tips, crdt_buffer_bytes(tips));
    }
    if (status == CRDT_OK && !tips_table_fits(&builder->tips, builder->document)) {
        status = CRDT_ERR_MALFORMED;
    }
    if (status != CRDT_OK) {
        say_status(builder, "the newest snapshot cannot be loaded", status);
    }
    return status;
}

static enum crdt_status load_newest(
    struct builder *builder, const struct database_snapshot *newest)
{
    struct watch watch = {.memory = &builder->order->memory};
    const struct crdt_memory memory = {.reallocate = watch_reallocate, .context = &watch};
    struct crdt_buffer bytes;
    struct crdt_buffer tips;
    crdt_buffer_init(&bytes, &memory);
    crdt_buffer_init(&tips, &memory);
    enum crdt_status status = take_newest(builder, newest, &bytes, &tips);
    crdt_buffer_close(&bytes);
    crdt_buffer_close(&tips);
    return status != CRDT_OK && watch.has_refused ? CRDT_ERR_NOMEM : status;
}

/* Begins anew from all batches, as a start does: what is damaged is replaced. */
static bool open_without(struct builder *builder)
{
    const struct failure why = *builder->failure;
    crdt_close(builder->document);
    builder->document = NULL;
    tips_table_close(&builder->tips);
    if (!open_empty(builder, why.text)) {
        return false;
    }
    log_write(CORE_ALARM, "snapshot-unusable", "error=\"%s\" action=\"the next one is built of "
        "all batches instead; check the disk\"", why.text);
    return true;
}

/* Opens the document with what the newest snapshot has. */
static bool open_newest(struct builder *builder)
{
    struct database_snapshot newest;
    enum sql_answer answer = database_snapshot_newest(builder->handle, &newest);
    if (answer == SQL_FAILED) {
        return failure_say(builder->failure, "the newest snapshot cannot be found: %s",
            sqlite3_errmsg(builder->handle));
    }
    if (answer == SQL_ABSENT) {
        return open_empty(builder, "there is no snapshot to build on");
    }
    enum crdt_status status = load_newest(builder, &newest);
    if (status == CRDT_OK) {
        builder->place = newest.place;
        return true;
    }
    return status != CRDT_ERR_NOMEM && open_without(builder);
}

/* ---- Batches ------------------------------------------------------------------- */

/* Merges the batch at hand. One that does not fit is left out, as a restart would
 * leave it out. False: memory is out. */
static bool merge_row(struct builder *builder, sqlite3_stmt *rows)
{
    uint8_t signature[CORE_SIGNATURE_BYTES];
    struct crdt_batch batch;
    const struct crdt_bytes bytes = sql_bytes(rows, 1);
    builder->place = sqlite3_column_int64(rows, 0);
    enum crdt_status status = sql_fixed(rows, 2, signature, sizeof signature)
        ? crdt_batch_read(bytes, &batch)
        : CRDT_ERR_MALFORMED;
    if (status == CRDT_OK) {
        status = crdt_merge(builder->document, bytes);
    }
    if (status == CRDT_OK) {
        status = tips_table_put(&builder->tips, &batch, signature);
    }
    builder->assembly->batches++;
    if (status == CRDT_ERR_NOMEM) {
        return say_status(builder, "cannot merge the batches", status);
    }
    if (status != CRDT_OK) {
        log_write(CORE_ALARM, "snapshot-without", "place=%" PRId64 " reason=\"%s\" "
            "action=\"stop the node and run gossipctl verify\"", builder->place,
            crdt_status_text(status));
    }
    return true;
}

/* Merges some more; `ret_has_more`: not all yet. The statement ends soon, so that
 * what is written meanwhile can leave the write-ahead log. */
static bool merge_some(struct builder *builder, bool *ret_has_more)
{
    sqlite3_stmt *rows = sql_prepare(builder->handle,
        "SELECT place, bytes, signature FROM batch WHERE place > ?1 AND place <= ?2 "
        "ORDER BY place");
    sqlite3_bind_int64(rows, 1, builder->place);
    sqlite3_bind_int64(rows, 2, builder->last);
    bool is_good = true;
    size_t bytes = 0;
    int code = rows != NULL ? sqlite3_step(rows) : SQLITE_ERROR;
    while (code == SQLITE_ROW && is_good && bytes < ASSEMBLY_SLICE_BYTES) {
        bytes += (size_t)sqlite3_column_bytes(rows, 1) + ROW_OVERHEAD_BYTES;
        is_good = merge_row(builder, rows);
        code = is_good ? sqlite3_step(rows) : code;
    }
    sqlite3_finalize(rows);
    *ret_has_more = code == SQLITE_ROW;
    return is_good &&
        (code == SQLITE_ROW || code == SQLITE_DONE ||
            failure_say(builder->failure, "cannot read the batches: %s", sqlite3_errstr(code)));
}

static bool merge_rows(struct builder *builder)
{
    for (bool has_more = true; has_more;) {
        if (is_given_up(builder) || !merge_some(builder, &has_more)) {
            return false;
        }
    }
    return true;
}

static bool check_dots(struct builder *builder, const struct crdt_dot *dots, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char key[IDENTITY_HEX_BYTES];
        uint64_t applied = crdt_applied(builder->document, &dots[i].origin);
        if (applied < dots[i].seq) {
            identity_key_text(dots[i].origin.key, key);
            return failure_say(builder->failure, "of feed %s generation %016" PRIx64 " the store "
                "gives operations up to %" PRIu64 ", and had them up to %" PRIu64 ": stop the node "
                "and run gossipctl verify", key, dots[i].origin.generation, applied, dots[i].seq);
        }
    }
    return true;
}

/* Whether all that the node has is in it. Less must not take the place of the newest
 * snapshot: a batch that is damaged would then lie before the place, and the next
 * start would not see that own operations are lost, and use their dots again. */
static bool check_context(struct builder *builder)
{
    const struct assembly_order *order = builder->order;
    size_t count = 0;
    if (order->context.size == 0) {
        return true;
    }
    enum crdt_status status = crdt_summary_read(order->context, NULL, 0, &count);
    if (status == CRDT_OK) {
        return true;
    }
    struct crdt_dot *dots =
        status == CRDT_ERR_LIMIT ? memory_new(&order->memory, count * sizeof *dots) : NULL;
    size_t capacity = count;
    status = dots == NULL ? CRDT_ERR_NOMEM
                          : crdt_summary_read(order->context, dots, capacity, &count);
    bool is_whole = status == CRDT_OK
        ? check_dots(builder, dots, count)
        : say_status(builder, "cannot read what must be in it", status);
    if (dots != NULL) {
        memory_free(&order->memory, dots, capacity * sizeof *dots);
    }
    return is_whole;
}

/* ---- The join ------------------------------------------------------------------ */

/* What is staged is at fault: no second try would end otherwise. */
static bool refuse(struct builder *builder, const char *why)
{
    builder->assembly->is_refused = true;
    return failure_say(builder->failure, "%s", why);
}

/* The stored batch of the feed that holds `seq`, or is the last before it. False:
 * it was dropped. What comes back points to nothing. */
static bool find_stored(struct builder *builder, const struct crdt_origin *origin,
    uint64_t seq, struct crdt_batch *ret_batch)
{
    sqlite3_stmt *rows = sql_prepare(builder->handle,
        "SELECT bytes FROM batch WHERE key = ?1 AND generation = ?2 AND first <= ?3 "
        "ORDER BY first DESC LIMIT 1");
    sql_bind_origin(rows, origin);
    sqlite3_bind_int64(rows, 3, (int64_t)seq);
    bool is_found = rows != NULL && sqlite3_step(rows) == SQLITE_ROW &&
        crdt_batch_read(sql_bytes(rows, 0), ret_batch) == CRDT_OK;
    sqlite3_finalize(rows);
    return is_found;
}

/* Whether one feed can hold both the tip and what is here of it: its newest batch,
 * and where the tip ends before that, the batch there unless it was dropped
 * (invariant I7). */
static bool fits(struct builder *builder, const struct tip *tip)
{
    struct crdt_batch stored;
    const struct tip *newest = tips_table_find(&builder->tips, &tip->batch.origin);
    if (newest == NULL) {
        return true;
    }
    if (evidence_contradicts(&newest->batch, &tip->batch)) {
        return false;
    }
    return tip->batch.last_seq >= newest->batch.last_seq ||
        !find_stored(builder, &tip->batch.origin, tip->batch.last_seq, &stored) ||
        !evidence_contradicts(&stored, &tip->batch);
}

/* Takes one that is new, and notes which floor it raises. */
static bool take_tip(struct builder *builder, const struct tip *tip)
{
    struct assembly *assembly = builder->assembly;
    void *raised = assembly->raised;
    bool has_room = memory_grow(&assembly->memory, &raised, &assembly->raised_capacity,
        assembly->raised_count + 1, sizeof *assembly->raised);
    assembly->raised = raised;
    if (!has_room || tips_table_put(&builder->tips, &tip->batch, tip->signature) != CRDT_OK) {
        return say_status(builder, "cannot take the tips", CRDT_ERR_NOMEM);
    }
    assembly->raised[assembly->raised_count++] =
        (struct crdt_dot){tip->batch.origin, tip->batch.last_seq};
    return true;
}

/* Takes the tips that are new, once all of them are found signed by their origins
 * and of the histories that are here. */
static bool take_tips(struct builder *builder, struct crdt_bytes tips)
{
    size_t count = 0;
    struct tip tip;
    if (tips_check(tips, &count) != CRDT_OK) {
        return refuse(builder, "the staged snapshot's tips are malformed");
    }
    struct tips_walk walk = tips_begin(tips);
    while (tips_next(&walk, &tip)) {
        if (!tip_is_signed(&tip, builder->order->cluster_id)) {
            return refuse(builder, "a tip of the staged snapshot is not signed by its origin");
        }
        if (!fits(builder, &tip)) {
            return refuse(builder,
                "a tip of the staged snapshot is of another history than the one here");
        }
        bool is_new = tip.batch.last_seq > crdt_applied(builder->document, &tip.batch.origin);
        if (is_new && !take_tip(builder, &tip)) {
            return false;
        }
    }
    return true;
}

static bool join_bytes(struct builder *builder, const struct database_stage *stage,
    struct crdt_bytes bytes)
{
    size_t hash_at = bytes.size - CRDT_HASH_BYTES;
    if (bytes.size < CRDT_HASH_BYTES || memcmp((const uint8_t *)bytes.data + hash_at,
                                            stage->snapshot.hash, CRDT_HASH_BYTES) != 0) {
        return refuse(builder, "the staged bytes are not the snapshot that was offered");
    }
    enum crdt_status status = crdt_merge(builder->document, bytes);
    builder->assembly->is_refused = status != CRDT_OK && status != CRDT_ERR_NOMEM;
    return status == CRDT_OK ||
        say_status(builder, "the staged snapshot cannot be merged", status);
}

static bool join_stage(struct builder *builder, const struct database_stage *stage)
{
    struct crdt_buffer bytes;
    crdt_buffer_init(&bytes, &builder->order->memory);
    bool is_joined = !is_given_up(builder) && take_tips(builder, stage->snapshot.tips) &&
        database_stage_bytes(builder->handle, stage, &bytes, builder->failure) &&
        join_bytes(builder, stage, crdt_buffer_bytes(&bytes));
    crdt_buffer_close(&bytes);
    return is_joined;
}

static bool join(struct builder *builder)
{
    struct database_stage stage;
    if (!builder->order->is_join) {
        return true;
    }
    if (!database_stage_read(builder->handle, &builder->order->memory, &stage)) {
        return failure_say(builder->failure, "nothing is staged");
    }
    bool is_joined = stage.staged == stage.snapshot.parts
        ? join_stage(builder, &stage)
        : failure_say(builder->failure, "only %" PRIu64 " of %" PRIu64 " parts are staged",
              stage.staged, stage.snapshot.parts);
    crdt_buffer_close(&stage.tips);
    return is_joined;
}

/* ---- The result ---------------------------------------------------------------- */

static bool write_file(struct builder *builder)
{
    struct draft draft = {.fd = builder->order->fd};
    struct crdt_memory memory = draft_hook(&draft);
    struct core_snapshot *snapshot = &builder->assembly->snapshot;
    struct crdt_buffer bytes;
    crdt_buffer_init(&bytes, &memory);
    enum crdt_status status = crdt_snapshot(builder->document, &bytes);
    if (status == CRDT_OK) {
        snapshot->bytes = bytes.size;
        memcpy(snapshot->hash, bytes.data + bytes.size - CRDT_HASH_BYTES, CRDT_HASH_BYTES);
    }
    crdt_buffer_close(&bytes);
    if (draft.is_full) {
        return failure_say(builder->failure, "the disk has no room for it");
    }
    if (status != CRDT_OK) {
        return say_status(builder, "cannot write it", status);
    }
    return draft_finish(&draft, snapshot->bytes) ||
        failure_say(builder->failure, "cannot write its draft beside the store: %s; check the disk",
            strerror(errno));
}

static bool write_tips(struct builder *builder)
{
    struct assembly *assembly = builder->assembly;
    if (!tips_table_fits(&builder->tips, builder->document)) {
        return builder->order->is_join
            ? refuse(builder, "the staged snapshot holds operations that its tips do not prove")
            : failure_say(builder->failure, "its feeds do not end where the store's batches say");
    }
    enum crdt_status status =
        tips_write(&assembly->tips, builder->tips.tips, builder->tips.count);
    assembly->snapshot.tips = crdt_buffer_bytes(&assembly->tips);
    return status == CRDT_OK || say_status(builder, "cannot write its tips", status);
}

bool assembly_build(const struct assembly_order *order, struct assembly *ret_assembly,
    struct failure *failure)
{
    struct assembly assembly = {.memory = order->memory};
    struct builder builder = {.order = order, .assembly = &assembly, .failure = failure};
    crdt_buffer_init(&assembly.tips, &order->memory);
    tips_table_init(&builder.tips, &order->memory);
    bool is_built = open_store(&builder) && open_newest(&builder) && merge_rows(&builder) &&
        check_context(&builder) && join(&builder) && write_tips(&builder) &&
        !is_given_up(&builder) && write_file(&builder) && !is_given_up(&builder);
    tips_table_close(&builder.tips);
    sqlite3_close(builder.handle);
    if (is_built && order->is_join) {
        assembly.document = builder.document;
    } else {
        crdt_close(builder.document);
    }
    if (is_built) {
        *ret_assembly = assembly;
    } else {
        bool is_refused = assembly.is_refused;
        assembly_close(&assembly);
        *ret_assembly = (struct assembly){.is_refused = is_refused};
    }
    return is_built;
}

void assembly_close(struct assembly *assembly)
{
    crdt_close(assembly->document);
    crdt_buffer_close(&assembly->tips);
    if (assembly->raised != NULL) {
        memory_free(&assembly->memory, assembly->raised,
            assembly->raised_capacity * sizeof *assembly->raised);
    }
    *assembly = (struct assembly){0};
}
