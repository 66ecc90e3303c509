/* The store's thread. See store.h.
 *
 *     WRITES -> (a transaction failed) -> FAILED -> (store_take) -> WRITES
 */
#include "gossipd/host/store/store.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "gossipd/core/memory.h"
#include "gossipd/host/store/backup.h"
#include "gossipd/host/clock.h"
#include "gossipd/host/store/database_snapshot.h"
#include "gossipd/host/store/group.h"
#include "gossipd/limits.h"

#define EXIT_FSYNC_FAILED 70 /* EX_SOFTWARE: whoever supervises us starts us again */

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
    struct errand *errands;
    struct errand **errands_end;
    struct store_news news;
    struct errand **done_end; /* of the errands in `news`                           */
    bool has_backup;       /* asked for, and its end not taken yet              */
    bool is_backup_due;    /* there is a step to do                             */
    uint64_t backup_client;
    char backup_path[PATH_MAX];
    struct import *import; /* a snapshot on its way in; NULL: none              */
    bool is_sweep_due;     /* there may be parts that belong to nothing          */
    /* The thread's own: written rows whose fsync is still to come. */
    uint64_t unsynced;
    uint64_t unsynced_since_us;
    struct backup *backup;
    uint64_t backup_begun_us;
};

static void die_of_fsync(const struct failure *failure)
{
    log_write(CORE_ALARM, "store-fsync-failed", "error=\"%s\" action=\"exit %d: what the disk "
        "holds is unknown until the store is opened again; check the disk\"", failure->text,
        EXIT_FSYNC_FAILED);
    _exit(EXIT_FSYNC_FAILED);
}

static void report_stored(struct store *store, uint64_t number)
{
    pthread_mutex_lock(&store->mutex);
    store->news.stored = number;
    pthread_mutex_unlock(&store->mutex);
    store->notify(store->notify_context);
}

static void report_failed(struct store *store, uint64_t number, const struct failure *reason)
{
    pthread_mutex_lock(&store->mutex);
    store->is_failed = true;
    store->news.failed = number;
    store->news.reason = *reason;
    pthread_mutex_unlock(&store->mutex);
    store->notify(store->notify_context);
}

static void report_placed(struct store *store, uint64_t snapshot)
{
    pthread_mutex_lock(&store->mutex);
    store->news.placed = snapshot;
    pthread_mutex_unlock(&store->mutex);
    store->notify(store->notify_context);
}

/* Decides what a committed group allows to be said. */
static void group_committed(struct store *store, const struct group *group)
{
    if (group->snapshot != 0) {
        report_placed(store, group->snapshot);
    }
    if (group->is_synced || group->durability_last == CORE_NO) {
        store->unsynced = 0;
        report_stored(store, group->last);
    } else {
        if (store->unsynced == 0) {
            store->unsynced_since_us = clock_monotonic_us();
        }
        store->unsynced = group->last;
    }
}

static void group_write(struct store *store, const struct group *group)
{
    struct failure failure = {{0}};
    enum database_result result = database_write(
        store->database, group->rows, group->count, group->is_synced, &failure);
    pthread_mutex_lock(&store->mutex);
    store->queue.bytes -= group->bytes;
    pthread_mutex_unlock(&store->mutex);
    rows_free(&store->memory, group->rows);
    switch (result) {
    case DATABASE_DONE: group_committed(store, group); break;
    case DATABASE_FAILED: report_failed(store, group->first, &failure); break;
    case DATABASE_FSYNC_FAILED: die_of_fsync(&failure); break;
    }
}

/* everysec: makes durable what was written since the last time. When the disk is
 * full this fails without harm and is tried again. */
static void sync_written(struct store *store)
{
    struct failure failure = {{0}};
    uint64_t number = store->unsynced;
    enum database_result result = database_write(store->database, NULL, 0, true, &failure);
    if (result == DATABASE_FSYNC_FAILED) {
        die_of_fsync(&failure);
    }
    if (result == DATABASE_DONE) {
        store->unsynced = 0;
        report_stored(store, number);
    } else {
        store->unsynced_since_us = clock_monotonic_us();
        log_write(CORE_ALARM, "store-sync-failed", "error=\"%s\"", failure.text);
    }
}

