/* What must hold after every step. */
#include "tests/support/world.h"

#include "tests/support/claim.h"

#include <stdio.h>
#include <string.h>

/* Takes the context from the document and bounds it: it only grows, it stands
 * at batch ends, it covers only what its batches had seen (I2, I3), and what was
 * received with all it depends on must be in it. */
static void check_context(struct world *world, struct world_replica *replica)
{
    struct oracle_context context = {{0}};
    for (size_t i = 0; i < crdt_feed_count(replica->document); i++) {
        struct crdt_feed feed = crdt_feed_at(replica->document, i);
        if (feed.seq == 0)
            continue;
        claim(crdt_applied(replica->document, &feed.origin) == feed.seq);
        context.seqs[oracle_origin(&world->oracle, &feed.origin)] = feed.seq;
    }
    claim(oracle_context_covers(&context, &replica->context));
    for (unsigned i = 0; i < world->batch_count; i++) {
        const struct world_batch *batch = &world->batches[i];
        uint64_t seq = context.seqs[batch->author];
        claim(seq < batch->first || seq >= batch->last);
        if (seq >= batch->last)
            claim(oracle_context_covers(&context, &batch->seen));
        else if (replica->has_received[i])
            claim(!oracle_context_covers(&context, &batch->sealed));
    }
    replica->context = context;
}

void world_check(struct world *world, unsigned index)
{
    struct world_replica *replica = &world->replicas[index];
    check_context(world, replica);
    struct oracle_context context = world_effective(replica);
    oracle_live(&world->oracle, &context, &world->live);
    const char *difference =
        oracle_difference(&world->oracle, replica->document, &world->live);
    if (difference != NULL) {
        fprintf(stderr, "replica %u: %s\n", index, difference);
        claim_broken(__FILE__, __LINE__, "S == live(C + own open batch)");
    }
}

/* What the oracle says of one path. */
struct expected {
    unsigned types;
    size_t counts[CRDT_TYPE_COUNT];
    struct crdt_sum sums[CRDT_TYPE_COUNT];
    bool has_element[WORLD_ELEMENTS];
    const struct oracle_op *winner;
    struct crdt_bytes children[16];
};

static void expect_child(struct expected *expected, struct crdt_bytes key)
{
    size_t count = expected->counts[CRDT_MAP];
    for (size_t i = 0; i < count; i++)
        if (oracle_bytes_are_equal(expected->children[i], key))
            return;
    claim(count < 16);
    expected->children[count] = key;
    expected->counts[CRDT_MAP]++;
    expected->types |= 1u << CRDT_MAP;
}

static bool is_greater(const struct oracle *oracle, const struct oracle_op *a,
    const struct oracle_op *b)
{
    if (a->hlc != b->hlc)
        return a->hlc > b->hlc;
    int order = crdt_origin_compare(&oracle->origins[a->author], &oracle->origins[b->author]);
    return order != 0 ? order > 0 : a->seq > b->seq;
}

static void expect_entry(struct world *world, const struct oracle_entry *entry,
    struct expected *expected)
{
    const struct oracle_op *put = entry->put;
    expected->types |= 1u << put->type;
    if (put->type == CRDT_COUNTER || put->type == CRDT_GCOUNTER)
        expected->sums[put->type] = crdt_sum_add(expected->sums[put->type], entry->amount);
    if (put->type == CRDT_REGISTER &&
        (expected->winner == NULL || is_greater(&world->oracle, put, expected->winner)))
        expected->winner = put;
    if (put->type != CRDT_SET) {
        expected->counts[put->type]++;
        return;
    }
    for (uint32_t i = 0; i < WORLD_ELEMENTS; i++) {
        if (!oracle_bytes_are_equal(put->element, world_element(i)))
            continue;
        expected->counts[CRDT_SET] += expected->has_element[i] ? 0 : 1;
        expected->has_element[i] = true;
    }
}

static struct expected expect(struct world *world, const struct oracle_path *path)
{
    struct expected expected = {.types = 0};
    for (size_t i = 0; i < world->live.count; i++) {
        const struct oracle_entry *entry = &world->live.items[i];
        if (oracle_path_is_equal(&entry->put->path, path))
            expect_entry(world, entry, &expected);
        else if (oracle_path_is_under(&entry->put->path, path))
            expect_child(&expected, entry->put->path.keys[path->count]);
    }
    return expected;
}

/* Between changes a walk gives each key or element once. */
static void check_walk(const struct crdt_document *document, struct crdt_path path,
    enum crdt_type type, const struct expected *expected)
{
    struct crdt_iterator iterator = crdt_iterate(document, path, type, CRDT_ITERATOR_START);
    struct crdt_item item;
    struct crdt_bytes seen[16];
    size_t count = 0;
    while (crdt_next(&iterator, &item)) {
        for (size_t i = 0; i < count; i++)
            claim(!oracle_bytes_are_equal(seen[i], item.key));
        claim(count < expected->counts[type]);
        seen[count++] = item.key;
        bool is_known = false;
        for (uint32_t i = 0; type == CRDT_SET && i < WORLD_ELEMENTS; i++)
            is_known |= expected->has_element[i] &&
                        oracle_bytes_are_equal(item.key, world_element(i));
        for (size_t i = 0; type == CRDT_MAP && i < expected->counts[CRDT_MAP]; i++)
            is_known |= oracle_bytes_are_equal(item.key, expected->children[i]);
        claim(is_known);
        claim((item.types != 0) == (type == CRDT_MAP));
    }
    claim(count == expected->counts[type]);
    claim(iterator.position == 0);
}

