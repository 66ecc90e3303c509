/* The words on a link. Every second, and soon after things have become
 * quiet, each side says in two hashes what it holds (COMPARE). Who hears
 * something else than it holds itself says feed by feed what it has (SUMMARY),
 * and whoever hears that sends what the other lacks (serve.c). */
#include "gossipd/core/machine.h"

#include "gossipd/wire/message.h"

#include <assert.h>
#include <string.h>

bool sync_digest(struct core *core)
{
    if (core->digest_version == core->version)
        return true;
    if (own_close(core) != CRDT_OK)
        return false;
    if (crdt_context_digest(core->document, &core->digest) != CRDT_OK)
        return false;
    core->digest_version = core->version;
    return true;
}

bool sync_is_equal(const struct core *core, const struct peer *peer)
{
    return peer->state == PEER_UP && peer->has_word
        && core->digest_version == core->version
        && crdt_open_records(core->document) == 0
        && memcmp(peer->context, core->digest.context, CRDT_HASH_BYTES) == 0
        && memcmp(peer->heads, core->digest.heads, CRDT_HASH_BYTES) == 0;
}

static bool send_scratch(struct core *core, const struct peer *peer, bool is_bulk)
{
    struct crdt_bytes copy;
    struct crdt_bytes bytes = crdt_buffer_bytes(&core->scratch);
    if (outputs_copy(&core->outputs, bytes, &copy) != CRDT_OK)
        return false;
    struct core_output *output = outputs_add(&core->outputs, CORE_SEND);
    if (output == NULL)
        return false;
    output->link = peer->link;
    output->is_bulk = is_bulk;
    output->bytes = copy;
    return true;
}

bool sync_send(
    struct core *core, const struct peer *peer, const struct message *message, bool is_bulk)
{
    crdt_buffer_clear(&core->scratch);
    if (message_write(&core->scratch, message) == CRDT_OK
        && send_scratch(core, peer, is_bulk || core->scratch.size > FRAME_CONTROL_BYTES_MAX))
        return true;
    core_refuse(core, REFUSED_MEMORY, peer);
    return false;
}

/* Sends a message. What is lost for lack of memory is said again with the next
 * heartbeat. */
static void send_message(struct core *core, const struct peer *peer, const struct message *message)
{
    (void)!sync_send(core, peer, message, false);
}

/* Hashing the state takes time in proportion to its size, and the loop waits. */
static bool is_proof_cheap(const struct core *core)
{
    const struct core_facts *facts = core->options.facts;
    return crdt_open_records(core->document) == 0
        && (facts == NULL || facts->used_memory_bytes < PROOF_BYTES_MAX);
}

/* Now and then an equal context is taken as the occasion to prove that the
 * state is equal too (invariant I12). */
static bool is_proof_due(const struct core *core, const struct peer *peer)
{
    return peer->has_word && core->now_us - peer->proof_us >= PROOF_US
        && memcmp(peer->context, core->digest.context, CRDT_HASH_BYTES) == 0
        && memcmp(peer->heads, core->digest.heads, CRDT_HASH_BYTES) == 0
        && is_proof_cheap(core);
}

void sync_compare(struct core *core, struct peer *peer)
{
    /* Also when memory is out, or the next TICK would be wanted at once. */
    peer->compared_version = core->version;
    if (!sync_digest(core))
        return;
    struct message message = {.kind = MESSAGE_COMPARE};
    struct message_compare *compare = &message.as.compare;
    memcpy(compare->context, core->digest.context, CRDT_HASH_BYTES);
    memcpy(compare->heads, core->digest.heads, CRDT_HASH_BYTES);
    compare->is_durable = core->journal.first == NULL;
    struct crdt_digest proof;
    if (is_proof_due(core, peer) && crdt_digest(core->document, &proof) == CRDT_OK) {
        compare->has_state = true;
        memcpy(compare->state, proof.state, CRDT_HASH_BYTES);
        peer->proof_us = core->now_us;
    }
    compare->probe = peer_probe(peer, core->now_us);
    peer->compared_version = core->version;
    send_message(core, peer, &message);
}

/* What this node says it has: what is applied here, but of its own batches only
 * those that may be known. */
