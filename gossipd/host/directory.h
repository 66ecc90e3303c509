/* The data directory: made, owned by one gossipd at a time, and recognised when
 * a copy of it turns up elsewhere. */
#ifndef GOSSIPD_HOST_DIRECTORY_H
#define GOSSIPD_HOST_DIRECTORY_H

#include "gossipd/host/log.h"

/* Makes `dir` (0700), durably, unless it exists; its parent must. */
bool directory_make(const char *dir, struct failure *failure);

/* Takes DIR/lock for this process. `ret_fd` holds it until closed. A directory
 * in use is refused with the process id of its owner. */
bool directory_lock(const char *dir, int *ret_fd, struct failure *failure);

/* Makes durable that a file with this path is there. False, with `errno` set: a power
 * loss may take it away. A file system that cannot do this is believed to need none. */
bool directory_sync_of(const char *path);

#define RESIDENCE_BYTES 256
/* Says where a file lives: machine, device, inode, time of birth. Another text
 * than before means that this is a copy, whose original may still be writing. */
bool residence_text(
    const char *path, char ret_text[static RESIDENCE_BYTES], struct failure *failure);

#endif
