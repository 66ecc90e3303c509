/* The log floor (invariant I6): which batches may go from the store. Dropping is
 * cache eviction: what is dropped is in the newest durable snapshot, and whoever
 * lacks it gets that.
 *
 *     IDLE --a new snapshot, or time--> ON (DROP) --DROPPED--> IDLE, or at once
 *                                                    ON while there is more
 *
 * Stable batches go when they are old enough, any others by the budget. Own ones
 * stay until another member has them, or until the log passes all measure. */
#include "gossipd/core/machine.h"

#include "gossipd/core/memory.h"

#include <assert.h>
#include <string.h>

void drop_replay(struct core *core, const struct core_input *input)
{
    core->log_bytes += input->size;
    /* Without it this node must not serve: it would deal in what it has not. */
    if (vector_read(&core->floor, input->bytes) != CRDT_OK)
        core->is_replay_short = true;
}

void drop_close(struct core *core)
{
    memory_free(&core->options.memory, core->drop.feeds,
        core->drop_capacity * sizeof *core->drop.feeds);
}

bool drop_is_floor_covered(const struct core *core)
{
    for (size_t index = 0; index < core->floor.count; index++) {
        const struct crdt_dot *floor = &core->floor.items[index];
        if (crdt_applied(core->document, &floor->origin) < floor->seq)
            return false;
    }
    return true;
}

enum crdt_status drop_raise_floor(
    struct core *core, const struct crdt_origin *origin, uint64_t seq)
{
    if (seq <= vector_get(&core->floor, origin))
        return CRDT_OK;
    return vector_set(&core->floor, origin, seq);
}

void drop_serve(struct core *core)
{
    size_t count = 0;
    const struct crdt_origin *first = NULL;
    for (size_t index = core->floor.count; index-- > 0;) {
        const struct crdt_origin *origin = &core->floor.items[index].origin;
        if (core_member_name(core, origin->key) != NULL)
            continue;
        first = origin;
        count++;
    }
    if (first == NULL)
        return;
    struct fields fields = {0};
    fields_text(&fields, "what", "floor-names-no-member");
    fields_hex(&fields, "origin", first->key, CRDT_KEY_BYTES);
    fields_number(&fields, "feeds", count);
    fields_text(&fields, "action", "put the peer section with this key back on every node: a"
        " member that lacks what this origin wrote cannot get it");
    core_event(core, CORE_EVENT_LOG, CORE_WARNING, &fields);
}

bool drop_is_blocked_by(const struct core *core, const struct peer *peer)
{
    for (size_t index = 0; index < core->newest_context.count; index++) {
        const struct crdt_dot *newest = &core->newest_context.items[index];
        if (vector_get(&peer->acked, &newest->origin) < newest->seq
            && vector_get(&core->floor, &newest->origin) < newest->seq)
            return true;
    }
    return false;
}

/* ---- Choosing ------------------------------------------------------------- */

static bool may_go(const struct core_drop *drop, const struct core_drop_head *head,
    uint64_t log_bytes)
{
    const struct core_drop_feed *feed = &drop->feeds[head->feed];
    if (head->last_seq <= feed->floor)
        return true;
    if (head->last_seq > feed->cap)
        return false;
    bool is_old = head->last_seq <= feed->stable && head->applied_ms < drop->before_ms;
    return is_old || log_bytes > drop->log_bytes_max;
}

/* Useless ones first, then the oldest. */
static bool is_before(const struct core_drop *drop, const struct core_drop_head *a,
    const struct core_drop_head *b)
{
    bool is_a_useless = a->last_seq <= drop->feeds[a->feed].floor;
    bool is_b_useless = b->last_seq <= drop->feeds[b->feed].floor;
    return is_a_useless != is_b_useless ? is_a_useless : a->place < b->place;
}

