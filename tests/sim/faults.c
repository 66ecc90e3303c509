#include "tests/sim/faults.h"

#include "tests/sim/simulator.h"

static const char *const fault_texts[] = {
#define FAULT_TEXT(name, text) text,
    FAULT_MAP(FAULT_TEXT)
#undef FAULT_TEXT
};

#define ORIGINS_LEFT_MIN 20 /* room for the generations that the end may need */
#define AMNESIA_QUIET_US 4000000 /* longer than a start waits for a peer's word */
#define YEAR_MS INT64_C(31536000000)

const char *fault_text(enum fault fault)
{
    return fault_texts[fault];
}

static unsigned faults_rate(struct simulator *sim, unsigned most)
{
    return simulator_chance(sim, 2) ? 0 : 1 + (unsigned)simulator_random(sim, most);
}

void faults_draw(struct simulator *sim)
{
    struct network *network = &sim->network;
    network->loss = faults_rate(sim, 50);
    network->bulk_loss = faults_rate(sim, 300);
    network->duplication = faults_rate(sim, 100);
    network->reordering = faults_rate(sim, 200);
    network->delay = faults_rate(sim, 50);
    network->corruption = simulator_chance(sim, 5) ? 1 + (unsigned)simulator_random(sim, 20) : 0;
    if (simulator_chance(sim, 4)) /* a good network: what others do shows better */
        *network = (struct network){ .is_cut = { { false } } };
    sim->is_model_exact = network->corruption == 0;
    for (size_t i = 0; i <= FAULT_AMNESIA; i++)
        sim->faults.weights[i] = faults_rate(sim, 10);
    sim->faults.weights[FAULT_HEAL] = 12;
    sim->faults.weights[FAULT_STORE_MEND] = 12;
    sim->faults.weights[FAULT_RESTORE] /= 4;
    sim->faults.weights[FAULT_AMNESIA] *= 2; /* seldom possible */
    sim->faults.pause_us = 100000 + simulator_random(sim, 1000000);
}

static enum fault faults_pick(struct simulator *sim)
{
    uint64_t total = 0;
    for (size_t i = 0; i <= FAULT_AMNESIA; i++)
        total += sim->faults.weights[i];
    uint64_t chosen = simulator_random(sim, total);
    size_t i = 0;
    while (chosen >= sim->faults.weights[i])
        chosen -= sim->faults.weights[i++];
    return (enum fault)i;
}

static void faults_cut(struct simulator *sim, enum fault fault, size_t node, size_t other)
{
    for (size_t i = 0; i < sim->node_count; i++) {
        if (i == node || (fault != FAULT_CUT_NODE && i != other))
            continue;
        sim->network.is_cut[node][i] = true;
        sim->network.is_cut[i][node] |= fault != FAULT_CUT_ONE_WAY;
    }
}

static void faults_heal(struct simulator *sim)
{
    for (size_t i = 0; i < sim->node_count; i++)
        for (size_t j = 0; j < sim->node_count; j++)
            sim->network.is_cut[i][j] = false;
}

/* An older copy of the store is put back. What nobody else has is lost, and the
 * promises for it with it: that is what `always` means without a peer. */
static bool faults_restore(struct simulator *sim, size_t node, bool has_moved)
{
    struct disk *disk = &sim->nodes[node].disk;
    if (sim->nodes[node].core == NULL || disk->durable == 0)
        return false;
    node_crash(sim, node);
    disk_restore(sim, node, simulator_random(sim, disk->durable + 1));
    disk->has_moved = has_moved;
    for (size_t i = 0; i < sim->registry.origin_count; i++) {
        struct known_origin *origin = &sim->registry.origins[i];
        uint64_t left = 0;
        origin->is_elsewhere |= origin->node == node;
        for (size_t j = 0; j < sim->node_count; j++) {
            uint64_t seq = disk_seq(
                &sim->nodes[j].disk, &origin->origin, sim->nodes[j].disk.durable);
            left = seq > left ? seq : left;
        }
        if (origin->promised > left)
            origin->promised = left;
    }
    return true;
}

/* The older copy may come behind the host's back where nothing can be used twice:
 * every peer can be heard and knows all that this node has ever made. */
