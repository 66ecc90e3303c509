/* Whom a peer's snapshot is taken of: how much it may offer, how fast it has to be,
 * and what follows when it did not tell the truth. A source may be anybody who has a
 * member's key: nothing here may cost more than what it sends is worth. */
#include "gossipd/core/source.h"

#include "gossipd/wire/tips.h"

static uint64_t full_bytes(const struct core *core)
{
    uint64_t bytes = core->options.part_bytes;
    return bytes == 0 ? SNAPSHOT_PART_BYTES : bytes;
}

/* So what is staged of a lie is no more than it says, and each part of it a row that
 * is worth its place. */
bool source_may_offer(const struct core *core, uint64_t bytes, uint64_t parts)
{
    return bytes > 0 && bytes <= OFFER_BYTES_MAX
        && parts == (bytes - 1) / full_bytes(core) + 1;
}

uint64_t source_next_bytes(const struct core *core)
{
    const struct join *join = &core->join;
    bool is_last = join->received + 1 == join->snapshot.parts;
    return is_last ? join->snapshot.bytes - join->received * full_bytes(core)
                   : full_bytes(core);
}

/* Parts come, but so few that the transfer would go on for ever: a source that is
 * not this peer makes way for it. On a line on which nobody is faster, each in turn is
 * given more time, so that one of them ends. */
bool source_is_slower_than(const struct core *core, const struct peer *peer)
{
    const struct join *join = &core->join;
    uint64_t took_us = core->now_us - join->source_us;
    uint64_t part_us = (uint64_t)JOIN_PART_US << join->patience;
    return join->source != NULL && join->source != peer && took_us >= JOIN_STALLED_US
        && took_us / part_us > join->received - join->source_first;
}

void source_lose_patience(struct core *core)
{
    if (core->join.patience < JOIN_PATIENCE_MAX)
        core->join.patience++;
}

/* What it offers is not taken for a while, longer each time, so that what others
 * offer has its turn. */
void source_blame(struct core *core, struct peer *peer)
{
    peer->blamed_until_us = core->now_us + ((uint64_t)JOIN_RETRY_US << peer->blames);
    if (peer->blames < JOIN_BLAME_SHIFT_MAX)
        peer->blames++;
}

/* Some of the tips may be of another history than the one here. */
void source_look_into_tips(struct core *core, struct peer *peer)
{
    struct tips_walk walk = tips_begin(core->join.snapshot.tips);
    struct tip tip;
    size_t left = HEADS_VERIFY_MAX;
    while (left > 0 && tips_next(&walk, &tip)) {
        const struct crdt_batch *batch = &tip.batch;
        uint64_t applied = crdt_applied(core->document, &batch->origin);
        struct crdt_dot missing;
        bool is_same = batch->last_seq == applied
            && crdt_batch_check(core->document, batch, &missing) == CRDT_OK;
        if (is_same || applied == 0 || batch->first_seq > applied + 1)
            continue;
        left--;
        receive_header(core, peer, &tip);
    }
}
