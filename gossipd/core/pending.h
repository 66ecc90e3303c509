/* Verified batches that cannot be applied yet, because something they follow
 * has not come (invariant I3). Bounded in bytes, and for each key in batches and
 * feeds, so that one member can neither push out what came from others nor make
 * the searches long: when full, the key that takes most gives up the furthest
 * batch of the feed that takes most, which comparison brings again. */
#ifndef GOSSIPD_CORE_PENDING_H
#define GOSSIPD_CORE_PENDING_H

#include "gossipd/core/held.h"

struct pending_feed {
    struct crdt_origin origin;
    struct held **items; /* by first seq, the head before it, the head            */
    size_t count;
    size_t capacity;
    size_t bytes;
};

struct pending {
    const struct crdt_memory *memory;
    struct pending_feed *feeds; /* by origin; only those that have something       */
    size_t feed_count;
    size_t feed_capacity;
    size_t bytes;     /* of batches, and what it costs to hold them                 */
    size_t bytes_max;
    uint64_t evicted; /* batches, ever                                              */
    uint64_t news;    /* grows when something came that a voucher may choose        */
};

void pending_init(struct pending *pending, const struct crdt_memory *memory, size_t bytes_max);
void pending_close(struct pending *pending);

/* Takes a batch over; a duplicate, or what does not fit, is freed. */
void pending_add(struct pending *pending, struct held *held);

/* True when a batch of this feed with this head waits already. */
bool pending_has(const struct pending *pending, const struct crdt_batch *batch);

/* One that waits and cannot stand in one feed with this one; NULL when there is none. */
const struct held *pending_rival(
    const struct pending *pending, const struct crdt_batch *batch);
/* These peers, a bit for each, have brought this batch, waiting or not: of a feed a
 * peer has one history, the one it showed last. What nobody stands for any more is
 * freed, unless it was let in; comparison brings it again where it is needed. */
void pending_credit(struct pending *pending, const struct crdt_batch *batch, uint64_t peers);

/* The place of a feed; SIZE_MAX when nothing of it waits. */
size_t pending_find(const struct pending *pending, const struct crdt_origin *origin);

/* Frees what stands first in feed `index` and is known, up to `applied`. False when
 * nothing is left: the feed is gone. */
bool pending_trim(struct pending *pending, size_t index, uint64_t applied);

/* How many batches of feed `index` have no gap before them; they stand first. */
size_t pending_ready(const struct pending *pending, size_t index, uint64_t applied);

/* How far feed `index` reaches without a gap behind what is `applied`, by what one of
 * these peers has brought. */
uint64_t pending_reach(
    const struct pending *pending, size_t index, uint64_t applied, uint64_t peers);

/* Takes the batch at `place` of feed `index` out. Order of other feeds is kept, but
 * the feed is gone when this was its last. */
struct held *pending_take(struct pending *pending, size_t index, size_t place);

/* The batches that follow the one of which `batch` tells, from the place that is
 * returned up to `ret_end`. */
size_t pending_followers(
    const struct pending_feed *feed, const struct crdt_batch *batch, size_t *ret_end);

#endif