static bool faults_is_amnesia_safe(struct simulator *sim, size_t node)
{
    const struct network *network = &sim->network;
    bool is_safe = network->loss + network->bulk_loss + network->reordering + network->delay
            + network->corruption == 0;
    for (size_t i = 0; i < sim->node_count; i++) {
        is_safe = is_safe && sim->nodes[i].core != NULL && !sim->nodes[i].is_stopping
            && !sim->nodes[i].is_doomed && !network->is_cut[i][node]
            && !network->is_cut[node][i];
        for (size_t j = 0; j < sim->registry.origin_count; j++) {
            const struct known_origin *own = &sim->registry.origins[j];
            uint64_t newest = own->batch_count == 0
                ? 0 : own->batches[own->batch_count - 1].last_seq;
            is_safe = is_safe && (own->node != node || sim->nodes[i].context.seq[j] >= newest);
        }
    }
    return is_safe;
}

static bool faults_amnesia(struct simulator *sim, size_t node)
{
    if (!faults_is_amnesia_safe(sim, node) || !faults_restore(sim, node, false))
        return false;
    node_start(sim, node);
    sim->faults.quiet_until_us = sim->now_us + AMNESIA_QUIET_US;
    return true;
}

static void faults_clock(struct simulator *sim, size_t node)
{
    static const int64_t offsets[] = { YEAR_MS, -YEAR_MS, 120000, -120000, 5000, -5000, 0, 0 };
    sim->nodes[node].clock_offset_ms = offsets[simulator_random(sim, 8)];
}

/* True when it really happened. */
static bool faults_apply(struct simulator *sim, enum fault fault, size_t node, size_t other)
{
    struct node *self = &sim->nodes[node];
    bool has_origins = sim->registry.origin_count + ORIGINS_LEFT_MIN < ORIGIN_COUNT_MAX;
    switch (fault) {
    case FAULT_CRASH: /* counted when it happens, amid the outputs of a step */
        self->is_doomed = self->core != NULL && has_origins;
        return false;
    case FAULT_STOP:
        if (self->core == NULL || self->is_stopping)
            return false;
        node_stop(sim, node);
        return true;
    case FAULT_CUT_NODE:
    case FAULT_CUT_PAIR:
    case FAULT_CUT_ONE_WAY: faults_cut(sim, fault, node, other); return true;
    case FAULT_HEAL: faults_heal(sim); return true;
    case FAULT_STORE_FAIL: self->disk.is_failing = true; return true;
    case FAULT_STORE_MEND:
        for (size_t i = 0; i < sim->node_count; i++)
            sim->nodes[i].disk.is_failing = false;
        return true;
    case FAULT_CLOCK: faults_clock(sim, node); return true;
    case FAULT_CLIENT_GONE:
        workload_gone(sim, node, simulator_random(sim, CLIENT_ASKING));
        return true;
    case FAULT_LINK_RESET:
        if (sim->network.count == 0)
            return false;
        network_reset(sim, simulator_random(sim, sim->network.count));
        return true;
    case FAULT_SECOND_LINK:
        if (self->core != NULL && !self->is_stopping)
            network_dial(sim, node, simulator_random(sim, self->peer_count));
        return true;
    case FAULT_RESTORE:
        if (!has_origins || !faults_restore(sim, node, true))
            return false;
        node_restart_later(sim, node);
        return true;
    case FAULT_AMNESIA: return has_origins && faults_amnesia(sim, node);
    case FAULT_LOSS:
    case FAULT_DUPLICATION:
    case FAULT_REORDERING:
    case FAULT_DELAY:
    case FAULT_CORRUPTION: break; /* these happen to messages: network.c */
    }
    return false;
}

static void faults_plan(struct simulator *sim)
{
    agenda_add(&sim->agenda, (struct event){ .kind = EVENT_FAULT,
        .at_us = simulator_after(sim, 1000, 2 * sim->faults.pause_us) });
}

void faults_happen(struct simulator *sim)
{
    if (sim->is_calm)
        return;
    if (sim->now_us < sim->faults.quiet_until_us) {
        faults_plan(sim);
        return;
    }
    size_t node = simulator_random(sim, sim->node_count);
    size_t other = (node + 1 + simulator_random(sim, sim->node_count - 1)) % sim->node_count;
    enum fault fault = faults_pick(sim);
    simulator_trace(sim, "FAULT %s n%zu n%zu", fault_text(fault), node + 1, other + 1);
    if (faults_apply(sim, fault, node, other))
        sim->faults.counts[fault]++;
    faults_plan(sim);
}

void faults_end(struct simulator *sim)
{
    struct network *network = &sim->network;
    network->loss = network->bulk_loss = network->duplication = 0;
    network->reordering = network->delay = network->corruption = 0;
    faults_heal(sim);
    for (size_t i = 0; i < sim->node_count; i++) {
        sim->nodes[i].disk.is_failing = false;
        sim->nodes[i].is_doomed = false;
        if (sim->nodes[i].core == NULL && !sim->is_broken)
            node_start(sim, i);
    }
}
