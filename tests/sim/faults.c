#include "tests/sim/faults.h"

#include "tests/sim/adversary.h"
#include "tests/sim/mischief.h"
#include "tests/sim/simulator.h"

static const char *const fault_texts[] = {
#define FAULT_TEXT(name, text) text,
    FAULT_MAP(FAULT_TEXT)
#undef FAULT_TEXT
};

#define LATE_WORD_US_MAX 1500000 /* with dials and a stall, a start hears of itself in 2 s */
#define FLOOD_MESSAGES_MIN 10
#define FLOOD_MESSAGES_MAX 1000
#define YEAR_MS INT64_C(31536000000)

const char *fault_text(enum fault fault)
{
    return fault_texts[fault];
}

static unsigned faults_rate(struct simulator *sim, unsigned most)
{
    return simulator_chance(sim, 2) ? 0 : 1 + (unsigned)simulator_random(sim, most);
}

/* A run that is about joins: members leave, the others drop at once, and something
 * happens in the midst of most transfers. */
static void faults_draw_joins(struct simulator *sim)
{
    sim->snapshot_bytes = 500 + simulator_random(sim, 1500);
    sim->log_bytes_max = simulator_random(sim, 2000);
    sim->unacked_bytes_max = simulator_random(sim, 20000);
    sim->faults.weights[FAULT_LEAVE] = 20;
    sim->faults.weights[FAULT_CRASH_TRANSFER] = 25;
    sim->faults.weights[FAULT_CRASH_JOIN] = 20;
    sim->faults.weights[FAULT_OFFERER_GONE] = 25;
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
    sim->is_model_exact = true;
    /* Few kinds in some runs, most of them in others. */
    uint64_t density = 1 + simulator_random(sim, 4);
    for (size_t i = 0; i <= FAULT_LAST_DRAWN; i++)
        sim->faults.weights[i]
            = simulator_random(sim, 5) < density ? 1 + (unsigned)simulator_random(sim, 10) : 0;
    sim->faults.weights[FAULT_HEAL] = 12;
    sim->faults.weights[FAULT_STORE_MEND] = 12;
    /* An alarm is a finding where every node is correct: most runs have no bad one. */
    if (!simulator_chance(sim, 3))
        sim->faults.weights[FAULT_POISON] = sim->faults.weights[FAULT_LIE_OFFER]
            = sim->faults.weights[FAULT_LIE_PART] = 0;
    sim->faults.weights[FAULT_LIE_OFFER] *= 5;
    sim->faults.weights[FAULT_LIE_PART] *= 5;
    sim->faults.weights[FAULT_CLONES] /= 2;
    if (simulator_chance(sim, 4))
        faults_draw_joins(sim);
    sim->faults.weights[FAULT_AMNESIA] *= 9; /* seldom possible */
    sim->faults.weights[FAULT_CRASH_JOIN] *= 2;
    sim->faults.weights[FAULT_CRASH_TRANSFER] *= 2;
    sim->faults.weights[FAULT_BACKUP] *= 3;  /* it takes two to count */
    sim->faults.weights[FAULT_CLIENT_GONE] *= 2;
    sim->faults.weights[FAULT_LOST_WRITE] *= 7;
    sim->faults.weights[FAULT_POISON] *= 3;
    sim->faults.pause_us = 30000 + simulator_random(sim, 700000);
}

static enum fault faults_pick(struct simulator *sim)
{
    uint64_t total = 0;
    for (size_t i = 0; i <= FAULT_LAST_DRAWN; i++)
        total += sim->faults.weights[i];
    uint64_t chosen = simulator_random(sim, total);
    size_t i = 0;
    while (chosen >= sim->faults.weights[i])
        chosen -= sim->faults.weights[i++];
    return (enum fault)i;
}

