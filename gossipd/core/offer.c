/* The side that serves a snapshot. A peer below the log floor is offered the
 * newest durable one instead of batches; it asks for the parts, and they leave at
 * a rate that leaves room for everything else.
 *
 *     said < floor, or a gap -> OFFER;  ASK -> FETCH_PART -> PART -> message
 *
 * Parts are asked for one at a time, of the peers in turn. */
#include "gossipd/core/machine.h"

#include <assert.h>
#include <string.h>

/* What peers say of an origin that is no member here is not kept. */
static bool is_below(struct core *core, const struct peer *peer, const struct vector *floors)
{
    for (size_t index = 0; index < floors->count; index++) {
        const struct crdt_dot *floor = &floors->items[index];
        if (vector_get(&peer->said, &floor->origin) < floor->seq
            && core_member_name(core, floor->origin.key) != NULL)
            return true;
    }
    return false;
}

/* Only what is in the newest durable snapshot is dropped (invariant I6), or given up
 * for lost. */
static bool covers(const struct core *core, const struct vector *floors)
{
    for (size_t index = 0; index < floors->count; index++) {
        const struct crdt_dot *floor = &floors->items[index];
        if (vector_get(&core->newest_context, &floor->origin) < floor->seq)
            return false;
    }
    return true;
}

/* No peer would take it, and no frame hold it. */
static bool is_too_large(const struct core *core)
{
    return core->newest.tips.size > OFFER_TIPS_BYTES_MAX
        || core->newest.bytes > OFFER_BYTES_MAX;
}

static void tell_too_large(struct core *core, const struct peer *peer)
{
    if (core->has_told_unofferable && core->now_us - core->told_unofferable_us < OFFER_TELL_US)
        return;
    core->has_told_unofferable = true;
    core->told_unofferable_us = core->now_us;
    struct fields fields = {0};
    fields_text(&fields, "what", "snapshot-too-large-to-be-offered");
    fields_text(&fields, "member", peer->member->name);
    fields_number(&fields, "bytes", core->newest.bytes);
    fields_number(&fields, "tips_bytes", core->newest.tips.size);
    fields_text(&fields, "action", "on that member, stop it and restore a backup of this"
        " node, with its own node.key");
    core_event(core, CORE_EVENT_JOIN, CORE_ALARM, &fields);
}

bool offer_instead(struct core *core, struct peer *peer)
{
    if (!is_below(core, peer, &core->floor) && !is_below(core, peer, &core->gaps))
        return false;
    bool is_too_soon = peer->is_offered && core->now_us - peer->offered_us < OFFER_AGAIN_US;
    if (is_too_soon || core->newest.bytes == 0)
        return true;
    if (is_too_large(core)) {
        tell_too_large(core, peer);
        return true;
    }
    assert(covers(core, &core->floor));
    assert(covers(core, &core->gaps));
    struct message message = {.kind = MESSAGE_OFFER,
        .as.offer = {.bytes = core->newest.bytes,
            .parts = core->newest.parts,
            .tips = core->newest.tips}};
    memcpy(message.as.offer.hash, core->newest.hash, CRDT_HASH_BYTES);
    peer->is_offered = true;
    peer->offered_us = core->now_us;
    (void)!sync_send(core, peer, &message, false);
    return true;
}

/* ---- Parts ---------------------------------------------------------------- */

static void answer(struct core *core, struct peer *peer, const uint8_t hash[static CRDT_HASH_BYTES],
    uint64_t part, struct crdt_bytes bytes)
{
    struct message message = {.kind = MESSAGE_PART,
        .as.part = {.part = part, .is_gone = bytes.size == 0, .bytes = bytes}};
    memcpy(message.as.part.hash, hash, CRDT_HASH_BYTES);
    (void)!sync_send(core, peer, &message, true);
}

static bool is_newest(const struct core *core, const uint8_t hash[static CRDT_HASH_BYTES])
{
    return core->newest.bytes > 0 && memcmp(core->newest.hash, hash, CRDT_HASH_BYTES) == 0;
}

