/* A Redis string at a path, which is two leaves: a register, the base, and a
 * counter, the contributions of INCR. Hash fields are the same. */
#ifndef GOSSIPD_CORE_COMMANDS_VALUE_H
#define GOSSIPD_CORE_COMMANDS_VALUE_H

#include "gossipd/core/commands/call.h"

/* What GET prints: `bytes` points into the document or into `text`. */
struct value {
    struct crdt_bytes bytes;
    char text[CRDT_SUM_TEXT_BYTES];
};

/* Reads base + contributions; beside a base that is no integer, contributions
 * stay live but unread. False when no string lives there. */
bool value_read(const struct call *call, struct crdt_path path, struct value *ret_value);

/* Replies the value, or nil. */
CRDT_MUST_CHECK enum crdt_status value_reply(struct call *call, struct crdt_path path);

/* Makes `bytes` the only thing at the path: what is observed there of other
 * types and of contributions is removed in the same transaction. */
CRDT_MUST_CHECK enum crdt_status value_assign(
    struct call *call, struct crdt_path path, struct crdt_bytes bytes);

/* INCRBY: adds a contribution and replies the sum, or replies why not:
 * `not_integer` when the base is none, Redis's overflow error when the result
 * is outside int64, WRONGTYPE. */
CRDT_MUST_CHECK enum crdt_status value_increment(
    struct call *call, struct crdt_path path, int64_t amount, const char *not_integer);

#endif
