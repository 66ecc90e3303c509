#include "tests/sim/invariants.h"

#include <sodium.h>
#include <string.h>

#include "tests/sim/array.h"
#include "tests/sim/folds.h"
#include "tests/sim/simulator.h"

/* The oracle has judged S of each such step; what it cannot say, at these: */
#define SAMPLE_STATES 32      /* I12 on every 32nd step that changed a context    */
#define SAMPLE_REFERENCE 3000 /* the reference document on every 3000th           */

/* An author whose disk fails keeps what it has closed to itself; once it has
 * said that it goes ahead, it sends what it cannot STORE. */
static bool invariants_may_be_new(const struct simulator *sim, size_t node, size_t origin)
{
    size_t author = sim->registry.origins[origin].node;
    const struct node *self = &sim->nodes[author];
    if (!disk_has_failed_lately(sim, author))
        return false;
    return author == node ? self->disk.failed_us >= self->started_us
                          : self->durability != CORE_ALWAYS;
}

/* I1: every STORE of an own batch takes its name, every other has it already. */
static void invariants_store(
    struct simulator *sim, size_t node, const struct core_output *output)
{
    struct crdt_batch batch;
    if (crdt_batch_read(output->bytes, &batch) != CRDT_OK) {
        simulator_fail(sim, "n%zu: stores bytes that are no batch", node + 1);
        return;
    }
    if (crdt_origin_compare(&batch.origin, &output->origin) != 0
        || batch.first_seq != output->first_seq || batch.last_seq != output->last_seq
        || memcmp(batch.head, output->head, CRDT_HASH_BYTES) != 0
        || memcmp(batch.previous, output->previous, CRDT_HASH_BYTES) != 0)
        simulator_fail(sim, "n%zu: STORE says something else than its batch", node + 1);
    size_t origin = registry_origin(&sim->registry, &batch.origin);
    struct known_batch *known = NULL;
    bool is_author = origin != ORIGIN_COUNT_MAX && sim->registry.origins[origin].node == node;
    bool may_be_new = is_author
        || (origin != ORIGIN_COUNT_MAX && invariants_may_be_new(sim, node, origin));
    const char *problem = registry_take(&sim->registry, &batch, may_be_new, &known);
    if (problem != NULL) {
        simulator_fail(sim, "n%zu: STORE of %s %llu..%llu: %s", node + 1,
            simulator_label(sim, origin).text, (unsigned long long)batch.first_seq,
            (unsigned long long)batch.last_seq, problem);
        return;
    }
    bool is_new = is_author && !known->is_judged;
    if (is_author)
        folds_stored(sim, node, origin, known);
    if (is_new)
        invariants_stamps(sim, node, known);
    /* By this the host tells what is history. */
    if (output->wall_ms != node_wall_ms(sim, node) && !disk_has_failed_lately(sim, node))
        simulator_fail(sim, "n%zu: STORE says that it is %llu ms, its clock shows %llu", node + 1,
            (unsigned long long)output->wall_ms, (unsigned long long)node_wall_ms(sim, node));
    if (known->has_deps || !is_author)
        return;
    const struct vector *observed = model_observed(&sim->model, origin, known->last_seq);
    if (observed != NULL) {
        known->deps = *observed;
        known->has_deps = true;
    }
}

/* I3: everything that the author had seen is here. */
static void invariants_deps(struct simulator *sim, size_t node, size_t origin,
    const struct known_batch *batch, const struct vector *context)
{
    for (size_t i = 0; batch->has_deps && i < sim->registry.origin_count; i++)
        if (i != origin && batch->deps.seq[i] > context->seq[i])
            simulator_fail(sim, "n%zu: I3: applied %s %llu, which depends on %s %llu", node + 1,
                simulator_label(sim, origin).text, (unsigned long long)batch->last_seq,
                simulator_label(sim, i).text, (unsigned long long)batch->deps.seq[i]);
}

/* I2: one feed has grown by whole batches that exist, in the chain that exists. */
static void invariants_feed(struct simulator *sim, size_t node, size_t origin,
    const struct crdt_feed *feed, const struct vector *context)
{
    uint64_t before = sim->nodes[node].context.seq[origin];
    if (feed->seq < before) {
        simulator_fail(sim, "n%zu: I2: context of %s fell from %llu to %llu", node + 1,
            simulator_label(sim, origin).text, (unsigned long long)before,
            (unsigned long long)feed->seq);
        return;
    }
    for (uint64_t seq = before; seq < feed->seq;) {
        const struct known_batch *batch = registry_batch(&sim->registry, origin, seq + 1);
        /* While disks fail there are batches that no STORE has shown yet. */
        if (batch == NULL && invariants_may_be_new(sim, node, origin))
            return;
        if (batch == NULL || batch->first_seq != seq + 1 || batch->last_seq > feed->seq) {
            simulator_fail(sim, "n%zu: I2: context of %s is %llu: not the end of a batch",
                node + 1, simulator_label(sim, origin).text, (unsigned long long)feed->seq);
            return;
        }
        invariants_deps(sim, node, origin, batch, context);
        seq = batch->last_seq;
        if (seq == feed->seq && memcmp(batch->head, feed->head, CRDT_HASH_BYTES) != 0)
            simulator_fail(sim, "n%zu: head of %s at %llu is not that of its batch", node + 1,
                simulator_label(sim, origin).text, (unsigned long long)seq);
    }
}

