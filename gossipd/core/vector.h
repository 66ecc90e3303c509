/* A number per origin, sorted by origin: version vectors as the core needs
 * them (what a peer said, what is durable) and other numbers per feed. */
#ifndef GOSSIPD_CORE_VECTOR_H
#define GOSSIPD_CORE_VECTOR_H

#include <crdt.h>

struct vector {
    struct crdt_dot *items; /* `seq` is the number                                 */
    size_t count;
    size_t capacity;
    const struct crdt_memory *memory;
};

void vector_init(struct vector *vector, const struct crdt_memory *memory);
void vector_close(struct vector *vector);
void vector_clear(struct vector *vector);

/* The number of `origin`; 0 when there is none. O(log n). */
uint64_t vector_get(const struct vector *vector, const struct crdt_origin *origin);

/* Sets it. NOMEM is possible only for an origin that is not there yet. */
CRDT_MUST_CHECK enum crdt_status vector_set(
    struct vector *vector, const struct crdt_origin *origin, uint64_t number);

/* Sets the number of an origin that is there already. */
void vector_update(struct vector *vector, const struct crdt_origin *origin, uint64_t number);

/* Forgets origins whose number is 0, or that `by` does not have. O(n). */
void vector_drop_zeros(struct vector *vector);
void vector_retain(struct vector *vector, const struct vector *by);

/* Replaces the content by that of a summary. MALFORMED, LIMIT or NOMEM leave it
 * as it was. */
CRDT_MUST_CHECK enum crdt_status vector_read(struct vector *vector, struct crdt_bytes summary);

/* Replaces the content by that of another. NOMEM leaves it as it was. */
CRDT_MUST_CHECK enum crdt_status vector_copy(struct vector *vector, const struct vector *from);

/* Replaces the content by what `document` has applied, the open batch not
 * included. */
CRDT_MUST_CHECK enum crdt_status vector_take(
    struct vector *vector, const struct crdt_document *document);

#endif
