#include "gossipd/core/peer.h"

#include "gossipd/limits.h"

#include <assert.h>
#include <string.h>

void peer_init(struct peer *peer, const struct core_peer *member, const struct crdt_memory *memory)
{
    *peer = (struct peer){.member = member, .state = PEER_DOWN};
    struct vector *vectors[] = {&peer->said, &peer->acked, &peer->sent,
        &peer->probed, &peer->resent, &peer->resent_us, &peer->advanced_us, &peer->lacked,
        &peer->lacked_us};
    for (size_t index = 0; index < sizeof vectors / sizeof *vectors; index++)
        vector_init(vectors[index], memory);
}

void peer_close(struct peer *peer)
{
    struct vector *vectors[] = {&peer->said, &peer->acked, &peer->sent,
        &peer->probed, &peer->resent, &peer->resent_us, &peer->advanced_us, &peer->lacked,
        &peer->lacked_us};
    for (size_t index = 0; index < sizeof vectors / sizeof *vectors; index++)
        vector_close(vectors[index]);
}

/* What was sent and asked on a link means nothing on the next one. What the
 * peer said stays until its first summary, for the status. */
static void forget_link(struct peer *peer)
{
    peer->link = 0;
    peer->has_summary = false;
    peer->must_summarize = false;
    peer->verifying_count = 0;
    peer->is_serving = false;
    peer->fetch_id = 0;
    peer->has_served = false;
    peer->has_word = false;
    peer->heard_probe = 0;
    peer->is_probing = false;
    peer->is_offered = false;
    peer->ask_count = 0;
    peer->part_id = 0;
    vector_clear(&peer->sent);
    vector_clear(&peer->probed);
    vector_clear(&peer->resent);
    vector_clear(&peer->resent_us);
    vector_clear(&peer->advanced_us);
}

void peer_link_up(struct peer *peer, uint64_t link, bool is_initiator, uint64_t now_us)
{
    assert(link != 0);
    forget_link(peer);
    peer->link = link;
    peer->is_initiator = is_initiator;
    peer->linked_us = now_us;
    peer->heard_us = now_us;
    peer->heartbeat_us = now_us + HEARTBEAT_US;
    peer->compared_version = UINT64_MAX;
    peer->acked_version = UINT64_MAX;
    if (peer->state != PEER_UP) {
        peer->state = PEER_UP;
        peer->since_us = now_us;
    }
}

void peer_link_down(struct peer *peer, uint64_t now_us)
{
    assert(peer->link != 0);
    forget_link(peer);
    peer->state = PEER_SUSPECT;
    peer->since_us = now_us;
}

uint64_t peer_cursor(const struct peer *peer, const struct crdt_origin *origin)
{
    uint64_t said = vector_get(&peer->said, origin);
    uint64_t sent = vector_get(&peer->sent, origin);
    return said > sent ? said : sent;
}

enum crdt_status peer_sent(struct peer *peer, const struct crdt_origin *origin, uint64_t seq)
{
    if (seq <= vector_get(&peer->sent, origin))
        return CRDT_OK;
    return vector_set(&peer->sent, origin, seq);
}

enum crdt_status peer_has(
    struct peer *peer, const struct crdt_origin *origin, uint64_t seq, uint64_t now_us)
{
    uint64_t said = vector_get(&peer->said, origin);
    /* More origins than there can be are not kept: some of them are not true. */
    if (seq <= said || (said == 0 && peer->said.count >= CRDT_ORIGINS_MAX))
        return CRDT_OK;
    enum crdt_status status = vector_set(&peer->advanced_us, origin, now_us);
    if (status != CRDT_OK)
        return status;
    return vector_set(&peer->said, origin, seq);
}

void peer_forget_unsaid(struct peer *peer)
{
    vector_drop_zeros(&peer->said);
    vector_retain(&peer->advanced_us, &peer->said);
    vector_retain(&peer->lacked, &peer->said);
    vector_retain(&peer->lacked_us, &peer->said);
}

uint64_t peer_probe(struct peer *peer, uint64_t now_us)
{
    /* One probe at a time; one whose answer is lost is given up. */
    if (peer->is_probing && now_us - peer->probe_us < RESEND_US)
        return peer->probe;
    if (vector_copy(&peer->probed, &peer->sent) != CRDT_OK)
        return peer->probe;
    peer->probe++;
    peer->probe_us = now_us;
    peer->is_probing = true;
    return peer->probe;
}

/* Begins sending anew behind `seq`. What did not help the last time is tried
 * again only after a while: it may be refused there for good. */
static void send_again(
    struct peer *peer, const struct crdt_origin *origin, uint64_t seq, uint64_t now_us)
{
    bool is_same_place = vector_get(&peer->resent, origin) == seq + 1;
    if (is_same_place && now_us - vector_get(&peer->resent_us, origin) < RESEND_US)
        return;
    if (vector_set(&peer->resent, origin, seq + 1) != CRDT_OK
        || vector_set(&peer->resent_us, origin, now_us) != CRDT_OK)
        return;
    vector_update(&peer->sent, origin, seq);
}

