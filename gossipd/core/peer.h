/* The members of the cluster as this node sees them: the link to each, its last
 * word, and what it is known to have.
 *
 *     state:  DOWN --link--> UP --link lost--> SUSPECT --5 s--> DOWN
 *                             ^-----link---------'
 *
 * Per feed a peer has a cursor: the greatest seq that it said it has or that
 * was sent to it on this link. Nothing at or below the cursor is sent, until a
 * probe shows that it was lost: a COMPARE carries a number, and a SUMMARY given
 * after everything before that COMPARE was handled repeats it. */
#ifndef GOSSIPD_CORE_PEER_H
#define GOSSIPD_CORE_PEER_H

#include "gossipd/core/core.h"
#include "gossipd/core/vector.h"
#include "gossipd/limits.h"

enum peer_state { PEER_DOWN, PEER_UP, PEER_SUSPECT };

struct peer {
    const struct core_peer *member; /* as configured                                */
    enum peer_state state;
    uint64_t since_us;        /* in this state                                      */
    bool is_announced;        /* the host was told that it is up                    */
    uint64_t dial_us;         /* no link: when to dial next                         */

    /* The link; all of it begins anew with each. */
    uint64_t link;            /* 0: none                                            */
    bool is_initiator;        /* this side dialled                                  */
    uint64_t linked_us;       /* since when this link                               */
    uint64_t heard_us;        /* last frame                                         */
    uint64_t heartbeat_us;    /* next COMPARE                                       */
    uint64_t compared_version;/* of the document at the last COMPARE sent           */
    uint64_t acked_version;   /* of what is durable at the last ACK sent            */
    bool has_summary;         /* it has said on this link what it has               */
    bool must_summarize;      /* owes it a SUMMARY once its batches are verified    */
    size_t verifying_count;   /* its batches whose signature is being checked       */
    uint64_t proof_us;        /* when the state was last proved equal               */
    uint64_t heads_us;        /* when HEADS were last owed to it, on any link       */
    size_t heads_index;       /* of the header that the next HEADS begin with       */
    bool owes_proofs;         /* it is to be told of the proofs of forks, from the first on */
    uint64_t proofs_told;     /* number of the last one that was told               */
    uint64_t told_us;         /* when                                               */
    uint64_t proofs_us;       /* when this second's telling began                   */
    size_t proofs_bytes;      /* told in it                                         */
    bool owes_heads;          /* HEADS go to it as soon as all headers are at hand  */
    uint64_t heard_probe;     /* of its last COMPARE                                */
    uint64_t probe;           /* newest one sent                                    */
    uint64_t probe_us;        /* when it was begun                                  */
    bool is_probing;          /* it is not answered                                 */

    /* Serving: one round goes once through the feeds. */
    bool is_serving;
    bool is_below_floor;      /* it was, when the round began                       */
    uint64_t fetch_id;        /* that is awaited; 0: none                           */
    struct crdt_dot fetch_from; /* that it asked for                                */
    size_t feeds_left;        /* to visit in this round                             */
    size_t feed_index;        /* at hand; the next round goes on from here          */
    size_t feed_bytes_left;   /* for the feed at hand                               */
    bool has_served;          /* in this round                                      */

    /* Below the log floor it is offered a snapshot, and asks for its parts. */
    bool is_offered;          /* on this link                                       */
    uint64_t offered_us;      /* when last                                          */
    uint64_t asks[JOIN_ASKS_MAX]; /* parts that it waits for, in its order          */
    size_t ask_count;
    uint8_t ask_hash[CRDT_HASH_BYTES]; /* of which snapshot                          */
    uint64_t part_id;         /* of the FETCH_PART for the first of them; 0: not out */

    /* A transfer outlives a link: who is back soon goes on with it. */
    bool is_transferring;     /* it has asked, and not been sent the last part      */
    uint64_t asked_us;        /* when last                                          */

    /* What it offered was refused, once all of it was here: */
    unsigned blames;          /* so often, one after the other                      */
    uint64_t blamed_until_us; /* nothing is taken of it before                      */

