/* Random transactions, and the record of them for the oracle. */
#include "tests/support/world.h"

#include "tests/support/claim.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define OWN_NAMES_MAX 64u /* contributions that a run is drawn from              */

/* Few names, so that histories collide; the empty key is a key like any other. */
struct oracle_path world_path(struct choice *choice)
{
    static const char *const keys[] = {"a", "b", ""};
    struct oracle_path path = {.count = choice_below(choice, 4)};
    for (size_t i = 0; i < path.count; i++)
        path.keys[i] = crdt_text(keys[choice_below(choice, 3)]);
    return path;
}

struct oracle_context world_effective(const struct world_replica *replica)
{
    struct oracle_context context = replica->context;
    context.seqs[replica->self] += replica->open_records;
    return context;
}

/* Where something of the types in `types` lives, or above it; else anywhere. So
 * folds and removes find what they are about. */
static struct oracle_path path_of_live(
    struct world *world, const struct world_replica *replica, unsigned types)
{
    struct oracle_path path = world_path(world->choice);
    if (choice_below(world->choice, 3) == 0)
        return path;
    struct oracle_context context = world_effective(replica);
    oracle_live(&world->oracle, &context, &world->live);
    uint32_t skip = choice_below(world->choice, 8);
    for (size_t i = 0; i < world->live.count; i++) {
        const struct oracle_op *put = world->live.items[i].put;
        if ((types & 1u << put->type) == 0)
            continue;
        path = put->path;
        if (skip-- == 0)
            break;
    }
    return path;
}

/* Own live contributions at the leaf of `op`, in the order of their names. */
static size_t own_names(const struct world *world, const struct world_replica *replica,
    const struct oracle_op *op, uint64_t names[static OWN_NAMES_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < world->live.count && count < OWN_NAMES_MAX; i++) {
        const struct oracle_op *put = world->live.items[i].put;
        if (put->kind == CRDT_ADD && put->author == replica->self && put->type == op->type &&
            oracle_path_is_equal(&put->path, &op->path))
            names[count++] = put->seq;
    }
    return count;
}

/* The counter to which most of what this replica added still lives, if any: where
 * the folds of runs have something to leave standing. */
static void choose_busiest(
    struct world *world, const struct world_replica *replica, struct oracle_op *op)
{
    uint64_t names[OWN_NAMES_MAX];
    size_t most = 0;
    struct oracle_context context = world_effective(replica);
    oracle_live(&world->oracle, &context, &world->live);
    for (size_t i = 0; i < world->live.count; i++) {
        const struct oracle_op *put = world->live.items[i].put;
        size_t count = put->kind == CRDT_ADD && put->author == replica->self
                           ? own_names(world, replica, put, names)
                           : 0;
        if (count <= most)
            continue;
        most = count;
        op->type = put->type;
        op->path = put->path;
    }
}

struct crdt_bytes world_element(uint32_t number)
{
    static const char *const elements[WORLD_ELEMENTS] = {"x", "y", "a rather long element", ""};
    return crdt_text(elements[number]);
}

#define COUNTERS (1u << CRDT_COUNTER | 1u << CRDT_GCOUNTER)

static int64_t random_amount(struct choice *choice)
{
    if (choice_below(choice, 20) == 0)
        return choice_below(choice, 2) == 0 ? INT64_MAX : INT64_MIN;
    return (int64_t)choice_below(choice, 13) - 3;
}

/* One contribution of the document's own origin. */
struct contribution {
    uint64_t seq;
    struct crdt_origin origin;
    int64_t amount;
};

static bool find_contribution(void *context, const struct crdt_entry *entry)
{
    struct contribution *wanted = context;
    if (entry->dot.seq != wanted->seq ||
        crdt_origin_compare(&entry->dot.origin, &wanted->origin) != 0)
        return true;
    wanted->amount = entry->amount;
    return false;
}

/* The own contribution, made in the open batch, live and unfolded, that the
 * increment `add` has joined instead of taking a dot. Which one, and whether any,
 * is the document's choice; so the one is found that has grown by the amount. */
static struct oracle_op *joined_by(struct world *world, struct world_replica *replica,
    const struct oracle_op *add)
{
    struct crdt_path path = {add->path.keys, add->path.count};
    struct oracle_context context = world_effective(replica);
    oracle_live(&world->oracle, &context, &world->live);
    for (size_t i = 0; i < world->live.count; i++) {
        const struct oracle_entry *entry = &world->live.items[i];
        const struct oracle_op *put = entry->put;
        if (put->author != replica->self || put->seq <= replica->context.seqs[replica->self] ||
            put->type != add->type || !oracle_path_is_equal(&put->path, &add->path) ||
            entry->version != put->seq)
            continue;
        struct contribution now = {put->seq, crdt_self(replica->document), put->amount};
        claim(crdt_visit(replica->document, path, find_contribution, &now) == CRDT_OK);
        struct crdt_sum sum = crdt_sum_add((struct crdt_sum){0, 0}, put->amount);
        int64_t grown;
        if (crdt_sum_int64(crdt_sum_add(sum, add->amount), &grown) == CRDT_OK &&
            grown == now.amount)
            return &world->oracle.ops[put - world->oracle.ops];
    }
    return NULL;
}

