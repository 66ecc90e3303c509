/* Replicas, the network between them, and what can happen to both. */
#include "tests/support/world.h"

#include "tests/support/claim.h"

#include <stdlib.h>
#include <string.h>

struct crdt_options world_options(struct world *world, unsigned index)
{
    struct crdt_options options;
    crdt_options_init(&options);
    options.memory = test_memory_hook(&world->memory);
    memset(options.key, (int)index + 1, sizeof options.key);
    options.generation = world->replicas[index].generation;
    memset(options.hash_seed, 7, sizeof options.hash_seed);
    return options;
}

static void name_self(struct world *world, unsigned index)
{
    struct world_replica *replica = &world->replicas[index];
    struct crdt_origin origin = crdt_self(replica->document);
    claim(origin.generation == replica->generation);
    replica->self = oracle_origin(&world->oracle, &origin);
}

struct world *world_new(struct choice *choice, unsigned replica_count)
{
    claim(replica_count <= WORLD_REPLICAS_MAX);
    struct world *world = calloc(1, sizeof *world);
    claim(world != NULL);
    world->choice = choice;
    world->replica_count = replica_count;
    world->now_ms = 1000000;
    oracle_init(&world->oracle);
    for (unsigned i = 0; i < replica_count; i++) {
        world->replicas[i].generation = ++world->generation_count;
        struct crdt_options options = world_options(world, i);
        claim(crdt_open(&options, &world->replicas[i].document) == CRDT_OK);
        name_self(world, i);
    }
    return world;
}

void world_free(struct world *world)
{
    for (unsigned i = 0; i < world->replica_count; i++)
        crdt_close(world->replicas[i].document);
    claim(world->memory.held == 0);
    for (unsigned i = 0; i < world->batch_count; i++)
        crdt_buffer_close(&world->batches[i].bytes);
    oracle_entries_close(&world->live);
    oracle_close(&world->oracle);
    free(world);
}

void world_seal(struct world *world, unsigned index)
{
    struct world_replica *replica = &world->replicas[index];
    struct crdt_bytes bytes;
    claim(crdt_seal(replica->document, &bytes) == CRDT_OK);
    claim((bytes.size > 0) == (replica->open_records > 0));
    claim(crdt_open_records(replica->document) == 0);
    if (bytes.size == 0)
        return;
    claim(world->batch_count < WORLD_BATCHES_MAX);
    struct world_batch *batch = &world->batches[world->batch_count];
    batch->author = replica->self;
    batch->first = replica->context.seqs[replica->self] + 1;
    batch->last = batch->first + replica->open_records - 1;
    batch->seen = replica->seen;
    batch->seen.seqs[replica->self] = batch->first - 1;
    batch->sealed = replica->context;
    crdt_buffer_init(&batch->bytes, NULL);
    claim(crdt_buffer_append(&batch->bytes, bytes.data, bytes.size) == CRDT_OK);
    struct crdt_batch header;
    claim(crdt_batch_read(bytes, &header) == CRDT_OK);
    claim(header.first_seq == batch->first && header.last_seq == batch->last);
    claim(oracle_origin(&world->oracle, &header.origin) == batch->author);
    claim(header.bytes.size == bytes.size);
    replica->has_received[world->batch_count++] = true;
    replica->open_records = 0;
    world_check(world, index);
}

static void deliver_batch(struct world *world, unsigned to, unsigned number)
{
    struct world_replica *replica = &world->replicas[to];
    struct crdt_bytes bytes = crdt_buffer_bytes(&world->batches[number].bytes);
    claim(crdt_merge(replica->document, bytes) == CRDT_OK);
    replica->has_received[number] = true;
    world_check(world, to);
}

/* A delta holds batches just as they were sealed: notes which they are. */
static void note_received(struct world *world, unsigned to, struct crdt_bytes delta)
{
    while (delta.size > 0) {
        struct crdt_batch header;
        claim(crdt_batch_read(delta, &header) == CRDT_OK);
        unsigned number = 0;
        while (number < world->batch_count &&
               !oracle_bytes_are_equal(
                   crdt_buffer_bytes(&world->batches[number].bytes), header.bytes))
            number++;
        claim(number < world->batch_count); /* bytes of a batch never change */
        world->replicas[to].has_received[number] = true;
        delta.data = (const uint8_t *)delta.data + header.bytes.size;
        delta.size -= header.bytes.size;
    }
}

