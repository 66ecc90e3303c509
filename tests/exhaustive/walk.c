/* Every way a replica can go, step by step, to the whole of a history: batches,
 * snapshots, collections, its own operations, in any order. Where it stands is
 * its context, the order of its feeds and its log; each place is left once.
 *
 * claims.c tries every last step from a few documents. Here it is seen that the
 * few are enough: no place behaves otherwise. */
#include "tests/exhaustive/claims.h"

#include "tests/support/claim.h"

#include <string.h>

/* Batches in the log, in the order in which they were applied. */
struct logged {
    unsigned ops[OPS_MAX];
    unsigned count;
};

struct walker {
    struct claims *claims;
    struct copy *copy;
    unsigned kind;
    unsigned own; /* operations that it makes itself                               */
};

/* What the floors rose over is not in the log any more. */
static void drop_logged(const struct walker *walker, struct logged *logged)
{
    const struct history *history = &walker->claims->history;
    unsigned kept = 0;
    for (unsigned i = 0; i < logged->count; i++) {
        const struct history_op *op = &history->ops[logged->ops[i]];
        if (op->seq > walker->copy->floors[op->author])
            logged->ops[kept++] = logged->ops[i];
    }
    logged->count = kept;
}

/* Compares, and tells whether this place is new. */
static bool arrive(const struct walker *walker, const struct logged *logged)
{
    const struct copy *copy = walker->copy;
    claims_compare(walker->claims, walker->copy);
    uint64_t hash = seen_hash(SEEN_SEED, &copy->set, sizeof copy->set);
    hash = seen_hash(hash, copy->floors, sizeof copy->floors);
    hash = seen_hash(hash, logged->ops, logged->count * sizeof logged->ops[0]);
    for (size_t i = 0; i < crdt_feed_count(copy->document); i++)
        hash = seen_hash(hash, crdt_feed_at(copy->document, i).origin.key, 1);
    return seen_add(&walker->claims->walked, hash);
}

static void walk(const struct walker *walker, const struct logged *logged);

/* Goes on from here, if it has not been here, and steps back. */
static void go_on(const struct walker *walker, struct logged *logged)
{
    drop_logged(walker, logged);
    if (arrive(walker, logged))
        walk(walker, logged);
    copy_restore(walker->copy);
}

static void step(
    const struct walker *walker, enum history_claim claim, const char *text, unsigned with)
{
    struct history *history = &walker->claims->history;
    history->claim = claim;
    history->step = text;
    history->copy = copy_text(walker->kind);
    history->from = walker->copy->set;
    history->with = with;
}

static void walk_operations(const struct walker *walker, const struct logged *logged)
{
    struct history *history = &walker->claims->history;
    for (unsigned i = 0; i < history->count; i++) {
        const struct history_op *op = &history->ops[i];
        unsigned set = walker->copy->set;
        bool is_own = (walker->own >> i & 1) != 0;
        if ((set >> i & 1) != 0 || (is_own ? op->seen != set : (op->seen & ~set) != 0))
            continue;
        struct logged next = *logged;
        next.ops[next.count++] = i;
        if (is_own) {
            step(walker, CLAIM_EXECUTE, "walking: executing", 1u << i);
            struct crdt_bytes batch =
                copy_execute(history, walker->copy, op, &history->oracle.ops[i]);
            if (!oracle_bytes_are_equal(batch, crdt_buffer_bytes(&op->batch)))
                history_broken(history, "one operation, but two batches");
            walker->copy->set |= 1u << i;
        } else {
            step(walker, CLAIM_DELIVER, "walking: merging a batch", 1u << i);
            copy_deliver(history, walker->copy, i);
        }
        go_on(walker, &next);
    }
}

/* Snapshots that hold no more of its own operations than it has made. */
static void walk_snapshots(const struct walker *walker, const struct logged *logged)
{
    struct history *history = &walker->claims->history;
    for (unsigned set = 0; set <= history_all(history); set++) {
        if (!history_is_closed(history, set) || (set & walker->own & ~walker->copy->set) != 0)
            continue;
        struct logged next = *logged;
        step(walker, CLAIM_JOIN, "walking: joining a snapshot", set);
        copy_join(history, walker->copy, set);
        go_on(walker, &next);
    }
}

static void walk_collections(const struct walker *walker, const struct logged *logged)
{
    struct history *history = &walker->claims->history;
    for (unsigned set = 1; set <= history_all(history); set++) {
        if (!history_is_closed(history, set) || (set & ~walker->copy->set) != 0)
            continue;
        struct logged next = *logged;
        step(walker, CLAIM_SERVE, "walking: collecting", set);
        claims_collect(history, walker->copy, set, set);
        go_on(walker, &next);
    }
}

/* Each step adds to the context or raises a floor: that bounds the depth. */
static void walk(const struct walker *walker, const struct logged *logged)
{
    step(walker, CLAIM_SERVE, "walking: serving", 0);
    if ((walker->own & ~walker->copy->set) == 0) /* nobody knows more of it */
        claims_serve(walker->claims, walker->copy);
    copy_save(walker->copy);
    walk_operations(walker, logged);
    walk_snapshots(walker, logged);
    walk_collections(walker, logged);
    copy_forget();
}

void claims_walk(struct claims *claims)
{
    struct history *history = &claims->history;
    for (unsigned i = 0; i <= REPLICAS; i++) {
        unsigned kind = i == REPLICAS ? (unsigned)COPY_FORWARD : COPY_LIFE + i;
        struct walker walker = {.claims = claims,
            .copy = &claims->copies[0][kind],
            .kind = kind,
            .own = i == REPLICAS ? 0 : history_of(history, i)};
        struct logged logged = {.count = 0};
        seen_clear(&claims->walked);
        step(&walker, CLAIM_DELIVER, "walking: beginning", 0);
        copy_save(walker.copy);
        if (arrive(&walker, &logged))
            walk(&walker, &logged);
        copy_restore(walker.copy);
        copy_forget();
        history->counts.places += claims->walked.count;
    }
}
