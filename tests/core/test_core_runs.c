/* Counters while a member is away (invariant I9): what it cannot have seen folds as a
 * run of its own, so that a dead member costs a bounded number of contributions, and
 * what it removes meanwhile is what it has seen, or is counted. */
#include "tests/core/pump.h"

#include "gossipd/limits.h"

#include "tests/support/runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AWAY_US (FOLD_AWAY_US + 2 * HEARTBEAT_US) /* sure to be away for folding      */

static struct pump pump;

/* Contributions that live at key k, as node 0 sees them. */
static size_t contributions(void)
{
    struct crdt_bytes keys[] = {crdt_text("data"), crdt_text("k")};
    struct crdt_path path = {keys, 2};
    return crdt_count(core_document(pump.nodes[0].core), path, CRDT_COUNTER);
}

/* Each in a batch of its own. Returns how many contributions there were at most. */
static size_t add(size_t count)
{
    size_t most = 0;
    for (size_t i = 0; i < count; i++) {
        pump_ask(&pump, 0, "INCR k");
        if (contributions() > most)
            most = contributions();
    }
    return most;
}

/* Adds until something is folded: 64 at most, unless it may not. */
static void add_until_folded(void)
{
    size_t before = 0;
    for (size_t i = 0; i < 2 * FOLD_COUNT && contributions() >= before; i++) {
        before = contributions();
        pump_ask(&pump, 0, "INCR k");
    }
    ck_assert_uint_lt(contributions(), before);
}

static void begin(size_t node_count)
{
    pump_open(&pump, node_count, CORE_ALWAYS, 44);
    pump_run(&pump, 2500000);
    add(40);
    pump_run(&pump, 3000000);
}

static void cut_off(size_t node, bool is_cut)
{
    for (size_t i = 0; i < pump.node_count; i++)
        if (i != node)
            pump_cut(&pump, node, i, is_cut);
}

static bool has_lesser(unsigned count)
{
    char text[64];
    snprintf(text, sizeof text, "crdt_lesser_batches:%u\r\n", count);
    return strstr(pump_ask(&pump, 0, "INFO crdt"), text) != NULL;
}

START_TEST(a_dead_member_costs_what_was_added_in_its_first_seconds)
{
    begin(2);
    cut_off(1, true);
    add(100);
    pump_run(&pump, AWAY_US);
    /* What it acknowledged or may have seen, one run, and what waits for the next fold. */
    ck_assert_uint_le(add(20000), 40 + 100 + 1 + FOLD_COUNT);
    ck_assert_str_eq(pump_ask(&pump, 0, "GET k"), "$5\r\n20140\r\n");
    pump_close(&pump);
}
END_TEST

START_TEST(with_others_alive_the_run_waits_for_them)
{
    begin(3);
    pump_cut(&pump, 0, 1, true);
    pump_cut(&pump, 2, 1, true);
    add(10);
    pump_run(&pump, AWAY_US);
    pump_cut(&pump, 0, 2, true);
    add(200);
    ck_assert_uint_ge(contributions(), 200);
    pump_cut(&pump, 0, 2, false);
    pump_run(&pump, 3000000);
    add_until_folded();
    ck_assert_uint_le(contributions(), 40 + 10 + 1 + FOLD_COUNT);
    pump_close(&pump);
}
END_TEST

START_TEST(a_member_that_was_heard_a_moment_ago_is_waited_for)
{
    begin(2);
    cut_off(1, true);
    add(10);
    pump_run(&pump, FOLD_AWAY_US - 2 * HEARTBEAT_US);
    add(200);
    ck_assert_uint_ge(contributions(), 210);
    pump_close(&pump);
}
END_TEST

START_TEST(who_has_all_there_is_may_be_silent)
{
    begin(2);
    cut_off(1, true);
    pump_run(&pump, 3 * AWAY_US);
    add(200);
    ck_assert_uint_ge(contributions(), 200);
    pump_close(&pump);
}
END_TEST