static enum crdt_status take_claims(struct core *core)
{
    enum crdt_status status = vector_take(&core->claims, core->document);
    if (status != CRDT_OK)
        return status;
    const struct held *held = core->journal.first;
    for (; held != NULL && core->journal.own_count > 0; held = held->next) {
        if (held->ordinal == 0 || held->is_sent)
            continue;
        if (vector_get(&core->claims, &held->batch.origin) >= held->batch.first_seq)
            vector_update(&core->claims, &held->batch.origin, held->batch.first_seq - 1);
    }
    return CRDT_OK;
}

/* Feeds that reach further here than what is applied, by batches that this peer brought,
 * that wait for those of others and need not be sent again. What another one brought says
 * nothing: it may be of a history that this one does not have. */
static enum crdt_status write_held(struct core *core, const struct peer *peer)
{
    struct vector *held = &core->claims;
    vector_clear(held);
    for (size_t index = 0; index < core->pending.feed_count; index++) {
        const struct crdt_origin *origin = &core->pending.feeds[index].origin;
        uint64_t applied = crdt_applied(core->document, origin);
        uint64_t reach = pending_reach(
            &core->pending, index, applied, receive_bit_of(core, peer));
        /* Of a frozen origin another history may be needed than the one that waits. */
        if (reach <= applied || proofs_frozen(&core->proofs, origin) != NULL)
            continue;
        enum crdt_status status = vector_set(held, origin, reach);
        if (status != CRDT_OK)
            return status;
    }
    return crdt_summary_write(held->items, held->count, &core->held);
}

void sync_summarize(struct core *core, struct peer *peer, bool is_reply)
{
    peer->must_summarize = false;
    crdt_buffer_clear(&core->summary);
    crdt_buffer_clear(&core->held);
    if (take_claims(core) != CRDT_OK
        || crdt_summary_write(core->claims.items, core->claims.count, &core->summary)
            != CRDT_OK
        || write_held(core, peer) != CRDT_OK) {
        core_refuse(core, REFUSED_MEMORY, peer);
        return;
    }
    struct message message = {.kind = MESSAGE_SUMMARY,
        .as.summary = {.is_reply = is_reply,
            .probe = peer->verifying_count == 0 ? peer->heard_probe : 0,
            .summary = crdt_buffer_bytes(&core->summary),
            .held = crdt_buffer_bytes(&core->held)}};
    send_message(core, peer, &message);
}

/* What a peer may count on: no removal is on its way from here that has seen less
 * (invariant I9). While own operations wait for their batch or for the store, that is
 * what was durable with the newest own batch that is. */
static const struct vector *settled(const struct core *core)
{
    bool is_waiting
        = core->journal.own_count > 0 || crdt_open_records(core->document) > 0;
    return is_waiting ? &core->settled : &core->journal.durable;
}

void sync_acknowledge(struct core *core, struct peer *peer)
{
    const struct vector *durable = settled(core);
    crdt_buffer_clear(&core->summary);
    if (crdt_summary_write(durable->items, durable->count, &core->summary) != CRDT_OK) {
        core_refuse(core, REFUSED_MEMORY, peer);
        return;
    }
    struct message message = {.kind = MESSAGE_ACK,
        .as.ack = {.summary = crdt_buffer_bytes(&core->summary)}};
    if (sync_send(core, peer, &message, false) == CRDT_OK)
        peer->acked_version = core->durable_version;
}

/* The peer has, or has durably, all that is applied here. */
static void take_equal(struct core *core, struct peer *peer, bool is_durable)
{
    if (vector_take(&core->claims, core->document) != CRDT_OK)
        return;
    for (size_t index = 0; index < core->claims.count; index++) {
        const struct crdt_dot *dot = &core->claims.items[index];
        if (peer_has(peer, &dot->origin, dot->seq, core->now_us) != CRDT_OK)
            return;
        if (is_durable && vector_set(&peer->acked, &dot->origin, dot->seq) != CRDT_OK)
            return;
    }
    if (is_durable) {
        peer_take_ack(peer, core->now_us);
        core->is_fold_stale = true;
    }
}

static void check_proof(struct core *core, struct peer *peer, const struct message_compare *theirs)
{
    struct crdt_digest ours;
    if (core->now_us - peer->proof_us < PROOF_US / 2
        || !is_proof_cheap(core)
        || crdt_digest(core->document, &ours) != CRDT_OK)
        return;
    peer->proof_us = core->now_us;
    if (memcmp(ours.state, theirs->state, CRDT_HASH_BYTES) == 0)
        return;
    struct fields fields = {0};
    fields_text(&fields, "member", peer->member->name);
    fields_hex(&fields, "context", ours.context, CRDT_HASH_BYTES);
    fields_hex(&fields, "state_here", ours.state, CRDT_HASH_BYTES);
    fields_hex(&fields, "state_there", theirs->state, CRDT_HASH_BYTES);
    core_event(core, CORE_EVENT_DIVERGED, CORE_ALARM, &fields);
}

