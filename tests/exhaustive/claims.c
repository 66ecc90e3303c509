#include "tests/exhaustive/claims.h"

#include "tests/support/claim.h"

#include <string.h>

void claims_init(struct claims *claims)
{
    memset(claims, 0, sizeof *claims);
    history_init(&claims->history);
    for (unsigned set = 0; set < SETS_MAX; set++)
        for (unsigned kind = 0; kind < COPY_COUNT; kind++)
            arena_init(&claims->copies[set][kind].arena);
    arena_init(&claims->scratch.arena);
    crdt_buffer_init(&claims->found, NULL);
    crdt_buffer_init(&claims->summary, NULL);
    crdt_buffer_init(&claims->delta, NULL);
    seen_init(&claims->seen);
    seen_init(&claims->walked);
}

void claims_close(struct claims *claims)
{
    for (unsigned set = 0; set < SETS_MAX; set++)
        for (unsigned kind = 0; kind < COPY_COUNT; kind++)
            arena_close(&claims->copies[set][kind].arena);
    arena_close(&claims->scratch.arena);
    crdt_buffer_close(&claims->found);
    crdt_buffer_close(&claims->summary);
    crdt_buffer_close(&claims->delta);
    seen_close(&claims->seen);
    seen_close(&claims->walked);
    history_close(&claims->history);
}

/* ---- comparing ---- */

/* The first one to come to a set: the oracle judges it, the others are compared
 * with it. */
static void judge(struct claims *claims, struct copy *copy)
{
    struct history *history = &claims->history;
    struct history_state *state = &history->states[copy->set];
    crdt_buffer_clear(&state->summary);
    claim(crdt_summary(copy->document, &state->summary) == CRDT_OK);
    crdt_buffer_clear(&state->snapshot);
    claim(crdt_snapshot(copy->document, &state->snapshot) == CRDT_OK);
    claim(crdt_digest(copy->document, &state->digest) == CRDT_OK);
    enum history_claim claim_before = history->claim;
    history->claim = CLAIM_ORACLE;
    history->counts.claims[CLAIM_ORACLE]++;
    struct oracle_context context = history_context(history, copy->set);
    oracle_live(&history->oracle, &context, &history->live);
    const char *difference = oracle_difference(&history->oracle, copy->document, &history->live);
    if (difference != NULL)
        history_broken(history, difference);
    claims_check_reads(claims, copy->document);
    history->claim = claim_before;
}

/* A replica's state is its history, the order of its feeds, and its log. */
static void count_state(
    struct claims *claims, const struct copy *copy, const struct crdt_digest *digest)
{
    uint64_t hash = seen_hash(SEEN_SEED, digest->heads, sizeof digest->heads);
    for (size_t i = 0; i < crdt_feed_count(copy->document); i++) {
        struct crdt_feed feed = crdt_feed_at(copy->document, i);
        hash = seen_hash(hash, feed.origin.key, 1);
    }
    hash = seen_hash(hash, copy->floors, sizeof copy->floors);
    claims->history.counts.replicas += seen_add(&claims->seen, hash);
}

void claims_compare(struct claims *claims, struct copy *copy)
{
    struct history *history = &claims->history;
    const struct history_state *state = &history->states[copy->set];
    history->counts.comparisons++;
    history->counts.claims[history->claim]++;
    struct crdt_digest digest;
    claim(crdt_digest(copy->document, &digest) == CRDT_OK);
    crdt_buffer_clear(&claims->found);
    claim(crdt_snapshot(copy->document, &claims->found) == CRDT_OK);
    if (!oracle_bytes_are_equal(
            crdt_buffer_bytes(&claims->found), crdt_buffer_bytes(&state->snapshot)))
        history_broken(history, "equal contexts, but snapshots differ");
    if (memcmp(&digest, &state->digest, sizeof digest) != 0)
        history_broken(history, "equal contexts, but digests differ");
    if (crdt_pending_bytes(copy->document) != 0)
        history_broken(history, "a batch still waits that has all it depends on");
    count_state(claims, copy, &digest);
}

