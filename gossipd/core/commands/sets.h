/* Moves on sets at any path, shared by the set commands and CRDT.UPDATE. */
#ifndef GOSSIPD_CORE_COMMANDS_SETS_H
#define GOSSIPD_CORE_COMMANDS_SETS_H

#include "gossipd/core/commands/call.h"

/* Adds the arguments from `first` on; present ones anew. Replies how many were
 * absent, or WRONGTYPE. */
CRDT_MUST_CHECK enum crdt_status sets_add_at(
    struct call *call, struct crdt_path path, size_t first);
/* Removes them. Replies how many were present, or WRONGTYPE. */
CRDT_MUST_CHECK enum crdt_status sets_remove_at(
    struct call *call, struct crdt_path path, size_t first);

#endif
