#include "libcrdt/base/sort.h"

#include <string.h>

#include "libcrdt/base/memory.h"

enum {
    RUN_COUNT = 16,    /* so few are sorted by insertion: fewer passes over memory    */
    RADIX_COUNT_MIN = 1024, /* from here on, counting digits costs less than it saves */
    DIGIT_COUNT = 8,
    DIGIT_VALUES = 256,
};

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

/* Sorts by runs that double. The items end in `items`. */
static void sort_by_merging(struct crdt_sort_item *items, struct crdt_sort_item *scratch,
    size_t count, crdt_compare *compare, const void *context)
{
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
}

static size_t digit_of(const struct crdt_sort_item *item, size_t digit)
{
    return (size_t)(item->rank >> (8 * digit)) % DIGIT_VALUES;
}

/* Moves every item to its place among all by one digit of the rank, in order. */
static void move_by_digit(const struct crdt_sort_item *from, size_t count,
    struct crdt_sort_item *to, size_t digit, size_t places[static DIGIT_VALUES])
{
    size_t place = 0;
    for (size_t value = 0; value < DIGIT_VALUES; value++) {
        size_t here = places[value];
        places[value] = place;
        place += here;
    }
    for (size_t i = 0; i < count; i++)
        to[places[digit_of(&from[i], digit)]++] = from[i];
}

/* Sorts by rank alone, digit by digit from the least. The items end in `items`. */
static void sort_by_rank(
    struct crdt_sort_item *items, struct crdt_sort_item *scratch, size_t count)
{
    size_t counts[DIGIT_COUNT][DIGIT_VALUES] = {0};
    for (size_t i = 0; i < count; i++)
        for (size_t digit = 0; digit < DIGIT_COUNT; digit++)
            counts[digit][digit_of(&items[i], digit)]++;
    struct crdt_sort_item *from = items;
    struct crdt_sort_item *to = scratch;
    for (size_t digit = 0; digit < DIGIT_COUNT; digit++) {
        if (counts[digit][digit_of(&from[0], digit)] == count)
            continue; /* all have the same                                          */
        move_by_digit(from, count, to, digit, counts[digit]);
        struct crdt_sort_item *swap = from;
        from = to;
        to = swap;
    }
    if (from != items)
        memcpy(items, from, count * sizeof *items);
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
    if (count < RADIX_COUNT_MIN) {
        sort_by_merging(items, scratch, count, compare, context);
    } else {
        sort_by_rank(items, scratch, count);
        for (size_t i = 0, end = 1; compare != NULL && i < count; i = end++) {
            while (end < count && items[end].rank == items[i].rank)
                end++;
            sort_by_merging(items + i, scratch, end - i, compare, context);
        }
    }
    crdt_memory_free(memory, scratch, count * sizeof *scratch);
    return CRDT_OK;
}
