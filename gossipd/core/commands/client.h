/* What a client says of itself. */
#ifndef GOSSIPD_CORE_COMMANDS_CLIENT_H
#define GOSSIPD_CORE_COMMANDS_CLIENT_H

#include <crdt.h>

#include "gossipd/limits.h"

/* Keeps a copy, zero-terminated. NULL, or the error why it may not: a name is
 * shown in the lines of CLIENT LIST, so it must not break them. */
const char *client_name_set(char name[static CLIENT_NAME_BYTES_MAX + 1], struct crdt_bytes bytes);

#endif
