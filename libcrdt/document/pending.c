#include "libcrdt/document/pending.h"

#include <assert.h>
#include <string.h>

#include "libcrdt/base/memory.h"

static int compare(
    const struct crdt_pending_item *item, const struct crdt_origin *origin, uint64_t seq)
{
    int order = crdt_origin_compare(&item->origin, origin);
    if (order != 0)
        return order;
    return item->first_seq < seq ? -1 : item->first_seq > seq;
}

/* The place of the first item that is not below (origin, seq). */
static size_t place_of(
    const struct crdt_pending *pending, const struct crdt_origin *origin, uint64_t seq)
{
    size_t low = 0;
    size_t high = pending->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(pending->items[middle], origin, seq) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct crdt_pending_item *crdt_pending_find(
    const struct crdt_document *document, const struct crdt_origin *origin, uint64_t seq)
{
    const struct crdt_pending *pending = &document->pending;
    size_t place = place_of(pending, origin, seq);
    if (place == pending->count || compare(pending->items[place], origin, seq) != 0)
        return NULL;
    return pending->items[place];
}

size_t crdt_pending_bytes(const struct crdt_document *document)
{
    return document->pending.bytes;
}

static void free_item(struct crdt_document *document, struct crdt_pending_item *item)
{
    const struct crdt_memory *memory = crdt_memory_of(document);
    document->pending.bytes -= item->size;
    crdt_memory_free(memory, item->bytes, item->size);
    crdt_memory_free(memory, item, sizeof *item);
}

enum crdt_status crdt_pending_keep(struct crdt_document *document,
    const struct crdt_batch *batch, const struct crdt_dot *missing)
{
    struct crdt_pending *pending = &document->pending;
    const struct crdt_memory *memory = crdt_memory_of(document);
    size_t place = place_of(pending, &batch->origin, batch->first_seq);
    if (place < pending->count &&
        compare(pending->items[place], &batch->origin, batch->first_seq) == 0)
        return CRDT_OK;
    size_t bytes_max = document->options.pending_bytes_max;
    if (batch->bytes.size > bytes_max || pending->bytes > bytes_max - batch->bytes.size)
        return CRDT_ERR_LIMIT;
    if (!crdt_array_reserve(memory, &pending->items, &pending->capacity, pending->count + 1,
            sizeof *pending->items))
        return CRDT_ERR_NOMEM;
    struct crdt_pending_item *item = crdt_memory_new(memory, sizeof *item);
    uint8_t *bytes = crdt_memory_new(memory, batch->bytes.size);
    if (item == NULL || bytes == NULL) {
        crdt_memory_free(memory, item, sizeof *item);
        crdt_memory_free(memory, bytes, batch->bytes.size);
        return CRDT_ERR_NOMEM;
    }
    memcpy(bytes, batch->bytes.data, batch->bytes.size);
    *item = (struct crdt_pending_item){.origin = batch->origin,
        .first_seq = batch->first_seq,
        .bytes = bytes,
        .size = batch->bytes.size,
        .missing = *missing,
        .is_new = true};
    memmove(pending->items + place + 1, pending->items + place,
        (pending->count - place) * sizeof(struct crdt_pending_item *));
    pending->items[place] = item;
    pending->count++;
    pending->bytes += item->size;
    return CRDT_OK;
}

void crdt_pending_settle(struct crdt_document *document, bool has_failed)
{
    struct crdt_pending *pending = &document->pending;
    size_t kept = 0;
    for (size_t i = 0; i < pending->count; i++) {
        struct crdt_pending_item *item = pending->items[i];
        bool is_over = has_failed ? item->is_new
                                  : item->is_refused ||
                item->first_seq <= crdt_applied(document, &item->origin);
        item->is_new = false;
        item->is_refused = false;
        if (is_over)
            free_item(document, item);
        else
            pending->items[kept++] = item;
    }
    pending->count = kept;
    if (kept == 0)
        crdt_pending_close(document);
}

void crdt_pending_close(struct crdt_document *document)
{
    struct crdt_pending *pending = &document->pending;
    for (size_t i = 0; i < pending->count; i++)
        free_item(document, pending->items[i]);
    assert(pending->bytes == 0);
    crdt_memory_free(crdt_memory_of(document), pending->items,
        pending->capacity * sizeof *pending->items);
    *pending = (struct crdt_pending){0};
}
