/* The proofs of forks that this node has: one for each forked origin, which is
 * frozen by it, and beside them, where only one batch is at hand, that batch.
 * Bounded; small enough to search one by one. */
#ifndef GOSSIPD_CORE_PROOFS_H
#define GOSSIPD_CORE_PROOFS_H

#include "gossipd/core/held.h"
#include "gossipd/wire/evidence.h"

struct proof {
    struct crdt_origin origin;
    struct evidence evidence; /* points into `data`                                 */
    uint8_t *data;            /* owned: as in the store                             */
    size_t size;
};

struct proofs {
    const struct crdt_memory *memory;
    struct proof *items;
    size_t count;
    size_t capacity;
    size_t bytes;
};

void proofs_init(struct proofs *proofs, const struct crdt_memory *memory);
void proofs_close(struct proofs *proofs);

/* Takes a copy of evidence as evidence_write() made it, in the place of what
 * there was of its origin. LIMIT when there are too many; NOMEM. */
CRDT_MUST_CHECK enum crdt_status proofs_add(struct proofs *proofs, struct crdt_bytes bytes);
/* False when there was none. */
bool proofs_remove(struct proofs *proofs, const struct crdt_origin *origin);

/* What is known of the origin, or NULL. */
struct proof *proofs_find(const struct proofs *proofs, const struct crdt_origin *origin);
/* The proof that freezes it, or NULL. */
struct proof *proofs_frozen(const struct proofs *proofs, const struct crdt_origin *origin);
size_t proofs_frozen_count(const struct proofs *proofs);

#endif
