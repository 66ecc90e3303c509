/* The seam: the whole node as one deterministic function.
 *
 *     core_step(core, input, &outputs)
 *
 * Inputs are what happened, outputs are what the host must do, in their order.
 * The same inputs give the same outputs, byte for byte: time comes with the
 * input, randomness from the seed given at the start. The core does no I/O.
 *
 * Memory: input is borrowed for the call. Outputs and all they point to belong
 * to the core and live until the next step.
 *
 * Durability is decided in here: a REPLY or SEND that must not happen before a
 * STORE is durable is put out only after the STORED that says so. The host just
 * executes. It commits STOREs in the order given; STORED(n) covers all up to n.
 */
#ifndef GOSSIPD_CORE_CORE_H
#define GOSSIPD_CORE_CORE_H

#include <crdt.h>

#define CORE_SIGNATURE_BYTES 64
#define CORE_NAME_BYTES 64

enum core_durability { CORE_ALWAYS, CORE_EVERYSEC, CORE_NO };

/* A member of the cluster as the configuration names it. */
struct core_peer {
    char name[CORE_NAME_BYTES];
    uint8_t key[CRDT_KEY_BYTES];
};

/* Signing comes through this table, so that the simulator can use a keyed hash.
 * `message` is what is signed, already prefixed. */
struct core_crypto {
    void (*sign)(void *context, const uint8_t *message, size_t message_bytes,
        uint8_t ret_signature[static CORE_SIGNATURE_BYTES]);
    void *context;
};

/* Numbers that only the host knows; it keeps them current, the core reads them
 * when a command asks (INFO). They are inputs like any other. */
struct core_facts {
    uint64_t used_memory_bytes;       /* held through the counting allocator      */
    uint64_t used_memory_peak_bytes;
    uint64_t used_memory_store_bytes; /* SQLite's own and the cache of batches    */
    uint64_t process_id;
    uint64_t connected_clients;
    uint64_t total_connections;
    uint64_t store_bytes;             /* of the database file and its log         */
};

/* A configuration value for CONFIG GET, text as the operator would write it. */
struct core_setting {
    const char *name;
    const char *value;
};

struct core_options {
    struct crdt_memory memory;
    uint64_t seed;                        /* of the core's generator                */
    char name[CORE_NAME_BYTES];           /* of this node                           */
    uint8_t key[CRDT_KEY_BYTES];          /* of this node                           */
    uint8_t cluster_id[CRDT_HASH_BYTES];
    struct core_crypto crypto;
    enum core_durability durability;
    const struct core_peer *peers;        /* borrowed until core_close              */
    size_t peer_count;
    const struct core_setting *settings;  /* for CONFIG GET; borrowed likewise      */
    size_t setting_count;
    const struct core_facts *facts;       /* borrowed likewise                      */
    uint64_t generation;                  /* the one in the store; 0: none yet      */
    bool is_generation_burnt;             /* mark *ahead* found, or the store moved:
                                           * go on under a new generation           */
    uint64_t maxmemory_bytes;             /* 0: no limit; refuses clients' writes   */
    uint64_t snapshot_bytes;              /* batches between two snapshots; 0: none */
};

enum core_input_kind {
    CORE_REPLAY_SNAPSHOT, /* `bytes`: a stored snapshot, before every REPLAY; whether it
                        * was taken, core_has_snapshot() says                      */
    CORE_REPLAY,       /* a stored batch, in order of application, before SERVE    */
    CORE_REPLAY_EVIDENCE, /* `bytes`: as a STORE_EVIDENCE had them, before SERVE   */
    CORE_SERVE,        /* replay is over: links and commands may come             */
    CORE_TICK,         /* core_deadline_us() has come                              */
    CORE_FRAME,        /* a whole message came on a link                           */
    CORE_LINK_UP,      /* a peer proved its key                                    */
    CORE_LINK_DOWN,
    CORE_COMMAND,      /* a client's command                                       */
    CORE_CLIENT_GONE,
    CORE_STORED,       /* STOREs up to `number` are durable                        */
    CORE_STORE_FAILED, /* STORE `number`, and all after it, did not happen         */
    CORE_FETCHED,      /* the answer to a FETCH                                    */
    CORE_VERIFIED,     /* the answer to a VERIFY                                   */
    CORE_BACKED_UP,    /* the answer to a BACKUP                                   */
    CORE_SNAPSHOT_DONE, /* the answer to a SNAPSHOT: `size` bytes are durable, or not */
    CORE_STOP,         /* reply to what is durable, then EVENT_STOPPED             */
};

