/* Walking the live entries: in canonical order for everything that must be
 * equal between replicas, or in local order where order does not matter. */
#ifndef LIBCRDT_DOCUMENT_WALK_H
#define LIBCRDT_DOCUMENT_WALK_H

#include "libcrdt/document/document.h"

/* All entries of one value: of one (path, type), or of one element of a set. */
struct crdt_walked {
    const struct crdt_bytes *keys; /* an element's last key is the element         */
    size_t key_count;
    bool has_element;
    enum crdt_type type;
    const struct crdt_leaf_entry *entries; /* of an element: only the dots         */
    size_t count;
};

/* Called for each value; anything but CRDT_OK ends the walk. */
typedef enum crdt_status crdt_walk_visit(void *context, const struct crdt_walked *walked);

/* Visits everything at or under a chain, whose path is `path`. Canonical order
 * is: keys bytewise, of one key the types by number, a map last; the entries of
 * a value by (origin, seq). Sorting takes memory for the time of the walk. */
CRDT_MUST_CHECK enum crdt_status crdt_walk(const struct crdt_document *document,
    struct crdt_path path, bool is_canonical, crdt_walk_visit *visit, void *context);

#endif
