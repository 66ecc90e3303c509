#include "libcrdt/document/walk.h"

#include <assert.h>

#include "libcrdt/base/buffer.h"
#include "libcrdt/base/memory.h"
#include "libcrdt/base/sort.h"
#include "libcrdt/document/feeds.h"
#include "libcrdt/document/node.h"

/* A map whose items are being visited. */
struct frame {
    const struct crdt_table *table;
    struct crdt_sort_item *order; /* indexes of items, sorted; NULL: as they are    */
    size_t next;
    struct crdt_node *chain; /* of the item at hand                                 */
    int type;               /* of the chain to visit next                           */
};

struct walk {
    const struct crdt_document *document;
    bool is_canonical;
    crdt_walk_visit *visit;
    void *context;
    uint16_t *ranks;        /* of feeds, in the order of origins                    */
    struct crdt_leaf_entry *entries; /* sorted, or an element's                     */
    size_t entry_capacity;
    size_t expected;        /* index of the furthest item asked for in advance      */
    struct crdt_bytes keys[CRDT_DEPTH_MAX + 1];
    size_t key_count;
    struct frame stack[CRDT_DEPTH_MAX + 2];
    size_t depth;
};

static int compare_items(const void *context, uint64_t a, uint64_t b)
{
    const struct crdt_table_item *items = context;
    return crdt_bytes_compare(crdt_key_bytes(items[a].key), crdt_key_bytes(items[b].key));
}

/* How many first bytes all keys of the table share. */
static size_t common_prefix_bytes(const struct crdt_table *table)
{
    struct crdt_bytes first = crdt_key_bytes(table->items[0].key);
    const uint8_t *data = first.data;
    size_t common = first.size;
    for (size_t i = 1; i < table->count && common > 0; i++) {
        const struct crdt_key *key = table->items[i].key;
        if (key->size < common)
            common = key->size;
        size_t same = 0;
        while (same < common && key->data[same] == data[same])
            same++;
        common = same;
    }
    return common;
}

/* The bytes of a key behind the common ones as a number: most keys differ there
 * already. */
static uint64_t rank_of(const struct crdt_key *key, size_t common)
{
    uint64_t rank = 0;
    for (size_t i = 0; i < sizeof rank; i++)
        rank = rank << 8 | (common + i < key->size ? key->data[common + i] : 0);
    return rank;
}

/* The indexes of the items of a table in the order of their keys. */
static enum crdt_status sort_items(const struct walk *walk, const struct crdt_table *table,
    struct crdt_sort_item **ret_order)
{
    const struct crdt_memory *memory = crdt_memory_of(walk->document);
    struct crdt_sort_item *order = crdt_memory_new(memory, table->count * sizeof *order);
    if (order == NULL)
        return CRDT_ERR_NOMEM;
    size_t common = common_prefix_bytes(table);
    for (size_t i = 0; i < table->count; i++)
        order[i] = (struct crdt_sort_item){
            .rank = rank_of(table->items[i].key, common), .value = i};
    enum crdt_status status =
        crdt_sort(memory, order, table->count, compare_items, table->items);
    if (status != CRDT_OK)
        crdt_memory_free(memory, order, table->count * sizeof *order);
    else
        *ret_order = order;
    return status;
}

static void free_order(
    const struct walk *walk, const struct crdt_table *table, struct crdt_sort_item *order)
{
    crdt_memory_free(crdt_memory_of(walk->document), order, table->count * sizeof *order);
}

static enum crdt_status reserve_entries(struct walk *walk, size_t count)
{
    bool has_room = crdt_array_reserve(crdt_memory_of(walk->document), &walk->entries,
        &walk->entry_capacity, count, sizeof *walk->entries);
    return has_room ? CRDT_OK : CRDT_ERR_NOMEM;
}

