/* Growing the tree of a new document from values that come in canonical order,
 * as a snapshot has them.
 *
 * What comes is either at the last item of a table or behind it, so nothing is
 * searched for, and a table gets its index when it is whole. Nothing is
 * journaled: whoever fails closes the document. Knows nothing of bytes.
 */
#ifndef LIBCRDT_DOCUMENT_GROW_H
#define LIBCRDT_DOCUMENT_GROW_H

#include "libcrdt/document/document.h"

/* The node at (path, type), made where it is missing with the maps above it.
 * Nothing grown before lies behind it in canonical order: the caller checked. */
CRDT_MUST_CHECK enum crdt_status crdt_grow_node(struct crdt_document *document,
    struct crdt_path path, enum crdt_type type, struct crdt_node **ret_node);

/* Appends an element with its dots: `count`, not 0. */
CRDT_MUST_CHECK enum crdt_status crdt_grow_element(struct crdt_document *document,
    struct crdt_node *set, struct crdt_bytes element, const crdt_packed_dot *dots,
    size_t count);

/* No value follows: indexes the tables that were still growing. Before this the
 * document is fit to be closed only. */
CRDT_MUST_CHECK enum crdt_status crdt_grow_finish(struct crdt_document *document);

#endif
