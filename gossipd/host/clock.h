/* The two clocks that inputs of the core carry. */
#ifndef GOSSIPD_HOST_CLOCK_H
#define GOSSIPD_HOST_CLOCK_H

#include <stdint.h>

uint64_t clock_wall_ms(void);
uint64_t clock_monotonic_us(void);

#endif
