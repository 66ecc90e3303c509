/* What may be offered, by whom, and what it costs who is offered a lie. */
#include "tests/core/apart.h"
#include "tests/core/forger.h"

#include "gossipd/limits.h"
#include "gossipd/wire/message.h"
#include "tests/support/runner.h"

#include <stdio.h>
#include <string.h>

static void give(size_t from, const struct message *message)
{
    struct crdt_buffer frame;
    crdt_buffer_init(&frame, NULL);
    OK(message_write(&frame, message));
    pump_frame(&pump, 1, from, frame.data, frame.size);
    crdt_buffer_close(&frame);
}

/* One part of node 0's snapshot comes to node 1. */
static void give_part(uint64_t part)
{
    const struct crdt_buffer *snapshot = &pump.nodes[0].snapshot;
    size_t begin = (size_t)part * pump.part_bytes;
    size_t left = snapshot->size - begin;
    struct message message = {.kind = MESSAGE_PART,
        .as.part = {.part = part, .bytes = {.data = snapshot->data + begin,
            .size = left < pump.part_bytes ? left : pump.part_bytes}}};
    memcpy(message.as.part.hash, snapshot->data + snapshot->size - CRDT_HASH_BYTES,
        CRDT_HASH_BYTES);
    give(0, &message);
}

static void run_until_asked(void)
{
    for (int ms = 0; ms < 5000 && pump.nodes[1].sent_kinds[MESSAGE_ASK] == 0; ms++)
        pump_run(&pump, 1000);
    ck_assert_uint_eq(pump.nodes[1].sent_kinds[MESSAGE_ASK], JOIN_ASKS_MAX);
}

START_TEST(parts_beyond_those_asked_for_are_not_staged)
{
    begin(2, CORE_ALWAYS);
    drift_apart();
    pump.nodes[0].is_bulk_lost = true;
    cut(1, false);
    run_until_asked();
    size_t parts = (pump.nodes[0].snapshot.size - 1) / pump.part_bytes + 1;
    ck_assert_uint_gt(parts, JOIN_ASKS_MAX);
    for (uint64_t part = 0; part < parts; part++)
        give_part(part);
    ck_assert_uint_eq(pump.nodes[1].stage_count, JOIN_ASKS_MAX);
    pump.nodes[0].is_bulk_lost = false;
    pump_run(&pump, 30 * SECOND_US);
    check_converged(":55\r\n");
    end();
}
END_TEST

/* An offer of node 0 with the tips of its true one. */
static struct message offer_of(uint64_t bytes, uint64_t parts)
{
    struct message message = {.kind = MESSAGE_OFFER,
        .as.offer = {.bytes = bytes, .parts = parts,
            .tips = crdt_buffer_bytes(&pump.nodes[0].snapshot_tips)}};
    memset(message.as.offer.hash, 7, CRDT_HASH_BYTES);
    return message;
}

START_TEST(an_offer_that_could_fill_the_disk_costs_the_link)
{
    static const uint64_t large = UINT64_C(1) << 62;
    begin(2, CORE_ALWAYS);
    uint64_t part = pump.part_bytes;
    const struct message lies[] = {offer_of(large, large), offer_of(large, large / part + 1),
        offer_of(10 * part, 10 * part), offer_of(10 * part, 11), offer_of(10 * part, 9),
        offer_of(UINT64_MAX, UINT64_MAX / part + 1),
        offer_of(OFFER_BYTES_MAX + 1, OFFER_BYTES_MAX / part + 1)};
    drift_apart();
    size_t asked = 0;
    for (size_t lie = 0; lie < sizeof lies / sizeof *lies; lie++) {
        cut(1, true);
        cut(1, false);
        for (int ms = 0; ms < 1000 && pump.nodes[1].links[0] == 0; ms++)
            pump_run(&pump, 1000);
        pump_run(&pump, pump.latency_us + 1);
        size_t closed = pump.nodes[1].closed_links;
        asked = pump.nodes[1].sent_kinds[MESSAGE_ASK];
        struct message message = lies[lie];
        message.as.offer.tips = crdt_buffer_bytes(&pump.nodes[0].snapshot_tips);
        give(0, &message);
        ck_assert_msg(pump.nodes[1].closed_links == closed + 1, "lie %zu", lie);
        ck_assert_uint_eq(pump.nodes[1].sent_kinds[MESSAGE_ASK], asked);
    }
    pump_run(&pump, 20 * SECOND_US);
    check_converged(":55\r\n");
    end();
}
END_TEST

