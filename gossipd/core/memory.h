/* Typed comfort over the one memory hook. */
#ifndef GOSSIPD_CORE_MEMORY_H
#define GOSSIPD_CORE_MEMORY_H

#include <crdt.h>

#include <string.h>

/* `size` zeroed bytes, or NULL. `size` is above 0. */
static inline void *memory_new(const struct crdt_memory *memory, size_t size)
{
    void *block = memory->reallocate(memory->context, NULL, 0, size);
    if (block != NULL)
        memset(block, 0, size);
    return block;
}

/* Accepts NULL, with size 0. */
static inline void memory_free(const struct crdt_memory *memory, void *block, size_t size)
{
    if (block != NULL)
        memory->reallocate(memory->context, block, size, 0);
}

/* Makes room for `count` items of `item_bytes` in an array that doubles. False
 * when memory is out; the array is as it was. */
static inline bool memory_grow(const struct crdt_memory *memory, void **array,
    size_t *capacity, size_t count, size_t item_bytes)
{
    if (count <= *capacity)
        return true;
    size_t wanted = *capacity < 8 ? 8 : *capacity * 2;
    if (wanted < count)
        wanted = count;
    void *grown = memory->reallocate(
        memory->context, *array, *capacity * item_bytes, wanted * item_bytes);
    if (grown == NULL)
        return false;
    *array = grown;
    *capacity = wanted;
    return true;
}

#endif
