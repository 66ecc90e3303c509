/* The laws of merging, one table over all types. Two documents are equal when
 * their snapshots have the same bytes: the encoding is canonical.
 *
 * Shapiro et al. 2011: merge must be the join of a semilattice. Almeida, Shoker,
 * Baquero 2018: the join of deltas must be the join of states. */
#include "tests/support/choice.h"
#include "tests/support/claim.h"
#include "tests/support/documents.h"
#include "tests/support/runner.h"

#include <stdio.h>
#include <string.h>

#define BATCHES_MAX 64

struct row {
    const char *name;
    void (*random_op)(struct choice *choice, struct crdt_document *document);
};

static struct crdt_path some_path(struct choice *choice)
{
    static const char *const keys[] = {"a", "b"};
    const char *one = keys[choice_below(choice, 2)], *two = keys[choice_below(choice, 2)];
    switch (choice_below(choice, 3)) {
    case 0:
        return crdt_root();
    case 1:
        return PATH(one);
    default:
        return PATH(one, two);
    }
}

static void remove_or_fold(struct choice *choice, struct crdt_document *document,
    enum crdt_type type)
{
    switch (choice_below(choice, 4)) {
    case 0:
        clear(document, some_path(choice), CRDT_ANY);
        break;
    case 1:
        if (type == CRDT_COUNTER || type == CRDT_GCOUNTER)
            fold_run(document, some_path(choice), type, choice_below(choice, 10),
                choice_below(choice, 20));
        break;
    default:
        clear(document, some_path(choice), type);
        break;
    }
}

static void counter_op(struct choice *choice, struct crdt_document *document)
{
    if (choice_below(choice, 3) == 0)
        remove_or_fold(choice, document, CRDT_COUNTER);
    else
        add(document, some_path(choice), (int64_t)choice_below(choice, 9) - 4);
}

static void gcounter_op(struct choice *choice, struct crdt_document *document)
{
    if (choice_below(choice, 3) == 0)
        remove_or_fold(choice, document, CRDT_GCOUNTER);
    else
        gadd(document, some_path(choice), choice_below(choice, 5));
}

static void register_op(struct choice *choice, struct crdt_document *document)
{
    static const char *const values[] = {"", "one", "two", "three"};
    write_now_ms = 1000 + choice_below(choice, 3);
    if (choice_below(choice, 4) == 0)
        remove_or_fold(choice, document, CRDT_REGISTER);
    else
        assign(document, some_path(choice), values[choice_below(choice, 4)]);
}

static void set_op(struct choice *choice, struct crdt_document *document)
{
    static const char *const elements[] = {"x", "y", "z"};
    const char *element = elements[choice_below(choice, 3)];
    uint32_t which = choice_below(choice, 8);
    if (which == 0)
        remove_or_fold(choice, document, CRDT_SET);
    else if (which < 4)
        take(document, some_path(choice), element);
    else
        put(document, some_path(choice), element);
}

static void flag_op(struct choice *choice, struct crdt_document *document)
{
    uint32_t which = choice_below(choice, 5);
    if (which == 0)
        remove_or_fold(choice, document, CRDT_FLAG);
    else if (which < 3)
        disable(document, some_path(choice));
    else
        enable(document, some_path(choice));
}

static void map_op(struct choice *choice, struct crdt_document *document)
{
    static void (*const ops[])(struct choice *, struct crdt_document *) = {
        counter_op, gcounter_op, register_op, set_op, flag_op};
    if (choice_below(choice, 5) == 0)
        remove_or_fold(choice, document, CRDT_MAP);
    else
        ops[choice_below(choice, 5)](choice, document);
}

static const struct row rows[] = {
    {"counter", counter_op},
    {"gcounter", gcounter_op},
    {"register", register_op},
    {"set", set_op},
    {"flag", flag_op},
    {"map of all types", map_op},
};
#define ROWS (sizeof rows / sizeof rows[0])

/* Three replicas with a history, partly common, and the batches it left. */
struct trio {
    struct crdt_document *documents[3];
    struct crdt_buffer batches[BATCHES_MAX];
    size_t batch_count;
};