/* Copies the entries, ordered by (origin, seq), to the front of walk->entries. */
static enum crdt_status sort_entries(
    struct walk *walk, const struct crdt_leaf_entry *entries, size_t count)
{
    const struct crdt_memory *memory = crdt_memory_of(walk->document);
    struct crdt_sort_item *order = crdt_memory_new(memory, count * sizeof *order);
    if (order == NULL)
        return CRDT_ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        crdt_packed_dot dot = entries[i].dot;
        order[i] = (struct crdt_sort_item){
            .rank = crdt_dot_order(walk->ranks[crdt_dot_feed(dot)], dot), .value = i};
    }
    enum crdt_status status = crdt_sort(memory, order, count, NULL, NULL);
    if (status == CRDT_OK)
        status = reserve_entries(walk, count);
    for (size_t i = 0; i < count && status == CRDT_OK; i++)
        walk->entries[i] = entries[order[i].value];
    crdt_memory_free(memory, order, count * sizeof *order);
    return status;
}

static enum crdt_status visit_leaf(struct walk *walk, const struct crdt_node *node)
{
    struct crdt_walked walked = {.keys = walk->keys,
        .key_count = walk->key_count,
        .type = node->type,
        .entries = node->leaf.entries,
        .count = node->leaf.count};
    if (walk->is_canonical && walked.count > 1) {
        enum crdt_status status = sort_entries(walk, node->leaf.entries, walked.count);
        if (status != CRDT_OK)
            return status;
        walked.entries = walk->entries;
    }
    return walk->visit(walk->context, &walked);
}

static enum crdt_status visit_element(struct walk *walk, const struct crdt_table_item *item)
{
    const crdt_packed_dot *dots;
    size_t count = crdt_element_dots(item, &dots);
    struct crdt_leaf_entry one = {.dot = dots[0]};
    walk->keys[walk->key_count] = crdt_key_bytes(item->key);
    struct crdt_walked walked = {.keys = walk->keys,
        .key_count = walk->key_count + 1,
        .has_element = true,
        .type = CRDT_SET,
        .entries = &one,
        .count = count};
    if (count == 1)
        return walk->visit(walk->context, &walked);
    const struct crdt_memory *memory = crdt_memory_of(walk->document);
    struct crdt_leaf_entry *entries = crdt_memory_new(memory, count * sizeof *entries);
    if (entries == NULL)
        return CRDT_ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        entries[i] = (struct crdt_leaf_entry){.dot = dots[i]};
    enum crdt_status status = sort_entries(walk, entries, count);
    walked.entries = walk->entries;
    if (status == CRDT_OK)
        status = walk->visit(walk->context, &walked);
    crdt_memory_free(memory, entries, count * sizeof *entries);
    return status;
}

/* Sorted items lie anywhere in memory. Each step asks for what the next one will
 * read, while the items before are visited. Says how far it has come, because gcc
 * drops the call of a function that does nothing but ask. */
static size_t expect_items(const struct crdt_table *table, enum crdt_type type,
    const struct crdt_sort_item *order, size_t next)
{
    enum { STEP_COUNT = 6 }; /* items visited until memory answers                   */
    size_t far = next + 4 * STEP_COUNT;
    if (order == NULL || far >= table->count)
        return next;
    crdt_memory_expect(&table->items[order[far].value]);
    const struct crdt_table_item *item = &table->items[order[far - STEP_COUNT].value];
    crdt_memory_expect(item->key);
    if (type != CRDT_MAP)
        return far;
    crdt_memory_expect(item->value.block);
    const struct crdt_node *node = table->items[order[far - 2 * STEP_COUNT].value].value.block;
    if (!crdt_node_is_table(node))
        crdt_memory_expect(node->leaf.entries);
    node = table->items[order[far - 3 * STEP_COUNT].value].value.block;
    if (node->type == CRDT_REGISTER)
        crdt_memory_expect(node->leaf.entries[0].value);
    return far;
}

static enum crdt_status visit_set(struct walk *walk, const struct crdt_node *set)
{
    struct crdt_sort_item *order = NULL;
    enum crdt_status status = CRDT_OK;
    if (walk->is_canonical)
        status = sort_items(walk, &set->table, &order);
    for (size_t i = 0; i < set->table.count && status == CRDT_OK; i++) {
        walk->expected = expect_items(&set->table, CRDT_SET, order, i);
        status = visit_element(walk, &set->table.items[order == NULL ? i : order[i].value]);
    }
    free_order(walk, &set->table, order);
    return status;
}