bool faults_has_new_cut(const struct simulator *sim, const struct network *before)
{
    for (size_t i = 0; i < sim->node_count; i++)
        for (size_t j = 0; j < sim->node_count; j++)
            if (sim->network.is_cut[i][j] && !before->is_cut[i][j] && sim->nodes[i].core != NULL
                && sim->nodes[j].core != NULL)
                return true;
    return false;
}

static bool faults_cut(struct simulator *sim, enum fault fault, size_t node, size_t other)
{
    const struct network before = sim->network;
    for (size_t i = 0; i < sim->node_count; i++) {
        if (i == node || (fault != FAULT_CUT_NODE && i != other))
            continue;
        sim->network.is_cut[node][i] = true;
        sim->network.is_cut[i][node] |= fault != FAULT_CUT_ONE_WAY;
    }
    return faults_has_new_cut(sim, &before);
}

static bool faults_heal(struct simulator *sim)
{
    bool was_cut = false;
    for (size_t i = 0; i < sim->node_count; i++)
        for (size_t j = 0; j < sim->node_count; j++) {
            was_cut |= sim->network.is_cut[i][j];
            sim->network.is_cut[i][j] = false;
        }
    return was_cut;
}

static bool faults_mend(struct simulator *sim)
{
    bool was_bad = false;
    for (size_t i = 0; i < sim->node_count; i++) {
        struct disk *disk = &sim->nodes[i].disk;
        was_bad |= disk->is_failing || disk->is_erring;
        disk->is_failing = disk->is_erring = false;
    }
    return was_bad;
}

/* An older copy of the store is put back: what is durable now, without at most
 * `lost_max` items, or for 0 the backup. True when this is not what was there. What
 * nobody else has is lost, and the promises for it with it: that is what `always` means
 * without a peer. */
static bool faults_restore(
    struct simulator *sim, size_t node, bool has_moved, size_t lost_max)
{
    struct disk *disk = &sim->nodes[node].disk;
    if (sim->nodes[node].core == NULL || disk->durable == 0)
        return false;
    size_t durable = disk->durable;
    bool has_backup = sim->backups[node].items != NULL;
    if (lost_max == 0 && !has_backup)
        return false;
    /* Whoever forgets may forget as far as that, too. */
    bool is_backup
        = lost_max == 0 || (has_backup && !has_moved && lost_max == SIZE_MAX
                               && simulator_chance(sim, 2));
    node_crash(sim, node);
    size_t before = disk->count;
    if (is_backup) {
        struct disk used = *disk;
        disk_copy(&sim->backups[node], disk);
        disk->failures = used.failures;
        disk->failed_us = used.failed_us;
    } else
        disk_restore(sim, node, durable > lost_max ? durable - 1 - simulator_random(sim, lost_max)
                                               : simulator_random(sim, durable + 1));
    disk->has_moved = has_moved;
    faults_forget(sim, node, true);
    return has_moved || disk->count < before;
}

void faults_spring(struct simulator *sim, size_t node, enum trap trap)
{
    static const enum fault kinds[] = { [TRAP_STAGE] = FAULT_CRASH_TRANSFER,
        [TRAP_SERVE] = FAULT_OFFERER_GONE, [TRAP_JOIN] = FAULT_CRASH_JOIN,
        [TRAP_JOIN_DURABLE] = FAULT_CRASH_JOIN, [TRAP_JOIN_DONE] = FAULT_CRASH_JOIN,
        [TRAP_SWAP] = FAULT_CRASH_JOIN, [TRAP_DROP] = FAULT_CRASH_DROP,
        [TRAP_DROP_DURABLE] = FAULT_CRASH_DROP };
    struct node *self = &sim->nodes[node];
    bool has_origins = sim->registry.origin_count + ORIGINS_LEFT_MIN < ORIGIN_COUNT_MAX;
    if (self->trap != trap || sim->is_calm || !has_origins)
        return;
    self->trap = TRAP_NONE;
    simulator_trace(sim, "FAULT %s n%zu", fault_text(kinds[trap]), node + 1);
    if (trap == TRAP_SERVE && simulator_chance(sim, 2))
        sim->faults.counts[FAULT_OFFERER_GONE] += faults_cut(sim, FAULT_CUT_NODE, node, node);
    else
        faults_doom(sim, node, kinds[trap]);
}

