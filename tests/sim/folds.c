#include "tests/sim/folds.h"

#include <string.h>

#include "tests/sim/simulator.h"

#define MESSAGE_ACK_CODE 4            /* docs/wire-format.md                        */

/* One record of a feed: when it was made, and what its author had seen. */
struct act {
    size_t origin;
    uint64_t seq;
    const struct record *record;
    const struct vector *observed;
    const struct known_batch *batch;
};

/* Goes over all records that were ever made, in any order that keeps each feed's. */
struct walk {
    size_t origin;
    size_t batch;
    size_t record;
};

static bool is_fold(const struct record *record)
{
    return record->code == RECORD_FOLD_COUNTER || record->code == RECORD_FOLD_GCOUNTER;
}

static bool walk_next(struct simulator *sim, struct walk *walk, struct act *ret_act)
{
    struct registry *registry = &sim->registry;
    for (; walk->origin < registry->origin_count; walk->origin++, walk->batch = 0) {
        struct known_origin *origin = &registry->origins[walk->origin];
        for (; walk->batch < origin->batch_count; walk->batch++, walk->record = 0) {
            struct known_batch *batch = &origin->batches[walk->batch];
            const struct records *records = oracle_records(sim, origin, batch);
            if (records == NULL || walk->record >= records->count)
                continue;
            const struct record *record = &records->items[walk->record];
            *ret_act = (struct act){ .origin = walk->origin,
                .seq = batch->first_seq + walk->record++,
                .record = record,
                .observed = &records->observed[record->segment],
                .batch = batch };
            return true;
        }
    }
    return false;
}

/* The author of `later` had seen the operation (origin, seq) before. */
static bool act_has_seen(const struct act *later, size_t origin, uint64_t seq)
{
    return origin == later->origin ? seq < later->seq : seq <= later->observed->seq[origin];
}

static bool is_at(const struct act *act, const struct place *place)
{
    return act->record->place.depth == place->depth
        && act->record->place.prefixes[place->depth] == place->prefixes[place->depth];
}

/* Does it remove the counter at this place? */
static bool removes(const struct act *act, const struct place *place)
{
    const struct record *record = act->record;
    size_t depth = record->place.depth;
    if (record->code < RECORD_KILL_ANY || record->code >= RECORD_KILL_ELEMENT
        || depth > place->depth || record->place.prefixes[depth] != place->prefixes[depth])
        return false;
    if (record->code == RECORD_KILL_ANY)
        return true;
    if (record->code == RECORD_KILL_MAP)
        return place->depth > depth;
    return place->depth == depth && record_type(record->code) == CRDT_COUNTER;
}

/* Where docs/semantics.md says that it is: data, key, field. */
static struct place place_of(int key, int field)
{
    struct command names = { .count = 0 };
    command_add(&names, "data");
    command_add(&names, "%c%d", "csh"[key / 2], key % 2);
    command_add(&names, "f%d", field);
    struct place place = { .depth = key < 2 ? 2 : 3 };
    for (size_t i = 0; i < place.depth; i++)
        place.prefixes[i + 1]
            = record_mix(place.prefixes[i], record_hash(crdt_text(names.arguments[i])));
    return place;
}

void folds_applied(struct simulator *sim, size_t node)
{
    struct node *self = &sim->nodes[node];
    for (size_t i = 0; self->durability == CORE_NO && i < sim->registry.origin_count; i++)
        if (self->durable.seq[i] < self->context.seq[i])
            self->durable.seq[i] = self->context.seq[i];
}

void folds_durable(struct simulator *sim, size_t node, const struct disk_item *item)
{
    size_t origin = registry_origin(&sim->registry, &item->origin);
    uint64_t *durable = &sim->nodes[node].durable.seq[origin];
    if (origin != ORIGIN_COUNT_MAX && *durable < item->last_seq)
        *durable = item->last_seq;
}

void folds_heard(struct simulator *sim, size_t node, size_t from, struct crdt_bytes bytes)
{
    uint64_t code = 0;
    if (crdt_read_uint(&bytes, UINT64_MAX, &code) == CRDT_OK && code == MESSAGE_ACK_CODE)
        sim->nodes[node].acked_us[from] = sim->now_us;
}

