/* Rows that wait for the store's thread, and how many of them share one
 * transaction. One thread at a time. */
#ifndef GOSSIPD_HOST_GROUP_H
#define GOSSIPD_HOST_GROUP_H

#include "gossipd/host/store/row.h"

struct row_queue {
    struct row *rows;  /* waiting to be written                                    */
    struct row **end;
    size_t bytes;      /* waiting or being written                                 */
    uint64_t added;    /* rows, since the start                                    */
    uint64_t taken;    /* of these; what waits for the newest row waits until it is
                        * among them                                               */
};

/* Rows that go into one transaction. */
struct group {
    struct row *rows;
    size_t count;
    size_t bytes;
    bool is_synced;
    enum core_durability durability_last;
    uint64_t first;
    uint64_t last;
    uint64_t snapshot; /* whose place is in it; 0: none                            */
};

void row_queue_init(struct row_queue *queue);
void row_queue_add(struct row_queue *queue, struct row *row);
/* Takes the rows of the next transaction; `count` 0: nothing waits. Their bytes
 * stay counted until the caller subtracts them. */
struct group row_queue_take(struct row_queue *queue);
/* Takes all that waits, no longer counted. */
struct row *row_queue_clear(struct row_queue *queue);

/* Frees a list of rows. */
void rows_free(const struct crdt_memory *memory, struct row *rows);

#endif
