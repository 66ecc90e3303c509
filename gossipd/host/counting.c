/* Memory that is counted. See counting.h. */
#include "gossipd/host/counting.h"

#include <stdlib.h>

static void peak_raise(struct counting_memory *counter, size_t used)
{
    size_t peak = atomic_load_explicit(&counter->peak_bytes, memory_order_relaxed);
    while (used > peak && !atomic_compare_exchange_weak_explicit(&counter->peak_bytes, &peak,
                              used, memory_order_relaxed, memory_order_relaxed)) {
    }
}

static void *counting_reallocate(void *context, void *block, size_t old_bytes, size_t new_bytes)
{
    struct counting_memory *counter = context;
    void *moved = NULL;
    if (new_bytes == 0) {
        free(block);
    } else {
        moved = realloc(block, new_bytes);
        if (moved == NULL) {
            return NULL;
        }
    }
    /* Unsigned arithmetic wraps, so a shrinking block subtracts. */
    size_t change = new_bytes - old_bytes;
    size_t used = change +
        atomic_fetch_add_explicit(&counter->used_bytes, change, memory_order_relaxed);
    if (new_bytes > old_bytes) {
        peak_raise(counter, used);
    }
    return moved;
}

struct crdt_memory counting_hook(struct counting_memory *counter)
{
    return (struct crdt_memory){.reallocate = counting_reallocate, .context = counter};
}

size_t counting_used(const struct counting_memory *counter)
{
    return atomic_load_explicit(&counter->used_bytes, memory_order_relaxed);
}

size_t counting_peak(const struct counting_memory *counter)
{
    return atomic_load_explicit(&counter->peak_bytes, memory_order_relaxed);
}