/* Own live contributions above `after`, up to `limit`: fills in the fold they
 * make. Returns whether there is one to write. */
static bool plan_fold(struct world *world, struct world_replica *replica, uint64_t after,
    uint64_t limit, struct oracle_op *op)
{
    struct oracle_context context = world_effective(replica);
    oracle_live(&world->oracle, &context, &world->live);
    uint64_t count = 0;
    op->folded_from = UINT64_MAX;
    op->folded = 0;
    op->amount = 0;
    struct crdt_sum sum = {0, 0};
    for (size_t i = 0; i < world->live.count; i++) {
        const struct oracle_entry *entry = &world->live.items[i];
        const struct oracle_op *put = entry->put;
        if (put->author != replica->self || put->type != op->type || put->seq <= after ||
            put->seq > limit || !oracle_path_is_equal(&put->path, &op->path))
            continue;
        count++;
        sum = crdt_sum_add(sum, entry->amount);
        if (put->seq < op->folded_from)
            op->folded_from = put->seq;
        if (put->seq > op->folded)
            op->folded = put->seq;
    }
    bool fits = crdt_sum_int64(sum, &op->amount) == CRDT_OK;
    return count >= 2 && fits;
}

static bool has_target(struct world *world, struct world_replica *replica,
    const struct oracle_op *kill)
{
    struct oracle_context context = world_effective(replica);
    oracle_live(&world->oracle, &context, &world->live);
    for (size_t i = 0; i < world->live.count; i++)
        if (oracle_is_in_scope(kill, world->live.items[i].put))
            return true;
    return false;
}

static void append_op(struct world *world, struct world_replica *replica, struct oracle_op *op)
{
    op->author = replica->self;
    op->deps = replica->context;
    op->seq = replica->context.seqs[replica->self] + ++replica->open_records;
    oracle_append(&world->oracle, op);
}

/* Removes are written down only where something is there to remove. */
static void write_kill(struct world *world, struct world_replica *replica,
    struct crdt_transaction *transaction, struct oracle_op *op)
{
    struct crdt_path path = {op->path.keys, op->path.count};
    op->kind = CRDT_KILL;
    bool is_effective = has_target(world, replica, op);
    if (op->has_element)
        claim(crdt_set_remove(transaction, path, op->element) == CRDT_OK);
    else if (op->type == CRDT_FLAG && choice_below(world->choice, 2) == 0)
        claim(crdt_flag_disable(transaction, path) == CRDT_OK);
    else
        claim(crdt_remove(transaction, path, op->type) == CRDT_OK);
    if (is_effective)
        append_op(world, replica, op);
}

static void write_add(struct world *world, struct world_replica *replica,
    struct crdt_transaction *transaction, struct oracle_op *op)
{
    struct crdt_path path = {op->path.keys, op->path.count};
    op->kind = CRDT_ADD;
    op->amount = random_amount(world->choice);
    if (op->type == CRDT_GCOUNTER) {
        bool is_negative = op->amount < 0;
        enum crdt_status status = crdt_gcounter_add(transaction, path, op->amount);
        claim(status == (is_negative ? CRDT_ERR_RANGE : CRDT_OK));
        if (is_negative)
            return;
    } else {
        claim(crdt_counter_add(transaction, path, op->amount) == CRDT_OK);
    }
    if (crdt_open_records(replica->document) != replica->open_records) {
        append_op(world, replica, op);
        return;
    }
    struct oracle_op *joined = joined_by(world, replica, op);
    claim(joined != NULL);
    joined->amount += op->amount;
}

/* All, or any run, empty and backward ones too: later folds nest in earlier ones,
 * overlap them, and leave older and newer contributions standing. */
static void choose_run(struct world *world, struct world_replica *replica,
    const struct oracle_op *op, uint64_t *ret_after, uint64_t *ret_limit)
{
    uint64_t names[OWN_NAMES_MAX];
    struct oracle_context context = world_effective(replica);
    oracle_live(&world->oracle, &context, &world->live);
    uint32_t count = (uint32_t)own_names(world, replica, op, names);
    uint32_t which = choice_below(world->choice, 5);
    *ret_after = 0;
    *ret_limit = UINT64_MAX;
    if (which > 0 && count > 0)
        *ret_limit = names[choice_below(world->choice, count)];
    if (which > 1 && count > 0)
        *ret_after = names[choice_below(world->choice, count)] - choice_below(world->choice, 2);
}

static void write_fold(struct world *world, struct world_replica *replica,
    struct crdt_transaction *transaction, struct oracle_op *op)
{
    struct crdt_path path = {op->path.keys, op->path.count};
    op->kind = CRDT_FOLD;
    uint64_t after, limit;
    choose_run(world, replica, op, &after, &limit);
    claim(crdt_counter_fold(transaction, path, op->type, after, limit) == CRDT_OK);
    if (plan_fold(world, replica, after, limit, op))
        append_op(world, replica, op);
}

