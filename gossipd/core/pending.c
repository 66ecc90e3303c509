#include "gossipd/core/pending.h"

#include "gossipd/core/memory.h"

#include <assert.h>
#include <string.h>

void pending_init(struct pending *pending, const struct crdt_memory *memory, size_t bytes_max)
{
    *pending = (struct pending){.memory = memory, .bytes_max = bytes_max};
}

void pending_close(struct pending *pending)
{
    for (size_t index = 0; index < pending->feed_count; index++) {
        while (pending->feeds[index].first != NULL) {
            struct held *held = pending->feeds[index].first;
            pending->feeds[index].first = held->next;
            held_free(pending->memory, held);
        }
    }
    memory_free(pending->memory, pending->feeds,
        pending->feed_capacity * sizeof *pending->feeds);
    pending->feeds = NULL;
    pending->feed_count = 0;
    pending->feed_capacity = 0;
}

/* The place of the feed, or where it would have to be put. */
static size_t find(const struct pending *pending, const struct crdt_origin *origin)
{
    size_t index = 0;
    while (index < pending->feed_count
        && crdt_origin_compare(&pending->feeds[index].origin, origin) < 0)
        index++;
    return index;
}

static bool is_at(const struct pending *pending, size_t index, const struct crdt_origin *origin)
{
    return index < pending->feed_count
        && crdt_origin_compare(&pending->feeds[index].origin, origin) == 0;
}

/* The place of the feed, made if need be; SIZE_MAX when memory is out. */
static size_t make(struct pending *pending, const struct crdt_origin *origin)
{
    size_t index = find(pending, origin);
    if (is_at(pending, index, origin))
        return index;
    void *feeds = pending->feeds;
    bool is_grown = memory_grow(pending->memory, &feeds, &pending->feed_capacity,
        pending->feed_count + 1, sizeof *pending->feeds);
    pending->feeds = feeds;
    if (!is_grown)
        return SIZE_MAX;
    memmove(pending->feeds + index + 1, pending->feeds + index,
        (pending->feed_count - index) * sizeof *pending->feeds);
    pending->feeds[index] = (struct pending_feed){.origin = *origin};
    pending->feed_count++;
    return index;
}

/* Takes what `place` points to out of feed `index`. */
static struct held *unlink_at(struct pending *pending, size_t index, struct held **place)
{
    struct pending_feed *feed = &pending->feeds[index];
    struct held *held = *place;
    *place = held->next;
    held->next = NULL;
    feed->bytes -= held->batch.bytes.size;
    pending->bytes -= held->batch.bytes.size;
    if (feed->first == NULL) {
        pending->feed_count--;
        memmove(feed, feed + 1, (pending->feed_count - index) * sizeof *feed);
    }
    return held;
}

static void evict_furthest(struct pending *pending)
{
    size_t largest = 0;
    for (size_t index = 1; index < pending->feed_count; index++) {
        if (pending->feeds[index].bytes > pending->feeds[largest].bytes)
            largest = index;
    }
    struct held **place = &pending->feeds[largest].first;
    while ((*place)->next != NULL)
        place = &(*place)->next;
    held_free(pending->memory, unlink_at(pending, largest, place));
    pending->evicted++;
}

void pending_add(struct pending *pending, struct held *held)
{
    size_t size = held->batch.bytes.size;
    size_t index = size > pending->bytes_max || pending_has(pending, &held->batch)
        ? SIZE_MAX : make(pending, &held->batch.origin);
    if (index == SIZE_MAX) {
        held_free(pending->memory, held);
        return;
    }
    struct pending_feed *feed = &pending->feeds[index];
    struct held **place = &feed->first;
    while (*place != NULL && (*place)->batch.first_seq <= held->batch.first_seq)
        place = &(*place)->next;
    held->next = *place;
    *place = held;
    feed->bytes += size;
    pending->bytes += size;
    while (pending->bytes > pending->bytes_max)
        evict_furthest(pending);
}

bool pending_has(const struct pending *pending, const struct crdt_batch *batch)
{
    size_t index = find(pending, &batch->origin);
    if (!is_at(pending, index, &batch->origin))
        return false;
    const struct held *held = pending->feeds[index].first;
    while (held != NULL && held->batch.first_seq < batch->first_seq)
        held = held->next;
    while (held != NULL && held->batch.first_seq == batch->first_seq) {
        if (memcmp(held->batch.head, batch->head, sizeof batch->head) == 0)
            return true;
        held = held->next;
    }
    return false;
}

/* Of histories of a forked origin the one that is vouched for goes first. */
static void prefer_vouched(struct pending_feed *feed, uint64_t applied)
{
    struct held **place = &feed->first;
    while (*place != NULL && (*place)->batch.first_seq <= applied + 1
        && !((*place)->is_vouched && (*place)->batch.last_seq > applied))
        place = &(*place)->next;
    struct held *held = *place;
    if (held == NULL || held->batch.first_seq > applied + 1)
        return;
    *place = held->next;
    held->next = feed->first;
    feed->first = held;
}

struct held *pending_next(struct pending *pending, size_t index, uint64_t applied)
{
    assert(index < pending->feed_count);
    struct crdt_origin origin = pending->feeds[index].origin;
    prefer_vouched(&pending->feeds[index], applied);
    while (is_at(pending, index, &origin)) {
        struct held *first = pending->feeds[index].first;
        if (first->batch.last_seq > applied)
            return first->batch.first_seq <= applied + 1 ? first : NULL;
        held_free(pending->memory, unlink_at(pending, index, &pending->feeds[index].first));
    }
    return NULL;
}

uint64_t pending_reach(const struct pending *pending, size_t index, uint64_t applied)
{
    assert(index < pending->feed_count);
    const struct held *held = pending->feeds[index].first;
    for (; held != NULL && held->batch.first_seq <= applied + 1; held = held->next) {
        if (held->batch.last_seq > applied)
            applied = held->batch.last_seq;
    }
    return applied;
}

struct held *pending_take(struct pending *pending, size_t index)
{
    assert(index < pending->feed_count);
    return unlink_at(pending, index, &pending->feeds[index].first);
}
