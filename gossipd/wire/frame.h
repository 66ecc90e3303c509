/* Frames: a byte stream between two nodes becomes whole messages and back.
 *
 * A message travels as pieces, so that control messages (heartbeats, requests)
 * pass between the pieces of a large bulk one (batches). A piece is a 4-byte
 * big-endian word and its bytes: bit 31 says bulk, bit 30 says last piece of
 * its message, the rest is the length, 1 to FRAME_PIECE_BYTES_MAX. Knows
 * nothing of what messages mean and does no I/O.
 */
#ifndef GOSSIPD_WIRE_FRAME_H
#define GOSSIPD_WIRE_FRAME_H

#include <crdt.h>

enum frame_channel { FRAME_CONTROL, FRAME_BULK };
#define FRAME_CHANNEL_COUNT 2
#define FRAME_HEADER_BYTES 4

/* Puts the pieces of each channel together again. */
struct frame_reader {
    struct crdt_buffer messages[FRAME_CHANNEL_COUNT]; /* pieces that have come  */
    size_t message_bytes_max[FRAME_CHANNEL_COUNT];    /* 0: channel not allowed */
    uint8_t header[FRAME_HEADER_BYTES];
    size_t header_bytes;           /* of `header` that have come                */
    size_t piece_left;             /* bytes of the piece at hand still to come  */
    enum frame_channel channel;    /* of the piece at hand                      */
    bool is_last;                  /* the piece at hand ends its message        */
    bool is_given;                 /* the message on `channel` was given out    */
};

enum frame_result {
    FRAME_MESSAGE,   /* a message is given; it lives until the next call        */
    FRAME_MORE,      /* the input is used up                                    */
    FRAME_MALFORMED, /* close the connection                                    */
    FRAME_NOMEM,
};

/* Both channels get FRAME_CONTROL_BYTES_MAX and FRAME_BULK_BYTES_MAX; the fields
 * `message_bytes_max` may be lowered, as during a handshake. */
void frame_reader_init(struct frame_reader *reader, const struct crdt_memory *memory);
void frame_reader_close(struct frame_reader *reader);

/* Takes bytes from the front of `input` until a message is whole. Memory grows
 * with the bytes that arrive, never with a length that was only claimed. */
enum frame_result frame_reader_next(struct frame_reader *reader, struct crdt_bytes *input,
    enum frame_channel *ret_channel, struct crdt_bytes *ret_message);

/* Messages that wait to be sent, cut into pieces already. */
struct frame_writer {
    struct crdt_buffer queues[FRAME_CHANNEL_COUNT];
    size_t pulled[FRAME_CHANNEL_COUNT]; /* bytes at the front that have left    */
};

void frame_writer_init(struct frame_writer *writer, const struct crdt_memory *memory);
void frame_writer_close(struct frame_writer *writer);

/* Queues a message of at least one byte. NOMEM leaves the queue as it was. */
CRDT_MUST_CHECK enum crdt_status frame_writer_push(
    struct frame_writer *writer, enum frame_channel channel, struct crdt_bytes message);

/* Moves whole pieces to `output` until it holds `bytes_wanted` or nothing is
 * left: all of control first, then bulk. */
CRDT_MUST_CHECK enum crdt_status frame_writer_pull(
    struct frame_writer *writer, size_t bytes_wanted, struct crdt_buffer *output);

/* Bytes that wait on a channel, headers included. */
size_t frame_writer_bytes(const struct frame_writer *writer, enum frame_channel channel);

#endif
