/* Restores a backup. See restore.h. */
#include "gossipd/host/store/restore.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gossipd/host/store/backup.h"
#include "gossipd/host/directory.h"
#include "gossipd/host/identity.h"

static const char burn_sql[] = "INSERT OR REPLACE INTO mark (name, value) VALUES ('ahead', 1)";

/* The key is what makes the restored node the one it was; the lock is empty. */
static bool may_stay(const char *name)
{
    static const char *const names[] = {".", "..", IDENTITY_FILE, "lock"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool check_empty(const char *dir, struct failure *failure)
{
    DIR *stream = opendir(dir);
    if (stream == NULL) {
        return failure_say(failure, "cannot read the directory %s: %s", dir, strerror(errno));
    }
    struct dirent *entry = readdir(stream);
    while (entry != NULL && may_stay(entry->d_name)) {
        entry = readdir(stream);
    }
    if (entry != NULL) {
        failure_say(failure, "%s holds %s: expected a directory with nothing but " IDENTITY_FILE
            "; nothing is overwritten, so move that away or choose another --dir", dir,
            entry->d_name);
    }
    closedir(stream);
    return entry == NULL;
}

static bool copy(struct sqlite3 *source, const char *dir, struct failure *failure)
{
    char path[PATH_MAX];
    struct backup *backup = NULL;
    enum backup_result result = BACKUP_FAILED;
    int size = snprintf(path, sizeof path, "%s/store.db", dir);
    if (size < 0 || (size_t)size >= sizeof path) {
        return failure_say(failure, "the path %s is too long", dir);
    }
    if (backup_begin(source, path, burn_sql, &backup, failure)) {
        do {
            result = backup_step(backup, failure);
        } while (result == BACKUP_MORE);
    }
    backup_free(backup);
    return result == BACKUP_DONE;
}

enum verify_result restore_store(const char *file, const char *dir,
    void (*progress)(void *context, uint64_t done, uint64_t total), void *context,
    struct verify_report *ret_report, bool *ret_has_key, struct failure *failure)
{
    int lock = -1;
    struct sqlite3 *source = NULL;
    enum verify_result result = VERIFY_CANNOT;
    if (directory_make(dir, failure) && check_empty(dir, failure) &&
        directory_lock(dir, &lock, failure)) {
        result = verify_store(file, progress, context, ret_report, &source, failure);
    }
    if (result == VERIFY_WHOLE && !copy(source, dir, failure)) {
        result = VERIFY_CANNOT;
    }
    *ret_has_key = identity_exists(dir);
    sqlite3_close(source);
    if (lock >= 0) {
        close(lock);
    }
    return result;
}