static void check_counters(const struct crdt_document *document, struct crdt_path path,
    const struct expected *expected)
{
    for (enum crdt_type type = CRDT_COUNTER; type <= CRDT_GCOUNTER; type++) {
        struct crdt_sum sum = crdt_counter_sum(document, path, type);
        claim(sum.high == expected->sums[type].high && sum.low == expected->sums[type].low);
    }
    int64_t value;
    if (crdt_sum_int64(expected->sums[CRDT_COUNTER], &value) != CRDT_OK)
        value = expected->sums[CRDT_COUNTER].high < 0 ? INT64_MIN : INT64_MAX;
    claim(crdt_counter_value(document, path) == value);
}

/* The open batch may have grown since: `world->live` is made anew. */
void world_check_reads(struct world *world, unsigned index, const struct oracle_path *path)
{
    struct world_replica *replica = &world->replicas[index];
    const struct crdt_document *document = replica->document;
    struct oracle_context context = world_effective(replica);
    oracle_live(&world->oracle, &context, &world->live);
    struct expected expected = expect(world, path);
    struct crdt_path place = {path->keys, path->count};
    claim(crdt_types(document, place) == expected.types);
    for (enum crdt_type type = CRDT_REGISTER; type <= CRDT_MAP; type++)
        claim(crdt_count(document, place, type) == expected.counts[type]);
    check_counters(document, place, &expected);
    for (uint32_t i = 0; i < WORLD_ELEMENTS; i++)
        claim(crdt_set_contains(document, place, world_element(i)) == expected.has_element[i]);
    claim(crdt_flag_is_enabled(document, place) == (expected.counts[CRDT_FLAG] > 0));
    struct crdt_bytes value;
    enum crdt_status status = crdt_register_get(document, place, &value);
    claim(status == (expected.winner == NULL ? CRDT_ERR_NOT_FOUND : CRDT_OK));
    if (expected.winner != NULL)
        claim(oracle_bytes_are_equal(value,
            (struct crdt_bytes){expected.winner->value, expected.winner->value_bytes}));
    check_walk(document, place, CRDT_SET, &expected);
    check_walk(document, place, CRDT_MAP, &expected);
}

/* read(x) = read(load(save(x))), and saving again gives the same bytes. */
void world_check_saved(struct world *world, unsigned index)
{
    struct world_replica *replica = &world->replicas[index];
    struct crdt_buffer snapshot, again;
    crdt_buffer_init(&snapshot, NULL);
    crdt_buffer_init(&again, NULL);
    world_seal(world, index);
    claim(crdt_snapshot(replica->document, &snapshot) == CRDT_OK);
    struct crdt_options options = world_options(world, index);
    struct crdt_document *loaded;
    claim(crdt_load(&options, crdt_buffer_bytes(&snapshot), &loaded) == CRDT_OK);
    claim(crdt_snapshot(loaded, &again) == CRDT_OK);
    claim(oracle_bytes_are_equal(crdt_buffer_bytes(&snapshot), crdt_buffer_bytes(&again)));
    struct crdt_document *original = replica->document;
    replica->document = loaded;
    world_check(world, index);
    for (int i = 0; i < 3; i++) {
        struct oracle_path path = world_path(world->choice);
        world_check_reads(world, index, &path);
    }
    replica->document = original;
    crdt_close(loaded);
    crdt_buffer_close(&snapshot);
    crdt_buffer_close(&again);
}

/* I12: equal contexts and heads, equal digests; and who is equal says so. */
void world_check_digests(struct world *world, unsigned a, unsigned b)
{
    struct crdt_digest x, y;
    world_seal(world, a);
    world_seal(world, b);
    claim(crdt_digest(world->replicas[a].document, &x) == CRDT_OK);
    claim(crdt_digest(world->replicas[b].document, &y) == CRDT_OK);
    bool is_equal = memcmp(&world->replicas[a].context, &world->replicas[b].context,
                        sizeof world->replicas[a].context) == 0;
    claim((memcmp(x.context, y.context, sizeof x.context) == 0) == is_equal);
    claim((memcmp(x.heads, y.heads, sizeof x.heads) == 0) == is_equal);
    if (is_equal)
        claim(memcmp(x.state, y.state, sizeof x.state) == 0);
    struct crdt_digest light;
    claim(crdt_context_digest(world->replicas[a].document, &light) == CRDT_OK);
    claim(memcmp(light.context, x.context, sizeof x.context) == 0);
    claim(memcmp(light.heads, x.heads, sizeof x.heads) == 0);
    if (!is_equal)
        return;
    struct crdt_buffer p, q;
    crdt_buffer_init(&p, NULL);
    crdt_buffer_init(&q, NULL);
    claim(crdt_snapshot(world->replicas[a].document, &p) == CRDT_OK);
    claim(crdt_snapshot(world->replicas[b].document, &q) == CRDT_OK);
    claim(oracle_bytes_are_equal(crdt_buffer_bytes(&p), crdt_buffer_bytes(&q)));
    crdt_buffer_close(&p);
    crdt_buffer_close(&q);
}
