/* The inside of the core, for the files that make the decisions.
 *
 * Two kinds of files stand in this folder. Parts (outputs, vector, held,
 * journal, pending, peer, clients, fields, headers, proofs) hold one thing each
 * and know nothing of one another but held, outputs and vector. Deciders (core,
 * replay, own, generation, receive, forks, tell, freeze, vouch, links, sync, serve,
 * perform, snapshots, drop, offer, join, source, swap, status) see all parts through
 * this header and are called by core.c or by one another:
 *
 *     core      dispatches inputs; time
 *     replay    what the store holds comes in, or the node does not serve
 *     perform   a client's command and its reply
 *     own       closing, signing, sending own batches; what is durable; stopping
 *     generation  under which number own batches go (invariant I1)
 *     receive   a peer's batch: checked, verified, applied or pending
 *     forks     who signed two histories: found, proved
 *     tell      evidence of that: kept, stored, told to all
 *     freeze    what follows for such an origin
 *     vouch     what is still taken of it
 *     links     who is linked; heartbeats; dialling
 *     sync      the words on a link: compare, summary, acknowledgement
 *     serve     what a peer lacks is sent to it
 *     snapshots when the state is written down, so that a restart need not replay all
 *     drop      which batches may be dropped from the store: the log floor
 *     offer     a peer below the floor is offered a snapshot and sent its parts
 *     join      a peer's snapshot: taken, fetched, staged
 *     source    whom it is taken of
 *     swap      the document with that snapshot in it: caught up, put in place
 *     status    what is told about all this
 */
#ifndef GOSSIPD_CORE_MACHINE_H
#define GOSSIPD_CORE_MACHINE_H

#include "gossipd/core/clients.h"
#include "gossipd/core/commands.h"
#include "gossipd/core/core.h"
#include "gossipd/core/fields.h"
#include "gossipd/core/headers.h"
#include "gossipd/core/held.h"
#include "gossipd/core/journal.h"
#include "gossipd/core/outputs.h"
#include "gossipd/core/peer.h"
#include "gossipd/core/pending.h"
#include "gossipd/core/proofs.h"
#include "gossipd/core/status.h"
#include "gossipd/core/vector.h"
#include "gossipd/limits.h"
#include "gossipd/wire/message.h"

enum phase {
    PHASE_REPLAYING, /* the store comes in                                          */
    PHASE_OPENING,   /* SERVE has come, memory was out: tried again                 */
    PHASE_WAITING,   /* for a peer's word on this node's own operations             */
    PHASE_SERVING,
    PHASE_STOPPING,
    PHASE_STOPPED,
};

/* Has the store the durable mark *ahead* (invariant I1)? */
enum ahead { AHEAD_CLEAR, AHEAD_ASKED, AHEAD_SET, AHEAD_CLEARING };

/* Why something was refused; counted, and an event at most once a second. */
enum refusal {
    REFUSED_MALFORMED,
    REFUSED_VERSION,
    REFUSED_SIGNATURE,
    REFUSED_ORIGIN,
    REFUSED_LINK,
    REFUSED_MEMORY,
    REFUSED_FULL,
    REFUSED_REPLAY,
    REFUSED_COUNT,
};

/* The way of a peer's snapshot into the document (invariant I7).
 *
 *     NONE --OFFER--> FETCHING --all staged--> READY --SNAPSHOT--> BUILDING
 *      ^                 |                      ^                     |
 *      |<--gone, lied----'                      |<----failed----------'
 *      |                                        |                     v
 *      '--swapped-- CATCHING_UP <---------------+----------------- TAKING
 *                                        its tail overflowed
 *
 * Up to BUILDING nothing has happened; from TAKING on it is durable. */
enum join_state {
    JOIN_NONE,
    JOIN_FETCHING,
    JOIN_READY,
    JOIN_BUILDING,
    JOIN_TAKING,      /* what is durable by it is being noted                       */
    JOIN_CATCHING_UP, /* batches that came meanwhile are being merged               */
};

struct join {
    enum join_state state;
    struct core_snapshot snapshot; /* as offered; its tips are in `tips`            */
    struct crdt_buffer tips;
    struct crdt_dot own_tip;  /* of it, whose signature is being checked            */
    uint64_t own_tip_id;      /* of that VERIFY; 0: none                            */
    uint64_t own_tip_link;    /* that showed it                                     */

