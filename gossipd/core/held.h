/* A batch that the core holds on to, from the moment it is received or closed
 * until it is durable. It moves between the rooms (being verified, pending,
 * journal) without being copied: whoever has it in a list owns it. */
#ifndef GOSSIPD_CORE_HELD_H
#define GOSSIPD_CORE_HELD_H

#include "gossipd/core/core.h"

struct held {
    struct held *next;
    struct crdt_batch batch;  /* its bytes point into `data`                        */
    uint8_t signature[CORE_SIGNATURE_BYTES];
    uint8_t *data;            /* owned                                              */
    size_t capacity;          /* of `data`                                          */
    uint64_t link;            /* that brought it; 0: made here                      */
    uint64_t peers;           /* that stand for it: a bit for each, by index        */
    uint64_t verify_id;       /* while its signature is being checked               */
    uint64_t number;          /* of its STORE; 0: not put out                       */
    uint64_t ordinal;         /* own batches: 1, 2, 3 ...; 0: somebody else's       */
    uint64_t wall_ms;         /* when it was applied here                           */
    bool may_go_early;        /* own: may be sent before it is durable              */
    bool is_sent;             /* own: has been offered to the links                 */
    bool is_joined;           /* merged into the document that a join brought, too  */
    bool is_mark;             /* no batch, but a mark for the store:                */
    bool is_evidence;         /* a mark: evidence of a fork in its bytes            */
    bool is_vouched;          /* of a frozen origin, and let in                     */
    bool is_header;           /* no batch, but its header alone                     */
    enum core_mark mark;
    uint64_t value;

    /* While it waits for what has not come: */
    struct crdt_dot missing;  /* the first such operation; seq 0: not known         */
    uint64_t tried;           /* vouching as things stood then was in vain; 0: not tried */
    bool is_reached;          /* scratch of vouch.c                                 */
};

/* Room for a batch of `capacity` bytes, or NULL. */
struct held *held_new(const struct crdt_memory *memory, size_t capacity);
/* Accepts NULL. */
void held_free(const struct crdt_memory *memory, struct held *held);

/* The bytes that it takes to hold one: of a small batch much more than its own. */
size_t held_cost(const struct held *held);

/* Takes a copy of a batch as crdt_batch_read() gave it; it must fit. */
void held_fill(struct held *held, const struct crdt_batch *batch);

#endif
