/* Registers: last writer wins by (hlc, origin, seq); the others stay visible. */
#include "tests/support/documents.h"
#include "tests/support/runner.h"

#include <string.h>

static struct crdt_document *a, *b;

static void setup(void)
{
    write_now_ms = 1000;
    a = document_new(1, 1);
    b = document_new(2, 1);
}

static void teardown(void)
{
    crdt_close(a);
    crdt_close(b);
}

static uint64_t hlc_of(struct crdt_document *document, struct crdt_path path, size_t index)
{
    struct crdt_version version;
    OK(crdt_register_version(document, path, index, &version));
    return version.hlc;
}

START_TEST(greater_stamp_wins_everywhere)
{
    write_now_ms = 2000;
    assign(a, PATH("k"), "later");
    write_now_ms = 1000;
    assign(b, PATH("k"), "earlier");
    sync_both(a, b);
    ck_assert(reads(a, PATH("k"), "later"));
    ck_assert(reads(b, PATH("k"), "later"));
}
END_TEST

START_TEST(equal_stamps_are_decided_by_the_origin)
{
    assign(a, PATH("k"), "of 1");
    assign(b, PATH("k"), "of 2");
    ck_assert_uint_eq(hlc_of(a, PATH("k"), 0), hlc_of(b, PATH("k"), 0));
    sync_both(a, b);
    ck_assert(reads(a, PATH("k"), "of 2"));
    ck_assert(reads(b, PATH("k"), "of 2"));
}
END_TEST

START_TEST(versions_show_every_concurrent_value_winner_first)
{
    write_now_ms = 2000;
    assign(a, PATH("k"), "winner");
    write_now_ms = 1000;
    assign(b, PATH("k"), "loser");
    sync_both(a, b);
    struct crdt_version version;
    ck_assert_uint_eq(crdt_count(b, PATH("k"), CRDT_REGISTER), 2);
    OK(crdt_register_version(b, PATH("k"), 0, &version));
    ck_assert_uint_eq(version.value.size, 6);
    ck_assert_mem_eq(version.value.data, "winner", 6);
    ck_assert_uint_eq(version.dot.seq, 1);
    ck_assert_uint_eq(version.dot.origin.key[0], 1);
    OK(crdt_register_version(b, PATH("k"), 1, &version));
    ck_assert_mem_eq(version.value.data, "loser", 5);
    ck_assert_int_eq(crdt_register_version(b, PATH("k"), 2, &version), CRDT_ERR_NOT_FOUND);
}
END_TEST

START_TEST(write_that_saw_them_replaces_all_concurrent_values)
{
    assign(a, PATH("k"), "one");
    assign(b, PATH("k"), "two");
    sync_both(a, b);
    assign(a, PATH("k"), "three");
    sync_both(a, b);
    ck_assert_uint_eq(crdt_count(b, PATH("k"), CRDT_REGISTER), 1);
    ck_assert(reads(b, PATH("k"), "three"));
}
END_TEST

START_TEST(stamp_carries_milliseconds_and_grows_within_one)
{
    write_now_ms = 1234;
    assign(a, PATH("k"), "1");
    uint64_t first = hlc_of(a, PATH("k"), 0);
    assign(a, PATH("k"), "2");
    uint64_t second = hlc_of(a, PATH("k"), 0);
    ck_assert_uint_eq(first >> 16, 1234);
    ck_assert_uint_gt(second, first);
    write_now_ms = 1000;
    assign(a, PATH("k"), "3");
    ck_assert_uint_gt(hlc_of(a, PATH("k"), 0), second);
}
END_TEST

START_TEST(write_after_a_slightly_later_stamp_wins_over_it)
{
    write_now_ms = 31000;
    assign(a, PATH("k"), "half a minute ahead");
    sync_both(a, b);
    write_now_ms = 1000;
    assign(b, PATH("k"), "saw it");
    assign(b, PATH("other"), "x");
    ck_assert_uint_gt(hlc_of(b, PATH("other"), 0), UINT64_C(31000) << 16);
    sync_both(a, b);
    ck_assert(reads(a, PATH("k"), "saw it"));
}
END_TEST

/* I11: accepted, not adopted. */
START_TEST(write_passes_a_stamp_seen_since_the_last_own_write)
{
    write_now_ms = 1000;
    assign(b, PATH("other"), "x");
    write_now_ms = 31000;
    assign(a, PATH("k"), "half a minute ahead");
    sync_both(a, b);
    write_now_ms = 1000;
    assign(b, PATH("other"), "y");
    ck_assert_uint_gt(hlc_of(b, PATH("other"), 0), hlc_of(b, PATH("k"), 0));
}
END_TEST

