/* Snapshots and joins, made aside from what the simulated store holds: the newest
 * snapshot and the items behind it, for a join a peer's staged one as well. */
#include "tests/sim/disk.h"

#include "tests/sim/array.h"
#include "tests/sim/invariants.h"
#include "tests/sim/signature.h"
#include "tests/sim/simulator.h"
#include "tests/sim/transfer.h"

/* What is being made. */
struct build {
    struct simulator *sim;
    size_t node;
    struct crdt_document *document;
    struct crdt_buffer bytes;
    struct crdt_buffer tips;
    struct vector own;     /* what the store had before a join                   */
    struct vector context; /* what is in it                                      */
    struct transfer_tips before; /* of the newest snapshot                       */
    struct transfer_tips staged; /* of the peer's                                */
    const char *reason;    /* why it is not made; NULL: it is                    */
};

void disk_snapshot(struct simulator *sim, size_t node, const struct core_output *output)
{
    struct disk *disk = &sim->nodes[node].disk;
    disk->work.marked = disk->count;
    disk->work.is_join = output->is_join;
    disk->work.options = *output->options;
    simulator_trace(sim, "n%zu SNAPSHOT %llu of %zu items%s", node + 1,
        (unsigned long long)output->number, disk->count, output->is_join ? ", join" : "");
    agenda_add(&sim->agenda, (struct event){ .kind = EVENT_SNAPSHOT, .node = node,
        .at_us = simulator_after(sim, 1000, 500000),
        .incarnation = sim->nodes[node].incarnation, .number = output->number });
    if (output->is_join)
        faults_spring(sim, node, TRAP_JOIN);
}

/* Loads what the store holds up to the mark, as a restart would. */
static void build_own(struct build *build)
{
    struct disk *disk = &build->sim->nodes[build->node].disk;
    const struct disk_snapshot *snapshot = &disk->snapshot;
    struct crdt_bytes bytes = { snapshot->bytes, snapshot->size };
    enum crdt_status status = snapshot->bytes == NULL
        ? crdt_open(&disk->work.options, &build->document)
        : crdt_load(&disk->work.options, bytes, &build->document);
    for (size_t i = snapshot->place; status == CRDT_OK && i < disk->work.marked; i++) {
        const struct disk_item *item = &disk->items[i];
        if (item->is_mark || item->is_dropped)
            continue;
        status = crdt_merge(build->document, (struct crdt_bytes){ item->bytes, item->size });
        if (status == CRDT_OK || !disk->has_hole)
            continue;
        status = CRDT_OK; /* what lies behind a hole comes again from a peer */
    }
    if (status != CRDT_OK)
        simulator_fail(build->sim, "n%zu: its own store cannot be made a snapshot: %s",
            build->node + 1, crdt_status_text(status));
}

static void build_context(
    struct build *build, const struct crdt_document *document, struct vector *ret_context)
{
    *ret_context = (struct vector){ 0 };
    for (size_t i = 0; i < crdt_feed_count(document); i++) {
        struct crdt_feed feed = crdt_feed_at(document, i);
        size_t origin = registry_origin(&build->sim->registry, &feed.origin);
        if (origin != ORIGIN_COUNT_MAX)
            ret_context->seq[origin] = feed.seq;
        else if (feed.seq > 0)
            build->reason = "it holds a feed that is no member's";
    }
}

static bool is_signed(struct build *build, const struct transfer_tip *tip)
{
    uint8_t cluster_id[CRDT_HASH_BYTES], message[CORE_SIGNED_BYTES];
    memset(cluster_id, SIMULATOR_CLUSTER_BYTE, sizeof cluster_id);
    core_signed_message(cluster_id, tip->batch.head, message);
    return signature_is_good(&build->sim->nodes[build->node], tip->batch.origin.key, message,
        sizeof message, tip->signature);
}

