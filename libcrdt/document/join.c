/* Joining a snapshot (invariant I7): it is staged as a document of its own, and
 * then, in one step against the S and C of this moment,
 *
 *     S := {s in S: name in S0 or name not in C0} + {s in S0: name not in C}
 *
 * with the greater version where both have the name; C := C v C0. The optimised
 * OR-Set of Bieniusa et al. 2012, for every type, under one context. */
#include <string.h>

#include "libcrdt/base/memory.h"
#include "libcrdt/document/apply.h"
#include "libcrdt/document/merge.h"
#include "libcrdt/document/node.h"
#include "libcrdt/document/snapshot.h"
#include "libcrdt/document/walk.h"

struct joining {
    struct crdt_document *document;
    struct crdt_document *staged;
    size_t *ours;            /* our number of each staged feed                      */
    size_t *theirs;          /* the staged number of each of our feeds, or NONE     */
    size_t our_count;
};

/* Whether the staged feed can stand in the history that was applied here: where
 * it ends, a batch must have ended, with its head. */
static bool agrees(const struct crdt_feed_state *our, const struct crdt_feed_state *their)
{
    const uint8_t *head;
    enum crdt_place place = crdt_feeds_head_at(our, their->seq, &head);
    if (place == CRDT_PLACE_KNOWN)
        return memcmp(head, their->head, CRDT_HASH_BYTES) == 0;
    return place == CRDT_PLACE_FORGOTTEN;
}

/* Whether what the staged tips depend on can have been applied in the histories
 * that are known here. */
static bool deps_agree(const struct joining *joining)
{
    const struct crdt_feeds *staged = &joining->staged->feeds;
    for (size_t i = 0; i < staged->count; i++) {
        const struct crdt_deps *deps = staged->items[i].deps;
        for (size_t j = 0; deps != NULL && j < deps->count; j++) {
            size_t feed = joining->ours[crdt_dot_feed(deps->dots[j])];
            const uint8_t *head;
            if (crdt_feeds_head_at(&joining->document->feeds.items[feed],
                    crdt_dot_seq(deps->dots[j]), &head) == CRDT_PLACE_INSIDE)
                return false;
        }
    }
    return true;
}

/* Numbers the staged feeds here, and sees whether the histories agree. */
static enum crdt_status map_feeds(struct joining *joining)
{
    struct crdt_document *document = joining->document;
    const struct crdt_feeds *staged = &joining->staged->feeds;
    struct crdt_origin self = crdt_self(document);
    for (size_t i = 0; i < staged->count; i++) {
        const struct crdt_feed_state *their = &staged->items[i];
        enum crdt_status status =
            crdt_feeds_ensure(document, &their->origin, &joining->ours[i]);
        if (status != CRDT_OK)
            return status;
        const struct crdt_feed_state *our = &document->feeds.items[joining->ours[i]];
        if (document->generation != 0 && crdt_origin_compare(&self, &their->origin) == 0 &&
            their->seq > our->seq)
            return CRDT_ERR_AMNESIA;
        if (!agrees(our, their))
            return CRDT_ERR_FORK;
    }
    if (!deps_agree(joining))
        return CRDT_ERR_FORK;
    joining->our_count = document->feeds.count;
    joining->theirs = crdt_memory_new(
        crdt_memory_of(document), (joining->our_count + 1) * sizeof *joining->theirs);
    if (joining->theirs == NULL)
        return CRDT_ERR_NOMEM;
    for (size_t i = 0; i < joining->our_count; i++)
        joining->theirs[i] = CRDT_FEED_NONE;
    for (size_t i = 0; i < staged->count; i++)
        joining->theirs[joining->ours[i]] = i;
    return CRDT_OK;
}

/* The staged counterpart of a dot of ours; 0 when their context lacks it. */
static crdt_packed_dot staged_dot(const struct joining *joining, crdt_packed_dot dot)
{
    size_t feed = joining->theirs[crdt_dot_feed(dot)];
    uint64_t seq = crdt_dot_seq(dot);
    if (feed == CRDT_FEED_NONE || seq > joining->staged->feeds.items[feed].seq)
        return 0;
    return crdt_pack(feed, seq);
}

/* Staged dots stand as the snapshot has them: feeds in the order of origins, the
 * dots of a value in theirs. `first` is the first of `count`, `stride` bytes
 * apart. Gives the index of `dot`, or SIZE_MAX. */
static size_t find_staged(
    const crdt_packed_dot *first, size_t count, size_t stride, crdt_packed_dot dot)
{
    uint64_t order = crdt_dot_order(crdt_dot_feed(dot), dot);
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        crdt_packed_dot found;
        memcpy(&found, (const uint8_t *)first + middle * stride, sizeof found);
        if (found == dot)
            return middle;
        if (crdt_dot_order(crdt_dot_feed(found), found) < order)
            low = middle + 1;
        else
            high = middle;
    }
    return SIZE_MAX;
}

static size_t find_entry(
    const struct crdt_leaf_entry *entries, size_t count, crdt_packed_dot dot)
{
    return find_staged(&entries->dot, count, sizeof *entries, dot);
}

