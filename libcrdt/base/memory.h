/* Memory through the caller's hook. Knows nothing of documents. */
#ifndef LIBCRDT_BASE_MEMORY_H
#define LIBCRDT_BASE_MEMORY_H

#include <crdt.h>

/* `memory` itself, or the C library's heap where it has no hook. */
struct crdt_memory crdt_memory_or_heap(const struct crdt_memory *memory);

static inline void *crdt_memory_new(const struct crdt_memory *memory, size_t bytes)
{
    return memory->reallocate(memory->context, NULL, 0, bytes);
}

/* Resizes; on NULL the old block is still there. `new_bytes` is not 0. */
static inline void *crdt_memory_resize(
    const struct crdt_memory *memory, void *block, size_t old_bytes, size_t new_bytes)
{
    return memory->reallocate(memory->context, block, old_bytes, new_bytes);
}

static inline void crdt_memory_free(const struct crdt_memory *memory, void *block, size_t bytes)
{
    if (block != NULL)
        memory->reallocate(memory->context, block, bytes, 0);
}

/* Tells the processor that this will be read soon, where the compiler knows how:
 * whoever visits scattered memory in an order known ahead need not wait for it. */
static inline void crdt_memory_expect(const void *block)
{
#if defined(__GNUC__)
    __builtin_prefetch(block);
#else
    (void)block;
#endif
}

/* Makes room for `count` items in a growing array: by half again at a time,
 * exactly one for the first. Returns false, and changes nothing, when memory is
 * out. `items` points to the array's pointer. */
CRDT_MUST_CHECK bool crdt_array_reserve(const struct crdt_memory *memory, void *items,
    size_t *capacity, size_t count, size_t item_bytes);

#endif
