/* A member that has gone bad: it signs, with its own key, batches that no correct
 * node would make. They must be refused, or wait for ever, and change nothing
 * that correct nodes hold. */
#ifndef TESTS_SIM_ADVERSARY_H
#define TESTS_SIM_ADVERSARY_H

#include <stdbool.h>
#include <stddef.h>

struct simulator;

/* Lets `node` send a poisoned batch to `other`; false without a link. */
bool adversary_poison(struct simulator *sim, size_t node, size_t other);

#endif