static bool contradict(const struct crdt_batch *a, const struct crdt_batch *b)
{
    if (memcmp(a->head, b->head, CRDT_HASH_BYTES) == 0)
        return false;
    if (a->last_seq + 1 == b->first_seq)
        return memcmp(b->previous, a->head, CRDT_HASH_BYTES) != 0;
    if (b->last_seq + 1 == a->first_seq)
        return memcmp(a->previous, b->head, CRDT_HASH_BYTES) != 0;
    return a->last_seq >= b->first_seq && b->last_seq >= a->first_seq;
}

/* True when no feed can hold both the tip and what is here of it. */
static bool is_forked(const struct build *build, const struct transfer_tip *tip)
{
    const struct disk *disk = &build->sim->nodes[build->node].disk;
    for (size_t i = disk->dropped; i < disk->work.marked; i++) {
        const struct disk_item *item = &disk->items[i];
        struct crdt_batch batch;
        if (!item->is_mark && !item->is_dropped
            && crdt_origin_compare(&item->origin, &tip->batch.origin) == 0
            && crdt_batch_read((struct crdt_bytes){ item->bytes, item->size }, &batch) == CRDT_OK
            && contradict(&batch, &tip->batch))
            return true;
    }
    return false;
}

/* Each feed of the peer's snapshot must be what its origin has signed. */
static const char *judge_feeds(struct build *build, const struct crdt_document *staged)
{
    struct disk *disk = &build->sim->nodes[build->node].disk;
    struct crdt_bytes tips = { disk->staged.tips, disk->staged.tips_size };
    if (!transfer_read_tips(tips, &build->staged))
        return "its tips are malformed";
    size_t left = build->staged.count;
    for (size_t i = 0; i < crdt_feed_count(staged); i++) {
        struct crdt_feed feed = crdt_feed_at(staged, i);
        if (feed.seq == 0)
            continue;
        const struct transfer_tip *tip = transfer_find_tip(&build->staged, &feed);
        if (tip == NULL || !is_signed(build, tip))
            return "a feed in it is not what its origin has signed";
        if (is_forked(build, tip))
            return "a feed in it is of another history";
        left--;
    }
    return left == 0 ? NULL : "its tips name a feed that is not in it";
}

static void build_join(struct build *build)
{
    struct disk *disk = &build->sim->nodes[build->node].disk;
    const struct disk_staged *staged = &disk->staged;
    if (!staged->exists || staged->count != staged->parts_whole) {
        simulator_fail(build->sim, "n%zu: joins what is not staged whole", build->node + 1);
        return;
    }
    struct crdt_bytes bytes = { staged->bytes, staged->ends[staged->count - 1] };
    struct crdt_options options;
    crdt_options_init(&options);
    struct crdt_document *other = NULL;
    if (bytes.size != staged->bytes_whole || bytes.size < CRDT_HASH_BYTES
        || memcmp(staged->bytes + bytes.size - CRDT_HASH_BYTES, staged->hash, CRDT_HASH_BYTES) != 0
        || crdt_load(&options, bytes, &other) != CRDT_OK) {
        build->reason = "the peer's snapshot is not what its name says";
        return;
    }
    build_context(build, build->document, &build->own);
    if (build->reason == NULL)
        build->reason = judge_feeds(build, other);
    if (build->reason == NULL)
        build_context(build, other, &build->context);
    crdt_close(other);
    enum crdt_status status
        = build->reason == NULL ? crdt_merge(build->document, bytes) : CRDT_OK;
    if (status != CRDT_OK)
        build->reason = crdt_status_text(status);
}

/* The newest batch of a feed, wherever it is proved: among the items, by the
 * snapshot before, by the peer. */
