/* The data directory. See directory.h. */

/* statx() alone tells the time of birth, and glibc declares it for GNU only. */
#define _GNU_SOURCE
#include "gossipd/host/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MACHINE_FILE "/etc/machine-id"
#define MACHINE_BYTES 64

/* A power loss must not take the new directory away with all that is acknowledged in
 * it. One that cannot be made durable goes again, or the next start would believe in it. */
static bool made_sync(const char *dir, struct failure *failure)
{
    char path[PATH_MAX];
    size_t size = (size_t)snprintf(path, sizeof path, "%s", dir);
    while (size > 1 && size < sizeof path && path[size - 1] == '/') {
        path[--size] = '\0';
    }
    if (directory_sync_of(path)) {
        return true;
    }
    failure_say(failure, "cannot make durable that the directory %s is there: fsync of its "
        "parent failed: %s; check the disk, and that this user may read the parent", dir,
        strerror(errno));
    rmdir(dir);
    return false;
}

bool directory_make(const char *dir, struct failure *failure)
{
    if (mkdir(dir, 0700) == 0) {
        return made_sync(dir, failure);
    }
    return errno == EEXIST ||
        failure_say(failure, "cannot make the directory %s: %s; make its parent first, or set "
            "`dir` to a place that this user may write", dir, strerror(errno));
}

static bool lock_refused(int fd, const char *dir, struct failure *failure)
{
    char owner[32] = "";
    ssize_t size = pread(fd, owner, sizeof owner - 1, 0);
    owner[size > 0 ? size : 0] = '\0';
    owner[strcspn(owner, "\n")] = '\0';
    return failure_say(failure, "another gossipd (pid %s) uses %s: stop it, or give this one "
        "another `dir`", owner[0] != '\0' ? owner : "unknown", dir);
}

bool directory_lock(const char *dir, int *ret_fd, struct failure *failure)
{
    char path[PATH_MAX];
    int size = snprintf(path, sizeof path, "%s/lock", dir);
    if (size < 0 || (size_t)size >= sizeof path) {
        return failure_say(failure, "the path %s/lock is too long: choose a shorter `dir`", dir);
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return failure_say(failure, "cannot open %s: %s", path, strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        bool is_in_use = errno == EWOULDBLOCK;
        (void)(is_in_use ? lock_refused(fd, dir, failure)
                         : failure_say(failure, "cannot lock %s: %s", path, strerror(errno)));
        close(fd);
        return false;
    }
    char owner[32];
    int owner_bytes = snprintf(owner, sizeof owner, "%ld\n", (long)getpid());
    /* The process id only serves the message above: on a full disk the lock
     * holds without it. */
    if (ftruncate(fd, 0) != 0 || pwrite(fd, owner, (size_t)owner_bytes, 0) != owner_bytes) {
        log_write(CORE_WARNING, "lock-unnamed", "path=%s error=\"%s\"", path, strerror(errno));
    }
    *ret_fd = fd;
    return true;
}

bool directory_sync_of(const char *path)
{
    char dir[PATH_MAX];
    snprintf(dir, sizeof dir, "%s", path);
    char *slash = strrchr(dir, '/');
    if (slash != NULL) {
        slash[slash == dir ? 1 : 0] = '\0';
    }
    int fd = open(slash != NULL ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    int error = fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP ? 0 : errno;
    close(fd);
    errno = error;
    return error == 0;
}

static void machine_read(char ret_machine[static MACHINE_BYTES])
{
    ret_machine[0] = '\0';
    int fd = open(MACHINE_FILE, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    ssize_t size = read(fd, ret_machine, MACHINE_BYTES - 1);
    close(fd);
    ret_machine[size > 0 ? size : 0] = '\0';
    ret_machine[strcspn(ret_machine, " \n")] = '\0';
}

bool residence_text(
    const char *path, char ret_text[static RESIDENCE_BYTES], struct failure *failure)
{
    char machine[MACHINE_BYTES];
    struct statx facts;
    machine_read(machine);
    if (statx(AT_FDCWD, path, 0, STATX_INO | STATX_BTIME, &facts) != 0) {
        return failure_say(failure, "cannot look at %s: %s", path, strerror(errno));
    }
    bool has_birth = (facts.stx_mask & STATX_BTIME) != 0;
    snprintf(ret_text, RESIDENCE_BYTES,
        "machine=%s device=%" PRIu32 ":%" PRIu32 " inode=%" PRIu64 " born=%" PRId64 ".%09" PRIu32,
        machine, (uint32_t)facts.stx_dev_major, (uint32_t)facts.stx_dev_minor,
        (uint64_t)facts.stx_ino, has_birth ? (int64_t)facts.stx_btime.tv_sec : 0,
        has_birth ? (uint32_t)facts.stx_btime.tv_nsec : 0);
    return true;
}