/* The same seqs with other heads: somewhere one origin has two histories. */
static void tell_fork(struct core *core, const struct peer *peer)
{
    bool is_known = proofs_frozen_count(&core->proofs) > 0;
    if (is_known || (core->forked_us != 0 && core->now_us - core->forked_us < PROOF_US))
        return;
    core->forked_us = core->now_us;
    struct fields fields = {0};
    fields_text(&fields, "member", peer->member->name);
    fields_hex(&fields, "heads_here", core->digest.heads, CRDT_HASH_BYTES);
    fields_hex(&fields, "heads_there", peer->heads, CRDT_HASH_BYTES);
    core_event(core, CORE_EVENT_FORK, CORE_ALARM, &fields);
}

/* Weighs the peer's last word; asks for what is missing. */
static bool is_word_equal(struct core *core, struct peer *peer)
{
    bool is_context_equal = memcmp(peer->context, core->digest.context, CRDT_HASH_BYTES) == 0;
    bool are_heads_equal = memcmp(peer->heads, core->digest.heads, CRDT_HASH_BYTES) == 0;
    if (is_context_equal && !are_heads_equal) {
        tell_fork(core, peer);
        forks_ask(core, peer);
    }
    return is_context_equal && are_heads_equal;
}

static void take_compare(struct core *core, struct peer *peer, const struct message_compare *word)
{
    peer->has_word = true;
    memcpy(peer->context, word->context, CRDT_HASH_BYTES);
    memcpy(peer->heads, word->heads, CRDT_HASH_BYTES);
    peer->heard_probe = word->probe;
    if (!sync_digest(core))
        return;
    if (is_word_equal(core, peer)) {
        peer->is_probing = false;
        take_equal(core, peer, word->is_durable);
        if (word->has_state)
            check_proof(core, peer, word);
        return;
    }
    /* What it sent before this word may still be on its way through the checks:
     * the answer waits for that, and so keeps its pace. */
    peer->must_summarize = true;
    sync_caught_up(core, peer);
}

void sync_caught_up(struct core *core, struct peer *peer)
{
    if (peer->link == 0 || !peer->must_summarize || peer->verifying_count > 0)
        return;
    if (!sync_digest(core))
        return;
    if (is_word_equal(core, peer)) {
        peer->must_summarize = false;
        take_equal(core, peer, false);
        return;
    }
    sync_summarize(core, peer, false);
}

/* Only origins of members count: of others nothing would be taken. */
static void keep_members(struct core *core, struct vector *vector)
{
    size_t kept = 0;
    for (size_t index = 0; index < vector->count; index++) {
        const uint8_t *key = vector->items[index].origin.key;
        if (memcmp(key, core->options.key, CRDT_KEY_BYTES) == 0
            || core_peer_by_key(core, key) != NULL)
            vector->items[kept++] = vector->items[index];
    }
    vector->count = kept;
}

/* Reads a summary into `core->claims`; closes the link when it is malformed. */
static bool read_claims(struct core *core, struct peer *peer, struct crdt_bytes summary)
{
    enum crdt_status status = vector_read(&core->claims, summary);
    if (status == CRDT_OK) {
        keep_members(core, &core->claims);
        return true;
    }
    if (status == CRDT_ERR_NOMEM) {
        core_refuse(core, REFUSED_MEMORY, peer);
        return false;
    }
    core_refuse(core, REFUSED_MALFORMED, peer);
    links_close(core, peer);
    return false;
}

/* How many more origins are noted of which nobody has shown anything. Those under this
 * node's key are counted apart: they tell what it has lost (invariant I1), and claims
 * about others must not crowd them out. */
struct claims_room {
    size_t of_self;
    size_t of_others;
};

static size_t *room_for(
    struct claims_room *room, const struct core *core, const struct crdt_origin *origin)
{
    bool is_self = memcmp(origin->key, core->options.key, CRDT_KEY_BYTES) == 0;
    return is_self ? &room->of_self : &room->of_others;
}