static void merge_snapshot(struct world *world, unsigned from, unsigned to)
{
    struct crdt_buffer snapshot;
    crdt_buffer_init(&snapshot, NULL);
    world_seal(world, from);
    struct world_replica *source = &world->replicas[from], *target = &world->replicas[to];
    claim(crdt_snapshot(source->document, &snapshot) == CRDT_OK);
    claim(crdt_merge(target->document, crdt_buffer_bytes(&snapshot)) == CRDT_OK);
    /* Where it brought something, it brought no records. */
    for (unsigned i = 0; i < ORACLE_ORIGINS_MAX; i++)
        if (source->context.seqs[i] > target->context.seqs[i])
            target->floor.seqs[i] = source->context.seqs[i];
    crdt_buffer_close(&snapshot);
    world_check(world, to);
    claim(oracle_context_covers(&target->context, &source->context));
}

/* summary -> diff -> merge, or a snapshot where records are gone. `is_lossy`:
 * the delta may get lost or come twice on the way. */
static void exchange(struct world *world, unsigned from, unsigned to, bool is_lossy)
{
    struct world_replica *source = &world->replicas[from], *target = &world->replicas[to];
    struct crdt_buffer summary, delta;
    crdt_buffer_init(&summary, NULL);
    crdt_buffer_init(&delta, NULL);
    world_seal(world, to);
    world_seal(world, from);
    claim(crdt_summary(target->document, &summary) == CRDT_OK);
    enum crdt_status status =
        crdt_diff(source->document, crdt_buffer_bytes(&summary), &delta);
    if (status == CRDT_ERR_BELOW_FLOOR) {
        claim(!oracle_context_covers(&target->context, &source->floor));
        claim(delta.size == 0);
        merge_snapshot(world, from, to);
    } else {
        claim(status == CRDT_OK);
        uint32_t times = is_lossy ? choice_below(world->choice, 3) : 1;
        for (uint32_t i = 0; i < times; i++) {
            claim(crdt_merge(target->document, crdt_buffer_bytes(&delta)) == CRDT_OK);
            note_received(world, to, crdt_buffer_bytes(&delta));
            world_check(world, to);
            claim(oracle_context_covers(&target->context, &source->context));
        }
    }
    crdt_buffer_close(&summary);
    crdt_buffer_close(&delta);
}

/* Forgets what a random subset of the replicas has: mostly all of them. */
static void collect(struct world *world, unsigned index)
{
    struct crdt_buffer summaries[WORLD_REPLICAS_MAX];
    struct crdt_bytes bytes[WORLD_REPLICAS_MAX];
    world_seal(world, index);
    struct oracle_context least = world->replicas[index].context;
    size_t count = 0;
    bool is_all = choice_below(world->choice, 4) != 0;
    for (unsigned i = 0; i < world->replica_count; i++) {
        if (i != index && !is_all && choice_below(world->choice, 2) == 0)
            continue;
        world_seal(world, i);
        crdt_buffer_init(&summaries[count], NULL);
        claim(crdt_summary(world->replicas[i].document, &summaries[count]) == CRDT_OK);
        bytes[count] = crdt_buffer_bytes(&summaries[count]);
        count++;
        for (unsigned k = 0; k < ORACLE_ORIGINS_MAX; k++)
            if (world->replicas[i].context.seqs[k] < least.seqs[k])
                least.seqs[k] = world->replicas[i].context.seqs[k];
    }
    claim(crdt_gc(world->replicas[index].document, bytes, count) == CRDT_OK);
    oracle_context_join(&world->replicas[index].floor, &least);
    while (count > 0)
        crdt_buffer_close(&summaries[--count]);
    world_check(world, index);
}

/* The open batch moves to the new generation. One with a fold stays: a fold
 * names contributions of its own origin. */