/* Does an errand and hands the answer over. */
static void run_errand(struct store *store, struct errand *errand)
{
    if (errand_do(errand, store->database) == DATABASE_FSYNC_FAILED) {
        die_of_fsync(&errand->reason);
    }
    errand->next = NULL;
    pthread_mutex_lock(&store->mutex);
    *store->done_end = errand;
    store->done_end = &errand->next;
    /* What is staged may have left parts behind. */
    store->is_sweep_due = store->is_sweep_due || errand->kind == CORE_UNSTAGE ||
        (errand->kind == CORE_STAGE && errand->part == 0);
    pthread_mutex_unlock(&store->mutex);
    store->notify(store->notify_context);
}

static void run_errands(struct store *store, struct errand *errands)
{
    while (errands != NULL) {
        struct errand *next = errands->next;
        run_errand(store, errands);
        errands = next;
    }
}

static void backup_log(const struct store *store, bool is_ok, const struct failure *failure)
{
    uint64_t ms = (clock_monotonic_us() - store->backup_begun_us) / 1000;
    if (is_ok) {
        log_write(CORE_INFO, "backup-done", "path=\"%s\" bytes=%" PRIu64 " ms=%" PRIu64,
            store->backup_path, backup_bytes(store->backup), ms);
    } else {
        log_write(CORE_WARNING, "backup-failed", "path=\"%s\" reason=\"%s\" ms=%" PRIu64,
            store->backup_path, failure->text, ms);
    }
}

static void backup_ended(struct store *store, bool is_ok, const struct failure *failure)
{
    backup_log(store, is_ok, failure);
    backup_free(store->backup);
    store->backup = NULL;
    pthread_mutex_lock(&store->mutex);
    store->is_backup_due = false;
    store->news.has_backed_up = true;
    store->news.is_backup_ok = is_ok;
    store->news.backup_client = store->backup_client;
    store->news.backup_reason = *failure;
    pthread_mutex_unlock(&store->mutex);
    store->notify(store->notify_context);
}

/* Begins the backup that was asked for, or does its next step. */
static void backup_go_on(struct store *store)
{
    struct failure failure = {{0}};
    if (store->backup == NULL) {
        store->backup_begun_us = clock_monotonic_us();
        if (!backup_begin(database_handle(store->database), store->backup_path, NULL,
                &store->backup, &failure)) {
            backup_ended(store, false, &failure);
        }
        return;
    }
    switch (backup_step(store->backup, &failure)) {
    case BACKUP_MORE: break;
    case BACKUP_DONE: backup_ended(store, true, &failure); break;
    case BACKUP_FAILED: backup_ended(store, false, &failure); break;
    }
}

static void import_ended(struct store *store, bool is_ok, const struct failure *failure)
{
    struct import *import = store->import;
    pthread_mutex_lock(&store->mutex);
    store->news.imported = import_number(import);
    store->news.is_import_ok = is_ok;
    store->news.import_reason = *failure;
    store->import = NULL;
    store->is_sweep_due = true;
    pthread_mutex_unlock(&store->mutex);
    store->notify(store->notify_context);
    /* Without the mutex, for which the loop would wait: the last close of a large
     * file takes the system tens of milliseconds. */
    import_free(import);
}

static void import_go_on(struct store *store)
{
    struct failure failure = {{0}};
    switch (import_step(store->import, store->database, &failure)) {
    case IMPORT_MORE: break;
    case IMPORT_DONE: import_ended(store, true, &failure); break;
    case IMPORT_FAILED: import_ended(store, false, &failure); break;
    case IMPORT_FSYNC_FAILED: die_of_fsync(&failure);
    }
}

static bool sweep(sqlite3 *handle, void *context)
{
    return database_snapshot_sweep(handle, context);
}

