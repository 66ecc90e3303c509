#include "libcrdt/document/open.h"

#include <assert.h>
#include <string.h>

#include "libcrdt/base/buffer.h"
#include "libcrdt/base/memory.h"
#include "libcrdt/document/batch.h"

enum {
    /* What is left of a batch for its header and the last mark: 65535 origins of
     * 52 and 12 bytes. */
    HEADER_BYTES_MAX = 5 << 20,
    AMOUNT_BYTES_MAX = 9,
    RECORD_BYTES_MAX = 64, /* a record besides its keys and value                 */
    BUFFER_KEEP_BYTES = 64 << 10,
};

static struct crdt_feed_state *own_feed(const struct crdt_document *document)
{
    assert(document->generation != 0);
    return &document->feeds.items[document->self];
}

uint64_t crdt_open_first_seq(const struct crdt_document *document)
{
    return own_feed(document)->seq + 1;
}

size_t crdt_open_records(const struct crdt_document *document)
{
    return document->open.record_count;
}

size_t crdt_open_folds(const struct crdt_document *document)
{
    return document->open.fold_count;
}

size_t crdt_open_bytes(const struct crdt_document *document)
{
    return document->open.body.size + AMOUNT_BYTES_MAX * document->open.amount_count;
}

/* Writes how the deps grew since the last record, which its readers take back
 * to know what earlier records had seen. */
static enum crdt_status write_mark(
    struct crdt_buffer *body, const struct crdt_deps *old, const struct crdt_deps *new)
{
    size_t old_count = old == NULL ? 0 : old->count;
    size_t grown = new->count - old_count;
    for (size_t i = 0; i < old_count; i++)
        grown += old->dots[i] != new->dots[i];
    if (grown == 0)
        return CRDT_OK;
    enum crdt_status status = crdt_write_uint(body, CRDT_OP_MARK);
    if (status == CRDT_OK)
        status = crdt_write_uint(body, grown);
    for (size_t i = 0; i < new->count && status == CRDT_OK; i++) {
        uint64_t before = i < old_count ? crdt_dot_seq(old->dots[i]) : 0;
        if (crdt_dot_seq(new->dots[i]) == before)
            continue;
        status = crdt_write_uint(body, i);
        if (status == CRDT_OK)
            status = crdt_write_uint(body, crdt_dot_seq(new->dots[i]) - before);
    }
    return status;
}

/* Takes the deps of the record to come: all that is applied at this moment. */
static enum crdt_status take_deps(struct crdt_document *document)
{
    struct crdt_open *open = &document->open;
    if (open->has_current_deps && open->feeds_version == document->feeds.version)
        return CRDT_OK;
    enum crdt_status status = crdt_journal_reserve(document, 1);
    if (status != CRDT_OK)
        return status;
    struct crdt_deps *deps;
    const struct crdt_deps *base = open->has_deps ? open->deps : own_feed(document)->deps;
    status = crdt_deps_current(document, base, &deps);
    if (status != CRDT_OK)
        return status;
    if (open->record_count > 0 && deps != NULL) {
        status = write_mark(&open->body, open->deps, deps);
        if (status != CRDT_OK) {
            crdt_deps_free(document, deps);
            return status;
        }
    }
    struct crdt_journal_item undo = {.kind = CRDT_JOURNAL_OPEN_DEPS,
        .had_deps = open->has_deps,
        .open = {.deps = open->deps}};
    memcpy(undo.open.hash, open->deps_hash, CRDT_DEPS_HASH_BYTES);
    open->deps = deps;
    open->has_deps = true;
    open->has_current_deps = true;
    open->feeds_version = document->feeds.version;
    bool is_known = crdt_deps_hash(document, deps, open->deps_hash);
    assert(is_known);
    (void)is_known;
    crdt_journal_add(document, &undo);
    return CRDT_OK;
}

/* LIMIT when the batch would grow over what is valid. */
static enum crdt_status check_room(const struct crdt_document *document, const struct crdt_op *op)
{
    if (document->open.record_count >= CRDT_BATCH_RECORDS_MAX ||
        crdt_open_first_seq(document) + document->open.record_count >= CRDT_SEQ_MAX)
        return CRDT_ERR_LIMIT;
    size_t bytes = RECORD_BYTES_MAX + op->value.size;
    for (size_t i = 0; i < op->key_count; i++)
        bytes += op->keys[i].size + 5;
    bool has_room =
        crdt_open_bytes(document) + bytes <= CRDT_BATCH_BYTES_MAX - HEADER_BYTES_MAX;
    return has_room ? CRDT_OK : CRDT_ERR_LIMIT;
}