    /* What it has. `said` is for serving and lag, `acked` for folding. */
    bool has_word;            /* its last COMPARE:                                  */
    uint8_t context[CRDT_HASH_BYTES];
    uint8_t heads[CRDT_HASH_BYTES];
    struct vector said;       /* SUMMARY, ACK, equal COMPARE, its own batches       */
    struct vector acked;      /* durable there                                      */
    struct vector sent;       /* on this link                                       */
    struct vector probed;     /* `sent` when the probe began                        */
    struct vector resent;     /* where sending last began again, plus one           */
    struct vector resent_us;  /* when                                               */
    struct vector advanced_us;/* when `said` last grew                              */
    struct vector lacked;     /* goal: what it said it has beyond what is here      */
    struct vector lacked_us;  /* since when                                         */
    bool has_ack_to_use;      /* `acked` waits for its own feeds to be applied here */
    uint64_t fold_seq;        /* own ops that it has acknowledged, of `fold_generation` */
    uint64_t fold_generation;
    uint64_t silent_us;       /* since when it acknowledges nothing of what it might */
    bool is_fold_away;        /* for long enough                                    */
    uint64_t run_after;       /* then: own ops behind this one fold as a run        */
    uint64_t folded_after;    /* runs folded while it was away have own ops between */
    uint64_t folded_seq;      /* these two; 0: none                                 */
};

void peer_init(struct peer *peer, const struct core_peer *member,
    const struct crdt_memory *memory);
void peer_close(struct peer *peer);

/* Begins a link, or replaces the one there was. */
void peer_link_up(struct peer *peer, uint64_t link, bool is_initiator, uint64_t now_us);
/* Ends it; the member becomes suspect. */
void peer_link_down(struct peer *peer, uint64_t now_us);

/* The cursor of a feed. */
uint64_t peer_cursor(const struct peer *peer, const struct crdt_origin *origin);
/* Remembers that the feed was sent up to `seq`. */
CRDT_MUST_CHECK enum crdt_status peer_sent(
    struct peer *peer, const struct crdt_origin *origin, uint64_t seq);
/* The peer has the feed up to `seq` at least. */
CRDT_MUST_CHECK enum crdt_status peer_has(
    struct peer *peer, const struct crdt_origin *origin, uint64_t seq, uint64_t now_us);
/* Forgets feeds of which the peer has taken back all that it said. */
void peer_forget_unsaid(struct peer *peer);
/* The number for a COMPARE that is sent now. */
uint64_t peer_probe(struct peer *peer, uint64_t now_us);
/* Takes the cursors of feeds back to what the peer said, or holds, where what
 * was sent before its answer's probe was lost; at once while that helps, else
 * after a while. `held` is the peer's. */
void peer_take_answer(
    struct peer *peer, uint64_t probe, const struct vector *held, uint64_t now_us);

/* Watches what the peer has said it has and the document lacks; returns since
 * when the oldest such thing is known, UINT64_MAX when nothing is lacking. */
uint64_t peer_lacking_since(
    struct peer *peer, const struct crdt_document *document, uint64_t now_us);

/* Operations that the peer has and the document lacks, and the reverse. */
uint64_t peer_missing_here(const struct peer *peer, const struct crdt_document *document);
uint64_t peer_missing_there(const struct peer *peer, const struct crdt_document *document);

/* What is known of the peer's own disk has come; it is `acked` already. */
void peer_take_ack(struct peer *peer, uint64_t now_us);
/* Takes up an acknowledgement as soon as the peer's own feeds are applied here
 * as far as it reaches; then returns what the peer is known to have of this
 * node's operations (invariant I9). */
uint64_t peer_acknowledged(
    struct peer *peer, const struct crdt_document *document, uint64_t now_us);
/* Watches for how long the peer acknowledges nothing; true when it has just become
 * away for folding, after `away_us`. The run begins here, so looks a second apart make it begin a
 * second late at most. */
bool peer_watch_acks(struct peer *peer, const struct crdt_document *document, uint64_t now_us,
    uint64_t away_us);
/* A run with own operations behind `after`, up to `seq`, was folded without it. */
void peer_folded_run(struct peer *peer, uint64_t after, uint64_t seq);
/* True when who had seen own operations up to `seq` may have a part only of what was
 * folded: less than the peer has acknowledged, or a part of a run. */
bool peer_is_fold_torn(
    const struct peer *peer, const struct crdt_document *document, uint64_t seq);

#endif
