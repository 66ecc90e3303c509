/* The faults that need more than a line: shapes of partitions, links that flap,
 * members that lag, stores that are cloned or have holes, a year of absence.
 * faults.c decides when; this is how. */
#ifndef TESTS_SIM_MISCHIEF_H
#define TESTS_SIM_MISCHIEF_H

#include "tests/sim/agenda.h"
#include "tests/sim/faults.h"

struct simulator;

#define YEAR_US UINT64_C(31536000000000)
#define STALL_US_MAX 4000000 /* a member that stands still, or lags, as long    */

/* Lets a fault of this room happen. False when it could not. */
bool mischief_apply(struct simulator *sim, enum fault fault, size_t node, size_t other);
/* EVENT_RESTART: true when the member is still away; it has been put off. */
bool mischief_stays_away(struct simulator *sim, const struct event *event);
/* The member is back from that. */
void mischief_return(struct simulator *sim, size_t node);
/* EVENT_FLAP: a link that flaps goes up or down. */
void mischief_flap(struct simulator *sim, const struct event *event);
/* True when the node is too slow for its event now: it has been put off. */
bool mischief_defer(struct simulator *sim, struct event *event);
/* The copy of its store that a cloned node does not run on is freed. */
void mischief_close(struct simulator *sim);

#endif