/* ---- executing ---- */

static void step(struct history *history, enum history_claim claim, const char *text)
{
    history->claim = claim;
    history->step = text;
}

static void place(struct history *history, unsigned kind, unsigned from, unsigned with)
{
    history->copy = copy_text(kind);
    history->from = from;
    history->with = with;
}

/* The stamp of a register is the author's business: it is read off its document. */
static void note_stamp(const struct history *history, const struct copy *copy,
    const struct history_op *op, struct oracle_op *described)
{
    struct crdt_version version;
    if (described->type != CRDT_REGISTER || described->kind != CRDT_PUT)
        return;
    enum crdt_status status =
        crdt_register_version(copy->document, letter_path(op->letter), 0, &version);
    if (status != CRDT_OK || version.hlc >> 16 != history_now_ms(op))
        history_broken(history, "the author does not read what it assigned");
    described->hlc = version.hlc;
}

bool claims_execute(struct claims *claims)
{
    struct history *history = &claims->history;
    unsigned index = history->count - 1;
    struct history_op *op = &history->ops[index];
    history->oracle.count = index;
    struct oracle_context context = history_context(history, op->seen);
    oracle_live(&history->oracle, &context, &history->live);
    struct oracle_op described = {.author = op->author, .seq = op->seq, .deps = context};
    bool is_made = letter_describe(op->letter, index, &history->live, &described);
    if (!is_made && letter_is_part(op->letter))
        return false;
    struct copy *copy = &claims->copies[op->seen][COPY_LIFE + op->author];
    step(history, CLAIM_EXECUTE, "executing");
    place(history, COPY_LIFE + op->author, op->seen, 1u << index);
    copy_save(copy);
    struct crdt_bytes batch = copy_execute(history, copy, op, &described);
    if ((batch.size > 0) != is_made)
        history_broken(history, is_made ? "it made no operation" : "it made an operation");
    if (is_made) {
        note_stamp(history, copy, op, &described);
        crdt_buffer_clear(&op->batch);
        claim(crdt_buffer_append(&op->batch, batch.data, batch.size) == CRDT_OK);
        oracle_append(&history->oracle, &described);
    }
    copy_restore(copy);
    copy_forget();
    return is_made;
}

/* At documents of the same author that came there in other ways. */
static void check_executing(struct claims *claims)
{
    struct history *history = &claims->history;
    unsigned index = history->count - 1;
    const struct history_op *op = &history->ops[index];
    if ((op->seen | 1u << index) != history_all(history))
        return;
    struct copy *copy = &claims->scratch;
    step(history, CLAIM_EXECUTE, "executing");
    for (unsigned kind = 0; kind <= COPY_LIFE; kind++) {
        unsigned used = kind == COPY_LIFE ? COPY_LIFE + op->author : kind;
        place(history, used, op->seen, 1u << index);
        copy_make(history, op->seen, used, history->keys[op->author], copy);
        claim(crdt_set_generation(copy->document, 1) == CRDT_OK);
        struct crdt_bytes batch = copy_execute(history, copy, op, &history->oracle.ops[index]);
        if (!oracle_bytes_are_equal(batch, crdt_buffer_bytes(&op->batch)))
            history_broken(history, "one operation, but two batches");
        copy->set |= 1u << index;
        claims_compare(claims, copy);
    }
}

/* ---- every last step ---- */

void claims_prepare(struct claims *claims, bool is_whole)
{
    struct history *history = &claims->history;
    unsigned all = history_all(history);
    unsigned last = history->count == 0 ? 0 : 1u << (history->count - 1);
    for (unsigned set = last; set <= all; set++) {
        if ((set & last) != last || !history_is_closed(history, set) || (is_whole && set == all))
            continue;
        step(history, CLAIM_DELIVER, "making");
        for (unsigned kind = 0; kind < COPY_COUNT; kind++) {
            struct copy *copy = &claims->copies[set][kind];
            uint8_t key = kind >= COPY_LIFE ? history->keys[kind - COPY_LIFE] : 0xee;
            place(history, kind, set, set);
            copy_make(history, set, kind, key, copy);
            if (kind == COPY_FORWARD)
                judge(claims, copy);
            claims_compare(claims, copy);
        }
    }
}

