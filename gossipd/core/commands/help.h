/* Replies of the HELP subcommands. */
#ifndef GOSSIPD_CORE_COMMANDS_HELP_H
#define GOSSIPD_CORE_COMMANDS_HELP_H

#include "gossipd/core/commands/call.h"

/* Replies the lines, which end with a NULL. */
CRDT_MUST_CHECK enum crdt_status help_reply(struct call *call, const char *const *lines);

#endif
