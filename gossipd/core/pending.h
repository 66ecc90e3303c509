/* Verified batches that cannot be applied yet, because something they follow
 * has not come (invariant I3). Bounded: when full, the origin that takes most
 * gives up its furthest batch first, which comparison brings again. */
#ifndef GOSSIPD_CORE_PENDING_H
#define GOSSIPD_CORE_PENDING_H

#include "gossipd/core/held.h"

struct pending_feed {
    struct crdt_origin origin;
    struct held *first; /* by first seq                                            */
    size_t bytes;
};

struct pending {
    const struct crdt_memory *memory;
    struct pending_feed *feeds; /* by origin; only those that have something       */
    size_t feed_count;
    size_t feed_capacity;
    size_t bytes;
    size_t bytes_max;
    uint64_t evicted; /* batches, ever                                              */
};

void pending_init(struct pending *pending, const struct crdt_memory *memory, size_t bytes_max);
void pending_close(struct pending *pending);

/* Takes a batch over; a duplicate, or what does not fit, is freed. */
void pending_add(struct pending *pending, struct held *held);

/* True when a batch of this feed with this head waits already. */
bool pending_has(const struct pending *pending, const struct crdt_batch *batch);

/* The batch of feed `index` that comes next, after what is known up to
 * `applied` has been freed; NULL when there is none or something before it is
 * missing. It stays pending. */
struct held *pending_next(struct pending *pending, size_t index, uint64_t applied);

/* How far feed `index` reaches without a gap behind what is `applied`. */
uint64_t pending_reach(const struct pending *pending, size_t index, uint64_t applied);

/* Takes the first batch of feed `index` out. Order of other feeds is kept, but
 * the feed is gone when this was its last. */
struct held *pending_take(struct pending *pending, size_t index);

#endif
