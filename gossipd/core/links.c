/* Links: dialled, taken, replaced, given up; who is a member and who is up. */
#include "gossipd/core/machine.h"

#include "gossipd/core/random.h"

#include <string.h>

void links_close(struct core *core, struct peer *peer)
{
    struct core_output *output = outputs_add(&core->outputs, CORE_CLOSE_LINK);
    if (output != NULL)
        output->link = peer->link;
    peer_link_down(peer, core->now_us);
    peer->dial_us = core->now_us + DIAL_US + random_next(&core->random) % DIAL_JITTER_US;
}

static void refuse_link(struct core *core, uint64_t link)
{
    struct core_output *output = outputs_add(&core->outputs, CORE_CLOSE_LINK);
    if (output != NULL)
        output->link = link;
}

/* Of two links whose dials crossed both sides keep the same one: the one dialled
 * by the smaller key, or of two dialled by one side the newer. A link that has
 * been up for longer crossed nothing: whoever dials now has no link, be it the
 * peer after a restart or a second process with its key, which must not be shut
 * out for ever. */
static bool is_better(const struct core *core, const struct peer *peer, bool is_initiator)
{
    if (is_initiator == peer->is_initiator || core->now_us - peer->linked_us >= LINK_CROSSING_US)
        return true;
    bool is_self_smaller = memcmp(core->options.key, peer->member->key, CRDT_KEY_BYTES) < 0;
    return is_initiator == is_self_smaller;
}

static void announce(struct core *core, struct peer *peer, bool is_up)
{
    if (peer->is_announced == is_up)
        return;
    peer->is_announced = is_up;
    struct fields fields = {0};
    fields_text(&fields, "member", peer->member->name);
    core_event(core, is_up ? CORE_EVENT_MEMBER_UP : CORE_EVENT_MEMBER_DOWN,
        is_up ? CORE_INFO : CORE_WARNING, &fields);
}

void links_up(struct core *core, const struct core_input *input)
{
    struct peer *peer = core_peer_by_key(core, input->key);
    if (peer == NULL) {
        core_refuse(core, REFUSED_LINK, NULL);
        refuse_link(core, input->link);
        return;
    }
    if (core->phase < PHASE_WAITING || core->phase == PHASE_STOPPED
        || (peer->link != 0 && !is_better(core, peer, input->is_initiator))) {
        refuse_link(core, input->link);
        return;
    }
    if (peer->link != 0)
        refuse_link(core, peer->link);
    peer_link_up(peer, input->link, input->is_initiator, core->now_us);
    announce(core, peer, true);
    sync_summarize(core, peer, false);
    peer->owes_proofs = true;
}

void links_down(struct core *core, uint64_t link)
{
    struct peer *peer = core_peer_by_link(core, link);
    if (peer == NULL)
        return;
    peer_link_down(peer, core->now_us);
    peer->dial_us = core->now_us + random_next(&core->random) % DIAL_JITTER_US;
}

/* When things have become quiet, and something was not compared yet. */
static uint64_t quiet_due_us(const struct core *core, const struct peer *peer)
{
    if (peer->compared_version == core->version)
        return UINT64_MAX;
    return core->changed_us + QUIET_US;
}

static void tick_link(struct core *core, struct peer *peer)
{
    if (core->now_us - peer->heard_us >= LINK_SILENT_US) {
        links_close(core, peer);
        return;
    }
    bool is_heartbeat = peer->heartbeat_us <= core->now_us;
    if (!is_heartbeat && quiet_due_us(core, peer) > core->now_us)
        return;
    sync_compare(core, peer);
    if (!is_heartbeat)
        return;
    peer->heartbeat_us = core->now_us + HEARTBEAT_US;
    if (peer->acked_version != core->durable_version)
        sync_acknowledge(core, peer);
}

static void tick_dial(struct core *core, struct peer *peer)
{
    if (peer->state == PEER_SUSPECT && core->now_us - peer->since_us >= SUSPECT_US) {
        peer->state = PEER_DOWN;
        peer->since_us = core->now_us;
        announce(core, peer, false);
    }
    if (peer->dial_us > core->now_us)
        return;
    struct core_output *output = outputs_add(&core->outputs, CORE_CONNECT);
    if (output != NULL)
        output->peer = (size_t)(peer - core->peers);
    peer->dial_us = core->now_us + DIAL_US + random_next(&core->random) % DIAL_JITTER_US;
}

void links_tick(struct core *core)
{
    if (!core_is_running(core))
        return;
    for (size_t index = 0; index < core->options.peer_count; index++) {
        struct peer *peer = &core->peers[index];
        if (peer->link != 0)
            tick_link(core, peer);
        else
            tick_dial(core, peer);
        if (peer_watch_acks(peer, core->document, core->now_us, core->options.fold_away_us))
            core->is_fold_stale = true;
    }
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t links_due_us(const struct core *core)
{
    uint64_t due_us = UINT64_MAX;
    if (!core_is_running(core))
        return due_us;
    for (size_t index = 0; index < core->options.peer_count; index++) {
        const struct peer *peer = &core->peers[index];
        if (peer->link != 0) {
            due_us = least(due_us, peer->heard_us + LINK_SILENT_US);
            due_us = least(due_us, peer->heartbeat_us);
            due_us = least(due_us, quiet_due_us(core, peer));
        } else {
            due_us = least(due_us, peer->dial_us);
            if (peer->state == PEER_SUSPECT)
                due_us = least(due_us, peer->since_us + SUSPECT_US);
        }
    }
    return due_us;
}
