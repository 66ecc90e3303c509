#include "tests/sim/registry.h"

#include "tests/sim/array.h"
#include "tests/sim/records.h"

size_t registry_origin(struct registry *registry, const struct crdt_origin *origin)
{
    for (size_t i = 0; i < registry->origin_count; i++)
        if (crdt_origin_compare(&registry->origins[i].origin, origin) == 0)
            return i;
    size_t node = 0;
    while (node < registry->node_count
        && memcmp(registry->keys[node], origin->key, CRDT_KEY_BYTES) != 0)
        node++;
    if (node == registry->node_count || registry->origin_count == ORIGIN_COUNT_MAX)
        return ORIGIN_COUNT_MAX;
    unsigned ordinal = 0;
    for (size_t i = 0; i < registry->origin_count; i++)
        ordinal += registry->origins[i].node == node;
    registry->origins[registry->origin_count]
        = (struct known_origin){ .origin = *origin, .node = node, .ordinal = ordinal };
    return registry->origin_count++;
}

struct known_batch *registry_batch(struct registry *registry, size_t origin, uint64_t seq)
{
    struct known_origin *known = &registry->origins[origin];
    size_t low = 0, high = known->batch_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (known->batches[middle].last_seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == known->batch_count || known->batches[low].first_seq > seq)
        return NULL;
    return &known->batches[low];
}

static const char *registry_add(
    struct known_origin *known, const struct crdt_batch *batch, struct known_batch **ret_batch)
{
    uint64_t expected
        = known->batch_count == 0 ? 1 : known->batches[known->batch_count - 1].last_seq + 1;
    if (batch->first_seq != expected)
        return "the batch does not follow its origin's batch before it";
    known->batches = array_reserve(
        known->batches, known->batch_count, &known->batch_capacity, sizeof *known->batches);
    struct known_batch *added = &known->batches[known->batch_count++];
    *added = (struct known_batch){ .first_seq = batch->first_seq,
        .last_seq = batch->last_seq,
        .bytes = array_copy(batch->bytes.data, batch->bytes.size),
        .size = batch->bytes.size };
    memcpy(added->head, batch->head, CRDT_HASH_BYTES);
    known->bytes += added->size;
    *ret_batch = added;
    return NULL;
}

const char *registry_take(struct registry *registry, const struct crdt_batch *batch,
    bool may_be_new, struct known_batch **ret_batch)
{
    size_t origin = registry_origin(registry, &batch->origin);
    if (origin == ORIGIN_COUNT_MAX)
        return "the batch has an origin that is no node's";
    struct known_batch *known = registry_batch(registry, origin, batch->first_seq);
    if (known == NULL && !may_be_new)
        return "a node stores a batch that its author never made";
    if (known == NULL)
        return registry_add(&registry->origins[origin], batch, ret_batch);
    if (known->first_seq != batch->first_seq || known->last_seq != batch->last_seq
        || memcmp(known->head, batch->head, CRDT_HASH_BYTES) != 0
        || known->size != batch->bytes.size
        || memcmp(known->bytes, batch->bytes.data, known->size) != 0)
        return "I1: two different batches have one name";
    *ret_batch = known;
    return NULL;
}

/* Forgets the last batch. */
static void registry_drop(struct known_origin *known, size_t last)
{
    known->bytes -= known->batches[last].size;
    free(known->batches[last].bytes);
    records_free(known->batches[last].records);
    known->batch_count = last;
}

uint64_t registry_crash(struct registry *registry, size_t origin)
{
    struct known_origin *known = &registry->origins[origin];
    while (known->batch_count > 0 && !known->batches[known->batch_count - 1].is_public)
        registry_drop(known, known->batch_count - 1);
    return known->batch_count == 0 ? 0 : known->batches[known->batch_count - 1].last_seq;
}

void registry_close(struct registry *registry)
{
    for (size_t i = 0; i < registry->origin_count; i++) {
        struct known_origin *known = &registry->origins[i];
        while (known->batch_count > 0)
            registry_drop(known, known->batch_count - 1);
        free(known->batches);
    }
    *registry = (struct registry){ 0 };
}