/* Deletes a part that belongs to nothing any more. One that cannot go now goes
 * when the next snapshot is in. */
static void sweep_go_on(struct store *store)
{
    struct failure failure = {{0}};
    bool has_more = false;
    enum database_result result =
        database_transact(store->database, sweep, &has_more, false, &failure);
    if (result == DATABASE_FSYNC_FAILED) {
        die_of_fsync(&failure);
    }
    pthread_mutex_lock(&store->mutex);
    store->is_sweep_due = result == DATABASE_DONE && has_more;
    pthread_mutex_unlock(&store->mutex);
}

static bool has_sweep_step(const struct store *store)
{
    return store->is_sweep_due && store->import == NULL && !store->is_failed &&
        !store->is_stopping;
}

static bool has_import_step(const struct store *store)
{
    return store->import != NULL && !store->is_failed && !store->is_stopping;
}

static bool has_work(const struct store *store)
{
    return (store->queue.rows != NULL && !store->is_failed) || store->errands != NULL ||
        (store->is_backup_due && !store->is_stopping) || has_import_step(store) ||
        has_sweep_step(store);
}

/* Sleeps until there is work, the end, or the time to sync. Holds the mutex. */
static void wait_for_work(struct store *store)
{
    while (!has_work(store) && !store->is_stopping) {
        if (store->unsynced == 0) {
            pthread_cond_wait(&store->wake, &store->mutex);
            continue;
        }
        uint64_t until_us = store->unsynced_since_us + STORE_SYNC_MS * UINT64_C(1000);
        const struct timespec until = {
            .tv_sec = (time_t)(until_us / 1000000), .tv_nsec = (long)(until_us % 1000000) * 1000};
        if (clock_monotonic_us() >= until_us ||
            pthread_cond_timedwait(&store->wake, &store->mutex, &until) != 0) {
            return;
        }
    }
}

static bool sync_is_due(const struct store *store)
{
    return store->unsynced != 0 &&
        clock_monotonic_us() >= store->unsynced_since_us + STORE_SYNC_MS * UINT64_C(1000);
}

/* What there is to do in one turn. */
struct turn {
    struct group group;
    struct errand *errands;
    bool has_backup_step;
    bool has_import_step;
    bool has_sweep_step;
    bool is_last;
};

/* Waits for work and takes it. */
static struct turn turn_take(struct store *store)
{
    struct turn turn = {.errands = NULL};
    pthread_mutex_lock(&store->mutex);
    wait_for_work(store);
    if (!store->is_failed) {
        turn.group = row_queue_take(&store->queue);
    }
    if (store->queue.rows == NULL || store->is_failed) {
        /* Only now has everything been written that an errand may see. */
        turn.has_backup_step = store->is_backup_due && !store->is_stopping;
        turn.errands = store->errands;
        store->errands = NULL;
        store->errands_end = &store->errands;
    }
    turn.has_import_step = store->queue.rows == NULL && has_import_step(store);
    turn.has_sweep_step = store->queue.rows == NULL && has_sweep_step(store);
    turn.is_last = store->is_stopping && !has_work(store);
    pthread_mutex_unlock(&store->mutex);
    return turn;
}

static void *store_main(void *context)
{
    struct store *store = context;
    for (bool is_running = true; is_running;) {
        struct turn turn = turn_take(store);
        is_running = !turn.is_last;
        if (turn.group.count > 0) {
            group_write(store, &turn.group);
        }
        if (sync_is_due(store) || (!is_running && store->unsynced != 0)) {
            sync_written(store);
        }
        run_errands(store, turn.errands);
        if (turn.has_backup_step) {
            backup_go_on(store);
        }
        if (turn.has_import_step) {
            import_go_on(store);
        }
        if (turn.has_sweep_step) {
            sweep_go_on(store);
        }
    }
    import_free(store->import);
    backup_free(store->backup);
    return NULL;
}