void faults_doom(struct simulator *sim, size_t node, enum fault fault)
{
    sim->nodes[node].is_doomed = true;
    sim->nodes[node].doom = fault;
}

bool faults_set_trap(struct simulator *sim, enum fault fault, size_t node)
{
    /* Rather for one that is at it. */
    bool is_staging = fault == FAULT_CRASH_TRANSFER || fault == FAULT_CRASH_JOIN;
    for (size_t i = 0; is_staging && i < sim->node_count; i++)
        if (sim->nodes[i].disk.staged.exists && sim->nodes[i].trap == TRAP_NONE)
            node = i;
    struct node *self = &sim->nodes[node];
    /* The rarest stays. */
    if (self->trap >= TRAP_JOIN && self->trap <= TRAP_SWAP)
        return false;
    if (fault == FAULT_CRASH_TRANSFER)
        self->trap = TRAP_STAGE;
    else if (fault == FAULT_OFFERER_GONE)
        self->trap = TRAP_SERVE;
    else if (fault == FAULT_CRASH_DROP)
        self->trap = TRAP_DROP + (enum trap)simulator_random(sim, 2);
    else
        self->trap = TRAP_JOIN + (enum trap)simulator_random(sim, 4);
    return false;
}

uint64_t faults_kept(const struct disk *disk, size_t feed)
{
    return disk->has_hole ? 0 : disk_seq(disk, feed, disk->durable);
}

void faults_forget(struct simulator *sim, size_t node, bool counts_self)
{
    for (size_t i = 0; i < sim->registry.origin_count; i++) {
        struct known_origin *origin = &sim->registry.origins[i];
        uint64_t left = 0;
        origin->is_elsewhere |= origin->node == node;
        for (size_t j = 0; j < sim->node_count; j++) {
            uint64_t seq = j == node && !counts_self
                ? 0 : faults_kept(&sim->nodes[j].disk, i);
            left = seq > left ? seq : left;
        }
        if (origin->promised > left)
            origin->promised = left;
    }
}

/* The older copy may come behind the host's back where nothing can be used twice:
 * every peer can be heard and knows all that this node has ever made. */
