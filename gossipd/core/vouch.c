/* Vouchers: which batches of a frozen origin are let in. The deps of a batch of an
 * origin that is not frozen say how far, and their hash says which of the
 * histories that wait here; one that has been let in speaks for others in turn. */
#include "gossipd/core/machine.h"

#include "gossipd/core/memory.h"

#include <string.h>

/* What one batch wants of one frozen origin, and where each history would stand. */
struct want {
    size_t feed;             /* in `pending`                                        */
    uint64_t seq;
    struct held *ends[HISTORIES_MAX];
    size_t count;
    size_t at;               /* the one that is tried                               */
};

struct wants {
    struct want items[VOUCH_ORIGINS_MAX];
    size_t count;
};

bool freeze_may_apply(const struct core *core, const struct held *held)
{
    return held->is_vouched || proofs_frozen(&core->proofs, &held->batch.origin) == NULL;
}

static bool follows(const struct crdt_batch *after, const struct crdt_batch *before)
{
    return before->last_seq + 1 == after->first_seq
        && memcmp(before->head, after->previous, CRDT_HASH_BYTES) == 0;
}

/* The first batch of the history that ends with `end`, as far as it waits; NULL when
 * memory is out. Lets all of it in, if asked to. One pass from the end: whoever
 * fills the buffer with small batches must not stop the loop. */
static const struct held *history_first(const struct core *core,
    const struct pending_feed *feed, struct held *end, bool is_vouched)
{
    size_t count = 0;
    for (const struct held *held = feed->first; held != end; held = held->next)
        count++;
    struct held **items =
        memory_new(&core->options.memory, (count + 1) * sizeof *items);
    if (items == NULL)
        return NULL;
    size_t index = 0;
    for (struct held *held = feed->first; held != end; held = held->next)
        items[index++] = held;
    struct held *first = end;
    first->is_vouched = first->is_vouched || is_vouched;
    for (; index > 0; index--) {
        if (!follows(&first->batch, &items[index - 1]->batch))
            continue;
        first = items[index - 1];
        first->is_vouched = first->is_vouched || is_vouched;
    }
    memory_free(&core->options.memory, items, (count + 1) * sizeof *items);
    return first;
}

/* Finds the histories that wait here and reach what is wanted without a gap. */
static bool find_histories(const struct core *core, struct want *want)
{
    const struct pending_feed *feed = &core->pending.feeds[want->feed];
    uint64_t applied = crdt_applied(core->document, &feed->origin);
    for (struct held *held = feed->first; held != NULL; held = held->next) {
        if (held->batch.last_seq != want->seq || want->count == HISTORIES_MAX)
            continue;
        const struct held *first = history_first(core, feed, held, false);
        if (first != NULL && first->batch.first_seq == applied + 1)
            want->ends[want->count++] = held;
    }
    return want->count > 0;
}

static size_t pending_index(const struct pending *pending, const struct crdt_origin *origin)
{
    for (size_t index = 0; index < pending->feed_count; index++) {
        if (crdt_origin_compare(&pending->feeds[index].origin, origin) == 0)
            return index;
    }
    return SIZE_MAX;
}

/* What the batch names of frozen origins beyond what is applied; false when it
 * waits for something else, or for what has not come. */
static bool find_wants(const struct core *core, const struct held *held, struct wants *wants)
{
    struct crdt_feed frozen[EVIDENCE_MAX] = {0};
    uint64_t named[EVIDENCE_MAX] = {0};
    struct crdt_dot missing;
    size_t count = 0;
    for (size_t index = 0; index < core->proofs.count; index++) {
        const struct proof *proof = &core->proofs.items[index];
        if (proof->evidence.is_proof
            && crdt_origin_compare(&proof->origin, &held->batch.origin) != 0)
            frozen[count++] =
                (struct crdt_feed){.origin = proof->origin, .seq = CRDT_SEQ_MAX};
    }
    if (crdt_batch_check_after(
            core->document, &held->batch, frozen, named, count, &missing) != CRDT_OK)
        return false;
    for (size_t index = 0; index < count; index++) {
        if (named[index] <= crdt_applied(core->document, &frozen[index].origin))
            continue;
        if (wants->count == VOUCH_ORIGINS_MAX)
            return false;
        struct want *want = &wants->items[wants->count++];
        *want = (struct want){.seq = named[index],
            .feed = pending_index(&core->pending, &frozen[index].origin)};
        if (want->feed == SIZE_MAX || !find_histories(core, want))
            return false;
    }
    return wants->count > 0;
}

/* Would the batch fit if these histories were applied? */
static bool is_named(const struct core *core, const struct held *held, const struct wants *wants)
{
    struct crdt_feed assumed[VOUCH_ORIGINS_MAX] = {0};
    uint64_t named[VOUCH_ORIGINS_MAX];
    struct crdt_dot missing;
    for (size_t index = 0; index < wants->count; index++) {
        const struct want *want = &wants->items[index];
        const struct crdt_batch *end = &want->ends[want->at]->batch;
        assumed[index] = (struct crdt_feed){.origin = end->origin, .seq = end->last_seq};
        memcpy(assumed[index].head, end->head, CRDT_HASH_BYTES);
    }
    return crdt_batch_check_after(core->document, &held->batch, assumed, named, wants->count,
               &missing) == CRDT_OK;
}

/* The next choice of one history for each; false after the last. */
static bool next_choice(struct wants *wants)
{
    for (size_t index = 0; index < wants->count; index++) {
        struct want *want = &wants->items[index];
        if (++want->at < want->count)
            return true;
        want->at = 0;
    }
    return false;
}

void freeze_vouch(struct core *core, const struct held *held)
{
    struct wants wants = {0};
    if (proofs_frozen_count(&core->proofs) == 0 || !freeze_may_apply(core, held)
        || !find_wants(core, held, &wants))
        return;
    while (!is_named(core, held, &wants)) {
        if (!next_choice(&wants))
            return;
    }
    for (size_t index = 0; index < wants.count; index++) {
        const struct want *want = &wants.items[index];
        struct held *end = want->ends[want->at];
        bool is_new = !end->is_vouched;
        const struct held *first =
            history_first(core, &core->pending.feeds[want->feed], end, true);
        core->has_vouched = core->has_vouched || (is_new && first != NULL);
    }
}