void folds_restarted(struct simulator *sim, size_t node)
{
    struct node *self = &sim->nodes[node];
    self->durable_before = self->durable;
    for (size_t i = 0; i < sim->node_count; i++)
        self->acked_us[i] = sim->now_us;
    for (size_t i = 0; i < sim->registry.origin_count; i++) {
        struct known_origin *own = &sim->registry.origins[i];
        if (own->node != node || own->batch_count == 0)
            continue;
        uint64_t kept = self->context.seq[i];
        bool is_less = kept < own->batches[own->batch_count - 1].last_seq;
        if (is_less && (!own->is_lost || kept < own->kept)) {
            own->is_lost = true;
            own->kept = kept;
        }
    }
}

/* The nodes that the folder need not wait for when what it folds begins at `from`. */
static unsigned nodes_away(
    struct simulator *sim, size_t node, size_t origin, uint64_t from)
{
    const struct known_batch *first = registry_batch(&sim->registry, origin, from);
    unsigned away = 0;
    for (size_t i = 0; first != NULL && i < sim->node_count; i++)
        if (i != node && first->made_us >= sim->nodes[node].acked_us[i] + sim->fold_away_us)
            away |= 1u << i;
    return away;
}

/* A fold needs what it folds on the disk of every member that is not away, its author
 * included. A corrupted word may say anything. */
static void folds_judge(struct simulator *sim, size_t node, const struct act *fold)
{
    uint64_t h = fold->record->fold_seq;
    for (size_t i = 0; i < sim->node_count; i++) {
        uint64_t durable = sim->nodes[i].durable.seq[fold->origin];
        bool is_away = (fold->record->away >> i & 1u) != 0;
        simulator_trace(sim, "n%zu FOLD %s %llu from %llu up to %llu: on n%zu's disk up to %llu%s",
            node + 1, simulator_label(sim, fold->origin).text, (unsigned long long)fold->seq,
            (unsigned long long)fold->record->fold_from, (unsigned long long)h, i + 1,
            (unsigned long long)durable, is_away ? ", away" : "");
        if (durable < h && !is_away && sim->is_model_exact)
            simulator_fail(sim,
                "n%zu: I9: %s %llu folds %llu to %llu, and n%zu, not away when the first was"
                " made, never had more than %llu on disk",
                node + 1, simulator_label(sim, fold->origin).text, (unsigned long long)fold->seq,
                (unsigned long long)fold->record->fold_from, (unsigned long long)h, i + 1,
                (unsigned long long)durable);
    }
}

void folds_stored(
    struct simulator *sim, size_t node, size_t origin, struct known_batch *batch)
{
    if (batch->is_judged)
        return;
    batch->is_judged = true;
    batch->made_us = sim->now_us;
    batch->durable_before = sim->nodes[node].durable_before;
    const struct records *records
        = oracle_records(sim, &sim->registry.origins[origin], batch);
    for (size_t i = 0; records != NULL && i < records->count && !sim->is_broken; i++) {
        struct record *record = &records->items[i];
        if (!is_fold(record))
            continue;
        record->away = nodes_away(sim, node, origin, record->fold_from);
        struct act act
            = { .origin = origin, .seq = batch->first_seq + i, .record = record };
        folds_judge(sim, node, &act);
    }
}

/* Nothing that the fold's author had seen had removed its contribution `seq`. */
static bool was_alive(
    struct simulator *sim, const struct act *fold, const struct place *place, uint64_t seq)
{
    struct walk walk = { 0 };
    struct act act;
    while (walk_next(sim, &walk, &act))
        if (act_has_seen(fold, act.origin, act.seq) && removes(&act, place)
            && act_has_seen(&act, fold->origin, seq))
            return false;
    return true;
}

/* The removal came after the fold, or beside it, and had seen a part only of what
 * that took together: by itself it would have removed this part. */
