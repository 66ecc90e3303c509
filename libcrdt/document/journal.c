#include "libcrdt/document/journal.h"

#include <assert.h>
#include <string.h>

#include "libcrdt/base/buffer.h"
#include "libcrdt/base/memory.h"
#include "libcrdt/document/feeds.h"
#include "libcrdt/document/node.h"

/* A journal that one large change made long is given back. */
enum { JOURNAL_KEEP_COUNT = 256 };

/* Below this a leaf keeps its room: it would soon grow again. */
enum { LEAF_KEEP_COUNT = 16 };

enum crdt_status crdt_journal_reserve(struct crdt_document *document, size_t count)
{
    struct crdt_journal *journal = &document->journal;
    bool has_room = crdt_array_reserve(crdt_memory_of(document), &journal->items,
        &journal->capacity, journal->count + count, sizeof *journal->items);
    return has_room ? CRDT_OK : CRDT_ERR_NOMEM;
}

void crdt_journal_add(struct crdt_document *document, const struct crdt_journal_item *item)
{
    struct crdt_journal *journal = &document->journal;
    assert(journal->count < journal->capacity);
    journal->items[journal->count++] = *item;
}

bool crdt_journal_has_just_added(
    const struct crdt_document *document, const struct crdt_node *node)
{
    const struct crdt_journal *journal = &document->journal;
    if (journal->count == 0)
        return false;
    const struct crdt_journal_item *newest = &journal->items[journal->count - 1];
    return newest->kind == CRDT_JOURNAL_NODE_ADDED && newest->node == node;
}

static void undo_node_added(struct crdt_document *document, struct crdt_node *node)
{
    struct crdt_node *map = node->parent;
    size_t index = map == NULL
        ? CRDT_TABLE_NONE
        : crdt_table_find(&map->table, &document->context, crdt_key_bytes(node->key));
    struct crdt_node *first = map == NULL ? document->roots : map->table.items[index].value.block;
    if (first != node) {
        struct crdt_node *before = first;
        while (before->next != node)
            before = before->next;
        before->next = node->next;
    } else if (map == NULL) {
        document->roots = node->next;
    } else if (node->next != NULL) {
        map->table.items[index].value.block = node->next;
    } else {
        crdt_table_take(&map->table, &document->context, index);
        crdt_key_free(crdt_memory_of(document), node->key);
    }
    crdt_node_free(document, node);
}

static void undo_node_taken(struct crdt_document *document, struct crdt_journal_item *undo)
{
    struct crdt_node *node = undo->node;
    struct crdt_node *map = node->parent;
    if (undo->item.key != NULL) {
        crdt_table_restore(&map->table, &document->context, undo->index, undo->item);
    } else if (map == NULL) {
        node->next = document->roots;
        document->roots = node;
    } else {
        size_t index =
            crdt_table_find(&map->table, &document->context, crdt_key_bytes(node->key));
        node->next = map->table.items[index].value.block;
        map->table.items[index].value.block = node;
    }
}

static void free_many(
    struct crdt_document *document, struct crdt_table_item item, bool has_many)
{
    if (has_many) {
        struct crdt_dots *many = item.value.block;
        crdt_memory_free(crdt_memory_of(document), many,
            sizeof *many + many->count * sizeof many->dots[0]);
    }
}

static void undo_element(struct crdt_document *document, struct crdt_journal_item *undo)
{
    struct crdt_table *table = &undo->node->table;
    if (undo->kind == CRDT_JOURNAL_ELEMENT_ADDED) {
        struct crdt_table_item item =
            crdt_table_take(table, &document->context, table->count - 1);
        free_many(document, item, item.key->has_many);
        crdt_key_free(crdt_memory_of(document), item.key);
    } else if (undo->kind == CRDT_JOURNAL_ELEMENT_TAKEN) {
        crdt_table_restore(table, &document->context, undo->index, undo->item);
    } else {
        struct crdt_table_item *item = &table->items[undo->index];
        free_many(document, *item, item->key->has_many);
        *item = undo->item;
        item->key->has_many = undo->had_many;
    }
}

static void undo_leaf(struct crdt_document *document, struct crdt_journal_item *undo)
{
    struct crdt_leaf *leaf = &undo->node->leaf;
    bool is_counter = crdt_type_is_counter(undo->node->type);
    if (undo->kind == CRDT_JOURNAL_LEAF_TAKEN) {
        assert(leaf->count < leaf->capacity);
        leaf->entries[leaf->count++] = leaf->entries[undo->index];
    } else {
        size_t index = undo->kind == CRDT_JOURNAL_LEAF_ADDED ? --leaf->count : undo->index;
        if (is_counter)
            leaf->sum = crdt_sum_subtract(leaf->sum, leaf->entries[index].amount);
    }
    if (undo->kind != CRDT_JOURNAL_LEAF_ADDED) {
        leaf->entries[undo->index] = undo->entry;
        if (is_counter)
            leaf->sum = crdt_sum_add(leaf->sum, undo->entry.amount);
    } else if (undo->node->type == CRDT_REGISTER) {
        crdt_key_free(crdt_memory_of(document), leaf->entries[leaf->count].value);
    }
}

