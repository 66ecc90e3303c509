/* A member that is back from below the log floor: offered a snapshot, joined. */
#include "tests/core/apart.h"

#include "gossipd/wire/message.h"
#include "tests/support/runner.h"

#include <stdio.h>
#include <string.h>

START_TEST(a_peer_below_the_floor_is_offered_a_snapshot_and_no_batches)
{
    begin(2, CORE_ALWAYS);
    drift_apart();
    size_t sent = pump.nodes[0].sent_kinds[MESSAGE_BATCH];
    pump.nodes[1].is_stage_failing = true;
    cut(1, false);
    pump_run(&pump, 5 * SECOND_US);
    ck_assert_uint_eq(pump.nodes[0].sent_kinds[MESSAGE_BATCH], sent);
    ck_assert_uint_ge(pump.nodes[0].sent_kinds[MESSAGE_OFFER], 1);
    ck_assert_uint_le(pump.nodes[0].sent_kinds[MESSAGE_OFFER], 4);
    end();
}
END_TEST

START_TEST(a_late_returner_joins_keeps_its_own_and_resurrects_nothing)
{
    begin(2, CORE_ALWAYS);
    drift_apart();
    cut(1, false);
    pump_run(&pump, 20 * SECOND_US);
    ck_assert(info_has(1, "crdt_joins:1\r\n"));
    ck_assert(info_has(1, "crdt_join_state:none\r\n"));
    ck_assert(info_has(0, "crdt_transfers_served:1\r\n"));
    check_converged(":55\r\n");
    ck_assert_str_eq(pump_ask(&pump, 1, "SISMEMBER s a005"), ":0\r\n");
    ck_assert_uint_eq(pump.nodes[1].discard_count, 1);
    ck_assert_uint_eq(pump.nodes[1].staged_parts, 0);
    ck_assert_uint_ge(floor_of(1, 0), 20);
    /* It goes on writing under its generation, and a restart changes nothing. */
    struct crdt_origin self = origin_of(1);
    pump_restart(&pump, 1, SIZE_MAX);
    pump_run(&pump, 3 * SECOND_US);
    ck_assert_uint_eq(origin_of(1).generation, self.generation);
    add(1, "s", 'd', 0, 3);
    pump_run(&pump, 3 * SECOND_US);
    check_converged(":58\r\n");
    end();
}
END_TEST

START_TEST(both_write_while_one_joins_and_nothing_is_lost)
{
    for (uint64_t build_us = 5000; build_us < 10 * SECOND_US; build_us *= 20) {
        begin(2, CORE_EVERYSEC);
        drift_apart();
        pump.nodes[1].build_us = build_us;
        cut(1, false);
        for (int round = 0; round < 40; round++) {
            add(0, "s", 'd', round, 1);
            add(1, "s", 'e', round, 1);
            pump_run(&pump, 200000);
        }
        pump_run(&pump, 30 * SECOND_US);
        ck_assert(!info_has(1, "crdt_joins:0\r\n"));
        check_converged(":135\r\n");
        end();
    }
}
END_TEST

/* While the store is slow: in `always` what comes is in the open batch, else in
 * batches that are not durable. */
static void join_while_the_store_is_slow(enum core_durability durability)
{
    begin(2, durability);
    drift_apart();
    pump.nodes[1].build_us = SECOND_US;
    cut(1, false);
    run_until_building();
    pump.nodes[1].is_store_held = true;
    for (int index = 0; index < 10; index++) {
        char words[32];
        snprintf(words, sizeof words, "SADD s d%03d", index);
        pump_command(&pump, 1, words);
        add(0, "s", 'e', index, 1);
        pump_run(&pump, 5000);
    }
    pump_run(&pump, 2 * SECOND_US);
    struct crdt_bytes names[] = {crdt_text("data"), crdt_text("s")};
    struct crdt_path path = {.keys = names, .count = 2};
    const struct crdt_document *document = core_document(pump.nodes[1].core);
    ck_assert_uint_gt(pump.nodes[1].unstored_count, 0);
    /* What node 0 wrote since may be below its floor already. */
    ck_assert_uint_ge(crdt_count(document, path, CRDT_SET), 65);
    ck_assert_uint_eq(pump.nodes[1].discard_count, 1);
    pump.nodes[1].is_store_held = false;
    pump_store(&pump, 1);
    pump_run(&pump, 20 * SECOND_US);
    check_converged(":75\r\n");
    end();
}

