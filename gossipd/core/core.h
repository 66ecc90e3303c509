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
    bool is_disk_short;               /* what room there is, the store needs itself */
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
    uint64_t snapshot_bytes;              /* batches between two snapshots; 0: none,
                                           * then nothing is ever dropped either    */
    uint64_t history_ms;                  /* stable batches stay so long; UINT64_MAX: for ever */
    uint64_t log_bytes_max;               /* above, the oldest batches go, stable or not */
    uint64_t unacked_bytes_max;           /* above both together, own ones go that no
                                           * other member has                       */
    uint64_t fold_count;                  /* contributions of a counter that make folding
                                           * worth it; 0: FOLD_COUNT                */
    uint64_t fold_away_us;                /* without an acknowledgement, after which folds
                                           * no longer wait; 0: FOLD_AWAY_US        */
    uint64_t part_bytes;                  /* of a snapshot in the stores of all members, but
                                           * its last; 0: SNAPSHOT_PART_BYTES       */
};

/* A snapshot as its store knows it, without its bytes. `hash`, the last bytes of
 * the snapshot, names it on every node. `tips` prove which operations are in it:
 * wire/tips.h. */
struct core_snapshot {
    uint8_t hash[CRDT_HASH_BYTES];
    uint64_t bytes;
    uint64_t parts;          /* as it lies in the store it comes from: 0 .. parts - 1 */
    struct crdt_bytes tips;
};

enum core_input_kind {
    CORE_REPLAY_FLOOR, /* before all others: `bytes`, the log floor as a summary;
                        * `size`, bytes of the batches that REPLAY will not bring  */
    CORE_REPLAY_SNAPSHOT, /* `bytes` and `snapshot`: the newest one in the store, before
                        * every REPLAY; whether it was taken, core_has_snapshot() says */
    CORE_REPLAY,       /* a stored batch, in order of application, before SERVE    */
    CORE_REPLAY_STAGED, /* `snapshot`: of a peer, `number` parts of it are staged here */
    CORE_REPLAY_EVIDENCE, /* `bytes`: as a STORE_EVIDENCE had them, before SERVE   */
    CORE_SERVE,        /* replay is over: links and commands may come             */
    CORE_TICK,         /* core_deadline_us() has come                              */
    CORE_FRAME,        /* a whole message came on a link                           */
    CORE_LINK_UP,      /* a peer proved its key                                    */
    CORE_LINK_DOWN,
    CORE_COMMAND,      /* a client's command; with `reason` none, but bytes that are not
                        * one: replied in its turn, then CLOSE_CLIENT              */
    CORE_CLIENT_GONE,
    CORE_STORED,       /* STOREs up to `number` are durable                        */
    CORE_STORE_FAILED, /* STORE `number`, and all after it, did not happen         */
    CORE_FETCHED,      /* the answer to a FETCH: rows that follow one another from there */
    CORE_VERIFIED,     /* the answer to a VERIFY                                   */
    CORE_BACKED_UP,    /* the answer to a BACKUP                                   */
    CORE_SNAPSHOT_DONE, /* the answer to a SNAPSHOT: `snapshot` is durable, or none is;
                        * `document` if it was a join                              */
    CORE_DROPPED,      /* the answer to a DROP: `bytes`, the whole floor as a summary,
                        * is durable; `size` bytes of batches are left             */
    CORE_PART,         /* the answer to a FETCH_PART                               */
    CORE_STAGED,       /* the answer to a STAGE                                    */
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
    uint64_t number;       /* STORED, STORE_FAILED; REPLAY_STAGED; id of the answers */
    uint64_t size;         /* REPLAY_FLOOR, DROPPED                                */
    uint64_t seq_behind;   /* FETCHED without rows: where the next row begins, when the one
                            * asked for is missing; 0: there is none               */
    bool is_initiator;     /* LINK_UP: this side dialled                           */
    bool is_ok;            /* of an answer; FETCHED, PART: false when it is gone   */
    bool has_more;         /* DROPPED: this was not all                            */
    bool is_refused;       /* SNAPSHOT_DONE of a join that is not ok: because of what is
                            * staged, not of the disk or of memory                 */
    const struct core_snapshot *snapshot; /* REPLAY_SNAPSHOT, REPLAY_STAGED, SNAPSHOT_DONE */
    struct crdt_document *document;       /* SNAPSHOT_DONE of a join: the core's from now on */
    uint8_t key[CRDT_KEY_BYTES];         /* LINK_UP                                */
    struct crdt_bytes bytes;             /* FRAME, REPLAY_FLOOR, REPLAY_SNAPSHOT,
                                          * DROPPED, PART                          */
    const struct crdt_bytes *arguments;  /* COMMAND                                */
    size_t argument_count;
    const struct core_row *rows;         /* REPLAY: one; FETCHED: in order of seq  */
    size_t row_count;
    const char *reason;                  /* STORE_FAILED, answers, COMMAND: for people */
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
    CORE_SNAPSHOT,   /* make a snapshot of what the store holds once all STOREs put out
                      * before are in it: the newest snapshot and the batches behind
                      * it, loaded and merged aside, with `options`. It fails if less is
                      * in it than the summary in `bytes` says. `is_join`: then
                      * merge the staged snapshot, its tips' signatures and heads
                      * checked, raise the floor to what it brought, and give the
                      * document with the answer. SNAPSHOT_DONE(number) answers when
                      * all of it is durable, in one step. One at a time           */
    CORE_DISCARD,    /* close `document`, where that keeps nobody waiting          */
    CORE_DROP,       /* drop batches as `drop` says, some, in one durable step with
                      * the floor that rises by them. One at a time: DROPPED answers */
    CORE_FETCH_PART, /* read part `value` of the snapshot `head`: PART answers     */
    CORE_STAGE,      /* keep `bytes`, part `value` of `snapshot`, parts before it are
                      * kept already; what is staged of another one goes. STAGED
                      * answers; need not be durable                               */
    CORE_UNSTAGE,    /* forget what is staged                                      */
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
    CORE_EVENT_UNUSABLE,     /* what is stored cannot be served: exit; `text` says */
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
    CORE_EVENT_JOIN,         /* a peer's snapshot is fetched, joined, or refused    */
    CORE_EVENT_LOG,          /* batches were dropped that a member has not, or own ones
                              * that nobody else has: `text` says                   */
};
enum core_level { CORE_INFO, CORE_WARNING, CORE_ALARM };

