/* Values of the configuration that other commands show. */
#ifndef GOSSIPD_CORE_COMMANDS_CONFIG_H
#define GOSSIPD_CORE_COMMANDS_CONFIG_H

#include "gossipd/core/commands/call.h"

/* The current durability as the configuration writes it. */
const char *config_durability(const struct call *call);
/* The setting of that name, or NULL. */
const char *config_setting(const struct call *call, const char *name);

#endif
