/* Whether a failure speaks against the store, or only of the moment: lack of memory, a
 * disk that cannot be read, and a file in use say nothing about its bytes, and nobody
 * has to restore a backup for them. See verify.h. */
#ifndef GOSSIPD_HOST_VERIFY_FAULT_H
#define GOSSIPD_HOST_VERIFY_FAULT_H

#include "gossipd/host/log.h"

/* True when this code of SQLite's says nothing about the bytes in the file;
 * `ret_why` says what it is and what to do. */
bool verify_fault_passes(int code, struct failure *ret_why);
/* The same for a line of PRAGMA integrity_check, which tells some of those as if
 * they were damage. */
bool verify_fault_line_passes(const char *line, struct failure *ret_why);

#define VERIFY_MEMORY "out of memory: the whole state must fit, so free some, lift the limit, or " \
    "copy the file to a machine with more and verify it there; nothing is said about the store"

#endif
