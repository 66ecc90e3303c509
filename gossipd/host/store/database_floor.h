/* The log floor in the store: of a feed, the batches up to it are gone, and the
 * newest snapshot has what was in them (invariant I6).
 *
 * For database.c and whoever has its connection; what changes something stands
 * inside a transaction of the caller. */
#ifndef GOSSIPD_HOST_DATABASE_FLOOR_H
#define GOSSIPD_HOST_DATABASE_FLOOR_H

#include "gossipd/core/core.h"
#include "gossipd/host/store/sql.h"

/* Makes the table if it is missing. */
bool database_floor_open(sqlite3 *handle);

/* Raises the floor of one feed; never lowers it. */
bool database_floor_raise(sqlite3 *handle, const struct crdt_dot *dot);

/* The floor of one feed; 0: none. False: it cannot be read. */
bool database_floor_of(
    sqlite3 *handle, const struct crdt_origin *origin, uint64_t *ret_seq);

/* Appends the whole floor as a summary; `ret_count` is the number of its feeds. */
bool database_floor_read(
    sqlite3 *handle, struct crdt_buffer *ret_summary, size_t *ret_count);

/* Drops up to DROP_ROWS batches as `drop` says and raises the floor by them.
 * `log_bytes`, of all batches, becomes less by what is dropped. Snapshot rows are
 * kept up to date with what is left before their place. */
bool database_floor_drop(sqlite3 *handle, const struct core_drop *drop,
    const struct crdt_memory *memory, uint64_t *log_bytes, bool *ret_has_more);

#endif
