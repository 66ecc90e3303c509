#include "libcrdt/document/merge.h"

#include <assert.h>
#include <string.h>

#include "libcrdt/base/memory.h"
#include "libcrdt/document/apply.h"
#include "libcrdt/document/changes.h"
#include "libcrdt/document/pending.h"

/* ---- what a batch meets here ---- */

static bool is_self(const struct crdt_document *document, const struct crdt_origin *origin)
{
    struct crdt_origin self = crdt_self(document);
    return self.generation != 0 && crdt_origin_compare(&self, origin) == 0;
}

/* How the batch's place in its feed fits to what is applied here. */
static enum crdt_status check_place(const struct crdt_document *document,
    const struct crdt_batch *batch, bool *ret_is_known, struct crdt_dot *ret_missing)
{
    size_t index = crdt_feeds_find(document, &batch->origin);
    const struct crdt_feed_state *feed =
        index == CRDT_FEED_NONE ? NULL : &document->feeds.items[index];
    uint64_t applied = feed == NULL ? 0 : feed->seq;
    *ret_is_known = batch->last_seq <= applied;
    if (*ret_is_known)
        return crdt_feeds_agrees(feed, batch) ? CRDT_OK : CRDT_ERR_FORK;
    if (is_self(document, &batch->origin))
        return CRDT_ERR_AMNESIA;
    if (batch->first_seq <= applied)
        return CRDT_ERR_FORK;
    if (batch->first_seq > applied + 1) {
        *ret_missing = (struct crdt_dot){batch->origin, applied + 1};
        return CRDT_ERR_GAP;
    }
    bool follows = applied == 0 || memcmp(feed->head, batch->previous, CRDT_HASH_BYTES) == 0;
    return follows ? CRDT_OK : CRDT_ERR_FORK;
}

enum crdt_status crdt_header_check(const struct crdt_document *document,
    const struct crdt_header *header, struct crdt_deps **ret_deps, bool *ret_is_known,
    struct crdt_dot *ret_missing)
{
    *ret_deps = NULL;
    enum crdt_status status =
        check_place(document, &header->batch, ret_is_known, ret_missing);
    if (status != CRDT_OK || *ret_is_known)
        return status;
    struct crdt_deps *deps;
    status = crdt_header_deps(document, header, &deps, ret_missing);
    if (status != CRDT_OK)
        return status;
    /* A fork in anybody's feed cannot hide behind equal numbers, nor behind a
     * number where no batch ends. A head that is no longer known counts as
     * agreeing: comparison of contexts finds it. */
    if (!crdt_deps_agree(document, deps, header->deps_hash)) {
        crdt_deps_free(document, deps);
        return CRDT_ERR_FORK;
    }
    *ret_deps = deps;
    return CRDT_OK;
}

enum crdt_status crdt_batch_check(struct crdt_document *document,
    const struct crdt_batch *batch, struct crdt_dot *ret_missing)
{
    struct crdt_header header;
    enum crdt_status status = crdt_header_again(batch, &header);
    if (status != CRDT_OK)
        return status;
    struct crdt_deps *deps;
    bool is_known;
    status = crdt_header_check(document, &header, &deps, &is_known, ret_missing);
    crdt_deps_free(document, deps);
    return status;
}

/* Exchanges what is assumed of a feed and what stands in the document. */
static void exchange(struct crdt_feed_state *state, struct crdt_feed *assumed)
{
    struct crdt_feed feed = *assumed;
    assumed->seq = state->seq;
    memcpy(assumed->head, state->head, CRDT_HASH_BYTES);
    state->seq = feed.seq;
    memcpy(state->head, feed.head, CRDT_HASH_BYTES);
}

static void assume(
    struct crdt_document *document, struct crdt_feed *feeds, const size_t *indexes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        exchange(&document->feeds.items[indexes[i]], &feeds[i]);
        document->feeds.items[indexes[i]].is_assumed = true;
    }
}

/* Backwards: an origin that is named twice gets back what it had first. */
static void restore(
    struct crdt_document *document, struct crdt_feed *feeds, const size_t *indexes, size_t count)
{
    for (size_t i = count; i > 0; i--) {
        exchange(&document->feeds.items[indexes[i - 1]], &feeds[i - 1]);
        document->feeds.items[indexes[i - 1]].is_assumed = false;
    }
}

