/* The operations of a batch, read a second time: from the bytes, by the words of
 * docs/wire-format.md, with nothing of libcrdt but its tokens. */
#ifndef TESTS_SIM_RECORDS_H
#define TESTS_SIM_RECORDS_H

#include "tests/sim/registry.h"

#define RECORD_DEPTH_MAX 8 /* what simulated clients say is at most 6 deep */

/* Codes of docs/wire-format.md that are more than a type. */
enum record_code {
    RECORD_PUT_REGISTER = 1,
    RECORD_PUT_ELEMENT = 2,
    RECORD_PUT_FLAG = 3,
    RECORD_ADD_COUNTER = 4,
    RECORD_ADD_GCOUNTER = 5,
    RECORD_FOLD_COUNTER = 6,
    RECORD_FOLD_GCOUNTER = 7,
    RECORD_KILL_ANY = 8,
    RECORD_KILL_MAP = 14,
    RECORD_KILL_ELEMENT = 15,
    RECORD_NOTE = 16,
    RECORD_MARK = 17,
};

/* Where something lives: hashes of the first 0, 1, 2 ... keys. */
struct place {
    uint64_t prefixes[RECORD_DEPTH_MAX + 1];
    size_t depth;      /* the element of a set not counted                      */
    uint64_t element;  /* its hash; 0: none                                     */
};

struct record {
    unsigned code;
    size_t segment;    /* which of the batch's observed vectors is its own      */
    struct place place;
    int64_t amount;
    uint64_t hlc;
    uint64_t value;    /* hash of a register's                                  */
    uint64_t fold_from; /* of a FOLD: where its run begins                      */
    uint64_t fold_seq; /* h of a FOLD                                           */
    unsigned away;     /* of a FOLD: nodes it need not wait for, as bits        */
};

/* A batch as its operations. `observed` does not cover the author's own feed. */
struct records {
    struct record *items;
    size_t count;
    struct vector *observed;
    size_t observed_count;
    uint8_t list[ORIGIN_COUNT_MAX]; /* origins this feed depends on, in its order */
    size_t list_count;
};

/* Reads a batch; `before` is the one before it in its feed, or NULL. NULL with
 * `ret_problem` set when the bytes are not what the format says. */
struct records *records_read(struct registry *registry, struct crdt_bytes bytes,
    const struct records *before, const char **ret_problem);
void records_free(struct records *records);

/* Hashes of what a place is made of: not secret, no adversary chooses keys here. */
uint64_t record_hash(struct crdt_bytes bytes);
uint64_t record_mix(uint64_t a, uint64_t b);
/* The type of what a PUT, ADD or FOLD is about, or that a KILL is limited to. */
enum crdt_type record_type(unsigned code);

#endif