START_TEST(what_is_not_durable_yet_is_in_the_joined_document)
{
    join_while_the_store_is_slow(CORE_EVERYSEC);
    join_while_the_store_is_slow(CORE_ALWAYS);
}
END_TEST

START_TEST(who_has_joined_offers_what_it_joined)
{
    begin(3, CORE_ALWAYS);
    cut(2, true);
    pump.nodes[1].options.snapshot_bytes = 0;
    pump_restart(&pump, 1, SIZE_MAX);
    pump_run(&pump, 3 * SECOND_US);
    drift_apart();
    pump_cut(&pump, 0, 1, false);
    pump_run(&pump, 20 * SECOND_US);
    ck_assert(info_has(1, "crdt_joins:1\r\n"));
    pump_cut(&pump, 0, 1, true);
    pump_cut(&pump, 1, 2, false);
    pump_run(&pump, 20 * SECOND_US);
    ck_assert(info_has(2, "crdt_joins:1\r\n"));
    check_converged(":55\r\n");
    end();
}
END_TEST

START_TEST(it_equals_a_node_that_has_every_batch)
{
    begin(3, CORE_ALWAYS);
    pump.nodes[2].options.log_bytes_max = UINT64_MAX;
    pump_restart(&pump, 2, SIZE_MAX);
    pump_run(&pump, 3 * SECOND_US);
    add(0, "s", 'a', 0, 20);
    pump_run(&pump, 2 * SECOND_US);
    cut(1, true);
    add(0, "s", 'b', 0, 40);
    pump_ask(&pump, 2, "DEL s");
    add(2, "s", 'c', 0, 20);
    add(1, "s", 'd', 0, 5);
    pump_run(&pump, 30 * SECOND_US);
    ck_assert_uint_eq(pump.nodes[2].dropped_rows, 0);
    pump_cut(&pump, 0, 1, false);
    pump_run(&pump, 20 * SECOND_US);
    ck_assert(info_has(1, "crdt_joins:1\r\n"));
    pump_cut(&pump, 2, 1, false);
    pump_run(&pump, 20 * SECOND_US);
    ck_assert(pump_is_equal(&pump));
    end();
}
END_TEST

START_TEST(two_nodes_far_below_each_others_floor_join_each_other)
{
    begin(2, CORE_ALWAYS);
    add(0, "s", 'a', 0, 10);
    pump_run(&pump, 2 * SECOND_US);
    cut(1, true);
    add(0, "s", 'b', 0, 60);
    add(1, "s", 'c', 0, 60);
    pump_run(&pump, 40 * SECOND_US);
    ck_assert_uint_gt(floor_of(0, 0), 20);
    ck_assert_uint_gt(floor_of(1, 1), 10);
    cut(1, false);
    pump_run(&pump, 60 * SECOND_US);
    check_converged(":130\r\n");
    ck_assert(!info_has(0, "crdt_joins:0\r\n"));
    ck_assert(!info_has(1, "crdt_joins:0\r\n"));
    end();
}
END_TEST

START_TEST(after_a_restart_a_transfer_goes_on_where_it_was)
{
    begin(2, CORE_ALWAYS);
    drift_apart();
    cut(1, false);
    run_until_staged(4);
    pump.nodes[0].is_snapshot_failing = true;
    uint64_t parts = pump.nodes[1].staged.parts;
    ck_assert_uint_gt(parts, 6);
    size_t staged = pump.nodes[1].stage_count;
    pump_restart(&pump, 1, SIZE_MAX);
    pump_run(&pump, 4 * SECOND_US);
    ck_assert_uint_eq(pump.nodes[1].stage_count - staged, parts - staged);
    pump.nodes[0].is_snapshot_failing = false;
    pump_run(&pump, 40 * SECOND_US);
    check_converged(":55\r\n");
    end();
}
END_TEST

START_TEST(a_snapshot_that_a_peer_fetches_stays_while_its_link_is_lost_for_a_while)
{
    begin(2, CORE_ALWAYS);
    drift_apart();
    pump.nodes[0].options.log_bytes_max = UINT64_MAX;
    pump_restart(&pump, 0, SIZE_MAX);
    pump_run(&pump, 3 * SECOND_US);
    pump.latency_us = 5000;
    cut(1, false);
    run_until_staged(2);
    ck_assert_uint_lt(pump.nodes[1].staged_parts, pump.nodes[1].staged.parts);
    unsigned made = pump.nodes[0].events[CORE_EVENT_SNAPSHOT];
    cut(1, true);
    add(0, "s", 'd', 0, 20);
    pump_run(&pump, 9 * SECOND_US);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_SNAPSHOT], made);
    pump_run(&pump, 3 * SECOND_US);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_SNAPSHOT], made + 1);
    end();
}
END_TEST

