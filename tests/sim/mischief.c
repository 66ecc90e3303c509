#include "tests/sim/mischief.h"

#include "tests/sim/array.h"
#include "tests/sim/simulator.h"

#define FLAPS_MAX 20          /* changes of one link                              */
#define ABSENCE_US_MAX 8000000 /* of one member                                 */
#define SLOW_INPUT_US 100000  /* a slow member takes up to this for one input     */

static void cut_both(struct simulator *sim, size_t a, size_t b)
{
    sim->network.is_cut[a][b] = sim->network.is_cut[b][a] = true;
}

/* Partitions are drawn anew, not on top of one another: what they show is their
 * shape. Two groups; two groups and one member that sees both; each sees its two
 * neighbours only; all see one member only; one member hears nobody. */
static bool mischief_shape(struct simulator *sim, enum fault fault, size_t node)
{
    size_t count = sim->node_count;
    const struct network before = sim->network;
    uint64_t group = 1 + simulator_random(sim, (UINT64_C(1) << count) - 2);
    for (size_t a = 0; a < count; a++)
        for (size_t b = 0; b < count; b++)
            sim->network.is_cut[a][b] = false;
    for (size_t a = 0; a < count; a++)
        for (size_t b = 0; b < a; b++) {
            bool is_apart = (group >> a & 1) != (group >> b & 1);
            bool is_near = a - b == 1 || a - b == count - 1;
            bool has_node = a == node || b == node;
            if ((fault == FAULT_SPLIT && is_apart)
                || (fault == FAULT_BRIDGE && is_apart && !has_node)
                || (fault == FAULT_RING && !is_near) || (fault == FAULT_STAR && !has_node))
                cut_both(sim, a, b);
        }
    for (size_t a = 0; fault == FAULT_DEAF && a < count; a++)
        sim->network.is_cut[a][node] = a != node;
    return faults_has_new_cut(sim, &before);
}

static bool mischief_begin_flap(struct simulator *sim, size_t node, size_t other)
{
    agenda_add(&sim->agenda, (struct event){ .kind = EVENT_FLAP, .at_us = sim->now_us,
        .node = node, .peer = other, .number = 2 + 2 * simulator_random(sim, FLAPS_MAX / 2) });
    return false; /* each time that it goes down is counted */
}

void mischief_flap(struct simulator *sim, const struct event *event)
{
    if (event->number == 0 || sim->is_calm)
        return;
    bool is_cut = event->number % 2 == 0;
    const struct network before = sim->network;
    sim->network.is_cut[event->node][event->peer] = is_cut;
    sim->network.is_cut[event->peer][event->node] = is_cut;
    sim->faults.counts[FAULT_FLAP] += faults_has_new_cut(sim, &before);
    struct event next = *event;
    next.number--;
    next.at_us = simulator_after(sim, 20000, 400000);
    agenda_add(&sim->agenda, next);
}

static bool mischief_lag(struct simulator *sim, enum fault fault, size_t node)
{
    struct node *self = &sim->nodes[node];
    if (self->core == NULL || self->is_stopping)
        return false;
    uint64_t until = simulator_after(sim, 500000, STALL_US_MAX);
    if (fault == FAULT_STALL)
        self->busy_until_us = until;
    else
        self->slow_until_us = until;
    return true;
}

/* What happens to a node, rather than in it, waits for nobody. */
static bool is_input(enum event_kind kind)
{
    return kind != EVENT_FAULT && kind != EVENT_FLAP && kind != EVENT_RESTART
        && kind != EVENT_STOP_LATE;
}

bool mischief_defer(struct simulator *sim, struct event *event)
{
    if (!is_input(event->kind))
        return false;
    struct node *self = &sim->nodes[event->node];
    if (sim->now_us >= self->busy_until_us) {
        bool is_slow = sim->now_us < self->slow_until_us && !sim->is_calm;
        uint64_t input_us = is_slow ? SLOW_INPUT_US : self->input_us;
        if (input_us > 0)
            self->busy_until_us = simulator_after(sim, 100, input_us);
        return false;
    }
    event->at_us = self->busy_until_us;
    agenda_add(&sim->agenda, *event);
    return true;
}

/* Runs a node on a copy of its store, and next time on the first one again, as it
 * was left: two data directories of one key, never at the same time. */
static bool mischief_clone(struct simulator *sim, size_t node)
{
    struct node *self = &sim->nodes[node];
    struct disk *spare = &sim->spares[node];
    if (self->core == NULL)
        return false;
    node_crash(sim, node);
    if (spare->items == NULL)
        disk_copy(&self->disk, spare);
    struct disk used = self->disk;
    self->disk = *spare;
    self->disk.failures = used.failures;
    self->disk.failed_us = used.failed_us;
    *spare = used;
    faults_forget(sim, node, true);
    node_restart_later(sim, node);
    return true;
}

/* One durable row is gone while later ones are there, as when a page was never
 * written. Somebody who can be asked has it. */
