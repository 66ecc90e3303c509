#include "tests/sim/node.h"

#include "tests/sim/array.h"
#include "tests/sim/invariants.h"
#include "tests/sim/signature.h"
#include "tests/sim/simulator.h"

#define WALL_START_MS UINT64_C(1760000000000) /* some day in 2025                */

static void *node_reallocate(void *context, void *block, size_t old_bytes, size_t new_bytes)
{
    struct node *node = context;
    node->held_bytes += new_bytes - old_bytes;
    if (new_bytes > 0)
        return realloc(block, new_bytes);
    free(block);
    return NULL;
}

static void node_sign(void *context, const uint8_t *message, size_t message_bytes,
    uint8_t ret_signature[static CORE_SIGNATURE_BYTES])
{
    const struct node *node = context;
    signature_make(node, message, message_bytes, ret_signature);
}

uint64_t node_true_ms(const struct simulator *sim)
{
    return WALL_START_MS + sim->now_us / 1000;
}

uint64_t node_wall_ms(const struct simulator *sim, size_t node)
{
    const struct node *self = &sim->nodes[node];
    int64_t drift_ms = (int64_t)((sim->now_us - self->drift_from_us) / 1000) * self->drift_ppm
        / 1000000;
    return node_true_ms(sim) + (uint64_t)(self->clock_offset_ms + drift_ms);
}

uint64_t node_own_seq(const struct node *node)
{
    const struct crdt_document *document = core_document(node->core);
    struct crdt_origin self = crdt_self(document);
    return crdt_applied(document, &self) + crdt_open_records(document);
}

static void node_peers(struct simulator *sim, size_t node)
{
    struct node *self = &sim->nodes[node];
    self->peer_count = 0;
    for (size_t i = 0; i < sim->node_count; i++) {
        if (i == node || sim->nodes[i].is_stranger_to[node])
            continue;
        struct core_peer *peer = &self->peers[self->peer_count];
        snprintf(peer->name, sizeof peer->name, "n%zu", i + 1);
        memcpy(peer->key, sim->nodes[i].key, CRDT_KEY_BYTES);
        self->peer_nodes[self->peer_count++] = i;
    }
}

static void node_open(struct simulator *sim, size_t node)
{
    struct node *self = &sim->nodes[node];
    const struct disk *disk = &self->disk;
    node_peers(sim, node);
    struct core_options options = { .memory = { node_reallocate, self },
        .seed = simulator_random(sim, UINT64_MAX),
        .crypto = { node_sign, self },
        .durability = self->durability,
        .peers = self->peers,
        .peer_count = self->peer_count,
        .facts = &self->facts,
        .snapshot_bytes = sim->snapshot_bytes,
        .history_ms = sim->history_ms,
        .log_bytes_max = sim->log_bytes_max,
        .unacked_bytes_max = sim->unacked_bytes_max,
        .fold_count = sim->fold_count,
        .fold_away_us = sim->fold_away_us,
        .part_bytes = sim->part_bytes,
        .generation = disk_mark(disk, CORE_MARK_GENERATION, disk->count),
        .is_generation_burnt
        = disk->has_moved || disk_mark(disk, CORE_MARK_AHEAD, disk->count) != 0 };
    snprintf(options.name, sizeof options.name, "n%zu", node + 1);
    memcpy(options.key, self->key, CRDT_KEY_BYTES);
    memset(options.cluster_id, SIMULATOR_CLUSTER_BYTE, sizeof options.cluster_id);
    if (core_open(&options, &self->core) != CRDT_OK)
        simulator_fail(sim, "n%zu: core_open failed", node + 1);
}

/* Begins with the floor and the snapshot, if there is one; returns how many items
 * it has. */
static size_t node_load(struct simulator *sim, size_t node)
{
    const struct disk *disk = &sim->nodes[node].disk;
    const struct disk_snapshot *snapshot = &disk->snapshot;
    struct crdt_buffer floor;
    crdt_buffer_init(&floor, NULL);
    disk_floor(sim, disk, &floor);
    sim->nodes[node].floor = disk->floor;
    struct core_input input = { .kind = CORE_REPLAY_FLOOR, .bytes = crdt_buffer_bytes(&floor),
        .size = disk_log_bytes(disk, 0, snapshot->place) };
    node_step(sim, node, &input);
    crdt_buffer_close(&floor);
    if (snapshot->bytes == NULL)
        return 0;
    struct core_snapshot told = disk_snapshot_told(disk);
    input = (struct core_input){ .kind = CORE_REPLAY_SNAPSHOT, .snapshot = &told,
        .bytes = { snapshot->bytes, snapshot->size } };
    sim->stats.loads++;
    simulator_trace(sim, "n%zu LOADED of %zu items", node + 1, snapshot->place);
    node_step(sim, node, &input);
    if (!sim->is_broken && !core_has_snapshot(sim->nodes[node].core))
        simulator_fail(sim, "n%zu: a snapshot of its own does not load", node + 1);
    return snapshot->place;
}