/* Keeps the path for the next record to share. Losing it costs bytes only. */
static void remember_path(struct crdt_open *open, const struct crdt_op *op)
{
    open->path_count = 0;
    crdt_buffer_clear(&open->path);
    for (size_t i = 0; i < op->key_count; i++) {
        if (crdt_buffer_append(&open->path, op->keys[i].data, op->keys[i].size) != CRDT_OK) {
            open->path_count = 0;
            return;
        }
        open->path_sizes[i] = op->keys[i].size;
        open->path_count++;
    }
}

static size_t remembered_path(
    const struct crdt_open *open, struct crdt_bytes keys[static CRDT_DEPTH_MAX + 1])
{
    const uint8_t *data = open->path.data;
    for (size_t i = 0; i < open->path_count; i++) {
        keys[i] = (struct crdt_bytes){.data = data, .size = open->path_sizes[i]};
        if (data != NULL)
            data += open->path_sizes[i];
    }
    return open->path_count;
}

static enum crdt_status append_amount(struct crdt_document *document, const struct crdt_op *op)
{
    struct crdt_open *open = &document->open;
    if (!crdt_array_reserve(crdt_memory_of(document), &open->amounts, &open->amount_capacity,
            open->amount_count + 1, sizeof *open->amounts))
        return CRDT_ERR_NOMEM;
    open->amounts[open->amount_count++] = (struct crdt_open_amount){
        .seq = op->seq, .offset = open->body.size, .amount = op->amount};
    return CRDT_OK;
}

enum crdt_status crdt_open_append(struct crdt_document *document, struct crdt_op *op)
{
    struct crdt_open *open = &document->open;
    enum crdt_status status = check_room(document, op);
    if (status == CRDT_OK)
        status = take_deps(document);
    if (status != CRDT_OK)
        return status;
    struct crdt_bytes before[CRDT_DEPTH_MAX + 1];
    size_t before_count = remembered_path(open, before);
    op->seq = crdt_open_first_seq(document) + open->record_count;
    status = crdt_op_write(&open->body, op, before, before_count, open->hlc);
    if (status == CRDT_OK && crdt_op_kind(op->code) == CRDT_ADD)
        status = append_amount(document, op);
    if (status != CRDT_OK)
        return status;
    if (op->code != CRDT_OP_NOTE)
        remember_path(open, op);
    if (op->code == CRDT_OP_PUT_REGISTER)
        open->hlc = op->hlc;
    open->fold_count += crdt_op_kind(op->code) == CRDT_FOLD;
    open->record_count++;
    return CRDT_OK;
}

