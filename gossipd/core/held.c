#include "gossipd/core/held.h"

#include "gossipd/core/memory.h"
#include "gossipd/limits.h"

#include <assert.h>
#include <string.h>

struct held *held_new(const struct crdt_memory *memory, size_t capacity)
{
    struct held *held = memory_new(memory, sizeof *held);
    if (held == NULL)
        return NULL;
    if (capacity > 0) {
        held->data = memory->reallocate(memory->context, NULL, 0, capacity);
        if (held->data == NULL) {
            memory_free(memory, held, sizeof *held);
            return NULL;
        }
        held->capacity = capacity;
    }
    return held;
}

void held_free(const struct crdt_memory *memory, struct held *held)
{
    if (held == NULL)
        return;
    memory_free(memory, held->data, held->capacity);
    memory_free(memory, held, sizeof *held);
}

size_t held_cost(const struct held *held)
{
    return sizeof *held + held->capacity + HELD_OVERHEAD_BYTES;
}

void held_fill(struct held *held, const struct crdt_batch *batch)
{
    assert(batch->bytes.size > 0);
    assert(batch->bytes.size <= held->capacity);
    const uint8_t *bytes = batch->bytes.data;
    const uint8_t *header = batch->header.data;
    assert(header >= bytes);
    assert((size_t)(header - bytes) + batch->header.size <= batch->bytes.size);
    memcpy(held->data, bytes, batch->bytes.size);
    held->batch = *batch;
    held->batch.bytes.data = held->data;
    held->batch.header.data = held->data + (header - bytes);
}
