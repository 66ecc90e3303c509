/* The part of a verification that looks at the newest snapshot and the floor.
 * See verify.h. */
#ifndef GOSSIPD_HOST_VERIFY_SNAPSHOT_H
#define GOSSIPD_HOST_VERIFY_SNAPSHOT_H

#include "gossipd/host/store/database_snapshot.h"
#include "gossipd/host/store/tips_table.h"
#include "gossipd/host/store/verify.h"

/* What the store says of what is no longer in its batches. */
struct verify_base {
    bool has_snapshot;
    struct database_snapshot snapshot;
    struct crdt_buffer bytes;  /* of the snapshot                                   */
    struct tips_table tips;    /* of the snapshot                                   */
    struct crdt_dot *floors;   /* sorted by origin                                  */
    size_t floor_count;
    size_t floor_capacity;
    bool is_memory_out;        /* an allocation for one of these was refused        */
};

/* Reads them; every text in `failure` is one for people. `ret_base` stays where it is
 * until it is closed. */
enum verify_result verify_base_read(
    sqlite3 *handle, struct verify_base *ret_base, struct failure *failure);
void verify_base_close(struct verify_base *base);

uint64_t verify_base_floor(const struct verify_base *base, const struct crdt_origin *origin);

/* Checks the snapshot against its own hash, its tips against their signatures and
 * its feeds, and that it has all that was dropped. `ret_document` is what it
 * holds. */
enum verify_result verify_base_check(const struct verify_base *base,
    const struct crdt_options *options, const uint8_t cluster_id[static CRDT_HASH_BYTES],
    struct crdt_document **ret_document, struct failure *failure);

/* Whether the document, made of all batches up to the snapshot's place, has the
 * bytes of the snapshot. */
enum verify_result verify_base_compare(const struct verify_base *base,
    struct crdt_document *document, struct failure *failure);

#endif
