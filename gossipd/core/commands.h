/* Redis commands on the document: what a client may say and what it is told.
 *
 * Knows clients' sessions, the document and the command table; knows nothing of
 * links, feeds and stores. core.c decides when a reply may leave.
 */
#ifndef GOSSIPD_CORE_COMMANDS_H
#define GOSSIPD_CORE_COMMANDS_H

#include "gossipd/core/core.h"

/* What one client has said so far: MULTI, its name, its transaction queue. */
struct session;

CRDT_MUST_CHECK enum crdt_status session_new(
    const struct crdt_memory *memory, uint64_t client, struct session **ret_session);
void session_free(struct session *session);

/* What commands count, for INFO. */
struct command_stats {
    uint64_t commands;
    uint64_t writes;
    uint64_t errors;
};

/* Which own contributions may be folded (invariant I9), by their seqs. */
struct fold_bounds {
    uint64_t exact_seq;   /* up to this one: every member has them                  */
    uint64_t run_after;   /* behind this one and up to `run_seq`, as a run of their  */
    uint64_t run_seq;     /* own: members that are away lack them                   */
    uint64_t count;       /* contributions that make folding worth it               */
};

/* What a command may touch. Lent for the call by core.c. */
struct command_environment {
    struct crdt_document *document;
    uint64_t wall_ms;
    uint64_t monotonic_us;
    uint64_t started_monotonic_us;
    const struct core_options *options;
    enum core_durability *durability;  /* CONFIG SET durability changes it         */
    uint64_t *random;                  /* the core's generator: random_next()      */
    struct command_stats *stats;
    /* NULL: writes may run; else the error that every write gets before it
     * executes, with its code word ("IOERR ...", "OOM ..."). */
    const char *write_refusal;
    struct fold_bounds folds;
    /* Set to true when a run of its own was folded. NULL: nobody asks. */
    bool *has_folded_run;
    /* Grows whenever another document takes the place of the last one: a cursor of
     * SCAN is a position in one document. */
    uint64_t scan_epoch;
    /* Appends the JSON of CRDT.STATUS, and the lines of INFO's crdt section. */
    enum crdt_status (*status_json)(void *context, struct crdt_buffer *ret_json);
    enum crdt_status (*status_info)(void *context, struct crdt_buffer *ret_lines);
    /* Appends the JSON of CRDT.FORKS; takes the freeze off an origin, NOT_FOUND when
     * there is none. */
    enum crdt_status (*forks_json)(void *context, struct crdt_buffer *ret_json);
    enum crdt_status (*unfreeze)(void *context, const struct crdt_origin *origin);
    void *status_context;
    /* Closes the open batch and hands it to the store; gets status_context.
     * CRDT.DIGEST needs it, for a digest seals, and so does a write for which
     * the open batch has no room. NULL: neither is done. */
    enum crdt_status (*seal)(void *context);
};

struct command_result {
    bool has_written; /* records were made: the reply waits for their batch        */
    bool must_close;  /* QUIT: close the client after the reply                    */
    const struct crdt_bytes *backup; /* CRDT.BACKUP: the absolute path, no reply yet;
                       * one of the arguments. Else NULL                           */
};

/* Runs one command, appends exactly one reply, but for CRDT.BACKUP, which the
 * caller answers when the copy is made. `arguments` has at least one.
 * NOMEM: nothing happened and there is no reply; the caller closes the client. */
CRDT_MUST_CHECK enum crdt_status session_execute(struct session *session,
    const struct command_environment *environment, const struct crdt_bytes *arguments,
    size_t argument_count, struct crdt_buffer *reply, struct command_result *ret_result);

#endif