START_TEST(while_the_disk_is_short_nothing_is_asked_for)
{
    begin(2, CORE_ALWAYS);
    drift_apart();
    pump.nodes[1].facts.is_disk_short = true;
    cut(1, false);
    pump_run(&pump, 20 * SECOND_US);
    ck_assert_uint_gt(pump.nodes[0].sent_kinds[MESSAGE_OFFER], 2);
    ck_assert_uint_eq(pump.nodes[1].sent_kinds[MESSAGE_ASK], 0);
    pump.nodes[1].facts.is_disk_short = false;
    run_until_staged(2);
    /* And once more, in the middle of a transfer. */
    pump.nodes[1].facts.is_disk_short = true;
    pump_run(&pump, SECOND_US);
    size_t asked = pump.nodes[1].sent_kinds[MESSAGE_ASK];
    pump_run(&pump, 9 * SECOND_US);
    ck_assert_uint_eq(pump.nodes[1].sent_kinds[MESSAGE_ASK], asked);
    pump.nodes[1].facts.is_disk_short = false;
    pump_run(&pump, 20 * SECOND_US);
    ck_assert(info_has(1, "crdt_joins:1\r\n"));
    check_converged(":55\r\n");
    end();
}
END_TEST

START_TEST(who_sends_a_part_now_and_then_makes_way_for_another)
{
    leave_one_behind();
    ck_assert_uint_gt(floor_of(2, 0), 20);
    pump.nodes[0].is_bulk_lost = true;
    pump_cut(&pump, 0, 1, false);
    run_until_asked();
    pump_cut(&pump, 2, 1, false);
    uint64_t parts = (pump.nodes[0].snapshot.size + pump.part_bytes - 1) / pump.part_bytes;
    for (uint64_t part = 0; part + 1 < parts && info_has(1, "crdt_joins:0\r\n"); part++) {
        give_part(part);
        pump_run(&pump, 49 * SECOND_US / 10);
    }
    ck_assert(info_has(1, "crdt_joins:1\r\n"));
    pump.nodes[0].is_bulk_lost = false;
    pump_run(&pump, 10 * SECOND_US);
    check_converged(":80\r\n");
    end();
}
END_TEST

START_TEST(what_was_staged_before_a_start_is_tried_once)
{
    begin(2, CORE_ALWAYS);
    drift_apart();
    pump.nodes[1].is_snapshot_failing = true;
    cut(1, false);
    run_until_building();
    ck_assert_uint_gt(pump.nodes[1].staged_parts, 0);
    ck_assert_uint_eq(pump.nodes[1].staged_parts, pump.nodes[1].staged.parts);
    cut(1, true);
    pump_restart(&pump, 1, SIZE_MAX);
    pump_run(&pump, 4 * SECOND_US);
    ck_assert_uint_eq(pump.nodes[1].staged_parts, 0);
    pump.nodes[1].is_snapshot_failing = false;
    cut(1, false);
    pump_run(&pump, 30 * SECOND_US);
    check_converged(":55\r\n");
    end();
}
END_TEST

/* The answer on its way to node 0 that says what it has in its newest snapshot. */
static struct core_snapshot *find_made(void)
{
    struct pump_input *item = pump.first;
    while (item != NULL && (item->node != 0 || item->input.kind != CORE_SNAPSHOT_DONE))
        item = item->next;
    return item == NULL ? NULL : &item->snapshot;
}

