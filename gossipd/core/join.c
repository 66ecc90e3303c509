/* The side that takes a snapshot: of a peer that has dropped what is lacking here
 * (invariant I7). Its parts are asked for in order and staged; when the last one
 * is, the host merges all of it aside, and swap.c goes on.
 *
 * Nothing in an offer is believed: the host checks hash, heads and signatures
 * once everything is there, and until then nothing has happened. */
#include "gossipd/core/machine.h"

#include "gossipd/wire/tips.h"

#include <assert.h>
#include <string.h>

void join_open(struct core *core)
{
    crdt_buffer_init(&core->join.tips, &core->options.memory);
    vector_init(&core->join.raised, &core->options.memory);
}

void join_close(struct core *core)
{
    swap_drop_tail(core);
    crdt_close(core->join.document);
    crdt_buffer_close(&core->join.tips);
    vector_close(&core->join.raised);
}

static void tell(struct core *core, const char *what, enum core_level level)
{
    const struct join *join = &core->join;
    const struct peer *peer = core_peer_by_link(core, join->link);
    struct fields fields = {0};
    fields_text(&fields, "what", what);
    if (peer != NULL)
        fields_text(&fields, "member", peer->member->name);
    fields_hex(&fields, "snapshot", join->snapshot.hash, 8);
    fields_number(&fields, "bytes", join->snapshot.bytes);
    fields_number(&fields, "parts", join->snapshot.parts);
    fields_number(&fields, "staged", join->staged);
    core_event(core, CORE_EVENT_JOIN, level, &fields);
}

void join_end(struct core *core)
{
    /* Without memory to say so, what is staged goes with the next one, or at the
     * next start. */
    (void)!outputs_add(&core->outputs, CORE_UNSTAGE);
    struct join *join = &core->join;
    join->state = JOIN_NONE;
    join->link = 0;
    join->failures = 0;
    join->snapshot = (struct core_snapshot){0};
    crdt_buffer_clear(&join->tips);
    vector_clear(&join->raised);
}

/* True when some tip is beyond what is applied here. */
static bool is_useful(const struct core *core, struct crdt_bytes tips)
{
    struct tips_walk walk = tips_begin(tips);
    struct tip tip;
    while (tips_next(&walk, &tip)) {
        if (tip.batch.last_seq > crdt_applied(core->document, &tip.batch.origin))
            return true;
    }
    return false;
}

/* Remembers what is to be fetched; false when memory is out. */
static bool remember(struct core *core, const struct core_snapshot *snapshot)
{
    struct join *join = &core->join;
    crdt_buffer_clear(&join->tips);
    if (crdt_buffer_append(&join->tips, snapshot->tips.data, snapshot->tips.size) != CRDT_OK)
        return false;
    join->state = JOIN_FETCHING;
    join->snapshot = *snapshot;
    join->snapshot.tips = crdt_buffer_bytes(&join->tips);
    join->link = 0;
    join->asked = 0;
    join->received = 0;
    join->staged = 0;
    join->received_bytes = 0;
    join->is_resumed = false;
    join->first_stage_id = core->newest_stage_id + 1;
    join->moved_us = core->now_us;
    join->failures = 0;
    return true;
}

/* ---- After a restart ------------------------------------------------------ */

void join_replay(struct core *core, const struct core_input *input)
{
    const struct core_snapshot *snapshot = input->snapshot;
    size_t count;
    bool is_good = snapshot->parts > 0 && input->number <= snapshot->parts
        && tips_check(snapshot->tips, &count) == CRDT_OK;
    /* What cannot be kept in mind is fetched again, from its beginning. */
    if (!is_good || !remember(core, snapshot))
        return;
    core->join.is_resumed = input->number > 0;
    core->join.asked = input->number;
    core->join.received = input->number;
    core->join.staged = input->number;
}

static void become_ready(struct core *core)
{
    core->join.state = JOIN_READY;
    core->join.ready_us = core->now_us;
    core->join.retry_us = core->now_us;
}

void join_serve(struct core *core)
{
    struct join *join = &core->join;
    if (join->state != JOIN_FETCHING)
        return;
    if (!is_useful(core, join->snapshot.tips))
        join_end(core);
    else if (join->staged == join->snapshot.parts)
        become_ready(core);
}

/* ---- Offers --------------------------------------------------------------- */

/* Only what members signed is taken. */
static bool are_members(struct core *core, struct crdt_bytes tips)
{
    struct tips_walk walk = tips_begin(tips);
    struct tip tip;
    while (tips_next(&walk, &tip)) {
        const uint8_t *key = tip.batch.origin.key;
        if (memcmp(key, core->options.key, CRDT_KEY_BYTES) != 0
            && core_peer_by_key(core, key) == NULL)
            return false;
    }
    return true;
}

