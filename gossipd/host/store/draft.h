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

/* Opens an empty file beside `store_path` without a name, so that nothing is left of
 * it whatever happens, and no other file is touched; -1 when it cannot be made. */
int draft_open(const char *store_path);

/* Once the buffer is closed: cuts the file to `bytes` and makes it durable. Not for a
 * power loss, after which nobody finds it, but because a page that cannot be written
 * may come back as zeros, and only an fsync tells. False, with `errno` set: what is in
 * it is not to be used. */
bool draft_finish(const struct draft *draft, uint64_t bytes);

#endif