static void write_register(struct world *world, struct world_replica *replica,
    struct crdt_transaction *transaction, struct oracle_op *op)
{
    struct crdt_path path = {op->path.keys, op->path.count};
    op->kind = CRDT_PUT;
    op->type = CRDT_REGISTER;
    char text[ORACLE_VALUE_MAX];
    int size = snprintf(text, sizeof text, "v%llu", (unsigned long long)++world->register_count);
    op->value_bytes = (size_t)size;
    memcpy(op->value, text, op->value_bytes);
    struct crdt_bytes value = {op->value, op->value_bytes};
    claim(crdt_register_set(transaction, path, value) == CRDT_OK);
    struct crdt_version version;
    claim(crdt_register_version(replica->document, path, 0, &version) == CRDT_OK);
    claim(oracle_bytes_are_equal(version.value, value));
    claim(version.hlc > replica->last_hlc);
    op->hlc = replica->last_hlc = version.hlc;
    append_op(world, replica, op);
}

static void write_put(struct world *world, struct world_replica *replica,
    struct crdt_transaction *transaction, struct oracle_op *op)
{
    struct crdt_path path = {op->path.keys, op->path.count};
    op->kind = CRDT_PUT;
    if (op->type == CRDT_FLAG) {
        claim(crdt_flag_enable(transaction, path) == CRDT_OK);
    } else {
        op->has_element = true;
        op->element = world_element(choice_below(world->choice, WORLD_ELEMENTS));
        claim(crdt_set_add(transaction, path, op->element) == CRDT_OK);
    }
    append_op(world, replica, op);
}

void world_write(struct world *world, struct world_replica *replica,
    struct crdt_transaction *transaction)
{
    struct choice *choice = world->choice;
    struct oracle_op op = {.path = world_path(choice)};
    uint32_t which = choice_below(choice, 100);
    if (which < 22) {
        op.type = choice_below(choice, 3) == 0 ? CRDT_GCOUNTER : CRDT_COUNTER;
        uint32_t where = choice_below(choice, 4);
        if (where < 2)
            choose_busiest(world, replica, &op);
        else if (where == 2)
            op.path = path_of_live(world, replica, COUNTERS);
        write_add(world, replica, transaction, &op);
    } else if (which < 30) {
        op.type = choice_below(choice, 3) == 0 ? CRDT_GCOUNTER : CRDT_COUNTER;
        if (choice_below(choice, 2) == 0)
            choose_busiest(world, replica, &op);
        else
            op.path = path_of_live(world, replica, COUNTERS);
        write_fold(world, replica, transaction, &op);
    } else if (which < 42) {
        write_register(world, replica, transaction, &op);
    } else if (which < 66) {
        op.type = which < 58 ? CRDT_SET : CRDT_FLAG;
        write_put(world, replica, transaction, &op);
    } else if (which < 74) {
        op.type = CRDT_SET;
        op.path = path_of_live(world, replica, 1u << CRDT_SET);
        op.has_element = true;
        op.element = world_element(choice_below(choice, WORLD_ELEMENTS));
        write_kill(world, replica, transaction, &op);
    } else if (which < 97) {
        op.type = (enum crdt_type)choice_below(choice, CRDT_TYPE_COUNT);
        op.path = path_of_live(world, replica, UINT_MAX);
        if (op.path.count > 0 && choice_below(choice, 3) == 0)
            op.path.count--;
        write_kill(world, replica, transaction, &op);
    } else {
        op.kind = CRDT_NOTE;
        claim(crdt_note(transaction) == CRDT_OK);
        append_op(world, replica, &op);
    }
    claim(crdt_open_records(replica->document) == replica->open_records);
}

/* What a transaction can change, kept so that an abort can be followed. */
struct undo {
    size_t op_count;
    int64_t *amounts;
    uint64_t open_records, last_hlc;
};

void world_transaction(struct world *world, unsigned index)
{
    struct world_replica *replica = &world->replicas[index];
    static int64_t amounts[16384];
    struct oracle *oracle = &world->oracle;
    claim(oracle->count < sizeof amounts / sizeof amounts[0]);
    for (size_t i = 0; i < oracle->count; i++)
        amounts[i] = oracle->ops[i].amount;
    struct undo undo = {oracle->count, amounts, replica->open_records, replica->last_hlc};

    struct crdt_transaction *transaction;
    claim(crdt_begin(replica->document, world->now_ms, &transaction) == CRDT_OK);
    uint32_t count = 1 + choice_below(world->choice, 4);
    for (uint32_t i = 0; i < count; i++)
        world_write(world, replica, transaction);
    if (choice_below(world->choice, 6) == 0) {
        world_check(world, index);
        crdt_abort(transaction);
        oracle->count = undo.op_count;
        for (size_t i = 0; i < oracle->count; i++)
            oracle->ops[i].amount = undo.amounts[i];
        replica->open_records = undo.open_records;
        replica->last_hlc = undo.last_hlc;
    } else {
        crdt_commit(transaction);
        if (replica->open_records > undo.open_records)
            oracle_context_join(&replica->seen, &replica->context);
    }
    claim(crdt_open_records(replica->document) == replica->open_records);
}
