/* Carries out what the core puts out: each kind of output has its effect here. */
#ifndef GOSSIPD_HOST_EFFECTS_H
#define GOSSIPD_HOST_EFFECTS_H

#include "gossipd/host/loop.h"

void effect_of(struct loop *loop, const struct core_output *output);

/* Answers a FETCH from the cache, or asks the store. */
void effect_fetch(struct loop *loop, const struct deferred *deferred);
/* Gives the core the answer to an errand. */
void effect_answer(struct loop *loop, const struct errand *errand);

#endif