    /* FETCHING; parts come, are staged and are asked for in their order. */
    uint64_t link;            /* to the peer that is asked; 0: none                 */
    uint64_t asked;           /* parts                                              */
    uint64_t received;
    uint64_t staged;
    uint64_t first_stage_id;  /* answers to older ones are about something else     */
    uint64_t moved_us;        /* when the last part came                            */
    struct peer *source;      /* that was last asked; NULL: nobody in this life     */
    uint64_t source_us;       /* since when                                         */
    uint64_t source_first;    /* the first part asked of it                         */
    unsigned patience;        /* how often one was too slow: doubles what is given  */

    /* READY, BUILDING */
    uint64_t ready_us;
    uint64_t retry_us;        /* not before                                         */
    unsigned failures;
    uint64_t number;          /* newest STORE that its SNAPSHOT covers              */
    struct vector raised;     /* the floor where the snapshot passes what is here   */

    /* From BUILDING on: durable batches of later STOREs, in their order. */
    struct held *tail_first;
    struct held *tail_last;
    size_t tail_bytes;
    bool is_tail_lost;        /* it became too large                                */
    struct crdt_document *document; /* TAKING, CATCHING_UP                          */
    bool is_own_forked;       /* own batches contradict what the snapshot brought   */
    bool is_durable;          /* the snapshot is in the newest one here, and the floor with
                               * it: the document has to follow                     */
};

struct core {
    struct core_options options;
    struct crdt_document *document;
    struct outputs outputs;
    struct journal journal;
    struct pending pending;
    struct clients clients;
    struct peer *peers;              /* options.peer_count                          */
    enum phase phase;
    enum core_durability durability;
    uint64_t now_us;                 /* of this step                                */
    uint64_t wall_ms;
    uint64_t started_us;
    uint64_t random;
    uint64_t retry_us;               /* something lacked memory; UINT64_MAX: nothing */
    bool is_replay_short;            /* memory was out: not all of the store is here */

    /* own, generation */
    enum ahead ahead;
    uint64_t closed_us;              /* when an own batch was last closed           */
    struct vector settled;           /* `durable` at the newest own batch in it     */
    uint64_t swapped_ordinal;        /* newest own batch at the last swap           */
    uint64_t waiting_until_us;       /* WAITING: no longer than this                */
    bool has_waited_for_proof;       /* of what a peer said: once more as long      */
    bool is_generation_burnt;
    uint64_t previous_generation;    /* before the present one; 0: none or not known */
    char write_refusal[EVENT_TEXT_BYTES];

    /* The document as comparison sees it: `version` grows with every change of C. */
    uint64_t version;
    uint64_t changed_us;
    uint64_t durable_version;        /* grows with every STORED                     */
    uint64_t digest_version;         /* that `digest` is of                         */
    struct crdt_digest digest;
    struct fold_bounds folds;
    bool is_fold_stale;

    /* receive */
    struct held *verifying_first;    /* by verify_id                                */
    struct held *verifying_last;
    size_t verifying_bytes;
    uint64_t newest_verify_id;
    uint64_t clocks_ahead;           /* batches with a stamp far ahead, ever        */
    uint64_t clock_ahead_us;         /* of the last event about that                */
    uint64_t lesser_batches;         /* that may have torn something folded          */

    /* forks, freeze */
    struct headers headers;
    struct proofs proofs;
    struct held *proving;            /* headers to be compared with the store, oldest first */
    size_t proving_count;
    struct held *seen;               /* that contradict nothing yet, newest first   */
    size_t seen_count;
    uint64_t forks_fetch_id;         /* that is awaited; 0: none                    */
    bool is_collecting;              /* it is for a header that HEADS lack          */
    size_t collect_index;            /* of the feed to look at next                 */
    bool has_vouched;                /* more of a frozen origin may be applied      */
    uint64_t forks;                  /* ever                                        */
    uint64_t forked_us;              /* last alarm without a proof                  */

    /* snapshots */
    bool has_snapshot;               /* the last REPLAY_SNAPSHOT was taken           */
    bool is_snapshot_on;             /* SNAPSHOT is out, its answer is awaited       */
    bool is_snapshot_join;           /* it is one with the staged snapshot in it     */
    struct crdt_options build_options; /* of that SNAPSHOT                          */
    uint64_t newest_snapshot_id;
    struct core_snapshot newest;     /* durable; `bytes` 0: none, or not known       */
    struct crdt_buffer newest_tips;
    struct vector newest_context;    /* of it                                        */
    bool must_snapshot;              /* there is one that is not known               */
    uint64_t snapshots;              /* made in this life                            */
    uint64_t tail_bytes;             /* batches that a restart would replay          */
    uint64_t tail_bytes_covered;     /* of them, by the one that is on               */
    uint64_t snapshot_retry_us;      /* not before                                   */

