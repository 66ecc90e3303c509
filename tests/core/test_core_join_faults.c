/* Joins among crashes, lies and failing allocations. */
#include "tests/core/apart.h"

#include "gossipd/wire/message.h"
#include "tests/support/choice.h"
#include "tests/support/runner.h"

#include <string.h>

START_TEST(a_crash_before_any_output_of_a_join_ends_alike)
{
    for (uint64_t at = 1;; at++) {
        begin(2, CORE_ALWAYS);
        drift_apart();
        pump.nodes[1].crash_in = at;
        cut(1, false);
        add(0, "s", 'd', 0, 2);
        pump_command(&pump, 1, "SADD s e001");
        pump_run(&pump, 5 * SECOND_US);
        bool has_crashed = pump.nodes[1].core == NULL;
        if (has_crashed)
            pump_restart(&pump, 1, SIZE_MAX);
        pump.nodes[1].crash_in = 0;
        pump_run(&pump, 3 * SECOND_US);
        pump_ask(&pump, 1, "SADD s e001");
        pump_run(&pump, 20 * SECOND_US);
        ck_assert_msg(pump_is_equal(&pump), "crash before output %llu", (unsigned long long)at);
        check_converged(":58\r\n");
        end();
        if (!has_crashed)
            break;
    }
}
END_TEST

/* ---- Lies ----------------------------------------------------------------- */

/* Node 0's true offer, and what a liar makes of it. */
enum lie { LIE_BYTES, LIE_FEWER_BYTES, LIE_PARTS, LIE_HASH, LIE_SIGNATURE, LIE_TIPS, LIE_COUNT };

static void tell_lie(enum lie lie)
{
    struct pump_node *node = &pump.nodes[0];
    struct crdt_buffer tips;
    crdt_buffer_init(&tips, NULL);
    OK(crdt_buffer_append(&tips, node->snapshot_tips.data, node->snapshot_tips.size));
    struct message message = {.kind = MESSAGE_OFFER,
        .as.offer = {.bytes = node->snapshot.size,
            .parts = (node->snapshot.size + pump.part_bytes - 1) / pump.part_bytes}};
    memcpy(message.as.offer.hash, node->snapshot.data + node->snapshot.size - CRDT_HASH_BYTES,
        CRDT_HASH_BYTES);
    message.as.offer.bytes += lie == LIE_BYTES;
    message.as.offer.bytes -= lie == LIE_FEWER_BYTES;
    message.as.offer.parts -= lie == LIE_PARTS;
    message.as.offer.hash[0] ^= lie == LIE_HASH;
    if (lie == LIE_SIGNATURE)
        tips.data[tips.size - 1] ^= 1;
    if (lie == LIE_TIPS)
        tips.size--;
    message.as.offer.tips = crdt_buffer_bytes(&tips);
    struct crdt_buffer frame;
    crdt_buffer_init(&frame, NULL);
    OK(message_write(&frame, &message));
    pump_frame(&pump, 1, 0, frame.data, frame.size);
    crdt_buffer_close(&frame);
    crdt_buffer_close(&tips);
}

START_TEST(lies_in_an_offer_change_nothing)
{
    for (int lie = 0; lie < LIE_COUNT; lie++) {
        begin(2, CORE_ALWAYS);
        drift_apart();
        uint64_t generation = origin_of(1).generation;
        size_t closed = pump.nodes[1].closed_links;
        cut(1, false);
        for (int ms = 0; ms < 1000 && pump.nodes[1].links[0] == 0; ms++)
            pump_run(&pump, 1000);
        pump_run(&pump, pump.latency_us + 1);
        tell_lie((enum lie)lie);
        pump_run(&pump, 60 * SECOND_US);
        /* What can be seen without the host is seen at once, and costs the link. */
        bool is_plain = lie == LIE_BYTES || lie == LIE_FEWER_BYTES || lie == LIE_PARTS
            || lie == LIE_TIPS;
        ck_assert_uint_eq(pump.nodes[1].closed_links > closed, is_plain);
        ck_assert_uint_eq(origin_of(1).generation, generation);
        check_converged(":55\r\n");
        ck_assert_uint_le(pump.nodes[1].discard_count, 1);
        end();
    }
}
END_TEST

START_TEST(own_batches_that_were_lost_come_at_once_though_no_join_succeeds)
{
    begin(2, CORE_ALWAYS);
    add(0, "s", 'a', 0, 40);
    pump_run(&pump, 30 * SECOND_US);
    add(1, "s", 'z', 0, 1);
    pump_run(&pump, SECOND_US);
    /* The batch is in node 0's log, and in no snapshot whose tips could prove it. */
    ck_assert_uint_gt(floor_of(0, 0), 0);
    ck_assert_uint_eq(floor_of(0, 1), 0);
    ck_assert_uint_lt(pump.nodes[0].snapshot_rows, pump.nodes[0].row_count);
    uint64_t before = origin_of(1).generation;
    pump_wipe(&pump, 1);
    pump.nodes[1].is_stage_failing = true;
    pump_restart(&pump, 1, SIZE_MAX);
    pump_run(&pump, SECOND_US);
    ck_assert_uint_ne(origin_of(1).generation, before);
    end();
}
END_TEST