static enum crdt_status push_map(struct walk *walk, const struct crdt_node *map)
{
    struct frame frame = {.table = &map->table, .type = CRDT_TYPE_COUNT};
    if (walk->is_canonical) {
        enum crdt_status status = sort_items(walk, frame.table, &frame.order);
        if (status != CRDT_OK)
            return status;
    }
    assert(walk->depth < CRDT_DEPTH_MAX + 2);
    walk->stack[walk->depth++] = frame;
    walk->key_count++;
    return CRDT_OK;
}

static void pop_map(struct walk *walk)
{
    struct frame *frame = &walk->stack[--walk->depth];
    if (frame->table != NULL)
        free_order(walk, frame->table, frame->order);
    if (walk->key_count > 0)
        walk->key_count--;
}

/* Takes the frame's next item in hand; false when there is none. */
static bool next_item(struct walk *walk, struct frame *frame)
{
    if (frame->table == NULL || frame->next == frame->table->count)
        return false;
    walk->expected = expect_items(frame->table, CRDT_MAP, frame->order, frame->next);
    size_t index = frame->order == NULL ? frame->next : frame->order[frame->next].value;
    const struct crdt_table_item *item = &frame->table->items[index];
    frame->next++;
    frame->chain = item->value.block;
    frame->type = CRDT_REGISTER;
    walk->keys[walk->key_count - 1] = crdt_key_bytes(item->key);
    return true;
}

static enum crdt_status walk_all(struct walk *walk)
{
    enum crdt_status status = CRDT_OK;
    while (walk->depth > 0 && status == CRDT_OK) {
        struct frame *frame = &walk->stack[walk->depth - 1];
        if (frame->type == CRDT_TYPE_COUNT) {
            if (!next_item(walk, frame))
                pop_map(walk);
            continue;
        }
        const struct crdt_node *node =
            crdt_chain_find(frame->chain, (enum crdt_type)frame->type++);
        if (node == NULL)
            continue;
        if (node->type == CRDT_MAP)
            status = push_map(walk, node);
        else if (node->type == CRDT_SET)
            status = visit_set(walk, node);
        else
            status = visit_leaf(walk, node);
    }
    while (walk->depth > 0)
        pop_map(walk);
    return status;
}

enum crdt_status crdt_walk(const struct crdt_document *document, struct crdt_path path,
    bool is_canonical, crdt_walk_visit *visit, void *context)
{
    const struct crdt_memory *memory = crdt_memory_of(document);
    size_t feed_count = document->feeds.count;
    struct crdt_node *chain = crdt_chain_at(document, path);
    if (chain == NULL)
        return CRDT_OK;
    assert(path.count <= CRDT_DEPTH_MAX); /* nothing lives deeper                   */
    struct walk *walk = crdt_memory_new(memory, sizeof *walk);
    uint16_t *ranks = crdt_memory_new(memory, (feed_count + 1) * sizeof *ranks);
    enum crdt_status status = CRDT_ERR_NOMEM;
    if (walk != NULL && ranks != NULL) {
        *walk = (struct walk){.document = document,
            .is_canonical = is_canonical,
            .visit = visit,
            .context = context,
            .ranks = ranks,
            .key_count = path.count,
            .depth = 1};
        for (size_t rank = 0; rank < feed_count; rank++)
            ranks[crdt_feeds_ranked(document, rank)] = (uint16_t)rank;
        for (size_t i = 0; i < path.count; i++)
            walk->keys[i] = path.keys[i];
        walk->stack[0] = (struct frame){.chain = chain, .type = CRDT_REGISTER};
        status = walk_all(walk);
        crdt_memory_free(
            memory, walk->entries, walk->entry_capacity * sizeof *walk->entries);
    }
    crdt_memory_free(memory, walk, sizeof *walk);
    crdt_memory_free(memory, ranks, (feed_count + 1) * sizeof *ranks);
    return status;
}
