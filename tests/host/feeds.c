#include "tests/host/feeds.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/claim.h"

const uint8_t feeds_cluster_id[CRDT_HASH_BYTES] = {1};

struct crdt_options feeds_options(void)
{
    struct crdt_options options;
    crdt_options_init(&options);
    options.keep_log = false;
    options.generation = 0;
    options.pending_bytes_max = 0;
    return options;
}

void feeds_node_open(struct feeds_node *node, uint8_t number)
{
    uint8_t seed[crypto_sign_SEEDBYTES];
    memset(seed, number, sizeof seed);
    memset(node, 0, sizeof *node);
    claim(sodium_init() >= 0);
    claim(crypto_sign_seed_keypair(node->identity.key, node->identity.secret, seed) == 0);
    struct crdt_options options = feeds_options();
    memcpy(options.key, node->identity.key, sizeof options.key);
    /* Above INT64_MAX: the store keeps the bits. */
    options.generation = UINT64_MAX - number;
    claim(crdt_open(&options, &node->document) == CRDT_OK);
    crdt_buffer_init(&node->batch, NULL);
}

void feeds_node_close(struct feeds_node *node)
{
    crdt_close(node->document);
    crdt_buffer_close(&node->batch);
}

static void write_one(struct crdt_transaction *transaction, struct choice *choice)
{
    char key_text[16];
    char value_text[24];
    snprintf(key_text, sizeof key_text, "key%u", (unsigned)choice_below(choice, 40));
    snprintf(value_text, sizeof value_text, "%u", (unsigned)choice_below(choice, 1000));
    const struct crdt_bytes key = crdt_text(key_text);
    const struct crdt_path path = {&key, 1};
    enum crdt_status status = CRDT_OK;
    switch (choice_below(choice, 4)) {
    case 0: status = crdt_register_set(transaction, path, crdt_text(value_text)); break;
    case 1: status = crdt_counter_add(transaction, path, 7); break;
    case 2: status = crdt_set_add(transaction, path, crdt_text(value_text)); break;
    default: status = crdt_remove(transaction, path, CRDT_ANY); break;
    }
    claim(status == CRDT_OK);
}

struct core_output feeds_write(struct feeds_node *node, struct choice *choice, uint64_t number)
{
    struct crdt_transaction *transaction = NULL;
    struct crdt_bytes bytes = {NULL, 0};
    struct crdt_batch batch;
    uint8_t message[CORE_SIGNED_BYTES];
    uint32_t count = choice_below(choice, 5);
    claim(crdt_begin(node->document, 1700000000000 + number, &transaction) == CRDT_OK);
    for (uint32_t i = 0; i < count; i++) {
        write_one(transaction, choice);
    }
    claim(crdt_note(transaction) == CRDT_OK);
    crdt_commit(transaction);
    claim(crdt_seal(node->document, &bytes) == CRDT_OK);
    crdt_buffer_clear(&node->batch);
    claim(crdt_buffer_append(&node->batch, bytes.data, bytes.size) == CRDT_OK);
    claim(crdt_batch_read(crdt_buffer_bytes(&node->batch), &batch) == CRDT_OK);
    node->seq = batch.last_seq;
    struct core_output output = {.kind = CORE_STORE, .number = number, .origin = batch.origin,
        .first_seq = batch.first_seq, .last_seq = batch.last_seq,
        .wall_ms = 1700000000000 + number, .bytes = batch.bytes};
    memcpy(output.previous, batch.previous, sizeof output.previous);
    memcpy(output.head, batch.head, sizeof output.head);
    core_signed_message(feeds_cluster_id, batch.head, message);
    identity_sign(&node->identity, message, sizeof message, output.signature);
    return output;
}

void feeds_merge(struct feeds_node *node, struct crdt_bytes batch)
{
    claim(crdt_merge(node->document, batch) == CRDT_OK);
}

struct crdt_buffer feeds_snapshot(struct feeds_node *node)
{
    struct crdt_buffer bytes;
    crdt_buffer_init(&bytes, NULL);
    claim(crdt_snapshot(node->document, &bytes) == CRDT_OK);
    return bytes;
}
