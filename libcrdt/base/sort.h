/* A stable sort in memory from the hook; the C library's qsort may take memory of
 * its own. Many items are sorted by the digits of their ranks, few by merging. */
#ifndef LIBCRDT_BASE_SORT_H
#define LIBCRDT_BASE_SORT_H

#include <crdt.h>

/* What is sorted: by rank first, which is compared without a call. */
struct crdt_sort_item {
    uint64_t rank;
    uint64_t value; /* an index, or a pointer as uintptr_t                         */
};

/* Compares the values of two items of equal rank like memcmp. */
typedef int crdt_compare(const void *context, uint64_t a, uint64_t b);

/* Sorts `count` items. `compare` NULL: items of equal rank stay as they are.
 * Takes `count` * 16 bytes for the time of the call. NOMEM leaves the order as
 * it was. */
CRDT_MUST_CHECK enum crdt_status crdt_sort(const struct crdt_memory *memory,
    struct crdt_sort_item *items, size_t count, crdt_compare *compare, const void *context);

#endif
