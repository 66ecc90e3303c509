/* Tips of feeds with the signatures that prove them: what a snapshot claims to
 * hold, feed by feed, in the words of the origins themselves. Pure.
 *
 * A row of tokens: the number of tips, then for each, sorted by origin without
 * duplicates: key, generation, seq, head, signature. The signature is that of the
 * batch that ends at seq, over its head; checking it is not done here.
 */
#ifndef GOSSIPD_WIRE_TIPS_H
#define GOSSIPD_WIRE_TIPS_H

#include <crdt.h>

#include "gossipd/wire/message.h"

struct tip {
    struct crdt_origin origin;
    uint64_t seq;                                /* 1 or more                      */
    uint8_t head[CRDT_HASH_BYTES];
    uint8_t signature[MESSAGE_SIGNATURE_BYTES];
};

/* Checks the whole row, so that tips_next() cannot fail on it. MALFORMED. */
CRDT_MUST_CHECK enum crdt_status tips_check(struct crdt_bytes tips, size_t *ret_count);

/* Walks a row that was checked: `rest` begins as the row; false at its end. */
struct tips_walk {
    struct crdt_bytes rest;
    uint64_t left;
};
struct tips_walk tips_begin(struct crdt_bytes tips);
bool tips_next(struct tips_walk *walk, struct tip *ret_tip);

/* Appends a row made of `tips`, sorted by origin, without duplicates. NOMEM. */
CRDT_MUST_CHECK enum crdt_status tips_write(
    struct crdt_buffer *buffer, const struct tip *tips, size_t count);

#endif
