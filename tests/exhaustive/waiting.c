/* Batches in any order at all: what comes early waits. */
#include "tests/exhaustive/claims.h"

#include "tests/support/claim.h"

/* Merges batch `op`, which may have to wait, and checks what is applied after. */
static void deliver_early(
    struct history *history, struct copy *copy, unsigned delivered, unsigned op)
{
    copy_deliver(history, copy, op);
    copy->set = history_closure(history, delivered);
    struct oracle_context context = history_context(history, copy->set);
    for (unsigned i = 0; i < REPLICAS; i++) {
        struct crdt_origin origin = history_origin(history, i);
        if (crdt_applied(copy->document, &origin) != context.seqs[i])
            history_broken(history, "applied is not what has all it depends on");
    }
    bool waits = copy->set != delivered;
    if ((crdt_pending_bytes(copy->document) > 0) != waits)
        history_broken(history,
            waits ? "a batch that came early does not wait" : "a batch waits that is applied");
}

/* A snapshot brings what the waiting batches depend on, or themselves. */
static void join_under(struct claims *claims, struct copy *copy, unsigned delivered)
{
    struct history *history = &claims->history;
    unsigned all = history_all(history);
    history->step = "joining a snapshot under waiting batches";
    for (unsigned set = 0; set <= all; set++) {
        if (!history_is_closed(history, set) || (delivered | set) != all)
            continue;
        history->with = set;
        copy_save(copy);
        copy_join(history, copy, set);
        copy->set = all;
        claims_compare(claims, copy);
        copy_restore(copy);
        copy_forget();
    }
}

/* Tries every order of what is not delivered yet. As deep as a history is long. */
static void deliver_rest(struct claims *claims, struct copy *copy, unsigned delivered)
{
    struct history *history = &claims->history;
    unsigned all = history_all(history);
    copy_save(copy);
    for (unsigned i = 0; i < history->count; i++) {
        if ((delivered >> i & 1) != 0)
            continue;
        unsigned now = delivered | 1u << i;
        history->step = "merging early batches";
        history->from = delivered;
        history->with = 1u << i;
        deliver_early(history, copy, now, i);
        if (now == all)
            claims_compare(claims, copy);
        else
            deliver_rest(claims, copy, now);
        if (copy->set != now) {
            history->from = now;
            join_under(claims, copy, now);
        }
        copy_restore(copy);
    }
    copy_forget();
}

/* Executes `op` while batch `early` waits: it must not be seen. Then all comes. */
static void execute_over(struct claims *claims, unsigned op, unsigned early)
{
    struct history *history = &claims->history;
    const struct history_op *executed = &history->ops[op];
    struct copy *copy = &claims->copies[executed->seen][COPY_LIFE + executed->author];
    history->claim = CLAIM_EXECUTE;
    history->step = "executing the second while the first waits";
    history->copy = copy_text(COPY_LIFE + executed->author);
    history->from = executed->seen;
    history->with = 1u << op | 1u << early;
    copy_save(copy);
    copy_deliver(history, copy, early);
    struct crdt_bytes batch = copy_execute(history, copy, executed, &history->oracle.ops[op]);
    if (!oracle_bytes_are_equal(batch, crdt_buffer_bytes(&executed->batch)))
        history_broken(history, "one operation, but two batches");
    unsigned own = executed->seen | 1u << op;
    if ((history_of(history, executed->author) & ~own) == 0) {
        for (unsigned i = 0; i < history->count; i++)
            if ((own >> i & 1) == 0)
                copy_deliver(history, copy, i);
        copy->set = history_all(history);
        claims_compare(claims, copy);
    }
    copy_restore(copy);
    copy_forget();
}

static void execute_over_waiting(struct claims *claims)
{
    const struct history *history = &claims->history;
    for (unsigned op = 0; op < history->count; op++)
        for (unsigned early = 0; early < history->count; early++) {
            const struct history_op *executed = &history->ops[op];
            unsigned missing = history->ops[early].seen & ~executed->seen;
            if (early != op && missing != 0 && (missing >> op & 1) == 0 &&
                history->ops[early].author != executed->author)
                execute_over(claims, op, early);
        }
}

void claims_check_waiting(struct claims *claims)
{
    struct history *history = &claims->history;
    execute_over_waiting(claims);
    history->claim = CLAIM_WAIT;
    history->copy = "a reader that has received";
    deliver_rest(claims, &claims->copies[0][COPY_FORWARD], 0);
}
