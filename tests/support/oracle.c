#include "tests/support/oracle.h"

#include "tests/support/claim.h"

#include <stdlib.h>
#include <string.h>

void oracle_init(struct oracle *oracle)
{
    *oracle = (struct oracle){.count = 0};
}

void oracle_close(struct oracle *oracle)
{
    free(oracle->ops);
    oracle_init(oracle);
}

unsigned oracle_origin(struct oracle *oracle, const struct crdt_origin *origin)
{
    for (unsigned i = 0; i < oracle->origin_count; i++)
        if (crdt_origin_compare(&oracle->origins[i], origin) == 0)
            return i;
    claim(oracle->origin_count < ORACLE_ORIGINS_MAX);
    oracle->origins[oracle->origin_count] = *origin;
    return oracle->origin_count++;
}

void oracle_append(struct oracle *oracle, const struct oracle_op *op)
{
    if (oracle->count == oracle->capacity) {
        oracle->capacity = oracle->capacity == 0 ? 64 : 2 * oracle->capacity;
        oracle->ops = realloc(oracle->ops, oracle->capacity * sizeof *oracle->ops);
        claim(oracle->ops != NULL);
    }
    oracle->ops[oracle->count++] = *op;
}

bool oracle_bytes_are_equal(struct crdt_bytes a, struct crdt_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool oracle_path_is_under(const struct oracle_path *path, const struct oracle_path *prefix)
{
    if (path->count < prefix->count)
        return false;
    for (size_t i = 0; i < prefix->count; i++)
        if (!oracle_bytes_are_equal(path->keys[i], prefix->keys[i]))
            return false;
    return true;
}

bool oracle_path_is_equal(const struct oracle_path *a, const struct oracle_path *b)
{
    return a->count == b->count && oracle_path_is_under(a, b);
}

bool oracle_context_covers(const struct oracle_context *a, const struct oracle_context *b)
{
    for (unsigned i = 0; i < ORACLE_ORIGINS_MAX; i++)
        if (a->seqs[i] < b->seqs[i])
            return false;
    return true;
}

void oracle_context_join(struct oracle_context *into, const struct oracle_context *other)
{
    for (unsigned i = 0; i < ORACLE_ORIGINS_MAX; i++)
        if (into->seqs[i] < other->seqs[i])
            into->seqs[i] = other->seqs[i];
}

static bool is_same_leaf(const struct oracle_op *a, const struct oracle_op *b)
{
    return a->type == b->type && oracle_path_is_equal(&a->path, &b->path) &&
           a->has_element == b->has_element &&
           (!a->has_element || oracle_bytes_are_equal(a->element, b->element));
}

/* Observed: named by what the author had applied, or by the author earlier. */
static bool has_observed(const struct oracle_op *op, unsigned author, uint64_t name)
{
    return op->deps.seqs[author] >= name || (op->author == author && name < op->seq);
}

bool oracle_is_in_scope(const struct oracle_op *kill, const struct oracle_op *put)
{
    if (!oracle_path_is_under(&put->path, &kill->path))
        return false;
    if (kill->type == CRDT_ANY)
        return true;
    if (kill->type == CRDT_MAP)
        return put->path.count > kill->path.count;
    if (put->path.count != kill->path.count || put->type != kill->type)
        return false;
    return !kill->has_element || oracle_bytes_are_equal(put->element, kill->element);
}

static bool is_killed(const struct oracle *oracle, const struct oracle_context *context,
    const struct oracle_op *put)
{
    for (size_t i = 0; i < oracle->count; i++) {
        const struct oracle_op *op = &oracle->ops[i];
        if (op == put || op->seq > context->seqs[op->author])
            continue;
        if (!has_observed(op, put->author, put->seq))
            continue;
        if (op->kind == CRDT_PUT && is_same_leaf(op, put))
            return true;
        if (op->kind == CRDT_KILL && oracle_is_in_scope(op, put))
            return true;
    }
    return false;
}

/* Lets the folds of the author do what they do to one contribution; false when
 * it went into another one. */
static bool apply_folds(const struct oracle *oracle, const struct oracle_context *context,
    struct oracle_entry *entry)
{
    const struct oracle_op *put = entry->put;
    for (size_t i = 0; i < oracle->count; i++) {
        const struct oracle_op *op = &oracle->ops[i];
        if (op->kind != CRDT_FOLD || op->author != put->author || !is_same_leaf(op, put) ||
            op->seq > context->seqs[op->author])
            continue;
        if (put->seq >= op->folded_from && put->seq < op->folded)
            return false;
        if (put->seq == op->folded && op->seq > entry->version) {
            entry->version = op->seq;
            entry->amount = op->amount;
        }
    }
    return true;
}

static void append_entry(struct oracle_entries *entries, const struct oracle_entry *entry)
{
    if (entries->count == entries->capacity) {
        entries->capacity = entries->capacity == 0 ? 64 : 2 * entries->capacity;
        entries->items = realloc(entries->items, entries->capacity * sizeof *entries->items);
        claim(entries->items != NULL);
    }
    entries->items[entries->count++] = *entry;
}

void oracle_live(const struct oracle *oracle, const struct oracle_context *context,
    struct oracle_entries *entries)
{
    entries->count = 0;
    for (size_t i = 0; i < oracle->count; i++) {
        const struct oracle_op *op = &oracle->ops[i];
        if (op->kind != CRDT_PUT && op->kind != CRDT_ADD)
            continue;
        if (op->seq > context->seqs[op->author] || is_killed(oracle, context, op))
            continue;
        struct oracle_entry entry = {.put = op, .version = op->seq, .amount = op->amount};
        if (apply_folds(oracle, context, &entry))
            append_entry(entries, &entry);
    }
}

void oracle_entries_close(struct oracle_entries *entries)
{
    free(entries->items);
    *entries = (struct oracle_entries){.count = 0};
}

struct comparison {
    struct oracle *oracle;
    struct oracle_entries *entries;
    size_t seen;
    const char *difference;
};

static const char *entry_difference(const struct oracle_entry *want, const struct crdt_entry *got)
{
    const struct oracle_op *put = want->put;
    struct oracle_path path = {.count = got->path.count};
    if (got->path.count > ORACLE_DEPTH_MAX)
        return "a path deeper than any that was written";
    for (size_t i = 0; i < path.count; i++)
        path.keys[i] = got->path.keys[i];
    if (!oracle_path_is_equal(&path, &put->path))
        return "an entry at the wrong path";
    if (got->type != put->type)
        return "an entry of the wrong type";
    if ((got->element != NULL) != put->has_element ||
        (got->element != NULL && !oracle_bytes_are_equal(*got->element, put->element)))
        return "an entry with the wrong element";
    if (got->version != want->version)
        return "an entry with the wrong version";
    if (put->kind == CRDT_ADD && got->amount != want->amount)
        return "an entry with the wrong amount";
    struct crdt_bytes value = {put->value, put->value_bytes};
    if (put->type == CRDT_REGISTER && !oracle_bytes_are_equal(got->value, value))
        return "a register with the wrong value";
    if (put->type == CRDT_REGISTER && got->hlc != put->hlc)
        return "a register with another stamp than its author's";
    return NULL;
}

static bool compare_entry(void *context, const struct crdt_entry *got)
{
    struct comparison *comparison = context;
    unsigned author = oracle_origin(comparison->oracle, &got->dot.origin);
    for (size_t i = 0; i < comparison->entries->count; i++) {
        struct oracle_entry *want = &comparison->entries->items[i];
        if (want->put->author != author || want->put->seq != got->dot.seq)
            continue;
        comparison->seen++;
        comparison->difference =
            want->is_seen ? "an entry given twice" : entry_difference(want, got);
        want->is_seen = true;
        return comparison->difference == NULL;
    }
    comparison->difference = "an entry that must not live";
    return false;
}

const char *oracle_difference(struct oracle *oracle, const struct crdt_document *document,
    struct oracle_entries *entries)
{
    struct comparison comparison = {.oracle = oracle, .entries = entries};
    enum crdt_status status = crdt_visit(document, crdt_root(), compare_entry, &comparison);
    for (size_t i = 0; i < entries->count; i++)
        entries->items[i].is_seen = false;
    if (status != CRDT_OK)
        return crdt_status_text(status);
    if (comparison.difference != NULL)
        return comparison.difference;
    return comparison.seen == entries->count ? NULL : "an entry that must live is missing";
}