static void new_generation(struct world *world, unsigned index)
{
    struct world_replica *replica = &world->replicas[index];
    struct oracle *oracle = &world->oracle;
    uint64_t sealed = replica->context.seqs[replica->self];
    for (size_t i = 0; i < oracle->count; i++)
        if (oracle->ops[i].author == replica->self && oracle->ops[i].seq > sealed &&
            oracle->ops[i].kind == CRDT_FOLD)
            world_seal(world, index);
    if (world->generation_count == WORLD_GENERATIONS_MAX)
        return;
    unsigned old = replica->self;
    sealed = replica->context.seqs[old];
    replica->generation = ++world->generation_count;
    claim(crdt_set_generation(replica->document, replica->generation) == CRDT_OK);
    name_self(world, index);
    for (size_t i = 0; i < oracle->count; i++) {
        if (oracle->ops[i].author != old || oracle->ops[i].seq <= sealed)
            continue;
        oracle->ops[i].author = replica->self;
        oracle->ops[i].seq -= sealed;
    }
    if (replica->open_records > 0)
        replica->seen.seqs[old] = sealed;
    world_check(world, index);
}

/* Comes back from its own snapshot; log and pending batches are gone. */
static void restart(struct world *world, unsigned index)
{
    struct world_replica *replica = &world->replicas[index];
    struct crdt_buffer snapshot;
    crdt_buffer_init(&snapshot, NULL);
    world_seal(world, index);
    claim(crdt_snapshot(replica->document, &snapshot) == CRDT_OK);
    crdt_close(replica->document);
    struct crdt_options options = world_options(world, index);
    claim(crdt_load(&options, crdt_buffer_bytes(&snapshot), &replica->document) == CRDT_OK);
    claim(crdt_writable(replica->document) == CRDT_ERR_GENERATION);
    claim(crdt_set_generation(replica->document, replica->generation) == CRDT_OK);
    name_self(world, index);
    replica->floor = replica->context;
    replica->last_hlc = 0; /* stamps of what no longer lives are forgotten       */
    memset(replica->has_received, 0, sizeof replica->has_received);
    crdt_buffer_close(&snapshot);
    world_check(world, index);
}

void world_step(struct world *world)
{
    struct choice *choice = world->choice;
    unsigned index = choice_below(choice, world->replica_count);
    unsigned other = (index + 1 + choice_below(choice, world->replica_count - 1)) %
                     world->replica_count;
    uint32_t which = choice_below(choice, 100);
    world->now_ms += choice_below(choice, 200);
    world->now_ms -= choice_below(choice, 200);
    world->now_ms += 10;
    if (world->batch_count + 4 * WORLD_REPLICAS_MAX > WORLD_BATCHES_MAX)
        return;
    if (which < 36)
        world_transaction(world, index);
    else if (which < 48)
        world_seal(world, index);
    else if (which < 68 && world->batch_count > 0)
        deliver_batch(world, index, choice_below(choice, world->batch_count));
    else if (which < 82)
        exchange(world, other, index, true);
    else if (which < 86)
        merge_snapshot(world, other, index);
    else if (which < 91)
        collect(world, index);
    else if (which < 93)
        new_generation(world, index);
    else if (which < 95)
        restart(world, index);
    else if (which < 98)
        world_check_saved(world, index);
    else
        world_check_digests(world, index, other);
    world_check(world, index);
    struct oracle_path path = world_path(choice);
    world_check_reads(world, index, &path);
}

void world_heal(struct world *world)
{
    for (int round = 0; round < 2; round++)
        for (unsigned from = 0; from < world->replica_count; from++)
            for (unsigned to = 0; to < world->replica_count; to++)
                if (from != to)
                    exchange(world, from, to, false);
    for (unsigned i = 1; i < world->replica_count; i++) {
        claim(memcmp(&world->replicas[0].context, &world->replicas[i].context,
                  sizeof world->replicas[0].context) == 0);
        world_check_digests(world, 0, i);
    }
    for (unsigned i = 0; i < world->replica_count; i++) {
        world_check_saved(world, i);
        for (unsigned k = 0; k < 12; k++) {
            struct oracle_path path = world_path(world->choice);
            world_check_reads(world, i, &path);
        }
    }
}
