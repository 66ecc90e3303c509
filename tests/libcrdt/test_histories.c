/* Random histories on three to five replicas, with loss, duplication,
 * reordering, gc, restarts and new generations: after every step the replica
 * that changed holds what the oracle says (invariant I4). */
#include "tests/support/choice.h"
#include "tests/support/claim.h"
#include "tests/support/runner.h"
#include "tests/support/world.h"

#include <stdio.h>

#define STEPS 250

static void run_history(uint64_t seed)
{
    static char text[80];
    struct choice choice = choice_from_seed(seed);
    struct world *world = world_new(&choice, 3 + choice_below(&choice, 3));
    uint32_t steps = 20 + choice_below(&choice, STEPS);
    for (uint32_t step = 0; step < steps; step++) {
        snprintf(text, sizeof text, "step %u; repeat with CRDT_TEST_SEED=%llu", (unsigned)step,
            (unsigned long long)seed);
        claim_note(text);
        world_step(world);
    }
    world_heal(world);
    world_free(world);
    claim_note("");
}

START_TEST(every_replica_holds_live_of_its_context_after_every_step)
{
    bool is_fixed;
    uint64_t seed = choice_seed("histories", &is_fixed);
    unsigned runs = is_fixed ? 1 : choice_runs(400);
    for (unsigned i = 0; i < runs; i++)
        run_history(seed + i);
}
END_TEST

/* A few seeds that every run repeats. */
START_TEST(known_seeds_hold)
{
    for (uint64_t seed = 1; seed <= 10; seed++)
        run_history(seed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("histories");
    TCase *tests = tcase_create("histories");
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, every_replica_holds_live_of_its_context_after_every_step);
    tcase_add_test(tests, known_seeds_hold);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
