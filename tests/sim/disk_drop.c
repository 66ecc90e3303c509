/* How batches go from the simulated store, and the floor that stays. */
#include "tests/sim/disk.h"

#include "tests/sim/array.h"
#include "tests/sim/invariants.h"
#include "tests/sim/simulator.h"

void disk_drop(struct simulator *sim, size_t node, const struct core_output *output)
{
    struct disk *disk = &sim->nodes[node].disk;
    struct core_drop *drop = &disk->work.drop;
    free(drop->feeds);
    *drop = *output->drop;
    size_t bytes = drop->feed_count * sizeof *drop->feeds;
    drop->feeds = NULL;
    if (bytes > 0) {
        drop->feeds = malloc(bytes);
        if (drop->feeds == NULL)
            exit(2);
        memcpy(drop->feeds, output->drop->feeds, bytes);
    }
    simulator_trace(sim, "n%zu DROP %llu", node + 1, (unsigned long long)output->number);
    invariants_drop(sim, node, drop);
    agenda_add(&sim->agenda, (struct event){ .kind = EVENT_DROP, .node = node,
        .at_us = simulator_after(sim, 1000, 30000),
        .incarnation = sim->nodes[node].incarnation, .number = output->number });
    faults_spring(sim, node, TRAP_DROP);
}

uint64_t disk_log_bytes(const struct disk *disk, size_t from, size_t to)
{
    uint64_t bytes = 0;
    for (size_t i = from > disk->dropped ? from : disk->dropped; i < to; i++)
        if (!disk->items[i].is_mark && !disk->items[i].is_dropped)
            bytes += disk->items[i].size;
    return bytes;
}

/* A DROP under way: the oldest batch of each feed, and how far the search is. */
struct dropping {
    struct core_drop_head heads[ORIGIN_COUNT_MAX];
    size_t count;
    size_t numbers[ORIGIN_COUNT_MAX]; /* the registry's, of each feed of the DROP   */
};

/* The next batch of a feed of the DROP, from item `at` on. False: none is left. */
static bool next_head(const struct disk *disk, const struct dropping *dropping, size_t feed,
    size_t at, struct core_drop_head *ret_head)
{
    for (; at < disk->reported; at++) {
        const struct disk_item *item = &disk->items[at];
        if (item->is_mark || item->is_dropped || item->feed != dropping->numbers[feed])
            continue;
        *ret_head = (struct core_drop_head){ .feed = feed, .place = at,
            .last_seq = item->last_seq, .applied_ms = item->applied_ms };
        return true;
    }
    return false;
}

static void dropping_begin(
    struct simulator *sim, const struct disk *disk, struct dropping *ret_dropping)
{
    const struct core_drop *drop = &disk->work.drop;
    ret_dropping->count = 0;
    for (size_t i = 0; i < drop->feed_count && i < ORIGIN_COUNT_MAX; i++) {
        ret_dropping->numbers[i] = registry_origin(&sim->registry, &drop->feeds[i].origin);
        if (next_head(disk, ret_dropping, i, disk->dropped,
                &ret_dropping->heads[ret_dropping->count]))
            ret_dropping->count++;
    }
}

static void disk_forget_item(struct disk *disk, struct disk_item *item)
{
    item->is_dropped = true;
    free(item->bytes);
    item->bytes = NULL;
    while (disk->dropped < disk->reported
        && (disk->items[disk->dropped].is_mark || disk->items[disk->dropped].is_dropped))
        disk->dropped++;
}

/* One transaction: up to some rows go, and the floor is raised by them. */
static size_t disk_drops(struct simulator *sim, size_t node)
{
    struct disk *disk = &sim->nodes[node].disk;
    const struct core_drop *drop = &disk->work.drop;
    struct dropping dropping;
    dropping_begin(sim, disk, &dropping);
    uint64_t bytes = disk_log_bytes(disk, 0, disk->reported);
    for (size_t rows = 0;; rows++) {
        size_t chosen = core_drop_choose(drop, dropping.heads, dropping.count, bytes);
        disk->work.has_more = chosen < dropping.count;
        if (!disk->work.has_more || rows == sim->drop_rows || sim->is_broken)
            return rows;
        struct core_drop_head *head = &dropping.heads[chosen];
        struct disk_item *item = &disk->items[head->place];
        invariants_dropped(sim, node, item, bytes);
        bytes -= item->size;
        if (disk->floor.seq[item->feed] < item->last_seq)
            disk->floor.seq[item->feed] = item->last_seq;
        disk_forget_item(disk, item);
        if (!next_head(disk, &dropping, head->feed, head->place + 1, head))
            *head = dropping.heads[--dropping.count];
    }
}

void disk_drop_written(struct simulator *sim, const struct event *event)
{
    struct disk *disk = &sim->nodes[event->node].disk;
    struct event next = *event;
    next.kind = EVENT_DROPPED;
    next.is_ok = !disk->is_failing && !(disk->is_erring && simulator_chance(sim, 2));
    if (next.is_ok) {
        size_t rows = disk_drops(sim, event->node);
        sim->stats.drops += rows > 0;
        sim->stats.dropped += rows;
        simulator_trace(sim, "n%zu DROPS %zu batches", event->node + 1, rows);
    }
    next.at_us = simulator_after(sim, 10, 10000);
    agenda_add(&sim->agenda, next);
    faults_spring(sim, event->node, TRAP_DROP_DURABLE);
}

static int compare_dots(const void *a, const void *b)
{
    const struct crdt_dot *left = a, *right = b;
    return crdt_origin_compare(&left->origin, &right->origin);
}

void disk_floor(const struct simulator *sim, const struct disk *disk, struct crdt_buffer *ret)
{
    struct crdt_dot dots[ORIGIN_COUNT_MAX];
    size_t count = 0;
    for (size_t i = 0; i < sim->registry.origin_count; i++)
        if (disk->floor.seq[i] > 0)
            dots[count++] = (struct crdt_dot){ .origin = sim->registry.origins[i].origin,
                .seq = disk->floor.seq[i] };
    qsort(dots, count, sizeof *dots, compare_dots);
    if (crdt_summary_write(dots, count, ret) != CRDT_OK)
        exit(2);
}

void disk_dropped(struct simulator *sim, const struct event *event)
{
    struct disk *disk = &sim->nodes[event->node].disk;
    /* The host tells of a join before it tells of the floor that this has raised. */
    if (disk->work.joined != NULL) {
        struct event later = *event;
        later.at_us = simulator_after(sim, 10, 10000);
        agenda_add(&sim->agenda, later);
        return;
    }
    struct crdt_buffer floor;
    crdt_buffer_init(&floor, NULL);
    disk_floor(sim, disk, &floor);
    struct core_input input = { .kind = CORE_DROPPED, .number = event->number,
        .is_ok = event->is_ok, .bytes = crdt_buffer_bytes(&floor),
        .size = disk_log_bytes(disk, 0, disk->reported),
        .has_more = event->is_ok && disk->work.has_more,
        .reason = event->is_ok ? NULL : "disk full" };
    /* Not a sum: it may pass the largest number. */
    if (event->is_ok && !input.has_more)
        disk->work.is_over = input.size > sim->log_bytes_max
            && input.size - sim->log_bytes_max > sim->unacked_bytes_max;
    if (event->is_ok)
        sim->nodes[event->node].floor = disk->floor;
    simulator_trace(sim, "n%zu DROPPED %llu %s%s", event->node + 1,
        (unsigned long long)event->number, event->is_ok ? "ok" : "failed",
        input.has_more ? ", not all" : "");
    node_step(sim, event->node, &input);
    crdt_buffer_close(&floor);
}
