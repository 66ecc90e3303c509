/* Makes a data directory out of a backup. */
#ifndef GOSSIPD_HOST_RESTORE_H
#define GOSSIPD_HOST_RESTORE_H

#include "gossipd/host/store/verify.h"

/* Verifies the backup `file` and copies it to DIR/store.db, marked so that the
 * next start begins a new generation: operations made after the backup may be
 * with peers, and their dots must not be used again. DIR is made, or holds
 * nothing but node.key; `ret_has_key`: it does. */
enum verify_result restore_store(const char *file, const char *dir,
    void (*progress)(void *context, uint64_t done, uint64_t total), void *context,
    struct verify_report *ret_report, bool *ret_has_key, struct failure *failure);

#endif