/* Reads the context from outside. False when something is wrong with it. */
static bool invariants_context(struct simulator *sim, size_t node, struct vector *ret_context)
{
    struct node *self = &sim->nodes[node];
    const struct crdt_document *document = core_document(self->core);
    size_t count = crdt_feed_count(document);
    if (document != self->document) /* loaded or joined: feeds are numbered anew */
        self->feed_count = 0;
    self->document = document;
    *ret_context = (struct vector){ 0 };
    for (size_t i = 0; i < count; i++) {
        struct crdt_feed feed = crdt_feed_at(document, i);
        if (i >= self->feed_count) {
            size_t origin = registry_origin(&sim->registry, &feed.origin);
            if (origin == ORIGIN_COUNT_MAX) {
                simulator_fail(sim, "n%zu: knows an origin that is no node's", node + 1);
                return false;
            }
            self->feeds[self->feed_count++] = origin;
        }
        ret_context->seq[self->feeds[i]] = feed.seq;
    }
    return true;
}

/* C with the heads of its feeds: what a crash undid may be made again, other. */
static void invariants_heads(
    const struct node *node, uint8_t ret_hash[static CRDT_HASH_BYTES])
{
    const struct crdt_document *document = core_document(node->core);
    uint8_t heads[ORIGIN_COUNT_MAX][CRDT_HASH_BYTES] = { { 0 } };
    for (size_t i = 0; i < node->feed_count; i++)
        memcpy(heads[node->feeds[i]], crdt_feed_at(document, i).head, CRDT_HASH_BYTES);
    crypto_generichash_state hash;
    crypto_generichash_init(&hash, NULL, 0, CRDT_HASH_BYTES);
    crypto_generichash_update(&hash, (const uint8_t *)&node->context, sizeof node->context);
    crypto_generichash_update(&hash, &heads[0][0], sizeof heads);
    crypto_generichash_final(&hash, ret_hash, CRDT_HASH_BYTES);
}

/* I12: equal (C, heads), equal S, whoever and whenever. */
static void invariants_state(struct simulator *sim, size_t node)
{
    struct known_state now;
    const struct crdt_document *document = core_document(sim->nodes[node].core);
    invariants_heads(&sim->nodes[node], now.context);
    if (!state_hash(document, now.state))
        return;
    for (size_t i = sim->state_count; i > 0; i--) {
        const struct known_state *known = &sim->states[i - 1];
        if (memcmp(known->context, now.context, CRDT_HASH_BYTES) != 0)
            continue;
        if (memcmp(known->state, now.state, CRDT_HASH_BYTES) != 0)
            simulator_fail(sim, "n%zu: I12: equal contexts, different states", node + 1);
        return;
    }
    sim->states = array_reserve(
        sim->states, sim->state_count, &sim->state_capacity, sizeof *sim->states);
    sim->states[sim->state_count++] = now;
}

void invariants_step(struct simulator *sim, size_t node, const struct core_outputs *outputs)
{
    struct node *self = &sim->nodes[node];
    for (size_t i = 0; i < outputs->count; i++)
        if (outputs->items[i].kind == CORE_STORE)
            invariants_store(sim, node, &outputs->items[i]);
    struct vector context;
    if (sim->is_broken || !invariants_context(sim, node, &context))
        return;
    if (memcmp(&context, &self->context, sizeof context) == 0)
        return;
    const struct crdt_document *document = core_document(self->core);
    for (size_t i = 0; i < self->feed_count && !sim->is_broken; i++) {
        struct crdt_feed feed = crdt_feed_at(document, i);
        size_t origin = self->feeds[i];
        /* Not what a start replays or a peer brings back. */
        if (origin == self->self && feed.seq > self->context.seq[origin])
            sim->stats.operations += feed.seq - self->context.seq[origin];
        invariants_feed(sim, node, origin, &feed, &context);
    }
    self->context = context;
    folds_applied(sim, node);
    if (sim->is_broken || crdt_open_records(document) > 0)
        return;
    (void)oracle_compare(sim, node, false);
    if (sim->stats.steps % SAMPLE_STATES == 0)
        invariants_state(sim, node);
    if (sim->stats.steps % SAMPLE_REFERENCE == 0)
        (void)invariants_reference(sim, node);
}

