/* A buffer whose memory is a file: what is large and goes to a file anyway takes
 * pages of the file instead of memory. */
#ifndef GOSSIPD_HOST_DRAFT_H
#define GOSSIPD_HOST_DRAFT_H

#include <crdt.h>

struct draft {
    int fd;
    bool is_full; /* the disk had no room                                         */
};

/* For exactly one buffer. */
struct crdt_memory draft_hook(struct draft *draft);

/* Opens an empty file beside `store_path` and takes its name away, so that nothing
 * is left of it whatever happens; -1 when it cannot be made. */
int draft_open(const char *store_path);

#endif
