/* Logs: what is collected is refused, what is kept is served whole. */
#include "tests/exhaustive/claims.h"

#include "tests/support/claim.h"

#include <string.h>

/* The operation whose batch this is. */
static unsigned find_op(struct history *history, struct crdt_bytes batch)
{
    for (unsigned i = 0; i < history->count; i++)
        if (oracle_bytes_are_equal(batch, crdt_buffer_bytes(&history->ops[i].batch)))
            return i;
    history_broken(history, "a delta with a batch that nobody made");
}

/* A delta for a peer at `peer` has exactly what it lacks of `set`, in an order in
 * which nothing has to wait. */
static void check_delta(
    struct history *history, struct crdt_bytes delta, unsigned set, unsigned peer)
{
    unsigned got = peer;
    while (delta.size > 0) {
        struct crdt_batch batch;
        claim(crdt_batch_read(delta, &batch) == CRDT_OK);
        unsigned index = find_op(history, batch.bytes);
        if ((got >> index & 1) != 0)
            history_broken(history, "a delta with a batch that the peer has");
        if ((history->ops[index].seen & ~got) != 0)
            history_broken(history, "a delta with a batch ahead of what it depends on");
        got |= 1u << index;
        delta.data = (const uint8_t *)delta.data + batch.bytes.size;
        delta.size -= batch.bytes.size;
    }
    if (got != (set | peer))
        history_broken(history, "a delta without a batch that the peer lacks");
}

/* True when the log goes far enough back for this peer, and so it served. */
static bool serve_one(struct claims *claims, struct copy *copy, unsigned peer)
{
    struct history *history = &claims->history;
    struct oracle_context context = history_context(history, peer);
    bool is_below = false;
    for (unsigned i = 0; i < REPLICAS; i++)
        is_below |= context.seqs[i] < copy->floors[i];
    history->counts.deltas++;
    history->counts.claims[CLAIM_SERVE]++;
    crdt_buffer_clear(&claims->delta);
    enum crdt_status status = crdt_diff(
        copy->document, crdt_buffer_bytes(&history->states[peer].summary), &claims->delta);
    if (is_below && status == CRDT_OK)
        history_broken(history, "a delta served below the floor");
    if (status != (is_below ? CRDT_ERR_BELOW_FLOOR : CRDT_OK))
        history_broken(history, crdt_status_text(status));
    if (!is_below)
        check_delta(history, crdt_buffer_bytes(&claims->delta), copy->set, peer);
    return !is_below;
}

/* Every peer whose context, with this one, makes the whole. */
void claims_serve(struct claims *claims, struct copy *copy)
{
    struct history *history = &claims->history;
    unsigned all = history_all(history);
    history->claim = CLAIM_SERVE;
    history->step = "serving";
    for (unsigned peer = 0; peer <= all; peer++) {
        if ((copy->set | peer) != all || !history_is_closed(history, peer))
            continue;
        history->with = peer;
        serve_one(claims, copy, peer);
    }
}

/* Drops what all of these sets have. */
void claims_collect(struct history *history, struct copy *copy, unsigned one, unsigned other)
{
    struct crdt_bytes summaries[] = {
        crdt_buffer_bytes(&history->states[one].summary),
        crdt_buffer_bytes(&history->states[other].summary),
    };
    history->counts.collections++;
    enum crdt_status status = crdt_gc(copy->document, summaries, 2);
    if (status != CRDT_OK)
        history_broken(history, crdt_status_text(status));
    struct oracle_context frontier = history_context(history, one & other & copy->set);
    for (unsigned i = 0; i < REPLICAS; i++)
        if (frontier.seqs[i] > copy->floors[i])
            copy->floors[i] = frontier.seqs[i];
}

/* Delivers `op`, if there is one, to a log collected up to `frontier`. */
static void serve_collected(struct claims *claims, struct copy *copy, unsigned frontier, int op)
{
    struct history *history = &claims->history;
    history->claim = CLAIM_SERVE;
    history->step = "collecting";
    history->with = frontier;
    copy_save(copy);
    claims_collect(history, copy, frontier, history_all(history));
    if (op >= 0)
        copy_deliver(history, copy, (unsigned)op);
    claims_compare(claims, copy);
    claims_serve(claims, copy);
    copy_restore(copy);
    copy_forget();
}

/* The delta in one merge, against a peer that lacks it. */
static void exchange(struct claims *claims, struct copy *copy, unsigned peer)
{
    struct history *history = &claims->history;
    unsigned all = history_all(history);
    history->step = "serving what a legal collection kept";
    history->with = peer;
    copy_save(copy);
    claims_collect(history, copy, peer, all);
    if (!serve_one(claims, copy, peer))
        history_broken(history, "a member is refused what a legal collection must keep");
    copy_restore(copy);
    copy_forget();
    if (peer == all)
        return;
    struct copy *target = &claims->copies[peer][COPY_FORWARD];
    history->claim = CLAIM_DELIVER;
    history->step = "merging a whole delta into";
    history->from = peer;
    history->with = copy->set;
    copy_save(target);
    history->counts.merges++;
    enum crdt_status status = crdt_merge(target->document, crdt_buffer_bytes(&claims->delta));
    if (status != CRDT_OK)
        history_broken(history, crdt_status_text(status));
    target->set = all;
    claims_compare(claims, target);
    copy_restore(target);
    copy_forget();
}

void claims_check_serving(struct claims *claims)
{
    struct history *history = &claims->history;
    unsigned all = history_all(history);
    for (unsigned set = 0; set < all; set++) {
        if (!history_is_closed(history, set))
            continue;
        struct copy *copy = &claims->copies[set][COPY_FORWARD];
        history->copy = copy_text(COPY_FORWARD);
        unsigned rest = all & ~set;
        int op = -1;
        for (unsigned i = 0; i < history->count; i++)
            op = rest == 1u << i ? (int)i : op;
        for (unsigned other = 1; other <= all; other++) {
            if (!history_is_closed(history, other))
                continue;
            history->claim = CLAIM_SERVE;
            history->from = set;
            serve_collected(claims, copy, other, -1);
            history->from = set;
            if (op >= 0)
                serve_collected(claims, copy, other, op);
            history->from = set;
            if ((set | other) == all)
                exchange(claims, copy, other);
        }
    }
}