/* A tip of the present generation that is beyond what is here proves, if its
 * signature is right, that own operations were lost (invariant I1). */
static void check_own_tip(struct core *core, const struct peer *peer, struct crdt_bytes tips)
{
    struct crdt_origin self = crdt_self(core->document);
    struct tips_walk walk = tips_begin(tips);
    struct tip tip;
    while (tips_next(&walk, &tip)) {
        if (crdt_origin_compare(&tip.batch.origin, &self) != 0
            || tip.batch.last_seq <= crdt_applied(core->document, &self))
            continue;
        if (!receive_ask_to_verify(core, &tip.batch, tip.signature))
            return;
        core->join.own_tip_id = core->newest_verify_id;
        core->join.own_tip_link = peer->link;
        core->join.own_tip =
            (struct crdt_dot){.origin = self, .seq = tip.batch.last_seq};
    }
}

/* A correct peer has checked what it shows. */
static void refuse_tip(struct core *core)
{
    struct peer *peer = core_peer_by_link(core, core->join.own_tip_link);
    core_refuse(core, REFUSED_SIGNATURE, peer);
    if (peer != NULL)
        links_close(core, peer);
}

bool join_verified(struct core *core, uint64_t id, bool is_ok)
{
    struct join *join = &core->join;
    if (join->own_tip_id == 0 || id != join->own_tip_id)
        return false;
    join->own_tip_id = 0;
    struct crdt_origin self = crdt_self(core->document);
    if (!is_ok)
        refuse_tip(core);
    else if (crdt_origin_compare(&self, &join->own_tip.origin) == 0
        && crdt_applied(core->document, &self) < join->own_tip.seq
        && generation_begin(core, "a-peer-showed-an-own-tip-that-is-not-here") != CRDT_OK)
        core_retry_soon(core); /* The next offer brings it again. */
    return true;
}

static bool is_same(const struct join *join, const struct message_offer *offer)
{
    return memcmp(join->snapshot.hash, offer->hash, CRDT_HASH_BYTES) == 0
        && join->snapshot.bytes == offer->bytes && join->snapshot.parts == offer->parts;
}

static void ask(struct core *core, const struct peer *peer)
{
    struct join *join = &core->join;
    while (join->asked < join->snapshot.parts && join->asked < join->staged + JOIN_ASKS_MAX) {
        struct message message = {.kind = MESSAGE_ASK, .as.ask.part = join->asked};
        memcpy(message.as.ask.hash, join->snapshot.hash, CRDT_HASH_BYTES);
        if (!sync_send(core, peer, &message, false))
            return;
        join->asked++;
    }
}

/* Asks `peer` for all that has not come. */
static void ask_again(struct core *core, const struct peer *peer)
{
    core->join.link = peer->link;
    core->join.asked = core->join.received;
    ask(core, peer);
}

/* Goes on with a transfer that this peer offers too, if its source is silent. */
static void go_on_with(struct core *core, const struct peer *peer)
{
    struct join *join = &core->join;
    bool is_stalled = core->now_us - join->moved_us >= JOIN_STALLED_US;
    if (core_peer_by_link(core, join->link) == NULL || is_stalled)
        ask_again(core, peer);
}

static void begin(struct core *core, const struct peer *peer, const struct message_offer *offer)
{
    struct join *join = &core->join;
    if (join->state == JOIN_FETCHING) {
        tell(core, "given-up", CORE_INFO);
        join_end(core);
    }
    struct core_snapshot snapshot = {
        .bytes = offer->bytes, .parts = offer->parts, .tips = offer->tips};
    memcpy(snapshot.hash, offer->hash, CRDT_HASH_BYTES);
    if (!remember(core, &snapshot)) {
        core_refuse(core, REFUSED_MEMORY, peer);
        return;
    }
    join->link = peer->link;
    tell(core, "begun", CORE_INFO);
    ask_again(core, peer);
}

void join_offered(struct core *core, struct peer *peer, const struct message_offer *offer)
{
    struct join *join = &core->join;
    size_t count;
    if (tips_check(offer->tips, &count) != CRDT_OK) {
        core_refuse(core, REFUSED_MALFORMED, peer);
        links_close(core, peer);
        return;
    }
    if (!are_members(core, offer->tips)) {
        core_refuse(core, REFUSED_ORIGIN, peer);
        return;
    }
    check_own_tip(core, peer, offer->tips);
    if (join->state > JOIN_FETCHING || !is_useful(core, offer->tips))
        return;
    if (join->state == JOIN_FETCHING && is_same(join, offer)) {
        go_on_with(core, peer);
        return;
    }
    bool is_alive = join->state == JOIN_FETCHING
        && core->now_us - join->moved_us < JOIN_STALLED_US;
    if (!is_alive && !core->is_snapshot_on && core->now_us >= join->retry_us)
        begin(core, peer, offer);
}