/* The newest evidence of each origin; older ones are replaced as they come. */
static void node_replay_evidence(struct simulator *sim, size_t node)
{
    struct disk *disk = &sim->nodes[node].disk;
    for (size_t i = 0; i < disk->count && !sim->is_broken; i++) {
        const struct disk_item *item = &disk->items[i];
        if (!item->is_evidence || item->size == 0)
            continue;
        struct core_input input
            = { .kind = CORE_REPLAY_EVIDENCE, .bytes = { item->bytes, item->size } };
        node_step(sim, node, &input);
    }
}

/* The store comes in, in the order that core.h asks for. */
static void node_replay(struct simulator *sim, size_t node)
{
    const struct disk *disk = &sim->nodes[node].disk;
    for (size_t i = node_load(sim, node); i < disk->count && !sim->is_broken; i++) {
        const struct disk_item *item = &disk->items[i];
        if (item->is_mark || item->is_dropped)
            continue;
        struct core_row row = { .batch = { item->bytes, item->size } };
        memcpy(row.signature, item->signature, CORE_SIGNATURE_BYTES);
        struct core_input input = { .kind = CORE_REPLAY, .rows = &row, .row_count = 1 };
        node_step(sim, node, &input);
    }
    if (!disk->staged.exists || sim->is_broken)
        return;
    struct core_snapshot told = disk_staged_told(&disk->staged);
    struct core_input input = { .kind = CORE_REPLAY_STAGED, .number = disk->staged.count,
        .snapshot = &told };
    sim->stats.resumed++;
    simulator_trace(sim, "n%zu RESUMED with %zu parts", node + 1, disk->staged.count);
    node_step(sim, node, &input);
}

void node_start(struct simulator *sim, size_t node)
{
    struct node *self = &sim->nodes[node];
    self->incarnation++;
    self->started_us = sim->now_us;
    self->is_serving = self->is_stopping = self->is_doomed = self->is_joining = false;
    self->idle_ticks = 0;
    self->verifying_count = 0;
    self->stamp = 0;
    self->busy_until_us = self->slow_until_us = 0;
    self->self = ORIGIN_COUNT_MAX;
    self->context = (struct vector){ 0 };
    self->feed_count = 0;
    self->document = NULL;
    oracle_reset(&self->oracle);
    self->monotonic_offset_us = simulator_random(sim, 1000000000);
    node_open(sim, node);
    simulator_trace(sim, "n%zu START durability=%d", node + 1, (int)self->durability);
    node_replay_evidence(sim, node);
    node_replay(sim, node);
    struct core_input input = { .kind = CORE_SERVE };
    if (!sim->is_broken)
        node_step(sim, node, &input);
    if (!sim->is_broken)
        invariants_restarted(sim, node);
}

void node_close(struct simulator *sim, size_t node)
{
    struct node *self = &sim->nodes[node];
    workload_crash(sim, node);
    disk_abandon(&self->disk);
    if (self->core == NULL)
        return;
    core_close(self->core);
    self->core = NULL;
    self->is_serving = false;
    if (self->held_bytes != 0 && !sim->is_broken)
        simulator_fail(
            sim, "n%zu: core_close leaves %zu bytes allocated", node + 1, self->held_bytes);
    self->held_bytes = 0;
}

void node_crash(struct simulator *sim, size_t node)
{
    struct node *self = &sim->nodes[node];
    if (self->core == NULL)
        return;
    simulator_trace(sim, "n%zu CRASH", node + 1);
    node_close(sim, node);
    network_crash(sim, node);
    disk_crash(sim, node);
    /* What was neither durable nor sent has not happened: its names are free
     * again, since an unclean start in `always` goes on where the store ends. */
    for (size_t i = 0; i < sim->registry.origin_count; i++)
        if (sim->registry.origins[i].node == node)
            model_crash(&sim->model, i, registry_crash(&sim->registry, i));
}

void node_stop(struct simulator *sim, size_t node)
{
    struct node *self = &sim->nodes[node];
    if (self->core == NULL || self->is_stopping)
        return;
    self->is_stopping = true;
    self->is_serving = false;
    simulator_trace(sim, "n%zu STOP", node + 1);
    agenda_add(&sim->agenda, (struct event){ .kind = EVENT_STOP_LATE,
        .at_us = sim->now_us + STOP_US, .node = node, .incarnation = self->incarnation });
    struct core_input input = { .kind = CORE_STOP };
    node_step(sim, node, &input);
}

