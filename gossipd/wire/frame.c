/* Frames: pieces of messages on two channels. See frame.h. */
#include "gossipd/wire/frame.h"

#include <assert.h>
#include <string.h>

#include "gossipd/limits.h"

#define FRAME_BULK_BIT (UINT32_C(1) << 31)
#define FRAME_LAST_BIT (UINT32_C(1) << 30)

static_assert(FRAME_PIECE_BYTES_MAX < FRAME_LAST_BIT, "a piece length fits beside the two bits");

/* Empties a queue and gives its memory back when a large message made it grow. */
static void buffer_release(struct crdt_buffer *buffer)
{
    if (buffer->capacity > FRAME_KEEP_BYTES) {
        struct crdt_memory memory = buffer->memory;
        crdt_buffer_close(buffer);
        crdt_buffer_init(buffer, &memory);
    } else {
        crdt_buffer_clear(buffer);
    }
}

void frame_reader_init(struct frame_reader *reader, const struct crdt_memory *memory)
{
    *reader = (struct frame_reader){0};
    for (size_t i = 0; i < FRAME_CHANNEL_COUNT; i++) {
        crdt_buffer_init(&reader->messages[i], memory);
    }
    reader->message_bytes_max[FRAME_CONTROL] = FRAME_CONTROL_BYTES_MAX;
    reader->message_bytes_max[FRAME_BULK] = FRAME_BULK_BYTES_MAX;
}

void frame_reader_close(struct frame_reader *reader)
{
    for (size_t i = 0; i < FRAME_CHANNEL_COUNT; i++) {
        crdt_buffer_close(&reader->messages[i]);
    }
}

/* Takes the header apart. False: a length of 0, beyond the limit of a piece, or
 * one that makes its message larger than allowed. */
static bool header_read(struct frame_reader *reader)
{
    const uint8_t *header = reader->header;
    uint32_t word = (uint32_t)header[0] << 24 | (uint32_t)header[1] << 16 |
        (uint32_t)header[2] << 8 | (uint32_t)header[3];
    uint32_t length = word & (FRAME_LAST_BIT - 1);
    if (length == 0 || length > FRAME_PIECE_BYTES_MAX) {
        return false;
    }
    reader->channel = (word & FRAME_BULK_BIT) != 0 ? FRAME_BULK : FRAME_CONTROL;
    reader->is_last = (word & FRAME_LAST_BIT) != 0;
    reader->piece_left = length;
    size_t bytes_max = reader->message_bytes_max[reader->channel];
    size_t bytes = reader->messages[reader->channel].size;
    return bytes <= bytes_max && length <= bytes_max - bytes;
}

/* Moves what it can from `input` into the header. */
static void header_fill(struct frame_reader *reader, struct crdt_bytes *input)
{
    size_t size = FRAME_HEADER_BYTES - reader->header_bytes;
    size = size < input->size ? size : input->size;
    memcpy(reader->header + reader->header_bytes, input->data, size);
    reader->header_bytes += size;
    *input = (struct crdt_bytes){(const uint8_t *)input->data + size, input->size - size};
}

/* Moves what it can from `input` into the message of the piece at hand. */
static enum crdt_status piece_fill(struct frame_reader *reader, struct crdt_bytes *input)
{
    size_t size = reader->piece_left < input->size ? reader->piece_left : input->size;
    struct crdt_buffer *message = &reader->messages[reader->channel];
    enum crdt_status status = crdt_buffer_append(message, input->data, size);
    if (status == CRDT_OK) {
        reader->piece_left -= size;
        *input = (struct crdt_bytes){(const uint8_t *)input->data + size, input->size - size};
    }
    return status;
}

enum frame_result frame_reader_next(struct frame_reader *reader, struct crdt_bytes *input,
    enum frame_channel *ret_channel, struct crdt_bytes *ret_message)
{
    if (reader->is_given) {
        buffer_release(&reader->messages[reader->channel]);
        reader->is_given = false;
    }
    while (input->size > 0) {
        if (reader->header_bytes < FRAME_HEADER_BYTES) {
            header_fill(reader, input);
            if (reader->header_bytes == FRAME_HEADER_BYTES && !header_read(reader)) {
                return FRAME_MALFORMED;
            }
            continue;
        }
        if (piece_fill(reader, input) != CRDT_OK) {
            return FRAME_NOMEM;
        }
        if (reader->piece_left > 0) {
            continue;
        }
        reader->header_bytes = 0;
        if (reader->is_last) {
            reader->is_given = true;
            *ret_channel = reader->channel;
            *ret_message = crdt_buffer_bytes(&reader->messages[reader->channel]);
            return FRAME_MESSAGE;
        }
    }
    return FRAME_MORE;
}

