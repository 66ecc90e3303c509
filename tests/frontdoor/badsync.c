/* A disk whose fsync fails once: preloaded into gossipd, it takes the file named
 * by BAD_SYNC away, if it is there, and lets the sync at hand fail with EIO. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int sync_or_fail(const char *name, int fd)
{
    const char *path = getenv("BAD_SYNC");
    if (path != NULL && unlink(path) == 0) {
        errno = EIO;
        return -1;
    }
    int (*real)(int) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, name);
    return real(fd);
}

int fsync(int fd)
{
    return sync_or_fail("fsync", fd);
}

int fdatasync(int fd)
{
    return sync_or_fail("fdatasync", fd);
}
