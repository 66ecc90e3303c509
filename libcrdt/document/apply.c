#include "libcrdt/document/apply.h"

#include <assert.h>

#include "libcrdt/base/memory.h"
#include "libcrdt/document/node.h"

static bool has_observed(const uint64_t *observed, crdt_packed_dot dot)
{
    return observed == NULL || crdt_dot_seq(dot) <= observed[crdt_dot_feed(dot)];
}

static bool dooms_observed(const void *context, const struct crdt_node *node,
    const struct crdt_node *other, const struct crdt_key *element, crdt_packed_dot dot)
{
    (void)node;
    (void)other;
    (void)element;
    return has_observed(context, dot);
}

static struct crdt_path path_of(const struct crdt_op *op)
{
    return (struct crdt_path){.keys = op->keys, .count = crdt_op_depth(op)};
}

/* Registers and flags: the new dot, and only what it had not seen beside it. */
static enum crdt_status put_leaf(struct crdt_document *document, const struct crdt_op *op,
    crdt_packed_dot dot, const uint64_t *observed)
{
    struct crdt_node *node;
    enum crdt_status status =
        crdt_node_ensure(document, path_of(op), crdt_op_type(op->code), &node);
    for (size_t i = status == CRDT_OK ? node->leaf.count : 0; i > 0 && status == CRDT_OK; i--)
        if (has_observed(observed, node->leaf.entries[i - 1].dot))
            status = crdt_leaf_take(document, node, i - 1);
    if (status != CRDT_OK)
        return status;
    struct crdt_leaf_entry entry = {.dot = dot, .stamp = op->hlc};
    if (op->code == CRDT_OP_PUT_REGISTER) {
        entry.value = crdt_key_new(crdt_memory_of(document), op->value);
        if (entry.value == NULL)
            return CRDT_ERR_NOMEM;
    }
    status = crdt_leaf_add(document, node, &entry);
    if (status != CRDT_OK && op->code == CRDT_OP_PUT_REGISTER)
        crdt_key_free(crdt_memory_of(document), entry.value);
    return status;
}

/* The dots of an element that stay, and after them `added` unless it is 0. */
static enum crdt_status replace_dots(struct crdt_document *document, struct crdt_node *set,
    size_t index, const uint64_t *observed, crdt_packed_dot added)
{
    const crdt_packed_dot *dots;
    size_t count = crdt_element_dots(&set->table.items[index], &dots);
    size_t kept_count = 0;
    for (size_t i = 0; i < count; i++)
        kept_count += !has_observed(observed, dots[i]);
    if (added == 0 && kept_count == count)
        return CRDT_OK;
    if (kept_count == 0)
        return crdt_element_set(document, set, index, &added, added != 0);
    const struct crdt_memory *memory = crdt_memory_of(document);
    crdt_packed_dot *kept = crdt_memory_new(memory, (kept_count + 1) * sizeof *kept);
    if (kept == NULL)
        return CRDT_ERR_NOMEM;
    size_t filled = 0;
    for (size_t i = 0; i < count; i++)
        if (!has_observed(observed, dots[i]))
            kept[filled++] = dots[i];
    kept[filled] = added;
    enum crdt_status status =
        crdt_element_set(document, set, index, kept, filled + (added != 0));
    crdt_memory_free(memory, kept, (kept_count + 1) * sizeof *kept);
    return status;
}

static enum crdt_status put_element(struct crdt_document *document, const struct crdt_op *op,
    crdt_packed_dot dot, const uint64_t *observed)
{
    struct crdt_node *set;
    enum crdt_status status = crdt_node_ensure(document, path_of(op), CRDT_SET, &set);
    if (status != CRDT_OK)
        return status;
    struct crdt_bytes element = op->keys[op->key_count - 1];
    size_t index = crdt_table_find(&set->table, &document->context, element);
    if (index == CRDT_TABLE_NONE)
        return crdt_element_add(document, set, element, dot);
    return replace_dots(document, set, index, observed, dot);
}

