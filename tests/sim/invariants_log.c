/* I6 and I7 from outside: what may be dropped, what an offer is worth, what a
 * join leaves. */
#include "tests/sim/invariants.h"

#include <string.h>

#include "tests/sim/simulator.h"
#include "tests/sim/transfer.h"

/* Everything up to here is, or was, stored on this node. */
static void hold_up_to(struct simulator *sim, size_t node, size_t origin, uint64_t seq)
{
    struct known_origin *known = &sim->registry.origins[origin];
    for (size_t i = known->batch_count; i > 0; i--) {
        struct known_batch *batch = &known->batches[i - 1];
        if (batch->last_seq > seq)
            continue;
        if ((batch->holders >> node & 1) != 0)
            return;
        batch->holders |= 1u << node;
        batch->is_public = true;
    }
}

void invariants_snapshot(struct simulator *sim, size_t node)
{
    const struct disk *disk = &sim->nodes[node].disk;
    for (size_t i = 0; i < sim->registry.origin_count; i++) {
        uint64_t seq = disk->snapshot.context.seq[i];
        const struct known_batch *batch
            = seq == 0 ? NULL : registry_batch(&sim->registry, i, seq);
        if (batch != NULL && batch->last_seq != seq)
            simulator_fail(sim, "n%zu: I2: its snapshot has %s %llu: not the end of a batch",
                node + 1, simulator_label(sim, i).text, (unsigned long long)seq);
        if (disk->floor.seq[i] > seq)
            simulator_fail(sim, "n%zu: I6: its floor of %s is %llu, its snapshot has %llu",
                node + 1, simulator_label(sim, i).text, (unsigned long long)disk->floor.seq[i],
                (unsigned long long)seq);
        hold_up_to(sim, node, i, seq);
        if (sim->nodes[node].durable.seq[i] < seq)
            sim->nodes[node].durable.seq[i] = seq;
    }
}

static bool has_everybody(const struct simulator *sim, size_t node, unsigned holders)
{
    const struct node *self = &sim->nodes[node];
    for (size_t i = 0; i < self->peer_count; i++)
        if ((holders >> self->peer_nodes[i] & 1) == 0)
            return false;
    return true;
}

void invariants_drop(struct simulator *sim, size_t node, const struct core_drop *drop)
{
    const struct disk *disk = &sim->nodes[node].disk;
    uint64_t wall_ms = node_wall_ms(sim, node);
    uint64_t before_ms = wall_ms > sim->history_ms ? wall_ms - sim->history_ms : 0;
    if (drop->before_ms > before_ms)
        simulator_fail(sim, "n%zu: I6: takes for old what came before %llu ms, history begins at"
            " %llu", node + 1, (unsigned long long)drop->before_ms, (unsigned long long)before_ms);
    for (size_t i = 0; i < drop->feed_count && !sim->is_broken; i++) {
        const struct core_drop_feed *feed = &drop->feeds[i];
        size_t origin = registry_origin(&sim->registry, &feed->origin);
        const char *label = simulator_label(sim, origin).text;
        if (origin == ORIGIN_COUNT_MAX) {
            simulator_fail(sim, "n%zu: wants to drop a feed that is no node's", node + 1);
            return;
        }
        if (i > 0 && crdt_origin_compare(&drop->feeds[i - 1].origin, &feed->origin) >= 0)
            simulator_fail(sim, "n%zu: feeds of a DROP are not in order", node + 1);
        if (feed->floor > disk->floor.seq[origin])
            simulator_fail(sim, "n%zu: I6: takes %s %llu for dropped, which is not durable",
                node + 1, label, (unsigned long long)feed->floor);
        if (feed->floor < sim->nodes[node].floor.seq[origin])
            simulator_fail(sim, "n%zu: I6: its floor of %s fell from %llu to %llu", node + 1,
                label, (unsigned long long)sim->nodes[node].floor.seq[origin],
                (unsigned long long)feed->floor);
        if (feed->cap > disk->snapshot.context.seq[origin])
            simulator_fail(sim, "n%zu: I6: may drop %s up to %llu, its snapshot has %llu",
                node + 1, label, (unsigned long long)feed->cap,
                (unsigned long long)disk->snapshot.context.seq[origin]);
        const struct known_batch *batch
            = feed->stable == 0 ? NULL : registry_batch(&sim->registry, origin, feed->stable);
        if (batch != NULL && sim->is_model_exact && !has_everybody(sim, node, batch->holders))
            simulator_fail(sim, "n%zu: I6: takes %s %llu for stable, and a member lacks it",
                node + 1, label, (unsigned long long)feed->stable);
    }
}

