#include "tests/sim/liveness.h"

#include "tests/sim/simulator.h"

enum loss { LOSS_NONE, LOSS_DEAD, LOSS_CUT, LOSS_DISK };

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

void liveness_converge(struct simulator *sim)
{
    uint64_t calm_us = sim->now_us;
    if (!simulator_converge(sim, CONVERGE_US) && !sim->is_broken)
        simulator_fail(sim, "not converged %d heartbeat rounds after the last fault",
            CONVERGE_ROUNDS);
    sim->stats.rounds = (sim->now_us - calm_us + ROUND_US - 1) / ROUND_US;
    /* Nothing that is under way may change what has converged. */
    simulator_run(sim, 3000000);
    if (!sim->is_broken && !simulator_converge(sim, CONVERGE_US)
        && !sim->is_broken)
        simulator_fail(sim, "converged, then diverged again");
}
