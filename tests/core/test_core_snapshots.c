/* What the core promises about snapshots: when it asks for one, and that a
 * restart that begins with one ends where a replay of everything would. */
#include "tests/core/pump.h"

#include "tests/support/runner.h"

#include <string.h>

#define SNAPSHOT_EVERY 4000 /* bytes of batches                                   */

static struct pump pump;

/* Two linked nodes; the first takes snapshots. */
static void begin(void)
{
    pump_open(&pump, 2, CORE_ALWAYS, 42);
    pump.nodes[0].options.snapshot_bytes = SNAPSHOT_EVERY;
    pump.nodes[0].options.history_ms = UINT64_MAX;
    pump.nodes[0].options.log_bytes_max = UINT64_MAX;
    pump_restart(&pump, 0, SIZE_MAX);
    pump_run(&pump, 2500000);
}

static void write_keys(size_t node, int count)
{
    char words[] = "SADD set element-00";
    for (int index = 0; index < count; index++) {
        words[sizeof words - 3] = (char)('0' + index / 10 % 10);
        words[sizeof words - 2] = (char)('0' + index % 10);
        ck_assert_str_eq(pump_ask(&pump, node, words), ":1\r\n");
    }
    pump_run(&pump, 100000);
}

static void remove_keys(size_t node)
{
    ck_assert_str_eq(pump_ask(&pump, node, "DEL set"), ":1\r\n");
}

START_TEST(a_snapshot_is_made_once_enough_batches_came)
{
    begin();
    write_keys(0, 3);
    ck_assert_uint_eq(pump.nodes[0].snapshot.size, 0);
    remove_keys(0);
    pump_run(&pump, 100000);
    write_keys(1, 50);
    pump_run(&pump, 1000000);
    ck_assert_uint_gt(pump.nodes[0].snapshot.size, 0);
    ck_assert_uint_eq(pump.nodes[1].snapshot.size, 0);
    ck_assert_ptr_nonnull(strstr((const char *)pump.nodes[0].event_text.data, "what=made"));
    pump_close(&pump);
}
END_TEST

START_TEST(a_restart_from_a_snapshot_equals_one_from_all_batches)
{
    begin();
    write_keys(0, 60);
    remove_keys(1);
    write_keys(0, 5);
    pump_run(&pump, 1500000);
    size_t rows = pump.nodes[0].row_count;
    uint64_t generation = crdt_self(core_document(pump.nodes[0].core)).generation;
    ck_assert(pump_is_equal(&pump));
    pump_restart(&pump, 0, SIZE_MAX);
    ck_assert_uint_lt(pump.nodes[0].replayed_rows, rows / 2);
    pump_run(&pump, 2500000);
    ck_assert_uint_eq(crdt_self(core_document(pump.nodes[0].core)).generation, generation);
    ck_assert_str_eq(pump_ask(&pump, 0, "SCARD set"), ":5\r\n");
    ck_assert_str_eq(pump_ask(&pump, 0, "SADD set more"), ":1\r\n");
    pump_run(&pump, 2500000);
    ck_assert(pump_is_equal(&pump));
    ck_assert_str_eq(pump_ask(&pump, 1, "SCARD set"), ":6\r\n");
    pump_close(&pump);
}
END_TEST

START_TEST(a_node_that_began_with_a_snapshot_serves_what_came_before_it)
{
    begin();
    pump_cut(&pump, 0, 1, true);
    write_keys(0, 60);
    pump_restart(&pump, 0, SIZE_MAX);
    ck_assert_uint_lt(pump.nodes[0].replayed_rows, 60);
    pump_cut(&pump, 0, 1, false);
    pump_run(&pump, 8000000);
    ck_assert_str_eq(pump_ask(&pump, 1, "SCARD set"), ":60\r\n");
    ck_assert(pump_is_equal(&pump));
    pump_close(&pump);
}
END_TEST

