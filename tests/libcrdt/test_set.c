/* OR-Sets and flags: what was added beside a remove stays. */
#include "tests/support/documents.h"
#include "tests/support/runner.h"

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

START_TEST(add_wins_over_a_concurrent_remove)
{
    put(a, PATH("s"), "x");
    sync_both(a, b);
    take(a, PATH("s"), "x");
    put(b, PATH("s"), "x");
    sync_both(a, b);
    ck_assert(has(a, PATH("s"), "x"));
    ck_assert(has(b, PATH("s"), "x"));
}
END_TEST

START_TEST(remove_takes_what_it_had_seen)
{
    put(a, PATH("s"), "x");
    put(a, PATH("s"), "y");
    sync_both(a, b);
    take(b, PATH("s"), "x");
    sync_both(a, b);
    ck_assert(!has(a, PATH("s"), "x"));
    ck_assert(has(a, PATH("s"), "y"));
    ck_assert_uint_eq(crdt_count(a, PATH("s"), CRDT_SET), 1);
}
END_TEST

static bool remember_dot(void *context, const struct crdt_entry *entry)
{
    struct crdt_dot *dot = context;
    *dot = entry->dot;
    return true;
}

START_TEST(adding_again_gives_a_new_dot_that_replaces_the_old_one)
{
    struct crdt_dot first, second;
    put(a, PATH("s"), "x");
    OK(crdt_visit(a, crdt_root(), remember_dot, &first));
    put(a, PATH("s"), "x");
    OK(crdt_visit(a, crdt_root(), remember_dot, &second));
    ck_assert_uint_eq(first.seq, 1);
    ck_assert_uint_eq(second.seq, 2);
    ck_assert_uint_eq(crdt_count(a, PATH("s"), CRDT_SET), 1);
}
END_TEST

START_TEST(clear_takes_everything_seen_in_one_operation)
{
    for (int i = 0; i < 100; i++) {
        char text[2] = {(char)(' ' + i), 0};
        put(a, PATH("s"), text);
    }
    sync_both(a, b);
    put(b, PATH("s"), "unseen");
    size_t before = crdt_open_records(a);
    clear(a, PATH("s"), CRDT_SET);
    ck_assert_uint_eq(crdt_open_records(a), before + 1);
    ck_assert_uint_eq(crdt_count(a, PATH("s"), CRDT_SET), 0);
    ck_assert_uint_eq(crdt_types(a, PATH("s")), 0);
    sync_both(a, b);
    ck_assert_uint_eq(crdt_count(b, PATH("s"), CRDT_SET), 1);
    ck_assert(has(b, PATH("s"), "unseen"));
}
END_TEST

START_TEST(removing_what_is_absent_makes_no_operation)
{
    take(a, PATH("s"), "x");
    disable(a, PATH("f"));
    clear(a, PATH("s"), CRDT_SET);
    clear(a, crdt_root(), CRDT_ANY);
    ck_assert_uint_eq(crdt_open_records(a), 0);
    put(a, PATH("s"), "x");
    take(a, PATH("s"), "y");
    clear(a, PATH("s"), CRDT_COUNTER);
    ck_assert_uint_eq(crdt_open_records(a), 1);
}
END_TEST

START_TEST(remove_sees_the_own_open_batch)
{
    put(a, PATH("s"), "x");
    take(a, PATH("s"), "x");
    ck_assert(!has(a, PATH("s"), "x"));
    sync_both(a, b);
    ck_assert(!has(b, PATH("s"), "x"));
    ck_assert(is_same(a, b));
}
END_TEST

START_TEST(elements_are_bytes_and_the_empty_one_is_an_element)
{
    put(a, crdt_root(), "");
    ck_assert(has(a, crdt_root(), ""));
    ck_assert(crdt_set_contains(a, crdt_root(), (struct crdt_bytes){NULL, 0}));
    ck_assert_uint_eq(crdt_types(a, crdt_root()), 1u << CRDT_SET);
    take(a, crdt_root(), "");
    ck_assert(!has(a, crdt_root(), ""));
}
END_TEST

START_TEST(element_is_never_a_key_of_the_map_beside_it)
{
    put(a, PATH("s"), "x");
    add(a, PATH("s", "x"), 1);
    ck_assert_uint_eq(crdt_count(a, PATH("s"), CRDT_SET), 1);
    ck_assert_uint_eq(crdt_count(a, PATH("s"), CRDT_MAP), 1);
    take(a, PATH("s"), "x");
    ck_assert_int_eq(crdt_counter_value(a, PATH("s", "x")), 1);
    clear(a, PATH("s"), CRDT_MAP);
    put(a, PATH("s"), "x");
    ck_assert(has(a, PATH("s"), "x"));
    ck_assert_uint_eq(crdt_types(a, PATH("s")), 1u << CRDT_SET);
}
END_TEST

START_TEST(enable_wins_over_a_concurrent_disable)
{
    enable(a, PATH("f"));
    sync_both(a, b);
    disable(a, PATH("f"));
    enable(b, PATH("f"));
    ck_assert(!crdt_flag_is_enabled(a, PATH("f")));
    sync_both(a, b);
    ck_assert(crdt_flag_is_enabled(a, PATH("f")));
    disable(b, PATH("f"));
    sync_both(a, b);
    ck_assert(!crdt_flag_is_enabled(a, PATH("f")));
}
END_TEST

START_TEST(flag_counts_its_dots)
{
    enable(a, PATH("f"));
    enable(b, PATH("f"));
    sync_both(a, b);
    ck_assert_uint_eq(crdt_count(a, PATH("f"), CRDT_FLAG), 2);
    enable(a, PATH("f"));
    ck_assert_uint_eq(crdt_count(a, PATH("f"), CRDT_FLAG), 1);
}
END_TEST

START_TEST(large_set_holds_what_was_added_and_not_removed)
{
    struct crdt_transaction *transaction = begin(a);
    for (uint32_t i = 0; i < 20000; i++)
        OK(crdt_set_add(transaction, PATH("s"), (struct crdt_bytes){&i, sizeof i}));
    for (uint32_t i = 0; i < 20000; i += 2)
        OK(crdt_set_remove(transaction, PATH("s"), (struct crdt_bytes){&i, sizeof i}));
    crdt_commit(transaction);
    sync_to(a, b);
    ck_assert_uint_eq(crdt_count(b, PATH("s"), CRDT_SET), 10000);
    for (uint32_t i = 0; i < 20000; i++)
        ck_assert_int_eq(
            crdt_set_contains(b, PATH("s"), (struct crdt_bytes){&i, sizeof i}), i % 2 == 1);
    ck_assert(is_same(a, b));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("set");
    TCase *tests = tcase_create("set");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, add_wins_over_a_concurrent_remove);
    tcase_add_test(tests, remove_takes_what_it_had_seen);
    tcase_add_test(tests, adding_again_gives_a_new_dot_that_replaces_the_old_one);
    tcase_add_test(tests, clear_takes_everything_seen_in_one_operation);
    tcase_add_test(tests, removing_what_is_absent_makes_no_operation);
    tcase_add_test(tests, remove_sees_the_own_open_batch);
    tcase_add_test(tests, elements_are_bytes_and_the_empty_one_is_an_element);
    tcase_add_test(tests, element_is_never_a_key_of_the_map_beside_it);
    tcase_add_test(tests, enable_wins_over_a_concurrent_disable);
    tcase_add_test(tests, flag_counts_its_dots);
    tcase_add_test(tests, large_set_holds_what_was_added_and_not_removed);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
