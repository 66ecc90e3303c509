#include "tests/sim/disk.h"

#include "tests/sim/array.h"
#include "tests/sim/invariants.h"
#include "tests/sim/simulator.h"

static void disk_snapshot_free(struct disk_snapshot *snapshot)
{
    free(snapshot->bytes);
    free(snapshot->tips);
    *snapshot = (struct disk_snapshot){ 0 };
}

/* Drops all items from `count` on. */
static void disk_cut(struct disk *disk, size_t count)
{
    while (disk->count > count)
        free(disk->items[--disk->count].bytes);
    if (disk->durable > count)
        disk->durable = count;
    if (disk->reported > count)
        disk->reported = count;
    if (disk->dropped > count)
        disk->dropped = count;
    if (disk->work.marked > count)
        disk->work.marked = SIZE_MAX;
    if (disk->snapshot.place <= count)
        return;
    disk_snapshot_free(&disk->snapshot);
    disk->has_hole |= disk_has_gap(disk); /* which it had made good */
}

void disk_store(struct simulator *sim, size_t node, const struct core_output *output)
{
    struct disk *disk = &sim->nodes[node].disk;
    disk->items = array_reserve(disk->items, disk->count, &disk->capacity, sizeof *disk->items);
    struct disk_item *item = &disk->items[disk->count++];
    *item = (struct disk_item){ .is_mark = output->kind != CORE_STORE,
        .is_evidence = output->kind == CORE_STORE_EVIDENCE,
        .mark = output->mark,
        .value = output->value,
        .number = output->number,
        .size = output->bytes.size,
        .origin = output->origin,
        .first_seq = output->first_seq,
        .last_seq = output->last_seq,
        .applied_ms = output->wall_ms };
    if (item->is_evidence) {
        item->bytes = array_copy(output->bytes.data, output->bytes.size);
        simulator_trace(sim, "n%zu STORE %llu evidence", node + 1,
            (unsigned long long)item->number);
    } else if (item->is_mark) {
        simulator_trace(sim, "n%zu STORE %llu mark %s", node + 1,
            (unsigned long long)item->number,
            item->mark == CORE_MARK_GENERATION ? "generation"
                : item->value != 0             ? "ahead"
                                               : "not ahead");
    } else {
        item->bytes = array_copy(output->bytes.data, output->bytes.size);
        memcpy(item->signature, output->signature, CORE_SIGNATURE_BYTES);
        item->feed = registry_origin(&sim->registry, &item->origin);
        simulator_trace(sim, "n%zu STORE %llu %s %llu..%llu", node + 1,
            (unsigned long long)item->number, simulator_label(sim, item->feed).text,
            (unsigned long long)item->first_seq, (unsigned long long)item->last_seq);
    }
    disk_flush(sim, node);
}

static bool disk_has_mark(const struct disk *disk, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (disk->items[i].is_mark)
            return true;
    return false;
}

/* How long the flush of what waits takes. Marks are fsynced at once in every
 * mode: what they promise must hold before anything is sent. */
static uint64_t disk_duration(struct simulator *sim, const struct node *node)
{
    const struct disk *disk = &node->disk;
    if (node->durability == CORE_EVERYSEC && !disk_has_mark(disk, disk->reported, disk->count)
        && !node->is_stopping)
        return simulator_after(sim, 1000000, 1000000);
    if (simulator_chance(sim, 50))
        return simulator_after(sim, 1000, 200000);
    return simulator_after(sim, 1000, 4000);
}

void disk_flush(struct simulator *sim, size_t node)
{
    struct disk *disk = &sim->nodes[node].disk;
    if (disk->is_busy || disk->is_held || disk->reported == disk->count
        || sim->nodes[node].core == NULL)
        return;
    disk->is_busy = true;
    agenda_add(&sim->agenda, (struct event){ .kind = EVENT_FLUSH,
        .at_us = disk_duration(sim, &sim->nodes[node]), .node = node,
        .incarnation = sim->nodes[node].incarnation, .number = disk->count });
}

#define FAILED_LATELY_US 10000000

bool disk_has_failed_lately(const struct simulator *sim, size_t node)
{
    const struct disk *disk = &sim->nodes[node].disk;
    return disk->failures > 0 && sim->now_us - disk->failed_us < FAILED_LATELY_US;
}

static void disk_fail(struct simulator *sim, size_t node, const char *reason)
{
    struct disk *disk = &sim->nodes[node].disk;
    uint64_t number = disk->items[disk->reported].number;
    disk_cut(disk, disk->reported);
    disk->failures++;
    if (!disk->is_counted && !sim->is_calm)
        sim->faults.counts[disk->is_failing ? FAULT_STORE_FAIL : FAULT_DISK_ERROR]++;
    disk->is_counted = true;
    disk->failed_us = sim->now_us;
    simulator_trace(sim, "n%zu STORE_FAILED %llu", node + 1, (unsigned long long)number);
    struct core_input input
        = { .kind = CORE_STORE_FAILED, .number = number, .reason = reason };
    node_step(sim, node, &input);
}

/* Everything up to `target` is written, and as the mode promises durable. */
static void disk_report(struct simulator *sim, size_t node, size_t target)
{
    struct disk *disk = &sim->nodes[node].disk;
    bool is_synced = sim->nodes[node].durability != CORE_NO
        || disk_has_mark(disk, disk->durable, target) || simulator_chance(sim, 4);
    for (; disk->reported < target; disk->reported++)
        invariants_reported(sim, node, &disk->items[disk->reported]);
    while (is_synced && disk->durable < target) {
        invariants_durable(sim, node, &disk->items[disk->durable++]);
        if (disk->items[disk->durable - 1].is_mark
            && !disk->items[disk->durable - 1].is_evidence
            && disk->items[disk->durable - 1].mark == CORE_MARK_GENERATION)
            disk->has_moved = false;
    }
    uint64_t number = disk->items[target - 1].number;
    simulator_trace(sim, "n%zu STORED %llu", node + 1, (unsigned long long)number);
    struct core_input input = { .kind = CORE_STORED, .number = number };
    node_step(sim, node, &input);
}