static bool prove(
    struct build *build, const struct crdt_feed *feed, struct transfer_tip *ret_tip)
{
    const struct disk *disk = &build->sim->nodes[build->node].disk;
    for (size_t i = disk->work.marked; i > disk->dropped; i--) {
        const struct disk_item *item = &disk->items[i - 1];
        if (item->is_mark || item->is_dropped || item->last_seq != feed->seq
            || crdt_origin_compare(&item->origin, &feed->origin) != 0)
            continue;
        memcpy(ret_tip->signature, item->signature, sizeof ret_tip->signature);
        return crdt_batch_read(
                   (struct crdt_bytes){ item->bytes, item->size }, &ret_tip->batch)
            == CRDT_OK;
    }
    const struct transfer_tip *tip = transfer_find_tip(&build->before, feed);
    if (tip == NULL)
        tip = transfer_find_tip(&build->staged, feed);
    if (tip != NULL)
        *ret_tip = *tip;
    return tip != NULL;
}

static void build_tips(struct build *build)
{
    const struct disk_snapshot *before = &build->sim->nodes[build->node].disk.snapshot;
    if (before->bytes != NULL)
        (void)transfer_read_tips(
            (struct crdt_bytes){ before->tips, before->tips_size }, &build->before);
    struct transfer_tips tips = { .count = 0 };
    size_t capacity = 0;
    for (size_t i = 0; i < crdt_feed_count(build->document); i++) {
        struct crdt_feed feed = crdt_feed_at(build->document, i);
        if (feed.seq == 0)
            continue;
        tips.items = array_reserve(tips.items, tips.count, &capacity, sizeof *tips.items);
        if (prove(build, &feed, &tips.items[tips.count++]))
            continue;
        size_t origin = registry_origin(&build->sim->registry, &feed.origin);
        simulator_fail(build->sim, "n%zu: nothing proves %s %llu of its snapshot",
            build->node + 1, simulator_label(build->sim, origin).text,
            (unsigned long long)feed.seq);
    }
    if (!build->sim->is_broken)
        transfer_write_tips(&build->tips, &tips);
    free(tips.items);
}

/* A snapshot that has all that stands before it needs no row of them again. */
static void build_heal(struct disk *disk)
{
    for (size_t i = disk->dropped; i < disk->snapshot.place; i++) {
        const struct disk_item *item = &disk->items[i];
        if (!item->is_mark && !item->is_dropped
            && item->last_seq > disk->snapshot.context.seq[item->feed])
            return;
    }
    disk->has_hole = false;
}

/* All of it is durable now, the items before the mark as well; of a join the
 * floor too, and what is known of each batch that it brought. */
static void build_commit(struct build *build)
{
    struct simulator *sim = build->sim;
    struct disk *disk = &sim->nodes[build->node].disk;
    struct disk_snapshot *snapshot = &disk->snapshot;
    while (disk->durable < disk->work.marked)
        invariants_durable(sim, build->node, &disk->items[disk->durable++]);
    if (snapshot->bytes != NULL)
        memcpy(disk->former, snapshot->bytes + snapshot->size - CRDT_HASH_BYTES, CRDT_HASH_BYTES);
    for (size_t i = 0; disk->work.is_join && i < sim->registry.origin_count; i++) {
        if (build->context.seq[i] > build->own.seq[i]
            && build->context.seq[i] > disk->floor.seq[i])
            disk->floor.seq[i] = build->context.seq[i];
    }
    build_context(build, build->document, &build->context);
    free(snapshot->bytes);
    free(snapshot->tips);
    *snapshot = (struct disk_snapshot){ .place = disk->work.marked,
        .bytes = array_copy(build->bytes.data, build->bytes.size),
        .size = build->bytes.size,
        .tips = array_copy(build->tips.data, build->tips.size),
        .tips_size = build->tips.size,
        .context = build->context,
        .part_bytes = sim->part_bytes };
    build_heal(disk);
    invariants_snapshot(sim, build->node);
    sim->stats.snapshots++;
    sim->stats.joins += disk->work.is_join;
    if (!disk->work.is_join)
        return;
    disk->work.joined = build->document;
    build->document = NULL;
    faults_spring(sim, build->node, TRAP_JOIN_DURABLE);
}