START_TEST(a_damaged_snapshot_is_refused_and_all_batches_are_replayed)
{
    begin();
    write_keys(0, 60);
    struct crdt_buffer *snapshot = &pump.nodes[0].snapshot;
    ck_assert_uint_gt(snapshot->size, 100);
    snapshot->data[snapshot->size / 2] ^= 1;
    pump_restart(&pump, 0, SIZE_MAX);
    ck_assert_uint_eq(pump.nodes[0].replayed_rows, pump.nodes[0].row_count);
    pump_run(&pump, 2500000);
    ck_assert_str_eq(pump_ask(&pump, 0, "SCARD set"), ":60\r\n");
    ck_assert(pump_is_equal(&pump));
    pump_close(&pump);
}
END_TEST

START_TEST(a_snapshot_that_failed_is_tried_again_after_a_while)
{
    begin();
    pump.nodes[0].is_snapshot_failing = true;
    write_keys(0, 60);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_SNAPSHOT], 1);
    pump.nodes[0].is_snapshot_failing = false;
    pump_run(&pump, 9000000);
    ck_assert_uint_eq(pump.nodes[0].snapshot.size, 0);
    pump_run(&pump, 2000000);
    ck_assert_uint_gt(pump.nodes[0].snapshot.size, 0);
    pump_close(&pump);
}
END_TEST

START_TEST(while_the_store_fails_none_is_asked_for)
{
    begin();
    pump.nodes[0].is_store_failing = true;
    pump_command(&pump, 0, "SET k v");
    pump_run(&pump, 100000);
    write_keys(1, 60);
    pump_run(&pump, 3000000);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_SNAPSHOT], 0);
    pump.nodes[0].is_store_failing = false;
    pump_run(&pump, 5000000);
    ck_assert_uint_ge(pump.nodes[0].events[CORE_EVENT_SNAPSHOT], 1);
    ck_assert(pump_is_equal(&pump));
    pump_close(&pump);
}
END_TEST

START_TEST(a_stop_makes_none_and_waits_for_none)
{
    begin();
    write_keys(0, 12);
    ck_assert_uint_eq(pump.nodes[0].snapshot.size, 0);
    pump_stop(&pump, 0);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_STOPPED], 1);
    ck_assert_uint_eq(pump.nodes[0].snapshot.size, 0);
    pump_restart(&pump, 0, SIZE_MAX);
    pump_run(&pump, 2500000);
    pump.nodes[0].build_us = 10000000;
    remove_keys(1);
    pump_run(&pump, 100000);
    write_keys(1, 40);
    ck_assert_uint_gt(pump.nodes[0].snapshot.size, 0);
    pump_stop(&pump, 0);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_STOPPED], 1);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_SNAPSHOT], 0);
    pump_close(&pump);
}
END_TEST

START_TEST(without_a_size_there_are_none)
{
    pump_open(&pump, 1, CORE_ALWAYS, 1);
    write_keys(0, 90);
    pump_stop(&pump, 0);
    ck_assert_uint_eq(pump.nodes[0].snapshot.size, 0);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_SNAPSHOT], 0);
    pump_close(&pump);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core snapshots");
    TCase *claims = tcase_create("snapshots");
    tcase_set_timeout(claims, 60);
    tcase_add_test(claims, a_snapshot_is_made_once_enough_batches_came);
    tcase_add_test(claims, a_restart_from_a_snapshot_equals_one_from_all_batches);
    tcase_add_test(claims, a_node_that_began_with_a_snapshot_serves_what_came_before_it);
    tcase_add_test(claims, a_damaged_snapshot_is_refused_and_all_batches_are_replayed);
    tcase_add_test(claims, a_snapshot_that_failed_is_tried_again_after_a_while);
    tcase_add_test(claims, while_the_store_fails_none_is_asked_for);
    tcase_add_test(claims, a_stop_makes_none_and_waits_for_none);
    tcase_add_test(claims, without_a_size_there_are_none);
    suite_add_tcase(suite, claims);
    return runner_run(suite);
}
