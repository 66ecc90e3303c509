/* Builds a snapshot aside from what the store holds: the newest snapshot and the
 * batches behind it, and for a join a peer's staged snapshot as well. Reads
 * through a connection of its own, in short statements, so that the store's
 * thread never waits and its write-ahead log is never pinned for long. Long work:
 * for a thread of its own. Writes nothing to the store. */
#ifndef GOSSIPD_HOST_ASSEMBLY_H
#define GOSSIPD_HOST_ASSEMBLY_H

#include <stdatomic.h>

#include "gossipd/core/core.h"
#include "gossipd/host/log.h"

struct assembly_order {
    const char *path;            /* of the store                                   */
    const char *vfs;             /* NULL: unix-excl                                */
    uint64_t number;             /* of the SNAPSHOT, whose place is in the store    */
    bool is_join;
    struct crdt_bytes context;   /* a summary of what must be in the store; empty: of nothing */
    struct crdt_options options; /* of the document                                */
    struct crdt_memory memory;   /* for the rest                                   */
    uint8_t cluster_id[CRDT_HASH_BYTES];
    int fd;                      /* an empty file: the snapshot is written there    */
    const atomic_bool *is_given_up; /* true: end soon, without a result            */
};

struct assembly {
    struct crdt_memory memory;
    struct crdt_document *document; /* a join's; else NULL                          */
    struct core_snapshot snapshot;  /* without `parts`                              */
    struct crdt_buffer tips;        /* what `snapshot` points to                    */
    struct crdt_dot *raised;        /* a join: what it brought, feed by feed        */
    size_t raised_count;
    size_t raised_capacity;
    bool is_refused;                /* a join: there is none because of what is staged */
    uint64_t batches;               /* that were merged                             */
};

/* False: `failure` says why, `is_refused` is told, and there is nothing to close. */
bool assembly_build(const struct assembly_order *order, struct assembly *ret_assembly,
    struct failure *failure);
/* Frees what is left in it, the document too. Accepts one that is all zeros. */
void assembly_close(struct assembly *assembly);

#endif
