/* The paths that CRDT.UPDATE and CRDT.GET name: `key N field1..fieldN`. */
#ifndef GOSSIPD_CORE_COMMANDS_PATHS_H
#define GOSSIPD_CORE_COMMANDS_PATHS_H

#include "gossipd/core/commands/call.h"

/* Reads the path from argument 1 on; `ret_next` is the argument behind it. Good
 * like that of call_key(). NULL, or the error to reply. */
const char *paths_read(struct call *call, struct crdt_path *ret_path, size_t *ret_next);

/* False when something lives above the path that is not a map: a field there
 * would make a key of two kinds. */
bool paths_is_under_maps(const struct call *call, struct crdt_path path);

#endif
