/* Brings a snapshot from a file into the store, a part at a time, so that rows
 * never wait long. The file has no name: only its descriptor is known.
 *
 * What makes it whole is one durable transaction, once all that was read is known to
 * have the snapshot's hash. For a join that also raises the floor to what the peer's
 * snapshot brought. */
#ifndef GOSSIPD_HOST_IMPORT_H
#define GOSSIPD_HOST_IMPORT_H

#include "gossipd/host/store/database.h"

struct import;

struct import_order {
    uint64_t number;               /* of the SNAPSHOT                              */
    struct core_snapshot snapshot; /* `parts` is found here                        */
    const struct crdt_dot *raised; /* a join: floors that rise                     */
    size_t raised_count;
};

/* So many parts have `bytes`. */
uint64_t import_parts(uint64_t bytes);

/* Copies the order. Owns `fd` from then on, also when it returns NULL for lack of
 * memory. */
struct import *import_new(
    const struct crdt_memory *memory, const struct import_order *order, int fd);
/* Accepts NULL. */
void import_free(struct import *import);

enum import_result {
    IMPORT_MORE,
    IMPORT_DONE,         /* the snapshot is durable                                 */
    IMPORT_FAILED,       /* the store is as it was, but for parts nobody reads      */
    IMPORT_FSYNC_FAILED, /* what the disk holds is unknown: end the process         */
};
enum import_result import_step(
    struct import *import, struct database *database, struct failure *failure);

uint64_t import_number(const struct import *import);

#endif