static bool outlives(struct simulator *sim, const struct act *fold, const struct place *place,
    const struct act *removal)
{
    if (act_has_seen(fold, removal->origin, removal->seq)
        || act_has_seen(removal, fold->origin, fold->record->fold_seq))
        return false;
    struct walk walk = { .origin = fold->origin };
    struct act act;
    while (walk_next(sim, &walk, &act) && act.origin == fold->origin
        && act_has_seen(removal, act.origin, act.seq))
        if (act.record->code == RECORD_ADD_COUNTER && is_at(&act, place)
            && act.seq >= fold->record->fold_from && was_alive(sim, fold, place, act.seq))
            return true;
    return false;
}

/* What I9 allows: the author of the operation was away when the run was folded; or it
 * was back with less of the folded feed than it once had on disk; or it had lost the
 * operation itself, which others keep, when it said that it has all that was folded. */
static bool is_by_right(
    const struct simulator *sim, const struct act *fold, const struct act *act)
{
    const struct known_origin *author = &sim->registry.origins[act->origin];
    return (fold->record->away >> author->node & 1u) != 0
        || act->observed->seq[fold->origin] < act->batch->durable_before.seq[fold->origin]
        || (author->is_lost && act->seq > author->kept);
}

/* Every operation that the author of the fold had not seen has itself seen all that
 * was folded or nothing of it, whatever it does: only so no removal can find a part. */
static void folds_judge_beside(struct simulator *sim, const struct act *fold)
{
    struct walk walk = { 0 };
    struct act act;
    while (walk_next(sim, &walk, &act) && !sim->is_broken) {
        unsigned long long h = fold->record->fold_seq;
        if (act_has_seen(fold, act.origin, act.seq) || act_has_seen(&act, fold->origin, h)
            || !act_has_seen(&act, fold->origin, fold->record->fold_from)
            || is_by_right(sim, fold, &act))
            continue;
        struct label folder = simulator_label(sim, fold->origin);
        struct label other = simulator_label(sim, act.origin);
        simulator_fail(sim, "I9: %s %llu folds %llu to %llu and had seen %llu of %s, whose %llu had"
            " seen %llu of %s only, and its author was not away and never had more",
            folder.text, (unsigned long long)fold->seq,
            (unsigned long long)fold->record->fold_from, h,
            (unsigned long long)fold->observed->seq[act.origin], other.text,
            (unsigned long long)act.seq,
            (unsigned long long)act.observed->seq[fold->origin], folder.text);
    }
}

void folds_check(struct simulator *sim)
{
    struct walk walk = { 0 };
    struct act act;
    while (sim->is_model_exact && walk_next(sim, &walk, &act) && !sim->is_broken)
        if (is_fold(act.record))
            folds_judge_beside(sim, &act);
}

/* False when a removal did not find what it had seen, because of this fold. */
static bool is_fold_exact(struct simulator *sim, const struct vector *context,
    const struct act *fold, const struct place *place)
{
    struct walk walk = { 0 };
    struct act act;
    while (walk_next(sim, &walk, &act)) {
        if (!removes(&act, place) || act.seq > context->seq[act.origin]
            || !outlives(sim, fold, place, &act))
            continue;
        simulator_trace(sim, "OUTLIVED fold %s %llu up to %llu by removal %s %llu, which had seen"
            " %llu of it", simulator_label(sim, fold->origin).text,
            (unsigned long long)fold->seq, (unsigned long long)fold->record->fold_seq,
            simulator_label(sim, act.origin).text, (unsigned long long)act.seq,
            (unsigned long long)act.observed->seq[fold->origin]);
        return false;
    }
    return true;
}

bool folds_are_exact(struct simulator *sim, size_t node, int key, int field)
{
    bool is_exact = true;
    struct place place = place_of(key, field);
    const struct vector *context = &sim->nodes[node].context;
    struct walk walk = { 0 };
    struct act act;
    while (is_exact && walk_next(sim, &walk, &act))
        if (is_fold(act.record) && is_at(&act, &place) && act.seq <= context->seq[act.origin]
            && !is_fold_exact(sim, context, &act, &place))
            is_exact = false;
    return is_exact;
}
