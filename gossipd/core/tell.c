/* Evidence of forks: kept, stored, told to the operator and to every member.
 *
 * A proof is told as two HEADS, one for each history, in the order in which proofs
 * were found; what was told is told again to a peer that stays unlike. That is slow
 * on purpose: whoever forks many origins must not fill the links of others. */
#include "gossipd/core/machine.h"

#include <string.h>

static void alarm(struct core *core, const struct evidence *evidence)
{
    const struct crdt_batch *here = &evidence->here.batch;
    struct fields fields = {0};
    const char *member = core_member_name(core, here->origin.key);
    if (member != NULL)
        fields_text(&fields, "member", member);
    fields_hex(&fields, "origin", here->origin.key, CRDT_KEY_BYTES);
    fields_hex64(&fields, "generation", here->origin.generation);
    fields_number(&fields, "seq", evidence_seq(evidence));
    fields_hex(&fields, "head", here->head, CRDT_HASH_BYTES);
    if (evidence->is_proof)
        fields_hex(&fields, "other_head", evidence->other.batch.head, CRDT_HASH_BYTES);
    fields_text(&fields, "action", evidence->is_proof ? "frozen: see gossipctl forks"
        : "not applied: its deps name another history than the one here");
    core_event(core, CORE_EVENT_FORK, CORE_ALARM, &fields);
}

/* It cannot be kept: told, but not with every copy that comes. */
static void alarm_seldom(struct core *core, const struct evidence *evidence)
{
    if (core->forked_us != 0 && core->now_us - core->forked_us < PROOF_US)
        return;
    core->forked_us = core->now_us;
    core->forks++;
    alarm(core, evidence);
}

enum crdt_status tell_store(
    struct core *core, const struct crdt_origin *origin, struct crdt_bytes evidence)
{
    struct held *held = held_new(&core->options.memory, evidence.size);
    if (held == NULL)
        return CRDT_ERR_NOMEM;
    held->is_mark = true;
    held->is_evidence = true;
    held->wall_ms = core->wall_ms;
    held->batch.origin = *origin;
    held->batch.bytes = (struct crdt_bytes){.data = held->data, .size = evidence.size};
    if (evidence.size > 0)
        memcpy(held->data, evidence.data, evidence.size);
    journal_append(&core->journal, held);
    journal_put_out(&core->journal, &core->outputs);
    return CRDT_OK;
}

bool tell_tips(
    struct core *core, const struct peer *peer, const struct tip *tips, size_t count)
{
    struct crdt_buffer rows;
    crdt_buffer_init(&rows, &core->options.memory);
    bool is_sent = false;
    if (tips_write(&rows, tips, count) == CRDT_OK) {
        struct message message = {
            .kind = MESSAGE_HEADS, .as.heads.tips = crdt_buffer_bytes(&rows)};
        is_sent = sync_send(core, peer, &message, false);
    } else {
        core_refuse(core, REFUSED_MEMORY, peer);
    }
    crdt_buffer_close(&rows);
    return is_sent;
}

/* Tells the next proofs, as many as one second may take; each heartbeat goes on. What
 * lacks memory is told again. */
static void send_proofs(struct core *core, struct peer *peer)
{
    if (core->now_us - peer->proofs_us >= PROOFS_ROUND_US) {
        peer->proofs_us = core->now_us;
        peer->proofs_bytes = 0;
    }
    for (size_t index = 0; index < core->proofs.count; index++) {
        const struct proof *proof = &core->proofs.items[index];
        if (!proof->evidence.is_proof || proof->number <= peer->proofs_told)
            continue;
        if (peer->proofs_bytes >= PROOFS_BYTES_PER_S)
            return;
        if (!tell_tips(core, peer, &proof->evidence.here, 1)
            || !tell_tips(core, peer, &proof->evidence.other, 1)) {
            core_retry_soon(core);
            return;
        }
        peer->proofs_told = proof->number;
        peer->proofs_bytes += proof->size;
        peer->told_us = core->now_us;
    }
}

