/* Messages between cores: bytes <-> structs, pure.
 *
 * A message is a row of tokens of libcrdt's codec; the first one is its kind.
 * Framing, pieces and the proof of who speaks are below (frame, handshake);
 * what a message means is above (core). Everything read here is hostile.
 */
#ifndef GOSSIPD_WIRE_MESSAGE_H
#define GOSSIPD_WIRE_MESSAGE_H

#include <crdt.h>

#include "gossipd/limits.h"

#define MESSAGE_SIGNATURE_BYTES 64

enum message_kind {
    MESSAGE_COMPARE = 1, /* what I hold, in two hashes; also the heartbeat          */
    MESSAGE_SUMMARY = 2, /* what I have applied, feed by feed                       */
    MESSAGE_BATCH = 3,   /* a batch as its origin signed it                         */
    MESSAGE_ACK = 4,     /* what is durable here, feed by feed                      */
    MESSAGE_OFFER = 5,   /* what you lack was dropped here: take this snapshot instead */
    MESSAGE_ASK = 6,     /* for one part of it                                      */
    MESSAGE_PART = 7,    /* the part, or word that the snapshot is gone             */
    MESSAGE_HEADS = 8,   /* signed headers that may prove a fork; 5 to 7 are taken   */
};

struct message_compare {
    uint8_t context[CRDT_HASH_BYTES];
    uint8_t heads[CRDT_HASH_BYTES];
    bool is_durable; /* all that the hashes stand for survives a crash here        */
    bool has_state;  /* `state` is given, now and then: proof of an equal state    */
    uint8_t state[CRDT_HASH_BYTES];
    uint64_t probe;  /* a number that a summary given in answer repeats             */
};

struct message_summary {
    bool is_reply; /* sent because of a summary: wants none back                    */
    uint64_t probe; /* newest one after which nothing received is unhandled; 0: none */
    struct crdt_bytes summary;
    struct crdt_bytes held; /* likewise a summary: feeds that reach further here, but
                             * wait for batches of others                           */
};

struct message_batch {
    uint8_t signature[MESSAGE_SIGNATURE_BYTES];
    struct crdt_bytes batch;
};

struct message_ack {
    struct crdt_bytes summary;
};

struct message_offer {
    uint8_t hash[CRDT_HASH_BYTES]; /* of the snapshot: names it                     */
    uint64_t bytes;                /* 1 or more                                     */
    uint64_t parts;                /* 1 .. bytes                                    */
    struct crdt_bytes tips;        /* what is in it, with proof: tips.h             */
};

struct message_ask {
    uint8_t hash[CRDT_HASH_BYTES];
    uint64_t part;
};

struct message_part {
    uint8_t hash[CRDT_HASH_BYTES];
    uint64_t part;
    bool is_gone;                  /* then `bytes` is empty; else it is not         */
    struct crdt_bytes bytes;
};

struct message_heads {
    struct crdt_bytes tips; /* tips.h: not checked by message_read()               */
};

struct message {
    enum message_kind kind;
    union {
        struct message_compare compare;
        struct message_summary summary;
        struct message_batch batch;
        struct message_ack ack;
        struct message_offer offer;
        struct message_ask ask;
        struct message_part part;
        struct message_heads heads;
    } as;
};

/* Reads one whole message. Bytes inside it point into `bytes`. MALFORMED on
 * anything unexpected, bytes after the message included. */
CRDT_MUST_CHECK enum crdt_status message_read(
    struct crdt_bytes bytes, struct message *ret_message);

/* Appends one message; NOMEM leaves the buffer as it was. */
CRDT_MUST_CHECK enum crdt_status message_write(
    struct crdt_buffer *buffer, const struct message *message);

#endif