size_t core_drop_choose(const struct core_drop *drop, const struct core_drop_head *heads,
    size_t count, uint64_t log_bytes)
{
    size_t chosen = count;
    for (size_t index = 0; index < count; index++) {
        assert(heads[index].feed < drop->feed_count);
        if (!may_go(drop, &heads[index], log_bytes))
            continue;
        if (chosen == count || is_before(drop, &heads[index], &heads[chosen]))
            chosen = index;
    }
    return chosen;
}

/* ---- What may go ---------------------------------------------------------- */

/* Without peers, or any memory of what they said, the answers are UINT64_MAX and
 * 0: all that nobody lacks, and nothing that anyone has. */
static void acknowledged(const struct core *core, const struct crdt_origin *origin,
    uint64_t *ret_least, uint64_t *ret_most)
{
    *ret_least = UINT64_MAX;
    *ret_most = 0;
    for (size_t index = 0; index < core->options.peer_count; index++) {
        uint64_t acked = vector_get(&core->peers[index].acked, origin);
        *ret_least = acked < *ret_least ? acked : *ret_least;
        *ret_most = acked > *ret_most ? acked : *ret_most;
    }
}

static struct core_drop_feed describe(struct core *core, const struct crdt_dot *newest)
{
    uint64_t least;
    uint64_t most;
    acknowledged(core, &newest->origin, &least, &most);
    struct core_drop_feed feed = {.origin = newest->origin, .cap = newest->seq};
    bool is_own = memcmp(newest->origin.key, core->options.key, CRDT_KEY_BYTES) == 0;
    bool is_bound = is_own && core->options.peer_count > 0 && !core->is_drop_desperate;
    if (is_bound && most < feed.cap) {
        feed.cap = most;
        core->is_drop_capped = true;
    }
    feed.stable = least < newest->seq ? least : newest->seq;
    feed.floor = vector_get(&core->floor, &newest->origin);
    return feed;
}

static bool describe_all(struct core *core)
{
    void *feeds = core->drop.feeds;
    bool is_grown = memory_grow(&core->options.memory, &feeds, &core->drop_capacity,
        core->newest_context.count, sizeof *core->drop.feeds);
    core->drop.feeds = feeds;
    if (!is_grown)
        return false;
    core->drop.feed_count = core->newest_context.count;
    core->is_drop_capped = false;
    for (size_t index = 0; index < core->drop.feed_count; index++)
        core->drop.feeds[index] = describe(core, &core->newest_context.items[index]);
    uint64_t history_ms = core->options.history_ms;
    core->drop.before_ms = core->wall_ms > history_ms ? core->wall_ms - history_ms : 0;
    core->drop.log_bytes_max = core->options.log_bytes_max;
    return true;
}

static bool is_possible(const struct core *core)
{
    return core->phase == PHASE_SERVING && !core->is_drop_on && core->newest.bytes > 0
        && core->options.snapshot_bytes > 0;
}

uint64_t drop_due_us(const struct core *core)
{
    return is_possible(core) ? core->drop_us : UINT64_MAX;
}

void drop_go_on(struct core *core)
{
    if (!is_possible(core) || core->drop_us > core->now_us)
        return;
    struct core_output *output = NULL;
    if (describe_all(core))
        output = outputs_add(&core->outputs, CORE_DROP);
    if (output == NULL) {
        core->drop_us = core->now_us + STORE_RETRY_US;
        return;
    }
    output->number = ++core->newest_drop_id;
    output->drop = &core->drop;
    core->is_drop_on = true;
}

/* ---- What went ------------------------------------------------------------ */

/* True at most once a minute; remembers that it was. */
static bool may_tell(const struct core *core, bool *has_told, uint64_t *told_us)
{
    if (*has_told && core->now_us - *told_us < LOG_TELL_US)
        return false;
    *has_told = true;
    *told_us = core->now_us;
    return true;
}