static bool mischief_hole(struct simulator *sim, size_t node)
{
    struct node *self = &sim->nodes[node];
    struct disk *disk = &self->disk;
    if (self->core == NULL || disk->durable == 0)
        return false;
    size_t at = simulator_random(sim, disk->durable);
    const struct disk_item *item = &disk->items[at];
    if (item->is_mark || item->is_dropped)
        return false;
    size_t origin = registry_origin(&sim->registry, &item->origin);
    bool is_own = sim->registry.origins[origin].node == node;
    bool is_elsewhere = false;
    for (size_t i = 0; i < sim->node_count; i++)
        is_elsewhere |= i != node && sim->nodes[i].core != NULL
            && faults_kept(&sim->nodes[i].disk, item->feed) >= item->last_seq;
    if (!is_elsewhere || (is_own && !faults_is_amnesia_safe(sim, node)))
        return false;
    node_crash(sim, node);
    faults_forget(sim, node, false);
    free(disk->items[at].bytes);
    memmove(disk->items + at, disk->items + at + 1,
        (disk->count - at - 1) * sizeof *disk->items);
    disk->count--;
    disk->durable--;
    disk->reported--;
    /* A snapshot that has what is lost keeps it. */
    disk->snapshot.place -= disk->snapshot.place > at;
    disk->dropped -= disk->dropped > at;
    disk->has_hole = true;
    disk->gap_end = disk->count;
    node_start(sim, node);
    if (is_own)
        faults_delay_word(sim, node);
    return true;
}

/* The others have dropped what the member lacks: batches will not do. */
static bool mischief_is_below_floor(const struct simulator *sim, size_t node)
{
    for (size_t i = 0; i < sim->node_count; i++)
        for (size_t j = 0; j < sim->registry.origin_count; j++) {
            const struct disk *disk = &sim->nodes[node].disk;
            if (i != node && sim->nodes[i].core != NULL
                && sim->nodes[i].disk.floor.seq[j] > disk_seq(disk, j, disk->durable))
                return true;
        }
    return false;
}

bool mischief_stays_away(struct simulator *sim, const struct event *event)
{
    const struct node *self = &sim->nodes[event->node];
    if (sim->now_us >= self->away_until_us || mischief_is_below_floor(sim, event->node))
        return false;
    struct event later = *event;
    later.at_us = simulator_after(sim, 100000, 500000);
    agenda_add(&sim->agenda, later);
    return true;
}

void mischief_return(struct simulator *sim, size_t node)
{
    struct node *self = &sim->nodes[node];
    bool is_below = self->away_until_us > 0 && mischief_is_below_floor(sim, node);
    sim->faults.counts[FAULT_LEAVE] += is_below;
    self->away_until_us = 0;
    if (!is_below)
        return;
    /* What is going to happen now is what crashes in transfers and joins are about. */
    const unsigned *weights = sim->faults.weights;
    size_t other = (node + 1 + simulator_random(sim, sim->node_count - 1)) % sim->node_count;
    enum fault fault = simulator_chance(sim, 2) ? FAULT_CRASH_TRANSFER : FAULT_CRASH_JOIN;
    if (weights[fault] > 0)
        (void)faults_set_trap(sim, fault, node);
    if (weights[FAULT_OFFERER_GONE] > 0)
        (void)faults_set_trap(sim, FAULT_OFFERER_GONE, other);
}

/* A member is away until the others have dropped what it lacks, or until it is time;
 * only the first counts. */
static bool mischief_leave(struct simulator *sim, size_t node)
{
    struct node *self = &sim->nodes[node];
    if (self->core == NULL || self->is_stopping)
        return false;
    node_crash(sim, node);
    self->away_until_us = simulator_after(sim, 1000000, ABSENCE_US_MAX);
    agenda_add(&sim->agenda, (struct event){ .kind = EVENT_RESTART, .node = node,
        .at_us = simulator_after(sim, 100000, 1000000),
        .incarnation = self->incarnation });
    return false;
}

/* Power is off everywhere for a year; one member comes back last. Nothing runs,
 * so the year is free. */
static bool mischief_absence(struct simulator *sim, size_t node)
{
    if (sim->skipped_us > 0 || sim->registry.origin_count + 2 * ORIGINS_LEFT_MIN
            > ORIGIN_COUNT_MAX)
        return false;
    for (size_t i = 0; i < sim->node_count; i++) {
        node_crash(sim, i);
        /* Who was down already would come back in the midst of the year. */
        sim->nodes[i].incarnation++;
        sim->nodes[i].away_until_us = 0;
    }
    sim->skipped_us = YEAR_US;
    for (size_t i = 0; i < sim->node_count; i++)
        agenda_add(&sim->agenda, (struct event){ .kind = EVENT_RESTART, .node = i,
            .at_us = YEAR_US + simulator_after(sim, 10000, i == node ? 9000000 : 2000000),
            .incarnation = sim->nodes[i].incarnation });
    sim->faults.quiet_until_us = sim->now_us + YEAR_US + 1000000;
    return true;
}

bool mischief_apply(struct simulator *sim, enum fault fault, size_t node, size_t other)
{
    bool has_origins = sim->registry.origin_count + ORIGINS_LEFT_MIN < ORIGIN_COUNT_MAX;
    if (fault == FAULT_FLAP)
        return mischief_begin_flap(sim, node, other);
    if (fault == FAULT_STALL || fault == FAULT_SLOW)
        return mischief_lag(sim, fault, node);
    if (fault == FAULT_CLONE)
        return has_origins && mischief_clone(sim, node);
    if (fault == FAULT_CLONES)
        return has_origins && mischief_clone(sim, node) && mischief_clone(sim, other);
    if (fault == FAULT_LEAVE)
        return has_origins && mischief_leave(sim, node);
    if (fault == FAULT_HOLE)
        return has_origins && mischief_hole(sim, node);
    if (fault == FAULT_ABSENT)
        return mischief_absence(sim, node);
    return mischief_shape(sim, fault, node);
}

void mischief_close(struct simulator *sim)
{
    for (size_t i = 0; i < sim->node_count; i++) {
        disk_close(&sim->spares[i]);
        disk_close(&sim->backups[i]);
    }
}
