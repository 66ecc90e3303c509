/* The proof that an origin signed two histories: two headers that cannot both
 * stand in one feed, each with its signature. Pure.
 *
 * A row of tokens: when it was found in milliseconds since 1970, header and
 * signature of the history that is followed here, header and signature of the
 * other. The last two are empty where only one batch is at hand, whose deps name
 * another history of somebody's feed than the one here: that is told, and proves
 * nothing about whose. Signatures are not checked here.
 */
#ifndef GOSSIPD_WIRE_EVIDENCE_H
#define GOSSIPD_WIRE_EVIDENCE_H

#include "gossipd/wire/tips.h"

struct evidence {
    uint64_t found_ms;
    struct tip here;
    struct tip other;  /* only with `is_proof`                                      */
    bool is_proof;
};

/* True when no feed can hold both: they are of one origin, differ, and overlap,
 * or one follows the other without naming its head. */
bool evidence_contradicts(const struct crdt_batch *a, const struct crdt_batch *b);

/* The first seq at which the two differ for certain. */
uint64_t evidence_seq(const struct evidence *evidence);

/* Reads it and checks that the headers contradict. MALFORMED. What comes back
 * points into `bytes`. */
CRDT_MUST_CHECK enum crdt_status evidence_read(
    struct crdt_bytes bytes, struct evidence *ret_evidence);

/* Appends it; of a tip `batch.header` and `signature` are used. NOMEM. */
CRDT_MUST_CHECK enum crdt_status evidence_write(
    struct crdt_buffer *buffer, const struct evidence *evidence);

#endif
