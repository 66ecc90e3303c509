/* Tips of feeds with the signatures that prove them: what a snapshot claims to
 * hold, feed by feed, in the words of the origins themselves. Pure.
 *
 * A row of tokens: the number of tips, then for each, sorted by origin without
 * duplicates: the header of the feed's newest batch, as in the batch, and the
 * signature of that batch, over the hash of the header. So a tip proves, once its
 * signature is checked, which origin signed which seq. Checking it is not done here.
 */
#ifndef GOSSIPD_WIRE_TIPS_H
#define GOSSIPD_WIRE_TIPS_H

#include <crdt.h>

#include "gossipd/wire/message.h"

struct tip {
    struct crdt_batch batch;  /* read from the header: origin, last_seq, head       */
    uint8_t signature[MESSAGE_SIGNATURE_BYTES];
};

/* Checks the whole row, so that tips_next() cannot fail on it. MALFORMED. */
CRDT_MUST_CHECK enum crdt_status tips_check(struct crdt_bytes tips, size_t *ret_count);

/* Walks a row that was checked, or no bytes at all: nothing; false at its end. */
struct tips_walk {
    struct crdt_bytes rest;
    uint64_t left;
};
struct tips_walk tips_begin(struct crdt_bytes tips);
bool tips_next(struct tips_walk *walk, struct tip *ret_tip);

/* Appends a row made of `tips`, sorted by origin, without duplicates; of a tip
 * `batch.header` and `signature` are used. NOMEM. */
CRDT_MUST_CHECK enum crdt_status tips_write(
    struct crdt_buffer *buffer, const struct tip *tips, size_t count);

#endif
