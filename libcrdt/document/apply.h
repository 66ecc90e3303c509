/* Applying one operation to the tree: the records of docs/semantics.md, and
 * nothing else. Every change is journaled. */
#ifndef LIBCRDT_DOCUMENT_APPLY_H
#define LIBCRDT_DOCUMENT_APPLY_H

#include "libcrdt/document/op.h"

/* `observed`, per feed, is what the operation had seen; NULL says everything
 * that is here, which is so for an operation made here. NOMEM leaves work to
 * undo: the caller has a mark in the journal. */
CRDT_MUST_CHECK enum crdt_status crdt_apply(struct crdt_document *document,
    const struct crdt_op *op, crdt_packed_dot dot, const uint64_t *observed);

/* Says whether an entry goes. `other` is the counterpart of `node` in another
 * tree, or NULL. */
typedef bool crdt_dooms(const void *context, const struct crdt_node *node,
    const struct crdt_node *other, const struct crdt_key *element, crdt_packed_dot dot);

/* Takes out every entry at or under `node` that is doomed, and what becomes
 * empty. Cost: O(entries under it). */
CRDT_MUST_CHECK enum crdt_status crdt_sweep(struct crdt_document *document,
    struct crdt_node *node, const struct crdt_node *other,
    const struct crdt_document *other_document, crdt_dooms *dooms, const void *context);

#endif
