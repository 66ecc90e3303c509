#include "libcrdt/document/feeds.h"

#include <assert.h>
#include <string.h>

#include "libcrdt/base/memory.h"
#include "libcrdt/document/dot.h"
#include "libcrdt/document/hash.h"

/* The rank of the origin in the sorted order, or where it would go. */
static size_t rank_of(
    const struct crdt_feeds *feeds, const struct crdt_origin *origin, bool *ret_is_there)
{
    size_t low = 0;
    size_t high = feeds->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = crdt_origin_compare(&feeds->items[feeds->order[middle]].origin, origin);
        if (order == 0) {
            *ret_is_there = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_is_there = false;
    return low;
}

size_t crdt_feeds_find(const struct crdt_document *document, const struct crdt_origin *origin)
{
    bool is_there;
    size_t rank = rank_of(&document->feeds, origin, &is_there);
    return is_there ? document->feeds.order[rank] : CRDT_FEED_NONE;
}

enum crdt_status crdt_feeds_ensure(
    struct crdt_document *document, const struct crdt_origin *origin, size_t *ret_feed)
{
    struct crdt_feeds *feeds = &document->feeds;
    const struct crdt_memory *memory = crdt_memory_of(document);
    bool is_there;
    size_t rank = rank_of(feeds, origin, &is_there);
    if (is_there) {
        *ret_feed = feeds->order[rank];
        return CRDT_OK;
    }
    if (feeds->count >= CRDT_ORIGINS_MAX)
        return CRDT_ERR_LIMIT;
    enum crdt_status status = crdt_journal_reserve(document, 1);
    if (status != CRDT_OK)
        return status;
    size_t count = feeds->count + 1;
    if (!crdt_array_reserve(
            memory, &feeds->items, &feeds->capacity, count, sizeof *feeds->items) ||
        !crdt_array_reserve(
            memory, &feeds->order, &feeds->order_capacity, count, sizeof *feeds->order))
        return CRDT_ERR_NOMEM;
    memmove(feeds->order + rank + 1, feeds->order + rank,
        (feeds->count - rank) * sizeof *feeds->order);
    feeds->order[rank] = (uint16_t)feeds->count;
    feeds->items[feeds->count] = (struct crdt_feed_state){.origin = *origin};
    *ret_feed = feeds->count;
    feeds->count = count;
    crdt_journal_add(
        document, &(struct crdt_journal_item){.kind = CRDT_JOURNAL_FEED_ADDED});
    return CRDT_OK;
}

static void free_feed(struct crdt_document *document, struct crdt_feed_state *feed)
{
    const struct crdt_memory *memory = crdt_memory_of(document);
    for (size_t i = 0; i < feed->log_count; i++)
        crdt_memory_free(memory, feed->log[i].bytes, feed->log[i].size);
    crdt_memory_free(memory, feed->log, feed->log_capacity * sizeof *feed->log);
    crdt_memory_free(memory, feed->heads, feed->head_capacity * sizeof *feed->heads);
    crdt_deps_free(document, feed->deps);
}

void crdt_feeds_remove_last(struct crdt_document *document)
{
    struct crdt_feeds *feeds = &document->feeds;
    assert(feeds->count > 0);
    bool is_there;
    size_t rank = rank_of(feeds, &feeds->items[feeds->count - 1].origin, &is_there);
    assert(is_there);
    feeds->count--;
    free_feed(document, &feeds->items[feeds->count]);
    memmove(feeds->order + rank, feeds->order + rank + 1,
        (feeds->count - rank) * sizeof *feeds->order);
}

void crdt_feeds_close(struct crdt_document *document)
{
    struct crdt_feeds *feeds = &document->feeds;
    const struct crdt_memory *memory = crdt_memory_of(document);
    for (size_t i = 0; i < feeds->count; i++)
        free_feed(document, &feeds->items[i]);
    crdt_memory_free(memory, feeds->items, feeds->capacity * sizeof *feeds->items);
    crdt_memory_free(memory, feeds->order, feeds->order_capacity * sizeof *feeds->order);
    *feeds = (struct crdt_feeds){0};
}

/* Room for one more head in the ring and, with `log`, one more item in the log. */
static enum crdt_status reserve(struct crdt_document *document, struct crdt_feed_state *feed,
    const struct crdt_batch *log, uint8_t **ret_bytes)
{
    const struct crdt_memory *memory = crdt_memory_of(document);
    enum crdt_status status = crdt_journal_reserve(document, 1);
    if (status != CRDT_OK)
        return status;
    size_t heads = feed->head_count + 1;
    if (heads > CRDT_HEADS_KEPT_MAX)
        heads = CRDT_HEADS_KEPT_MAX;
    if (!crdt_array_reserve(
            memory, &feed->heads, &feed->head_capacity, heads, sizeof *feed->heads))
        return CRDT_ERR_NOMEM;
    *ret_bytes = NULL;
    if (log == NULL)
        return CRDT_OK;
    if (!crdt_array_reserve(
            memory, &feed->log, &feed->log_capacity, feed->log_count + 1, sizeof *feed->log))
        return CRDT_ERR_NOMEM;
    *ret_bytes = crdt_memory_new(memory, log->bytes.size);
    if (*ret_bytes == NULL)
        return CRDT_ERR_NOMEM;
    memcpy(*ret_bytes, log->bytes.data, log->bytes.size);
    return CRDT_OK;
}

enum crdt_status crdt_feeds_advance(struct crdt_document *document,
    const struct crdt_advance *advance, const struct crdt_batch *log)
{
    struct crdt_feed_state *feed = &document->feeds.items[advance->feed];
    assert(advance->seq > feed->seq);
    uint8_t *bytes;
    enum crdt_status status = reserve(document, feed, log, &bytes);
    if (status != CRDT_OK)
        return status;
    struct crdt_journal_item undo = {.kind = CRDT_JOURNAL_FEED_ADVANCED,
        .index = advance->feed,
        .has_logged = log != NULL,
        .feed = {.deps = feed->deps, .seq = feed->seq}};
    memcpy(undo.feed.head, feed->head, CRDT_HASH_BYTES);
    struct crdt_head *slot = &feed->heads[feed->head_count % CRDT_HEADS_KEPT_MAX];
    if (feed->head_count >= CRDT_HEADS_KEPT_MAX)
        undo.feed.overwritten = *slot;
    slot->seq = feed->seq;
    slot->first_seq = feed->first_seq;
    memcpy(slot->hash, feed->head, CRDT_HASH_BYTES);
    feed->head_count++;
    if (log != NULL)
        feed->log[feed->log_count++] = (struct crdt_log_item){.first_seq = log->first_seq,
            .last_seq = log->last_seq,
            .place = ++document->feeds.place,
            .bytes = bytes,
            .size = log->bytes.size};
    feed->first_seq = advance->has_skipped ? 0 : feed->seq + 1;
    feed->seq = advance->seq;
    memcpy(feed->head, advance->head, CRDT_HASH_BYTES);
    feed->deps = advance->deps;
    document->feeds.version++;
    crdt_journal_add(document, &undo);
    return CRDT_OK;
}

void crdt_feeds_retreat(struct crdt_document *document, struct crdt_journal_item *undo)
{
    struct crdt_feed_state *feed = &document->feeds.items[undo->index];
    if (undo->has_logged) {
        struct crdt_log_item *item = &feed->log[--feed->log_count];
        crdt_memory_free(crdt_memory_of(document), item->bytes, item->size);
    }
    feed->head_count--;
    feed->first_seq = feed->heads[feed->head_count % CRDT_HEADS_KEPT_MAX].first_seq;
    if (feed->head_count >= CRDT_HEADS_KEPT_MAX)
        feed->heads[feed->head_count % CRDT_HEADS_KEPT_MAX] = undo->feed.overwritten;
    crdt_deps_free(document, feed->deps);
    feed->deps = undo->feed.deps;
    feed->seq = undo->feed.seq;
    memcpy(feed->head, undo->feed.head, CRDT_HASH_BYTES);
    document->feeds.version++;
}

/* The heads remembered besides the newest. */
static size_t kept_heads(const struct crdt_feed_state *feed)
{
    return feed->head_count < CRDT_HEADS_KEPT_MAX ? feed->head_count : CRDT_HEADS_KEPT_MAX;
}

/* The `age`-th of them, newest first, from 1. */
static const struct crdt_head *kept_head(const struct crdt_feed_state *feed, size_t age)
{
    return &feed->heads[(feed->head_count - age) % CRDT_HEADS_KEPT_MAX];
}

static enum crdt_place place_before(const struct crdt_feed_state *feed, uint64_t first_seq)
{
    bool is_inside = first_seq > 0 && !feed->is_assumed;
    return is_inside ? CRDT_PLACE_INSIDE : CRDT_PLACE_FORGOTTEN;
}

enum crdt_place crdt_feeds_head_at(
    const struct crdt_feed_state *feed, uint64_t seq, const uint8_t **ret_head)
{
    if (seq > feed->seq)
        return CRDT_PLACE_FORGOTTEN;
    if (seq == feed->seq) {
        *ret_head = feed->head;
        return CRDT_PLACE_KNOWN;
    }
    uint64_t first_seq = feed->first_seq; /* of the batch that ends next after `seq` */
    size_t kept = kept_heads(feed);
    for (size_t age = 1; age <= kept; age++) {
        const struct crdt_head *head = kept_head(feed, age);
        if (head->seq == seq) {
            *ret_head = head->hash;
            return CRDT_PLACE_KNOWN;
        }
        if (head->seq < seq)
            return place_before(feed, first_seq);
        first_seq = head->first_seq;
    }
    return place_before(feed, seq >= first_seq ? first_seq : 0);
}

/* Whether a batch ended here in first_seq .. last_seq - 1. */
static bool ends_within(
    const struct crdt_feed_state *feed, uint64_t first_seq, uint64_t last_seq)
{
    size_t kept = kept_heads(feed);
    for (size_t age = 1; age <= kept && kept_head(feed, age)->seq >= first_seq; age++)
        if (kept_head(feed, age)->seq < last_seq)
            return true;
    return false;
}

bool crdt_feeds_agrees(const struct crdt_feed_state *feed, const struct crdt_batch *batch)
{
    const uint8_t *head;
    enum crdt_place place = crdt_feeds_head_at(feed, batch->last_seq, &head);
    if (place == CRDT_PLACE_KNOWN)
        return memcmp(head, batch->head, CRDT_HASH_BYTES) == 0;
    if (place == CRDT_PLACE_INSIDE)
        return false;
    if (feed->is_assumed)
        return true;
    /* Its end is forgotten or was skipped: its beginning may be remembered. */
    if (ends_within(feed, batch->first_seq, batch->last_seq))
        return false;
    if (batch->first_seq == 1)
        return true;
    place = crdt_feeds_head_at(feed, batch->first_seq - 1, &head);
    if (place == CRDT_PLACE_KNOWN)
        return memcmp(head, batch->previous, CRDT_HASH_BYTES) == 0;
    return place == CRDT_PLACE_FORGOTTEN;
}

void crdt_feeds_drop(
    struct crdt_document *document, size_t feed_index, uint64_t seq, bool is_exact)
{
    const struct crdt_memory *memory = crdt_memory_of(document);
    struct crdt_feed_state *feed = &document->feeds.items[feed_index];
    size_t dropped = 0;
    while (dropped < feed->log_count && feed->log[dropped].last_seq <= seq) {
        if (feed->log[dropped].last_seq > feed->floor)
            feed->floor = feed->log[dropped].last_seq;
        crdt_memory_free(memory, feed->log[dropped].bytes, feed->log[dropped].size);
        dropped++;
    }
    if (is_exact && seq > feed->floor)
        feed->floor = seq;
    if (dropped == 0)
        return;
    feed->log_count -= dropped;
    memmove(feed->log, feed->log + dropped, feed->log_count * sizeof *feed->log);
    if (feed->log_count == 0) {
        crdt_memory_free(memory, feed->log, feed->log_capacity * sizeof *feed->log);
        feed->log = NULL;
        feed->log_capacity = 0;
    }
}

/* ---- deps ---- */

static size_t deps_bytes(size_t count)
{
    return sizeof(struct crdt_deps) + count * sizeof(crdt_packed_dot);
}

struct crdt_deps *crdt_deps_new(const struct crdt_document *document, size_t count)
{
    struct crdt_deps *deps = crdt_memory_new(crdt_memory_of(document), deps_bytes(count));
    if (deps != NULL)
        deps->count = count;
    return deps;
}

void crdt_deps_free(const struct crdt_document *document, struct crdt_deps *deps)
{
    if (deps != NULL)
        crdt_memory_free(crdt_memory_of(document), deps, deps_bytes(deps->count));
}

uint64_t crdt_deps_seq(const struct crdt_deps *deps, size_t feed)
{
    for (size_t i = 0; deps != NULL && i < deps->count; i++)
        if (crdt_dot_feed(deps->dots[i]) == feed)
            return crdt_dot_seq(deps->dots[i]);
    return 0;
}

enum crdt_status crdt_deps_current(const struct crdt_document *document,
    const struct crdt_deps *base, struct crdt_deps **ret_deps)
{
    const struct crdt_feeds *feeds = &document->feeds;
    size_t count = 0;
    for (size_t i = 0; i < feeds->count; i++)
        count += i != document->self && feeds->items[i].seq > 0;
    if (count == 0) {
        *ret_deps = NULL;
        return CRDT_OK;
    }
    struct crdt_deps *deps = crdt_deps_new(document, count);
    bool *is_listed = crdt_memory_new(crdt_memory_of(document), feeds->count);
    if (deps == NULL || is_listed == NULL) {
        crdt_deps_free(document, deps);
        crdt_memory_free(crdt_memory_of(document), is_listed, feeds->count);
        return CRDT_ERR_NOMEM;
    }
    memset(is_listed, 0, feeds->count);
    is_listed[document->self] = true;
    size_t filled = 0;
    for (size_t i = 0; base != NULL && i < base->count; i++) {
        size_t feed = crdt_dot_feed(base->dots[i]);
        is_listed[feed] = true;
        deps->dots[filled++] = crdt_pack(feed, feeds->items[feed].seq);
    }
    for (size_t rank = 0; rank < feeds->count && filled < count; rank++) {
        size_t feed = crdt_feeds_ranked(document, rank);
        if (!is_listed[feed] && feeds->items[feed].seq > 0)
            deps->dots[filled++] = crdt_pack(feed, feeds->items[feed].seq);
    }
    assert(filled == count);
    crdt_memory_free(crdt_memory_of(document), is_listed, feeds->count);
    *ret_deps = deps;
    return CRDT_OK;
}

enum crdt_status crdt_deps_write(const struct crdt_document *document,
    const struct crdt_deps *base, const struct crdt_deps *deps, struct crdt_buffer *buffer)
{
    size_t base_count = base == NULL ? 0 : base->count;
    size_t count = deps == NULL ? 0 : deps->count;
    assert(base_count <= count);
    size_t increased = 0;
    for (size_t i = 0; i < base_count; i++)
        increased += deps->dots[i] != base->dots[i];
    enum crdt_status status = crdt_write_uint(buffer, increased);
    for (size_t i = 0; i < base_count && status == CRDT_OK; i++) {
        if (deps->dots[i] == base->dots[i])
            continue;
        assert(crdt_dot_feed(deps->dots[i]) == crdt_dot_feed(base->dots[i]));
        status = crdt_write_uint(buffer, i);
        if (status == CRDT_OK)
            status = crdt_write_uint(
                buffer, crdt_dot_seq(deps->dots[i]) - crdt_dot_seq(base->dots[i]));
    }
    if (status == CRDT_OK)
        status = crdt_write_uint(buffer, count - base_count);
    for (size_t i = base_count; i < count && status == CRDT_OK; i++)
        status = crdt_dot_write(buffer,
            &document->feeds.items[crdt_dot_feed(deps->dots[i])].origin,
            crdt_dot_seq(deps->dots[i]));
    return status;
}

/* The worst of what is remembered of the entries; the hash with KNOWN. */
static enum crdt_place look_at_deps(const struct crdt_document *document,
    const struct crdt_deps *deps, uint8_t ret_hash[static CRDT_DEPS_HASH_BYTES])
{
    enum crdt_place worst = CRDT_PLACE_KNOWN;
    struct crdt_hash hash;
    crdt_hash_init(&hash, CRDT_DEPS_HASH_BYTES);
    for (size_t i = 0; deps != NULL && i < deps->count; i++) {
        const struct crdt_feed_state *feed =
            &document->feeds.items[crdt_dot_feed(deps->dots[i])];
        uint64_t seq = crdt_dot_seq(deps->dots[i]);
        const uint8_t *head;
        enum crdt_place place = crdt_feeds_head_at(feed, seq, &head);
        if (place > worst)
            worst = place;
        if (worst != CRDT_PLACE_KNOWN)
            continue;
        crdt_hash_add_origin(&hash, &feed->origin);
        crdt_hash_add_number(&hash, seq);
        crdt_hash_add(&hash, head, CRDT_HASH_BYTES);
    }
    if (worst == CRDT_PLACE_KNOWN)
        crdt_hash_finish(&hash, ret_hash, CRDT_DEPS_HASH_BYTES);
    return worst;
}

bool crdt_deps_hash(const struct crdt_document *document, const struct crdt_deps *deps,
    uint8_t ret_hash[static CRDT_DEPS_HASH_BYTES])
{
    return look_at_deps(document, deps, ret_hash) == CRDT_PLACE_KNOWN;
}

bool crdt_deps_agree(const struct crdt_document *document, const struct crdt_deps *deps,
    const uint8_t hash[static CRDT_DEPS_HASH_BYTES])
{
    uint8_t ours[CRDT_DEPS_HASH_BYTES];
    enum crdt_place place = look_at_deps(document, deps, ours);
    if (place == CRDT_PLACE_KNOWN)
        return memcmp(ours, hash, sizeof ours) == 0;
    return place == CRDT_PLACE_FORGOTTEN;
}
