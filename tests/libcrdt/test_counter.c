/* Counters: every increment counts exactly once; a removal takes what it saw. */
#include "tests/support/documents.h"
#include "tests/support/runner.h"

#include <string.h>

static struct crdt_document *a, *b;

static void setup(void)
{
    a = document_new(1, 1);
    b = document_new(2, 1);
}

static void teardown(void)
{
    crdt_close(a);
    crdt_close(b);
}

START_TEST(increments_and_decrements_of_all_are_summed)
{
    add(a, PATH("n"), 5);
    add(b, PATH("n"), -7);
    sync_both(a, b);
    add(a, PATH("n"), 1);
    sync_both(a, b);
    sync_both(a, b);
    ck_assert_int_eq(crdt_counter_value(a, PATH("n")), -1);
    ck_assert_int_eq(crdt_counter_value(b, PATH("n")), -1);
}
END_TEST

START_TEST(standalone_counter_is_a_document_at_the_empty_path)
{
    add(a, crdt_root(), 1);
    add(b, crdt_root(), 1);
    sync_both(a, b);
    ck_assert_int_eq(crdt_counter_value(a, crdt_root()), 2);
    ck_assert_uint_eq(crdt_types(a, crdt_root()), 1u << CRDT_COUNTER);
}
END_TEST

START_TEST(increments_within_the_open_batch_share_one_record)
{
    add(a, PATH("n"), 1);
    add(a, PATH("n"), 2);
    add(a, PATH("m"), 2);
    ck_assert_uint_eq(crdt_open_records(a), 2);
    struct crdt_buffer batch = sealed(a);
    add(a, PATH("n"), 4);
    ck_assert_uint_eq(crdt_open_records(a), 1);
    ck_assert_uint_eq(crdt_count(a, PATH("n"), CRDT_COUNTER), 2);
    ck_assert_int_eq(crdt_counter_value(a, PATH("n")), 7);
    crdt_buffer_close(&batch);
}
END_TEST

START_TEST(own_remove_between_increments_parts_them)
{
    add(a, PATH("n"), 1);
    clear(a, PATH("n"), CRDT_COUNTER);
    add(a, PATH("n"), 2);
    ck_assert_uint_eq(crdt_open_records(a), 3);
    sync_to(a, b);
    ck_assert_int_eq(crdt_counter_value(b, PATH("n")), 2);
}
END_TEST

START_TEST(grow_only_counter_refuses_negative_amounts)
{
    struct crdt_transaction *transaction = begin(a);
    ck_assert_int_eq(crdt_gcounter_add(transaction, PATH("g"), -1), CRDT_ERR_RANGE);
    ck_assert_int_eq(crdt_gcounter_add(transaction, PATH("g"), INT64_MIN), CRDT_ERR_RANGE);
    OK(crdt_gcounter_add(transaction, PATH("g"), 3));
    crdt_commit(transaction);
    ck_assert_uint_eq(crdt_open_records(a), 1);
    ck_assert_uint_eq(crdt_counter_sum(a, PATH("g"), CRDT_GCOUNTER).low, 3);
    ck_assert_uint_eq(crdt_counter_sum(a, PATH("g"), CRDT_COUNTER).low, 0);
}
END_TEST

START_TEST(amount_of_zero_is_a_contribution)
{
    add(a, PATH("n"), 0);
    ck_assert_uint_eq(crdt_types(a, PATH("n")), 1u << CRDT_COUNTER);
    ck_assert_uint_eq(crdt_count(a, PATH("n"), CRDT_COUNTER), 1);
    ck_assert_int_eq(crdt_counter_value(a, PATH("n")), 0);
}
END_TEST

static void must_print(struct crdt_sum sum, const char *text)
{
    char got[CRDT_SUM_TEXT_BYTES];
    ck_assert_uint_eq(crdt_sum_text(sum, got), strlen(text));
    ck_assert_str_eq(got, text);
}

START_TEST(sums_are_exact_beyond_64_bits)
{
    add(a, PATH("n"), INT64_MAX);
    add(b, PATH("n"), INT64_MAX);
    sync_both(a, b);
    struct crdt_sum sum = crdt_counter_sum(a, PATH("n"), CRDT_COUNTER);
    must_print(sum, "18446744073709551614");
    int64_t value = 7;
    ck_assert_int_eq(crdt_sum_int64(sum, &value), CRDT_ERR_RANGE);
    ck_assert_int_eq(value, 7);
    ck_assert_int_eq(crdt_counter_value(a, PATH("n")), INT64_MAX);
    OK(crdt_sum_int64(crdt_sum_add(sum, -INT64_MAX), &value));
    ck_assert_int_eq(value, INT64_MAX);
}
END_TEST