static const char *disk_makes_snapshot(struct simulator *sim, size_t node)
{
    struct disk *disk = &sim->nodes[node].disk;
    struct build build = { .sim = sim, .node = node };
    disk->work.is_refused = false;
    if (disk->work.marked == SIZE_MAX)
        return "a batch before it was not stored";
    if (disk->is_failing || (!sim->is_calm && simulator_chance(sim, 10)))
        return "disk full";
    crdt_buffer_init(&build.bytes, NULL);
    crdt_buffer_init(&build.tips, NULL);
    build_own(&build);
    if (!sim->is_broken && disk->work.is_join)
        build_join(&build);
    disk->work.is_refused = build.reason != NULL;
    if (!sim->is_broken && build.reason == NULL)
        build_tips(&build);
    if (!sim->is_broken && build.reason == NULL
        && crdt_snapshot(build.document, &build.bytes) != CRDT_OK)
        build.reason = "out of memory";
    if (!sim->is_broken && build.reason == NULL)
        build_commit(&build);
    else if (disk->work.is_join)
        sim->stats.joins_refused++;
    crdt_close(build.document);
    crdt_buffer_close(&build.bytes);
    crdt_buffer_close(&build.tips);
    free(build.before.items);
    free(build.staged.items);
    return build.reason;
}

void disk_snapshot_written(struct simulator *sim, struct event *event)
{
    struct disk *disk = &sim->nodes[event->node].disk;
    struct event next = *event;
    if (disk->work.marked != SIZE_MAX && disk->reported < disk->work.marked
        && !disk->is_failing) {
        next.at_us = simulator_after(sim, 1000, 10000);
        agenda_add(&sim->agenda, next);
        return;
    }
    const char *reason = disk_makes_snapshot(sim, event->node);
    if (sim->is_broken || sim->nodes[event->node].core == NULL)
        return;
    simulator_trace(sim, "n%zu SNAPSHOT_WRITTEN %llu %s", event->node + 1,
        (unsigned long long)event->number, reason == NULL ? "whole" : reason);
    next.kind = EVENT_SNAPSHOT_DONE;
    next.is_ok = reason == NULL;
    next.reason = reason;
    next.at_us = simulator_after(sim, 10, 20000);
    agenda_add(&sim->agenda, next);
}

struct core_snapshot disk_snapshot_told(const struct disk *disk)
{
    const struct disk_snapshot *snapshot = &disk->snapshot;
    struct core_snapshot told = { .bytes = snapshot->size,
        .parts = (snapshot->size + snapshot->part_bytes - 1) / snapshot->part_bytes,
        .tips = { snapshot->tips, snapshot->tips_size } };
    memcpy(told.hash, snapshot->bytes + snapshot->size - CRDT_HASH_BYTES, CRDT_HASH_BYTES);
    return told;
}

void disk_snapshot_done(struct simulator *sim, const struct event *event)
{
    struct node *self = &sim->nodes[event->node];
    struct disk *disk = &self->disk;
    struct core_snapshot told = { .bytes = 0 };
    struct core_input input = { .kind = CORE_SNAPSHOT_DONE, .number = event->number,
        .is_ok = event->is_ok, .is_refused = disk->work.is_refused, .reason = event->reason };
    simulator_trace(sim, "n%zu SNAPSHOT_DONE %llu %s", event->node + 1,
        (unsigned long long)event->number, event->is_ok ? "ok" : "failed");
    if (event->is_ok) {
        told = disk_snapshot_told(disk);
        input.snapshot = &told;
        input.size = told.bytes;
        input.document = disk->work.joined;
        self->is_joining = disk->work.joined != NULL;
    }
    disk->work.joined = NULL;
    disk->work.marked = SIZE_MAX;
    if (self->is_joining)
        faults_spring(sim, event->node, TRAP_JOIN_DONE);
    node_step(sim, event->node, &input);
}
