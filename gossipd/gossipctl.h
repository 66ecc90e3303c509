/* What the files of gossipctl share: the request, exit codes, the question to a
 * node. */
#ifndef GOSSIPD_GOSSIPCTL_H
#define GOSSIPD_GOSSIPCTL_H

#include <stdbool.h>

#define ANSWER_SECONDS 5 /* a node that serves answers in milliseconds          */

enum exit_code {
    EXIT_DONE = 0,
    EXIT_NOT = 1,       /* failed, or not converged                             */
    EXIT_NO_ANSWER = 2,
    EXIT_SOME_DOWN = 3, /* converged with the members that answer               */
    EXIT_USAGE = 64,
};

/* What the command line says. */
struct request {
    const char *socket;
    const char *address;
    const char *dir;
    const char *operand; /* the file or directory behind the command            */
    const char *operand_second;
    bool is_json;
};

enum exit_code say_usage(const char *text);

/* What the node replies to a command, as text that the caller frees. Otherwise
 * says why: NOT after an error reply, which `refused` introduces, else NO_ANSWER. */
enum exit_code ask(const struct request *request, int seconds, const char *refused,
    int count, const char **words, char **ret_text);

/* gossipctl_status.c: NOT until every member is equal to the node that answers. */
enum exit_code command_status(const struct request *request);

/* gossipctl_forks.c: the forks that a running node knows, or with --dir the proofs
 * in the store of a stopped one. NOT when there are any. */
enum exit_code command_forks(const struct request *request);
enum exit_code command_unfreeze(const struct request *request);

#endif
