/* The tree S: nodes, their entries, and the primitive changes, each journaled.
 *
 * Nothing empty stays in the tree: whoever takes the last entry of a node out
 * calls crdt_node_prune(). Knows nothing of records and batches.
 */
#ifndef LIBCRDT_DOCUMENT_NODE_H
#define LIBCRDT_DOCUMENT_NODE_H

#include "libcrdt/document/document.h"

/* The node of this type in a chain, or NULL. */
struct crdt_node *crdt_chain_find(struct crdt_node *chain, enum crdt_type type);

/* The chain of types at a path, or NULL. */
struct crdt_node *crdt_chain_at(const struct crdt_document *document, struct crdt_path path);

/* The chain under one key of a map, or NULL. */
struct crdt_node *crdt_chain_under(const struct crdt_document *document,
    const struct crdt_node *map, struct crdt_bytes key);

/* The node at (path, type), or NULL. */
struct crdt_node *crdt_node_at(
    const struct crdt_document *document, struct crdt_path path, enum crdt_type type);

/* The same, made with the maps above it where they are missing. The caller adds
 * an entry or undoes the journal: an empty node must not stay. */
CRDT_MUST_CHECK enum crdt_status crdt_node_ensure(struct crdt_document *document,
    struct crdt_path path, enum crdt_type type, struct crdt_node **ret_node);

/* How many keys, elements or dots the node has. */
size_t crdt_node_count(const struct crdt_node *node);

/* Takes the node, and maps above it that become empty, out of the tree. */
CRDT_MUST_CHECK enum crdt_status crdt_node_take(
    struct crdt_document *document, struct crdt_node *node);

/* Does that if the node is empty. */
CRDT_MUST_CHECK enum crdt_status crdt_node_prune(
    struct crdt_document *document, struct crdt_node *node);

/* Takes one node out, whatever it leaves behind above it. */
CRDT_MUST_CHECK enum crdt_status crdt_node_take_one(
    struct crdt_document *document, struct crdt_node *node);

/* Frees a node that is out of the tree, with all under it. Accepts NULL. */
void crdt_node_free(struct crdt_document *document, struct crdt_node *node);

/* ---- entries of registers, counters and flags ---- */

/* Takes a number off a sum. */
static inline struct crdt_sum crdt_sum_subtract(struct crdt_sum sum, int64_t amount)
{
    if (amount != INT64_MIN)
        return crdt_sum_add(sum, -amount);
    return crdt_sum_add(crdt_sum_add(sum, INT64_MAX), 1);
}

/* Adds an entry, which the node owns from then on; on failure it does not.
 * crdt_leaf_append() does not write it into the journal. */
CRDT_MUST_CHECK enum crdt_status crdt_leaf_append(struct crdt_document *document,
    struct crdt_node *node, const struct crdt_leaf_entry *entry);
CRDT_MUST_CHECK enum crdt_status crdt_leaf_add(struct crdt_document *document,
    struct crdt_node *node, const struct crdt_leaf_entry *entry);
/* Takes the entry at `index` out, the last one into its place. */
CRDT_MUST_CHECK enum crdt_status crdt_leaf_take(
    struct crdt_document *document, struct crdt_node *node, size_t index);
/* Changes amount and stamp of a contribution. */
CRDT_MUST_CHECK enum crdt_status crdt_leaf_set(struct crdt_document *document,
    struct crdt_node *node, size_t index, uint64_t stamp, int64_t amount);
/* The index of the entry with this name, or SIZE_MAX. */
size_t crdt_leaf_find(const struct crdt_leaf *leaf, crdt_packed_dot dot);

/* ---- elements of sets ---- */

/* The dots of an item of a set; `*ret_dots` lives as long as the item. */
static inline size_t crdt_element_dots(
    const struct crdt_table_item *item, const crdt_packed_dot **ret_dots)
{
    if (!item->key->has_many) {
        *ret_dots = &item->value.dot;
        return 1;
    }
    const struct crdt_dots *many = item->value.block;
    *ret_dots = many->dots;
    return many->count;
}

/* Gives an element that is absent its first dot. */
CRDT_MUST_CHECK enum crdt_status crdt_element_add(struct crdt_document *document,
    struct crdt_node *node, struct crdt_bytes element, crdt_packed_dot dot);
/* Gives an element, made where it is absent, more dots: `count`, not 0. */
CRDT_MUST_CHECK enum crdt_status crdt_element_extend(struct crdt_document *document,
    struct crdt_node *node, struct crdt_bytes element, const crdt_packed_dot *dots,
    size_t count);
/* Replaces the dots of the item at `index`; none takes the element out. */
CRDT_MUST_CHECK enum crdt_status crdt_element_set(struct crdt_document *document,
    struct crdt_node *node, size_t index, const crdt_packed_dot *dots, size_t count);

#endif
