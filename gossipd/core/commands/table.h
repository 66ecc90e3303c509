/* The one list of commands: dispatch, arity, flags, COMMAND all read it. */
#ifndef GOSSIPD_CORE_COMMANDS_TABLE_H
#define GOSSIPD_CORE_COMMANDS_TABLE_H

#include "gossipd/core/commands/call.h"

enum command_flag {
    COMMAND_WRITE = 1 << 0,
    COMMAND_READONLY = 1 << 1,
    COMMAND_DENYOOM = 1 << 2,  /* may grow memory: refused above maxmemory         */
    COMMAND_ADMIN = 1 << 3,
    COMMAND_FAST = 1 << 4,
    COMMAND_NO_AUTH = 1 << 5,
    COMMAND_AT_ONCE = 1 << 6,  /* runs between MULTI and EXEC instead of queueing  */
};
#define COMMAND_FLAG_COUNT 7

struct command {
    const char *name;  /* lower case; of a subcommand with its parent: "config|get" */
    command_function *run;
    int arity;         /* arguments with the name; negative: at least so many      */
    unsigned flags;
    int first_key;     /* 0: none                                                  */
    int last_key;      /* negative: counted from the end                           */
    int key_step;
    const struct command *subcommands; /* NULL: none                               */
    size_t subcommand_count;
};

/* The command of that name, case ignored, or NULL. */
const struct command *table_find(struct crdt_bytes name);
/* The one of `command` whose name behind the '|' is `name`, or NULL. */
const struct command *table_find_subcommand(
    const struct command *command, struct crdt_bytes name);

/* All of them, sorted by name. */
size_t table_count(void);
const struct command *table_at(size_t index);

#endif