bool faults_is_amnesia_safe(struct simulator *sim, size_t node)
{
    const struct network *network = &sim->network;
    bool is_safe = network->loss + network->bulk_loss + network->reordering + network->delay
                + network->corruption == 0
        && !network_has_dead_link(network, node);
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

void faults_delay_word(struct simulator *sim, size_t node)
{
    bool is_slow = false;
    for (size_t i = 0; i < sim->node_count; i++)
        is_slow |= i != node && sim->nodes[i].slow_until_us > sim->now_us;
    sim->faults.quiet_until_us = sim->now_us + AMNESIA_QUIET_US;
    if (is_slow || simulator_chance(sim, 4))
        return;
    uint64_t until_us = simulator_after(sim, 0, LATE_WORD_US_MAX);
    for (size_t i = 0; i < sim->node_count; i++)
        if (i != node && sim->nodes[i].busy_until_us < until_us)
            sim->nodes[i].busy_until_us = until_us;
    sim->faults.counts[FAULT_LATE_WORD]++;
}

static bool faults_amnesia(struct simulator *sim, size_t node, size_t lost_max)
{
    if (!faults_is_amnesia_safe(sim, node))
        return false;
    bool has_forgotten = faults_restore(sim, node, false, lost_max);
    if (sim->nodes[node].core != NULL)
        return false;
    node_start(sim, node);
    faults_delay_word(sim, node);
    return has_forgotten;
}

static bool faults_move_back(struct simulator *sim, size_t node, size_t lost_max)
{
    bool is_back = faults_restore(sim, node, true, lost_max);
    if (is_back)
        node_restart_later(sim, node);
    return is_back;
}

/* A backup is made, or the one that there is comes back: only that counts. */
static bool faults_backup(struct simulator *sim, size_t node)
{
    const struct disk *disk = &sim->nodes[node].disk;
    if (sim->backups[node].items != NULL && simulator_chance(sim, 2))
        return faults_move_back(sim, node, 0);
    if (disk->durable > 0)
        disk_copy(disk, &sim->backups[node]);
    return false;
}

/* Back by up to a year, ahead by one, or too fast or slow by up to a fifth; now
 * and then right again. */
static bool faults_clock(struct simulator *sim, enum fault fault, size_t node)
{
    static const int64_t steps[] = { 5000, 120000, 86400000, YEAR_MS };
    struct node *self = &sim->nodes[node];
    int64_t offset_ms = (int64_t)node_wall_ms(sim, node) - (int64_t)node_true_ms(sim);
    self->clock_offset_ms = offset_ms;
    self->drift_from_us = sim->now_us;
    self->drift_ppm = 0;
    if (simulator_chance(sim, 4))
        self->clock_offset_ms = 0;
    else if (fault == FAULT_CLOCK_DRIFT)
        self->drift_ppm = (int64_t)simulator_random(sim, 400001) - 200000;
    else if (fault == FAULT_CLOCK_YEAR)
        self->clock_offset_ms = YEAR_MS;
    else
        self->clock_offset_ms -= steps[simulator_random(sim, 4)];
    bool is_right = self->clock_offset_ms == 0 && self->drift_ppm == 0;
    return !is_right && (self->clock_offset_ms != offset_ms || self->drift_ppm != 0);
}

/* Faults of floors, snapshots and what is said of them. True when it happened. */
static bool faults_apply_log(
    struct simulator *sim, enum fault fault, size_t node, size_t other)
{
    struct node *self = &sim->nodes[node];
    if (fault == FAULT_LIE_OFFER)
        return adversary_offer(sim, node, other);
    if (fault == FAULT_LIE_PART) {
        self->part_lies = 1 + (unsigned)simulator_random(sim, 3);
        return false; /* each lie is counted when it leaves */
    }
    return faults_set_trap(sim, fault, node);
}

/* A write that fails counts, not that it would. */
static bool faults_disk(struct simulator *sim, enum fault fault, size_t node)
{
    struct disk *disk = &sim->nodes[node].disk;
    disk->is_failing |= fault == FAULT_STORE_FAIL;
    disk->is_erring |= fault == FAULT_DISK_ERROR;
    disk->is_counted = false;
    return false;
}

static bool faults_stop(struct simulator *sim, size_t node)
{
    const struct node *self = &sim->nodes[node];
    if (self->core == NULL || self->is_stopping)
        return false;
    node_stop(sim, node);
    return true;
}

/* True when it really happened. */
static bool faults_apply(struct simulator *sim, enum fault fault, size_t node, size_t other)
{
    struct node *self = &sim->nodes[node];
    bool has_origins = sim->registry.origin_count + ORIGINS_LEFT_MIN < ORIGIN_COUNT_MAX;
    switch (fault) {
    case FAULT_CRASH: /* counted when it happens, amid the outputs of a step */
        if (self->core != NULL && has_origins && !self->is_doomed)
            faults_doom(sim, node, FAULT_CRASH);
        return false;
    case FAULT_STOP: return faults_stop(sim, node);
    case FAULT_CUT_NODE:
    case FAULT_CUT_PAIR:
    case FAULT_CUT_ONE_WAY: return faults_cut(sim, fault, node, other);
    case FAULT_HEAL: return faults_heal(sim);
    case FAULT_STORE_FAIL:
    case FAULT_DISK_ERROR: return faults_disk(sim, fault, node);
    case FAULT_STORE_MEND: return faults_mend(sim);
    case FAULT_CLOCK_BACK:
    case FAULT_CLOCK_YEAR:
    case FAULT_CLOCK_DRIFT: return faults_clock(sim, fault, node);
    case FAULT_CLIENT_GONE:
        return workload_gone(sim, node, simulator_random(sim, CLIENT_ASKING));
    case FAULT_LINK_RESET:
        return sim->network.count > 0
            && network_reset(sim, simulator_random(sim, sim->network.count));
    case FAULT_SECOND_LINK: /* counted when it is up beside another one */
        if (self->core != NULL && !self->is_stopping)
            network_dial_again(sim, node, simulator_random(sim, self->peer_count));
        return false;
    case FAULT_RESTORE: return has_origins && faults_move_back(sim, node, SIZE_MAX);
    case FAULT_AMNESIA: return has_origins && faults_amnesia(sim, node, SIZE_MAX);
    case FAULT_LOST_WRITE: return has_origins && faults_amnesia(sim, node, 3);
    case FAULT_POISON: return has_origins && adversary_poison(sim, node, other);
    case FAULT_LIE_OFFER:
    case FAULT_LIE_PART:
    case FAULT_CRASH_TRANSFER:
    case FAULT_CRASH_JOIN:
    case FAULT_CRASH_DROP:
    case FAULT_OFFERER_GONE: return faults_apply_log(sim, fault, node, other);
    case FAULT_BACKUP: return has_origins && faults_backup(sim, node);
    case FAULT_FLOOD: /* counted when the last copy is delivered */
        sim->network.flood
            = FLOOD_MESSAGES_MIN + (unsigned)simulator_random(sim, FLOOD_MESSAGES_MAX);
        return false;
    case FAULT_SPLIT:
    case FAULT_BRIDGE:
    case FAULT_RING:
    case FAULT_STAR:
    case FAULT_DEAF:
    case FAULT_FLAP:
    case FAULT_STALL:
    case FAULT_SLOW:
    case FAULT_CLONE:
    case FAULT_CLONES:
    case FAULT_LEAVE:
    case FAULT_HOLE:
    case FAULT_ABSENT: return mischief_apply(sim, fault, node, other);
    case FAULT_LOSS:
    case FAULT_DUPLICATION:
    case FAULT_REORDERING:
    case FAULT_DELAY:
    case FAULT_CORRUPTION:
    case FAULT_DEAD_LINK: break; /* these happen to messages: network.c */
    case FAULT_LATE_WORD: break; /* with amnesia */
    case FAULT_THIN:
    case FAULT_SLOW_FOR_GOOD: break; /* to the end of a run: liveness.c */
    }
    return false;
}

static void faults_plan(struct simulator *sim)
{
    uint64_t at = simulator_after(sim, 1000, 2 * sim->faults.pause_us);
    if (at < sim->faults.quiet_until_us)
        at = sim->faults.quiet_until_us;
    agenda_add(&sim->agenda, (struct event){ .kind = EVENT_FAULT, .at_us = at });
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
    bool has_happened = faults_apply(sim, fault, node, other);
    sim->faults.counts[fault] += has_happened;
    sim->has_poison |= has_happened && (fault == FAULT_POISON || fault == FAULT_LIE_OFFER);
    faults_plan(sim);
}

void faults_end(struct simulator *sim)
{
    struct network *network = &sim->network;
    network->loss = network->bulk_loss = network->duplication = 0;
    network->reordering = network->delay = network->corruption = network->flood = 0;
    (void)faults_heal(sim);
    (void)faults_mend(sim);
    for (size_t i = 0; i < sim->node_count; i++) {
        sim->nodes[i].is_doomed = false;
        sim->nodes[i].trap = TRAP_NONE;
        sim->nodes[i].part_lies = 0;
        if (sim->nodes[i].core == NULL && sim->nodes[i].loss == 0 && !sim->is_broken) {
            mischief_return(sim, i);
            node_start(sim, i);
        }
    }
}
