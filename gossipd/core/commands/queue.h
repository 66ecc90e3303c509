/* The commands between MULTI and EXEC, copied. */
#ifndef GOSSIPD_CORE_COMMANDS_QUEUE_H
#define GOSSIPD_CORE_COMMANDS_QUEUE_H

#include <crdt.h>

struct command;

struct queue {
    struct crdt_buffer bytes;      /* a head, sizes and arguments per command      */
    struct crdt_bytes *arguments;  /* of the command that queue_next() gave        */
    size_t argument_capacity;
    size_t argument_max;           /* of any command in it                         */
    size_t count;
    unsigned flags;                /* of all its commands together                 */
};

void queue_init(struct queue *queue, const struct crdt_memory *memory);
/* Empties it and gives its memory back. */
void queue_close(struct queue *queue);

/* Copies a command to the end. LIMIT above QUEUE_BYTES_MAX; NOMEM; either
 * leaves the queue as it was. */
CRDT_MUST_CHECK enum crdt_status queue_push(struct queue *queue, const struct command *command,
    const struct crdt_bytes *arguments, size_t argument_count);

/* Makes queue_next() unable to fail. */
CRDT_MUST_CHECK enum crdt_status queue_prepare(struct queue *queue);
/* Gives the command at `*offset`, 0 at first, and moves on; NULL at the end.
 * The arguments live until the next call. */
const struct command *queue_next(struct queue *queue, size_t *offset,
    const struct crdt_bytes **ret_arguments, size_t *ret_argument_count);

#endif