START_TEST(an_own_tip_with_a_forged_signature_ends_no_generation)
{
    begin(2, CORE_ALWAYS);
    add(1, "s", 'a', 0, 30);
    pump_run(&pump, 30 * SECOND_US);
    uint64_t before = origin_of(1).generation;
    pump_wipe(&pump, 1);
    pump.nodes[1].has_bad_signatures = true;
    pump.nodes[1].is_snapshot_failing = true;
    pump_restart(&pump, 1, SIZE_MAX);
    pump_run(&pump, 10 * SECOND_US);
    ck_assert_uint_ge(pump.nodes[1].events[CORE_EVENT_DROPPED], 1);
    ck_assert_uint_eq(origin_of(1).generation, before);
    ck_assert_uint_ge(pump.nodes[1].closed_links, 1);
    end();
}
END_TEST

START_TEST(parts_that_nobody_asked_for_change_nothing)
{
    bool is_fixed;
    struct choice choice = choice_from_seed(choice_seed("core_join_faults", &is_fixed));
    begin(2, CORE_ALWAYS);
    drift_apart();
    cut(1, false);
    for (int round = 0; round < 200; round++) {
        pump_run(&pump, 5000);
        if (pump.nodes[1].links[0] == 0)
            continue;
        struct message message = {.kind = MESSAGE_PART,
            .as.part = {.part = choice_below(&choice, 12), .is_gone = false}};
        memcpy(message.as.part.hash, pump.nodes[1].staged.hash, CRDT_HASH_BYTES);
        message.as.part.bytes = crdt_text("not what is there");
        struct crdt_buffer frame;
        crdt_buffer_init(&frame, NULL);
        OK(message_write(&frame, &message));
        if (choice_below(&choice, 3) == 0)
            pump_frame(&pump, 1, 0, frame.data, frame.size);
        message.kind = MESSAGE_ASK;
        message.as.ask.part = choice_below(&choice, 12);
        crdt_buffer_clear(&frame);
        OK(message_write(&frame, &message));
        if (choice_below(&choice, 3) == 0)
            pump_frame(&pump, 0, 1, frame.data, frame.size);
        crdt_buffer_close(&frame);
    }
    pump_run(&pump, 90 * SECOND_US);
    check_converged(":55\r\n");
    end();
}
END_TEST

/* ---- Out of memory -------------------------------------------------------- */

static void live(void)
{
    cut(1, false);
    for (int round = 0; round < 6; round++) {
        pump_command(&pump, (size_t)(round % 2), "INCR k");
        pump_run(&pump, SECOND_US / 2);
    }
    pump_run(&pump, 12 * SECOND_US);
}

static void fail_each_allocation(size_t node)
{
    begin(2, CORE_ALWAYS);
    drift_apart();
    uint64_t requests = pump.nodes[node].memory.requests;
    live();
    uint64_t total = pump.nodes[node].memory.requests - requests;
    ck_assert_uint_gt(total, 300);
    ck_assert(info_has(1, "crdt_joins:1\r\n"));
    end();
    for (uint64_t at = 1; at <= total; at++) {
        begin(2, CORE_ALWAYS);
        drift_apart();
        pump.nodes[node].memory.fail_at = pump.nodes[node].memory.requests + at;
        live();
        pump.nodes[node].memory.fail_at = 0;
        pump_run(&pump, 40 * SECOND_US);
        ck_assert_msg(pump_is_equal(&pump), "request %llu failed", (unsigned long long)at);
        check_converged(":55\r\n");
        end();
    }
}

START_TEST(every_allocation_of_who_joins_may_fail)
{
    fail_each_allocation(1);
}
END_TEST

START_TEST(every_allocation_of_who_offers_may_fail)
{
    fail_each_allocation(0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_join_faults");
    TCase *tests = tcase_create("core_join_faults");
    tcase_set_timeout(tests, 150);
    tcase_add_test(tests, a_crash_before_any_output_of_a_join_ends_alike);
    tcase_add_test(tests, lies_in_an_offer_change_nothing);
    tcase_add_test(tests, own_batches_that_were_lost_come_at_once_though_no_join_succeeds);
    tcase_add_test(tests, an_own_tip_with_a_forged_signature_ends_no_generation);
    tcase_add_test(tests, parts_that_nobody_asked_for_change_nothing);
    tcase_add_test(tests, every_allocation_of_who_joins_may_fail);
    tcase_add_test(tests, every_allocation_of_who_offers_may_fail);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
