#include "libcrdt/base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void *heap_reallocate(void *context, void *block, size_t old_bytes, size_t new_bytes)
{
    (void)context;
    (void)old_bytes;
    if (new_bytes == 0) {
        free(block);
        return NULL;
    }
    return realloc(block, new_bytes);
}

struct crdt_memory crdt_memory_or_heap(const struct crdt_memory *memory)
{
    if (memory != NULL && memory->reallocate != NULL)
        return *memory;
    return (struct crdt_memory){.reallocate = heap_reallocate};
}

bool crdt_array_reserve(const struct crdt_memory *memory, void *items, size_t *capacity,
    size_t count, size_t item_bytes)
{
    assert(item_bytes > 0);
    if (count <= *capacity)
        return true;
    size_t wanted = *capacity + *capacity / 2;
    if (wanted < count)
        wanted = count;
    if (wanted > SIZE_MAX / item_bytes)
        return false;
    /* The array's pointer may be of any object type, so it is copied, not cast. */
    void *block;
    memcpy(&block, items, sizeof block);
    block = crdt_memory_resize(memory, block, *capacity * item_bytes, wanted * item_bytes);
    if (block == NULL)
        return false;
    memcpy(items, &block, sizeof block);
    *capacity = wanted;
    return true;
}