static bool has_dot(const struct joining *joining, const struct crdt_node *node,
    const struct crdt_key *element, crdt_packed_dot dot)
{
    if (node == NULL)
        return false;
    if (node->type != CRDT_SET)
        return find_entry(node->leaf.entries, node->leaf.count, dot) != SIZE_MAX;
    size_t index = crdt_table_find(
        &node->table, &joining->staged->context, crdt_key_bytes(element));
    if (index == CRDT_TABLE_NONE)
        return false;
    const crdt_packed_dot *dots;
    size_t count = crdt_element_dots(&node->table.items[index], &dots);
    return find_staged(dots, count, sizeof *dots, dot) != SIZE_MAX;
}

/* Their context covers it and they do not have it: they saw it die. */
static bool dooms_dead(const void *context, const struct crdt_node *node,
    const struct crdt_node *other, const struct crdt_key *element, crdt_packed_dot dot)
{
    (void)node;
    const struct joining *joining = context;
    crdt_packed_dot theirs = staged_dot(joining, dot);
    return theirs != 0 && !has_dot(joining, other, element, theirs);
}

static enum crdt_status drop_dead(struct joining *joining)
{
    enum crdt_status status = CRDT_OK;
    struct crdt_node *node = joining->document->roots;
    while (node != NULL && status == CRDT_OK) {
        struct crdt_node *next = node->next;
        status = crdt_sweep(joining->document, node,
            crdt_chain_find(joining->staged->roots, node->type), joining->staged, dooms_dead,
            joining);
        node = next;
    }
    return status;
}

/* Our name of a staged dot that is news here; 0 when C covers it. */
static crdt_packed_dot fresh_dot(const struct joining *joining, crdt_packed_dot theirs)
{
    size_t feed = joining->ours[crdt_dot_feed(theirs)];
    uint64_t seq = crdt_dot_seq(theirs);
    return seq > joining->document->feeds.items[feed].seq ? crdt_pack(feed, seq) : 0;
}

static enum crdt_status take_element(
    struct joining *joining, const struct crdt_walked *walked)
{
    struct crdt_document *document = joining->document;
    const struct crdt_memory *memory = crdt_memory_of(document);
    crdt_packed_dot *fresh = crdt_memory_new(memory, walked->count * sizeof *fresh);
    if (fresh == NULL)
        return CRDT_ERR_NOMEM;
    size_t count = 0;
    for (size_t i = 0; i < walked->count; i++) {
        fresh[count] = fresh_dot(joining, walked->entries[i].dot);
        count += fresh[count] != 0;
    }
    struct crdt_path path = {walked->keys, walked->key_count - 1};
    struct crdt_node *set = NULL;
    enum crdt_status status = CRDT_OK;
    if (count > 0)
        status = crdt_node_ensure(document, path, CRDT_SET, &set);
    if (count > 0 && status == CRDT_OK)
        status = crdt_element_extend(
            document, set, walked->keys[walked->key_count - 1], fresh, count);
    crdt_memory_free(memory, fresh, walked->count * sizeof *fresh);
    return status;
}

static enum crdt_status take_leaf_entry(struct joining *joining,
    const struct crdt_walked *walked, const struct crdt_leaf_entry *theirs, crdt_packed_dot dot)
{
    struct crdt_document *document = joining->document;
    struct crdt_path path = {walked->keys, walked->key_count};
    struct crdt_leaf_entry entry = *theirs;
    entry.dot = dot;
    struct crdt_node *node;
    enum crdt_status status = crdt_node_ensure(document, path, walked->type, &node);
    if (status == CRDT_OK && walked->type == CRDT_REGISTER) {
        crdt_hlc_see(&document->hlc, entry.stamp);
        entry.value =
            crdt_key_new(crdt_memory_of(document), crdt_key_bytes(theirs->value));
        if (entry.value == NULL)
            return CRDT_ERR_NOMEM;
    }
    if (status != CRDT_OK)
        return status;
    status = crdt_leaf_add(document, node, &entry);
    if (status != CRDT_OK && walked->type == CRDT_REGISTER)
        crdt_key_free(crdt_memory_of(document), entry.value);
    return status;
}

/* Whether a fold changed an entry there that is known here: an unfolded one has
 * the least version there is. */
static bool has_folded(const struct joining *joining, const struct crdt_walked *walked)
{
    for (size_t i = 0; i < walked->count; i++) {
        const struct crdt_leaf_entry *theirs = &walked->entries[i];
        if (theirs->stamp > crdt_dot_seq(theirs->dot) && fresh_dot(joining, theirs->dot) == 0)
            return true;
    }
    return false;
}

/* Both have the name: the one that was folded later has the greater version. */
static enum crdt_status take_versions(
    struct joining *joining, const struct crdt_walked *walked)
{
    struct crdt_path path = {walked->keys, walked->key_count};
    struct crdt_node *node = crdt_node_at(joining->document, path, walked->type);
    enum crdt_status status = CRDT_OK;
    for (size_t i = 0; node != NULL && i < node->leaf.count && status == CRDT_OK; i++) {
        const struct crdt_leaf_entry *ours = &node->leaf.entries[i];
        crdt_packed_dot dot = staged_dot(joining, ours->dot);
        size_t index = dot == 0 ? SIZE_MAX : find_entry(walked->entries, walked->count, dot);
        if (index != SIZE_MAX && walked->entries[index].stamp > ours->stamp)
            status = crdt_leaf_set(joining->document, node, i, walked->entries[index].stamp,
                walked->entries[index].amount);
    }
    return status;
}