void peer_take_answer(
    struct peer *peer, uint64_t probe, const struct vector *held, uint64_t now_us)
{
    if (!peer->is_probing || probe != peer->probe)
        return;
    peer->is_probing = false;
    for (size_t index = 0; index < peer->probed.count; index++) {
        const struct crdt_dot *probed = &peer->probed.items[index];
        uint64_t there = vector_get(&peer->said, &probed->origin);
        uint64_t holds = vector_get(held, &probed->origin);
        if (holds > there)
            there = holds;
        if (there < probed->seq)
            send_again(peer, &probed->origin, there, now_us);
    }
}

uint64_t peer_lacking_since(
    struct peer *peer, const struct crdt_document *document, uint64_t now_us)
{
    uint64_t oldest_us = UINT64_MAX;
    for (size_t index = 0; index < peer->said.count; index++) {
        const struct crdt_dot *said = &peer->said.items[index];
        uint64_t applied = crdt_applied(document, &said->origin);
        uint64_t goal = vector_get(&peer->lacked, &said->origin);
        if (said->seq <= applied)
            continue;
        if (goal <= applied) {
            /* Without memory for it the watch begins at the next look. */
            if (vector_set(&peer->lacked_us, &said->origin, now_us) != CRDT_OK
                || vector_set(&peer->lacked, &said->origin, said->seq) != CRDT_OK)
                continue;
        }
        uint64_t since_us = vector_get(&peer->lacked_us, &said->origin);
        if (since_us < oldest_us)
            oldest_us = since_us;
    }
    return oldest_us;
}

uint64_t peer_missing_here(const struct peer *peer, const struct crdt_document *document)
{
    uint64_t missing = 0;
    for (size_t index = 0; index < peer->said.count; index++) {
        const struct crdt_dot *said = &peer->said.items[index];
        uint64_t applied = crdt_applied(document, &said->origin);
        if (said->seq > applied)
            missing += said->seq - applied;
    }
    return missing;
}

uint64_t peer_missing_there(const struct peer *peer, const struct crdt_document *document)
{
    uint64_t missing = 0;
    for (size_t index = 0; index < crdt_feed_count(document); index++) {
        struct crdt_feed feed = crdt_feed_at(document, index);
        uint64_t said = vector_get(&peer->said, &feed.origin);
        if (feed.seq > said)
            missing += feed.seq - said;
    }
    return missing;
}

/* True when all that the peer itself had written at its acknowledgement is
 * applied here: whatever it removed before, it removes here too. */
static bool is_ack_covered(const struct peer *peer, const struct crdt_document *document)
{
    for (size_t index = 0; index < peer->acked.count; index++) {
        const struct crdt_dot *acked = &peer->acked.items[index];
        if (memcmp(acked->origin.key, peer->member->key, CRDT_KEY_BYTES) == 0
            && crdt_applied(document, &acked->origin) < acked->seq)
            return false;
    }
    return true;
}

void peer_take_ack(struct peer *peer, uint64_t now_us)
{
    peer->has_ack_to_use = true;
    peer->silent_us = now_us;
    peer->is_fold_away = false;
}

uint64_t peer_acknowledged(
    struct peer *peer, const struct crdt_document *document, uint64_t now_us)
{
    struct crdt_origin self = crdt_self(document);
    if (peer->fold_generation != self.generation) {
        peer->fold_generation = self.generation;
        peer->fold_seq = 0;
        peer->silent_us = now_us;
        peer->is_fold_away = false;
        peer->folded_seq = 0;
    }
    if (peer->has_ack_to_use && is_ack_covered(peer, document)) {
        uint64_t acked = vector_get(&peer->acked, &self);
        if (acked > peer->fold_seq)
            peer->fold_seq = acked;
        peer->has_ack_to_use = false;
    }
    /* The deps of its batches name more, but say nothing of its disk: in `everysec`
     * a crash may take back what they name, and its next generation remove a part. */
    return peer->fold_seq;
}

bool peer_watch_acks(struct peer *peer, const struct crdt_document *document, uint64_t now_us,
    uint64_t away_us)
{
    struct crdt_origin self = crdt_self(document);
    uint64_t newest = crdt_applied(document, &self) + crdt_open_records(document);
    bool has_all = peer_acknowledged(peer, document, now_us) >= newest;
    if (has_all)
        peer->silent_us = now_us;
    if (peer->is_fold_away || now_us - peer->silent_us < away_us)
        return false;
    peer->is_fold_away = true;
    peer->run_after = newest;
    return true;
}

void peer_folded_run(struct peer *peer, uint64_t after, uint64_t seq)
{
    /* What it has of an older run is not known yet either. */
    if (peer->folded_seq <= peer->fold_seq || after < peer->folded_after)
        peer->folded_after = after;
    if (peer->folded_seq < seq)
        peer->folded_seq = seq;
}

bool peer_is_fold_torn(
    const struct peer *peer, const struct crdt_document *document, uint64_t seq)
{
    return peer->fold_generation == crdt_self(document).generation
        && (seq < peer->fold_seq || (peer->folded_after < seq && seq < peer->folded_seq));
}
