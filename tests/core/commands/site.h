/* One replica with one client: what tests of commands talk to. */
#ifndef TESTS_CORE_COMMANDS_SITE_H
#define TESTS_CORE_COMMANDS_SITE_H

#include "gossipd/core/commands.h"
#include "tests/support/documents.h"
#include "tests/support/memory.h"
#include "tests/support/runner.h"

struct site {
    struct crdt_document *document;
    struct session *session;
    struct core_options options;
    struct core_facts facts;
    struct command_environment environment;
    struct command_stats stats;
    struct command_result result;   /* of the last command                         */
    enum core_durability durability;
    uint64_t random;
    struct crdt_buffer reply;       /* to the last command, zero-terminated        */
    struct test_memory memory;      /* of the document and the session             */
    unsigned seals;
};

/* A site whose replica has the key 32 times `key` and generation `key`. */
void site_open(struct site *site, uint8_t key);
void site_close(struct site *site);

/* Runs a command written as an inline one; its reply, literally. */
const char *site_say(struct site *site, const char *command);
/* Runs a command given as arguments; the status of session_execute(). */
enum crdt_status site_execute(
    struct site *site, const struct crdt_bytes *arguments, size_t argument_count);

/* Brings each all that the other has. */
void site_sync(struct site *a, struct site *b);

/* A command and its whole reply. A macro, so that Check reports the line. */
#define SAYS(site, command, reply) ck_assert_str_eq(site_say((site), (command)), (reply))
/* A command whose reply contains a text. */
#define SAYS_PART(site, command, part)                                                             \
    ck_assert_msg(strstr(site_say((site), (command)), (part)) != NULL, "no %s in %s", (part),      \
        (const char *)(site)->reply.data)

#endif
