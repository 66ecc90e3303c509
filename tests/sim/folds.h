/* Invariant I9 from outside. A fold changes no value while every member that may
 * remove the counter has all that is folded for good, and the removals that it made
 * before are applied where the fold is made. What is judged here:
 *
 *     at each fold   every member has, or once had, all of it on disk, or is away:
 *                    no word of its disk had come to the folder for 10 s when the
 *                    first of what is folded was made, and none has come since
 *     at the end     what the folder had not seen has itself seen all that was
 *                    folded or nothing of it, unless its author was away then, or
 *                    back with less than it once had
 */
#ifndef TESTS_SIM_FOLDS_H
#define TESTS_SIM_FOLDS_H

#include "tests/sim/disk.h"
#include "tests/sim/registry.h"

struct simulator;

/* A node has applied more. One in `no` counts that as on its disk, as it says. */
void folds_applied(struct simulator *sim, size_t node);
/* A message has reached a node. */
void folds_heard(struct simulator *sim, size_t node, size_t from, struct crdt_bytes bytes);
/* A batch has become durable on a node. */
void folds_durable(struct simulator *sim, size_t node, const struct disk_item *item);
/* A node has started from its store. */
void folds_restarted(struct simulator *sim, size_t node);
/* A node STOREs a batch of its own. */
void folds_stored(
    struct simulator *sim, size_t node, size_t origin, struct known_batch *batch);
/* Judges what was made beside folds. */
void folds_check(struct simulator *sim);
/* True when folding has not changed the value of a counter on this node; false
 * when it has, or may have, since a removal had seen a part of a fold. */
bool folds_are_exact(struct simulator *sim, size_t node, int key, int field);

#endif
