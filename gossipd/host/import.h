/* Brings a snapshot from a file into the store, a part at a time, so that rows
 * never wait long. The file has no name: only its descriptor is known. */
#ifndef GOSSIPD_HOST_IMPORT_H
#define GOSSIPD_HOST_IMPORT_H

#include "gossipd/host/database.h"

struct import;

/* Owns `fd` from then on, also when it returns NULL for lack of memory. */
struct import *import_new(
    const struct crdt_memory *memory, uint64_t number, int fd, uint64_t bytes);
/* Accepts NULL. */
void import_free(struct import *import);

enum import_result {
    IMPORT_MORE,
    IMPORT_DONE,         /* the snapshot is durable, what it replaced is gone       */
    IMPORT_FAILED,       /* the store is as it was, but for parts nobody reads      */
    IMPORT_FSYNC_FAILED, /* what the disk holds is unknown: end the process         */
};
enum import_result import_step(
    struct import *import, struct database *database, struct failure *failure);

uint64_t import_number(const struct import *import);
uint64_t import_bytes(const struct import *import);

#endif
