/* Hybrid logical clock (Kulkarni et al. 2014): 48 bits of milliseconds, 16 bits
 * of counter. It orders concurrent assignments and decides nothing else, so a
 * wrong clock can only win or lose ties. Time is passed in. */
#ifndef LIBCRDT_CLOCK_HLC_H
#define LIBCRDT_CLOCK_HLC_H

#include <stdint.h>

/* A stamp further ahead of the wall clock than this is not adopted. */
#define CRDT_HLC_AHEAD_MS_MAX 60000

struct crdt_hlc {
    uint64_t last; /* newest stamp given or adopted                               */
    uint64_t now;  /* the wall clock when it was last set, as a stamp              */
    uint64_t seen; /* newest stamp of others since the clock was last set         */
};

/* Remembers a stamp of somebody else. */
void crdt_hlc_see(struct crdt_hlc *clock, uint64_t stamp);

/* Takes the wall clock and what was seen into account. */
void crdt_hlc_set(struct crdt_hlc *clock, uint64_t now_ms);

/* The next stamp, greater than all given since the clock was set. */
uint64_t crdt_hlc_next(struct crdt_hlc *clock);

#endif
