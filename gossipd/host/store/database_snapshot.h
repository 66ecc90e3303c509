/* Snapshots in the store: a row that says which place each stands for, and its
 * bytes in parts. One is whole once its row says how many bytes it has; what is
 * not whole is never read and goes away at the next start, or before the next one begins.
 *
 * For database.c and whoever has its connection; each call but the reads stands
 * inside a transaction of the caller. */
#ifndef GOSSIPD_HOST_DATABASE_SNAPSHOT_H
#define GOSSIPD_HOST_DATABASE_SNAPSHOT_H

#include "gossipd/core/core.h"
#include "gossipd/host/log.h"
#include "gossipd/host/store/sql.h"

/* Makes the tables if they are missing, and forgets what is not whole, as far as the
 * disk has room for that. */
bool database_snapshot_open(sqlite3 *handle);

/* Notes that a snapshot is made of what the store holds up to `place`, with
 * `log_bytes` of batches. `number` is the core's, not used twice between two
 * starts. */
bool database_snapshot_begin(
    sqlite3 *handle, uint64_t number, int64_t place, uint64_t log_bytes);
/* The place of one that is not whole yet. */
bool database_snapshot_place(sqlite3 *handle, uint64_t number, int64_t *ret_place);

/* Appends a part, the first is 0. False with `ret_has_place` false when
 * database_snapshot_begin() did not happen: its transaction failed. */
bool database_snapshot_add(sqlite3 *handle, uint64_t number, uint64_t part, const void *data,
    size_t size, bool *ret_has_place);

/* Declares it whole, as `snapshot` describes it, and every older one void. */
bool database_snapshot_finish(
    sqlite3 *handle, uint64_t number, const struct core_snapshot *snapshot);

/* Deletes one part that belongs to no snapshot and to nothing staged;
 * `ret_has_more` when there was one. */
bool database_snapshot_sweep(sqlite3 *handle, bool *ret_has_more);

/* The newest whole one, and the place of the last batch in it. */
struct database_snapshot {
    int64_t id;
    int64_t place;
    uint64_t bytes;
    uint64_t parts;
    uint64_t log_bytes; /* of the batches up to its place that are still there      */
    uint8_t hash[CRDT_HASH_BYTES];
};
enum sql_answer database_snapshot_newest(
    sqlite3 *handle, struct database_snapshot *ret_snapshot);
/* Appends its bytes, or its tips. False: some are missing, or memory is out;
 * `failure` says. */
bool database_snapshot_read(sqlite3 *handle, const struct database_snapshot *snapshot,
    struct crdt_buffer *ret_bytes, struct failure *failure);
bool database_snapshot_tips(sqlite3 *handle, const struct database_snapshot *snapshot,
    struct crdt_buffer *ret_tips, struct failure *failure);

/* Appends one part of the whole snapshot of this name. False: it is gone. */
bool database_snapshot_part(sqlite3 *handle, const uint8_t hash[static CRDT_HASH_BYTES],
    uint64_t part, struct crdt_buffer *ret_bytes);

/* Appends all parts under a number, which must have `bytes` together. */
bool database_parts_read(sqlite3 *handle, int64_t id, uint64_t bytes,
    struct crdt_buffer *ret_bytes, struct failure *failure);

#endif
