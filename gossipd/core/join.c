/* The side that takes a snapshot: of a peer that has dropped what is lacking here
 * (invariant I7). Its parts are asked for in order and staged; when the last one
 * is, the host merges all of it aside, and swap.c goes on.
 *
 * Nothing in an offer is believed: the host checks hash, heads and signatures
 * once everything is there, and until then nothing has happened. They prove whose
 * operations are in it; that their values are right, the member says who made it. */
#include "gossipd/core/source.h"

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
    join->source = NULL;
    join->is_durable = false;
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
    join->source = NULL;
    join->is_durable = false;
    join->first_stage_id = core->newest_stage_id + 1;
    join->moved_us = core->now_us;
    join->failures = 0;
    return true;
}

static bool is_disk_short(const struct core *core)
{
    return core->options.facts != NULL && core->options.facts->is_disk_short;
}

/* ---- After a restart ------------------------------------------------------ */

void join_replay(struct core *core, const struct core_input *input)
{
    const struct core_snapshot *snapshot = input->snapshot;
    size_t count;
    bool is_good = source_may_offer(core, snapshot->bytes, snapshot->parts)
        && input->number <= snapshot->parts
        && tips_check(snapshot->tips, &count) == CRDT_OK;
    /* What cannot be kept in mind is fetched again, from its beginning. */
    if (!is_good || !remember(core, snapshot))
        return;
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
    else if (join->staged == join->snapshot.parts) {
        become_ready(core);
        /* The last life may have ended over it: what fails once more is forgotten, and
         * comes again from a peer if it was no lie. */
        join->failures = 1;
    }
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
        && join->snapshot.bytes == offer->bytes && join->snapshot.parts == offer->parts
        && join->snapshot.tips.size == offer->tips.size
        && memcmp(join->snapshot.tips.data, offer->tips.data, offer->tips.size) == 0;
}

static void ask(struct core *core, const struct peer *peer)
{
    struct join *join = &core->join;
    /* What is asked for is staged. It goes on with an offer, once there is room. */
    if (is_disk_short(core))
        return;
    while (join->asked < join->snapshot.parts && join->asked < join->staged + JOIN_ASKS_MAX) {
        struct message message = {.kind = MESSAGE_ASK, .as.ask.part = join->asked};
        memcpy(message.as.ask.hash, join->snapshot.hash, CRDT_HASH_BYTES);
        if (!sync_send(core, peer, &message, false))
            return;
        join->asked++;
    }
}

/* Asks `peer` for all that has not come. */
static void ask_again(struct core *core, struct peer *peer)
{
    struct join *join = &core->join;
    join->link = peer->link;
    join->source = peer;
    join->source_us = core->now_us;
    join->source_first = join->received;
    join->asked = join->received;
    ask(core, peer);
}

static bool is_stalled(const struct core *core)
{
    return core->now_us - core->join.moved_us >= JOIN_STALLED_US;
}

/* Goes on with a transfer that this peer offers too, if its source is silent. */
static void go_on_with(struct core *core, struct peer *peer)
{
    struct join *join = &core->join;
    bool is_slower = source_is_slower_than(core, peer);
    if (is_slower)
        source_lose_patience(core);
    if (is_slower || core_peer_by_link(core, join->link) == NULL || is_stalled(core))
        ask_again(core, peer);
}

static void begin(struct core *core, struct peer *peer, const struct message_offer *offer)
{
    struct join *join = &core->join;
    if (join->state == JOIN_FETCHING) {
        if (!is_stalled(core))
            source_lose_patience(core);
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

static bool may_begin(const struct core *core, const struct peer *peer)
{
    const struct join *join = &core->join;
    bool is_in_the_way = join->state == JOIN_FETCHING && !is_stalled(core)
        && !source_is_slower_than(core, peer);
    return !is_in_the_way && !core->is_snapshot_on && !is_disk_short(core)
        && core->now_us >= join->retry_us;
}

void join_offered(struct core *core, struct peer *peer, const struct message_offer *offer)
{
    struct join *join = &core->join;
    size_t count;
    if (!source_may_offer(core, offer->bytes, offer->parts)
        || tips_check(offer->tips, &count) != CRDT_OK) {
        core_refuse(core, REFUSED_MALFORMED, peer);
        links_close(core, peer);
        return;
    }
    if (!are_members(core, offer->tips)) {
        core_refuse(core, REFUSED_ORIGIN, peer);
        return;
    }
    check_own_tip(core, peer, offer->tips);
    if (join->state > JOIN_FETCHING || core->now_us < peer->blamed_until_us
        || !is_useful(core, offer->tips))
        return;
    if (join->state == JOIN_FETCHING && is_same(join, offer))
        go_on_with(core, peer);
    else if (may_begin(core, peer))
        begin(core, peer, offer);
}

/* ---- Parts ---------------------------------------------------------------- */

/* The source did not tell the truth about its snapshot. */
static void refuse_source(struct core *core, struct peer *peer)
{
    core_refuse(core, REFUSED_MALFORMED, peer);
    tell(core, "refused", CORE_WARNING);
    source_blame(core, peer);
    join_end(core);
    links_close(core, peer);
}

void join_refuse(struct core *core)
{
    struct peer *peer = core->join.source;
    if (peer != NULL)
        source_blame(core, peer);
    if (peer != NULL && peer->link != 0)
        source_look_into_tips(core, peer);
    join_end(core);
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
    /* One that was asked for twice, stands behind one that was lost, or was not asked
     * for: no more are staged than the store has said it keeps. */
    if (part->part != join->received || join->received >= join->asked)
        return;
    if (part->bytes.size != source_next_bytes(core)) {
        refuse_source(core, peer);
        return;
    }
    if (!stage(core, part->bytes)) {
        core_refuse(core, REFUSED_MEMORY, peer);
        return;
    }
    join->received++;
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