/* ---- Parts ---------------------------------------------------------------- */

/* The source did not tell the truth about its snapshot. */
static void refuse_source(struct core *core, struct peer *peer)
{
    core_refuse(core, REFUSED_MALFORMED, peer);
    tell(core, "refused", CORE_WARNING);
    join_end(core);
    core->join.retry_us = core->now_us + JOIN_RETRY_US;
    links_close(core, peer);
}

static bool is_size_right(const struct join *join, size_t part_bytes)
{
    uint64_t left = join->snapshot.bytes - join->received_bytes;
    bool is_last = join->received + 1 == join->snapshot.parts;
    if (part_bytes > left)
        return false;
    return !is_last || join->is_resumed || part_bytes == left;
}

static bool stage(struct core *core, struct crdt_bytes bytes)
{
    struct crdt_bytes copy;
    if (outputs_copy(&core->outputs, bytes, &copy) != CRDT_OK)
        return false;
    struct core_output *output = outputs_add(&core->outputs, CORE_STAGE);
    if (output == NULL)
        return false;
    output->number = ++core->newest_stage_id;
    output->value = core->join.received;
    output->snapshot = &core->join.snapshot;
    output->bytes = copy;
    return true;
}

void join_take_part(struct core *core, struct peer *peer, const struct message_part *part)
{
    struct join *join = &core->join;
    if (join->state != JOIN_FETCHING || join->link != peer->link
        || memcmp(part->hash, join->snapshot.hash, CRDT_HASH_BYTES) != 0)
        return;
    if (part->is_gone) {
        tell(core, "gone", CORE_INFO);
        join_end(core);
        return;
    }
    /* One that was asked for twice, or stands behind one that was lost. */
    if (part->part != join->received || join->received == join->snapshot.parts)
        return;
    if (!is_size_right(join, part->bytes.size)) {
        refuse_source(core, peer);
        return;
    }
    if (!stage(core, part->bytes)) {
        core_refuse(core, REFUSED_MEMORY, peer);
        return;
    }
    join->received++;
    join->received_bytes += part->bytes.size;
    join->moved_us = core->now_us;
}

void join_staged(struct core *core, const struct core_input *input)
{
    struct join *join = &core->join;
    if (join->state != JOIN_FETCHING || input->number < join->first_stage_id
        || join->staged == join->received)
        return;
    if (!input->is_ok) {
        tell(core, "cannot-be-staged", CORE_WARNING);
        join_end(core);
        join->retry_us = core->now_us + JOIN_RETRY_US;
        return;
    }
    join->staged++;
    const struct peer *peer = core_peer_by_link(core, join->link);
    if (join->staged == join->snapshot.parts)
        become_ready(core);
    else if (peer != NULL)
        ask(core, peer);
}

/* ---- Time ----------------------------------------------------------------- */

/* A join voids the snapshot that peers may be fetching from here. */
static uint64_t build_us(const struct core *core)
{
    uint64_t held_us = offer_busy_until_us(core);
    uint64_t limit_us = core->join.ready_us + JOIN_HELD_US;
    held_us = held_us < limit_us ? held_us : limit_us;
    return held_us > core->join.retry_us ? held_us : core->join.retry_us;
}

void join_go_on(struct core *core)
{
    struct join *join = &core->join;
    if (join->state != JOIN_READY || !core_is_running(core) || core->is_snapshot_on
        || build_us(core) > core->now_us)
        return;
    /* The peers may have sent it as batches meanwhile. */
    if (!is_useful(core, join->snapshot.tips))
        join_end(core);
    else
        swap_begin(core);
}

void join_tick(struct core *core)
{
    const struct join *join = &core->join;
    if (core_is_running(core)
        && (join->state == JOIN_TAKING || join->state == JOIN_CATCHING_UP))
        swap_go_on(core);
}

uint64_t join_due_us(const struct core *core)
{
    const struct join *join = &core->join;
    if (!core_is_running(core))
        return UINT64_MAX;
    switch (join->state) {
    case JOIN_NONE:
    case JOIN_FETCHING: /* What is silent goes on with the next offer.               */
    case JOIN_BUILDING:
        return UINT64_MAX;
    case JOIN_READY:
        return core->is_snapshot_on || build_us(core) <= core->now_us ? UINT64_MAX
                                                                      : build_us(core);
    case JOIN_TAKING:
    case JOIN_CATCHING_UP:
        return join->retry_us;
    }
    return UINT64_MAX;
}