START_TEST(a_snapshot_that_nobody_would_take_is_not_offered_but_told_of)
{
    begin(2, CORE_ALWAYS);
    /* Who drops nothing has nothing to offer. */
    pump.nodes[1].options.log_bytes_max = UINT64_MAX;
    pump_restart(&pump, 1, SIZE_MAX);
    pump_run(&pump, 3 * SECOND_US);
    drift_apart();
    struct core_snapshot *made = NULL;
    for (int index = 0; index < 200 && made == NULL; index++) {
        add(0, "s", 'd', index, 1);
        made = find_made();
    }
    ck_assert_ptr_nonnull(made);
    made->bytes = OFFER_BYTES_MAX + 1;
    pump_run(&pump, SECOND_US);
    unsigned told = pump.nodes[0].events[CORE_EVENT_JOIN];
    size_t offers = pump.nodes[0].sent_kinds[MESSAGE_OFFER];
    size_t closed = pump.nodes[0].closed_links;
    cut(1, false);
    pump_run(&pump, 10 * SECOND_US);
    ck_assert_uint_eq(pump.nodes[0].sent_kinds[MESSAGE_OFFER], offers);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_JOIN], told + 1);
    ck_assert_uint_eq(pump.nodes[0].closed_links, closed);
    end();
}
END_TEST

/* Node 2 is no member for the others any more, which have dropped what it wrote. */
START_TEST(a_floor_that_names_no_member_stops_nobody)
{
    begin(3, CORE_ALWAYS);
    add(2, "s", 'a', 0, 30);
    pump_run(&pump, 30 * SECOND_US);
    ck_assert_uint_gt(floor_of(0, 2), 10);
    cut(2, true);
    for (size_t node = 0; node < 2; node++) {
        pump.nodes[node].options.peer_count = 1;
        pump.nodes[node].options.log_bytes_max = UINT64_MAX;
        crdt_buffer_clear(&pump.nodes[node].event_text);
        pump_restart(&pump, node, SIZE_MAX);
        ck_assert_int_eq(crdt_buffer_append(&pump.nodes[node].event_text, "", 1), CRDT_OK);
        const char *text = (const char *)pump.nodes[node].event_text.data;
        ck_assert_ptr_nonnull(strstr(text, "what=floor-names-no-member"));
        ck_assert_ptr_null(
            strstr(strstr(text, "floor-names-no-member") + 1, "floor-names-no-member"));
    }
    pump_run(&pump, 3 * SECOND_US);
    size_t offers = pump.nodes[0].sent_kinds[MESSAGE_OFFER];
    pump_cut(&pump, 0, 1, true);
    add(0, "s", 'b', 0, 10);
    pump_cut(&pump, 0, 1, false);
    pump_run(&pump, 5 * SECOND_US);
    ck_assert_str_eq(pump_ask(&pump, 1, "SCARD s"), ":40\r\n");
    ck_assert_uint_eq(pump.nodes[0].sent_kinds[MESSAGE_OFFER], offers);
    end();
}
END_TEST

/* Writes some batches of a history of node 2's key to `node`, over its link with
 * `from`, which nobody else hears of. */
static void write_history(const char *name, int count, size_t node, size_t from)
{
    struct crdt_document *author = forger_new(3);
    for (int index = 0; index < count; index++) {
        char key[32];
        snprintf(key, sizeof key, "%s%d", name, index);
        forger_write_to(&pump, author, key, node, from);
    }
    crdt_close(author);
}

/* Node 1 has `here` batches of a feed, node 0 `there` of another history of it. */
static void join_a_fork(int here, int there)
{
    begin(5, CORE_ALWAYS);
    for (size_t node = 0; node < 5; node++)
        cut(node, true);
    pump.nodes[1].options.log_bytes_max = UINT64_MAX;
    pump_restart(&pump, 1, SIZE_MAX);
    pump_cut(&pump, 0, 4, false);
    pump_cut(&pump, 1, 3, false);
    pump_run(&pump, 2 * SECOND_US);
    write_history("left", there, 0, 4);
    write_history("right", here, 1, 3);
    add(0, "s", 'a', 0, 40);
    pump_run(&pump, 30 * SECOND_US);
    ck_assert_uint_gt(floor_of(0, 0), 20);
    cut(4, true);
    cut(3, true);
    pump_cut(&pump, 0, 1, false);
    pump_run(&pump, 100 * SECOND_US);
    ck_assert(info_has(1, "crdt_joins:0\r\n"));
    ck_assert_uint_ge(pump.nodes[1].events[CORE_EVENT_FORK], 1);
    ck_assert_ptr_nonnull(strstr(pump_ask(&pump, 1, "CRDT.FORKS"), "\"frozen\":true"));
    /* At 0, 10, 30 and 70 s. */
    size_t parts = (pump.nodes[0].snapshot.size + pump.part_bytes - 1) / pump.part_bytes;
    ck_assert_uint_ge(pump.nodes[1].stage_count, parts);
    ck_assert_uint_le(pump.nodes[1].stage_count, 4 * parts);
    end();
}