START_TEST(stamp_of_a_clock_a_year_ahead_is_accepted_and_not_adopted)
{
    const uint64_t year_ms = UINT64_C(365) * 24 * 3600 * 1000;
    write_now_ms = 1000 + year_ms;
    assign(a, PATH("k"), "from the future");
    sync_both(a, b);
    ck_assert(reads(b, PATH("k"), "from the future"));
    write_now_ms = 2000;
    assign(b, PATH("other"), "x");
    ck_assert_uint_eq(hlc_of(b, PATH("other"), 0) >> 16, 2000);
    assign(b, PATH("k"), "saw it");
    sync_both(a, b);
    ck_assert(reads(a, PATH("k"), "saw it"));
    ck_assert_uint_eq(crdt_count(a, PATH("k"), CRDT_REGISTER), 1);
}
END_TEST

START_TEST(node_whose_own_stamp_ran_a_year_ahead_stamps_from_the_clock_again)
{
    write_now_ms = UINT64_C(40000000000);
    assign(a, PATH("k"), "wrong clock");
    write_now_ms = 5000;
    assign(a, PATH("k"), "right clock");
    ck_assert(reads(a, PATH("k"), "right clock"));
    ck_assert_uint_eq(hlc_of(a, PATH("k"), 0) >> 16, 5000);
}
END_TEST

START_TEST(a_clock_that_was_wrong_while_nothing_was_stamped_leaves_no_trace)
{
    write_now_ms = 12000;
    assign(a, PATH("k"), "first");
    uint64_t first = hlc_of(a, PATH("k"), 0);
    struct crdt_transaction *change;
    ck_assert_int_eq(crdt_begin(a, UINT64_C(40000000000), &change), CRDT_OK);
    ck_assert_int_eq(crdt_counter_add(change, PATH("n"), 1), CRDT_OK);
    crdt_commit(change);
    write_now_ms = 10000;
    assign(a, PATH("k"), "second");
    ck_assert_uint_gt(hlc_of(a, PATH("k"), 0), first);
}
END_TEST

START_TEST(values_are_bytes_of_any_kind_the_empty_one_too)
{
    struct crdt_transaction *transaction = begin(a);
    OK(crdt_register_set(transaction, PATH("z"), (struct crdt_bytes){"\0\xff\0", 3}));
    OK(crdt_register_set(transaction, PATH("e"), (struct crdt_bytes){NULL, 0}));
    crdt_commit(transaction);
    sync_both(a, b);
    struct crdt_bytes value;
    OK(crdt_register_get(b, PATH("z"), &value));
    ck_assert_uint_eq(value.size, 3);
    ck_assert_mem_eq(value.data, "\0\xff\0", 3);
    OK(crdt_register_get(b, PATH("e"), &value));
    ck_assert_uint_eq(value.size, 0);
    ck_assert_int_eq(crdt_register_get(b, PATH("none"), &value), CRDT_ERR_NOT_FOUND);
}
END_TEST

START_TEST(assignment_beside_a_remove_survives)
{
    assign(a, PATH("k"), "old");
    sync_both(a, b);
    clear(a, PATH("k"), CRDT_REGISTER);
    assign(b, PATH("k"), "new");
    sync_both(a, b);
    ck_assert(reads(a, PATH("k"), "new"));
    ck_assert_uint_eq(crdt_count(a, PATH("k"), CRDT_REGISTER), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("register");
    TCase *tests = tcase_create("register");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, greater_stamp_wins_everywhere);
    tcase_add_test(tests, equal_stamps_are_decided_by_the_origin);
    tcase_add_test(tests, versions_show_every_concurrent_value_winner_first);
    tcase_add_test(tests, write_that_saw_them_replaces_all_concurrent_values);
    tcase_add_test(tests, stamp_carries_milliseconds_and_grows_within_one);
    tcase_add_test(tests, write_after_a_slightly_later_stamp_wins_over_it);
    tcase_add_test(tests, write_passes_a_stamp_seen_since_the_last_own_write);
    tcase_add_test(tests, stamp_of_a_clock_a_year_ahead_is_accepted_and_not_adopted);
    tcase_add_test(tests, node_whose_own_stamp_ran_a_year_ahead_stamps_from_the_clock_again);
    tcase_add_test(tests, a_clock_that_was_wrong_while_nothing_was_stamped_leaves_no_trace);
    tcase_add_test(tests, values_are_bytes_of_any_kind_the_empty_one_too);
    tcase_add_test(tests, assignment_beside_a_remove_survives);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
