#include "libcrdt/base/sort.h"

#include <string.h>

#include "libcrdt/base/memory.h"

/* Runs this short are sorted by insertion: fewer passes over memory. */
enum { RUN_COUNT = 16 };

/* Whether `a` goes behind `b`. */
static inline bool is_behind(const struct crdt_sort_item *a, const struct crdt_sort_item *b,
    crdt_compare *compare, const void *context)
{
    if (a->rank != b->rank)
        return a->rank > b->rank;
    return compare != NULL && compare(context, a->value, b->value) > 0;
}

static void sort_run(struct crdt_sort_item *items, size_t count, crdt_compare *compare,
    const void *context)
{
    for (size_t i = 1; i < count; i++) {
        struct crdt_sort_item item = items[i];
        size_t hole = i;
        for (; hole > 0 && is_behind(&items[hole - 1], &item, compare, context); hole--)
            items[hole] = items[hole - 1];
        items[hole] = item;
    }
}

static void merge_runs(const struct crdt_sort_item *from, size_t middle, size_t count,
    struct crdt_sort_item *to, crdt_compare *compare, const void *context)
{
    size_t left = 0;
    size_t right = middle;
    for (size_t i = 0; i < count; i++) {
        bool take_left = right == count ||
            (left < middle && !is_behind(&from[left], &from[right], compare, context));
        to[i] = take_left ? from[left++] : from[right++];
    }
}

enum crdt_status crdt_sort(const struct crdt_memory *memory, struct crdt_sort_item *items,
    size_t count, crdt_compare *compare, const void *context)
{
    if (count <= RUN_COUNT) {
        sort_run(items, count, compare, context);
        return CRDT_OK;
    }
    struct crdt_sort_item *scratch = crdt_memory_new(memory, count * sizeof *scratch);
    if (scratch == NULL)
        return CRDT_ERR_NOMEM;
    for (size_t i = 0; i < count; i += RUN_COUNT)
        sort_run(items + i, count - i < RUN_COUNT ? count - i : RUN_COUNT, compare, context);

    struct crdt_sort_item *from = items;
    struct crdt_sort_item *to = scratch;
    for (size_t run = RUN_COUNT; run < count; run *= 2) {
        for (size_t i = 0; i < count; i += 2 * run) {
            size_t left = count - i < run ? count - i : run;
            size_t both = count - i < 2 * run ? count - i : 2 * run;
            merge_runs(from + i, left, both, to + i, compare, context);
        }
        struct crdt_sort_item *swap = from;
        from = to;
        to = swap;
    }
    if (from != items)
        memcpy(items, from, count * sizeof *items);
    crdt_memory_free(memory, scratch, count * sizeof *scratch);
    return CRDT_OK;
}