static struct claims_room claims_room(const struct core *core, const struct peer *peer)
{
    struct claims_room room = {CLAIMS_UNKNOWN_MAX, CLAIMS_UNKNOWN_MAX};
    for (size_t index = 0; index < peer->said.count; index++) {
        const struct crdt_origin *origin = &peer->said.items[index].origin;
        size_t *left = room_for(&room, core, origin);
        *left -= *left > 0 && crdt_applied(core->document, origin) == 0;
    }
    return room;
}

/* Remembers what the peer has; true when memory sufficed. */
static bool take_claims_of(struct core *core, struct peer *peer)
{
    struct claims_room room = claims_room(core, peer);
    for (size_t index = 0; index < core->claims.count; index++) {
        const struct crdt_dot *dot = &core->claims.items[index];
        size_t *left = room_for(&room, core, &dot->origin);
        bool is_new = vector_get(&peer->said, &dot->origin) == 0
            && crdt_applied(core->document, &dot->origin) == 0;
        if (is_new && *left == 0)
            continue;
        *left -= is_new;
        if (peer_has(peer, &dot->origin, dot->seq, core->now_us) != CRDT_OK) {
            core_refuse(core, REFUSED_MEMORY, peer);
            return false;
        }
    }
    return true;
}

/* A summary is the peer's last word: what it said before and does not say now, it has
 * not. Without this one word that was not true would keep it from being served for
 * as long as the link lives. */
static void take_back_claims_of(const struct core *core, struct peer *peer)
{
    for (size_t index = 0; index < peer->said.count; index++) {
        struct crdt_dot *said = &peer->said.items[index];
        uint64_t claim = vector_get(&core->claims, &said->origin);
        if (claim < said->seq)
            said->seq = claim;
    }
    peer_forget_unsaid(peer);
}

static void take_summary(struct core *core, struct peer *peer, const struct message_summary *word)
{
    if (!read_claims(core, peer, word->summary))
        return;
    if (!peer->has_summary) {
        /* Also a peer that has lost what it had says so with this. */
        vector_clear(&peer->said);
        vector_clear(&peer->lacked);
        vector_clear(&peer->lacked_us);
    }
    take_back_claims_of(core, peer);
    if (!take_claims_of(core, peer))
        return;
    if (!read_claims(core, peer, word->held))
        return;
    peer_take_answer(peer, word->probe, &core->claims, core->now_us);
    bool is_lacking_here =
        peer_lacking_since(peer, core->document, core->now_us) != UINT64_MAX;
    if (is_lacking_here && !word->is_reply)
        sync_summarize(core, peer, true);
    serve_round(core, peer);
    peer->has_summary = true;
}

static void take_ack(struct core *core, struct peer *peer, struct crdt_bytes summary)
{
    if (!read_claims(core, peer, summary))
        return;
    if (!take_claims_of(core, peer))
        return;
    struct vector before = peer->acked;
    peer->acked = core->claims;
    core->claims = before;
    peer_take_ack(peer, core->now_us);
    core->is_fold_stale = true;
}

void sync_frame(struct core *core, const struct core_input *input)
{
    struct peer *peer = core_peer_by_link(core, input->link);
    if (peer == NULL || !core_is_running(core))
        return;
    peer->heard_us = core->now_us;
    struct message message;
    if (message_read(input->bytes, &message) != CRDT_OK) {
        core_refuse(core, REFUSED_MALFORMED, peer);
        links_close(core, peer);
        return;
    }
    switch (message.kind) {
    case MESSAGE_COMPARE:
        take_compare(core, peer, &message.as.compare);
        break;
    case MESSAGE_SUMMARY:
        take_summary(core, peer, &message.as.summary);
        break;
    case MESSAGE_BATCH:
        receive_batch(core, peer, message.as.batch.batch, message.as.batch.signature);
        break;
    case MESSAGE_ACK:
        take_ack(core, peer, message.as.ack.summary);
        break;
    case MESSAGE_OFFER:
        join_offered(core, peer, &message.as.offer);
        break;
    case MESSAGE_ASK:
        offer_asked(core, peer, &message.as.ask);
        break;
    case MESSAGE_PART:
        join_take_part(core, peer, &message.as.part);
        break;
    case MESSAGE_HEADS:
        forks_take_heads(core, peer, message.as.heads.tips);
        break;
    }
}