    /* drop */
    struct vector floor;             /* batches up to it are gone from the store     */
    struct vector gaps;              /* batches up to it are not all in the store, though
                                      * they should; the newest snapshot has them    */
    uint64_t log_bytes;              /* of the batches in the store                  */
    uint64_t floor_raised;           /* operations below it, by drops in this life   */
    struct core_drop drop;           /* that is out, or the last one                 */
    size_t drop_capacity;
    bool is_drop_on;                 /* DROP is out, its answer is awaited           */
    bool is_drop_desperate;          /* own batches go that nobody else has          */
    bool is_drop_capped;             /* own ones stay because nobody acknowledged them, */
    bool was_drop_capped;            /* and did so when that was last looked at      */
    uint64_t newest_drop_id;
    uint64_t drop_us;                /* when to look next                            */
    bool has_told_lacking;           /* of a member that lacks what was dropped:     */
    uint64_t told_lacking_us;        /* last event                                   */
    bool has_told_unacked;           /* of own batches that nobody else has:         */
    uint64_t told_unacked_us;

    /* offer */
    uint64_t newest_part_id;
    uint64_t part_us;                /* when the next part may leave                 */
    size_t part_turn;                /* of which peer                                */
    uint64_t transfers_served;
    bool has_told_unofferable;       /* of a snapshot that no message can offer:     */
    uint64_t told_unofferable_us;    /* last event                                   */

    /* join, swap */
    struct join join;
    uint64_t newest_stage_id;
    uint64_t joins;                  /* in this life                                 */
    uint64_t scan_epoch;             /* cursors of SCAN belong to a document         */

    uint64_t newest_fetch_id;
    struct crdt_buffer scratch;      /* a message being made                        */
    struct crdt_buffer reply;
    struct crdt_buffer summary;
    struct crdt_buffer held;
    struct vector claims;
    struct command_stats stats;
    uint64_t refusals[REFUSED_COUNT];
    uint64_t refused_us[REFUSED_COUNT];
};

/* ---- core.c ---- */

void core_event(struct core *core, enum core_event event, enum core_level level,
    const struct fields *fields);
/* Counts a refusal; `peer` may be NULL. */
void core_refuse(struct core *core, enum refusal refusal, const struct peer *peer);
/* Memory was out: wants a TICK soon. */
void core_retry_soon(struct core *core);
/* WAITING or SERVING: links live. */
bool core_is_running(const struct core *core);
/* For a document in the place of the present one; another hash seed each time. */
struct crdt_options core_document_options(struct core *core);
/* Puts the document of a snapshot in the place of the empty one. On failure that
 * is as it was. */
CRDT_MUST_CHECK enum crdt_status core_load(struct core *core, struct crdt_bytes snapshot);
/* C has changed. */
void core_changed(struct core *core);
/* The peer of that key, or of that link; NULL when there is none. */
struct peer *core_peer_by_key(struct core *core, const uint8_t key[static CRDT_KEY_BYTES]);
struct peer *core_peer_by_link(struct core *core, uint64_t link);
/* The name of the member with that key, this node included; NULL: not a member. */
const char *core_member_name(struct core *core, const uint8_t key[static CRDT_KEY_BYTES]);

/* ---- own.c ---- */

/* When the open batch may be closed; UINT64_MAX when there is none. */
uint64_t own_due_us(const struct core *core);
/* Closes the open batch, if there is one, and puts it on its way. Whoever asks
 * the document for its digest calls this first, or its bytes would be lost. */
CRDT_MUST_CHECK enum crdt_status own_close(struct core *core);
/* The name of the newest own batch, open or closed. */
uint64_t own_ordinal(const struct core *core);
/* Appends a mark to the journal. NOMEM. */
CRDT_MUST_CHECK enum crdt_status own_mark(
    struct core *core, enum core_mark mark, uint64_t value);
void own_stored(struct core *core, uint64_t number);
void own_store_failed(struct core *core, uint64_t number, const char *reason);
void own_retry_store(struct core *core);
/* STOPPING: does what is left to do. */
void own_go_on_stopping(struct core *core);

/* ---- generation.c ---- */

/* At the end of replay: names the generation. NOMEM: call again. */
CRDT_MUST_CHECK enum crdt_status generation_continue(struct core *core);
/* Names a new one. NOMEM and LIMIT: nothing changed. */
CRDT_MUST_CHECK enum crdt_status generation_begin(struct core *core, const char *cause);
/* Names on `document` the generation that the present one writes under. */
CRDT_MUST_CHECK enum crdt_status generation_name(
    const struct core *core, struct crdt_document *document);
