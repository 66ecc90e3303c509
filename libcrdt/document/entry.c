/* The primitive changes of entries: leaves of registers, counters and flags,
 * and elements of sets. Declared in node.h. */
#include <assert.h>
#include <string.h>

#include "libcrdt/base/memory.h"
#include "libcrdt/document/journal.h"
#include "libcrdt/document/node.h"

static bool is_counter(const struct crdt_node *node)
{
    return node->type == CRDT_COUNTER || node->type == CRDT_GCOUNTER;
}

static struct crdt_sum sum_subtract(struct crdt_sum sum, int64_t amount)
{
    if (amount != INT64_MIN)
        return crdt_sum_add(sum, -amount);
    return crdt_sum_add(crdt_sum_add(sum, INT64_MAX), 1);
}

size_t crdt_leaf_find(const struct crdt_leaf *leaf, crdt_packed_dot dot)
{
    for (size_t i = 0; i < leaf->count; i++)
        if (leaf->entries[i].dot == dot)
            return i;
    return SIZE_MAX;
}

enum crdt_status crdt_leaf_add(struct crdt_document *document, struct crdt_node *node,
    const struct crdt_leaf_entry *entry)
{
    struct crdt_leaf *leaf = &node->leaf;
    enum crdt_status status = crdt_journal_reserve(document, 1);
    if (status != CRDT_OK)
        return status;
    if (!crdt_array_reserve(crdt_memory_of(document), &leaf->entries, &leaf->capacity,
            leaf->count + 1, sizeof *leaf->entries))
        return CRDT_ERR_NOMEM;
    leaf->entries[leaf->count++] = *entry;
    if (is_counter(node))
        leaf->sum = crdt_sum_add(leaf->sum, entry->amount);
    crdt_journal_add(
        document, &(struct crdt_journal_item){.kind = CRDT_JOURNAL_LEAF_ADDED, .node = node});
    return CRDT_OK;
}

enum crdt_status crdt_leaf_take(
    struct crdt_document *document, struct crdt_node *node, size_t index)
{
    struct crdt_leaf *leaf = &node->leaf;
    assert(index < leaf->count);
    enum crdt_status status = crdt_journal_reserve(document, 1);
    if (status != CRDT_OK)
        return status;
    struct crdt_journal_item undo = {.kind = CRDT_JOURNAL_LEAF_TAKEN,
        .node = node,
        .index = index,
        .entry = leaf->entries[index]};
    if (is_counter(node))
        leaf->sum = sum_subtract(leaf->sum, undo.entry.amount);
    leaf->entries[index] = leaf->entries[--leaf->count];
    crdt_journal_add(document, &undo);
    return CRDT_OK;
}

enum crdt_status crdt_leaf_set(struct crdt_document *document, struct crdt_node *node,
    size_t index, uint64_t stamp, int64_t amount)
{
    struct crdt_leaf *leaf = &node->leaf;
    assert(is_counter(node));
    assert(index < leaf->count);
    enum crdt_status status = crdt_journal_reserve(document, 1);
    if (status != CRDT_OK)
        return status;
    struct crdt_journal_item undo = {.kind = CRDT_JOURNAL_LEAF_SET,
        .node = node,
        .index = index,
        .entry = leaf->entries[index]};
    leaf->sum = crdt_sum_add(sum_subtract(leaf->sum, undo.entry.amount), amount);
    leaf->entries[index].stamp = stamp;
    leaf->entries[index].amount = amount;
    crdt_journal_add(document, &undo);
    return CRDT_OK;
}

enum crdt_status crdt_element_add(struct crdt_document *document, struct crdt_node *node,
    struct crdt_bytes element, crdt_packed_dot dot)
{
    enum crdt_status status = crdt_journal_reserve(document, 1);
    if (status != CRDT_OK)
        return status;
    struct crdt_key *key = crdt_key_new(crdt_memory_of(document), element);
    if (key == NULL)
        return CRDT_ERR_NOMEM;
    status = crdt_table_add(
        &node->table, &document->context, key, (union crdt_value){.dot = dot});
    if (status != CRDT_OK) {
        crdt_key_free(crdt_memory_of(document), key);
        return status;
    }
    crdt_journal_add(document,
        &(struct crdt_journal_item){.kind = CRDT_JOURNAL_ELEMENT_ADDED, .node = node});
    return CRDT_OK;
}

enum crdt_status crdt_element_set(struct crdt_document *document, struct crdt_node *node,
    size_t index, const crdt_packed_dot *dots, size_t count)
{
    enum crdt_status status = crdt_journal_reserve(document, 1);
    if (status != CRDT_OK)
        return status;
    struct crdt_journal_item undo = {
        .kind = CRDT_JOURNAL_ELEMENT_TAKEN, .node = node, .index = index};
    if (count == 0) {
        undo.item = crdt_table_take(&node->table, &document->context, index);
        undo.had_many = undo.item.key->has_many;
        crdt_journal_add(document, &undo);
        return CRDT_OK;
    }
    struct crdt_table_item *item = &node->table.items[index];
    union crdt_value value = {.dot = dots[0]};
    if (count > 1) {
        struct crdt_dots *many =
            crdt_memory_new(crdt_memory_of(document), sizeof *many + count * sizeof *dots);
        if (many == NULL)
            return CRDT_ERR_NOMEM;
        many->count = count;
        for (size_t i = 0; i < count; i++)
            many->dots[i] = dots[i];
        value.block = many;
    }
    undo.kind = CRDT_JOURNAL_ELEMENT_SET;
    undo.item = *item;
    undo.had_many = item->key->has_many;
    item->value = value;
    item->key->has_many = count > 1;
    crdt_journal_add(document, &undo);
    return CRDT_OK;
}

enum crdt_status crdt_element_append(struct crdt_document *document, struct crdt_node *node,
    size_t index, crdt_packed_dot dot)
{
    const struct crdt_memory *memory = crdt_memory_of(document);
    const crdt_packed_dot *dots;
    size_t count = crdt_element_dots(&node->table.items[index], &dots);
    crdt_packed_dot *more = crdt_memory_new(memory, (count + 1) * sizeof *more);
    if (more == NULL)
        return CRDT_ERR_NOMEM;
    memcpy(more, dots, count * sizeof *more);
    more[count] = dot;
    enum crdt_status status = crdt_element_set(document, node, index, more, count + 1);
    crdt_memory_free(memory, more, (count + 1) * sizeof *more);
    return status;
}
