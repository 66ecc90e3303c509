/* What one client has said so far. */
#ifndef GOSSIPD_CORE_COMMANDS_SESSION_H
#define GOSSIPD_CORE_COMMANDS_SESSION_H

#include "gossipd/core/commands/call.h"
#include "gossipd/core/commands/queue.h"
#include "gossipd/limits.h"

struct session {
    struct crdt_memory memory;
    uint64_t client;
    char name[CLIENT_NAME_BYTES_MAX + 1];            /* CLIENT SETNAME             */
    char library_name[CLIENT_NAME_BYTES_MAX + 1];    /* CLIENT SETINFO             */
    char library_version[CLIENT_NAME_BYTES_MAX + 1];
    bool is_queueing;    /* between MULTI and EXEC                                 */
    bool is_queue_spoiled; /* a command was refused there: EXEC will refuse        */
    struct queue queue;
};

/* The error that commands with these flags get now before they run, or NULL. */
const char *session_refusal(const struct command_environment *environment, unsigned flags);

#endif
