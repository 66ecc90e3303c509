#include "tests/sim/adversary.h"

#include <sodium.h>
#include <string.h>

#include "tests/sim/signature.h"
#include "tests/sim/simulator.h"

#define MESSAGE_BATCH 3 /* docs/wire-format.md, section 6 */
#define DEPS_HASH_BYTES 16

/* What is wrong with the batch. The first ones open a generation that nobody has
 * heard of, so that only their bodies or deps are wrong; the others go on in the feed
 * that the receiver knows. */
enum poison {
    POISON_TRUNCATED,
    POISON_UNKNOWN_CODE,
    POISON_SHARED_PATH,   /* shares keys with a record that is not there          */
    POISON_FOLD_TOO_FAR,
    POISON_MARK_FIRST,
    POISON_NEGATIVE,      /* in a counter that only grows                         */
    POISON_TOO_FEW,       /* records, fewer than the header says                  */
    POISON_MISSING_DEPS,  /* depends on an operation that never was               */
    POISON_DEPS_HASH,     /* of no deps: who has forgotten older heads cannot check others */
    POISON_BODIES,
    POISON_PREVIOUS_HEAD = POISON_BODIES,
    POISON_BODY_HASH,
    POISON_SIGNATURE,
    POISON_COUNT,
};

struct draft {
    struct crdt_buffer body;
    struct crdt_buffer header;
    struct crdt_buffer batch;
    struct crdt_buffer message;
};

static void put_number(struct crdt_buffer *buffer, uint64_t number)
{
    (void)!crdt_write_uint(buffer, number);
}

static void put_bytes(struct crdt_buffer *buffer, const void *data, size_t size)
{
    (void)!crdt_write_bytes(buffer, (struct crdt_bytes){ data, size });
}

static void draft_body(struct crdt_buffer *body, enum poison poison)
{
    unsigned code = poison == POISON_UNKNOWN_CODE ? 99
        : poison == POISON_FOLD_TOO_FAR           ? RECORD_FOLD_COUNTER
        : poison == POISON_MARK_FIRST             ? RECORD_MARK
        : poison == POISON_NEGATIVE               ? RECORD_ADD_GCOUNTER
                                                  : RECORD_ADD_COUNTER;
    put_number(body, code);
    put_number(body, poison == POISON_SHARED_PATH ? 1 : 0);
    put_number(body, 1);
    put_bytes(body, "poison", 6);
    if (poison == POISON_FOLD_TOO_FAR) {
        put_number(body, 1000);
        put_number(body, 1);
    }
    if (poison != POISON_TRUNCATED)
        (void)!crdt_write_int(body, poison == POISON_NEGATIVE ? -1 : 1);
}

static void hash_number(crypto_generichash_state *hash, uint64_t number)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(number >> (56 - 8 * i));
    crypto_generichash_update(hash, bytes, sizeof bytes);
}

/* The right hash for a batch that follows `last` and depends on nothing new. */
static void deps_hash(struct simulator *sim, const struct known_batch *last,
    uint8_t ret_hash[static DEPS_HASH_BYTES])
{
    crypto_generichash_state hash;
    crypto_generichash_init(&hash, NULL, 0, DEPS_HASH_BYTES);
    const struct records *records = last == NULL ? NULL : last->records;
    for (size_t i = 0; records != NULL && i < records->list_count; i++) {
        size_t origin = records->list[i];
        uint64_t seq = records->observed[records->observed_count - 1].seq[origin];
        const struct known_batch *batch = registry_batch(&sim->registry, origin, seq);
        if (batch == NULL)
            break;
        const struct crdt_origin *name = &sim->registry.origins[origin].origin;
        crypto_generichash_update(&hash, name->key, CRDT_KEY_BYTES);
        hash_number(&hash, name->generation);
        hash_number(&hash, seq);
        crypto_generichash_update(&hash, batch->head, CRDT_HASH_BYTES);
    }
    crypto_generichash_final(&hash, ret_hash, DEPS_HASH_BYTES);
}

/* The deps of the header and their hash. */
static void draft_deps(struct simulator *sim, struct draft *draft, enum poison poison,
    size_t node, const struct known_batch *last)
{
    uint8_t hash[DEPS_HASH_BYTES];
    put_number(&draft->header, 0);
    if (poison == POISON_MISSING_DEPS) {
        put_number(&draft->header, 1);
        put_bytes(&draft->header, sim->nodes[node].key, CRDT_KEY_BYTES);
        put_number(&draft->header, 1 + simulator_random(sim, UINT64_MAX - 1));
        put_number(&draft->header, 1);
    } else {
        put_number(&draft->header, 0);
    }
    deps_hash(sim, last, hash);
    hash[0] ^= poison == POISON_DEPS_HASH || poison == POISON_MISSING_DEPS;
    put_bytes(&draft->header, hash, sizeof hash);
}

