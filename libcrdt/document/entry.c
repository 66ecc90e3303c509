/* The primitive changes of entries: leaves of registers, counters and flags,
 * and elements of sets. Declared in node.h. */
#include <assert.h>
#include <string.h>

#include "libcrdt/base/memory.h"
#include "libcrdt/document/journal.h"
#include "libcrdt/document/node.h"

size_t crdt_leaf_find(const struct crdt_leaf *leaf, crdt_packed_dot dot)
{
    for (size_t i = 0; i < leaf->count; i++)
        if (leaf->entries[i].dot == dot)
            return i;
    return SIZE_MAX;
}

enum crdt_status crdt_leaf_append(struct crdt_document *document, struct crdt_node *node,
    const struct crdt_leaf_entry *entry)
{
    struct crdt_leaf *leaf = &node->leaf;
    if (!crdt_array_reserve(crdt_memory_of(document), &leaf->entries, &leaf->capacity,
            leaf->count + 1, sizeof *leaf->entries))
        return CRDT_ERR_NOMEM;
    leaf->entries[leaf->count++] = *entry;
    if (crdt_type_is_counter(node->type))
        leaf->sum = crdt_sum_add(leaf->sum, entry->amount);
    return CRDT_OK;
}

enum crdt_status crdt_leaf_add(struct crdt_document *document, struct crdt_node *node,
    const struct crdt_leaf_entry *entry)
{
    /* Undoing the node that was made for this entry takes the entry along. */
    bool is_covered = node->leaf.count == 0 && crdt_journal_has_just_added(document, node);
    enum crdt_status status = is_covered ? CRDT_OK : crdt_journal_reserve(document, 1);
    if (status == CRDT_OK)
        status = crdt_leaf_append(document, node, entry);
    if (status != CRDT_OK || is_covered)
        return status;
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
    if (crdt_type_is_counter(node->type))
        leaf->sum = crdt_sum_subtract(leaf->sum, undo.entry.amount);
    leaf->entries[index] = leaf->entries[--leaf->count];
    crdt_journal_add(document, &undo);
    return CRDT_OK;
}

enum crdt_status crdt_leaf_set(struct crdt_document *document, struct crdt_node *node,
    size_t index, uint64_t stamp, int64_t amount)
{
    struct crdt_leaf *leaf = &node->leaf;
    assert(crdt_type_is_counter(node->type));
    assert(index < leaf->count);
    enum crdt_status status = crdt_journal_reserve(document, 1);
    if (status != CRDT_OK)
        return status;
    struct crdt_journal_item undo = {.kind = CRDT_JOURNAL_LEAF_SET,
        .node = node,
        .index = index,
        .entry = leaf->entries[index]};
    leaf->sum = crdt_sum_add(crdt_sum_subtract(leaf->sum, undo.entry.amount), amount);
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

enum crdt_status crdt_element_extend(struct crdt_document *document, struct crdt_node *node,
    struct crdt_bytes element, const crdt_packed_dot *dots, size_t count)
{
    assert(count > 0);
    size_t index = crdt_table_find(&node->table, &document->context, element);
    if (index == CRDT_TABLE_NONE) {
        enum crdt_status status = crdt_element_add(document, node, element, dots[0]);
        if (status != CRDT_OK || count == 1)
            return status;
        return crdt_element_set(document, node, node->table.count - 1, dots, count);
    }
    const struct crdt_memory *memory = crdt_memory_of(document);
    const crdt_packed_dot *old;
    size_t old_count = crdt_element_dots(&node->table.items[index], &old);
    crdt_packed_dot *more = crdt_memory_new(memory, (old_count + count) * sizeof *more);
    if (more == NULL)
        return CRDT_ERR_NOMEM;
    memcpy(more, old, old_count * sizeof *more);
    memcpy(more + old_count, dots, count * sizeof *more);
    enum crdt_status status =
        crdt_element_set(document, node, index, more, old_count + count);
    crdt_memory_free(memory, more, (old_count + count) * sizeof *more);
    return status;
}