/* A peer says, rightly or not, that it has own operations that are not here. */
bool generation_is_doubted(const struct core *core);
/* A peer confirms that all it knows of this node is here; no linked one may say more. */
bool generation_is_confirmed(const struct core *core);

/* ---- replay.c ---- */

void replay_take(struct core *core, const struct core_input *input);
/* False when some of what was acknowledged is not in the document, which is told of. */
bool replay_is_whole(struct core *core);

/* ---- receive.c ---- */

/* By which held.peers names it. */
uint64_t receive_bit_of(const struct core *core, const struct peer *peer);
void receive_batch(struct core *core, struct peer *peer, struct crdt_bytes bytes,
    const uint8_t signature[static CORE_SIGNATURE_BYTES]);
/* A header without its batch: its signature is checked, then forks_verified(). */
void receive_header(struct core *core, struct peer *peer, const struct tip *tip);
void receive_verified(struct core *core, uint64_t id, bool is_ok);
/* Puts out a VERIFY, numbered newest_verify_id; false when memory is out. */
bool receive_ask_to_verify(struct core *core, const struct crdt_batch *batch,
    const uint8_t signature[static CORE_SIGNATURE_BYTES]);
/* Applies what was waiting and may be applied now. */
void receive_retry(struct core *core);
void receive_close(struct core *core);

/* ---- forks.c ---- */

/* A verified batch contradicts what is here. Takes it over. */
void forks_contradicted(struct core *core, struct held *held);
/* A verified batch that has to wait contradicts one that waits. */
void forks_waits(
    struct core *core, const struct held *waiting, const struct held *held);
/* The signature of a header is good. Takes it over. */
void forks_verified(struct core *core, struct held *held);
void forks_take_heads(struct core *core, struct peer *peer, struct crdt_bytes tips);
/* Shows the peer what is followed here, once in PROOF_US; it will answer likewise. */
void forks_ask(struct core *core, struct peer *peer);
/* After each step: has proofs told, asks the store for what is needed, sends what is owed. */
void forks_go_on(struct core *core);
/* False when the answer is somebody else's. */
bool forks_fetched(struct core *core, const struct core_input *input);
void forks_replay(struct core *core, struct crdt_bytes evidence);
void forks_close(struct core *core);

/* ---- tell.c ---- */

/* Takes a copy of evidence: two headers that contradict, or one alone. */
void tell_record(struct core *core, const struct tip *here, const struct tip *other);
/* A batch contradicts, and its header is too large to be kept: an alarm, seldom. */
void tell_oversized(struct core *core, const struct tip *tip);
/* Sends HEADS; false when memory is out. */
bool tell_tips(
    struct core *core, const struct peer *peer, const struct tip *tips, size_t count);
/* Appends evidence about the origin to the journal; no bytes: what is stored of it
 * goes. NOMEM. */
CRDT_MUST_CHECK enum crdt_status tell_store(
    struct core *core, const struct crdt_origin *origin, struct crdt_bytes evidence);
/* After each step: tells every peer what it has not been told. */
void tell_go_on(struct core *core);

/* ---- freeze.c ---- */

/* After each step: leaves a forked generation, notes what was applied of others. */
void freeze_go_on(struct core *core);
/* True when an origin with this key is frozen. */
bool freeze_is_member(const struct core *core, const uint8_t key[static CRDT_KEY_BYTES]);
/* Forgets the evidence about an origin; `context` is the core. NOT_FOUND, NOMEM. */
CRDT_MUST_CHECK enum crdt_status freeze_lift(
    void *context, const struct crdt_origin *origin);

/* ---- vouch.c ---- */

/* False for a batch of a frozen origin that nobody vouches for. */
bool freeze_may_apply(const struct core *core, const struct held *held);
/* A verified batch waits for others: lets those of frozen origins in that it names, or
 * notes what else is missing. */
void freeze_vouch(struct core *core, struct held *held);

/* ---- links.c ---- */

void links_up(struct core *core, const struct core_input *input);
void links_down(struct core *core, uint64_t link);
/* Ends a link from this side. */
void links_close(struct core *core, struct peer *peer);
void links_tick(struct core *core);
uint64_t links_due_us(const struct core *core);

/* ---- sync.c ---- */