/* A stored batch. */
struct core_row {
    struct crdt_bytes batch;
    uint8_t signature[CORE_SIGNATURE_BYTES];
};

struct core_input {
    enum core_input_kind kind;
    uint64_t wall_ms;      /* since 1970; may jump                                 */
    uint64_t monotonic_us; /* never goes back                                      */
    uint64_t link;         /* FRAME, LINK_UP, LINK_DOWN: the host's number, not reused */
    uint64_t client;       /* COMMAND, CLIENT_GONE, BACKED_UP: likewise            */
    uint64_t number;       /* STORED, STORE_FAILED; id of FETCHED, VERIFIED, SNAPSHOT_DONE */
    uint64_t size;         /* SNAPSHOT_DONE                                        */
    bool is_initiator;     /* LINK_UP: this side dialled                           */
    bool is_ok;            /* VERIFIED, BACKED_UP, SNAPSHOT_DONE; FETCHED: false when
                            * the rows are gone                                    */
    uint8_t key[CRDT_KEY_BYTES];         /* LINK_UP                                */
    struct crdt_bytes bytes;             /* FRAME, REPLAY_SNAPSHOT                 */
    const struct crdt_bytes *arguments;  /* COMMAND                                */
    size_t argument_count;
    const struct core_row *rows;         /* REPLAY: one; FETCHED: in order of seq  */
    size_t row_count;
    const char *reason;                  /* STORE_FAILED, BACKED_UP, SNAPSHOT_DONE:
                                          * for people                             */
};

enum core_output_kind {
    CORE_STORE,      /* append a batch; report STORED(number) when durable         */
    CORE_STORE_MARK, /* set a mark in the store, in the same order and numbering   */
    CORE_STORE_EVIDENCE, /* keep `bytes`, wire/evidence.h, in the place of what is kept of
                      * `origin`; no bytes: forget that. Order and numbering likewise */
    CORE_FETCH,      /* read batches of a feed                                     */
    CORE_VERIFY,     /* check a signature                                          */
    CORE_SEND,       /* a message to a link, in order                              */
    CORE_CONNECT,    /* dial a peer, once; LINK_UP or CONNECT's LINK_DOWN answers  */
    CORE_CLOSE_LINK,
    CORE_REPLY,      /* bytes to a client, in order                                */
    CORE_CLOSE_CLIENT, /* after what was replied                                   */
    CORE_BACKUP,     /* copy the store to a new file; BACKED_UP answers. Until then
                      * no COMMAND of this client comes                           */
    CORE_SNAPSHOT,   /* write down the state as of this moment, which is that of all
                      * STOREs put out before; durable only after they are. One at
                      * a time: SNAPSHOT_DONE(number) answers                      */
    CORE_EVENT,      /* what the host logs and counts                              */
};

/* What the store carries beside batches. */
enum core_mark {
    CORE_MARK_AHEAD,      /* value 1: own batches may leave before they are durable;
                           * 0: everything is durable (a clean stop)               */
    CORE_MARK_GENERATION, /* the generation that own batches use                   */
};

