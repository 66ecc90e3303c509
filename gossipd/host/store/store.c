/* The store's thread. See store.h.
 *
 *     WRITES -> (a transaction failed) -> FAILED -> (store_resume) -> WRITES
 */
#include "gossipd/host/store/store.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

#include "gossipd/core/memory.h"
#include "gossipd/host/store/backup.h"
#include "gossipd/host/clock.h"
#include "gossipd/host/store/store_inside.h"
#include "gossipd/limits.h"

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
    /* A place voids one that was never filled, whose parts then belong to nothing. */
    store->is_sweep_due = true;
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
    case DATABASE_FSYNC_FAILED: store_die_of_fsync(&failure); break;
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
        store_die_of_fsync(&failure);
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
        store_die_of_fsync(&errand->reason);
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

static bool has_work(const struct store *store)
{
    struct chores chores = store_chores(store);
    return (store->queue.rows != NULL && !store->is_failed) || store->errands.first != NULL ||
        chores.has_backup_step || chores.has_import_step || chores.has_sweep_step;
}

/* When there is something to do although nobody says so; UINT64_MAX: never. */
static uint64_t next_us(const struct store *store)
{
    uint64_t sweep_us = store_sweep_us(store);
    uint64_t sync_us = store->unsynced == 0
        ? UINT64_MAX
        : store->unsynced_since_us + STORE_SYNC_MS * UINT64_C(1000);
    return sync_us < sweep_us ? sync_us : sweep_us;
}

/* Sleeps until there is work, the end, or the time to sync or to sweep. Holds the
 * mutex. */
static void wait_for_work(struct store *store)
{
    while (!has_work(store) && !store->is_stopping) {
        uint64_t until_us = next_us(store);
        if (until_us == UINT64_MAX) {
            pthread_cond_wait(&store->wake, &store->mutex);
            continue;
        }
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
    struct chores chores;
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
    /* The group is written before them, and what failed will not be there. */
    turn.errands = errand_queue_take(
        &store->errands, store->is_failed ? UINT64_MAX : store->queue.taken);
    turn.chores = store_chores(store);
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
        store_chores_go_on(store, turn.chores);
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
    errand_queue_init(&store->errands);
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
    errand_queue_add(&store->errands, errand, store->queue.added);
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
        store->backup_after = store->queue.added;
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
        store->import_after = store->queue.added;
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
    pthread_mutex_lock(&store->mutex);
    *ret_news = store->news;
    store->news = (struct store_news){0};
    store->done_end = &store->news.errands;
    store->has_backup = store->has_backup && !ret_news->has_backed_up;
    pthread_mutex_unlock(&store->mutex);
}

void store_resume(struct store *store)
{
    pthread_mutex_lock(&store->mutex);
    assert(store->is_failed);
    struct row *failed = row_queue_clear(&store->queue);
    store->is_failed = false;
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->mutex);
    rows_free(&store->memory, failed);
}
