/* A stable merge sort in memory from the hook; the C library's qsort may take
 * memory of its own. */
#ifndef LIBCRDT_BASE_SORT_H
#define LIBCRDT_BASE_SORT_H

#include <crdt.h>

/* Compares two items like memcmp. */
typedef int crdt_compare(const void *context, uint64_t a, uint64_t b);

/* Sorts `count` items (numbers, indexes or pointers as uintptr_t). Takes
 * `count` * 8 bytes for the time of the call. NOMEM leaves the order as it was. */
CRDT_MUST_CHECK enum crdt_status crdt_sort(const struct crdt_memory *memory, uint64_t *items,
    size_t count, crdt_compare *compare, const void *context);

/* Orders plain numbers. */
int crdt_compare_numbers(const void *context, uint64_t a, uint64_t b);

#endif
