/* The newest batches in memory, so that most FETCHes need no disk.
 *
 * A ring: the oldest go when it holds CACHE_BYTES_MAX. */
#ifndef GOSSIPD_HOST_CACHE_H
#define GOSSIPD_HOST_CACHE_H

#include "gossipd/host/store/row.h"
#include "gossipd/limits.h"

struct cache {
    struct crdt_memory memory;
    size_t bytes_max;                 /* 0: keep nothing                        */
    size_t bytes;
    struct row *rows[CACHE_ROWS_MAX]; /* a ring, oldest at `first`              */
    size_t first;
    size_t count;
};

void cache_init(struct cache *cache, const struct crdt_memory *memory, size_t bytes_max);
void cache_close(struct cache *cache);

/* Keeps a copy of a STORE output. Out of memory only makes a FETCH slower. */
void cache_add(struct cache *cache, const struct core_output *output);
/* Forgets everything: after a failed STORE the rows may come again. */
void cache_clear(struct cache *cache);

/* Answers like database_fetch(), or returns false when `from` is not here. */
bool cache_fetch(const struct cache *cache, const struct crdt_dot *from, size_t bytes_max,
    struct fetched *fetched);

#endif
