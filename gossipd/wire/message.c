/* Messages between cores. Readers take what they name and nothing more, so a
 * message has exactly one form and no field can hide behind it. */
#include "gossipd/wire/message.h"

#include <assert.h>
#include <string.h>

static enum crdt_status read_fixed(struct crdt_bytes *input, uint8_t *ret_data, size_t size)
{
    struct crdt_bytes bytes;
    enum crdt_status status = crdt_read_bytes(input, size, &bytes);
    if (status != CRDT_OK)
        return status;
    if (bytes.size != size)
        return CRDT_ERR_MALFORMED;
    memcpy(ret_data, bytes.data, size);
    return CRDT_OK;
}

static enum crdt_status read_flag(struct crdt_bytes *input, bool *ret_flag)
{
    uint64_t value;
    enum crdt_status status = crdt_read_uint(input, 1, &value);
    if (status == CRDT_OK)
        *ret_flag = value == 1;
    return status;
}

static enum crdt_status read_compare(struct crdt_bytes *input, struct message_compare *ret)
{
    enum crdt_status status = read_fixed(input, ret->context, sizeof ret->context);
    if (status == CRDT_OK)
        status = read_fixed(input, ret->heads, sizeof ret->heads);
    if (status == CRDT_OK)
        status = read_flag(input, &ret->is_durable);
    if (status == CRDT_OK)
        status = read_flag(input, &ret->has_state);
    if (status == CRDT_OK && ret->has_state)
        status = read_fixed(input, ret->state, sizeof ret->state);
    if (status == CRDT_OK)
        status = crdt_read_uint(input, UINT64_MAX, &ret->probe);
    return status;
}

static enum crdt_status read_summary(struct crdt_bytes *input, struct message_summary *ret)
{
    enum crdt_status status = read_flag(input, &ret->is_reply);
    if (status == CRDT_OK)
        status = crdt_read_uint(input, UINT64_MAX, &ret->probe);
    if (status == CRDT_OK)
        status = crdt_read_bytes(input, MESSAGE_BYTES_MAX, &ret->summary);
    if (status == CRDT_OK)
        status = crdt_read_bytes(input, MESSAGE_BYTES_MAX, &ret->held);
    return status;
}

static enum crdt_status read_offer(struct crdt_bytes *input, struct message_offer *ret)
{
    enum crdt_status status = read_fixed(input, ret->hash, sizeof ret->hash);
    if (status == CRDT_OK)
        status = crdt_read_uint(input, UINT64_MAX, &ret->bytes);
    if (status == CRDT_OK)
        status = crdt_read_uint(input, ret->bytes, &ret->parts);
    if (status == CRDT_OK)
        status = crdt_read_bytes(input, MESSAGE_BYTES_MAX, &ret->tips);
    /* One part or more, and so one byte or more. */
    return status == CRDT_OK && ret->parts == 0 ? CRDT_ERR_MALFORMED : status;
}

static enum crdt_status read_ask(struct crdt_bytes *input, struct message_ask *ret)
{
    enum crdt_status status = read_fixed(input, ret->hash, sizeof ret->hash);
    if (status == CRDT_OK)
        status = crdt_read_uint(input, UINT64_MAX, &ret->part);
    return status;
}

static enum crdt_status read_part(struct crdt_bytes *input, struct message_part *ret)
{
    enum crdt_status status = read_fixed(input, ret->hash, sizeof ret->hash);
    if (status == CRDT_OK)
        status = crdt_read_uint(input, UINT64_MAX, &ret->part);
    if (status == CRDT_OK)
        status = read_flag(input, &ret->is_gone);
    if (status == CRDT_OK)
        status = crdt_read_bytes(input, MESSAGE_BYTES_MAX, &ret->bytes);
    if (status == CRDT_OK && ret->is_gone != (ret->bytes.size == 0))
        status = CRDT_ERR_MALFORMED;
    return status;
}

static enum crdt_status read_body(struct crdt_bytes *input, struct message *ret)
{
    enum crdt_status status;
    switch (ret->kind) {
    case MESSAGE_COMPARE:
        return read_compare(input, &ret->as.compare);
    case MESSAGE_SUMMARY:
        return read_summary(input, &ret->as.summary);
    case MESSAGE_BATCH:
        status = read_fixed(input, ret->as.batch.signature, sizeof ret->as.batch.signature);
        if (status != CRDT_OK)
            return status;
        return crdt_read_bytes(input, CRDT_BATCH_BYTES_MAX, &ret->as.batch.batch);
    case MESSAGE_ACK:
        return crdt_read_bytes(input, MESSAGE_BYTES_MAX, &ret->as.ack.summary);
    case MESSAGE_OFFER:
        return read_offer(input, &ret->as.offer);
    case MESSAGE_ASK:
        return read_ask(input, &ret->as.ask);
    case MESSAGE_PART:
        return read_part(input, &ret->as.part);
    case MESSAGE_HEADS:
        return crdt_read_bytes(input, MESSAGE_BYTES_MAX, &ret->as.heads.tips);
    }
    return CRDT_ERR_MALFORMED;
}

