/* Whom a peer's snapshot is taken of: what it may offer, how fast it has to be, and
 * what follows when it did not tell the truth. Called by join.c only. */
#ifndef GOSSIPD_CORE_SOURCE_H
#define GOSSIPD_CORE_SOURCE_H

#include "gossipd/core/machine.h"

/* False for what no honest member offers: all parts are full but the last. */
bool source_may_offer(const struct core *core, uint64_t bytes, uint64_t parts);
/* The size of the part that comes next. */
uint64_t source_next_bytes(const struct core *core);
/* True when the present source makes way for this other one. */
bool source_is_slower_than(const struct core *core, const struct peer *peer);
/* The present one is given up for that. */
void source_lose_patience(struct core *core);
void source_blame(struct core *core, struct peer *peer);
/* Asks for forks among the tips of what is joined. */
void source_look_into_tips(struct core *core, struct peer *peer);

#endif
