#include "gossipd/core/pending.h"

#include "gossipd/core/memory.h"
#include "gossipd/limits.h"
#include "gossipd/wire/evidence.h"

#include <assert.h>
#include <string.h>

void pending_init(struct pending *pending, const struct crdt_memory *memory, size_t bytes_max)
{
    *pending = (struct pending){.memory = memory, .bytes_max = bytes_max};
}

static void free_items(struct pending *pending, struct pending_feed *feed)
{
    memory_free(pending->memory, feed->items, feed->capacity * sizeof *feed->items);
}

void pending_close(struct pending *pending)
{
    for (size_t index = 0; index < pending->feed_count; index++) {
        struct pending_feed *feed = &pending->feeds[index];
        for (size_t place = 0; place < feed->count; place++)
            held_free(pending->memory, feed->items[place]);
        free_items(pending, feed);
    }
    memory_free(pending->memory, pending->feeds,
        pending->feed_capacity * sizeof *pending->feeds);
    pending->feeds = NULL;
    pending->feed_count = 0;
    pending->feed_capacity = 0;
}

/* ---- Searches -------------------------------------------------------------- */

/* The place of the feed, or where it would have to be put. */
static size_t find(const struct pending *pending, const struct crdt_origin *origin)
{
    size_t low = 0;
    size_t high = pending->feed_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (crdt_origin_compare(&pending->feeds[middle].origin, origin) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct pending *pending, size_t index, const struct crdt_origin *origin)
{
    return index < pending->feed_count
        && crdt_origin_compare(&pending->feeds[index].origin, origin) == 0;
}

size_t pending_find(const struct pending *pending, const struct crdt_origin *origin)
{
    size_t index = find(pending, origin);
    return is_at(pending, index, origin) ? index : SIZE_MAX;
}

static int compare(const struct crdt_batch *a, uint64_t seq,
    const uint8_t previous[static CRDT_HASH_BYTES], const uint8_t *head)
{
    if (a->first_seq != seq)
        return a->first_seq < seq ? -1 : 1;
    int order = memcmp(a->previous, previous, CRDT_HASH_BYTES);
    if (order == 0 && head != NULL)
        order = memcmp(a->head, head, CRDT_HASH_BYTES);
    return order;
}

/* The first place whose batch is not before this one; `head` NULL: any of those that
 * follow `previous`. With `is_behind` the first that is behind it. */
static size_t place_of(const struct pending_feed *feed, uint64_t seq,
    const uint8_t previous[static CRDT_HASH_BYTES], const uint8_t *head, bool is_behind)
{
    size_t low = 0;
    size_t high = feed->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(&feed->items[middle]->batch, seq, previous, head);
        if (order < 0 || (order == 0 && is_behind))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t place_in(const struct pending_feed *feed, const struct crdt_batch *batch)
{
    return place_of(feed, batch->first_seq, batch->previous, batch->head, false);
}

bool pending_has(const struct pending *pending, const struct crdt_batch *batch)
{
    size_t index = pending_find(pending, &batch->origin);
    if (index == SIZE_MAX)
        return false;
    const struct pending_feed *feed = &pending->feeds[index];
    size_t place = place_in(feed, batch);
    return place < feed->count
        && compare(&feed->items[place]->batch, batch->first_seq, batch->previous, batch->head)
            == 0;
}

size_t pending_followers(
    const struct pending_feed *feed, const struct crdt_batch *batch, size_t *ret_end)
{
    *ret_end = place_of(feed, batch->last_seq + 1, batch->head, NULL, true);
    return place_of(feed, batch->last_seq + 1, batch->head, NULL, false);
}

/* ---- Taking out ------------------------------------------------------------- */

struct held *pending_take(struct pending *pending, size_t index, size_t place)
{
    assert(index < pending->feed_count);
    struct pending_feed *feed = &pending->feeds[index];
    assert(place < feed->count);
    struct held *held = feed->items[place];
    feed->count--;
    memmove(feed->items + place, feed->items + place + 1,
        (feed->count - place) * sizeof *feed->items);
    feed->bytes -= held_cost(held);
    pending->bytes -= held_cost(held);
    if (feed->count == 0) {
        free_items(pending, feed);
        pending->feed_count--;
        memmove(feed, feed + 1, (pending->feed_count - index) * sizeof *feed);
    }
    return held;
}

static void evict_furthest(struct pending *pending, size_t index)
{
    size_t last = pending->feeds[index].count - 1;
    held_free(pending->memory, pending_take(pending, index, last));
    pending->evicted++;
}

/* The feeds of one key stand together. */
struct share {
    size_t first;
    size_t end;
    size_t bytes;
    size_t count;    /* of batches                                                  */
    size_t largest;  /* feed, in bytes                                              */
    size_t longest;  /* in batches                                                  */
    size_t shortest;
};

static struct share share_from(const struct pending *pending, size_t first)
{
    struct share share = {.first = first, .end = first, .largest = first,
        .longest = first, .shortest = first};
    const uint8_t *key = pending->feeds[first].origin.key;
    for (; share.end < pending->feed_count; share.end++) {
        const struct pending_feed *feed = &pending->feeds[share.end];
        if (memcmp(feed->origin.key, key, CRDT_KEY_BYTES) != 0)
            break;
        share.bytes += feed->bytes;
        share.count += feed->count;
        if (feed->bytes > pending->feeds[share.largest].bytes)
            share.largest = share.end;
        if (feed->count > pending->feeds[share.longest].count)
            share.longest = share.end;
        if (feed->count < pending->feeds[share.shortest].count)
            share.shortest = share.end;
    }
    return share;
}

static struct share share_of(const struct pending *pending, const struct crdt_origin *origin)
{
    struct crdt_origin least = {.generation = 0};
    memcpy(least.key, origin->key, sizeof least.key);
    return share_from(pending, find(pending, &least));
}

/* From whoever takes most, so that one member's batches do not push out another's. */
static void keep_bytes_bounded(struct pending *pending)
{
    while (pending->bytes > pending->bytes_max) {
        struct share most = {0};
        for (size_t index = 0; index < pending->feed_count;) {
            struct share share = share_from(pending, index);
            if (share.bytes > most.bytes)
                most = share;
            index = share.end;
        }
        evict_furthest(pending, most.largest);
    }
}

/* ---- Putting in ------------------------------------------------------------- */

/* Room for one more feed of the key: the one with the fewest batches gives way, since
 * a newcomer may be what others wait for, and it costs the least to bring again. */
static void make_room_for_feed(struct pending *pending, const struct crdt_origin *origin)
{
    size_t index = find(pending, origin);
    bool has_other = index < pending->feed_count
        && memcmp(pending->feeds[index].origin.key, origin->key, CRDT_KEY_BYTES) == 0;
    has_other = has_other
        || (index > 0
            && memcmp(pending->feeds[index - 1].origin.key, origin->key, CRDT_KEY_BYTES) == 0);
    if (!has_other)
        return;
    struct share share = share_of(pending, origin);
    if (share.end - share.first < PENDING_KEY_FEEDS_MAX)
        return;
    for (size_t count = pending->feeds[share.shortest].count; count > 0; count--)
        evict_furthest(pending, share.shortest);
}

/* The place of the feed, made if need be, with room for one more batch; SIZE_MAX when
 * memory is out. */
static size_t make(struct pending *pending, const struct crdt_origin *origin)
{
    size_t index = pending_find(pending, origin);
    struct pending_feed feed = {.origin = *origin};
    if (index != SIZE_MAX)
        feed = pending->feeds[index];
    void *items = feed.items;
    bool is_grown = memory_grow(
        pending->memory, &items, &feed.capacity, feed.count + 1, sizeof *feed.items);
    feed.items = items;
    if (index != SIZE_MAX) {
        pending->feeds[index] = feed;
        return is_grown ? index : SIZE_MAX;
    }
    make_room_for_feed(pending, origin);
    void *feeds = pending->feeds;
    is_grown = is_grown
        && memory_grow(pending->memory, &feeds, &pending->feed_capacity,
            pending->feed_count + 1, sizeof *pending->feeds);
    pending->feeds = feeds;
    if (!is_grown) {
        free_items(pending, &feed);
        return SIZE_MAX;
    }
    index = find(pending, origin);
    memmove(pending->feeds + index + 1, pending->feeds + index,
        (pending->feed_count - index) * sizeof *pending->feeds);
    pending->feeds[index] = feed;
    pending->feed_count++;
    return index;
}

void pending_add(struct pending *pending, struct held *held)
{
    size_t cost = held_cost(held);
    struct crdt_origin origin = held->batch.origin;
    size_t index = cost > pending->bytes_max || pending_has(pending, &held->batch)
        ? SIZE_MAX : make(pending, &origin);
    if (index == SIZE_MAX) {
        held_free(pending->memory, held);
        return;
    }
    struct pending_feed *feed = &pending->feeds[index];
    size_t place = place_in(feed, &held->batch);
    memmove(feed->items + place + 1, feed->items + place,
        (feed->count - place) * sizeof *feed->items);
    feed->items[place] = held;
    feed->count++;
    feed->bytes += cost;
    pending->bytes += cost;
    struct share share = share_of(pending, &origin);
    if (share.count > PENDING_KEY_BATCHES_MAX)
        evict_furthest(pending, share.longest);
    keep_bytes_bounded(pending);
}

/* ---- What comes next -------------------------------------------------------- */

bool pending_trim(struct pending *pending, size_t index, uint64_t applied)
{
    assert(index < pending->feed_count);
    struct crdt_origin origin = pending->feeds[index].origin;
    while (is_at(pending, index, &origin)) {
        if (pending->feeds[index].items[0]->batch.last_seq > applied)
            return true;
        held_free(pending->memory, pending_take(pending, index, 0));
    }
    return false;
}

size_t pending_ready(const struct pending *pending, size_t index, uint64_t applied)
{
    assert(index < pending->feed_count);
    static const uint8_t least[CRDT_HASH_BYTES];
    return place_of(&pending->feeds[index], applied + 2, least, NULL, false);
}

uint64_t pending_reach(
    const struct pending *pending, size_t index, uint64_t applied, uint64_t peers)
{
    assert(index < pending->feed_count);
    const struct pending_feed *feed = &pending->feeds[index];
    for (size_t place = 0; place < feed->count; place++) {
        const struct crdt_batch *batch = &feed->items[place]->batch;
        if (batch->first_seq > applied + 1)
            break;
        if (batch->last_seq > applied && (feed->items[place]->peers & peers) != 0)
            applied = batch->last_seq;
    }
    return applied;
}

/* ---- Histories -------------------------------------------------------------- */

const struct held *pending_rival(
    const struct pending *pending, const struct crdt_batch *batch)
{
    size_t index = pending_find(pending, &batch->origin);
    if (index == SIZE_MAX)
        return NULL;
    const struct pending_feed *feed = &pending->feeds[index];
    for (size_t place = 0; place < feed->count; place++) {
        if (evidence_contradicts(&feed->items[place]->batch, batch))
            return feed->items[place];
    }
    return NULL;
}

void pending_credit(struct pending *pending, const struct crdt_batch *batch, uint64_t peers)
{
    const struct crdt_origin origin = batch->origin;
    size_t index = pending_find(pending, &origin);
    size_t place = 0;
    while (is_at(pending, index, &origin) && place < pending->feeds[index].count) {
        struct held *held = pending->feeds[index].items[place];
        uint64_t before = held->peers;
        if (memcmp(held->batch.head, batch->head, CRDT_HASH_BYTES) == 0)
            held->peers |= peers;
        else if (evidence_contradicts(&held->batch, batch))
            held->peers &= ~peers;
        if (held->peers != before)
            pending->news++;
        if (held->peers == 0 && !held->is_vouched)
            held_free(pending->memory, pending_take(pending, index, place));
        else
            place++;
    }
}
