/* A history: operations, each with its author and with what the author had
 * applied when it executed. Nothing else decides any replica's state, so this,
 * not a schedule, is what is enumerated.
 *
 * Operations are numbered so that whatever one has seen comes before it. A set
 * of operations is a mask of these numbers. A set is *closed* when it holds all
 * that its operations have seen: exactly the closed sets are the contexts that a
 * replica can have. */
#ifndef EXHAUSTIVE_HISTORY_H
#define EXHAUSTIVE_HISTORY_H

#include "tests/exhaustive/alphabet.h"

#define REPLICAS 3u
#define OPS_MAX  5u
#define SETS_MAX (1u << OPS_MAX)

/* What is claimed of every history; the order is that of the report. */
enum history_claim {
    CLAIM_EXECUTE,
    CLAIM_ORACLE,
    CLAIM_DELIVER,
    CLAIM_WAIT,
    CLAIM_JOIN,
    CLAIM_SERVE,
};
#define CLAIM_COUNT 6u
const char *history_claim_text(enum history_claim claim);

struct history_op {
    unsigned author;
    uint64_t seq;
    unsigned seen;  /* closed set; all of the author's earlier ones are in it      */
    unsigned level; /* length of the longest chain below it: its clock's time      */
    unsigned letter;
    struct crdt_buffer batch;
};

/* What every replica must be whose context is one closed set. */
struct history_state {
    struct crdt_buffer snapshot;
    struct crdt_buffer summary;
    struct crdt_digest digest;
};

struct history_counts {
    uint64_t histories;
    uint64_t clusters; /* states of three replicas: a closed set each             */
    uint64_t replicas; /* distinct (history, order of feeds, log) of one replica  */
    uint64_t places;   /* context, order of feeds and log, walked through */
    uint64_t executions;
    uint64_t merges; /* of batches and deltas                                   */
    uint64_t joins;  /* merges of a snapshot                                    */
    uint64_t collections;
    uint64_t deltas;              /* asked for: served or refused                            */
    uint64_t comparisons;         /* of snapshot and digest                                  */
    uint64_t claims[CLAIM_COUNT]; /* how often each was put to the test              */
};

struct history {
    struct history_op ops[OPS_MAX];
    unsigned count;
    uint8_t keys[REPLICAS];     /* of the replicas: who is greater than whom             */
    struct oracle oracle;       /* has an operation for each of `ops` that has a letter  */
    struct oracle_entries live; /* scratch                                           */
    struct history_state states[SETS_MAX];
    struct history_counts counts;
    /* What is being tried, for whoever reads of a failure. */
    enum history_claim claim;
    const char *step;
    const char *copy;
    unsigned from, with;
};

void history_init(struct history *history);
void history_close(struct history *history);
/* Names the replicas' origins anew: keys[i] is the key of replica i. */
void history_name(struct history *history, const uint8_t keys[REPLICAS]);
struct crdt_origin history_origin(const struct history *history, unsigned replica);

unsigned history_all(const struct history *history);
bool history_is_closed(const struct history *history, unsigned set);
/* The operations of `set` that no other one of it has seen. */
unsigned history_newest(const struct history *history, unsigned set);
/* The greatest closed set within `set`. */
unsigned history_closure(const struct history *history, unsigned set);
unsigned history_of(const struct history *history, unsigned replica);
struct oracle_context history_context(const struct history *history, unsigned set);
uint64_t history_now_ms(const struct history_op *op);

/* Prints the history, what was tried and `what` was wrong; ends the process. */
_Noreturn void history_broken(const struct history *history, const char *what);
void history_print(const struct history *history);

#endif