static enum crdt_status check_after(struct crdt_document *document,
    const struct crdt_header *header, struct crdt_feed *feeds, size_t *indexes,
    uint64_t *ret_named, size_t count, struct crdt_dot *ret_missing)
{
    struct crdt_deps *deps;
    bool is_known;
    for (size_t i = 0; i < count; i++) {
        enum crdt_status status = crdt_feeds_ensure(document, &feeds[i].origin, &indexes[i]);
        if (status != CRDT_OK)
            return status;
    }
    assume(document, feeds, indexes, count);
    enum crdt_status status = crdt_header_check(document, header, &deps, &is_known, ret_missing);
    restore(document, feeds, indexes, count);
    for (size_t i = 0; i < count && status == CRDT_OK; i++)
        ret_named[i] = crdt_deps_seq(deps, indexes[i]);
    crdt_deps_free(document, deps);
    return status;
}

enum crdt_status crdt_batch_check_after(struct crdt_document *document,
    const struct crdt_batch *batch, const struct crdt_feed *assumed, uint64_t *ret_named,
    size_t count, struct crdt_dot *ret_missing)
{
    const struct crdt_memory *memory = crdt_memory_of(document);
    struct crdt_header header;
    enum crdt_status status = crdt_header_again(batch, &header);
    if (status != CRDT_OK)
        return status;
    if (count == 0)
        return crdt_batch_check(document, batch, ret_missing);
    struct crdt_feed *feeds = crdt_memory_new(memory, count * sizeof *feeds);
    size_t *indexes = crdt_memory_new(memory, count * sizeof *indexes);
    size_t journal_count = document->journal.count;
    status = feeds == NULL || indexes == NULL ? CRDT_ERR_NOMEM : CRDT_OK;
    if (status == CRDT_OK) {
        memcpy(feeds, assumed, count * sizeof *feeds);
        status = check_after(
            document, &header, feeds, indexes, ret_named, count, ret_missing);
    }
    /* A feed that nothing is applied of must not stay. */
    crdt_journal_undo(document, journal_count);
    crdt_memory_free(memory, feeds, count * sizeof *feeds);
    crdt_memory_free(memory, indexes, count * sizeof *indexes);
    return status;
}

/* ---- applying a batch ---- */

struct applying {
    struct crdt_document *document;
    const struct crdt_header *header;
    const struct crdt_deps *deps;
    size_t feed;
};

/* Sets `observed` to what the first record had seen. */
static enum crdt_status begin_observed(const struct applying *applying)
{
    struct crdt_document *document = applying->document;
    const struct crdt_deps *deps = applying->deps;
    const struct crdt_memory *memory = crdt_memory_of(document);
    if (!crdt_array_reserve(memory, &document->observed, &document->observed_capacity,
            document->feeds.count, sizeof *document->observed))
        return CRDT_ERR_NOMEM;
    memset(document->observed, 0, document->feeds.count * sizeof *document->observed);
    if (deps == NULL)
        return crdt_header_first_seqs(applying->header, NULL, NULL, 0);
    uint64_t *seqs = crdt_memory_new(memory, deps->count * sizeof *seqs);
    if (seqs == NULL)
        return CRDT_ERR_NOMEM;
    for (size_t i = 0; i < deps->count; i++)
        seqs[i] = crdt_dot_seq(deps->dots[i]);
    const struct crdt_deps *base = document->feeds.items[applying->feed].deps;
    enum crdt_status status =
        crdt_header_first_seqs(applying->header, base, seqs, deps->count);
    for (size_t i = 0; i < deps->count && status == CRDT_OK; i++)
        document->observed[crdt_dot_feed(deps->dots[i])] = seqs[i];
    crdt_memory_free(memory, seqs, deps->count * sizeof *seqs);
    return status;
}

/* Raises `observed` by a mark, which was checked before. */
static enum crdt_status advance_observed(
    const struct applying *applying, struct crdt_bytes marks)
{
    enum crdt_status status = CRDT_OK;
    while (marks.size > 0 && status == CRDT_OK) {
        uint64_t index;
        uint64_t increase;
        status = crdt_read_uint(&marks, applying->deps->count - 1, &index);
        if (status == CRDT_OK)
            status = crdt_read_uint(&marks, CRDT_SEQ_MAX, &increase);
        if (status == CRDT_OK)
            applying->document->observed[crdt_dot_feed(applying->deps->dots[index])] += increase;
    }
    return status;
}

