#include "gossipd/core/headers.h"

#include "gossipd/core/memory.h"
#include "gossipd/limits.h"

#include <string.h>

void headers_init(struct headers *headers, const struct crdt_memory *memory)
{
    *headers = (struct headers){.memory = memory};
}

void headers_close(struct headers *headers)
{
    for (size_t index = 0; index < headers->count; index++)
        memory_free(
            headers->memory, headers->items[index].data, headers->items[index].capacity);
    memory_free(headers->memory, headers->items, headers->capacity * sizeof *headers->items);
    *headers = (struct headers){.memory = headers->memory};
}

/* The place of the feed, or where it would have to be put. */
static size_t find(const struct headers *headers, const struct crdt_origin *origin)
{
    size_t low = 0;
    size_t high = headers->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (crdt_origin_compare(&headers->items[middle].tip.batch.origin, origin) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct headers *headers, size_t index, const struct crdt_origin *origin)
{
    return index < headers->count
        && crdt_origin_compare(&headers->items[index].tip.batch.origin, origin) == 0;
}

/* The place of the feed, made if need be; NULL when memory is out. */
static struct header *make(struct headers *headers, const struct crdt_origin *origin)
{
    size_t index = find(headers, origin);
    if (is_at(headers, index, origin))
        return &headers->items[index];
    void *items = headers->items;
    bool is_grown = memory_grow(headers->memory, &items, &headers->capacity,
        headers->count + 1, sizeof *headers->items);
    headers->items = items;
    if (!is_grown)
        return NULL;
    memmove(headers->items + index + 1, headers->items + index,
        (headers->count - index) * sizeof *headers->items);
    headers->items[index] = (struct header){.tip.batch.origin = *origin};
    headers->count++;
    return &headers->items[index];
}

static bool make_room(const struct headers *headers, struct header *header, size_t size)
{
    if (size <= header->capacity)
        return true;
    /* Nothing is taken over: what is replaced is of no use any more. */
    memory_free(headers->memory, header->data, header->capacity);
    header->capacity = 0;
    header->data = memory_new(headers->memory, size);
    if (header->data == NULL)
        return false;
    header->capacity = size;
    return true;
}

void headers_keep(struct headers *headers, const struct crdt_batch *batch,
    const uint8_t signature[static CORE_SIGNATURE_BYTES])
{
    struct header *header = make(headers, &batch->origin);
    if (header == NULL || header->tip.batch.last_seq > batch->last_seq)
        return;
    size_t size = batch->header.size;
    if (size > HEADER_KEEP_BYTES || !make_room(headers, header, size)) {
        header->tip.batch = (struct crdt_batch){.origin = batch->origin};
        return;
    }
    memcpy(header->data, batch->header.data, size);
    memcpy(header->tip.signature, signature, sizeof header->tip.signature);
    header->tip.batch = *batch;
    header->tip.batch.header = (struct crdt_bytes){.data = header->data, .size = size};
    header->tip.batch.bytes = (struct crdt_bytes){0};
}

const struct tip *headers_find(
    const struct headers *headers, const struct crdt_origin *origin, uint64_t seq)
{
    size_t index = find(headers, origin);
    bool is_there =
        is_at(headers, index, origin) && headers->items[index].tip.batch.last_seq == seq;
    return is_there && seq > 0 ? &headers->items[index].tip : NULL;
}