/* A clean stop has everything on disk and says so. */
void node_stopped(struct simulator *sim, size_t node)
{
    struct node *self = &sim->nodes[node];
    struct disk *disk = &self->disk;
    if (disk->reported != disk->count)
        simulator_fail(sim, "n%zu: stopped before its store was done", node + 1);
    if (disk_mark(disk, CORE_MARK_AHEAD, disk->count) != 0)
        simulator_fail(sim, "n%zu: stopped cleanly but the mark ahead stands", node + 1);
    /* What stood behind a hole cannot be replayed, though it is there. */
    for (size_t i = 0; i < sim->registry.origin_count && !disk->has_hole; i++)
        if (disk_seq(disk, i, disk->count) < self->context.seq[i])
            simulator_fail(sim, "n%zu: stopped cleanly but %s %llu is not in its store",
                node + 1, simulator_label(sim, i).text, (unsigned long long)self->context.seq[i]);
    while (disk->durable < disk->count)
        invariants_durable(sim, node, &disk->items[disk->durable++]);
    disk->staged.durable = disk->staged.count;
    simulator_trace(sim, "n%zu STOPPED", node + 1);
    node_close(sim, node);
    network_crash(sim, node);
    disk->is_busy = false;
    node_restart_later(sim, node);
}

void node_restart_later(struct simulator *sim, size_t node)
{
    if (!sim->options.is_quiet)
        agenda_add(&sim->agenda, (struct event){ .kind = EVENT_RESTART, .node = node,
            .at_us = simulator_after(sim, 10000, 5000000),
            .incarnation = sim->nodes[node].incarnation });
}

void node_tick(struct simulator *sim, const struct event *event)
{
    struct core_input input = { .kind = CORE_TICK };
    if (event->number == sim->nodes[event->node].tick)
        node_step(sim, event->node, &input);
}

void node_verified(struct simulator *sim, const struct event *event)
{
    invariants_verified(sim, event->node, event->number);
    struct core_input input
        = { .kind = CORE_VERIFIED, .number = event->number, .is_ok = event->is_ok };
    node_step(sim, event->node, &input);
}

#define FETCH_ROWS_MAX 4096 /* of one answer; more are asked for again */

/* The next batch of a feed, by seq: where a row was gone and came again, that is not
 * the order of the items. */
static const struct disk_item *next_row(
    const struct simulator *sim, size_t node, size_t feed, uint64_t seq, size_t *at)
{
    const struct disk *disk = &sim->nodes[node].disk;
    const struct disk_item *next = NULL;
    size_t from = disk_has_gap(disk) ? disk->dropped : *at;
    for (size_t i = from; i < disk_visible(sim, node); i++) {
        const struct disk_item *item = &disk->items[i];
        if (item->is_mark || item->is_dropped || item->feed != feed || item->last_seq < seq
            || (next != NULL && item->first_seq >= next->first_seq))
            continue;
        next = item;
        *at = i + 1;
        if (!disk_has_gap(disk))
            break;
    }
    return next;
}

/* A FETCH is answered from what is there, without holes, or not at all. */
void node_fetched(struct simulator *sim, const struct event *event)
{
    const struct disk *disk = &sim->nodes[event->node].disk;
    struct core_row *rows = NULL;
    size_t count = 0, capacity = 0, bytes = 0;
    size_t feed = registry_origin(&sim->registry, &event->from.origin);
    bool is_ok = feed == ORIGIN_COUNT_MAX || event->from.seq > disk->floor.seq[feed];
    uint64_t next = event->from.seq;
    uint64_t seq_behind = 0;
    size_t at = disk->dropped;
    while (is_ok && count < FETCH_ROWS_MAX && bytes < event->bytes_max) {
        const struct disk_item *item = next_row(sim, event->node, feed, next, &at);
        if (item == NULL)
            break;
        if (item->first_seq > next && !disk_has_gap(disk))
            simulator_fail(sim, "n%zu: I6: its store has a hole at %s %llu", event->node + 1,
                simulator_label(sim, feed).text, (unsigned long long)next);
        if (item->first_seq > next) {
            seq_behind = count == 0 ? item->first_seq : 0;
            break;
        }
        next = item->last_seq + 1;
        rows = array_reserve(rows, count, &capacity, sizeof *rows);
        rows[count] = (struct core_row){ .batch = { item->bytes, item->size } };
        memcpy(rows[count++].signature, item->signature, CORE_SIGNATURE_BYTES);
        bytes += item->size;
    }
    simulator_trace(sim, "n%zu FETCHED %llu %zu rows%s", event->node + 1,
        (unsigned long long)event->number, count, is_ok ? "" : ", gone");
    struct core_input input = { .kind = CORE_FETCHED, .number = event->number, .is_ok = is_ok,
        .rows = rows, .row_count = count, .seq_behind = seq_behind };
    node_step(sim, event->node, &input);
    free(rows);
}