static void seal_into(struct trio *trio, unsigned index)
{
    struct crdt_buffer batch = sealed(trio->documents[index]);
    claim(trio->batch_count < BATCHES_MAX);
    if (batch.size > 0)
        trio->batches[trio->batch_count++] = batch;
    else
        crdt_buffer_close(&batch);
}

static void make_trio(struct trio *trio, const struct row *row, struct choice *choice)
{
    *trio = (struct trio){.batch_count = 0};
    for (unsigned i = 0; i < 3; i++)
        trio->documents[i] = document_new((uint8_t)(i + 1), i + 1);
    uint32_t steps = choice_below(choice, 30);
    for (uint32_t step = 0; step < steps; step++) {
        unsigned index = choice_below(choice, 3), other = choice_below(choice, 3);
        uint32_t which = choice_below(choice, 10);
        if (which < 6)
            row->random_op(choice, trio->documents[index]);
        else if (which < 8)
            seal_into(trio, index);
        else if (index != other) {
            seal_into(trio, index);
            seal_into(trio, other);
            sync_to(trio->documents[index], trio->documents[other]);
        }
    }
    for (unsigned i = 0; i < 3; i++)
        seal_into(trio, i);
}

static void free_trio(struct trio *trio)
{
    for (unsigned i = 0; i < 3; i++)
        crdt_close(trio->documents[i]);
    while (trio->batch_count > 0)
        crdt_buffer_close(&trio->batches[--trio->batch_count]);
}

/* A new document: the join of two. */
static struct crdt_document *join(struct crdt_document *a, struct crdt_document *b)
{
    struct crdt_document *result = copy_of(a);
    struct crdt_buffer snapshot = snapshot_of(b);
    claim(merge(result, &snapshot) == CRDT_OK);
    crdt_buffer_close(&snapshot);
    return result;
}

/* Takes both documents. */
static void must_be_same(struct crdt_document *a, struct crdt_document *b)
{
    claim(is_same(a, b));
    crdt_close(a);
    crdt_close(b);
}

static void commutative(struct trio *trio, struct choice *choice)
{
    (void)choice;
    must_be_same(join(trio->documents[0], trio->documents[1]),
        join(trio->documents[1], trio->documents[0]));
}

static void associative(struct trio *trio, struct choice *choice)
{
    (void)choice;
    struct crdt_document *left = join(trio->documents[0], trio->documents[1]);
    struct crdt_document *right = join(trio->documents[1], trio->documents[2]);
    must_be_same(join(left, trio->documents[2]), join(trio->documents[0], right));
    crdt_close(left);
    crdt_close(right);
}

static void idempotent(struct trio *trio, struct choice *choice)
{
    (void)choice;
    must_be_same(join(trio->documents[0], trio->documents[0]), copy_of(trio->documents[0]));
}

/* x v y contains x and y: joining either once more changes nothing, and no
 * origin's seq got less. */
static void inflationary(struct trio *trio, struct choice *choice)
{
    (void)choice;
    struct crdt_document *joined = join(trio->documents[0], trio->documents[1]);
    must_be_same(join(joined, trio->documents[0]), copy_of(joined));
    must_be_same(join(trio->documents[1], joined), copy_of(joined));
    for (unsigned i = 0; i < 2; i++)
        for (size_t k = 0; k < crdt_feed_count(trio->documents[i]); k++) {
            struct crdt_feed feed = crdt_feed_at(trio->documents[i], k);
            claim(crdt_applied(joined, &feed.origin) >= feed.seq);
        }
    crdt_close(joined);
}

static void join_of_deltas_in_any_order_is_join_of_states(struct trio *trio,
    struct choice *choice)
{
    struct crdt_document *result = document_new(0xee, 0);
    size_t order[BATCHES_MAX];
    for (size_t i = 0; i < trio->batch_count; i++)
        order[i] = i;
    for (size_t i = trio->batch_count; i > 1; i--) {
        size_t k = choice_below(choice, (uint32_t)i), kept = order[i - 1];
        order[i - 1] = order[k];
        order[k] = kept;
    }
    for (size_t i = 0; i < trio->batch_count; i++)
        claim(merge(result, &trio->batches[order[i]]) == CRDT_OK);
    claim(crdt_pending_bytes(result) == 0);
    struct crdt_document *left = join(trio->documents[0], trio->documents[1]);
    must_be_same(result, join(left, trio->documents[2]));
    crdt_close(left);
}