START_TEST(sums_below_zero_are_exact_too)
{
    struct crdt_sum sum = {0, 0};
    for (int i = 0; i < 3; i++)
        sum = crdt_sum_add(sum, INT64_MIN);
    must_print(sum, "-27670116110564327424");
    int64_t value;
    ck_assert_int_eq(crdt_sum_int64(sum, &value), CRDT_ERR_RANGE);
    OK(crdt_sum_int64(crdt_sum_add((struct crdt_sum){0, 0}, INT64_MIN), &value));
    ck_assert_int_eq(value, INT64_MIN);
    must_print((struct crdt_sum){INT64_MIN, 0}, "-170141183460469231731687303715884105728");
    must_print((struct crdt_sum){INT64_MAX, UINT64_MAX}, "170141183460469231731687303715884105727");
    must_print((struct crdt_sum){0, 0}, "0");
    must_print((struct crdt_sum){-1, UINT64_MAX}, "-1");
}
END_TEST

START_TEST(increments_whose_sum_leaves_64_bits_within_a_batch_are_all_counted)
{
    add(a, PATH("n"), INT64_MAX);
    add(a, PATH("n"), INT64_MAX);
    add(a, PATH("n"), 2);
    sync_to(a, b);
    must_print(crdt_counter_sum(b, PATH("n"), CRDT_COUNTER), "18446744073709551616");
    ck_assert(is_same(a, b));
}
END_TEST

START_TEST(remove_beside_an_increment_keeps_exactly_the_unobserved)
{
    add(a, PATH("n"), 10);
    sync_both(a, b);
    add(b, PATH("n"), 3);
    clear(a, PATH("n"), CRDT_COUNTER);
    sync_both(a, b);
    ck_assert_int_eq(crdt_counter_value(a, PATH("n")), 3);
    ck_assert_int_eq(crdt_counter_value(b, PATH("n")), 3);
}
END_TEST

/* Three contributions of `document`, each in a batch of its own. */
static void three(struct crdt_document *document)
{
    for (int64_t i = 1; i <= 3; i++) {
        add(document, PATH("n"), i);
        struct crdt_buffer batch = sealed(document);
        crdt_buffer_close(&batch);
    }
}

START_TEST(fold_leaves_the_sum_and_one_contribution_named_by_the_last)
{
    three(a);
    fold(a, PATH("n"), CRDT_COUNTER, UINT64_MAX);
    ck_assert_uint_eq(crdt_open_records(a), 1);
    ck_assert_uint_eq(crdt_count(a, PATH("n"), CRDT_COUNTER), 1);
    ck_assert_int_eq(crdt_counter_value(a, PATH("n")), 6);
    sync_both(a, b);
    ck_assert_int_eq(crdt_counter_value(b, PATH("n")), 6);
    ck_assert_uint_eq(crdt_count(b, PATH("n"), CRDT_COUNTER), 1);
}
END_TEST

START_TEST(fold_takes_only_up_to_its_seq)
{
    three(a);
    fold(a, PATH("n"), CRDT_COUNTER, 2);
    ck_assert_uint_eq(crdt_count(a, PATH("n"), CRDT_COUNTER), 2);
    ck_assert_int_eq(crdt_counter_value(a, PATH("n")), 6);
    fold(a, PATH("n"), CRDT_COUNTER, 1);
    ck_assert_uint_eq(crdt_open_records(a), 1);
}
END_TEST

START_TEST(fold_of_fewer_than_two_or_beyond_64_bits_writes_nothing)
{
    add(a, PATH("n"), INT64_MAX);
    fold(a, PATH("n"), CRDT_COUNTER, UINT64_MAX);
    ck_assert_uint_eq(crdt_open_records(a), 1);
    struct crdt_buffer batch = sealed(a);
    crdt_buffer_close(&batch);
    add(a, PATH("n"), 1);
    fold(a, PATH("n"), CRDT_COUNTER, UINT64_MAX);
    fold(a, PATH("none"), CRDT_COUNTER, UINT64_MAX);
    ck_assert_uint_eq(crdt_open_records(a), 1);
    ck_assert_uint_eq(crdt_count(a, PATH("n"), CRDT_COUNTER), 2);
}
END_TEST

START_TEST(fold_leaves_the_contributions_of_others)
{
    three(a);
    three(b);
    sync_both(a, b);
    fold(a, PATH("n"), CRDT_COUNTER, UINT64_MAX);
    sync_both(a, b);
    ck_assert_uint_eq(crdt_count(b, PATH("n"), CRDT_COUNTER), 4);
    ck_assert_int_eq(crdt_counter_value(b, PATH("n")), 12);
}
END_TEST

/* I9: a removal that saw every contribution must not miss their fold. */
START_TEST(remove_that_saw_all_contributions_takes_the_unseen_fold_of_them)
{
    three(a);
    sync_both(a, b);
    clear(b, PATH("n"), CRDT_COUNTER);
    fold(a, PATH("n"), CRDT_COUNTER, UINT64_MAX);
    sync_both(a, b);
    ck_assert_int_eq(crdt_counter_value(a, PATH("n")), 0);
    ck_assert_uint_eq(crdt_types(a, PATH("n")), 0);
    ck_assert(is_same(a, b));
}
END_TEST

