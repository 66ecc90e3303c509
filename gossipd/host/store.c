/* The store's thread. See store.h.
 *
 *     WRITES -> (a transaction failed) -> FAILED -> (store_take) -> WRITES
 */
#include "gossipd/host/store.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "gossipd/core/memory.h"
#include "gossipd/host/backup.h"
#include "gossipd/host/clock.h"
#include "gossipd/limits.h"

#define EXIT_FSYNC_FAILED 70 /* EX_SOFTWARE: whoever supervises us starts us again */

struct question {
    struct question *next;
    uint64_t id;
    struct crdt_dot from;
    size_t bytes_max;
};

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
    struct row *rows;      /* waiting to be written                             */
    struct row **rows_end;
    size_t rows_bytes;     /* waiting or being written                          */
    struct question *questions;
    struct question **questions_end;
    struct store_news news;
    struct fetched **fetched_end;
    bool has_backup;       /* asked for, and its end not taken yet              */
    bool is_backup_due;    /* there is a step to do                             */
    uint64_t backup_client;
    char backup_path[PATH_MAX];
    struct import *import; /* a snapshot on its way in; NULL: none              */
    /* The thread's own: written rows whose fsync is still to come. */
    uint64_t unsynced;
    uint64_t unsynced_since_us;
    struct backup *backup;
    uint64_t backup_begun_us;
};

/* Rows that go into one transaction. */
struct group {
    struct row *rows;
    size_t count;
    size_t bytes;
    bool is_synced;
    enum core_durability durability_last;
    uint64_t first;
    uint64_t last;
};

static struct group group_take(struct store *store)
{
    struct group group = {.rows = store->is_failed ? NULL : store->rows};
    if (group.rows == NULL) {
        return group;
    }
    group.first = group.rows->number + (group.rows->snapshot != 0 ? 1 : 0);
    struct row **end = &store->rows;
    while (*end != NULL && (group.count == 0 || group.bytes < STORE_GROUP_BYTES)) {
        struct row *row = *end;
        group.count++;
        group.bytes += row_bytes(row);
        group.last = row->number;
        group.durability_last = row->durability;
        /* Marks are promises about what may happen next: always durable. */
        group.is_synced = group.is_synced || row->is_mark || row->durability == CORE_ALWAYS;
        end = &row->next;
    }
    store->rows = *end;
    *end = NULL;
    if (store->rows == NULL) {
        store->rows_end = &store->rows;
    }
    return group;
}

static void rows_free(const struct crdt_memory *memory, struct row *rows)
{
    while (rows != NULL) {
        struct row *next = rows->next;
        row_free(memory, rows);
        rows = next;
    }
}

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

/* Decides what a committed group allows to be said. */
static void group_committed(struct store *store, const struct group *group)
{
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
    store->rows_bytes -= group->bytes;
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

static void answer(struct store *store, const struct question *question)
{
    struct failure failure = {{0}};
    struct fetched *fetched = fetched_new(&store->memory, question->id);
    if (fetched == NULL) {
        /* The core asks again after its own time; nobody is told anything false. */
        log_write(CORE_WARNING, "fetch-failed", "error=\"out of memory\"");
        return;
    }
    if (!database_fetch(
            store->database, &question->from, question->bytes_max, fetched, &failure)) {
        log_write(CORE_ALARM, "fetch-failed", "error=\"%s\"", failure.text);
    }
    pthread_mutex_lock(&store->mutex);
    *store->fetched_end = fetched;
    store->fetched_end = &fetched->next;
    pthread_mutex_unlock(&store->mutex);
    store->notify(store->notify_context);
}

static void answer_all(struct store *store, struct question *questions)
{
    while (questions != NULL) {
        struct question *next = questions->next;
        answer(store, questions);
        memory_free(&store->memory, questions, sizeof *questions);
        questions = next;
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
    pthread_mutex_lock(&store->mutex);
    store->news.imported = import_number(store->import);
    store->news.imported_bytes = import_bytes(store->import);
    store->news.is_import_ok = is_ok;
    store->news.import_reason = *failure;
    import_free(store->import);
    store->import = NULL;
    pthread_mutex_unlock(&store->mutex);
    store->notify(store->notify_context);
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

static bool has_import_step(const struct store *store)
{
    return store->import != NULL && !store->is_failed && !store->is_stopping;
}

static bool has_work(const struct store *store)
{
    return (store->rows != NULL && !store->is_failed) || store->questions != NULL ||
        (store->is_backup_due && !store->is_stopping) || has_import_step(store);
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

static void *store_main(void *context)
{
    struct store *store = context;
    for (bool is_running = true; is_running;) {
        pthread_mutex_lock(&store->mutex);
        wait_for_work(store);
        struct group group = group_take(store);
        struct question *questions = NULL;
        bool has_backup_step = false;
        if (store->rows == NULL || store->is_failed) {
            /* Only now has everything been written that a question may see. */
            has_backup_step = store->is_backup_due && !store->is_stopping;
            questions = store->questions;
            store->questions = NULL;
            store->questions_end = &store->questions;
        }
        bool has_import = store->rows == NULL && has_import_step(store);
        is_running = !store->is_stopping || has_work(store);
        pthread_mutex_unlock(&store->mutex);
        if (group.count > 0) {
            group_write(store, &group);
        }
        if (sync_is_due(store) || (!is_running && store->unsynced != 0)) {
            sync_written(store);
        }
        answer_all(store, questions);
        if (has_backup_step) {
            backup_go_on(store);
        }
        if (has_import) {
            import_go_on(store);
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
    store->rows_end = &store->rows;
    store->questions_end = &store->questions;
    store->fetched_end = &store->news.fetched;
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
    rows_free(&store->memory, store->rows);
    while (store->news.fetched != NULL) {
        struct fetched *next = store->news.fetched->next;
        fetched_free(store->news.fetched);
        store->news.fetched = next;
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
    *store->rows_end = row;
    store->rows_end = &row->next;
    store->rows_bytes += row_bytes(row);
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->mutex);
    return true;
}

bool store_fetch(struct store *store, uint64_t id, const struct crdt_dot *from, size_t bytes_max)
{
    struct question *question = memory_new(&store->memory, sizeof *question);
    if (question == NULL) {
        return false;
    }
    question->id = id;
    question->from = *from;
    question->bytes_max = bytes_max;
    pthread_mutex_lock(&store->mutex);
    *store->questions_end = question;
    store->questions_end = &question->next;
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
    size_t bytes = store->rows_bytes;
    pthread_mutex_unlock(&store->mutex);
    return bytes;
}

void store_take(struct store *store, struct store_news *ret_news)
{
    struct row *failed = NULL;
    pthread_mutex_lock(&store->mutex);
    *ret_news = store->news;
    store->news = (struct store_news){0};
    store->fetched_end = &store->news.fetched;
    store->has_backup = store->has_backup && !ret_news->has_backed_up;
    if (ret_news->failed != 0) {
        /* All that waited came after the failed one, so it failed with it. */
        failed = store->rows;
        store->rows = NULL;
        store->rows_end = &store->rows;
        for (const struct row *row = failed; row != NULL; row = row->next) {
            store->rows_bytes -= row_bytes(row);
        }
        store->is_failed = false;
        pthread_cond_signal(&store->wake);
    }
    pthread_mutex_unlock(&store->mutex);
    rows_free(&store->memory, failed);
}