/* Who lacks a batch keeps it here as long as the budgets allow; one that nobody
 * else has, longer. */
static void invariants_lacking(
    struct simulator *sim, size_t node, const struct disk_item *item, bool is_within)
{
    const struct node *self = &sim->nodes[node];
    const struct known_batch *batch = registry_batch(&sim->registry, item->feed, item->last_seq);
    if (batch == NULL || !sim->is_model_exact || self->peer_count == 0)
        return;
    bool is_own = sim->registry.origins[item->feed].node == node;
    bool is_alone = is_own && (batch->holders & ~(1u << node)) == 0;
    if (is_alone && !self->disk.work.is_over)
        simulator_fail(sim, "n%zu: I6: drops %s %llu, which nobody else has, within its budget",
            node + 1, simulator_label(sim, item->feed).text, (unsigned long long)item->last_seq);
    else if (is_within && !has_everybody(sim, node, batch->holders))
        simulator_fail(sim, "n%zu: I6: drops %s %llu, which a member lacks, within its budget",
            node + 1, simulator_label(sim, item->feed).text, (unsigned long long)item->last_seq);
}

void invariants_dropped(
    struct simulator *sim, size_t node, const struct disk_item *item, uint64_t log_bytes)
{
    const struct core_drop *drop = &sim->nodes[node].disk.work.drop;
    const struct node *self = &sim->nodes[node];
    const char *label = simulator_label(sim, item->feed).text;
    unsigned long long seq = item->last_seq;
    bool is_useless = item->last_seq <= self->disk.floor.seq[item->feed];
    if (item->last_seq > self->disk.snapshot.context.seq[item->feed])
        simulator_fail(sim, "n%zu: I6: drops %s %llu, which its snapshot has not", node + 1,
            label, seq);
    bool lags = self->is_joining || self->disk.work.joined != NULL;
    if (!lags && item->last_seq > self->context.seq[item->feed])
        simulator_fail(sim, "n%zu: I6: drops %s %llu, which it has not applied", node + 1,
            label, seq);
    bool is_within = log_bytes <= sim->log_bytes_max;
    if (!is_useless && is_within && item->applied_ms >= drop->before_ms)
        simulator_fail(sim, "n%zu: I6: drops %s %llu, which is history yet", node + 1, label, seq);
    if (!is_useless)
        invariants_lacking(sim, node, item, is_within);
}

void invariants_joined(struct simulator *sim, size_t node)
{
    const struct node *self = &sim->nodes[node];
    for (size_t i = 0; i < sim->registry.origin_count; i++)
        if (self->disk.floor.seq[i] > self->context.seq[i])
            simulator_fail(sim, "n%zu: I6: its floor of %s is %llu, it has applied %llu",
                node + 1, simulator_label(sim, i).text,
                (unsigned long long)self->disk.floor.seq[i],
                (unsigned long long)self->context.seq[i]);
}

void invariants_offered(struct simulator *sim, size_t node, struct crdt_bytes bytes)
{
    const struct disk *disk = &sim->nodes[node].disk;
    struct core_snapshot offer, told = { .bytes = 0 };
    if (!transfer_read_offer(bytes, &offer))
        return;
    sim->stats.offers++;
    simulator_trace(sim, "n%zu OFFER %llu bytes", node + 1, (unsigned long long)offer.bytes);
    if (disk->snapshot.bytes != NULL)
        told = disk_snapshot_told(disk);
    bool is_newest = memcmp(offer.hash, told.hash, CRDT_HASH_BYTES) == 0;
    bool is_former = memcmp(offer.hash, disk->former, CRDT_HASH_BYTES) == 0;
    if (told.bytes == 0 || (!is_newest && !is_former))
        simulator_fail(sim, "n%zu: offers a snapshot that it has not", node + 1);
    else if (is_newest
        && (offer.bytes != told.bytes || offer.parts != told.parts
            || offer.tips.size != told.tips.size
            || memcmp(offer.tips.data, told.tips.data, told.tips.size) != 0))
        simulator_fail(sim, "n%zu: offers its snapshot as something else", node + 1);
}