static enum crdt_status kill_element(
    struct crdt_document *document, const struct crdt_op *op, const uint64_t *observed)
{
    struct crdt_node *set = crdt_node_at(document, path_of(op), CRDT_SET);
    if (set == NULL)
        return CRDT_OK;
    size_t index =
        crdt_table_find(&set->table, &document->context, op->keys[op->key_count - 1]);
    if (index == CRDT_TABLE_NONE)
        return CRDT_OK;
    enum crdt_status status = replace_dots(document, set, index, observed, 0);
    return status == CRDT_OK ? crdt_node_prune(document, set) : status;
}

static enum crdt_status add_amount(
    struct crdt_document *document, const struct crdt_op *op, crdt_packed_dot dot)
{
    struct crdt_node *node;
    enum crdt_status status =
        crdt_node_ensure(document, path_of(op), crdt_op_type(op->code), &node);
    if (status != CRDT_OK)
        return status;
    return crdt_leaf_add(document, node,
        &(struct crdt_leaf_entry){
            .dot = dot, .stamp = crdt_dot_seq(dot), .amount = op->amount});
}

/* The author's contributions of the run go, but the last of it, named h: that one
 * becomes the sum, unless a removal that had seen it came first (invariant I9).
 * What is older than the run stays. */
static enum crdt_status fold(
    struct crdt_document *document, const struct crdt_op *op, crdt_packed_dot dot)
{
    struct crdt_node *node = crdt_node_at(document, path_of(op), crdt_op_type(op->code));
    if (node == NULL)
        return CRDT_OK;
    size_t author = crdt_dot_feed(dot);
    enum crdt_status status = CRDT_OK;
    for (size_t i = node->leaf.count; i > 0 && status == CRDT_OK; i--) {
        crdt_packed_dot name = node->leaf.entries[i - 1].dot;
        uint64_t seq = crdt_dot_seq(name);
        if (crdt_dot_feed(name) == author && seq >= op->fold_from && seq < op->fold_seq)
            status = crdt_leaf_take(document, node, i - 1);
    }
    size_t index = crdt_leaf_find(&node->leaf, crdt_pack(author, op->fold_seq));
    if (status == CRDT_OK && index != SIZE_MAX)
        status = crdt_leaf_set(document, node, index, crdt_dot_seq(dot), op->amount);
    return status == CRDT_OK ? crdt_node_prune(document, node) : status;
}

/* What was made here has observed everything, so the node goes in one piece. */
static enum crdt_status kill_node(
    struct crdt_document *document, struct crdt_node *node, const uint64_t *observed)
{
    if (observed == NULL)
        return crdt_node_take(document, node);
    return crdt_sweep(document, node, NULL, NULL, dooms_observed, observed);
}

static enum crdt_status kill_path(
    struct crdt_document *document, const struct crdt_op *op, const uint64_t *observed)
{
    enum crdt_type type = crdt_op_type(op->code);
    struct crdt_node *node = crdt_chain_at(document, path_of(op));
    enum crdt_status status = CRDT_OK;
    while (node != NULL && status == CRDT_OK) {
        struct crdt_node *next = node->next;
        if (type == CRDT_ANY || node->type == type)
            status = kill_node(document, node, observed);
        node = next;
    }
    return status;
}

enum crdt_status crdt_apply(struct crdt_document *document, const struct crdt_op *op,
    crdt_packed_dot dot, const uint64_t *observed)
{
    switch (crdt_op_kind(op->code)) {
    case CRDT_PUT:
        return op->code == CRDT_OP_PUT_ELEMENT ? put_element(document, op, dot, observed)
                                               : put_leaf(document, op, dot, observed);
    case CRDT_ADD:
        return add_amount(document, op, dot);
    case CRDT_FOLD:
        return fold(document, op, dot);
    case CRDT_KILL:
        return op->code == CRDT_OP_KILL_ELEMENT ? kill_element(document, op, observed)
                                                : kill_path(document, op, observed);
    case CRDT_NOTE:
        return CRDT_OK;
    }
    return CRDT_OK;
}
