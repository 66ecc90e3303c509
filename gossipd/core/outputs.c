/* An array and an arena. Chunks are of one size, larger requests get one of
 * their own; after a step all but the first go back. */
#include "gossipd/core/outputs.h"

#include "gossipd/core/memory.h"

#include <string.h>

#define CHUNK_BYTES 65536u   /* holds the replies of a usual step                   */
#define ITEMS_RESERVED 64u   /* outputs that need no allocation                     */
#define ITEMS_KEPT_MAX 4096u /* a larger array goes back after its step             */

struct outputs_chunk {
    struct outputs_chunk *older;
    size_t size;
    size_t capacity;
    uint8_t data[];
};

static struct outputs_chunk *chunk_new(const struct crdt_memory *memory, size_t capacity)
{
    struct outputs_chunk *chunk =
        memory->reallocate(memory->context, NULL, 0, sizeof *chunk + capacity);
    if (chunk != NULL)
        *chunk = (struct outputs_chunk){.capacity = capacity};
    return chunk;
}

static void chunk_free(const struct crdt_memory *memory, struct outputs_chunk *chunk)
{
    memory_free(memory, chunk, sizeof *chunk + chunk->capacity);
}

enum crdt_status outputs_init(struct outputs *outputs, const struct crdt_memory *memory)
{
    *outputs = (struct outputs){.memory = memory};
    void *items = NULL;
    if (!memory_grow(memory, &items, &outputs->capacity, ITEMS_RESERVED,
            sizeof *outputs->items))
        return CRDT_ERR_NOMEM;
    outputs->items = items;
    outputs->chunks = chunk_new(memory, CHUNK_BYTES);
    if (outputs->chunks == NULL) {
        outputs_close(outputs);
        return CRDT_ERR_NOMEM;
    }
    return CRDT_OK;
}

void outputs_close(struct outputs *outputs)
{
    while (outputs->chunks != NULL) {
        struct outputs_chunk *chunk = outputs->chunks;
        outputs->chunks = chunk->older;
        chunk_free(outputs->memory, chunk);
    }
    memory_free(
        outputs->memory, outputs->items, outputs->capacity * sizeof *outputs->items);
    outputs->items = NULL;
    outputs->count = 0;
    outputs->capacity = 0;
}

static void shrink_items(struct outputs *outputs)
{
    if (outputs->capacity <= ITEMS_KEPT_MAX)
        return;
    void *kept = outputs->memory->reallocate(outputs->memory->context, outputs->items,
        outputs->capacity * sizeof *outputs->items, ITEMS_RESERVED * sizeof *outputs->items);
    if (kept == NULL)
        return;
    outputs->items = kept;
    outputs->capacity = ITEMS_RESERVED;
}

void outputs_reset(struct outputs *outputs)
{
    outputs->count = 0;
    shrink_items(outputs);
    while (outputs->chunks->older != NULL) {
        struct outputs_chunk *chunk = outputs->chunks;
        outputs->chunks = chunk->older;
        chunk_free(outputs->memory, chunk);
    }
    outputs->chunks->size = 0;
}

struct core_output *outputs_add(struct outputs *outputs, enum core_output_kind kind)
{
    void *items = outputs->items;
    bool has_room = memory_grow(outputs->memory, &items, &outputs->capacity,
        outputs->count + 1, sizeof *outputs->items);
    outputs->items = items;
    if (!has_room)
        return NULL;
    struct core_output *output = &outputs->items[outputs->count++];
    memset(output, 0, sizeof *output);
    output->kind = kind;
    return output;
}

enum crdt_status outputs_copy(
    struct outputs *outputs, struct crdt_bytes bytes, struct crdt_bytes *ret_copy)
{
    struct outputs_chunk *chunk = outputs->chunks;
    if (chunk->capacity - chunk->size < bytes.size) {
        chunk = chunk_new(outputs->memory, bytes.size > CHUNK_BYTES ? bytes.size : CHUNK_BYTES);
        if (chunk == NULL)
            return CRDT_ERR_NOMEM;
        chunk->older = outputs->chunks;
        outputs->chunks = chunk;
    }
    uint8_t *copy = chunk->data + chunk->size;
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    chunk->size += bytes.size;
    *ret_copy = (struct crdt_bytes){.data = copy, .size = bytes.size};
    return CRDT_OK;
}