START_TEST(a_snapshot_of_another_history_is_refused_proved_and_fetched_seldom)
{
    join_a_fork(9, 10);
    join_a_fork(10, 3);
    join_a_fork(4, 4);
}
END_TEST

START_TEST(what_comes_while_a_join_is_made_and_contradicts_it_is_proved)
{
    begin(5, CORE_ALWAYS);
    for (size_t node = 0; node < 5; node++)
        cut(node, true);
    pump_cut(&pump, 0, 4, false);
    pump_run(&pump, 2 * SECOND_US);
    write_history("left", 4, 0, 4);
    add(0, "s", 'a', 0, 40);
    pump_run(&pump, 30 * SECOND_US);
    cut(4, true);
    pump.nodes[1].build_us = 4 * SECOND_US;
    pump_cut(&pump, 0, 1, false);
    run_until_building();
    pump_cut(&pump, 0, 1, true);
    pump_cut(&pump, 1, 3, false);
    pump_run(&pump, SECOND_US);
    write_history("right", 4, 1, 3);
    ck_assert_str_eq(pump_ask(&pump, 1, "GET right3"), "$3\r\nyes\r\n");
    cut(3, true);
    pump_run(&pump, 5 * SECOND_US);
    /* The history of the snapshot is followed. */
    ck_assert(info_has(1, "crdt_joins:1\r\n"));
    ck_assert_str_eq(pump_ask(&pump, 1, "GET left3"), "$3\r\nyes\r\n");
    ck_assert_ptr_nonnull(strstr(pump_ask(&pump, 1, "CRDT.FORKS"), "\"frozen\":true"));
    end();
}
END_TEST

START_TEST(who_offers_what_is_refused_is_passed_over_for_longer_each_time)
{
    begin(2, CORE_ALWAYS);
    drift_apart();
    /* What every snapshot of node 0 has at its end, its hash, is not what it says. */
    pump.nodes[0].options.snapshot_bytes = 0;
    pump_restart(&pump, 0, SIZE_MAX);
    pump.nodes[0].snapshot.data[pump.nodes[0].snapshot.size / 2] ^= 1;
    pump_run(&pump, 3 * SECOND_US);
    cut(1, false);
    pump_run(&pump, 85 * SECOND_US);
    uint64_t parts = (pump.nodes[0].snapshot.size + pump.part_bytes - 1) / pump.part_bytes;
    ck_assert_uint_eq(pump.nodes[1].stage_count, 4 * parts);
    pump.nodes[0].snapshot.data[pump.nodes[0].snapshot.size / 2] ^= 1;
    pump_run(&pump, 90 * SECOND_US);
    check_converged(":55\r\n");
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_join_offers");
    TCase *tests = tcase_create("core_join_offers");
    tcase_set_timeout(tests, 150);
    tcase_add_test(tests, parts_beyond_those_asked_for_are_not_staged);
    tcase_add_test(tests, an_offer_that_could_fill_the_disk_costs_the_link);
    tcase_add_test(tests, while_the_disk_is_short_nothing_is_asked_for);
    tcase_add_test(tests, who_sends_a_part_now_and_then_makes_way_for_another);
    tcase_add_test(tests, what_was_staged_before_a_start_is_tried_once);
    tcase_add_test(tests, a_snapshot_that_nobody_would_take_is_not_offered_but_told_of);
    tcase_add_test(tests, a_floor_that_names_no_member_stops_nobody);
    tcase_add_test(tests, a_snapshot_of_another_history_is_refused_proved_and_fetched_seldom);
    tcase_add_test(tests, what_comes_while_a_join_is_made_and_contradicts_it_is_proved);
    tcase_add_test(tests, who_offers_what_is_refused_is_passed_over_for_longer_each_time);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
