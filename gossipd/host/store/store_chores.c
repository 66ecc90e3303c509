/* What the store's thread does between the transactions, one step a turn: a backup,
 * a snapshot on its way in, and the sweep of parts that belong to nothing. See
 * store_inside.h. */
#include <inttypes.h>
#include <unistd.h>

#include "gossipd/host/store/backup.h"
#include "gossipd/host/clock.h"
#include "gossipd/host/store/database_snapshot.h"
#include "gossipd/host/store/store_inside.h"
#include "gossipd/limits.h"

#define EXIT_FSYNC_FAILED 70 /* EX_SOFTWARE: whoever supervises us starts us again */

_Noreturn void store_die_of_fsync(const struct failure *failure)
{
    log_write(CORE_ALARM, "store-fsync-failed", "error=\"%s\" action=\"exit %d: what the disk "
        "holds is unknown until the store is opened again; check the disk\"", failure->text,
        EXIT_FSYNC_FAILED);
    _exit(EXIT_FSYNC_FAILED);
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

/* Rows that came before the backup may be among those that were not written. */
static bool has_failed(struct store *store)
{
    pthread_mutex_lock(&store->mutex);
    bool is_failed = store->is_failed;
    pthread_mutex_unlock(&store->mutex);
    return is_failed;
}

/* Begins the backup that was asked for, or does its next step. */
static void backup_go_on(struct store *store)
{
    struct failure failure = {{0}};
    if (store->backup == NULL) {
        store->backup_begun_us = clock_monotonic_us();
        if (has_failed(store)) {
            failure_say(&failure, "a write has just failed, and would be missing: ask again");
            backup_ended(store, false, &failure);
            return;
        }
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
    case IMPORT_FSYNC_FAILED: store_die_of_fsync(&failure);
    }
}

static bool sweep(sqlite3 *handle, void *context)
{
    return database_snapshot_sweep(handle, context);
}

/* Deletes a part that belongs to nothing any more. When it cannot go, nothing else
 * has to happen for the next try: on a full disk these parts are the room. */
static void sweep_go_on(struct store *store)
{
    struct failure failure = {{0}};
    bool has_more = false;
    enum database_result result =
        database_transact(store->database, sweep, &has_more, false, &failure);
    if (result == DATABASE_FSYNC_FAILED) {
        store_die_of_fsync(&failure);
    }
    bool is_done = result == DATABASE_DONE;
    pthread_mutex_lock(&store->mutex);
    store->is_sweep_due = !is_done || has_more;
    store->sweep_us = is_done ? 0 : clock_monotonic_us() + SWEEP_RETRY_MS * UINT64_C(1000);
    pthread_mutex_unlock(&store->mutex);
}

uint64_t store_sweep_us(const struct store *store)
{
    bool can_sweep = store->is_sweep_due && store->import == NULL && !store->is_failed &&
        !store->is_stopping;
    return can_sweep ? store->sweep_us : UINT64_MAX;
}

static bool has_sweep_step(const struct store *store)
{
    uint64_t sweep_us = store_sweep_us(store);
    return sweep_us != UINT64_MAX && sweep_us <= clock_monotonic_us();
}

static bool has_import_step(const struct store *store)
{
    return store->import != NULL && !store->is_failed && !store->is_stopping &&
        store->import_after <= store->queue.taken;
}

static bool has_backup_step(const struct store *store)
{
    return store->is_backup_due && !store->is_stopping &&
        (store->is_failed || store->backup_after <= store->queue.taken);
}

struct chores store_chores(const struct store *store)
{
    return (struct chores){.has_backup_step = has_backup_step(store),
        .has_import_step = has_import_step(store),
        .has_sweep_step = has_sweep_step(store)};
}

void store_chores_go_on(struct store *store, struct chores chores)
{
    if (chores.has_backup_step) {
        backup_go_on(store);
    }
    if (chores.has_import_step) {
        import_go_on(store);
    }
    if (chores.has_sweep_step) {
        sweep_go_on(store);
    }
}
