/* Who executes when, having seen what; not yet what. Few enough to list. */
#ifndef EXHAUSTIVE_SHAPES_H
#define EXHAUSTIVE_SHAPES_H

#include "tests/exhaustive/history.h"

struct shape {
    unsigned count;
    unsigned authors[OPS_MAX];
    unsigned seen[OPS_MAX]; /* sets of the operations before                       */
};

struct shapes {
    struct shape *items;
    size_t count, capacity;
};

/* Lists every shape of `op_count` operations once. `is_named` false: of those that
 * differ only in the names of the replicas, one. */
void shapes_list(struct shapes *shapes, unsigned op_count, bool is_named);
void shapes_close(struct shapes *shapes);

/* One number for each operation that says all of it but its place in the list,
 * under other names of the replicas: replica i is called names[i]. Sorted.
 * `letters` NULL: of the shape alone. */
void shape_encode(const struct shape *shape, const unsigned *letters,
    const unsigned names[REPLICAS], uint32_t codes[OPS_MAX]);
/* Is this, of all its namesakes, the one to explore? */
bool shape_is_least(const struct shape *shape, const unsigned *letters);

#define NAMINGS 6u
extern const unsigned shape_namings[NAMINGS][REPLICAS];

#endif