/* What was told may have been lost. A peer that does not know waits for nobody's
 * voucher and gives none, so it is told again for as long as it has something else. */
static bool is_in_doubt(const struct core *core, const struct peer *peer)
{
    return core->proofs.count > 0 && peer->proofs_told >= proofs_newest(&core->proofs)
        && core->now_us - peer->told_us >= PROOFS_AGAIN_US && !sync_is_equal(core, peer);
}

void tell_go_on(struct core *core)
{
    for (size_t index = 0; index < core->options.peer_count; index++) {
        struct peer *peer = &core->peers[index];
        if (peer->link == 0)
            continue;
        if (peer->owes_proofs || is_in_doubt(core, peer))
            peer->proofs_told = 0;
        peer->owes_proofs = false;
        send_proofs(core, peer);
    }
}

/* Keeps what is in `scratch`. What proves nothing gives way to a proof. */
static enum crdt_status keep(struct core *core, const struct evidence *evidence)
{
    const struct crdt_origin *origin = &evidence->here.batch.origin;
    for (;;) {
        enum crdt_status status =
            proofs_add(&core->proofs, crdt_buffer_bytes(&core->scratch));
        const struct proof *single =
            evidence->is_proof ? proofs_single(&core->proofs, origin->key) : NULL;
        if (status != CRDT_ERR_LIMIT || single == NULL)
            return status;
        struct crdt_origin gone = single->origin;
        status = tell_store(core, &gone, (struct crdt_bytes){0});
        if (status != CRDT_OK)
            return status;
        proofs_remove(&core->proofs, &gone);
    }
}

/* Own operations under a generation with two histories would be frozen by all who
 * have room for the proof, with or without room here. */
static void leave_unkept(struct core *core, const struct evidence *evidence)
{
    struct crdt_origin self = crdt_self(core->document);
    if (evidence->is_proof
        && crdt_origin_compare(&self, &evidence->here.batch.origin) == 0
        && generation_begin(core, "own-feed-has-forked") != CRDT_OK)
        core_refuse(core, REFUSED_MEMORY, NULL);
}

static enum crdt_status take(struct core *core, const struct evidence *evidence)
{
    const struct crdt_origin *origin = &evidence->here.batch.origin;
    crdt_buffer_clear(&core->scratch);
    enum crdt_status status = evidence_write(&core->scratch, evidence);
    if (status == CRDT_OK)
        status = keep(core, evidence);
    if (status == CRDT_OK)
        status = tell_store(core, origin, crdt_buffer_bytes(&core->scratch));
    if (status == CRDT_ERR_NOMEM) {
        /* Whatever showed it will show it again. */
        proofs_remove(&core->proofs, origin);
        core_refuse(core, REFUSED_MEMORY, NULL);
    }
    return status;
}

static bool is_oversized(const struct tip *tip)
{
    return tip->batch.header.size > HEADER_KEEP_BYTES;
}

void tell_record(struct core *core, const struct tip *here, const struct tip *other)
{
    const struct proof *known = proofs_find(&core->proofs, &here->batch.origin);
    if (known != NULL && (known->evidence.is_proof || other == NULL))
        return;
    struct evidence evidence = {
        .found_ms = core->wall_ms, .here = *here, .is_proof = other != NULL};
    if (other != NULL)
        evidence.other = *other;
    enum crdt_status status = CRDT_ERR_LIMIT;
    if (!is_oversized(here) && (other == NULL || !is_oversized(other)))
        status = take(core, &evidence);
    if (status == CRDT_ERR_LIMIT) {
        alarm_seldom(core, &evidence);
        leave_unkept(core, &evidence);
    }
    if (status != CRDT_OK)
        return;
    core->forks++;
    alarm(core, &evidence);
}

void tell_oversized(struct core *core, const struct tip *tip)
{
    struct evidence evidence = {.here = *tip};
    alarm_seldom(core, &evidence);
}
