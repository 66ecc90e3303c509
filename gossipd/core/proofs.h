/* The proofs of forks that this node has: one for each forked origin, which is
 * frozen by it, and beside them, where only one batch is at hand, that batch.
 * Bounded, also for each key, since a key can sign under any number of generations;
 * small enough to search one by one. */
#ifndef GOSSIPD_CORE_PROOFS_H
#define GOSSIPD_CORE_PROOFS_H

#include "gossipd/core/held.h"
#include "gossipd/wire/evidence.h"

struct proof {
    struct crdt_origin origin;
    uint64_t number;          /* 1, 2, 3 ... in the order of finding                */
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
    uint64_t changes; /* grows with each                                            */
    uint64_t newest;  /* number given                                               */
};

void proofs_init(struct proofs *proofs, const struct crdt_memory *memory);
void proofs_close(struct proofs *proofs);

/* Takes a copy of evidence as evidence_write() made it, in the place of what
 * there was of its origin. LIMIT when there are too many, in all or of its key; NOMEM. */
CRDT_MUST_CHECK enum crdt_status proofs_add(struct proofs *proofs, struct crdt_bytes bytes);
/* False when there was none. */
bool proofs_remove(struct proofs *proofs, const struct crdt_origin *origin);

/* What is known of the origin, or NULL. */
struct proof *proofs_find(const struct proofs *proofs, const struct crdt_origin *origin);
/* The proof that freezes it, or NULL. */
struct proof *proofs_frozen(const struct proofs *proofs, const struct crdt_origin *origin);
size_t proofs_frozen_count(const struct proofs *proofs);
/* What proves nothing and would give way to a proof about this key; NULL: nothing. */
const struct proof *proofs_single(
    const struct proofs *proofs, const uint8_t key[static CRDT_KEY_BYTES]);
/* The number of the newest proof; 0: there is none. */
uint64_t proofs_newest(const struct proofs *proofs);

#endif
