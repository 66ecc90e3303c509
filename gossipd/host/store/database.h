/* The event store as a SQLite file: one row per signed batch, in the order of
 * application. Knows SQL and nothing of threads; anyone can read the file of a
 * stopped node with `sqlite3`. One thread at a time.
 */
#ifndef GOSSIPD_HOST_DATABASE_H
#define GOSSIPD_HOST_DATABASE_H

#include "gossipd/host/log.h"
#include "gossipd/host/store/row.h"

#define DATABASE_VERSION 1 /* PRAGMA user_version; a newer one is refused       */

struct database;
struct sqlite3;

/* What the store says about the node that wrote it. */
struct database_facts {
    bool is_new;           /* the store was just made                           */
    bool is_ahead;         /* batches may have left that are not in here        */
    bool has_moved;        /* the file is a copy: another machine or inode      */
    bool is_named;         /* it says where it lives                            */
    bool has_other_key;    /* written by another node key: `generation` is not ours */
    uint64_t generation;   /* of own batches; 0: none yet                       */
};

/* Opens or makes the store at `path` for this cluster and key. A store that has
 * moved carries the mark *ahead* durably before this returns, so that a crash
 * before the new generation begins cannot make it be forgotten. All that is read
 * from it is durable: a process that was killed may have left commits that only
 * the page cache holds, and who replays them takes them for durable. `vfs` NULL
 * means unix-excl; tests name one that fails. */
bool database_open(const char *path, const char *vfs,
    const uint8_t cluster_id[static CRDT_HASH_BYTES], const uint8_t key[static CRDT_KEY_BYTES],
    struct database **ret_database, struct database_facts *ret_facts, struct failure *failure);
/* The connection, for a backup. */
struct sqlite3 *database_handle(struct database *database);
/* Accepts NULL. */
void database_close(struct database *database);

/* Gives every stored batch behind `place` in the order of application. The bytes
 * live until `visit` returns. */
bool database_replay(struct database *database, int64_t place,
    void (*visit)(void *context, const struct core_row *row), void *context,
    struct failure *failure);

enum database_result {
    DATABASE_DONE,
    DATABASE_FAILED,       /* nothing of the transaction happened               */
    DATABASE_FSYNC_FAILED, /* what the disk holds is unknown: end the process   */
};

/* Writes `count` rows, beginning at `rows`, in one transaction. `is_synced`:
 * fsync before it returns. 0 rows with `is_synced` make durable what was
 * written before. */
enum database_result database_write(struct database *database, const struct row *rows,
    size_t count, bool is_synced, struct failure *failure);

/* Does `work` in one transaction of its own. */
enum database_result database_transact(struct database *database,
    bool (*work)(struct sqlite3 *handle, void *context), void *context, bool is_synced,
    struct failure *failure);

/* Drops batches as `drop` says, up to DROP_ROWS, and raises the floor by them, in
 * one durable transaction; `ret_has_more`: there are more to drop. The floors in
 * `drop` rise as well. */
enum database_result database_drop(struct database *database, const struct core_drop *drop,
    const struct crdt_memory *memory, bool *ret_has_more, struct failure *failure);

/* Bytes of all batches in the store. */
uint64_t database_log_bytes(const struct database *database);

/* Reads the batches of a feed from the one that holds `from` on, without gaps,
 * until `bytes_max` is reached; not ok when they were dropped. When the first is
 * missing, says where the next one begins. False: out of memory or unreadable. */
bool database_fetch(struct database *database, const struct crdt_dot *from, size_t bytes_max,
    struct fetched *fetched, struct failure *failure);

#endif
