/* What the core hands to the store, and what a FETCH brings back. */
#ifndef GOSSIPD_HOST_ROW_H
#define GOSSIPD_HOST_ROW_H

#include "gossipd/core/core.h"

/* One STORE or STORE_MARK on its way to the disk. One block of memory. */
struct row {
    struct row *next;
    uint64_t number;          /* the core's                                     */
    uint64_t snapshot;        /* not 0: no batch, but where this snapshot stands,
                               * behind STORE `number`                           */
    bool is_mark;
    bool is_evidence;         /* a mark: evidence of a fork, or none, in `batch`    */
    enum core_mark mark;
    uint64_t value;           /* of the mark                                    */
    enum core_durability durability; /* what STORED(number) has to mean         */
    struct crdt_origin origin;
    uint64_t first_seq;
    uint64_t last_seq;
    uint64_t wall_ms;
    uint8_t previous[CRDT_HASH_BYTES];
    uint8_t head[CRDT_HASH_BYTES];
    uint8_t signature[CORE_SIGNATURE_BYTES];
    size_t batch_bytes;
    uint8_t batch[];
};

/* Copies the output; NULL when memory is out. */
struct row *row_new(const struct crdt_memory *memory, const struct core_output *output,
    enum core_durability durability);
void row_free(const struct crdt_memory *memory, struct row *row);
size_t row_bytes(const struct row *row);

/* The batches of one feed that answer a FETCH: `rows` point into `bytes`. */
struct fetched {
    struct fetched *next;
    uint64_t id;
    bool is_ok;               /* false: the rows are gone                       */
    uint64_t seq_behind;      /* without rows: where the next one begins, 0: none */
    struct crdt_memory memory;
    struct crdt_buffer bytes;
    struct core_row *rows;
    size_t row_count;
    size_t row_capacity;
};

struct fetched *fetched_new(const struct crdt_memory *memory, uint64_t id);
void fetched_free(struct fetched *fetched);
/* Copies a batch behind the others. False: memory is out, nothing was added. */
bool fetched_add(struct fetched *fetched, struct crdt_bytes batch,
    const uint8_t signature[static CORE_SIGNATURE_BYTES]);
/* Lets `rows` point into `bytes`, which no longer moves. */
void fetched_finish(struct fetched *fetched);

#endif