enum crdt_status crdt_open_add_amount(
    struct crdt_document *document, uint64_t seq, int64_t amount)
{
    struct crdt_open *open = &document->open;
    size_t low = 0;
    size_t high = open->amount_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (open->amounts[middle].seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    assert(low < open->amount_count);
    struct crdt_open_amount *item = &open->amounts[low];
    assert(item->seq == seq);
    bool fits = amount >= 0 ? item->amount <= INT64_MAX - amount
                            : item->amount >= INT64_MIN - amount;
    if (!fits)
        return CRDT_ERR_RANGE;
    enum crdt_status status = crdt_journal_reserve(document, 1);
    if (status != CRDT_OK)
        return status;
    crdt_journal_add(document,
        &(struct crdt_journal_item){
            .kind = CRDT_JOURNAL_AMOUNT_SET, .index = low, .amount = item->amount});
    item->amount += amount;
    return CRDT_OK;
}

struct crdt_open_mark crdt_open_mark(const struct crdt_document *document)
{
    const struct crdt_open *open = &document->open;
    return (struct crdt_open_mark){.body_size = open->body.size,
        .amount_count = open->amount_count,
        .record_count = open->record_count,
        .fold_count = open->fold_count,
        .hlc = open->hlc};
}

void crdt_open_cut(struct crdt_document *document, const struct crdt_open_mark *mark)
{
    struct crdt_open *open = &document->open;
    crdt_buffer_truncate(&open->body, mark->body_size);
    open->amount_count = mark->amount_count;
    open->record_count = mark->record_count;
    open->fold_count = mark->fold_count;
    open->hlc = mark->hlc;
    open->path_count = 0; /* the record before it is not known any more           */
}

/* The body with the amounts in their places. */
static enum crdt_status build_body(const struct crdt_open *open, struct crdt_buffer *body)
{
    size_t done = 0;
    enum crdt_status status = CRDT_OK;
    for (size_t i = 0; i < open->amount_count && status == CRDT_OK; i++) {
        size_t offset = open->amounts[i].offset;
        status = crdt_buffer_append(body, open->body.data + done, offset - done);
        if (status == CRDT_OK)
            status = crdt_write_int(body, open->amounts[i].amount);
        done = offset;
    }
    if (status == CRDT_OK && open->body.size > done)
        status = crdt_buffer_append(body, open->body.data + done, open->body.size - done);
    return status;
}

static void reset(struct crdt_document *document)
{
    struct crdt_open *open = &document->open;
    crdt_buffer_recycle(&open->body, BUFFER_KEEP_BYTES);
    crdt_buffer_recycle(&open->path, BUFFER_KEEP_BYTES);
    crdt_memory_free(crdt_memory_of(document), open->amounts,
        open->amount_capacity * sizeof *open->amounts);
    open->amounts = NULL;
    open->amount_capacity = 0;
    open->amount_count = 0;
    open->record_count = 0;
    open->fold_count = 0;
    open->hlc = 0;
    open->path_count = 0;
    open->deps = NULL;
    open->has_deps = false;
    open->has_current_deps = false;
}

/* Writes the whole batch into the document's buffer for it. */
static enum crdt_status write_batch(struct crdt_document *document)
{
    const struct crdt_open *open = &document->open;
    const struct crdt_feed_state *feed = own_feed(document);
    struct crdt_header header = {.batch = {.origin = feed->origin,
                                     .first_seq = feed->seq + 1,
                                     .last_seq = feed->seq + open->record_count}};
    if (feed->seq == 0)
        header.batch.previous_generation = document->previous_generation;
    memcpy(header.batch.previous, feed->head, CRDT_HASH_BYTES);
    memcpy(header.deps_hash, open->deps_hash, CRDT_DEPS_HASH_BYTES);
    struct crdt_buffer body;
    struct crdt_buffer deps;
    crdt_buffer_init(&body, crdt_memory_of(document));
    crdt_buffer_init(&deps, crdt_memory_of(document));
    enum crdt_status status = build_body(open, &body);
    if (status == CRDT_OK)
        status = crdt_deps_write(document, feed->deps, open->deps, &deps);
    header.body = crdt_buffer_bytes(&body);
    header.deps = crdt_buffer_bytes(&deps);
    crdt_buffer_recycle(&document->sealed, BUFFER_KEEP_BYTES);
    if (status == CRDT_OK)
        status = crdt_header_write(&header, &document->sealed);
    crdt_buffer_close(&body);
    crdt_buffer_close(&deps);
    return status;
}

enum crdt_status crdt_open_seal(struct crdt_document *document, struct crdt_bytes *ret_batch)
{
    struct crdt_open *open = &document->open;
    if (open->record_count == 0) {
        *ret_batch = (struct crdt_bytes){0};
        return CRDT_OK;
    }
    /* Their dots may be in use already, by operations that were lost here. */
    if (document->has_amnesia)
        return CRDT_ERR_AMNESIA;
    assert(document->journal.count == 0);
    enum crdt_status status = write_batch(document);
    if (status != CRDT_OK)
        return status;
    struct crdt_bytes bytes = crdt_buffer_bytes(&document->sealed);
    struct crdt_batch batch;
    status = crdt_batch_read(bytes, &batch);
    assert(status == CRDT_OK);
    assert(batch.bytes.size == document->sealed.size);
    struct crdt_advance advance = {
        .feed = document->self, .seq = batch.last_seq, .head = batch.head, .deps = open->deps};
    status = crdt_feeds_advance(document, &advance, document->options.keep_log ? &batch : NULL);
    if (status != CRDT_OK)
        return status;
    crdt_journal_finish(document);
    reset(document);
    if (document->options.keep_log) {
        const struct crdt_feed_state *feed = own_feed(document);
        const struct crdt_log_item *item = &feed->log[feed->log_count - 1];
        bytes = (struct crdt_bytes){.data = item->bytes, .size = item->size};
        crdt_buffer_recycle(&document->sealed, BUFFER_KEEP_BYTES);
    }
    *ret_batch = bytes;
    return CRDT_OK;
}

void crdt_open_close(struct crdt_document *document)
{
    struct crdt_open *open = &document->open;
    crdt_deps_free(document, open->deps);
    crdt_buffer_close(&open->body);
    crdt_buffer_close(&open->path);
    crdt_memory_free(crdt_memory_of(document), open->amounts,
        open->amount_capacity * sizeof *open->amounts);
}