START_TEST(what_the_away_member_removes_is_what_it_had_seen)
{
    begin(2);
    cut_off(1, true);
    ck_assert_str_eq(pump_ask(&pump, 1, "DEL k"), ":1\r\n");
    add(100);
    pump_run(&pump, AWAY_US);
    add(200);
    ck_assert_uint_le(contributions(), 40 + 100 + 1 + FOLD_COUNT);
    cut_off(1, false);
    pump_run(&pump, 5000000);
    ck_assert_str_eq(pump_ask(&pump, 0, "GET k"), "$3\r\n300\r\n");
    ck_assert_str_eq(pump_ask(&pump, 1, "GET k"), "$3\r\n300\r\n");
    ck_assert(has_lesser(0));
    ck_assert(pump_is_equal(&pump));
    pump_close(&pump);
}
END_TEST

START_TEST(a_run_seen_in_part_stands_and_is_counted)
{
    begin(3);
    /* Node 1 hears of node 0 through node 2, and cannot acknowledge. */
    pump_cut(&pump, 0, 1, true);
    add(1);
    pump_run(&pump, AWAY_US);
    add(30);
    pump_run(&pump, 3000000);
    ck_assert_str_eq(pump_ask(&pump, 1, "GET k"), "$2\r\n71\r\n");
    cut_off(1, true);
    ck_assert_str_eq(pump_ask(&pump, 1, "DEL k"), ":1\r\n");
    add(20);
    pump_run(&pump, 3000000);
    add_until_folded();
    size_t added = (size_t)strtoul(pump_ask(&pump, 0, "GET k") + 4, NULL, 10);
    ck_assert(has_lesser(0));
    cut_off(1, false);
    pump_run(&pump, 5000000);
    /* The 30 are in the run; the 41 before it are gone. */
    size_t left = (size_t)strtoul(pump_ask(&pump, 0, "GET k") + 4, NULL, 10);
    ck_assert_uint_eq(left, added - 41);
    ck_assert(has_lesser(1));
    ck_assert(pump_is_equal(&pump));
    /* It has now seen all. */
    pump_ask(&pump, 1, "DEL k");
    pump_run(&pump, 3000000);
    ck_assert_str_eq(pump_ask(&pump, 0, "GET k"), "$-1\r\n");
    ck_assert(has_lesser(1));
    pump_close(&pump);
}
END_TEST

START_TEST(once_it_is_back_all_becomes_one_contribution)
{
    begin(2);
    cut_off(1, true);
    add(100);
    pump_run(&pump, AWAY_US);
    add(200);
    cut_off(1, false);
    pump_run(&pump, 5000000);
    for (size_t i = 0; i < FOLD_COUNT && contributions() > 2; i++) {
        pump_ask(&pump, 0, "INCR k");
        pump_run(&pump, 2 * HEARTBEAT_US);
    }
    ck_assert_uint_eq(contributions(), 2);
    ck_assert(pump_is_equal(&pump));
    /* And it is waited for again. */
    cut_off(1, true);
    add(200);
    ck_assert_uint_ge(contributions(), 200);
    pump_close(&pump);
}
END_TEST

START_TEST(after_a_restart_the_run_begins_anew)
{
    begin(2);
    cut_off(1, true);
    add(100);
    pump_run(&pump, AWAY_US);
    add(200);
    size_t before = contributions();
    pump_restart(&pump, 0, SIZE_MAX);
    pump_run(&pump, START_WAIT_US + 500000);
    add(70);
    ck_assert_uint_eq(contributions(), before + 70);
    pump_run(&pump, AWAY_US);
    ck_assert_uint_le(add(1000), before + 70 + 1 + FOLD_COUNT);
    ck_assert_str_eq(pump_ask(&pump, 0, "GET k"), "$4\r\n1410\r\n");
    pump_close(&pump);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_runs");
    TCase *tests = tcase_create("core_runs");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_dead_member_costs_what_was_added_in_its_first_seconds);
    tcase_add_test(tests, with_others_alive_the_run_waits_for_them);
    tcase_add_test(tests, a_member_that_was_heard_a_moment_ago_is_waited_for);
    tcase_add_test(tests, who_has_all_there_is_may_be_silent);
    tcase_add_test(tests, what_the_away_member_removes_is_what_it_had_seen);
    tcase_add_test(tests, a_run_seen_in_part_stands_and_is_counted);
    tcase_add_test(tests, once_it_is_back_all_becomes_one_contribution);
    tcase_add_test(tests, after_a_restart_the_run_begins_anew);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
