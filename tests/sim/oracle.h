/* The oracle: the state S as semantics.md defines it, computed from the bytes of
 * batches by the shortest code that can be right, one node at a time. It shares
 * nothing with libcrdt/document: a list of live entries, looked through whole.
 *
 * S is a function of a set of operations, so each node's oracle goes on from
 * where it was; it is begun anew at each start. */
#ifndef TESTS_SIM_ORACLE_H
#define TESTS_SIM_ORACLE_H

#include "tests/sim/records.h"

struct simulator;

struct oracle_entry {
    struct place place;
    enum crdt_type type;
    size_t origin;
    uint64_t seq;
    uint64_t version;
    int64_t amount;
    uint64_t hlc;
    uint64_t value;
    uint64_t number;    /* stands for all of the above                            */
};

struct oracle {
    struct vector applied;
    struct oracle_entry *entries;
    size_t count;
    size_t capacity;
    uint64_t sum;           /* of the numbers                                     */
    uint64_t compared_step; /* of the run: when a long history was last compared */
};

/* Compares S of a node with what its batches mean. False, and nothing done, while a
 * batch is open or one that nobody has stored yet is applied. `is_due`: however long
 * the history, however lately it was compared. */
bool oracle_compare(struct simulator *sim, size_t node, bool is_due);
/* The operations of a known batch, read when they are first asked for; NULL after
 * a failure. */
const struct records *oracle_records(
    struct simulator *sim, struct known_origin *origin, struct known_batch *batch);
/* The node starts from its store. */
void oracle_reset(struct oracle *oracle);
void oracle_close(struct oracle *oracle);

#endif