static enum crdt_status apply_records(const struct applying *applying)
{
    struct crdt_document *document = applying->document;
    struct crdt_body_reader reader;
    crdt_body_reader_init(
        &reader, applying->header->body, applying->header->batch.first_seq);
    enum crdt_status status = begin_observed(applying);
    while (status == CRDT_OK && !crdt_body_is_at_end(&reader)) {
        struct crdt_op op;
        status = crdt_body_next(&reader, &op);
        if (status != CRDT_OK)
            break;
        if (op.code == CRDT_OP_MARK) {
            status = advance_observed(applying, op.marks);
            continue;
        }
        if (op.code == CRDT_OP_PUT_REGISTER)
            crdt_hlc_see(&document->hlc, op.hlc);
        document->observed[applying->feed] = op.seq - 1;
        status = crdt_apply(
            document, &op, crdt_pack(applying->feed, op.seq), document->observed);
    }
    return status;
}

/* Applies a batch that crdt_header_check() let pass; takes over `deps`. */
static enum crdt_status apply_batch(struct crdt_document *document,
    const struct crdt_header *header, struct crdt_deps *deps)
{
    struct applying applying = {.document = document, .header = header, .deps = deps};
    enum crdt_status status =
        crdt_feeds_ensure(document, &header->batch.origin, &applying.feed);
    if (status == CRDT_OK)
        status = apply_records(&applying);
    struct crdt_advance advance = {.feed = applying.feed,
        .seq = header->batch.last_seq,
        .head = header->batch.head,
        .deps = deps};
    if (status == CRDT_OK)
        status = crdt_feeds_advance(
            document, &advance, document->options.keep_log ? &header->batch : NULL);
    if (status != CRDT_OK)
        crdt_deps_free(document, deps);
    return status;
}

/* ---- the merge ---- */

struct merge {
    struct crdt_document *document;
    struct crdt_header *applied; /* for the callback                               */
    size_t applied_count;
    size_t applied_capacity;
    struct crdt_join join;
    bool has_joined;
    uint64_t feeds_version;      /* when it began                                  */
};

static enum crdt_status apply_and_note(
    struct merge *merge, const struct crdt_header *header, struct crdt_deps *deps)
{
    struct crdt_document *document = merge->document;
    if (document->options.changed != NULL) {
        if (!crdt_array_reserve(crdt_memory_of(document), &merge->applied,
                &merge->applied_capacity, merge->applied_count + 1, sizeof *merge->applied)) {
            crdt_deps_free(document, deps);
            return CRDT_ERR_NOMEM;
        }
        merge->applied[merge->applied_count++] = *header;
    }
    return apply_batch(document, header, deps);
}

static enum crdt_status merge_batch(struct merge *merge, const struct crdt_header *header)
{
    struct crdt_document *document = merge->document;
    struct crdt_deps *deps;
    struct crdt_dot missing;
    bool is_known;
    enum crdt_status status = crdt_header_check(document, header, &deps, &is_known, &missing);
    if (status == CRDT_OK)
        return is_known ? CRDT_OK : apply_and_note(merge, header, deps);
    if (status != CRDT_ERR_GAP)
        return status;
    status = crdt_pending_keep(document, &header->batch, &missing);
    if (status == CRDT_ERR_LIMIT) {
        document->missing = missing;
        status = CRDT_ERR_GAP;
    }
    return status;
}

/* Applies the waiting batch of this feed that comes next, if it can be. One that
 * contradicts what came before it is refused; it is nobody else's fault. */
static enum crdt_status merge_waiting(
    struct merge *merge, const struct crdt_origin *origin, bool *ret_has_applied)
{
    struct crdt_document *document = merge->document;
    struct crdt_pending_item *item =
        crdt_pending_find(document, origin, crdt_applied(document, origin) + 1);
    if (item == NULL || item->is_refused ||
        crdt_applied(document, &item->missing.origin) < item->missing.seq)
        return CRDT_OK;
    struct crdt_bytes bytes = {.data = item->bytes, .size = item->size};
    struct crdt_header header;
    struct crdt_deps *deps = NULL;
    struct crdt_dot missing;
    bool is_known;
    enum crdt_status status = crdt_header_read(&bytes, &header);
    assert(status == CRDT_OK);
    status = crdt_header_check(document, &header, &deps, &is_known, &missing);
    if (status == CRDT_ERR_GAP) {
        item->missing = missing;
        return CRDT_OK;
    }
    if (status == CRDT_OK) {
        size_t count = document->journal.count;
        status = apply_and_note(merge, &header, deps);
        *ret_has_applied = status == CRDT_OK;
        if (status != CRDT_OK && status != CRDT_ERR_NOMEM) {
            crdt_journal_undo(document, count);
            merge->applied_count -= document->options.changed != NULL;
        }
    }
    /* It came before its origin was named as our own, so it is news of a loss. */
    if (status == CRDT_OK || status == CRDT_ERR_NOMEM || status == CRDT_ERR_AMNESIA)
        return status;
    item->is_refused = true;
    return CRDT_OK;
}

