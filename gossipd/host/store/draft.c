/* A buffer in a file. See draft.h. */

/* glibc declares O_TMPFILE and mkostemp() for GNU only. */
#define _GNU_SOURCE
#include "gossipd/host/store/draft.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Room is set aside before it is touched, for a page that the disk has no room
 * for would end the process without a word. */
static void *draft_reallocate(void *context, void *block, size_t old_bytes, size_t new_bytes)
{
    struct draft *draft = context;
    void *moved = NULL;
    if (new_bytes > 0) {
        if (new_bytes > old_bytes && posix_fallocate(draft->fd, 0, (off_t)new_bytes) != 0) {
            draft->is_full = true;
            return NULL;
        }
        moved = mmap(NULL, new_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, draft->fd, 0);
        if (moved == MAP_FAILED) {
            return NULL;
        }
    }
    if (block != NULL) {
        munmap(block, old_bytes);
    }
    return moved;
}

struct crdt_memory draft_hook(struct draft *draft)
{
    return (struct crdt_memory){.reallocate = draft_reallocate, .context = draft};
}

bool draft_finish(const struct draft *draft, uint64_t bytes)
{
    return ftruncate(draft->fd, (off_t)bytes) == 0 && fsync(draft->fd) == 0;
}

/* Opens a file in the directory of `store_path` that never had a name. Not every file
 * system can. */
static int open_nameless(const char *store_path)
{
    char dir[PATH_MAX];
    int size = snprintf(dir, sizeof dir, "%s", store_path);
    char *slash = size > 0 && (size_t)size < sizeof dir ? strrchr(dir, '/') : NULL;
    if (slash != NULL) {
        slash[slash == dir ? 1 : 0] = '\0';
    }
    return open(slash != NULL ? dir : ".", O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
}

/* Where each file has a name: one that nobody else has, for the time between two
 * calls. A process that is killed between them leaves an empty file. */
static int open_unnamed(const char *store_path)
{
    char path[PATH_MAX];
    int size = snprintf(path, sizeof path, "%s.draft-XXXXXX", store_path);
    if (size < 0 || (size_t)size >= sizeof path) {
        return -1;
    }
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0) {
        unlink(path);
    }
    return fd;
}

int draft_open(const char *store_path)
{
    int fd = open_nameless(store_path);
    return fd >= 0 ? fd : open_unnamed(store_path);
}
