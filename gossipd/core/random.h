/* The core's seeded generator: splitmix64. Deterministic on purpose; secrets
 * come from the host's entropy, never from here. */
#ifndef GOSSIPD_CORE_RANDOM_H
#define GOSSIPD_CORE_RANDOM_H

#include <stdint.h>

static inline uint64_t random_next(uint64_t *state)
{
    uint64_t mixed = (*state += UINT64_C(0x9e3779b97f4a7c15));
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

#endif
