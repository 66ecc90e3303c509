/* Growing arrays for the simulator. Out of memory ends the test: nothing here
 * is under test but the core. */
#ifndef TESTS_SIM_ARRAY_H
#define TESTS_SIM_ARRAY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for one more item behind `count`. */
static inline void *array_reserve(
    void *items, size_t count, size_t *capacity, size_t item_bytes)
{
    if (count < *capacity)
        return items;
    *capacity = *capacity == 0 ? 16 : *capacity * 2;
    void *grown = realloc(items, *capacity * item_bytes);
    if (grown == NULL) {
        fputs("sim: out of memory\n", stderr);
        exit(2);
    }
    return grown;
}

/* A copy that the caller frees. */
static inline uint8_t *array_copy(const void *data, size_t size)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    if (copy == NULL) {
        fputs("sim: out of memory\n", stderr);
        exit(2);
    }
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

#endif
