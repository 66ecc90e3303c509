/* One command being run: what every command's function gets, and the few moves
 * that all of them share. */
#ifndef GOSSIPD_CORE_COMMANDS_CALL_H
#define GOSSIPD_CORE_COMMANDS_CALL_H

#include "gossipd/core/commands.h"

/* The types of a Redis string, and everything else, as bits of crdt_types(). */
#define TYPE_BIT(type) (1u << (type))
#define TYPES_STRING (TYPE_BIT(CRDT_REGISTER) | TYPE_BIT(CRDT_COUNTER))
#define TYPES_SET TYPE_BIT(CRDT_SET)
#define TYPES_HASH TYPE_BIT(CRDT_MAP)

/* The writes of one command, or of all commands between MULTI and EXEC. */
struct unit {
    struct crdt_transaction *transaction; /* NULL until the first write            */
    bool has_written;
};

struct command;

struct call {
    struct session *session;
    const struct command_environment *environment;
    const struct command *command;
    const struct crdt_bytes *arguments; /* [0] is the name                         */
    size_t argument_count;
    struct crdt_buffer *reply;
    struct unit *unit;
    bool must_close;
    const struct crdt_bytes *backup;    /* see struct command_result               */
    struct crdt_bytes keys[CRDT_DEPTH_MAX]; /* of the path that call_key() gave    */
};

/* Runs a command: appends exactly one reply, an error included, and returns OK.
 * Any other status takes the whole unit and the reply back (session.c). What a
 * command refuses it refuses before its first write. */
typedef enum crdt_status command_function(struct call *call);

/* Where all data lives: FLUSHALL removes this path. */
struct crdt_path call_data(struct call *call);
/* The path of the Redis key in argument `index`; good until the next one. */
struct crdt_path call_key(struct call *call, size_t index);
/* The path of the field in argument `index`, below the key in argument 1. */
struct crdt_path call_field(struct call *call, size_t index);
/* The types alive at a path. */
unsigned call_types(const struct call *call, struct crdt_path path);

/* The transaction of the unit, begun when this is its first write. */
CRDT_MUST_CHECK enum crdt_status call_write(
    struct call *call, struct crdt_transaction **ret_transaction);

/* Removes what lives at the path of each argument from `first` on, replies how
 * many of them there were. */
CRDT_MUST_CHECK enum crdt_status call_remove_each(
    struct call *call, size_t first, struct crdt_path (*path_of)(struct call *, size_t));

/* Replies an error and counts it. */
CRDT_MUST_CHECK enum crdt_status call_error(struct call *call, const char *text);
CRDT_MUST_CHECK enum crdt_status call_syntax_error(struct call *call);
CRDT_MUST_CHECK enum crdt_status call_wrong_type(struct call *call);
CRDT_MUST_CHECK enum crdt_status call_not_integer(struct call *call);
CRDT_MUST_CHECK enum crdt_status call_arity_error(struct call *call);
CRDT_MUST_CHECK enum crdt_status call_ok(struct call *call);

/* True when types are alive there, but none of those that are wanted: only
 * concurrent writes make a key of two kinds, and then each kind works. */
bool types_are_wrong(unsigned types, unsigned wanted);

/* Compares ASCII without case; `lower` is lower case. */
bool word_is(struct crdt_bytes word, const char *lower);
/* The same for argument `index`. */
bool argument_is(const struct call *call, size_t index, const char *lower);

#endif