static bool thread_start(struct store *store)
{
    pthread_condattr_t attributes;
    pthread_mutex_init(&store->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&store->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    return pthread_create(&store->thread, NULL, store_main, store) == 0;
}

bool store_start(struct database *database, const struct crdt_memory *memory,
    void (*notify)(void *context), void *context, struct store **ret_store,
    struct failure *failure)
{
    struct store *store = memory_new(memory, sizeof *store);
    if (store == NULL) {
        return failure_say(failure, "out of memory");
    }
    store->database = database;
    store->memory = *memory;
    store->notify = notify;
    store->notify_context = context;
    row_queue_init(&store->queue);
    store->errands_end = &store->errands;
    store->done_end = &store->news.errands;
    store->is_sweep_due = true; /* a crash may have left some                      */
    if (!thread_start(store)) {
        memory_free(memory, store, sizeof *store);
        return failure_say(failure, "cannot start the store's thread: raise the limit on "
            "threads (ulimit -u)");
    }
    *ret_store = store;
    return true;
}

void store_stop(struct store *store)
{
    if (store == NULL) {
        return;
    }
    pthread_mutex_lock(&store->mutex);
    store->is_stopping = true;
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->mutex);
    pthread_join(store->thread, NULL);
    rows_free(&store->memory, store->queue.rows);
    while (store->news.errands != NULL) {
        struct errand *next = store->news.errands->next;
        errand_free(store->news.errands);
        store->news.errands = next;
    }
    database_close(store->database);
    pthread_cond_destroy(&store->wake);
    pthread_mutex_destroy(&store->mutex);
    struct crdt_memory memory = store->memory;
    memory_free(&memory, store, sizeof *store);
}

bool store_append(
    struct store *store, const struct core_output *output, enum core_durability durability)
{
    struct row *row = row_new(&store->memory, output, durability);
    if (row == NULL) {
        return false;
    }
    pthread_mutex_lock(&store->mutex);
    assert(!store->is_stopping);
    row_queue_add(&store->queue, row);
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->mutex);
    return true;
}

bool store_send(struct store *store, const struct core_output *output)
{
    struct errand *errand = errand_new(&store->memory, output);
    if (errand == NULL) {
        return false;
    }
    pthread_mutex_lock(&store->mutex);
    *store->errands_end = errand;
    store->errands_end = &errand->next;
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->mutex);
    return true;
}

bool store_backup(struct store *store, uint64_t client, const char *path)
{
    pthread_mutex_lock(&store->mutex);
    bool is_free = !store->has_backup;
    if (is_free) {
        store->has_backup = true;
        store->is_backup_due = true;
        store->backup_client = client;
        snprintf(store->backup_path, sizeof store->backup_path, "%s", path);
        pthread_cond_signal(&store->wake);
    }
    pthread_mutex_unlock(&store->mutex);
    return is_free;
}

bool store_import(struct store *store, struct import *import)
{
    pthread_mutex_lock(&store->mutex);
    bool is_free = store->import == NULL;
    if (is_free) {
        store->import = import;
        pthread_cond_signal(&store->wake);
    }
    pthread_mutex_unlock(&store->mutex);
    return is_free;
}

size_t store_queued_bytes(struct store *store)
{
    pthread_mutex_lock(&store->mutex);
    size_t bytes = store->queue.bytes;
    pthread_mutex_unlock(&store->mutex);
    return bytes;
}

void store_take(struct store *store, struct store_news *ret_news)
{
    struct row *failed = NULL;
    pthread_mutex_lock(&store->mutex);
    *ret_news = store->news;
    store->news = (struct store_news){0};
    store->done_end = &store->news.errands;
    store->has_backup = store->has_backup && !ret_news->has_backed_up;
    if (ret_news->failed != 0) {
        /* All that waited came after the failed one, so it failed with it. */
        failed = row_queue_clear(&store->queue);
        store->is_failed = false;
        pthread_cond_signal(&store->wake);
    }
    pthread_mutex_unlock(&store->mutex);
    rows_free(&store->memory, failed);
}
