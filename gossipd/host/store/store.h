/* The store's thread: takes rows and errands from the loop, gives back what
 * became durable and what was found.
 *
 * All rows that wait share one transaction and one fsync (group commit). After a
 * failure nothing is written until the loop says that the core hears of it, because
 * that then hands everything over again. After a failed fsync the process ends: what
 * the disk holds is unknown.
 */
#ifndef GOSSIPD_HOST_STORE_H
#define GOSSIPD_HOST_STORE_H

#include "gossipd/host/store/database.h"
#include "gossipd/host/store/errand.h"
#include "gossipd/host/store/import.h"

struct store;

/* Starts the thread on an open database and owns it from then on. `notify` is
 * called from that thread whenever store_take() would give something. */
bool store_start(struct database *database, const struct crdt_memory *memory,
    void (*notify)(void *context), void *context, struct store **ret_store,
    struct failure *failure);

/* Writes what waits, makes it durable, gives up a backup that is on, ends the
 * thread and closes the database. */
void store_stop(struct store *store);

/* Queues a STORE, a STORE_MARK, or the place where a SNAPSHOT stands.
 * False: memory is out, nothing was queued. */
bool store_append(
    struct store *store, const struct core_output *output, enum core_durability durability);
/* Queues a FETCH, FETCH_PART, DROP, STAGE or UNSTAGE, which keep their order and
 * see every row appended before them, and wait for no other. False: memory is out,
 * nothing was queued. */
bool store_send(struct store *store, const struct core_output *output);

/* Bytes of rows that wait. */
size_t store_queued_bytes(struct store *store);

/* Begins a backup to a file that does not exist yet; it holds every row appended
 * before. It goes on between the transactions, step by step. False: another one
 * is on. */
bool store_backup(struct store *store, uint64_t client, const char *path);

/* Brings in a snapshot whose place was queued before. One at a time: false when
 * another one is on. Owns it from then on. */
bool store_import(struct store *store, struct import *import);

/* What has happened since the last call. */
struct store_news {
    uint64_t stored;         /* STOREs up to this are durable; 0: no news       */
    uint64_t failed;         /* this STORE and all after it failed; 0: none     */
    struct failure reason;
    struct errand *errands;  /* done ones, in order; the caller frees each      */
    uint64_t placed;         /* the place of this SNAPSHOT is in the store; 0: none */
    bool has_backed_up;      /* a backup has ended, for `client`                */
    bool is_backup_ok;
    uint64_t backup_client;
    struct failure backup_reason;
    uint64_t imported;       /* not 0: the import of this snapshot has ended        */
    bool is_import_ok;
    struct failure import_reason;
};
void store_take(struct store *store, struct store_news *ret_news);
/* After news of a failure, when the core is about to hear of it: forgets the rows
 * that wait and writes again. What was appended until now the core counts among
 * the failed; written, it would lie before them. */
void store_resume(struct store *store);

#endif
