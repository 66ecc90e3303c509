/* A peer's snapshot on its way in, in the store: one at a time, its parts in
 * order. They lie among the parts of own snapshots, under numbers below zero.
 *
 * For database.c and whoever has its connection; what changes something stands
 * inside a transaction of the caller. */
#ifndef GOSSIPD_HOST_DATABASE_STAGE_H
#define GOSSIPD_HOST_DATABASE_STAGE_H

#include "gossipd/core/core.h"
#include "gossipd/host/log.h"
#include "gossipd/host/store/sql.h"

/* Makes the table if it is missing. */
bool database_stage_open(sqlite3 *handle);

/* Keeps part `part` of `snapshot`. What is staged of another one goes; the parts
 * before it must be there: `ret_is_next` says whether it was the next one. */
bool database_stage_add(sqlite3 *handle, const struct core_snapshot *snapshot, uint64_t part,
    struct crdt_bytes bytes, bool *ret_is_next);

/* Forgets what is staged; its parts are swept later. */
bool database_stage_clear(sqlite3 *handle);

/* What is staged. `tips` is the caller's to close. */
struct database_stage {
    int64_t id;
    uint64_t staged; /* parts that are here                                         */
    struct core_snapshot snapshot;
    struct crdt_buffer tips;
};
/* False: nothing is, or it cannot be read. */
bool database_stage_read(sqlite3 *handle, const struct crdt_memory *memory,
    struct database_stage *ret_stage);
/* Appends the bytes of all parts. */
bool database_stage_bytes(sqlite3 *handle, const struct database_stage *stage,
    struct crdt_buffer *ret_bytes, struct failure *failure);

#endif