void sync_frame(struct core *core, const struct core_input *input);
/* Batches of this peer have been handled: answers what waited for that. */
void sync_caught_up(struct core *core, struct peer *peer);
/* The three words; what lacks memory is said again with a later heartbeat. */
void sync_compare(struct core *core, struct peer *peer);
void sync_summarize(struct core *core, struct peer *peer, bool is_reply);
void sync_acknowledge(struct core *core, struct peer *peer);
/* Makes `core->digest` current; false when memory is out. */
bool sync_digest(struct core *core);
/* True when the peer's last word equals what is here, all of it closed. */
bool sync_is_equal(const struct core *core, const struct peer *peer);
/* Sends a message; false, and counted, when memory is out. */
bool sync_send(
    struct core *core, const struct peer *peer, const struct message *message, bool is_bulk);

/* ---- serve.c ---- */

/* Begins a round, unless one is on. */
void serve_round(struct core *core, struct peer *peer);
void serve_fetched(struct core *core, const struct core_input *input);
/* Offers an own batch, which may now be sent, to all who are waiting for it. */
void serve_own(struct core *core, struct held *held);

/* ---- snapshots.c ---- */

/* A batch was stored, or replayed. */
void snapshots_count(struct core *core, size_t batch_bytes);
/* After each step: asks for a snapshot when one is due. */
void snapshots_go_on(struct core *core);
uint64_t snapshots_due_us(const struct core *core);
/* Puts SNAPSHOT out; false when that is not possible now. */
bool snapshots_ask(struct core *core, bool is_join);
void snapshots_replay(struct core *core, const struct core_input *input);
void snapshots_done(struct core *core, const struct core_input *input);

/* ---- drop.c ---- */

void drop_replay(struct core *core, const struct core_input *input);
/* True when all that is below the floor is in the document. */
bool drop_is_floor_covered(const struct core *core);
/* The feed up to `seq` is below the floor. NOMEM. */
CRDT_MUST_CHECK enum crdt_status drop_raise_floor(
    struct core *core, const struct crdt_origin *origin, uint64_t seq);
/* True when batches are kept because this peer has not acknowledged them. */
bool drop_is_blocked_by(const struct core *core, const struct peer *peer);
/* At the end of replay: tells of feeds below the floor that are no member's. */
void drop_serve(struct core *core);
/* After each step: asks for a drop when one is due. */
void drop_go_on(struct core *core);
uint64_t drop_due_us(const struct core *core);
void drop_done(struct core *core, const struct core_input *input);
void drop_close(struct core *core);

/* ---- offer.c ---- */

/* True when the peer is below the floor, and so gets no batches in rounds; it is
 * offered a snapshot, unless it was just now. */
bool offer_instead(struct core *core, struct peer *peer);
void offer_asked(struct core *core, struct peer *peer, const struct message_ask *ask);
void offer_fetched(struct core *core, const struct core_input *input);
/* Fetches the next part that was asked for, when its time has come. */
void offer_go_on(struct core *core);
uint64_t offer_due_us(const struct core *core);
/* Until when the newest snapshot is being fetched by peers, as it looks now; 0
 * when it is not. */
uint64_t offer_busy_until_us(const struct core *core);

/* ---- join.c ---- */

void join_open(struct core *core);
void join_close(struct core *core);
void join_replay(struct core *core, const struct core_input *input);
/* At the end of replay: what is staged may be known by now. */
void join_serve(struct core *core);
void join_offered(struct core *core, struct peer *peer, const struct message_offer *offer);
/* The answer to a VERIFY that was about a tip; false when it was about a batch. */
bool join_verified(struct core *core, uint64_t id, bool is_ok);
void join_take_part(struct core *core, struct peer *peer, const struct message_part *part);
void join_staged(struct core *core, const struct core_input *input);
/* After each step: asks for the join when all is staged. */
void join_go_on(struct core *core);
void join_tick(struct core *core);
uint64_t join_due_us(const struct core *core);
/* Ends a transfer or a join; what is staged is forgotten. */
void join_end(struct core *core);
/* Ends it because of what was fetched: its source is passed over for a while, and its
 * tips are looked into for a fork (invariant I7). */
void join_refuse(struct core *core);

/* ---- swap.c ---- */

/* A batch or mark that has become durable: kept for the join, or freed. */
void swap_keep(struct core *core, struct held *held);
void swap_begin(struct core *core);
/* The answer to its SNAPSHOT. */
void swap_built(struct core *core, const struct core_input *input);
/* The next step of catching up, or the swap. */
void swap_go_on(struct core *core);
void swap_drop_tail(struct core *core);
/* Gives a document back. */
void swap_discard(struct core *core, struct crdt_document *document);

/* ---- perform.c ---- */

void perform_command(struct core *core, const struct core_input *input);
/* Replies to the client of a BACKUP. */
void perform_backed_up(struct core *core, const struct core_input *input);

#endif