static bool lacks_dropped(const struct core *core, const struct peer *peer)
{
    for (size_t index = 0; index < core->drop.feed_count; index++) {
        const struct core_drop_feed *feed = &core->drop.feeds[index];
        uint64_t floor = vector_get(&core->floor, &feed->origin);
        if (floor > feed->stable && floor > feed->floor
            && vector_get(&peer->acked, &feed->origin) < floor)
            return true;
    }
    return false;
}

/* Batches went that a member has not: it will need a snapshot. */
static void tell_lacking(struct core *core)
{
    struct fields fields = {0};
    fields_text(&fields, "what", "dropped-by-budget");
    bool is_any = false;
    for (size_t index = 0; index < core->options.peer_count; index++) {
        if (!lacks_dropped(core, &core->peers[index]))
            continue;
        is_any = true;
        fields_text(&fields, "member", core->peers[index].member->name);
    }
    if (!is_any || !may_tell(core, &core->has_told_lacking, &core->told_lacking_us))
        return;
    fields_number(&fields, "log_bytes", core->log_bytes);
    core_event(core, CORE_EVENT_LOG, CORE_INFO, &fields);
}

static void tell_desperate(struct core *core)
{
    if (!may_tell(core, &core->has_told_unacked, &core->told_unacked_us))
        return;
    struct fields fields = {0};
    fields_text(&fields, "what", "dropping-own-batches-that-no-other-member-has");
    fields_number(&fields, "log_bytes", core->log_bytes);
    fields_text(&fields, "do", "see why no member has been reached for so long");
    core_event(core, CORE_EVENT_LOG, CORE_ALARM, &fields);
}

/* Takes the floor as the store has it. */
static enum crdt_status take_floor(struct core *core, struct crdt_bytes summary)
{
    enum crdt_status status = vector_read(&core->claims, summary);
    for (size_t index = 0; status == CRDT_OK && index < core->claims.count; index++) {
        const struct crdt_dot *floor = &core->claims.items[index];
        uint64_t before = vector_get(&core->floor, &floor->origin);
        status = drop_raise_floor(core, &floor->origin, floor->seq);
        if (status == CRDT_OK && floor->seq > before)
            core->floor_raised += floor->seq - before;
    }
    return status;
}

/* All that may go has gone. If that is by far not enough, own batches must, where it
 * is for want of an acknowledgement that they stay: one that is only on its way is
 * here when this is looked at again. */
static void finish(struct core *core)
{
    uint64_t log_max = core->options.log_bytes_max;
    uint64_t unacked_max = core->options.unacked_bytes_max;
    uint64_t bytes_max = log_max > UINT64_MAX - unacked_max ? UINT64_MAX : log_max + unacked_max;
    bool was_desperate = core->is_drop_desperate;
    bool is_capped = core->is_drop_capped && core->log_bytes > bytes_max;
    core->is_drop_desperate = !was_desperate && is_capped && core->was_drop_capped;
    core->was_drop_capped = is_capped || (was_desperate && core->was_drop_capped);
    /* Above the budget, what holds it there may be a word that is on its way. */
    uint64_t pause_us = core->log_bytes > log_max ? DROP_OVER_US : DROP_INTERVAL_US;
    core->drop_us = core->now_us + (core->is_drop_desperate ? 0 : pause_us);
    if (core->is_drop_desperate)
        tell_desperate(core);
}

void drop_done(struct core *core, const struct core_input *input)
{
    if (!core->is_drop_on || input->number != core->newest_drop_id)
        return;
    core->is_drop_on = false;
    core->drop_us = core->now_us + DROP_INTERVAL_US;
    if (!input->is_ok)
        return;
    core->log_bytes = input->size;
    /* A floor that is behind the store's serves nothing wrong: what was dropped
     * cannot be read. The next answer brings it again. */
    if (take_floor(core, input->bytes) != CRDT_OK)
        return;
    tell_lacking(core);
    if (input->has_more)
        core->drop_us = core->now_us;
    else
        finish(core);
}