START_TEST(remove_that_saw_part_of_a_fold_leaves_it_standing)
{
    three(a);
    sync_both(a, b);
    add(a, PATH("n"), 10);
    fold(a, PATH("n"), CRDT_COUNTER, UINT64_MAX);
    clear(b, PATH("n"), CRDT_COUNTER);
    sync_both(a, b);
    ck_assert_int_eq(crdt_counter_value(a, PATH("n")), 16);
    ck_assert(is_same(a, b));
}
END_TEST

/* What a member that is away may have seen stays as it was; only what it cannot
 * have seen becomes one. */
START_TEST(fold_of_a_run_leaves_older_contributions_standing)
{
    three(a);
    three(a);
    fold_run(a, PATH("n"), CRDT_COUNTER, 3, UINT64_MAX);
    ck_assert_uint_eq(crdt_open_records(a), 1);
    ck_assert_uint_eq(crdt_count(a, PATH("n"), CRDT_COUNTER), 4);
    ck_assert_int_eq(crdt_counter_value(a, PATH("n")), 12);
    sync_both(a, b);
    ck_assert(is_same(a, b));
    ck_assert_uint_eq(crdt_count(b, PATH("n"), CRDT_COUNTER), 4);
    fold_run(a, PATH("n"), CRDT_COUNTER, 0, 3);
    sync_both(a, b);
    ck_assert(is_same(a, b));
    ck_assert_uint_eq(crdt_count(b, PATH("n"), CRDT_COUNTER), 2);
    ck_assert_int_eq(crdt_counter_value(b, PATH("n")), 12);
}
END_TEST

START_TEST(fold_of_an_empty_run_writes_nothing)
{
    three(a);
    fold_run(a, PATH("n"), CRDT_COUNTER, 2, UINT64_MAX);
    fold_run(a, PATH("n"), CRDT_COUNTER, 3, 2);
    fold_run(a, PATH("n"), CRDT_COUNTER, UINT64_MAX, UINT64_MAX);
    ck_assert_uint_eq(crdt_open_records(a), 0);
    ck_assert_uint_eq(crdt_count(a, PATH("n"), CRDT_COUNTER), 3);
}
END_TEST

START_TEST(remove_that_saw_what_stands_before_a_run_takes_exactly_that)
{
    three(a);
    sync_both(a, b);
    three(a);
    fold_run(a, PATH("n"), CRDT_COUNTER, 3, UINT64_MAX);
    clear(b, PATH("n"), CRDT_COUNTER);
    sync_both(a, b);
    ck_assert_int_eq(crdt_counter_value(a, PATH("n")), 6);
    ck_assert_uint_eq(crdt_count(a, PATH("n"), CRDT_COUNTER), 1);
    ck_assert(is_same(a, b));
}
END_TEST

/* A snapshot joins names: what stands beside a run is the same on both ways. */
START_TEST(run_folded_elsewhere_comes_in_by_snapshot)
{
    three(a);
    three(a);
    sync_both(a, b);
    fold_run(a, PATH("n"), CRDT_COUNTER, 2, 5);
    struct crdt_buffer snapshot = snapshot_of(a);
    OK(merge(b, &snapshot));
    crdt_buffer_close(&snapshot);
    ck_assert(is_same(a, b));
    ck_assert_uint_eq(crdt_count(b, PATH("n"), CRDT_COUNTER), 4);
    ck_assert_int_eq(crdt_counter_value(b, PATH("n")), 12);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("counter");
    TCase *tests = tcase_create("counter");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, increments_and_decrements_of_all_are_summed);
    tcase_add_test(tests, standalone_counter_is_a_document_at_the_empty_path);
    tcase_add_test(tests, increments_within_the_open_batch_share_one_record);
    tcase_add_test(tests, own_remove_between_increments_parts_them);
    tcase_add_test(tests, grow_only_counter_refuses_negative_amounts);
    tcase_add_test(tests, amount_of_zero_is_a_contribution);
    tcase_add_test(tests, sums_are_exact_beyond_64_bits);
    tcase_add_test(tests, sums_below_zero_are_exact_too);
    tcase_add_test(tests, increments_whose_sum_leaves_64_bits_within_a_batch_are_all_counted);
    tcase_add_test(tests, remove_beside_an_increment_keeps_exactly_the_unobserved);
    tcase_add_test(tests, fold_leaves_the_sum_and_one_contribution_named_by_the_last);
    tcase_add_test(tests, fold_takes_only_up_to_its_seq);
    tcase_add_test(tests, fold_of_fewer_than_two_or_beyond_64_bits_writes_nothing);
    tcase_add_test(tests, fold_leaves_the_contributions_of_others);
    tcase_add_test(tests, remove_that_saw_all_contributions_takes_the_unseen_fold_of_them);
    tcase_add_test(tests, remove_that_saw_part_of_a_fold_leaves_it_standing);
    tcase_add_test(tests, fold_of_a_run_leaves_older_contributions_standing);
    tcase_add_test(tests, fold_of_an_empty_run_writes_nothing);
    tcase_add_test(tests, remove_that_saw_what_stands_before_a_run_takes_exactly_that);
    tcase_add_test(tests, run_folded_elsewhere_comes_in_by_snapshot);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
