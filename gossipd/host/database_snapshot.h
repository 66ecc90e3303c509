/* Snapshots in the store: a row that says which place each stands for, and its
 * bytes in parts. One is whole once its row says how many bytes it has; what is
 * not whole is never read and goes away at the next start.
 *
 * For database.c and whoever has its connection; each call but the reads stands
 * inside a transaction of the caller. */
#ifndef GOSSIPD_HOST_DATABASE_SNAPSHOT_H
#define GOSSIPD_HOST_DATABASE_SNAPSHOT_H

#include "gossipd/host/log.h"

#include <crdt.h>
#include <sqlite3.h>

/* Makes the tables if they are missing, and forgets what is not whole. */
bool database_snapshot_open(sqlite3 *handle);

/* Notes that a snapshot is made of what the store holds now. `number` is the
 * core's, not used twice between two starts. */
bool database_snapshot_begin(sqlite3 *handle, uint64_t number);

/* Appends a part, the first is 0. False with `ret_has_place` false when
 * database_snapshot_begin() did not happen: its transaction failed. */
bool database_snapshot_add(sqlite3 *handle, uint64_t number, uint64_t part, const void *data,
    size_t size, bool *ret_has_place);

/* Declares it whole, with `bytes` in all, and every older one void. */
bool database_snapshot_finish(sqlite3 *handle, uint64_t number, uint64_t bytes);

/* Deletes one part that belongs to no snapshot; `ret_has_more` when there was one. */
bool database_snapshot_sweep(sqlite3 *handle, bool *ret_has_more);

/* The newest whole one, and the place of the last batch in it. */
struct database_snapshot {
    int64_t id;
    int64_t place;
    uint64_t bytes;
};
/* False: there is none, or it cannot be read. */
bool database_snapshot_newest(sqlite3 *handle, struct database_snapshot *ret_snapshot);
/* Appends its bytes. False: some are missing, or memory is out; `failure` says. */
bool database_snapshot_read(sqlite3 *handle, const struct database_snapshot *snapshot,
    struct crdt_buffer *ret_bytes, struct failure *failure);

#endif
