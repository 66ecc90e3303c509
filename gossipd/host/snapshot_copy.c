/* The state on its way to the disk. See snapshot_copy.h. */
#include "gossipd/host/snapshot_copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gossipd/host/clock.h"
#include "gossipd/host/loop.h"

/* How the copy ends. */
enum { EXIT_WRITTEN = 0, EXIT_REFUSED = 1, EXIT_NO_ROOM = 2 };

/* ---- The copy -------------------------------------------------------------- */

/* The buffer that the snapshot is written to is the file, mapped: it takes pages
 * of the file instead of memory, and its room is set aside before it is touched,
 * for a page that the disk has no room for would end the copy without a word. */
struct draft {
    int fd;
    bool is_full;
};

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

/* The lock on the directory, the client ports and the store belong to the daemon
 * alone: a copy that outlives it must not hold them. */
static void close_others(int kept)
{
    DIR *stream = opendir("/proc/self/fd");
    if (stream == NULL) {
        for (int fd = 3; fd < (int)sysconf(_SC_OPEN_MAX); fd++) {
            if (fd != kept) {
                close(fd);
            }
        }
        return;
    }
    for (struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
        int fd = atoi(entry->d_name);
        if (fd > 2 && fd != kept && fd != dirfd(stream)) {
            close(fd);
        }
    }
    closedir(stream);
}

/* What the copy does: no lock but the heap's own is taken here, which the C
 * library keeps usable, since other threads may have held any. */
static int write_draft(struct core *core, int fd)
{
    struct draft draft = {.fd = fd};
    struct crdt_memory memory = {.reallocate = draft_reallocate, .context = &draft};
    struct crdt_buffer buffer;
    close_others(fd);
    crdt_buffer_init(&buffer, &memory);
    if (core_snapshot(core, &buffer) != CRDT_OK) {
        return draft.is_full ? EXIT_NO_ROOM : EXIT_REFUSED;
    }
    return ftruncate(fd, (off_t)buffer.size) == 0 ? EXIT_WRITTEN : EXIT_NO_ROOM;
}

/* ---- The daemon ------------------------------------------------------------ */

static void answer_failed(struct loop *loop, uint64_t number, const char *reason)
{
    /* Deferred inputs point to what outlives them. */
    const struct core_input input = {
        .kind = CORE_SNAPSHOT_DONE, .number = number, .reason = reason};
    if (loop->is_stepping) {
        loop_defer(loop, &input);
    } else {
        struct core_input now = input;
        loop_input(loop, &now);
    }
}

/* Makes a file and takes its name away: whatever happens, nothing is left. */
static int draft_open(const struct loop *loop)
{
    char path[sizeof loop->store_path + 16];
    snprintf(path, sizeof path, "%s.snapshot", loop->store_path);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0) {
        unlink(path);
    }
    return fd;
}

static const char *exit_reason(int status)
{
    if (WIFSIGNALED(status)) {
        return "the process that wrote it was killed, maybe for lack of memory";
    }
    return WEXITSTATUS(status) == EXIT_NO_ROOM ? "the disk is full"
                                               : "out of memory, or the state is in no order";
}

static void on_exit_of_copy(struct ev_loop *ev, ev_child *watcher, int events)
{
    (void)events;
    struct loop *loop = watcher->data;
    struct snapshot *snapshot = &loop->snapshot;
    struct stat facts;
    int status = watcher->rstatus;
    ev_child_stop(ev, watcher);
    snapshot->is_running = false;
    bool is_written = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_WRITTEN &&
        fstat(snapshot->fd, &facts) == 0;
    if (!is_written) {
        close(snapshot->fd);
        answer_failed(loop, snapshot->number, exit_reason(status));
        return;
    }
    log_write(CORE_INFO, "snapshot-written", "bytes=%lld ms=%" PRIu64, (long long)facts.st_size,
        (clock_monotonic_us() - snapshot->begun_us) / 1000);
    struct import *import = import_new(
        &loop->memory_store, snapshot->number, snapshot->fd, (uint64_t)facts.st_size);
    if (import == NULL || !store_import(loop->store, import)) {
        import_free(import);
        answer_failed(loop, snapshot->number, "out of memory");
    }
}

static void watch(struct loop *loop, pid_t pid)
{
    struct snapshot *snapshot = &loop->snapshot;
    snapshot->pid = pid;
    snapshot->is_running = true;
    ev_child_init(&snapshot->watcher, on_exit_of_copy, pid, 0);
    snapshot->watcher.data = loop;
    ev_child_start(loop->ev, &snapshot->watcher);
    log_write(CORE_INFO, "snapshot-begun", "pid=%ld pause_us=%" PRIu64, (long)pid,
        clock_monotonic_us() - snapshot->begun_us);
}

void snapshot_begin(struct loop *loop, const struct core_output *output)
{
    struct snapshot *snapshot = &loop->snapshot;
    snapshot->begun_us = clock_monotonic_us();
    snapshot->number = output->number;
    snapshot->fd = draft_open(loop);
    if (snapshot->fd < 0) {
        answer_failed(loop, output->number, "cannot make a file beside the store");
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(write_draft(loop->core, snapshot->fd));
    }
    if (pid < 0) {
        close(snapshot->fd);
        answer_failed(loop, output->number, "the system has no room for another process");
        return;
    }
    watch(loop, pid);
    if (!store_append(loop->store, output, core_durability(loop->core))) {
        loop_die_of_memory();
    }
}

void snapshot_close(struct loop *loop)
{
    struct snapshot *snapshot = &loop->snapshot;
    if (!snapshot->is_running) {
        return;
    }
    ev_child_stop(loop->ev, &snapshot->watcher);
    kill(snapshot->pid, SIGKILL);
    waitpid(snapshot->pid, NULL, 0);
    close(snapshot->fd);
    snapshot->is_running = false;
}
