#include "tests/sim/liveness.h"

#include <stdio.h>

#include "tests/sim/invariants.h"
#include "tests/sim/simulator.h"

/* Of one input: thousands of batches, of some inputs each, come in within the rounds. */
#define SLOW_FOR_GOOD_US_MAX 3000

enum loss { LOSS_NONE, LOSS_DEAD, LOSS_CUT, LOSS_DISK };
enum shape { SHAPE_STAR, SHAPE_RING, SHAPE_ROW, SHAPE_COUNT };

/* What a lost member has promised holds as far as somebody else has it; likewise
 * what it alone kept for one that runs on an older store. */
static void liveness_forget(struct simulator *sim, size_t node)
{
    for (size_t i = 0; i < sim->registry.origin_count; i++) {
        struct known_origin *origin = &sim->registry.origins[i];
        uint64_t left = 0;
        for (size_t j = 0; j < sim->node_count; j++) {
            uint64_t seq = sim->nodes[j].loss != LOSS_NONE
                ? 0 : faults_kept(&sim->nodes[j].disk, i);
            left = seq > left ? seq : left;
        }
        if ((origin->node == node || origin->is_elsewhere) && origin->promised > left)
            origin->promised = left;
    }
}

void liveness_lose(struct simulator *sim)
{
    size_t count = 1 + simulator_random(sim, sim->node_count - 2);
    for (size_t i = 0; i < count; i++) {
        size_t node = simulator_random(sim, sim->node_count);
        struct node *self = &sim->nodes[node];
        if (self->loss != LOSS_NONE)
            continue;
        self->loss = LOSS_DEAD + (unsigned)simulator_random(sim, 3);
        simulator_trace(sim, "LOST n%zu %u", node + 1, self->loss);
        sim->stats.lost++;
        if (self->loss != LOSS_DEAD)
            continue;
        node_crash(sim, node);
        self->incarnation++; /* no restart that was planned happens */
    }
    for (size_t i = 0; i < sim->node_count; i++)
        if (sim->nodes[i].loss != LOSS_NONE)
            liveness_forget(sim, i);
}

void liveness_keep(struct simulator *sim)
{
    for (size_t i = 0; i < sim->node_count; i++) {
        sim->nodes[i].disk.is_failing = sim->nodes[i].loss == LOSS_DISK;
        for (size_t j = 0; j < sim->node_count && sim->nodes[i].loss == LOSS_CUT; j++)
            sim->network.is_cut[i][j] = sim->network.is_cut[j][i] = true;
    }
}

/* Is there a link between the a-th and the b-th of the members that are left? */
static bool has_link(enum shape shape, size_t a, size_t b, size_t count)
{
    size_t apart = b - a;
    switch (shape) {
    case SHAPE_STAR: return a == 0;
    case SHAPE_RING: return apart == 1 || apart == count - 1;
    case SHAPE_ROW: return apart == 1;
    case SHAPE_COUNT: break;
    }
    return true;
}

void liveness_thin(struct simulator *sim)
{
    size_t left[NODE_COUNT_MAX], count = 0;
    size_t first = simulator_random(sim, sim->node_count);
    for (size_t i = 0; i < sim->node_count; i++) {
        size_t node = (first + i) % sim->node_count;
        if (sim->nodes[node].loss == LOSS_NONE)
            left[count++] = node;
    }
    if (simulator_chance(sim, 3)) {
        struct node *slow = &sim->nodes[left[simulator_random(sim, count)]];
        slow->input_us = 200 + simulator_random(sim, SLOW_FOR_GOOD_US_MAX);
        sim->faults.counts[FAULT_SLOW_FOR_GOOD]++;
    }
    if (count < 3 || simulator_chance(sim, 3))
        return;
    enum shape shape = (enum shape)simulator_random(sim, SHAPE_COUNT);
    simulator_trace(sim, "THIN %d from n%zu", (int)shape, left[0] + 1);
    const struct network before = sim->network;
    for (size_t a = 0; a < count; a++)
        for (size_t b = a + 1; b < count; b++)
            sim->network.is_cut[left[a]][left[b]] = sim->network.is_cut[left[b]][left[a]]
                = !has_link(shape, a, b, count);
    sim->faults.counts[FAULT_THIN] += faults_has_new_cut(sim, &before);
}

/* The run fails, and says one thing that a member lacks. */
static void liveness_fail(struct simulator *sim, int rounds, const char *when)
{
    char text[160] = "a member is down or has a batch open";
    for (size_t i = 0; i < sim->node_count; i++)
        for (size_t j = 0; j < sim->node_count; j++)
            for (size_t k = 0; k < sim->registry.origin_count; k++) {
                const struct node *less = &sim->nodes[i], *more = &sim->nodes[j];
                if (less->loss == LOSS_NONE && more->loss == LOSS_NONE && less->core != NULL
                    && more->core != NULL && less->context.seq[k] < more->context.seq[k])
                    snprintf(text, sizeof text, "n%zu has %s up to %llu, n%zu to %llu", i + 1,
                        simulator_label(sim, k).text, (unsigned long long)less->context.seq[k],
                        j + 1, (unsigned long long)more->context.seq[k]);
            }
    simulator_fail(sim, "not converged %d heartbeat rounds after %s: %s", rounds, when, text);
}

void liveness_converge(struct simulator *sim)
{
    uint64_t calm_us = sim->now_us;
    bool has_bad_disk = false;
    for (size_t i = 0; i < sim->node_count; i++)
        has_bad_disk |= sim->nodes[i].loss == LOSS_DISK;
    int most = has_bad_disk ? CONVERGE_ROUNDS_BESIDE_DISK : CONVERGE_ROUNDS;
    if (!simulator_converge(sim, (uint64_t)most * ROUND_US) && !sim->is_broken)
        liveness_fail(sim, most, "the last fault");
    uint64_t rounds = (sim->now_us - calm_us + ROUND_US - 1) / ROUND_US;
    sim->stats.rounds = has_bad_disk ? 0 : rounds;
    sim->stats.rounds_beside = has_bad_disk ? rounds : 0;
    simulator_run(sim, 3000000);
    if (sim->is_broken || invariants_converged(sim))
        return;
    calm_us = sim->now_us;
    sim->stats.agains = 1;
    most = has_bad_disk ? CONVERGE_ROUNDS_BESIDE_DISK : AGAIN_ROUNDS;
    if (!simulator_converge(sim, (uint64_t)most * ROUND_US) && !sim->is_broken)
        liveness_fail(sim, most, "it had converged once");
    sim->stats.again = has_bad_disk ? 0 : (sim->now_us - calm_us + ROUND_US - 1) / ROUND_US;
}
