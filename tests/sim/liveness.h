/* The end of a run: which members never come back, and how soon the others must
 * hold the same. */
#ifndef TESTS_SIM_LIVENESS_H
#define TESTS_SIM_LIVENESS_H

#include "tests/sim/registry.h"

struct simulator;

/* Draws members that are lost for good: dead, cut off, or with a disk that never
 * works again. Before the other faults end. */
void liveness_lose(struct simulator *sim);
/* What of that is not undone when the other faults end. */
void liveness_keep(struct simulator *sim);
/* Leaves the other members a star, a ring or a row of links for good, or makes one of
 * them slow for good, or neither, or both. */
void liveness_thin(struct simulator *sim);
/* Fails the run unless all other members become equal in time, and stay so. */
void liveness_converge(struct simulator *sim);

#endif