enum crdt_status message_read(struct crdt_bytes bytes, struct message *ret_message)
{
    if (bytes.size > MESSAGE_BYTES_MAX)
        return CRDT_ERR_MALFORMED;
    uint64_t kind;
    enum crdt_status status = crdt_read_uint(&bytes, MESSAGE_HEADS, &kind);
    if (status != CRDT_OK)
        return status;
    struct message message = {.kind = (enum message_kind)kind};
    status = read_body(&bytes, &message);
    if (status != CRDT_OK)
        return status;
    if (bytes.size != 0)
        return CRDT_ERR_MALFORMED;
    *ret_message = message;
    return CRDT_OK;
}

static enum crdt_status write_fixed(struct crdt_buffer *buffer, const uint8_t *data, size_t size)
{
    return crdt_write_bytes(buffer, (struct crdt_bytes){.data = data, .size = size});
}

static enum crdt_status write_compare(
    struct crdt_buffer *buffer, const struct message_compare *compare)
{
    enum crdt_status status = write_fixed(buffer, compare->context, sizeof compare->context);
    if (status == CRDT_OK)
        status = write_fixed(buffer, compare->heads, sizeof compare->heads);
    if (status == CRDT_OK)
        status = crdt_write_uint(buffer, compare->is_durable ? 1 : 0);
    if (status == CRDT_OK)
        status = crdt_write_uint(buffer, compare->has_state ? 1 : 0);
    if (status == CRDT_OK && compare->has_state)
        status = write_fixed(buffer, compare->state, sizeof compare->state);
    if (status == CRDT_OK)
        status = crdt_write_uint(buffer, compare->probe);
    return status;
}

static enum crdt_status write_summary(
    struct crdt_buffer *buffer, const struct message_summary *summary)
{
    enum crdt_status status = crdt_write_uint(buffer, summary->is_reply ? 1 : 0);
    if (status == CRDT_OK)
        status = crdt_write_uint(buffer, summary->probe);
    if (status == CRDT_OK)
        status = crdt_write_bytes(buffer, summary->summary);
    if (status == CRDT_OK)
        status = crdt_write_bytes(buffer, summary->held);
    return status;
}

static enum crdt_status write_offer(
    struct crdt_buffer *buffer, const struct message_offer *offer)
{
    assert(offer->parts > 0);
    assert(offer->parts <= offer->bytes);
    enum crdt_status status = write_fixed(buffer, offer->hash, sizeof offer->hash);
    if (status == CRDT_OK)
        status = crdt_write_uint(buffer, offer->bytes);
    if (status == CRDT_OK)
        status = crdt_write_uint(buffer, offer->parts);
    if (status == CRDT_OK)
        status = crdt_write_bytes(buffer, offer->tips);
    return status;
}

static enum crdt_status write_ask(struct crdt_buffer *buffer, const struct message_ask *ask)
{
    enum crdt_status status = write_fixed(buffer, ask->hash, sizeof ask->hash);
    if (status == CRDT_OK)
        status = crdt_write_uint(buffer, ask->part);
    return status;
}

static enum crdt_status write_part(struct crdt_buffer *buffer, const struct message_part *part)
{
    assert(part->is_gone == (part->bytes.size == 0));
    enum crdt_status status = write_fixed(buffer, part->hash, sizeof part->hash);
    if (status == CRDT_OK)
        status = crdt_write_uint(buffer, part->part);
    if (status == CRDT_OK)
        status = crdt_write_uint(buffer, part->is_gone ? 1 : 0);
    if (status == CRDT_OK)
        status = crdt_write_bytes(buffer, part->bytes);
    return status;
}

static enum crdt_status write_body(struct crdt_buffer *buffer, const struct message *message)
{
    enum crdt_status status;
    switch (message->kind) {
    case MESSAGE_COMPARE:
        return write_compare(buffer, &message->as.compare);
    case MESSAGE_SUMMARY:
        return write_summary(buffer, &message->as.summary);
    case MESSAGE_BATCH:
        assert(message->as.batch.batch.size <= CRDT_BATCH_BYTES_MAX);
        status = write_fixed(
            buffer, message->as.batch.signature, sizeof message->as.batch.signature);
        if (status != CRDT_OK)
            return status;
        return crdt_write_bytes(buffer, message->as.batch.batch);
    case MESSAGE_ACK:
        return crdt_write_bytes(buffer, message->as.ack.summary);
    case MESSAGE_OFFER:
        return write_offer(buffer, &message->as.offer);
    case MESSAGE_ASK:
        return write_ask(buffer, &message->as.ask);
    case MESSAGE_PART:
        return write_part(buffer, &message->as.part);
    case MESSAGE_HEADS:
        return crdt_write_bytes(buffer, message->as.heads.tips);
    }
    assert(false);
    return CRDT_ERR_MALFORMED;
}

enum crdt_status message_write(struct crdt_buffer *buffer, const struct message *message)
{
    size_t before = buffer->size;
    enum crdt_status status = crdt_write_uint(buffer, (uint64_t)message->kind);
    if (status == CRDT_OK)
        status = write_body(buffer, message);
    if (status != CRDT_OK)
        buffer->size = before;
    return status;
}
