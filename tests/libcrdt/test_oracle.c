/* The oracle itself, on histories small enough to be judged by eye. */
#include "tests/support/oracle.h"
#include "tests/support/runner.h"

static struct oracle oracle;
static struct oracle_entries live;

static void setup(void)
{
    oracle_init(&oracle);
    live = (struct oracle_entries){.count = 0};
}

static void teardown(void)
{
    oracle_close(&oracle);
    oracle_entries_close(&live);
}

/* Author 0 or 1 writes at the path of one key, having seen `seen` of the other. */
static struct oracle_op *op(enum crdt_kind kind, enum crdt_type type, const char *key,
    unsigned author, uint64_t seq, uint64_t seen)
{
    struct oracle_op made = {.kind = kind, .type = type, .author = author, .seq = seq};
    made.path = (struct oracle_path){{crdt_text(key)}, 1};
    made.deps.seqs[author] = seq - 1;
    made.deps.seqs[1 - author] = seen;
    oracle_append(&oracle, &made);
    return &oracle.ops[oracle.count - 1];
}

static size_t live_under(uint64_t of_0, uint64_t of_1)
{
    struct oracle_context context = {{of_0, of_1}};
    oracle_live(&oracle, &context, &live);
    return live.count;
}

START_TEST(put_replaces_what_it_had_seen_and_nothing_else)
{
    op(CRDT_PUT, CRDT_REGISTER, "k", 0, 1, 0);
    op(CRDT_PUT, CRDT_REGISTER, "k", 1, 1, 0);
    op(CRDT_PUT, CRDT_REGISTER, "k", 0, 2, 1);
    ck_assert_uint_eq(live_under(1, 0), 1);
    ck_assert_uint_eq(live_under(1, 1), 2);
    ck_assert_uint_eq(live_under(2, 1), 1);
    ck_assert_uint_eq(live.items[0].put->seq, 2);
}
END_TEST

START_TEST(put_of_an_element_leaves_other_elements)
{
    struct oracle_op *put = op(CRDT_PUT, CRDT_SET, "k", 0, 1, 0);
    put->has_element = true;
    put->element = crdt_text("x");
    put = op(CRDT_PUT, CRDT_SET, "k", 0, 2, 0);
    put->has_element = true;
    put->element = crdt_text("y");
    ck_assert_uint_eq(live_under(2, 0), 2);
}
END_TEST

START_TEST(kill_takes_what_it_had_seen_and_leaves_the_concurrent)
{
    op(CRDT_ADD, CRDT_COUNTER, "k", 0, 1, 0);
    op(CRDT_ADD, CRDT_COUNTER, "k", 0, 2, 0);
    op(CRDT_KILL, CRDT_ANY, "k", 1, 1, 1);
    ck_assert_uint_eq(live_under(2, 0), 2);
    ck_assert_uint_eq(live_under(2, 1), 1);
    ck_assert_uint_eq(live.items[0].put->seq, 2);
    ck_assert_uint_eq(live_under(0, 1), 0);
}
END_TEST

START_TEST(kill_names_one_type_or_all)
{
    op(CRDT_ADD, CRDT_COUNTER, "k", 0, 1, 0);
    op(CRDT_PUT, CRDT_FLAG, "k", 0, 2, 0);
    op(CRDT_KILL, CRDT_FLAG, "k", 0, 3, 0);
    ck_assert_uint_eq(live_under(3, 0), 1);
    ck_assert_int_eq(live.items[0].put->type, CRDT_COUNTER);
    op(CRDT_KILL, CRDT_MAP, "k", 0, 4, 0);
    ck_assert_uint_eq(live_under(4, 0), 1);
    struct oracle_op *kill = op(CRDT_KILL, CRDT_MAP, "", 0, 5, 0);
    kill->path.count = 0;
    ck_assert_uint_eq(live_under(5, 0), 0);
}
END_TEST

static void fold_two(void)
{
    op(CRDT_ADD, CRDT_COUNTER, "k", 0, 1, 0)->amount = 5;
    op(CRDT_ADD, CRDT_COUNTER, "k", 0, 2, 0)->amount = 6;
    struct oracle_op *fold = op(CRDT_FOLD, CRDT_COUNTER, "k", 0, 3, 0);
    fold->folded_from = 1;
    fold->folded = 2;
    fold->amount = 11;
}

START_TEST(fold_keeps_the_name_of_the_last_and_takes_its_own_version)
{
    fold_two();
    ck_assert_uint_eq(live_under(3, 0), 1);
    ck_assert_uint_eq(live.items[0].put->seq, 2);
    ck_assert_uint_eq(live.items[0].version, 3);
    ck_assert_int_eq(live.items[0].amount, 11);
}
END_TEST

START_TEST(kill_that_saw_the_name_takes_the_fold_and_one_that_did_not_leaves_it)
{
    fold_two();
    op(CRDT_KILL, CRDT_COUNTER, "k", 1, 1, 1);
    ck_assert_uint_eq(live_under(3, 1), 1);
    ck_assert_int_eq(live.items[0].amount, 11);
    op(CRDT_KILL, CRDT_COUNTER, "k", 1, 2, 2);
    ck_assert_uint_eq(live_under(3, 2), 0);
}
END_TEST

START_TEST(fold_of_a_run_leaves_what_is_older)
{
    op(CRDT_ADD, CRDT_COUNTER, "k", 0, 1, 0)->amount = 5;
    op(CRDT_ADD, CRDT_COUNTER, "k", 0, 2, 0)->amount = 6;
    op(CRDT_ADD, CRDT_COUNTER, "k", 0, 3, 0)->amount = 7;
    struct oracle_op *fold = op(CRDT_FOLD, CRDT_COUNTER, "k", 0, 4, 0);
    fold->folded_from = 2;
    fold->folded = 3;
    fold->amount = 13;
    ck_assert_uint_eq(live_under(4, 0), 2);
    ck_assert_uint_eq(live.items[0].put->seq, 1);
    ck_assert_int_eq(live.items[0].amount, 5);
    ck_assert_uint_eq(live.items[1].put->seq, 3);
    ck_assert_int_eq(live.items[1].amount, 13);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("oracle");
    TCase *tests = tcase_create("oracle");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, put_replaces_what_it_had_seen_and_nothing_else);
    tcase_add_test(tests, put_of_an_element_leaves_other_elements);
    tcase_add_test(tests, kill_takes_what_it_had_seen_and_leaves_the_concurrent);
    tcase_add_test(tests, kill_names_one_type_or_all);
    tcase_add_test(tests, fold_keeps_the_name_of_the_last_and_takes_its_own_version);
    tcase_add_test(
        tests, kill_that_saw_the_name_takes_the_fold_and_one_that_did_not_leaves_it);
    tcase_add_test(tests, fold_of_a_run_leaves_what_is_older);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
