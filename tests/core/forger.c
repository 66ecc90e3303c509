#include "tests/core/forger.h"

#include "gossipd/wire/message.h"
#include "gossipd/wire/tips.h"
#include "tests/support/runner.h"

#include <string.h>

struct crdt_document *forger_new_under(uint8_t key_byte, uint64_t generation)
{
    struct crdt_options options;
    crdt_options_init(&options);
    memset(options.key, key_byte, sizeof options.key);
    options.generation = generation;
    struct crdt_document *document;
    OK(crdt_open(&options, &document));
    return document;
}

struct crdt_document *forger_new(uint8_t key_byte)
{
    return forger_new_under(key_byte, FORGER_GENERATION);
}

void forger_set_times(struct crdt_document *author, const char *key, int count,
    struct crdt_bytes *ret_batch)
{
    struct crdt_bytes names[] = {crdt_text("data"), crdt_text(key)};
    struct crdt_path path = {.keys = names, .count = 2};
    for (int index = 0; index < count; index++) {
        struct crdt_transaction *transaction;
        OK(crdt_begin(author, 1, &transaction));
        OK(crdt_register_set(transaction, path, crdt_text("yes")));
        crdt_commit(transaction);
    }
    OK(crdt_seal(author, ret_batch));
}

void forger_set(struct crdt_document *author, const char *key, struct crdt_bytes *ret_batch)
{
    forger_set_times(author, key, 1, ret_batch);
}

/* The author's next batch, kept; closes the author. */
static void take_batch(
    struct crdt_document *author, const char *key, struct crdt_buffer *ret_batch)
{
    struct crdt_bytes bytes;
    crdt_buffer_init(ret_batch, NULL);
    forger_set(author, key, &bytes);
    OK(crdt_buffer_append(ret_batch, bytes.data, bytes.size));
    crdt_close(author);
}

void forger_first_batch(uint8_t key_byte, uint64_t generation, const char *key,
    struct crdt_buffer *ret_batch)
{
    take_batch(forger_new_under(key_byte, generation), key, ret_batch);
}

void forger_dependent_batch(uint8_t key_byte, const struct crdt_buffer *first,
    const char *key, struct crdt_buffer *ret_batch)
{
    struct crdt_document *author = forger_new(key_byte);
    OK(crdt_merge(author, crdt_buffer_bytes(first)));
    take_batch(author, key, ret_batch);
}

static void sign(const struct crdt_batch *batch, uint8_t *ret_signature)
{
    uint8_t signed_bytes[CORE_SIGNED_BYTES];
    static const uint8_t cluster_id[CRDT_HASH_BYTES];
    core_signed_message(cluster_id, batch->head, signed_bytes);
    pump_sign(batch->origin.key, signed_bytes, sizeof signed_bytes, ret_signature);
}

static void send(
    struct pump *pump, size_t node, size_t from, const struct message *message)
{
    struct crdt_buffer frame;
    crdt_buffer_init(&frame, NULL);
    OK(message_write(&frame, message));
    pump_frame(pump, node, from, frame.data, frame.size);
    crdt_buffer_close(&frame);
    pump_run(pump, 1000);
}

void forger_give(struct pump *pump, size_t node, size_t from, struct crdt_bytes bytes)
{
    struct crdt_batch batch;
    OK(crdt_batch_read(bytes, &batch));
    struct message message = {.kind = MESSAGE_BATCH, .as.batch.batch = bytes};
    sign(&batch, message.as.batch.signature);
    send(pump, node, from, &message);
}

void forger_write_to(struct pump *pump, struct crdt_document *author, const char *key,
    size_t node, size_t from)
{
    struct crdt_bytes bytes;
    forger_set(author, key, &bytes);
    forger_give(pump, node, from, bytes);
}

void forger_give_header(
    struct pump *pump, size_t node, size_t from, struct crdt_bytes bytes)
{
    struct tip tip;
    struct crdt_buffer tips;
    crdt_buffer_init(&tips, NULL);
    OK(crdt_batch_read(bytes, &tip.batch));
    sign(&tip.batch, tip.signature);
    OK(tips_write(&tips, &tip, 1));
    struct message message = {.kind = MESSAGE_HEADS, .as.heads.tips = crdt_buffer_bytes(&tips)};
    send(pump, node, from, &message);
    crdt_buffer_close(&tips);
}

void forger_give_first_header(struct pump *pump, size_t node, size_t from, uint8_t key_byte,
    uint64_t generation, const char *key)
{
    struct crdt_buffer batch;
    forger_first_batch(key_byte, generation, key, &batch);
    forger_give_header(pump, node, from, crdt_buffer_bytes(&batch));
    crdt_buffer_close(&batch);
}

bool forger_is_set(struct pump *pump, size_t node, const char *key)
{
    char words[64] = "GET ";
    strncat(words, key, sizeof words - 5);
    return strstr(pump_ask(pump, node, words), "yes") != NULL;
}

bool forger_is_frozen(struct pump *pump, size_t node)
{
    return strstr(pump_ask(pump, node, "CRDT.FORKS"), "\"frozen\":true") != NULL;
}
