/* Replication by comparing version vectors: summary, diff, gc. Every operation
 * has a dot of its own, removals too, so the difference of two vectors names all
 * that is missing (Goncalves et al. 2017; Almeida et al. 2018). */
#include <string.h>

#include "libcrdt/base/buffer.h"
#include "libcrdt/base/memory.h"
#include "libcrdt/base/sort.h"
#include "libcrdt/document/batch.h"
#include "libcrdt/document/dot.h"
#include "libcrdt/document/open.h"
#include "libcrdt/document/snapshot.h"

enum crdt_status crdt_seal(struct crdt_document *document, struct crdt_bytes *ret_batch)
{
    if (document->transaction.is_open)
        return CRDT_ERR_BUSY;
    return crdt_open_seal(document, ret_batch);
}

/* ---- summaries ---- */

enum crdt_status crdt_summary(struct crdt_document *document, struct crdt_buffer *ret_summary)
{
    struct crdt_bytes sealed;
    enum crdt_status status = crdt_seal(document, &sealed);
    size_t before = ret_summary->size;
    if (status == CRDT_OK)
        status = crdt_preamble_write(ret_summary, CRDT_ITEM_SUMMARY);
    if (status == CRDT_OK)
        status = crdt_write_uint(ret_summary, crdt_context_count(document));
    for (size_t rank = 0; rank < document->feeds.count && status == CRDT_OK; rank++) {
        const struct crdt_feed_state *feed =
            &document->feeds.items[crdt_feeds_ranked(document, rank)];
        if (feed->seq > 0)
            status = crdt_dot_write(ret_summary, &feed->origin, feed->seq);
    }
    if (status != CRDT_OK)
        crdt_buffer_truncate(ret_summary, before);
    return status;
}

enum crdt_status crdt_summary_write(
    const struct crdt_dot *dots, size_t count, struct crdt_buffer *ret_summary)
{
    size_t before = ret_summary->size;
    size_t written = 0;
    for (size_t i = 0; i < count; i++)
        written += dots[i].seq > 0;
    enum crdt_status status = crdt_preamble_write(ret_summary, CRDT_ITEM_SUMMARY);
    if (status == CRDT_OK)
        status = crdt_write_uint(ret_summary, written);
    for (size_t i = 0; i < count && status == CRDT_OK; i++)
        if (dots[i].seq > 0)
            status = crdt_dot_write(ret_summary, &dots[i].origin, dots[i].seq);
    if (status != CRDT_OK)
        crdt_buffer_truncate(ret_summary, before);
    return status;
}

/* Reads a summary front to back without keeping it. */
struct summary_reader {
    struct crdt_bytes rest;
    uint64_t left;
    struct crdt_dot dot; /* read last                                              */
};

static enum crdt_status begin_summary(struct summary_reader *reader, struct crdt_bytes summary)
{
    *reader = (struct summary_reader){.rest = summary};
    enum crdt_status status = crdt_preamble_read(&reader->rest, CRDT_ITEM_SUMMARY);
    if (status == CRDT_OK)
        status = crdt_read_uint(&reader->rest, CRDT_ORIGINS_MAX, &reader->left);
    return status;
}

static enum crdt_status next_dot(struct summary_reader *reader)
{
    struct crdt_dot dot;
    enum crdt_status status = crdt_dot_read(&reader->rest, &dot);
    if (status != CRDT_OK)
        return status;
    if (reader->dot.seq > 0 && crdt_origin_compare(&reader->dot.origin, &dot.origin) >= 0)
        return CRDT_ERR_MALFORMED;
    reader->dot = dot;
    reader->left--;
    return CRDT_OK;
}

enum crdt_status crdt_summary_read(
    struct crdt_bytes summary, struct crdt_dot *dots, size_t capacity, size_t *ret_count)
{
    struct summary_reader reader;
    size_t count = 0;
    enum crdt_status status = begin_summary(&reader, summary);
    while (status == CRDT_OK && reader.left > 0) {
        status = next_dot(&reader);
        if (status == CRDT_OK && count < capacity)
            dots[count] = reader.dot;
        count++;
    }
    if (status != CRDT_OK)
        return status;
    if (reader.rest.size > 0)
        return CRDT_ERR_MALFORMED;
    *ret_count = count;
    return count <= capacity ? CRDT_OK : CRDT_ERR_LIMIT;
}

/* Reads a summary into one seq per feed; what is not known here is left out. */
static enum crdt_status read_context(
    const struct crdt_document *document, struct crdt_bytes summary, uint64_t *seqs)
{
    struct summary_reader reader;
    memset(seqs, 0, document->feeds.count * sizeof *seqs);
    enum crdt_status status = begin_summary(&reader, summary);
    while (status == CRDT_OK && reader.left > 0) {
        status = next_dot(&reader);
        size_t feed = status == CRDT_OK ? crdt_feeds_find(document, &reader.dot.origin)
                                        : CRDT_FEED_NONE;
        if (feed != CRDT_FEED_NONE)
            seqs[feed] = reader.dot.seq;
    }
    if (status == CRDT_OK && reader.rest.size > 0)
        status = CRDT_ERR_MALFORMED;
    return status;
}

