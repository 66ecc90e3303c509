#include "libcrdt/clock/hlc.h"

#define MS_MAX ((UINT64_C(1) << 48) - 1)

void crdt_hlc_see(struct crdt_hlc *clock, uint64_t stamp)
{
    if (stamp > clock->seen)
        clock->seen = stamp;
}

void crdt_hlc_set(struct crdt_hlc *clock, uint64_t now_ms)
{
    uint64_t ms = now_ms < MS_MAX ? now_ms : MS_MAX;
    uint64_t ms_max = ms < MS_MAX - CRDT_HLC_AHEAD_MS_MAX ? ms + CRDT_HLC_AHEAD_MS_MAX : MS_MAX;
    /* A stamp far ahead is accepted in its place but not adopted; nor is our own
     * from before the wall clock was set back (invariant I11). */
    if ((clock->seen >> 16) <= ms_max && clock->seen > clock->last)
        clock->last = clock->seen;
    clock->seen = 0;
    if ((clock->last >> 16) > ms_max)
        clock->last = 0;
    /* A wall clock that nothing was stamped with leaves no trace. */
    clock->now = ms << 16;
}

uint64_t crdt_hlc_next(struct crdt_hlc *clock)
{
    if (clock->last < clock->now)
        clock->last = clock->now;
    /* A counter that overflows runs into the milliseconds, as it should. */
    if (clock->last < UINT64_MAX)
        clock->last++;
    return clock->last;
}
