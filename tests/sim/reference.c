/* The oracle for S: a document made from scratch of the very same batches, in
 * another order and in other portions. What depends on the order of arrival, on
 * what was applied when, or on a restart between, shows as a difference. */
#include <string.h>

#include "tests/sim/array.h"
#include "tests/sim/invariants.h"
#include "tests/sim/simulator.h"

#define REFERENCE_BATCHES_MAX 500 /* longer histories are compared at the end only */

/* All batches in the context of a node, shuffled. */
static const struct known_batch **reference_batches(
    struct simulator *sim, size_t node, size_t *ret_count)
{
    const struct known_batch **batches = NULL;
    size_t count = 0, capacity = 0;
    for (size_t i = 0; i < sim->registry.origin_count; i++)
        for (size_t j = 0; j < sim->registry.origins[i].batch_count; j++) {
            const struct known_batch *batch = &sim->registry.origins[i].batches[j];
            if (batch->last_seq > sim->nodes[node].context.seq[i])
                break;
            batches = array_reserve(batches, count, &capacity, sizeof *batches);
            batches[count++] = batch;
        }
    for (size_t i = count; i > 1; i--) {
        size_t other = simulator_random(sim, i);
        const struct known_batch *kept = batches[i - 1];
        batches[i - 1] = batches[other];
        batches[other] = kept;
    }
    *ret_count = count;
    return batches;
}

/* Merges in portions of random size; early batches wait inside the document. */
static bool reference_merge(struct simulator *sim, struct crdt_document *document,
    const struct known_batch **batches, size_t count)
{
    struct crdt_buffer delta;
    crdt_buffer_init(&delta, NULL);
    bool is_ok = true;
    for (size_t at = 0; at < count && is_ok;) {
        crdt_buffer_clear(&delta);
        for (size_t left = 1 + simulator_random(sim, 8); left > 0 && at < count; left--, at++)
            is_ok = is_ok
                && crdt_buffer_append(&delta, batches[at]->bytes, batches[at]->size) == CRDT_OK;
        is_ok = is_ok && crdt_merge(document, crdt_buffer_bytes(&delta)) == CRDT_OK;
    }
    crdt_buffer_close(&delta);
    return is_ok;
}

static void reference_compare(
    struct simulator *sim, size_t node, const struct crdt_document *reference)
{
    const struct crdt_document *document = core_document(sim->nodes[node].core);
    for (size_t i = 0; i < sim->registry.origin_count; i++)
        if (crdt_applied(reference, &sim->registry.origins[i].origin)
            != sim->nodes[node].context.seq[i]) {
            simulator_fail(sim, "n%zu: the reference has another context at %s", node + 1,
                simulator_label(sim, i).text);
            return;
        }
    uint8_t here[CRDT_HASH_BYTES], there[CRDT_HASH_BYTES];
    if (!state_hash(document, here) || !state_hash(reference, there)
        || memcmp(here, there, sizeof here) == 0)
        return;
    char text[VIOLATION_BYTES - 100];
    state_difference(document, reference, text, sizeof text);
    simulator_fail(sim, "n%zu: I4: the state is not that of its batches: %s", node + 1, text);
}

/* Every batch in the context has left its author for a disk at least once, and S
 * is of nothing else. */
static bool reference_is_possible(struct simulator *sim, size_t node)
{
    if (crdt_open_records(core_document(sim->nodes[node].core)) > 0)
        return false;
    for (size_t i = 0; i < sim->registry.origin_count; i++) {
        uint64_t seq = sim->nodes[node].context.seq[i];
        if (seq > 0 && registry_batch(&sim->registry, i, seq) == NULL)
            return false;
    }
    return true;
}

bool invariants_reference(struct simulator *sim, size_t node)
{
    if (!reference_is_possible(sim, node))
        return false;
    size_t count = 0;
    const struct known_batch **batches = reference_batches(sim, node, &count);
    struct crdt_options options;
    crdt_options_init(&options);
    memset(options.key, 0xee, sizeof options.key);
    struct crdt_document *reference = NULL;
    if ((count <= REFERENCE_BATCHES_MAX || sim->is_calm)
        && crdt_open(&options, &reference) == CRDT_OK) {
        sim->stats.references++;
        if (reference_merge(sim, reference, batches, count))
            reference_compare(sim, node, reference);
        else
            simulator_fail(sim, "n%zu: a reference document refuses the batches", node + 1);
    }
    crdt_close(reference);
    free(batches);
    return true;
}