/* ---- diff ---- */

/* Log items above `seqs`, of all feeds: their number, and they themselves when
 * `items` is given. */
static size_t select_items(const struct crdt_document *document, const uint64_t *seqs,
    struct crdt_sort_item *items)
{
    size_t count = 0;
    for (size_t i = 0; i < document->feeds.count; i++) {
        const struct crdt_feed_state *feed = &document->feeds.items[i];
        for (size_t j = feed->log_count; j > 0 && feed->log[j - 1].last_seq > seqs[i]; j--) {
            if (items != NULL)
                items[count] = (struct crdt_sort_item){.rank = feed->log[j - 1].place,
                    .value = (uint64_t)(uintptr_t)&feed->log[j - 1]};
            count++;
        }
    }
    return count;
}

/* Appends the items in the order in which they were applied here: whoever
 * merges them needs no pending buffer. */
static enum crdt_status append_items(const struct crdt_document *document,
    const uint64_t *seqs, struct crdt_buffer *ret_delta)
{
    const struct crdt_memory *memory = crdt_memory_of(document);
    size_t count = select_items(document, seqs, NULL);
    if (count == 0)
        return CRDT_OK;
    struct crdt_sort_item *items = crdt_memory_new(memory, count * sizeof *items);
    if (items == NULL)
        return CRDT_ERR_NOMEM;
    select_items(document, seqs, items);
    enum crdt_status status = crdt_sort(memory, items, count, NULL, NULL);
    for (size_t i = 0; i < count && status == CRDT_OK; i++) {
        const struct crdt_log_item *item = (const void *)(uintptr_t)items[i].value;
        status = crdt_buffer_append(ret_delta, item->bytes, item->size);
    }
    crdt_memory_free(memory, items, count * sizeof *items);
    return status;
}

/* Whether all that the peer lacks is still in the log, and nothing is lost here. */
static enum crdt_status check_context(struct crdt_document *document, const uint64_t *seqs)
{
    for (size_t i = 0; i < document->feeds.count; i++) {
        const struct crdt_feed_state *feed = &document->feeds.items[i];
        if (document->generation != 0 && i == document->self && seqs[i] > feed->seq) {
            document->has_amnesia = true;
            return CRDT_ERR_AMNESIA;
        }
    }
    for (size_t i = 0; i < document->feeds.count; i++)
        if (seqs[i] < document->feeds.items[i].floor)
            return CRDT_ERR_BELOW_FLOOR;
    return document->options.keep_log ? CRDT_OK : CRDT_ERR_BELOW_FLOOR;
}

enum crdt_status crdt_diff(struct crdt_document *document, struct crdt_bytes summary,
    struct crdt_buffer *ret_delta)
{
    struct crdt_bytes sealed;
    enum crdt_status status = crdt_seal(document, &sealed);
    if (status != CRDT_OK)
        return status;
    const struct crdt_memory *memory = crdt_memory_of(document);
    size_t count = document->feeds.count;
    uint64_t *seqs = crdt_memory_new(memory, (count + 1) * sizeof *seqs);
    if (seqs == NULL)
        return CRDT_ERR_NOMEM;
    size_t before = ret_delta->size;
    status = read_context(document, summary, seqs);
    if (status == CRDT_OK)
        status = check_context(document, seqs);
    if (status == CRDT_OK)
        status = append_items(document, seqs, ret_delta);
    if (status != CRDT_OK)
        crdt_buffer_truncate(ret_delta, before);
    crdt_memory_free(memory, seqs, (count + 1) * sizeof *seqs);
    return status;
}

/* ---- gc ---- */

enum crdt_status crdt_gc(
    struct crdt_document *document, const struct crdt_bytes *summaries, size_t summary_count)
{
    const struct crdt_memory *memory = crdt_memory_of(document);
    size_t count = document->feeds.count;
    uint64_t *frontier = crdt_memory_new(memory, 2 * (count + 1) * sizeof *frontier);
    if (frontier == NULL)
        return CRDT_ERR_NOMEM;
    uint64_t *seqs = frontier + count + 1;
    for (size_t i = 0; i < count; i++)
        frontier[i] = document->feeds.items[i].seq;
    enum crdt_status status = CRDT_OK;
    for (size_t s = 0; s < summary_count && status == CRDT_OK; s++) {
        status = read_context(document, summaries[s], seqs);
        for (size_t i = 0; i < count; i++)
            if (seqs[i] < frontier[i])
                frontier[i] = seqs[i];
    }
    for (size_t i = 0; i < count && status == CRDT_OK; i++)
        crdt_feeds_drop(document, i, frontier[i], false);
    crdt_memory_free(memory, frontier, 2 * (count + 1) * sizeof *frontier);
    return status;
}