/* An error of the medium: a part is written, the rest is not. */
static void disk_err(struct simulator *sim, size_t node, size_t target)
{
    struct node *self = &sim->nodes[node];
    uint64_t incarnation = self->incarnation;
    size_t part = self->disk.reported
        + simulator_random(sim, target - self->disk.reported);
    if (part > self->disk.reported)
        disk_report(sim, node, part);
    if (self->core != NULL && self->incarnation == incarnation && !sim->is_broken)
        disk_fail(sim, node, "input/output error");
}

void disk_flushed(struct simulator *sim, size_t node, size_t target)
{
    struct disk *disk = &sim->nodes[node].disk;
    disk->is_busy = false;
    if (disk->is_held)
        return;
    if (disk->is_failing) {
        disk_fail(sim, node, "disk full");
        return;
    }
    if (disk->is_erring && simulator_random(sim, 2) == 0) {
        disk_err(sim, node, target);
        return;
    }
    /* An fsync in `everysec` covers what was written while it waited. */
    if (sim->nodes[node].durability == CORE_EVERYSEC)
        target = disk->count;
    disk_report(sim, node, target);
    disk_flush(sim, node);
}

void disk_crash(struct simulator *sim, size_t node)
{
    struct disk *disk = &sim->nodes[node].disk;
    size_t loose = disk->count - disk->durable;
    size_t kept = disk->durable + (sim->options.is_quiet ? 0 : simulator_random(sim, loose + 1));
    disk_cut(disk, kept);
    while (disk->durable < kept)
        invariants_durable(sim, node, &disk->items[disk->durable++]);
    disk->reported = kept;
    disk->is_busy = false;
    disk->staged.has_failed = false;
    struct disk_staged *staged = &disk->staged;
    size_t parts = staged->count - staged->durable;
    disk_staged_cut(staged, staged->durable + simulator_random(sim, parts + 1));
}

bool disk_has_gap(const struct disk *disk)
{
    return disk->dropped < disk->gap_end;
}

bool disk_has_floor(const struct disk *disk)
{
    for (size_t i = 0; i < ORIGIN_COUNT_MAX; i++)
        if (disk->floor.seq[i] > 0)
            return true;
    return false;
}

void disk_restore(struct simulator *sim, size_t node, size_t kept)
{
    struct disk *disk = &sim->nodes[node].disk;
    /* What was dropped was dropped when the snapshot was whole: there is no copy
     * with the one and without the other. */
    if (kept < disk->snapshot.place && disk_has_floor(disk))
        kept = disk->snapshot.place;
    disk_cut(disk, kept);
}

void disk_copy(const struct disk *from, struct disk *ret_to)
{
    struct disk *to = ret_to;
    disk_close(to);
    to->has_moved = true;
    to->has_hole = from->has_hole;
    to->gap_end = from->gap_end;
    for (size_t i = 0; i < from->durable; i++) {
        to->items = array_reserve(to->items, to->count, &to->capacity, sizeof *to->items);
        struct disk_item copy = from->items[i];
        if (copy.bytes != NULL)
            copy.bytes = array_copy(copy.bytes, copy.size);
        to->items[to->count++] = copy;
    }
    to->durable = to->reported = to->count;
    to->dropped = from->dropped;
    to->floor = from->floor;
    to->snapshot = from->snapshot;
    if (from->snapshot.bytes != NULL) {
        to->snapshot.bytes = array_copy(from->snapshot.bytes, from->snapshot.size);
        to->snapshot.tips = array_copy(from->snapshot.tips, from->snapshot.tips_size);
    }
    disk_staged_copy(&from->staged, &to->staged);
}

void disk_abandon(struct disk *disk)
{
    crdt_close(disk->work.joined);
    free(disk->work.drop.feeds);
    disk->work = (struct disk_work){ .marked = SIZE_MAX };
}

uint64_t disk_mark(const struct disk *disk, enum core_mark mark, size_t count)
{
    for (size_t i = count; i > 0; i--)
        if (disk->items[i - 1].is_mark && !disk->items[i - 1].is_evidence
            && disk->items[i - 1].mark == mark)
            return disk->items[i - 1].value;
    return 0;
}

uint64_t disk_seq(const struct disk *disk, size_t feed, size_t count)
{
    uint64_t seq = 0;
    for (size_t i = count; i > 0 && seq == 0; i--)
        if (!disk->items[i - 1].is_mark && disk->items[i - 1].feed == feed)
            seq = disk->items[i - 1].last_seq;
    bool has_snapshot = disk->snapshot.bytes != NULL && disk->snapshot.place <= count;
    uint64_t covered = has_snapshot ? disk->snapshot.context.seq[feed] : 0;
    return covered > seq ? covered : seq;
}

size_t disk_visible(const struct simulator *sim, size_t node)
{
    const struct disk *disk = &sim->nodes[node].disk;
    return sim->nodes[node].durability == CORE_ALWAYS ? disk->durable : disk->count;
}

void disk_close(struct disk *disk)
{
    disk_cut(disk, 0);
    disk_abandon(disk);
    disk_snapshot_free(&disk->snapshot);
    disk_staged_cut(&disk->staged, 0);
    free(disk->items);
    *disk = (struct disk){ .work = { .marked = SIZE_MAX } };
}
