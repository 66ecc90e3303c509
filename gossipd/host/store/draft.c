/* A buffer in a file. See draft.h. */
#include "gossipd/host/store/draft.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
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

int draft_open(const char *store_path)
{
    char path[PATH_MAX];
    int size = snprintf(path, sizeof path, "%s.snapshot", store_path);
    if (size < 0 || (size_t)size >= sizeof path) {
        return -1;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0) {
        unlink(path);
    }
    return fd;
}