START_TEST(a_transfer_leaves_room_for_everything_else)
{
    begin(2, CORE_ALWAYS);
    pump.part_bytes = SNAPSHOT_PART_BYTES;
    pump_restart(&pump, 0, SIZE_MAX);
    pump_restart(&pump, 1, SIZE_MAX);
    pump_run(&pump, 3 * SECOND_US);
    drift_apart();
    const size_t size = (size_t)15 << 20;
    set_large(0, size);
    pump_run(&pump, 5 * SECOND_US);
    pump.nodes[1].is_snapshot_failing = true;
    cut(1, false);
    run_until_staged(1);
    uint64_t begun_us = pump.now_us;
    run_until_staged(15);
    uint64_t least_us = size * UINT64_C(1000000) / TRANSFER_BYTES_PER_S;
    ck_assert_uint_ge(pump.now_us - begun_us, least_us * 8 / 10);
    ck_assert_uint_le(pump.now_us - begun_us, least_us * 2);
    end();
}
END_TEST

START_TEST(a_transfer_goes_on_from_another_who_offers_the_same)
{
    leave_one_behind();
    /* The same context, and so the same bytes. */
    crdt_buffer_clear(&pump.nodes[2].snapshot);
    crdt_buffer_clear(&pump.nodes[2].snapshot_tips);
    ck_assert_int_eq(crdt_buffer_append(&pump.nodes[2].snapshot, pump.nodes[0].snapshot.data,
        pump.nodes[0].snapshot.size), CRDT_OK);
    ck_assert_int_eq(crdt_buffer_append(&pump.nodes[2].snapshot_tips,
        pump.nodes[0].snapshot_tips.data, pump.nodes[0].snapshot_tips.size), CRDT_OK);
    pump.nodes[2].options.snapshot_bytes = UINT64_MAX;
    pump.nodes[2].snapshot_rows = 0;
    pump_restart(&pump, 2, SIZE_MAX);
    pump_run(&pump, 3 * SECOND_US);
    pump_cut(&pump, 0, 1, false);
    run_until_staged(4);
    uint64_t parts = pump.nodes[1].staged.parts;
    pump_cut(&pump, 0, 1, true);
    pump_run(&pump, SECOND_US);
    ck_assert_uint_lt(pump.nodes[1].staged_parts, parts);
    pump_cut(&pump, 2, 1, false);
    pump_run(&pump, 20 * SECOND_US);
    ck_assert_uint_eq(pump.nodes[1].stage_count, parts);
    ck_assert(info_has(1, "crdt_joins:1\r\n"));
    pump_cut(&pump, 0, 1, false);
    pump_run(&pump, 10 * SECOND_US);
    check_converged(":80\r\n");
    end();
}
END_TEST

START_TEST(a_snapshot_that_is_replaced_on_the_way_is_fetched_anew)
{
    begin(2, CORE_ALWAYS);
    drift_apart();
    cut(1, false);
    run_until_staged(4);
    cut(1, true);
    add(0, "s", 'd', 0, 40);
    pump_run(&pump, 30 * SECOND_US);
    cut(1, false);
    pump_run(&pump, 30 * SECOND_US);
    check_converged(":95\r\n");
    end();
}
END_TEST

START_TEST(lost_parts_are_asked_for_again)
{
    begin(2, CORE_ALWAYS);
    drift_apart();
    cut(1, false);
    run_until_staged(3);
    pump.nodes[0].is_bulk_lost = true;
    pump_run(&pump, 3 * SECOND_US);
    pump.nodes[0].is_bulk_lost = false;
    pump_run(&pump, 20 * SECOND_US);
    check_converged(":55\r\n");
    end();
}
END_TEST

