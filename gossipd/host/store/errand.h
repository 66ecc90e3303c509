/* What the loop sends the store's thread for, beside rows: one question or small
 * change, and the answer to it. */
#ifndef GOSSIPD_HOST_ERRAND_H
#define GOSSIPD_HOST_ERRAND_H

#include "gossipd/host/store/database.h"

struct errand {
    struct errand *next;
    struct crdt_memory memory;
    enum core_output_kind kind;    /* FETCH, DROP, FETCH_PART, STAGE or UNSTAGE     */
    uint64_t id;
    uint64_t after;                /* rows appended before it: it has to see them   */
    struct crdt_dot from;          /* FETCH                                         */
    size_t bytes_max;              /* FETCH                                         */
    uint64_t part;                 /* FETCH_PART, STAGE                             */
    struct core_snapshot snapshot; /* STAGE; FETCH_PART: its hash                   */
    struct crdt_buffer tips;       /* what `snapshot` points to                     */
    struct core_drop drop;         /* DROP                                          */
    struct crdt_buffer bytes;      /* STAGE; the answer of FETCH_PART and DROP      */
    /* The answer. */
    bool is_ok;
    bool has_more;                 /* DROP                                          */
    uint64_t size;                 /* DROP: bytes of batches that are left          */
    struct fetched *fetched;       /* FETCH                                         */
    struct failure reason;
};

/* Copies what the output says; NULL when memory is out. */
struct errand *errand_new(const struct crdt_memory *memory, const struct core_output *output);
/* Accepts NULL. */
void errand_free(struct errand *errand);

/* Errands that wait for the rows before them. One thread at a time. */
struct errand_queue {
    struct errand *first;
    struct errand **end;
};
void errand_queue_init(struct errand_queue *queue);
void errand_queue_add(struct errand_queue *queue, struct errand *errand, uint64_t after);
/* Takes those that wait for no more than `taken` rows, in order. */
struct errand *errand_queue_take(struct errand_queue *queue, uint64_t taken);

/* Does it. FSYNC_FAILED: what the disk holds is unknown. Other failures are part
 * of the answer. */
enum database_result errand_do(struct errand *errand, struct database *database);

/* The answer as an input, which borrows from the errand. False: there is none. */
bool errand_input(const struct errand *errand, struct core_input *ret_input);

#endif
