#include "libcrdt/base/sort.h"

#include <string.h>

#include "libcrdt/base/memory.h"

/* Runs this short are sorted by insertion: fewer passes over memory. */
enum { RUN_COUNT = 16 };

int crdt_compare_numbers(const void *context, uint64_t a, uint64_t b)
{
    (void)context;
    return a < b ? -1 : a > b;
}

static void sort_run(uint64_t *items, size_t count, crdt_compare *compare, const void *context)
{
    for (size_t i = 1; i < count; i++) {
        uint64_t item = items[i];
        size_t hole = i;
        for (; hole > 0 && compare(context, items[hole - 1], item) > 0; hole--)
            items[hole] = items[hole - 1];
        items[hole] = item;
    }
}

static void merge_runs(const uint64_t *from, size_t middle, size_t count, uint64_t *to,
    crdt_compare *compare, const void *context)
{
    size_t left = 0;
    size_t right = middle;
    for (size_t i = 0; i < count; i++) {
        bool take_left = right == count ||
            (left < middle && compare(context, from[left], from[right]) <= 0);
        to[i] = take_left ? from[left++] : from[right++];
    }
}

enum crdt_status crdt_sort(const struct crdt_memory *memory, uint64_t *items, size_t count,
    crdt_compare *compare, const void *context)
{
    if (count <= RUN_COUNT) {
        sort_run(items, count, compare, context);
        return CRDT_OK;
    }
    uint64_t *scratch = crdt_memory_new(memory, count * sizeof *scratch);
    if (scratch == NULL)
        return CRDT_ERR_NOMEM;
    for (size_t i = 0; i < count; i += RUN_COUNT)
        sort_run(items + i, count - i < RUN_COUNT ? count - i : RUN_COUNT, compare, context);

    uint64_t *from = items;
    uint64_t *to = scratch;
    for (size_t run = RUN_COUNT; run < count; run *= 2) {
        for (size_t i = 0; i < count; i += 2 * run) {
            size_t left = count - i < run ? count - i : run;
            size_t both = count - i < 2 * run ? count - i : 2 * run;
            merge_runs(from + i, left, both, to + i, compare, context);
        }
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != items)
        memcpy(items, from, count * sizeof *items);
    crdt_memory_free(memory, scratch, count * sizeof *scratch);
    return CRDT_OK;
}