START_TEST(own_tips_that_are_not_here_end_the_generation)
{
    begin(2, CORE_ALWAYS);
    add(1, "s", 'a', 0, 30);
    pump_run(&pump, 30 * SECOND_US);
    ck_assert_uint_gt(floor_of(0, 1), 10);
    uint64_t before = origin_of(1).generation;
    pump_wipe(&pump, 1);
    pump_restart(&pump, 1, SIZE_MAX);
    ck_assert_uint_eq(origin_of(1).generation, before);
    pump_run(&pump, SECOND_US);
    ck_assert_uint_ne(origin_of(1).generation, before);
    pump_run(&pump, 20 * SECOND_US);
    ck_assert_uint_eq(pump.nodes[1].events[CORE_EVENT_GENERATION], 1);
    add(1, "s", 'b', 0, 5);
    pump_run(&pump, 10 * SECOND_US);
    check_converged(":35\r\n");
    end();
}
END_TEST

START_TEST(own_operations_that_only_the_snapshot_shows_end_the_generation)
{
    begin(2, CORE_ALWAYS);
    add(1, "s", 'a', 0, 30);
    pump_run(&pump, 30 * SECOND_US);
    uint64_t before = origin_of(1).generation;
    pump_wipe(&pump, 1);
    pump.nodes[1].has_bad_signatures = true;
    pump_restart(&pump, 1, SIZE_MAX);
    pump_run(&pump, 5 * SECOND_US);
    pump.nodes[1].has_bad_signatures = false;
    pump_run(&pump, 20 * SECOND_US);
    ck_assert(info_has(1, "crdt_joins:1\r\n"));
    ck_assert_uint_ne(origin_of(1).generation, before);
    add(1, "s", 'b', 0, 5);
    pump_run(&pump, 10 * SECOND_US);
    check_converged(":35\r\n");
    end();
}
END_TEST

START_TEST(a_scan_over_the_swap_misses_nothing)
{
    begin(2, CORE_ALWAYS);
    /* Not the order in which a snapshot has them. */
    for (int index = 39; index >= 0; index--) {
        char words[32];
        snprintf(words, sizeof words, "SET old%02d v", index);
        pump_ask(&pump, 1, words);
    }
    pump_run(&pump, 2 * SECOND_US);
    drift_apart();
    char cursor[32] = "0";
    bool has_seen[40] = {false};
    for (int step = 0; step < 200; step++) {
        char words[64];
        snprintf(words, sizeof words, "SCAN %s COUNT 3", cursor);
        const char *reply = pump_ask(&pump, 1, words);
        for (const char *at = strstr(reply, "old"); at != NULL; at = strstr(at + 1, "old"))
            has_seen[(at[3] - '0') * 10 + at[4] - '0'] = true;
        ck_assert_int_eq(sscanf(reply, "*2\r\n$%*d\r\n%31[0-9]", cursor), 1);
        if (strcmp(cursor, "0") == 0)
            break;
        if (step == 5) {
            cut(1, false);
            pump_run(&pump, 20 * SECOND_US);
            ck_assert(info_has(1, "crdt_joins:1\r\n"));
        }
    }
    ck_assert_str_eq(cursor, "0");
    for (int index = 0; index < 40; index++)
        ck_assert(has_seen[index]);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_join");
    TCase *tests = tcase_create("core_join");
    tcase_set_timeout(tests, 150);
    tcase_add_test(tests, a_peer_below_the_floor_is_offered_a_snapshot_and_no_batches);
    tcase_add_test(tests, a_late_returner_joins_keeps_its_own_and_resurrects_nothing);
    tcase_add_test(tests, both_write_while_one_joins_and_nothing_is_lost);
    tcase_add_test(tests, what_is_not_durable_yet_is_in_the_joined_document);
    tcase_add_test(tests, own_operations_that_only_the_snapshot_shows_end_the_generation);
    tcase_add_test(tests, who_has_joined_offers_what_it_joined);
    tcase_add_test(tests, it_equals_a_node_that_has_every_batch);
    tcase_add_test(tests, two_nodes_far_below_each_others_floor_join_each_other);
    tcase_add_test(tests, after_a_restart_a_transfer_goes_on_where_it_was);
    tcase_add_test(
        tests, a_snapshot_that_a_peer_fetches_stays_while_its_link_is_lost_for_a_while);
    tcase_add_test(tests, a_transfer_leaves_room_for_everything_else);
    tcase_add_test(tests, a_transfer_goes_on_from_another_who_offers_the_same);
    tcase_add_test(tests, a_snapshot_that_is_replaced_on_the_way_is_fetched_anew);
    tcase_add_test(tests, lost_parts_are_asked_for_again);
    tcase_add_test(tests, own_tips_that_are_not_here_end_the_generation);
    tcase_add_test(tests, a_scan_over_the_swap_misses_nothing);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