/* What may be dropped of one feed. */
struct core_drop_feed {
    struct crdt_origin origin;
    uint64_t floor;          /* batches up to it are useless already               */
    uint64_t stable;         /* every member has it up to here                     */
    uint64_t cap;            /* no further: what the newest durable snapshot has, and
                              * of own batches what another member has             */
};

/* What may be dropped of the log. `feeds` are sorted by origin. */
struct core_drop {
    struct core_drop_feed *feeds;
    size_t feed_count;
    uint64_t before_ms;      /* a stable batch goes when it was applied before     */
    uint64_t log_bytes_max;  /* above, any goes that may                           */
};

/* The oldest batch of a feed that is still in the store. */
struct core_drop_head {
    size_t feed;             /* in `feeds`                                         */
    uint64_t place;          /* in the order of application                        */
    uint64_t last_seq;
    uint64_t applied_ms;
};

struct core_output {
    enum core_output_kind kind;
    uint64_t number;          /* STORE and its kin: 1, 2, 3 ...; of questions: their id */
    uint64_t link;            /* SEND, CLOSE_LINK                                  */
    uint64_t client;          /* REPLY, CLOSE_CLIENT, BACKUP                       */
    size_t peer;              /* CONNECT: index into options.peers                 */
    bool is_bulk;             /* SEND: may be dropped when the link's queue is full:
                               * comparison repairs it                             */
    enum core_mark mark;      /* STORE_MARK                                        */
    uint64_t value;           /* STORE_MARK; SNAPSHOT: newest STORE that it covers, 0:
                               * none; FETCH_PART, STAGE: the part                 */
    bool is_join;             /* SNAPSHOT                                          */
    const struct crdt_options *options;    /* SNAPSHOT: to open the document with; its
                               * memory hook may be used by any thread             */
    struct crdt_document *document;        /* DISCARD                              */
    const struct core_drop *drop;          /* DROP                                 */
    const struct core_snapshot *snapshot;  /* STAGE                                */
    struct crdt_dot from;     /* FETCH: the feed, and the first seq wanted         */
    size_t bytes_max;         /* FETCH: stop after the row that reaches this       */
    struct crdt_bytes bytes;  /* STORE: batch; SEND, REPLY; VERIFY: message; STAGE;
                               * SNAPSHOT: the context, as a summary               */
    const char *path;         /* BACKUP: absolute                                  */
    uint8_t key[CRDT_KEY_BYTES];                  /* VERIFY                        */
    uint8_t signature[CORE_SIGNATURE_BYTES];      /* STORE, VERIFY                 */
    struct crdt_origin origin;                    /* STORE_EVIDENCE; STORE: facts, */
    uint64_t first_seq, last_seq;                 /* for the store's columns       */
    uint64_t wall_ms;
    uint8_t previous[CRDT_HASH_BYTES];
    uint8_t head[CRDT_HASH_BYTES];                /* and of a FETCH_PART           */
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

/* Chooses among the oldest batches of feeds, of each one or none, the one to drop
 * next, with `log_bytes` in the log; `count` when none may go. For the host, from
 * any thread: the caller drops it, raises the floor of its feed to its last seq,
 * and asks again. Cost: O(count). */
size_t core_drop_choose(const struct core_drop *drop, const struct core_drop_head *heads,
    size_t count, uint64_t log_bytes);

#define CORE_SIGNED_BYTES (15 + 2 * CRDT_HASH_BYTES)
/* What is signed for a batch of this cluster with this head. */
void core_signed_message(const uint8_t cluster_id[static CRDT_HASH_BYTES],
    const uint8_t head[static CRDT_HASH_BYTES], uint8_t ret_message[static CORE_SIGNED_BYTES]);

/* True when the last REPLAY_SNAPSHOT was taken; else the host offers another one,
 * or all rows. */
bool core_has_snapshot(const struct core *core);
/* True when a REPLAY found no memory: SERVE would say UNUSABLE, whatever comes now. */
bool core_lacks_memory(const struct core *core);

/* For tests and the simulator: the document, read only. */
const struct crdt_document *core_document(const struct core *core);

#endif
