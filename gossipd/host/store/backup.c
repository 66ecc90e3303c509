/* A copy of the store. See backup.h. */
#include "gossipd/host/store/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gossipd/host/directory.h"
#include "gossipd/limits.h"

struct backup {
    char path[PATH_MAX];
    char draft[PATH_MAX];
    const char *last_sql;
    sqlite3 *copy;
    sqlite3_backup *work; /* NULL when every page is there                      */
    bool is_made;         /* the draft is ours to remove                        */
};

static bool say_copy(const struct backup *backup, const char *reason, struct failure *failure)
{
    return failure_say(failure, "cannot write %s: %s", backup->draft, reason);
}

static bool draft_make(struct backup *backup, struct failure *failure)
{
    struct stat facts;
    if (lstat(backup->path, &facts) == 0) {
        return failure_say(failure, "%s exists already, and nothing is overwritten: choose "
            "another name", backup->path);
    }
    int fd = open(backup->draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) {
        return failure_say(failure, "%s exists: another copy is being made, or was cut off; if "
            "none is, remove that file", backup->draft);
    }
    if (fd < 0) {
        return say_copy(backup, strerror(errno), failure);
    }
    close(fd);
    backup->is_made = true;
    return true;
}

static bool copy_open(struct backup *backup, struct sqlite3 *source, struct failure *failure)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_PRIVATECACHE;
    if (sqlite3_open_v2(backup->draft, &backup->copy, flags, "unix-excl") != SQLITE_OK ||
        sqlite3_exec(backup->copy, "PRAGMA journal_mode = OFF; PRAGMA secure_delete = 0", NULL,
            NULL, NULL) != SQLITE_OK) {
        return say_copy(backup, sqlite3_errmsg(backup->copy), failure);
    }
    backup->work = sqlite3_backup_init(backup->copy, "main", source, "main");
    return backup->work != NULL || say_copy(backup, sqlite3_errmsg(backup->copy), failure);
}

bool backup_begin(struct sqlite3 *source, const char *path, const char *last_sql,
    struct backup **ret_backup, struct failure *failure)
{
    struct backup *backup = calloc(1, sizeof *backup);
    if (backup == NULL) {
        return failure_say(failure, "out of memory");
    }
    backup->last_sql = last_sql;
    snprintf(backup->path, sizeof backup->path, "%s", path);
    int size = snprintf(backup->draft, sizeof backup->draft, "%s.partial", path);
    bool is_begun = (size > 0 && (size_t)size < sizeof backup->draft) ||
        failure_say(failure, "the path %s is too long", path);
    if (!is_begun || !draft_make(backup, failure) || !copy_open(backup, source, failure)) {
        backup_free(backup);
        return false;
    }
    *ret_backup = backup;
    return true;
}

/* Lets the disk have what was copied now, so that the last step has little left
 * to do. */
static bool copy_sync(struct backup *backup)
{
    sqlite3_file *file = NULL;
    int code = sqlite3_file_control(backup->copy, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    return code == SQLITE_OK && file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) == SQLITE_OK;
}

static bool copy_finish(struct backup *backup, struct failure *failure)
{
    int code = sqlite3_backup_finish(backup->work);
    backup->work = NULL;
    /* Without WAL it is one file, which opens on a read-only medium too. */
    bool is_whole = code == SQLITE_OK &&
        sqlite3_exec(backup->copy, "PRAGMA synchronous = FULL; PRAGMA journal_mode = DELETE",
            NULL, NULL, NULL) == SQLITE_OK &&
        (backup->last_sql == NULL ||
            sqlite3_exec(backup->copy, backup->last_sql, NULL, NULL, NULL) == SQLITE_OK) &&
        copy_sync(backup);
    if (!is_whole) {
        return say_copy(backup, sqlite3_errmsg(backup->copy), failure);
    }
    sqlite3_close(backup->copy);
    backup->copy = NULL;
    return true;
}

/* Gives the copy its name. link() refuses to replace a file, which rename()
 * would not; where there are no links, a name that was free a moment ago is. */
static bool publish(struct backup *backup, struct failure *failure)
{
    bool is_named = link(backup->draft, backup->path) == 0;
    if (is_named) {
        unlink(backup->draft);
    } else if (errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS) {
        is_named = access(backup->path, F_OK) != 0 && rename(backup->draft, backup->path) == 0;
    }
    if (!is_named) {
        return failure_say(failure, "cannot name the copy %s: %s", backup->path, strerror(errno));
    }
    backup->is_made = false;
    return directory_sync_of(backup->path) ||
        failure_say(failure, "the copy %s is whole, but a power loss may take its name away: "
            "fsync of its directory failed: %s", backup->path, strerror(errno));
}

enum backup_result backup_step(struct backup *backup, struct failure *failure)
{
    int code = sqlite3_backup_step(backup->work, BACKUP_STEP_PAGES);
    if (code == SQLITE_OK || code == SQLITE_BUSY || code == SQLITE_LOCKED) {
        if (copy_sync(backup)) {
            return BACKUP_MORE;
        }
        say_copy(backup, "fsync failed", failure);
        return BACKUP_FAILED;
    }
    if (code != SQLITE_DONE) {
        say_copy(backup, sqlite3_errstr(code), failure);
        return BACKUP_FAILED;
    }
    return copy_finish(backup, failure) && publish(backup, failure) ? BACKUP_DONE : BACKUP_FAILED;
}

uint64_t backup_bytes(const struct backup *backup)
{
    struct stat facts;
    const char *path = backup->is_made ? backup->draft : backup->path;
    return stat(path, &facts) == 0 ? (uint64_t)facts.st_size : 0;
}

void backup_free(struct backup *backup)
{
    if (backup == NULL) {
        return;
    }
    sqlite3_backup_finish(backup->work);
    sqlite3_close(backup->copy);
    if (backup->is_made) {
        unlink(backup->draft);
    }
    free(backup);
}