/* Goes on until nothing that waits can be applied. Where C stands as it did
 * before the merge, nothing can. */
static enum crdt_status merge_all_waiting(struct merge *merge)
{
    const struct crdt_pending *pending = &merge->document->pending;
    enum crdt_status status = CRDT_OK;
    bool has_applied =
        pending->count > 0 && merge->document->feeds.version != merge->feeds_version;
    while (has_applied && status == CRDT_OK) {
        has_applied = false;
        for (size_t i = 0; i < pending->count && status == CRDT_OK; i++) {
            const struct crdt_origin *origin = &pending->items[i]->origin;
            if (i > 0 && crdt_origin_compare(origin, &pending->items[i - 1]->origin) == 0)
                continue;
            bool is_next = true;
            while (is_next && status == CRDT_OK) {
                is_next = false;
                status = merge_waiting(merge, origin, &is_next);
                has_applied = has_applied || is_next;
            }
        }
    }
    return status;
}

static bool is_snapshot(struct crdt_bytes bytes)
{
    uint64_t kind;
    return crdt_read_uint(&bytes, UINT64_MAX, &kind) == CRDT_OK && kind == CRDT_ITEM_SNAPSHOT;
}

/* Every batch is checked before the first is applied. */
static enum crdt_status check_batches(struct crdt_bytes bytes)
{
    enum crdt_status status = CRDT_OK;
    while (bytes.size > 0 && status == CRDT_OK) {
        struct crdt_header header;
        status = crdt_header_read(&bytes, &header);
        if (status == CRDT_OK)
            status = crdt_body_check(&header);
    }
    return status;
}

static enum crdt_status merge_batches(struct merge *merge, struct crdt_bytes bytes)
{
    enum crdt_status status = check_batches(bytes);
    while (bytes.size > 0 && status == CRDT_OK) {
        struct crdt_header header;
        status = crdt_header_read(&bytes, &header);
        if (status == CRDT_OK)
            status = merge_batch(merge, &header);
    }
    return status;
}

static void tell(const struct merge *merge)
{
    for (size_t i = 0; i < merge->applied_count; i++)
        crdt_changes_tell_batch(merge->document, &merge->applied[i]);
    if (merge->has_joined)
        crdt_changes_tell_all(merge->document);
}

enum crdt_status crdt_merge(struct crdt_document *document, struct crdt_bytes bytes)
{
    if (document->transaction.is_open)
        return CRDT_ERR_BUSY;
    assert(document->journal.count == 0);
    struct merge merge = {.document = document, .feeds_version = document->feeds.version};
    struct crdt_hlc hlc = document->hlc;
    enum crdt_status status;
    if (is_snapshot(bytes)) {
        status = crdt_join_snapshot(document, bytes, &merge.join);
        merge.has_joined = status == CRDT_OK;
    } else {
        status = merge_batches(&merge, bytes);
    }
    if (status == CRDT_OK)
        status = merge_all_waiting(&merge);
    if (status == CRDT_OK) {
        document->state_version += document->journal.count > 0;
        crdt_journal_finish(document);
        if (merge.has_joined)
            crdt_join_settle(document, &merge.join);
        tell(&merge);
    } else {
        crdt_journal_undo(document, 0);
        document->hlc = hlc;
        if (status == CRDT_ERR_AMNESIA)
            document->has_amnesia = true;
    }
    crdt_pending_settle(document, status != CRDT_OK);
    crdt_join_close(document, &merge.join);
    crdt_memory_free(crdt_memory_of(document), merge.applied,
        merge.applied_capacity * sizeof *merge.applied);
    return status;
}

uint64_t crdt_seen_ms(const struct crdt_document *document)
{
    return document->hlc.seen >> 16;
}

struct crdt_dot crdt_missing(const struct crdt_document *document)
{
    return document->missing;
}