static void diff_brings_what_the_state_brings(struct trio *trio, struct choice *choice)
{
    (void)choice;
    struct crdt_document *joined = join(trio->documents[0], trio->documents[1]);
    sync_to(trio->documents[1], trio->documents[0]);
    must_be_same(joined, copy_of(trio->documents[0]));
}

static void decode_of_encode_is_the_same(struct trio *trio, struct choice *choice)
{
    (void)choice;
    struct crdt_document *loaded = copy_of(trio->documents[0]);
    claim(is_same(loaded, trio->documents[0]));
    crdt_close(loaded);
}

/* Digests stand for every live entry. */
static void reads_are_the_same_after_save_and_load(struct trio *trio, struct choice *choice)
{
    struct crdt_document *x = trio->documents[0], *loaded = copy_of(x);
    struct crdt_digest a, b;
    claim(crdt_digest(x, &a) == CRDT_OK);
    claim(crdt_digest(loaded, &b) == CRDT_OK);
    claim(memcmp(&a, &b, sizeof a) == 0);
    for (int i = 0; i < 6; i++) {
        struct crdt_path path = some_path(choice);
        claim(crdt_types(x, path) == crdt_types(loaded, path));
        claim(crdt_counter_value(x, path) == crdt_counter_value(loaded, path));
        claim(crdt_flag_is_enabled(x, path) == crdt_flag_is_enabled(loaded, path));
        claim(has(x, path, "x") == has(loaded, path, "x"));
        struct crdt_bytes value;
        bool is_set = crdt_register_get(x, path, &value) == CRDT_OK;
        struct crdt_bytes other;
        claim((crdt_register_get(loaded, path, &other) == CRDT_OK) == is_set);
        claim(!is_set || (value.size == other.size &&
                             (value.size == 0 || memcmp(value.data, other.data, value.size) == 0)));
        for (enum crdt_type type = CRDT_REGISTER; type <= CRDT_MAP; type++)
            claim(crdt_count(x, path, type) == crdt_count(loaded, path, type));
    }
    crdt_close(loaded);
}

static void hold_for_every_type(const char *name, void (*law)(struct trio *, struct choice *))
{
    bool is_fixed;
    uint64_t seed = choice_seed(name, &is_fixed);
    unsigned runs = is_fixed ? 1 : choice_runs(100);
    static char text[160];
    for (size_t row = 0; row < ROWS; row++) {
        for (unsigned i = 0; i < runs; i++) {
            snprintf(text, sizeof text, "%s, %s; repeat with CRDT_TEST_SEED=%llu", name,
                rows[row].name, (unsigned long long)(seed + i));
            claim_note(text);
            struct choice choice = choice_from_seed(seed + i);
            struct trio trio;
            make_trio(&trio, &rows[row], &choice);
            law(&trio, &choice);
            free_trio(&trio);
        }
    }
    claim_note("");
}

static const struct {
    const char *name;
    void (*law)(struct trio *trio, struct choice *choice);
} laws[] = {
    {"merge_is_commutative", commutative},
    {"merge_is_associative", associative},
    {"merge_is_idempotent", idempotent},
    {"merge_is_inflationary", inflationary},
    {"join_of_deltas_in_any_order_is_join_of_states",
        join_of_deltas_in_any_order_is_join_of_states},
    {"diff_brings_what_the_state_brings", diff_brings_what_the_state_brings},
    {"decode_of_encode_is_the_same", decode_of_encode_is_the_same},
    {"reads_are_the_same_after_save_and_load", reads_are_the_same_after_save_and_load},
};

START_TEST(law_holds_for_every_type)
{
    hold_for_every_type(laws[_i].name, laws[_i].law);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("laws");
    TCase *tests = tcase_create("laws");
    tcase_set_timeout(tests, 300);
    tcase_add_loop_test(tests, law_holds_for_every_type, 0, (int)(sizeof laws / sizeof laws[0]));
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
