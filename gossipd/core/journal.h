/* What is to become durable, in the order of application: batches and marks on
 * their way into the store. Numbers the STOREs, knows what is durable, and when
 * the store fails keeps all that did not happen, first in line for the next try.
 *
 *     WORKING --STORE_FAILED--> FAILED --retry--> TRYING --STORED--> WORKING
 *                                 ^--STORE_FAILED----'
 *
 * Knows nothing of links and clients. */
#ifndef GOSSIPD_CORE_JOURNAL_H
#define GOSSIPD_CORE_JOURNAL_H

#include "gossipd/core/held.h"
#include "gossipd/core/outputs.h"
#include "gossipd/core/vector.h"

enum journal_state { JOURNAL_WORKING, JOURNAL_FAILED, JOURNAL_TRYING };

struct journal {
    const struct crdt_memory *memory;
    struct held *first;
    struct held *last;
    struct held *waiting;     /* the first that is not put out; all after it neither */
    size_t bytes;             /* of the batches in it                               */
    uint64_t newest_number;   /* of a STORE                                         */
    uint64_t newest_ordinal;  /* of an own batch closed                             */
    uint64_t durable_ordinal; /* own batches up to it are durable                   */
    size_t own_count;         /* own batches in it                                  */
    enum journal_state state;
    uint64_t retry_us;        /* FAILED: when to try again                          */
    struct vector durable;    /* per origin                                         */
};

void journal_init(struct journal *journal, const struct crdt_memory *memory);
void journal_close(struct journal *journal);

/* Makes sure that a batch of `origin` can become durable without memory. */
CRDT_MUST_CHECK enum crdt_status journal_reserve(
    struct journal *journal, const struct crdt_origin *origin);

/* Takes a batch or a mark over, as the last in line. An own batch has been
 * given its ordinal: newest_ordinal + 1. */
void journal_append(struct journal *journal, struct held *held);

/* Puts out what has not been: nothing while the store is known to fail. */
void journal_put_out(struct journal *journal, struct outputs *outputs);

/* Begins the next try of a store that failed: puts out all that is kept. What
 * comes during the try waits for its end. */
void journal_retry(struct journal *journal, struct outputs *outputs);

/* Takes the first item out when it is durable by STORED(number), else NULL. The
 * caller frees it. */
struct held *journal_take_stored(struct journal *journal, uint64_t number);

/* The STOREs from `number` on did not happen. */
void journal_fail(struct journal *journal, uint64_t number, uint64_t now_us);

#endif