/* May this copy receive what it lacks of the whole, its own operations included? */
static bool may_receive(const struct history *history, unsigned kind, unsigned set)
{
    return kind < COPY_LIFE || (history_of(history, kind - COPY_LIFE) & ~set) == 0;
}

/* What brings nothing new changes nothing, old snapshots least of all. */
static void check_repeats(struct claims *claims, struct copy *copy)
{
    struct history *history = &claims->history;
    unsigned all = history_all(history);
    step(history, CLAIM_DELIVER, "merging again what is there");
    history->from = history->with = all;
    copy_save(copy);
    for (unsigned i = 0; i < history->count; i++)
        copy_deliver(history, copy, i);
    claims_compare(claims, copy);
    copy_restore(copy);
    step(history, CLAIM_JOIN, "joining an older snapshot");
    for (unsigned set = 0; set <= all; set++) {
        if (!history_is_closed(history, set))
            continue;
        history->with = set;
        copy_join(history, copy, set);
        claims_compare(claims, copy);
        copy_restore(copy);
    }
    copy_forget();
}

static void check_deliveries(struct claims *claims)
{
    struct history *history = &claims->history;
    unsigned all = history_all(history);
    unsigned newest = history_newest(history, all);
    bool is_first = true;
    for (unsigned i = 0; i < history->count; i++) {
        unsigned set = all & ~(1u << i);
        for (unsigned kind = 0; kind < COPY_COUNT && (newest >> i & 1) != 0; kind++) {
            if (!may_receive(history, kind, set))
                continue;
            struct copy *copy = &claims->copies[set][kind];
            step(history, CLAIM_DELIVER, "merging a batch");
            place(history, kind, set, 1u << i);
            copy_save(copy);
            copy_deliver(history, copy, i);
            if (is_first)
                judge(claims, copy);
            claims_compare(claims, copy);
            if (is_first || kind == COPY_JOINED || kind >= COPY_LIFE)
                check_repeats(claims, copy);
            is_first = false;
            copy_restore(copy);
            copy_forget();
        }
    }
}

static void check_joins(struct claims *claims)
{
    struct history *history = &claims->history;
    unsigned all = history_all(history);
    step(history, CLAIM_JOIN, "joining a snapshot");
    for (unsigned set = 0; set < all; set++)
        for (unsigned other = all & ~set; other <= all && history_is_closed(history, set);
             other++) {
            if ((set | other) != all || !history_is_closed(history, other))
                continue;
            for (unsigned kind = 0; kind < COPY_COUNT; kind++) {
                struct copy *copy = &claims->copies[set][kind];
                if (!may_receive(history, kind, set))
                    continue;
                place(history, kind, set, other);
                copy_save(copy);
                copy_join(history, copy, other);
                claims_compare(claims, copy);
                claims_serve(claims, copy);
                step(history, CLAIM_JOIN, "joining a snapshot");
                copy_restore(copy);
                copy_forget();
            }
        }
}

void claims_check(struct claims *claims)
{
    struct history *history = &claims->history;
    history->counts.histories++;
    uint64_t clusters = 1;
    for (unsigned replica = 0; replica < REPLICAS; replica++) {
        uint64_t sets = 0;
        for (unsigned set = 0; set <= history_all(history); set++)
            sets += history_is_closed(history, set) && (history_of(history, replica) & ~set) == 0;
        clusters *= sets;
    }
    history->counts.clusters += clusters;
    check_deliveries(claims);
    check_joins(claims);
    check_executing(claims);
    claims_check_waiting(claims);
    claims_check_serving(claims);
}
