/* The state on its way to the disk. A copy of the process, made by fork(), has
 * the state of one moment for nothing; it writes it to a file without a name and
 * ends, while this process goes on. Then the store takes the file in. */
#ifndef GOSSIPD_HOST_SNAPSHOT_COPY_H
#define GOSSIPD_HOST_SNAPSHOT_COPY_H

#include <ev.h>

#include "gossipd/core/core.h"

struct loop;

/* The copy that is at work; all zeros: none. */
struct snapshot {
    ev_child watcher;
    bool is_running;
    pid_t pid;
    int fd;
    uint64_t number;
    uint64_t begun_us;
};

/* Carries out a CORE_SNAPSHOT; the answer comes as an input. */
void snapshot_begin(struct loop *loop, const struct core_output *output);
/* Ends the copy, if one is at work. */
void snapshot_close(struct loop *loop);

#endif