void offer_asked(struct core *core, struct peer *peer, const struct message_ask *ask)
{
    if (!is_newest(core, ask->hash)) {
        answer(core, peer, ask->hash, ask->part, (struct crdt_bytes){0});
        return;
    }
    if (ask->part >= core->newest.parts) {
        core_refuse(core, REFUSED_MALFORMED, peer);
        links_close(core, peer);
        return;
    }
    peer->is_transferring = true;
    peer->asked_us = core->now_us;
    if (memcmp(peer->ask_hash, ask->hash, sizeof peer->ask_hash) != 0) {
        memcpy(peer->ask_hash, ask->hash, sizeof peer->ask_hash);
        peer->ask_count = 0;
        peer->part_id = 0;
    }
    /* A correct peer has no more of them on their way. */
    if (peer->ask_count < JOIN_ASKS_MAX)
        peer->asks[peer->ask_count++] = ask->part;
    offer_go_on(core);
}

static bool is_fetching(const struct core *core)
{
    for (size_t index = 0; index < core->options.peer_count; index++) {
        if (core->peers[index].part_id != 0)
            return true;
    }
    return false;
}

/* The peer whose turn it is; NULL when nobody has asked. */
static struct peer *next_peer(const struct core *core)
{
    for (size_t count = 0; count < core->options.peer_count; count++) {
        size_t index = (core->part_turn + count) % core->options.peer_count;
        if (core->peers[index].link != 0 && core->peers[index].ask_count > 0)
            return &core->peers[index];
    }
    return NULL;
}

uint64_t offer_due_us(const struct core *core)
{
    if (!core_is_running(core) || is_fetching(core) || next_peer(core) == NULL)
        return UINT64_MAX;
    return core->part_us;
}

void offer_go_on(struct core *core)
{
    if (offer_due_us(core) > core->now_us)
        return;
    struct peer *peer = next_peer(core);
    struct core_output *output = outputs_add(&core->outputs, CORE_FETCH_PART);
    if (output == NULL) {
        core->part_us = core->now_us + MEMORY_RETRY_US;
        return;
    }
    output->number = ++core->newest_part_id;
    output->value = peer->asks[0];
    memcpy(output->head, peer->ask_hash, sizeof output->head);
    peer->part_id = output->number;
    core->part_turn = (size_t)(peer - core->peers) + 1;
}

/* What leaves now keeps the next part back. */
static void spend(struct core *core, size_t bytes)
{
    core->part_us = core->now_us + (uint64_t)bytes * 1000000 / TRANSFER_BYTES_PER_S;
}

static void send_part(struct core *core, struct peer *peer, const struct core_input *input)
{
    uint64_t part = peer->asks[0];
    peer->part_id = 0;
    peer->ask_count--;
    memmove(peer->asks, peer->asks + 1, peer->ask_count * sizeof *peer->asks);
    struct crdt_bytes bytes = input->is_ok ? input->bytes : (struct crdt_bytes){0};
    answer(core, peer, peer->ask_hash, part, bytes);
    spend(core, bytes.size);
    if (bytes.size == 0) {
        peer->is_transferring = false;
    } else if (is_newest(core, peer->ask_hash) && part + 1 == core->newest.parts) {
        peer->is_transferring = false;
        core->transfers_served++;
    }
}

void offer_fetched(struct core *core, const struct core_input *input)
{
    for (size_t index = 0; index < core->options.peer_count; index++) {
        struct peer *peer = &core->peers[index];
        if (input->number != 0 && peer->part_id == input->number)
            send_part(core, peer, input);
    }
    offer_go_on(core);
}

uint64_t offer_busy_until_us(const struct core *core)
{
    uint64_t until_us = 0;
    for (size_t index = 0; index < core->options.peer_count; index++) {
        const struct peer *peer = &core->peers[index];
        uint64_t end_us = peer->asked_us + TRANSFER_IDLE_US;
        if (peer->is_transferring && end_us > until_us)
            until_us = end_us;
    }
    return until_us > core->now_us ? until_us : 0;
}
