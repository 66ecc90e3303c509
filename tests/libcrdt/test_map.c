/* Maps: nesting, removal by what was seen, types side by side, walks, counts. */
#include "tests/support/documents.h"
#include "tests/support/runner.h"

#include <stdio.h>
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

START_TEST(remove_of_a_map_keeps_only_the_concurrent_update_inside)
{
    add(a, PATH("cart", "milk", "quantity"), 1);
    put(a, PATH("cart", "milk", "tags"), "fresh");
    assign(a, PATH("cart", "milk", "added"), "today");
    sync_both(a, b);
    clear(a, PATH("cart", "milk"), CRDT_MAP);
    add(b, PATH("cart", "milk", "quantity"), 2);
    ck_assert_uint_eq(crdt_types(a, crdt_root()), 0);
    sync_both(a, b);
    ck_assert_int_eq(crdt_counter_value(a, PATH("cart", "milk", "quantity")), 2);
    ck_assert(!has(a, PATH("cart", "milk", "tags"), "fresh"));
    ck_assert(reads(a, PATH("cart", "milk", "added"), NULL));
    ck_assert_uint_eq(crdt_count(a, PATH("cart", "milk"), CRDT_MAP), 1);
    ck_assert(is_same(a, b));
}
END_TEST

START_TEST(map_exists_while_anything_under_it_lives)
{
    ck_assert_uint_eq(crdt_types(a, PATH("m")), 0);
    enable(a, PATH("m", "x", "y"));
    ck_assert_uint_eq(crdt_types(a, PATH("m")), 1u << CRDT_MAP);
    ck_assert_uint_eq(crdt_types(a, PATH("m", "x")), 1u << CRDT_MAP);
    disable(a, PATH("m", "x", "y"));
    ck_assert_uint_eq(crdt_types(a, PATH("m")), 0);
    ck_assert_uint_eq(crdt_count(a, crdt_root(), CRDT_MAP), 0);
}
END_TEST

START_TEST(types_under_one_key_live_side_by_side)
{
    assign(a, PATH("k"), "v");
    add(b, PATH("k"), 2);
    put(b, PATH("k"), "x");
    sync_both(a, b);
    unsigned types = 1u << CRDT_REGISTER | 1u << CRDT_COUNTER | 1u << CRDT_SET;
    ck_assert_uint_eq(crdt_types(a, PATH("k")), types);
    ck_assert_uint_eq(crdt_count(a, crdt_root(), CRDT_MAP), 1);
    clear(a, PATH("k"), CRDT_COUNTER);
    ck_assert_uint_eq(crdt_types(a, PATH("k")), types & ~(1u << CRDT_COUNTER));
    clear(a, PATH("k"), CRDT_ANY);
    ck_assert_uint_eq(crdt_types(a, PATH("k")), 0);
}
END_TEST

START_TEST(removing_a_map_leaves_other_types_at_its_path)
{
    add(a, PATH("k"), 1);
    add(a, PATH("k", "x"), 1);
    clear(a, PATH("k"), CRDT_MAP);
    ck_assert_uint_eq(crdt_types(a, PATH("k")), 1u << CRDT_COUNTER);
    add(a, PATH("k", "x"), 1);
    clear(a, PATH("k"), CRDT_COUNTER);
    ck_assert_uint_eq(crdt_types(a, PATH("k")), 1u << CRDT_MAP);
}
END_TEST

START_TEST(removing_the_root_takes_everything_seen)
{
    add(a, crdt_root(), 1);
    assign(a, PATH("x"), "1");
    put(a, PATH("y", "z"), "1");
    sync_both(a, b);
    enable(b, PATH("kept"));
    clear(a, crdt_root(), CRDT_ANY);
    sync_both(a, b);
    ck_assert_uint_eq(crdt_count(a, crdt_root(), CRDT_MAP), 1);
    ck_assert(crdt_flag_is_enabled(a, PATH("kept")));
    ck_assert_uint_eq(crdt_types(a, crdt_root()), 1u << CRDT_MAP);
    ck_assert(is_same(a, b));
}
END_TEST

START_TEST(key_is_not_a_prefix_of_a_longer_key)
{
    add(a, PATH("ab"), 1);
    add(a, PATH("a"), 1);
    add(a, PATH("a", "b"), 1);
    clear(a, PATH("a"), CRDT_ANY);
    ck_assert_int_eq(crdt_counter_value(a, PATH("ab")), 1);
    ck_assert_int_eq(crdt_counter_value(a, PATH("a", "b")), 0);
}
END_TEST

START_TEST(count_is_that_of_keys_each_once)
{
    for (int i = 0; i < 10; i++) {
        char key[8];
        snprintf(key, sizeof key, "k%d", i);
        add(a, PATH("m", key), 1);
        assign(a, PATH("m", key), "v");
        add(a, PATH("m", key, "below"), 1);
    }
    ck_assert_uint_eq(crdt_count(a, PATH("m"), CRDT_MAP), 10);
    ck_assert_uint_eq(crdt_count(a, PATH("none"), CRDT_MAP), 0);
}
END_TEST

