/* Parts of snapshots: those of the own one that peers ask for, those of a peer's
 * that are kept until it is whole. */
#include "tests/sim/disk.h"

#include "tests/sim/array.h"
#include "tests/sim/simulator.h"

void disk_fetch_part(struct simulator *sim, size_t node, const struct core_output *output)
{
    struct event event = { .kind = EVENT_PART, .node = node,
        .at_us = simulator_after(sim, 100, 5000),
        .incarnation = sim->nodes[node].incarnation, .number = output->number,
        .part = output->value };
    event.bytes = array_copy(output->head, CRDT_HASH_BYTES);
    event.size = CRDT_HASH_BYTES;
    agenda_add(&sim->agenda, event);
    faults_spring(sim, node, TRAP_SERVE);
}

void disk_part(struct simulator *sim, const struct event *event)
{
    const struct disk_snapshot *snapshot = &sim->nodes[event->node].disk.snapshot;
    struct core_input input = { .kind = CORE_PART, .number = event->number };
    uint64_t from = snapshot->bytes == NULL ? 0 : event->part * snapshot->part_bytes;
    if (snapshot->bytes != NULL && from < snapshot->size
        && memcmp(snapshot->bytes + snapshot->size - CRDT_HASH_BYTES, event->bytes,
               CRDT_HASH_BYTES)
            == 0) {
        uint64_t left = snapshot->size - from;
        input.is_ok = true;
        input.bytes = (struct crdt_bytes){ snapshot->bytes + from,
            left < snapshot->part_bytes ? left : snapshot->part_bytes };
        sim->stats.parts++;
    }
    node_step(sim, event->node, &input);
}

void disk_staged_cut(struct disk_staged *staged, size_t count)
{
    if (!staged->exists)
        return;
    if (count > 0) {
        staged->count = count;
        staged->durable = count;
        return;
    }
    free(staged->tips);
    free(staged->bytes);
    free(staged->ends);
    *staged = (struct disk_staged){ .has_failed = staged->has_failed };
}

void disk_staged_copy(const struct disk_staged *from, struct disk_staged *ret_to)
{
    *ret_to = (struct disk_staged){ .exists = false };
    if (!from->exists || from->durable == 0)
        return;
    *ret_to = *from;
    ret_to->count = from->durable;
    ret_to->tips = array_copy(from->tips, from->tips_size);
    ret_to->bytes = array_copy(from->bytes, from->capacity);
    size_t bytes = from->ends_capacity * sizeof *from->ends;
    ret_to->ends = malloc(bytes);
    if (ret_to->ends == NULL)
        exit(2);
    memcpy(ret_to->ends, from->ends, bytes);
}

static void staged_begin(struct disk_staged *staged, const struct core_snapshot *snapshot)
{
    *staged = (struct disk_staged){ .exists = true, .bytes_whole = snapshot->bytes,
        .parts_whole = snapshot->parts,
        .tips = array_copy(snapshot->tips.data, snapshot->tips.size),
        .tips_size = snapshot->tips.size };
    memcpy(staged->hash, snapshot->hash, CRDT_HASH_BYTES);
}

static void staged_add(struct disk_staged *staged, struct crdt_bytes part)
{
    size_t size = staged->count == 0 ? 0 : staged->ends[staged->count - 1];
    while (staged->capacity < size + part.size) {
        staged->capacity = staged->capacity * 2 + part.size;
        staged->bytes = realloc(staged->bytes, staged->capacity);
        if (staged->bytes == NULL)
            exit(2);
    }
    if (part.size > 0)
        memcpy(staged->bytes + size, part.data, part.size);
    staged->ends = array_reserve(
        staged->ends, staged->count, &staged->ends_capacity, sizeof *staged->ends);
    staged->ends[staged->count++] = size + part.size;
}

/* Is the part kept? What follows one that was not cannot be. */
static bool disk_keeps(struct simulator *sim, size_t node, const struct core_output *output)
{
    struct disk *disk = &sim->nodes[node].disk;
    struct disk_staged *staged = &disk->staged;
    bool is_new = !staged->exists
        || memcmp(staged->hash, output->snapshot->hash, CRDT_HASH_BYTES) != 0;
    if (is_new)
        disk_staged_cut(staged, 0);
    if (output->value != staged->count && !staged->has_failed)
        simulator_fail(sim, "n%zu: stages part %llu where part %zu is next", node + 1,
            (unsigned long long)output->value, staged->count);
    bool fails = disk->is_failing || (disk->is_erring && simulator_chance(sim, 3));
    bool is_kept = output->value == staged->count && !fails;
    if (is_kept) {
        if (!staged->exists)
            staged_begin(staged, output->snapshot);
        staged_add(staged, output->bytes);
    }
    staged->has_failed = !is_kept;
    return is_kept;
}

void disk_stage(struct simulator *sim, size_t node, const struct core_output *output)
{
    struct disk_work *work = &sim->nodes[node].disk.work;
    bool is_ok = disk_keeps(sim, node, output);
    uint64_t at_us = simulator_after(sim, 100, 20000);
    work->staged_us = at_us > work->staged_us ? at_us : work->staged_us;
    simulator_trace(sim, "n%zu STAGE %llu part %llu of %llu%s", node + 1,
        (unsigned long long)output->number, (unsigned long long)output->value,
        (unsigned long long)output->snapshot->parts, is_ok ? "" : " failed");
    agenda_add(&sim->agenda, (struct event){ .kind = EVENT_STAGED, .node = node,
        .at_us = work->staged_us, .incarnation = sim->nodes[node].incarnation,
        .number = output->number, .is_ok = is_ok });
    faults_spring(sim, node, TRAP_STAGE);
}

void disk_unstage(struct simulator *sim, size_t node)
{
    struct disk_staged *staged = &sim->nodes[node].disk.staged;
    simulator_trace(sim, "n%zu UNSTAGE", node + 1);
    disk_staged_cut(staged, 0);
    staged->has_failed = false;
}

void disk_staged(struct simulator *sim, const struct event *event)
{
    struct disk_staged *staged = &sim->nodes[event->node].disk.staged;
    if (event->is_ok && (sim->options.is_quiet || simulator_chance(sim, 2)))
        staged->durable = staged->count;
    struct core_input input = { .kind = CORE_STAGED, .number = event->number,
        .is_ok = event->is_ok, .reason = event->is_ok ? NULL : "disk full" };
    node_step(sim, event->node, &input);
}

struct core_snapshot disk_staged_told(const struct disk_staged *staged)
{
    struct core_snapshot told = { .bytes = staged->bytes_whole, .parts = staged->parts_whole,
        .tips = { staged->tips, staged->tips_size } };
    memcpy(told.hash, staged->hash, CRDT_HASH_BYTES);
    return told;
}