static enum crdt_status take_value(void *context, const struct crdt_walked *walked)
{
    struct joining *joining = context;
    if (walked->has_element)
        return take_element(joining, walked);
    enum crdt_status status = CRDT_OK;
    if (crdt_type_is_counter(walked->type) && has_folded(joining, walked))
        status = take_versions(joining, walked);
    for (size_t i = 0; i < walked->count && status == CRDT_OK; i++) {
        crdt_packed_dot dot = fresh_dot(joining, walked->entries[i].dot);
        if (dot != 0)
            status = take_leaf_entry(joining, walked, &walked->entries[i], dot);
    }
    return status;
}

/* C := C v C0, and the tips likewise. */
static enum crdt_status advance_feeds(struct joining *joining)
{
    struct crdt_document *document = joining->document;
    const struct crdt_feeds *staged = &joining->staged->feeds;
    for (size_t i = 0; i < staged->count; i++) {
        const struct crdt_feed_state *their = &staged->items[i];
        if (their->seq <= document->feeds.items[joining->ours[i]].seq)
            continue;
        struct crdt_advance advance = {
            .feed = joining->ours[i], .has_skipped = true, .seq = their->seq, .head = their->head};
        if (their->deps != NULL) {
            advance.deps = crdt_deps_new(document, their->deps->count);
            if (advance.deps == NULL)
                return CRDT_ERR_NOMEM;
            for (size_t j = 0; j < their->deps->count; j++)
                advance.deps->dots[j] =
                    crdt_pack(joining->ours[crdt_dot_feed(their->deps->dots[j])],
                        crdt_dot_seq(their->deps->dots[j]));
        }
        enum crdt_status status = crdt_feeds_advance(document, &advance, NULL);
        if (status != CRDT_OK) {
            crdt_deps_free(document, advance.deps);
            return status;
        }
    }
    return CRDT_OK;
}

/* The floors to raise when the join is final: to C0 where it brought operations
 * whose records did not come along. Of other feeds the log is whole as it is. */
static enum crdt_status note_floors(const struct joining *joining, struct crdt_join *join)
{
    join->floors = crdt_memory_new(crdt_memory_of(joining->document),
        (joining->our_count + 1) * sizeof *join->floors);
    if (join->floors == NULL)
        return CRDT_ERR_NOMEM;
    join->count = joining->our_count;
    for (size_t i = 0; i < join->count; i++) {
        size_t feed = joining->theirs[i];
        uint64_t seq =
            feed == CRDT_FEED_NONE ? 0 : joining->staged->feeds.items[feed].seq;
        join->floors[i] = seq > joining->document->feeds.items[i].seq ? seq : 0;
    }
    return CRDT_OK;
}

static enum crdt_status join_staged(struct joining *joining, struct crdt_join *ret_join)
{
    const struct crdt_memory *memory = crdt_memory_of(joining->document);
    size_t count = joining->staged->feeds.count;
    joining->ours = crdt_memory_new(memory, (count + 1) * sizeof *joining->ours);
    if (joining->ours == NULL)
        return CRDT_ERR_NOMEM;
    enum crdt_status status = map_feeds(joining);
    if (status == CRDT_OK)
        status = drop_dead(joining);
    if (status == CRDT_OK)
        status = crdt_walk(joining->staged, crdt_root(), false, take_value, joining);
    if (status == CRDT_OK)
        status = note_floors(joining, ret_join);
    if (status == CRDT_OK)
        status = advance_feeds(joining);
    crdt_memory_free(memory, joining->ours, (count + 1) * sizeof *joining->ours);
    crdt_memory_free(
        memory, joining->theirs, (joining->our_count + 1) * sizeof *joining->theirs);
    return status;
}

enum crdt_status crdt_join_snapshot(
    struct crdt_document *document, struct crdt_bytes snapshot, struct crdt_join *ret_join)
{
    struct crdt_options options = document->options;
    options.changed = NULL;
    struct joining joining = {.document = document};
    enum crdt_status status = crdt_load(&options, snapshot, &joining.staged);
    if (status != CRDT_OK)
        return status;
    status = join_staged(&joining, ret_join);
    crdt_close(joining.staged);
    return status;
}

void crdt_join_settle(struct crdt_document *document, struct crdt_join *join)
{
    for (size_t i = 0; i < join->count; i++)
        if (join->floors[i] > 0)
            crdt_feeds_drop(document, i, join->floors[i], true);
}

void crdt_join_close(struct crdt_document *document, struct crdt_join *join)
{
    crdt_memory_free(
        crdt_memory_of(document), join->floors, (join->count + 1) * sizeof *join->floors);
    *join = (struct crdt_join){0};
}
