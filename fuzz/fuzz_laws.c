/* Bytes decide the history of three replicas; after every step each must hold
 * what the oracle says, and in the end all must be equal. */
#include "fuzz/fuzz.h"
#include "tests/support/world.h"

#define STEPS_MAX 120 /* the oracle is quadratic                                */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choice choice = choice_from_bytes(data, size);
    struct world *world = world_new(&choice, 3);
    for (unsigned step = 0; step < STEPS_MAX && !choice_is_over(&choice); step++)
        world_step(world);
    world_heal(world);
    world_free(world);
    return 0;
}
