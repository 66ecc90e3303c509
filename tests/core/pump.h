/* A few cores in one process, driven by hand under virtual time: the smallest
 * host there is. Each node's store, links and signatures are pretended; a test
 * decides when the store answers, what fails and who is cut off. */
#ifndef TESTS_CORE_PUMP_H
#define TESTS_CORE_PUMP_H

#include "gossipd/core/core.h"

#include "tests/support/memory.h"

#define PUMP_NODES_MAX 5
#define PUMP_FEEDS_MAX 32
#define PUMP_DROP_ROWS 3    /* in one answer                                      */

/* An input that is on its way, with all that it points to. */
struct pump_input {
    struct pump_input *next;
    struct core_input input;
    uint64_t due_us;
    size_t node;
    uint8_t *bytes;
    struct core_row *rows;
    struct core_snapshot snapshot;
    uint8_t *tips;
    struct crdt_document *document; /* freed if it never arrives                   */
};

struct pump_node {
    struct core *core;
    struct core_options options;
    struct core_peer peers[PUMP_NODES_MAX];
    struct core_facts facts;
    struct test_memory memory;

    /* The store: rows that are durable, and rows that wait for an answer. */
    struct core_row *rows;
    uint64_t *row_ms;       /* when each was applied                                */
    size_t row_count;
    struct core_row *unstored;
    uint64_t *unstored_ms;
    uint64_t *unstored_numbers; /* 0 as batch: a mark                              */
    size_t unstored_count;
    uint64_t newest_number;
    uint64_t marks[2];
    uint64_t stored_marks[2];
    struct crdt_buffer evidence;        /* of one origin at most, as stored         */
    struct crdt_buffer stored_evidence;
    bool is_store_held;     /* STOREs wait until pump_store()                       */
    bool is_store_failing;
    bool shows_unstored;    /* FETCH gives rows too that are not durable yet        */

    /* The newest snapshot that is whole, and of how many rows it is. */
    struct crdt_buffer snapshot;
    struct crdt_buffer snapshot_tips;
    size_t snapshot_rows;
    bool is_snapshot_failing;
    uint64_t build_us;      /* how long making one takes                            */

    /* The log floor, sorted, and a peer's snapshot on its way. */
    struct crdt_dot floor[PUMP_FEEDS_MAX];
    size_t floor_count;
    struct core_snapshot staged;
    struct crdt_buffer staged_bytes;
    struct crdt_buffer staged_tips;
    uint64_t staged_parts;
    bool is_stage_failing;
    size_t stage_count;     /* parts that were ever staged                          */
    size_t dropped_rows;
    size_t discard_count;

    uint64_t crash_in;      /* outputs until it dies before the last of them; 0: never */
    size_t replayed_rows;   /* at the last start                                   */

    uint64_t links[PUMP_NODES_MAX]; /* to each node; 0: none                        */
    bool is_cut[PUMP_NODES_MAX];
    bool is_bulk_lost;      /* of what this node sends                              */
    bool has_bad_signatures;/* VERIFYs fail                                         */
    uint64_t wall_ahead_ms; /* of the others' clocks                                */

    /* What came out. */
    struct crdt_buffer replies;
    size_t reply_count;
    size_t bulk_count;      /* batches sent                                         */
    size_t sent_count;      /* messages sent                                        */
    size_t sent_kinds[8];   /* of them, by kind                                     */
    size_t closed_clients;
    char backup_path[64];   /* of the newest BACKUP, and who asked for it           */
    uint64_t backup_client;
    size_t closed_links;
    uint64_t newest_closed_link;
    unsigned events[16];    /* by kind                                              */
    struct crdt_buffer event_text;
};

struct pump {
    struct pump_node nodes[PUMP_NODES_MAX];
    size_t node_count;
    uint64_t now_us;
    uint64_t latency_us; /* of links and of the store's reads                       */
    size_t part_bytes;   /* of a stored snapshot; new cores are told of it          */
    uint64_t newest_link;
    struct pump_input *first;
    uint64_t trace; /* a hash over all outputs                                      */
};

/* Opens nodes that are to be linked, with empty stores. */
void pump_open(struct pump *pump, size_t node_count, enum core_durability durability,
    uint64_t seed);
void pump_close(struct pump *pump);

/* Starts a node as a copy of another's directory, of which it cannot tell that it is
 * one: key, generation and rows are the same. */
void pump_clone(struct pump *pump, size_t node, size_t from);

/* One step of one node; its outputs are carried out. */
void pump_step(struct pump *pump, size_t node, const struct core_input *input);
/* Lets time pass: inputs on their way arrive, ticks come when wanted. */
void pump_run(struct pump *pump, uint64_t duration_us);

/* A client's command, words separated by blanks; adds nothing to time. */
void pump_command(struct pump *pump, size_t node, const char *words);
/* What the node replied since the last call, zero-terminated. */
const char *pump_replies(struct pump *pump, size_t node);
/* Forgets older replies, runs a command, and time until its reply is there. */
const char *pump_ask(struct pump *pump, size_t node, const char *words);

/* The held STOREs become durable, or all fail. */
void pump_store(struct pump *pump, size_t node);
void pump_fail_store(struct pump *pump, size_t node, const char *reason);

/* Cuts or heals the line between two nodes; a cut ends the link. */
void pump_cut(struct pump *pump, size_t a, size_t b, bool is_cut);

/* Kills a node, keeps the first `row_count` rows of its store (SIZE_MAX: all)
 * and starts it again. */
void pump_restart(struct pump *pump, size_t node, size_t row_count);
/* Asks a node to stop and lets time pass until it has; pump_restart() starts it. */
void pump_stop(struct pump *pump, size_t node);

/* A message from nowhere on the link that `node` has with `from`. */
void pump_frame(struct pump *pump, size_t node, size_t from, const void *bytes, size_t size);

/* True when CRDT.DIGEST answers alike on all nodes. */
bool pump_is_equal(struct pump *pump);

/* Empties the store of a node that is restarted next; the generation stays noted,
 * as by an operator who lost the database and kept the rest. */
void pump_wipe(struct pump *pump, size_t node);
/* The log floor of a feed. */
uint64_t pump_floor(const struct pump_node *node, const struct crdt_origin *origin);

/* The pretended signature. */
void pump_sign(const uint8_t key[static CRDT_KEY_BYTES], const uint8_t *message, size_t size,
    uint8_t ret_signature[static CORE_SIGNATURE_BYTES]);

#endif