static void draft_header(
    struct simulator *sim, struct draft *draft, enum poison poison, size_t node, size_t other)
{
    struct crdt_buffer *header = &draft->header;
    size_t self = sim->nodes[node].self;
    uint64_t seq = poison < POISON_BODIES ? 0 : sim->nodes[other].context.seq[self];
    const struct known_batch *last
        = seq == 0 ? NULL : registry_batch(&sim->registry, self, seq);
    put_number(header, CRDT_WIRE_MAJOR);
    put_number(header, CRDT_WIRE_MINOR);
    put_bytes(header, sim->nodes[node].key, CRDT_KEY_BYTES);
    put_number(header, poison < POISON_BODIES
            ? 1 + simulator_random(sim, UINT64_MAX - 1)
            : sim->registry.origins[self].origin.generation);
    put_number(header, seq + 1);
    put_number(header, poison == POISON_TOO_FEW ? 2 : 1);
    uint8_t previous[CRDT_HASH_BYTES] = { 1, 2, 3 };
    if (last != NULL && poison != POISON_PREVIOUS_HEAD)
        memcpy(previous, last->head, sizeof previous);
    if (seq == 0)
        put_number(header, 0);
    else
        put_bytes(header, previous, sizeof previous);
    draft_deps(sim, draft, poison, node, last);
    uint8_t hash[CRDT_HASH_BYTES];
    crypto_generichash(hash, sizeof hash, draft->body.data, draft->body.size, NULL, 0);
    hash[0] ^= poison == POISON_BODY_HASH;
    put_bytes(header, hash, sizeof hash);
}

static void draft_message(
    struct simulator *sim, struct draft *draft, enum poison poison, size_t node)
{
    put_number(&draft->batch, 1);
    put_bytes(&draft->batch, draft->header.data, draft->header.size);
    put_bytes(&draft->batch, draft->body.data, draft->body.size);
    uint8_t head[CRDT_HASH_BYTES], message[CORE_SIGNED_BYTES], cluster_id[CRDT_HASH_BYTES];
    uint8_t signature[CORE_SIGNATURE_BYTES];
    crypto_generichash(head, sizeof head, draft->header.data, draft->header.size, NULL, 0);
    memset(cluster_id, SIMULATOR_CLUSTER_BYTE, sizeof cluster_id);
    core_signed_message(cluster_id, head, message);
    signature_make(&sim->nodes[node], message, sizeof message, signature);
    signature[0] ^= poison == POISON_SIGNATURE;
    put_number(&draft->message, MESSAGE_BATCH);
    put_bytes(&draft->message, signature, sizeof signature);
    put_bytes(&draft->message, draft->batch.data, draft->batch.size);
}

bool adversary_poison(struct simulator *sim, size_t node, size_t other)
{
    if (sim->nodes[node].core == NULL || sim->nodes[other].core == NULL
        || sim->nodes[node].self == ORIGIN_COUNT_MAX)
        return false;
    enum poison poison = (enum poison)simulator_random(sim, POISON_COUNT);
    /* A first batch has no previous head to be wrong. */
    if (poison == POISON_PREVIOUS_HEAD
        && sim->nodes[other].context.seq[sim->nodes[node].self] == 0)
        return false;
    struct draft draft;
    crdt_buffer_init(&draft.body, NULL);
    crdt_buffer_init(&draft.header, NULL);
    crdt_buffer_init(&draft.batch, NULL);
    crdt_buffer_init(&draft.message, NULL);
    draft_body(&draft.body, poison);
    draft_header(sim, &draft, poison, node, other);
    draft_message(sim, &draft, poison, node);
    bool has_link = network_inject(sim, node, other, crdt_buffer_bytes(&draft.message));
    if (has_link)
        simulator_trace(sim, "POISON %d n%zu to n%zu", (int)poison, node + 1, other + 1);
    crdt_buffer_close(&draft.body);
    crdt_buffer_close(&draft.header);
    crdt_buffer_close(&draft.batch);
    crdt_buffer_close(&draft.message);
    return has_link;
}