static void undo_open_deps(struct crdt_document *document, struct crdt_journal_item *undo)
{
    struct crdt_open *open = &document->open;
    crdt_deps_free(document, open->deps);
    open->deps = undo->open.deps;
    memcpy(open->deps_hash, undo->open.hash, CRDT_DEPS_HASH_BYTES);
    open->has_deps = undo->had_deps;
    open->has_current_deps = false; /* the next record looks again                 */
}

static void undo_item(struct crdt_document *document, struct crdt_journal_item *undo)
{
    switch (undo->kind) {
    case CRDT_JOURNAL_NODE_ADDED:
        undo_node_added(document, undo->node);
        break;
    case CRDT_JOURNAL_NODE_TAKEN:
        undo_node_taken(document, undo);
        break;
    case CRDT_JOURNAL_ELEMENT_ADDED:
    case CRDT_JOURNAL_ELEMENT_TAKEN:
    case CRDT_JOURNAL_ELEMENT_SET:
        undo_element(document, undo);
        break;
    case CRDT_JOURNAL_LEAF_ADDED:
    case CRDT_JOURNAL_LEAF_TAKEN:
    case CRDT_JOURNAL_LEAF_SET:
        undo_leaf(document, undo);
        break;
    case CRDT_JOURNAL_AMOUNT_SET:
        document->open.amounts[undo->index].amount = undo->amount;
        break;
    case CRDT_JOURNAL_OPEN_DEPS:
        undo_open_deps(document, undo);
        break;
    case CRDT_JOURNAL_FEED_ADDED:
        crdt_feeds_remove_last(document);
        break;
    case CRDT_JOURNAL_FEED_ADVANCED:
        crdt_feeds_retreat(document, undo);
        break;
    }
}

void crdt_journal_undo(struct crdt_document *document, size_t count)
{
    struct crdt_journal *journal = &document->journal;
    while (journal->count > count)
        undo_item(document, &journal->items[--journal->count]);
}

static void finish_item(struct crdt_document *document, struct crdt_journal_item *item)
{
    const struct crdt_memory *memory = crdt_memory_of(document);
    switch (item->kind) {
    case CRDT_JOURNAL_NODE_TAKEN:
        crdt_node_free(document, item->node);
        crdt_key_free(memory, item->item.key);
        break;
    case CRDT_JOURNAL_ELEMENT_TAKEN:
        free_many(document, item->item, item->had_many);
        crdt_key_free(memory, item->item.key);
        break;
    case CRDT_JOURNAL_ELEMENT_SET:
        free_many(document, item->item, item->had_many);
        break;
    case CRDT_JOURNAL_LEAF_TAKEN:
        if (item->node->type == CRDT_REGISTER)
            crdt_key_free(memory, item->entry.value);
        break;
    case CRDT_JOURNAL_OPEN_DEPS:
        crdt_deps_free(document, item->open.deps);
        break;
    case CRDT_JOURNAL_FEED_ADVANCED:
        crdt_deps_free(document, item->feed.deps);
        break;
    case CRDT_JOURNAL_NODE_ADDED:
    case CRDT_JOURNAL_ELEMENT_ADDED:
    case CRDT_JOURNAL_LEAF_ADDED:
    case CRDT_JOURNAL_LEAF_SET:
    case CRDT_JOURNAL_AMOUNT_SET:
    case CRDT_JOURNAL_FEED_ADDED:
        break;
    }
}

/* A table gives up when memory for less is out, and so does a leaf. */
static void trim_leaf(struct crdt_document *document, struct crdt_leaf *leaf)
{
    if (leaf->capacity <= LEAF_KEEP_COUNT || leaf->count >= leaf->capacity / 4)
        return;
    size_t capacity = leaf->count < 1 ? 1 : leaf->count;
    void *entries = crdt_memory_resize(crdt_memory_of(document), leaf->entries,
        leaf->capacity * sizeof *leaf->entries, capacity * sizeof *leaf->entries);
    if (entries != NULL) {
        leaf->entries = entries;
        leaf->capacity = capacity;
    }
}

/* Gives memory of a container back that lost much in this change. */
static void trim_item(struct crdt_document *document, const struct crdt_journal_item *item)
{
    if (item->kind == CRDT_JOURNAL_ELEMENT_TAKEN)
        crdt_table_trim(&item->node->table, &document->context);
    else if (item->kind == CRDT_JOURNAL_NODE_TAKEN && item->node->parent != NULL)
        crdt_table_trim(&item->node->parent->table, &document->context);
    else if (item->kind == CRDT_JOURNAL_LEAF_TAKEN)
        trim_leaf(document, &item->node->leaf);
}

void crdt_journal_finish(struct crdt_document *document)
{
    struct crdt_journal *journal = &document->journal;
    /* Trimming first: a node is freed by the item that took it, which is later
     * than whatever was taken from under it, so every node is still there. */
    for (size_t i = 0; i < journal->count; i++)
        trim_item(document, &journal->items[i]);
    for (size_t i = 0; i < journal->count; i++)
        finish_item(document, &journal->items[i]);
    journal->count = 0;
    if (journal->capacity > JOURNAL_KEEP_COUNT) {
        crdt_memory_free(crdt_memory_of(document), journal->items,
            journal->capacity * sizeof *journal->items);
        journal->items = NULL;
        journal->capacity = 0;
    }
}