START_TEST(walk_gives_each_key_once_with_its_types)
{
    add(a, PATH("one"), 1);
    assign(a, PATH("two"), "v");
    add(a, PATH("two"), 1);
    add(a, PATH("three", "x"), 1);
    unsigned found = 0;
    struct crdt_iterator iterator =
        crdt_iterate(a, crdt_root(), CRDT_MAP, CRDT_ITERATOR_START);
    struct crdt_item item;
    size_t count = 0;
    while (crdt_next(&iterator, &item)) {
        count++;
        if (item.key.size == 5 && memcmp(item.key.data, "three", 5) == 0)
            found |= item.types == 1u << CRDT_MAP ? 4 : 0;
        else if (memcmp(item.key.data, "one", 3) == 0)
            found |= item.types == 1u << CRDT_COUNTER ? 1 : 0;
        else
            found |= item.types == (1u << CRDT_COUNTER | 1u << CRDT_REGISTER) ? 2 : 0;
    }
    ck_assert_uint_eq(count, 3);
    ck_assert_uint_eq(found, 7);
    ck_assert_uint_eq(iterator.position, 0);
}
END_TEST

static void number(struct crdt_transaction *transaction, uint32_t i, bool is_put)
{
    struct crdt_bytes element = {&i, sizeof i};
    if (is_put)
        OK(crdt_set_add(transaction, PATH("s"), element));
    else
        OK(crdt_set_remove(transaction, PATH("s"), element));
}

/* SCAN's promise: what was there all the time is given at least once. */
START_TEST(walk_continued_after_changes_gives_all_that_stayed)
{
    static bool seen[1000];
    memset(seen, 0, sizeof seen);
    struct crdt_transaction *transaction = begin(a);
    for (uint32_t i = 0; i < 1000; i++)
        number(transaction, i, true);
    crdt_commit(transaction);
    uint64_t position = CRDT_ITERATOR_START;
    uint32_t rounds = 0, fresh = 100000;
    while (position != 0 && rounds++ < 10000) {
        struct crdt_iterator iterator = crdt_iterate(a, PATH("s"), CRDT_SET, position);
        struct crdt_item item;
        for (int i = 0; i < 7 && crdt_next(&iterator, &item); i++) {
            uint32_t value;
            memcpy(&value, item.key.data, sizeof value);
            if (value < 1000)
                seen[value] = true;
        }
        position = iterator.position;
        transaction = begin(a);
        for (uint32_t i = 0; i < 5; i++) {
            number(transaction, rounds * 5 % 500 + i, false);
            if (fresh < 100400)
                number(transaction, fresh++, true);
        }
        crdt_commit(transaction);
    }
    ck_assert_uint_eq(position, 0);
    for (uint32_t i = 505; i < 1000; i++)
        ck_assert_msg(seen[i], "%u was there all the time and not given", i);
}
END_TEST

START_TEST(walk_of_nothing_ends_at_once)
{
    struct crdt_iterator iterator = crdt_iterate(a, PATH("s"), CRDT_SET, CRDT_ITERATOR_START);
    struct crdt_item item;
    ck_assert(!crdt_next(&iterator, &item));
    ck_assert_uint_eq(iterator.position, 0);
    ck_assert(!crdt_next(&iterator, &item));
}
END_TEST

struct visited {
    size_t count, stop_at;
    size_t depth_max;
};

static bool count_entry(void *context, const struct crdt_entry *entry)
{
    struct visited *visited = context;
    if (entry->path.count > visited->depth_max)
        visited->depth_max = entry->path.count;
    return ++visited->count != visited->stop_at;
}

START_TEST(visit_gives_all_at_and_under_a_path_until_told_to_stop)
{
    add(a, PATH("m"), 1);
    add(a, PATH("m", "x", "y"), 1);
    put(a, PATH("m", "x"), "e");
    add(a, PATH("other"), 1);
    struct visited visited = {0, 0, 0};
    OK(crdt_visit(a, PATH("m"), count_entry, &visited));
    ck_assert_uint_eq(visited.count, 3);
    ck_assert_uint_eq(visited.depth_max, 3);
    visited = (struct visited){0, 2, 0};
    OK(crdt_visit(a, crdt_root(), count_entry, &visited));
    ck_assert_uint_eq(visited.count, 2);
    visited = (struct visited){0, 0, 0};
    OK(crdt_visit(a, PATH("none"), count_entry, &visited));
    ck_assert_uint_eq(visited.count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("map");
    TCase *tests = tcase_create("map");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, remove_of_a_map_keeps_only_the_concurrent_update_inside);
    tcase_add_test(tests, map_exists_while_anything_under_it_lives);
    tcase_add_test(tests, types_under_one_key_live_side_by_side);
    tcase_add_test(tests, removing_a_map_leaves_other_types_at_its_path);
    tcase_add_test(tests, removing_the_root_takes_everything_seen);
    tcase_add_test(tests, key_is_not_a_prefix_of_a_longer_key);
    tcase_add_test(tests, count_is_that_of_keys_each_once);
    tcase_add_test(tests, walk_gives_each_key_once_with_its_types);
    tcase_add_test(tests, walk_continued_after_changes_gives_all_that_stayed);
    tcase_add_test(tests, walk_of_nothing_ends_at_once);
    tcase_add_test(tests, visit_gives_all_at_and_under_a_path_until_told_to_stop);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