enum core_event {
    CORE_EVENT_SERVING,      /* open the client ports                              */
    CORE_EVENT_STOPPED,      /* everything is done: exit                           */
    CORE_EVENT_GENERATION,   /* a new generation began                             */
    CORE_EVENT_MEMBER_UP,
    CORE_EVENT_MEMBER_DOWN,
    CORE_EVENT_DROPPED,      /* something invalid was refused; `text` says why     */
    CORE_EVENT_FORK,         /* an origin signed two histories: alarm              */
    CORE_EVENT_DIVERGED,     /* equal contexts and heads, different digests: alarm */
    CORE_EVENT_CLOCK_AHEAD,  /* a stamp more than 60 s ahead was seen: alarm       */
    CORE_EVENT_STORE_FAILED,
    CORE_EVENT_STORE_BACK,
    CORE_EVENT_SNAPSHOT,     /* one was made, loaded, or could not be: `text` says  */
};
enum core_level { CORE_INFO, CORE_WARNING, CORE_ALARM };

struct core_output {
    enum core_output_kind kind;
    uint64_t number;          /* STORE and its kin: 1, 2, 3 ...; FETCH, VERIFY, SNAPSHOT: id */
    uint64_t link;            /* SEND, CLOSE_LINK                                  */
    uint64_t client;          /* REPLY, CLOSE_CLIENT, BACKUP                       */
    size_t peer;              /* CONNECT: index into options.peers                 */
    bool is_bulk;             /* SEND: may be dropped when the link's queue is full:
                               * comparison repairs it                             */
    enum core_mark mark;      /* STORE_MARK                                        */
    uint64_t value;           /* STORE_MARK; SNAPSHOT: newest STORE that it covers, 0: none */
    struct crdt_dot from;     /* FETCH: the feed, and the first seq wanted         */
    size_t bytes_max;         /* FETCH: stop after the row that reaches this       */
    struct crdt_bytes bytes;  /* STORE: batch; SEND, REPLY; VERIFY: message        */
    const char *path;         /* BACKUP: absolute                                  */
    uint8_t key[CRDT_KEY_BYTES];                  /* VERIFY                        */
    uint8_t signature[CORE_SIGNATURE_BYTES];      /* STORE, VERIFY                 */
    struct crdt_origin origin;                    /* STORE_EVIDENCE; STORE: facts, */
    uint64_t first_seq, last_seq;                 /* for the store's columns       */
    uint64_t wall_ms;
    uint8_t previous[CRDT_HASH_BYTES];
    uint8_t head[CRDT_HASH_BYTES];
    enum core_event event;                        /* EVENT                         */
    enum core_level level;
    const char *text;                             /* EVENT: key=value fields       */
};

struct core_outputs {
    const struct core_output *items;
    size_t count;
};

struct core;

/* Makes a core that waits for REPLAY or SERVE. NOMEM only. */
CRDT_MUST_CHECK enum crdt_status core_open(
    const struct core_options *options, struct core **ret_core);
void core_close(struct core *core);

/* The one call. Never fails: what goes wrong is an output. */
void core_step(struct core *core, const struct core_input *input, struct core_outputs *ret_outputs);

/* When the core wants its next TICK, on the monotonic clock; now or earlier
 * means: as soon as the inputs at hand are in. UINT64_MAX: never. */
uint64_t core_deadline_us(const struct core *core);

/* What STORED has to mean for the STOREs of the last step: CONFIG SET changes
 * it, and the host asks before it hands them to the store. */
enum core_durability core_durability(const struct core *core);

#define CORE_SIGNED_BYTES (15 + 2 * CRDT_HASH_BYTES)
/* What is signed for a batch of this cluster with this head. */
void core_signed_message(const uint8_t cluster_id[static CRDT_HASH_BYTES],
    const uint8_t head[static CRDT_HASH_BYTES], uint8_t ret_message[static CORE_SIGNED_BYTES]);

/* Appends the state for the CORE_SNAPSHOT at hand: for the host, before the next
 * step. It reads and seals nothing, so a forked copy of the process may do it. */
CRDT_MUST_CHECK enum crdt_status core_snapshot(
    struct core *core, struct crdt_buffer *ret_snapshot);
/* True when the last REPLAY_SNAPSHOT was taken; else the host offers another one,
 * or all rows. */
bool core_has_snapshot(const struct core *core);

/* For tests and the simulator: the document, read only. */
const struct crdt_document *core_document(const struct core *core);

#endif
