/* Vouchers: which batches of a frozen origin are let in. The deps of a batch of an
 * origin that is not frozen say how far, and their hash says which of the
 * histories that wait here; one that has been let in speaks for others in turn. */
#include "gossipd/core/machine.h"

#include <string.h>

/* What one batch wants of one frozen origin, and what each peer brought of it. A peer
 * that has applied the batch has one history, and all of what the batch names: so
 * every peer is one choice for all origins together, however many decoys wait. */
struct want {
    size_t feed;             /* in `pending`                                        */
    uint64_t seq;
    struct held *ends[MEMBERS_MAX]; /* by peer: where its history would stand       */
};

struct wants {
    struct want items[EVIDENCE_MAX];
    size_t count;
};

bool freeze_may_apply(const struct core *core, const struct held *held)
{
    return held->is_vouched || proofs_frozen(&core->proofs, &held->batch.origin) == NULL;
}

/* Marks what waits of the feed and has no gap before it, in any history. One pass, since
 * whatever follows a batch stands behind it: whoever fills the buffer with histories
 * must not stop the loop. */
static void mark_reached(const struct pending_feed *feed, uint64_t applied)
{
    for (size_t index = 0; index < feed->count; index++)
        feed->items[index]->is_reached = feed->items[index]->batch.first_seq == applied + 1;
    for (size_t index = 0; index < feed->count; index++) {
        if (!feed->items[index]->is_reached)
            continue;
        size_t end;
        size_t next = pending_followers(feed, &feed->items[index]->batch, &end);
        for (; next < end; next++)
            feed->items[next]->is_reached = true;
    }
}

/* Finds what each peer brought that reaches what is wanted without a gap. */
static void find_ends(const struct core *core, struct want *want)
{
    const struct pending_feed *feed = &core->pending.feeds[want->feed];
    mark_reached(feed, crdt_applied(core->document, &feed->origin));
    for (size_t index = 0; index < feed->count; index++) {
        struct held *held = feed->items[index];
        if (!held->is_reached || held->batch.last_seq != want->seq)
            continue;
        for (size_t peer = 0; peer < core->options.peer_count; peer++) {
            if ((held->peers >> peer & 1) != 0)
                want->ends[peer] = held;
        }
    }
}

/* Lets in the history that ends with `end`, as far as it waits: one pass from behind.
 * True when something of it had not been let in before. */
static bool let_in(const struct pending_feed *feed, struct held *end)
{
    bool is_more = !end->is_vouched;
    end->is_vouched = true;
    const struct crdt_batch *first = &end->batch;
    for (size_t index = feed->count; index > 0; index--) {
        struct held *held = feed->items[index - 1];
        if (held->batch.last_seq + 1 != first->first_seq
            || memcmp(held->batch.head, first->previous, CRDT_HASH_BYTES) != 0)
            continue;
        is_more = is_more || !held->is_vouched;
        held->is_vouched = true;
        first = &held->batch;
    }
    return is_more;
}

/* True when it fits. Where memory is out the batch is to be tried again. */
static bool fits(struct core *core, enum crdt_status status)
{
    if (status == CRDT_ERR_NOMEM) {
        core->pending.news++;
        core_retry_soon(core);
    }
    return status == CRDT_OK;
}

/* What the batch names of frozen origins beyond what is applied; false when it
 * waits for something else, which is noted, or for what has not come. */
static bool find_wants(struct core *core, struct held *held, struct wants *wants)
{
    struct crdt_feed frozen[EVIDENCE_MAX] = {0};
    uint64_t named[EVIDENCE_MAX] = {0};
    struct crdt_dot missing = {.seq = 0};
    size_t count = 0;
    for (size_t index = 0; index < core->proofs.count; index++) {
        const struct proof *proof = &core->proofs.items[index];
        if (proof->evidence.is_proof
            && crdt_origin_compare(&proof->origin, &held->batch.origin) != 0)
            frozen[count++] =
                (struct crdt_feed){.origin = proof->origin, .seq = CRDT_SEQ_MAX};
    }
    enum crdt_status status = crdt_batch_check_after(
        core->document, &held->batch, frozen, named, count, &missing);
    if (status == CRDT_ERR_GAP)
        held->missing = missing;
    if (!fits(core, status))
        return false;
    for (size_t index = 0; index < count; index++) {
        if (named[index] <= crdt_applied(core->document, &frozen[index].origin))
            continue;
        struct want *want = &wants->items[wants->count++];
        *want = (struct want){.seq = named[index],
            .feed = pending_find(&core->pending, &frozen[index].origin)};
        if (want->feed == SIZE_MAX)
            return false;
        find_ends(core, want);
    }
    return wants->count > 0;
}

/* True when this peer brought something of all that is wanted, and no peer before it
 * the same. */
static bool is_choice(const struct wants *wants, size_t peer)
{
    for (size_t index = 0; index < wants->count; index++) {
        if (wants->items[index].ends[peer] == NULL)
            return false;
    }
    for (size_t before = 0; before < peer; before++) {
        size_t index = 0;
        while (index < wants->count
            && wants->items[index].ends[before] == wants->items[index].ends[peer])
            index++;
        if (index == wants->count)
            return false;
    }
    return true;
}

/* Would the batch fit if what this peer brought were applied? */
static bool is_named(struct core *core, const struct held *held,
    const struct wants *wants, size_t peer)
{
    struct crdt_feed assumed[EVIDENCE_MAX] = {0};
    uint64_t named[EVIDENCE_MAX];
    struct crdt_dot missing;
    for (size_t index = 0; index < wants->count; index++) {
        const struct crdt_batch *end = &wants->items[index].ends[peer]->batch;
        assumed[index] = (struct crdt_feed){.origin = end->origin, .seq = end->last_seq};
        memcpy(assumed[index].head, end->head, CRDT_HASH_BYTES);
    }
    return fits(core, crdt_batch_check_after(core->document, &held->batch, assumed, named,
                          wants->count, &missing));
}

void freeze_vouch(struct core *core, struct held *held)
{
    struct wants wants = {0};
    if (proofs_frozen_count(&core->proofs) == 0 || !freeze_may_apply(core, held)
        || !find_wants(core, held, &wants))
        return;
    size_t peer = 0;
    while (peer < core->options.peer_count
        && !(is_choice(&wants, peer) && is_named(core, held, &wants, peer)))
        peer++;
    if (peer == core->options.peer_count)
        return;
    for (size_t index = 0; index < wants.count; index++) {
        const struct want *want = &wants.items[index];
        if (let_in(&core->pending.feeds[want->feed], want->ends[peer])) {
            core->has_vouched = true;
            core->pending.news++;
        }
    }
}
