/* The inside of the store's thread, for store.c and store_chores.c. */
#ifndef GOSSIPD_HOST_STORE_INSIDE_H
#define GOSSIPD_HOST_STORE_INSIDE_H

#include <limits.h>
#include <pthread.h>

#include "gossipd/host/store/group.h"
#include "gossipd/host/store/store.h"

struct backup;

struct store {
    struct database *database;
    struct crdt_memory memory;
    void (*notify)(void *context);
    void *notify_context;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards everything below                           */
    pthread_cond_t wake;   /* work has come, or the end                         */
    bool is_stopping;
    bool is_failed;
    struct row_queue queue;
    struct errand_queue errands;
    struct store_news news;
    struct errand **done_end; /* of the errands in `news`                           */
    bool has_backup;       /* asked for, and its end not taken yet              */
    bool is_backup_due;    /* there is a step to do                             */
    uint64_t backup_client;
    uint64_t backup_after; /* begins once so many rows were taken from the queue */
    char backup_path[PATH_MAX];
    struct import *import; /* a snapshot on its way in; NULL: none              */
    uint64_t import_after; /* as `backup_after`                                 */
    bool is_sweep_due;     /* there may be parts that belong to nothing          */
    uint64_t sweep_us;     /* not before: the last one failed                   */
    /* The thread's own: written rows whose fsync is still to come. */
    uint64_t unsynced;
    uint64_t unsynced_since_us;
    struct backup *backup;
    uint64_t backup_begun_us;
};

/* Ends the process: what the disk holds is unknown. */
_Noreturn void store_die_of_fsync(const struct failure *failure);

/* What there is to do beside rows and errands, a step of each in a turn, so that
 * neither waits for the other, however much is written. */
struct chores {
    bool has_backup_step;
    bool has_import_step;
    bool has_sweep_step;
};
/* Under the mutex. */
struct chores store_chores(const struct store *store);
/* When a sweep that failed is tried again; UINT64_MAX: not until something happens. */
uint64_t store_sweep_us(const struct store *store);
/* Without it. */
void store_chores_go_on(struct store *store, struct chores chores);

#endif