static bool bytes_contain(struct crdt_bytes where, const uint8_t *what, size_t size)
{
    const uint8_t *at = where.data;
    const uint8_t *end = at + where.size;
    while (at != NULL && (size_t)(end - at) >= size) {
        at = memchr(at, what[0], (size_t)(end - at) - size + 1);
        if (at == NULL)
            return false;
        if (memcmp(at, what, size) == 0)
            return true;
        at++;
    }
    return false;
}

void invariants_send(struct simulator *sim, size_t node, struct crdt_bytes bytes)
{
    const struct node *self = &sim->nodes[node];
    if (self->self == ORIGIN_COUNT_MAX)
        return;
    struct known_origin *own = &sim->registry.origins[self->self];
    for (size_t i = own->batch_count; i > 0; i--) {
        struct known_batch *batch = &own->batches[i - 1];
        if (disk_seq(&self->disk, self->self, self->disk.durable) >= batch->last_seq)
            return;
        if (!bytes_contain(bytes, batch->bytes, batch->size))
            continue;
        batch->is_public = true;
        bool is_ahead = disk_mark(&self->disk, CORE_MARK_AHEAD, self->disk.durable) != 0;
        if (self->durability == CORE_ALWAYS || !is_ahead)
            simulator_fail(sim, "n%zu: I1: sends %s %llu before it is durable%s", node + 1,
                simulator_label(sim, self->self).text, (unsigned long long)batch->last_seq,
                self->durability == CORE_ALWAYS ? "" : ", and the mark ahead is not");
    }
}

void invariants_durable(struct simulator *sim, size_t node, const struct disk_item *item)
{
    if (item->is_mark)
        return;
    folds_durable(sim, node, item);
    invariants_reported(sim, node, item);
    struct known_batch *batch = item->feed == ORIGIN_COUNT_MAX
        ? NULL : registry_batch(&sim->registry, item->feed, item->last_seq);
    if (batch != NULL)
        batch->is_public = true;
}

void invariants_reported(struct simulator *sim, size_t node, const struct disk_item *item)
{
    if (item->is_mark || item->feed == ORIGIN_COUNT_MAX)
        return;
    struct known_batch *batch = registry_batch(&sim->registry, item->feed, item->last_seq);
    if (batch != NULL)
        batch->holders |= 1u << node;
}

void invariants_restarted(struct simulator *sim, size_t node)
{
    const struct node *self = &sim->nodes[node];
    folds_restarted(sim, node);
    for (size_t i = 0; i < sim->registry.origin_count && !self->disk.has_hole; i++)
        if (disk_seq(&self->disk, i, self->disk.count)
            > self->context.seq[i])
            simulator_fail(sim, "n%zu: replayed its store and lacks %s %llu", node + 1,
                simulator_label(sim, i).text, (unsigned long long)self->context.seq[i] + 1);
    invariants_joined(sim, node);
    for (size_t i = 0; i < sim->registry.origin_count; i++)
        if (sim->registry.origins[i].node == node && !sim->registry.origins[i].is_elsewhere
            && sim->registry.origins[i].promised > self->context.seq[i])
            simulator_fail(sim, "n%zu: acknowledged %s %llu and lost it in a crash", node + 1,
                simulator_label(sim, i).text,
                (unsigned long long)sim->registry.origins[i].promised);
}

bool invariants_converged(const struct simulator *sim)
{
    const struct node *first = NULL;
    for (size_t i = 0; i < sim->node_count; i++) {
        const struct node *node = &sim->nodes[i];
        if ((node->core == NULL && sim->options.is_quiet) || node->loss != 0)
            continue;
        if (node->core == NULL)
            return false;
        if (crdt_open_records(core_document(node->core)) > 0)
            return false;
        if (first != NULL && memcmp(&first->context, &node->context, sizeof node->context) != 0)
            return false;
        first = node;
    }
    return true;
}

void invariants_promises(struct simulator *sim)
{
    for (size_t node = 0; node < sim->node_count; node++)
        for (size_t i = 0; i < sim->registry.origin_count && !sim->is_broken; i++)
            if (sim->nodes[node].loss == 0
                && sim->registry.origins[i].promised > sim->nodes[node].context.seq[i])
                simulator_fail(sim, "n%zu: %s %llu was acknowledged and is not here", node + 1,
                    simulator_label(sim, i).text,
                    (unsigned long long)sim->registry.origins[i].promised);
}
