#include "tests/sim/disk.h"

#include "tests/sim/array.h"
#include "tests/sim/invariants.h"
#include "tests/sim/simulator.h"

/* Drops all items from `count` on. */
static void disk_cut(struct disk *disk, size_t count)
{
    while (disk->count > count)
        free(disk->items[--disk->count].bytes);
    if (disk->durable > count)
        disk->durable = count;
    if (disk->reported > count)
        disk->reported = count;
    if (disk->marked > count)
        disk->marked = SIZE_MAX;
    if (disk->snapshot.place > count) {
        free(disk->snapshot.bytes);
        disk->snapshot = (struct disk_snapshot){ 0 };
    }
}

void disk_snapshot(struct simulator *sim, size_t node, const struct core_output *output)
{
    struct disk *disk = &sim->nodes[node].disk;
    struct crdt_buffer buffer;
    crdt_buffer_init(&buffer, NULL);
    disk->marked = disk->count;
    simulator_trace(sim, "n%zu SNAPSHOT %llu of %zu items", node + 1,
        (unsigned long long)output->number, disk->count);
    if (core_snapshot(sim->nodes[node].core, &buffer) != CRDT_OK)
        simulator_fail(sim, "n%zu: core_snapshot failed", node + 1);
    agenda_add(&sim->agenda, (struct event){ .kind = EVENT_SNAPSHOT, .node = node,
        .at_us = simulator_after(sim, 1000, 500000),
        .incarnation = sim->nodes[node].incarnation, .number = output->number,
        .bytes = array_copy(buffer.data, buffer.size), .size = buffer.size });
    crdt_buffer_close(&buffer);
}

/* The parts are written behind the items, so one fsync makes all of it durable. */
static bool disk_takes_snapshot(struct simulator *sim, size_t node, struct event *event)
{
    struct disk *disk = &sim->nodes[node].disk;
    if (disk->marked == SIZE_MAX || disk->is_failing || simulator_chance(sim, 10))
        return false;
    while (disk->durable < disk->marked)
        invariants_durable(sim, node, &disk->items[disk->durable++]);
    free(disk->snapshot.bytes);
    disk->snapshot = (struct disk_snapshot){ event->bytes, event->size, disk->marked };
    event->bytes = NULL;
    sim->stats.snapshots++;
    return true;
}

void disk_snapshot_written(struct simulator *sim, struct event *event)
{
    struct disk *disk = &sim->nodes[event->node].disk;
    if (disk->marked != SIZE_MAX && disk->reported < disk->marked && !disk->is_failing) {
        struct event later = *event;
        event->bytes = NULL;
        later.at_us = simulator_after(sim, 1000, 10000);
        agenda_add(&sim->agenda, later);
        return;
    }
    bool is_ok = disk_takes_snapshot(sim, event->node, event);
    struct core_input input = { .kind = CORE_SNAPSHOT_DONE, .number = event->number,
        .is_ok = is_ok, .size = event->size, .reason = "disk full" };
    simulator_trace(sim, "n%zu SNAPSHOT_DONE %llu %s", event->node + 1,
        (unsigned long long)event->number, is_ok ? "ok" : "failed");
    node_step(sim, event->node, &input);
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
        .last_seq = output->last_seq };
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
        simulator_trace(sim, "n%zu STORE %llu %s %llu..%llu", node + 1,
            (unsigned long long)item->number,
            simulator_label(sim, registry_origin(&sim->registry, &item->origin)).text,
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

static void disk_fail(struct simulator *sim, size_t node, const char *reason)
{
    struct disk *disk = &sim->nodes[node].disk;
    uint64_t number = disk->items[disk->reported].number;
    disk_cut(disk, disk->reported);
    disk->failures++;
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
    disk->reported = target;
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
}

void disk_restore(struct simulator *sim, size_t node, size_t kept)
{
    disk_cut(&sim->nodes[node].disk, kept);
}

uint64_t disk_mark(const struct disk *disk, enum core_mark mark, size_t count)
{
    for (size_t i = count; i > 0; i--)
        if (disk->items[i - 1].is_mark && !disk->items[i - 1].is_evidence
            && disk->items[i - 1].mark == mark)
            return disk->items[i - 1].value;
    return 0;
}

uint64_t disk_seq(const struct disk *disk, const struct crdt_origin *origin, size_t count)
{
    for (size_t i = count; i > 0; i--)
        if (!disk->items[i - 1].is_mark
            && crdt_origin_compare(&disk->items[i - 1].origin, origin) == 0)
            return disk->items[i - 1].last_seq;
    return 0;
}

size_t disk_visible(const struct simulator *sim, size_t node)
{
    const struct disk *disk = &sim->nodes[node].disk;
    return sim->nodes[node].durability == CORE_ALWAYS ? disk->durable : disk->count;
}

void disk_close(struct disk *disk)
{
    disk_cut(disk, 0);
    free(disk->items);
    *disk = (struct disk){ 0 };
}
