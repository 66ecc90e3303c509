/* A member that has gone bad: it signs, with its own key, batches that no correct
 * node would make. They must be refused, or wait for ever, and change nothing
 * that correct nodes hold. Nor may what it says of snapshots, in offers and in parts. */
#ifndef TESTS_SIM_ADVERSARY_H
#define TESTS_SIM_ADVERSARY_H

#include <stdbool.h>
#include <stddef.h>

#include <crdt.h>

struct simulator;

/* Lets `node` send a poisoned batch to `other`; false without a link. */
bool adversary_poison(struct simulator *sim, size_t node, size_t other);
/* Lets `node` offer a snapshot to `other` and lie about it; false without a link
 * or a snapshot. */
bool adversary_offer(struct simulator *sim, size_t node, size_t other);
/* Sends something else in the place of a PART; false when `sent` is none. */
bool adversary_garble(struct simulator *sim, size_t node, size_t to, struct crdt_bytes sent);

#endif