void frame_writer_init(struct frame_writer *writer, const struct crdt_memory *memory)
{
    *writer = (struct frame_writer){0};
    for (size_t i = 0; i < FRAME_CHANNEL_COUNT; i++) {
        crdt_buffer_init(&writer->queues[i], memory);
    }
}

void frame_writer_close(struct frame_writer *writer)
{
    for (size_t i = 0; i < FRAME_CHANNEL_COUNT; i++) {
        crdt_buffer_close(&writer->queues[i]);
    }
}

static enum crdt_status piece_append(struct crdt_buffer *queue, enum frame_channel channel,
    const uint8_t *data, size_t size, bool is_last)
{
    assert(size > 0);
    assert(size <= FRAME_PIECE_BYTES_MAX);
    uint32_t word = (uint32_t)size | (channel == FRAME_BULK ? FRAME_BULK_BIT : 0) |
        (is_last ? FRAME_LAST_BIT : 0);
    uint8_t header[FRAME_HEADER_BYTES] = {
        (uint8_t)(word >> 24), (uint8_t)(word >> 16), (uint8_t)(word >> 8), (uint8_t)word};
    enum crdt_status status = crdt_buffer_append(queue, header, sizeof header);
    if (status == CRDT_OK) {
        status = crdt_buffer_append(queue, data, size);
    }
    return status;
}

enum crdt_status frame_writer_push(
    struct frame_writer *writer, enum frame_channel channel, struct crdt_bytes message)
{
    assert(message.size > 0);
    struct crdt_buffer *queue = &writer->queues[channel];
    size_t size_before = queue->size;
    for (size_t at = 0; at < message.size;) {
        size_t left = message.size - at;
        size_t size = left < FRAME_PIECE_BYTES_MAX ? left : FRAME_PIECE_BYTES_MAX;
        const uint8_t *data = (const uint8_t *)message.data + at;
        enum crdt_status status = piece_append(queue, channel, data, size, size == left);
        if (status != CRDT_OK) {
            queue->size = size_before;
            return status;
        }
        at += size;
    }
    return CRDT_OK;
}

/* The bytes of the first piece of a queue that waits, its header included. */
static struct crdt_bytes piece_first(const struct crdt_buffer *queue, size_t pulled)
{
    const uint8_t *header = queue->data + pulled;
    size_t length = (size_t)(header[0] & 0x3f) << 24 | (size_t)header[1] << 16 |
        (size_t)header[2] << 8 | (size_t)header[3];
    assert(pulled + FRAME_HEADER_BYTES + length <= queue->size);
    return (struct crdt_bytes){header, FRAME_HEADER_BYTES + length};
}

/* Moves the waiting bytes to the front once the bytes that left outweigh them,
 * so each byte moves at most once on average. */
static void queue_compact(struct frame_writer *writer, enum frame_channel channel)
{
    struct crdt_buffer *queue = &writer->queues[channel];
    size_t pulled = writer->pulled[channel];
    if (pulled == queue->size) {
        buffer_release(queue);
        writer->pulled[channel] = 0;
    } else if (pulled > queue->size / 2) {
        memmove(queue->data, queue->data + pulled, queue->size - pulled);
        queue->size -= pulled;
        writer->pulled[channel] = 0;
    }
}

enum crdt_status frame_writer_pull(
    struct frame_writer *writer, size_t bytes_wanted, struct crdt_buffer *output)
{
    enum crdt_status status = CRDT_OK;
    for (size_t i = 0; i < FRAME_CHANNEL_COUNT && status == CRDT_OK; i++) {
        struct crdt_buffer *queue = &writer->queues[i];
        while (writer->pulled[i] < queue->size && output->size < bytes_wanted) {
            struct crdt_bytes piece = piece_first(queue, writer->pulled[i]);
            status = crdt_buffer_append(output, piece.data, piece.size);
            if (status != CRDT_OK) {
                break;
            }
            writer->pulled[i] += piece.size;
        }
        queue_compact(writer, (enum frame_channel)i);
    }
    return status;
}

size_t frame_writer_bytes(const struct frame_writer *writer, enum frame_channel channel)
{
    return writer->queues[channel].size - writer->pulled[channel];
}
