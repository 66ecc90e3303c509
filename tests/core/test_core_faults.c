/* What the core promises when stores fail, nodes die, and memory runs out. */
#include "tests/core/pump.h"

#include "gossipd/wire/message.h"
#include "tests/support/runner.h"

#include <string.h>

static struct pump pump;

static void begin(size_t node_count, enum core_durability durability)
{
    pump_open(&pump, node_count, durability, 43);
    pump_run(&pump, 2500000);
}

static void end(void)
{
    pump_close(&pump);
}

static uint64_t generation(size_t node)
{
    return crdt_self(core_document(pump.nodes[node].core)).generation;
}

START_TEST(a_failed_store_is_told_and_recovered_from)
{
    begin(2, CORE_ALWAYS);
    pump_ask(&pump, 0, "SET k before");
    pump_run(&pump, 100000);
    size_t sent = pump.nodes[0].bulk_count;
    pump.nodes[0].is_store_held = true;
    pump_command(&pump, 0, "SET k during");
    pump_run(&pump, 1000);
    pump_command(&pump, 0, "GET k");
    pump.nodes[0].is_store_held = false;
    pump.nodes[0].is_store_failing = true;
    pump_fail_store(&pump, 0, "disk full");
    pump_run(&pump, 1000);
    /* The write gets its error, the read behind it what it computed. */
    ck_assert_str_eq(pump_replies(&pump, 0),
        "-IOERR not known to be durable\r\n$6\r\nduring\r\n");
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_STORE_FAILED], 1);
    pump_run(&pump, 3500000);
    ck_assert_str_eq(pump_ask(&pump, 0, "SET k again"),
        "-IOERR the last write could not be stored: disk full\r\n");
    ck_assert_str_eq(pump_ask(&pump, 0, "GET k"), "$6\r\nduring\r\n");
    ck_assert_uint_eq(pump.nodes[0].bulk_count, sent);
    pump.nodes[0].is_store_failing = false;
    pump_run(&pump, 1100000);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_STORE_BACK], 1);
    ck_assert_str_eq(pump_ask(&pump, 0, "SET k after"), "+OK\r\n");
    pump_run(&pump, 1100000);
    ck_assert_str_eq(pump_ask(&pump, 1, "GET k"), "$5\r\nafter\r\n");
    ck_assert(pump_is_equal(&pump));
    end();
}
END_TEST

START_TEST(a_claim_that_was_not_true_ends_with_the_next_summary)
{
    begin(2, CORE_ALWAYS);
    /* What a line that garbles may make of a summary of node 1. */
    struct crdt_dot claim = {crdt_self(core_document(pump.nodes[0].core)), 99999};
    struct crdt_buffer summary, none, frame;
    crdt_buffer_init(&summary, NULL);
    crdt_buffer_init(&none, NULL);
    crdt_buffer_init(&frame, NULL);
    OK(crdt_summary_write(&claim, 1, &summary));
    OK(crdt_summary_write(NULL, 0, &none));
    struct message message = {.kind = MESSAGE_SUMMARY,
        .as.summary = {.is_reply = true,
            .summary = crdt_buffer_bytes(&summary),
            .held = crdt_buffer_bytes(&none)}};
    OK(message_write(&frame, &message));
    pump_frame(&pump, 0, 1, frame.data, frame.size);
    crdt_buffer_close(&summary);
    crdt_buffer_close(&none);
    crdt_buffer_close(&frame);
    ck_assert_str_eq(pump_ask(&pump, 0, "SET k v"), "+OK\r\n");
    pump_run(&pump, 3000000);
    ck_assert_str_eq(pump_ask(&pump, 1, "GET k"), "$1\r\nv\r\n");
    ck_assert(pump_is_equal(&pump));
    end();
}
END_TEST

START_TEST(what_peers_wrote_while_the_store_failed_is_stored_in_its_order)
{
    begin(3, CORE_ALWAYS);
    pump.nodes[0].is_store_failing = true;
    for (int count = 0; count < 20; count++) {
        pump_ask(&pump, (size_t)(1 + count % 2), "INCR k");
        pump_run(&pump, 5000);
    }
    pump.nodes[0].is_store_failing = false;
    pump_run(&pump, 3000000);
    pump_restart(&pump, 0, SIZE_MAX);
    pump_run(&pump, 1000000); /* a peer's word on what it knows comes first           */
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_DROPPED], 0);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_SERVING], 1);
    ck_assert_str_eq(pump_ask(&pump, 0, "GET k"), "$2\r\n20\r\n");
    end();
}
END_TEST

static void backed_up(bool is_ok, const char *reason)
{
    const struct core_input input = {.kind = CORE_BACKED_UP,
        .client = pump.nodes[0].backup_client, .is_ok = is_ok, .reason = reason};
    pump_step(&pump, 0, &input);
}

START_TEST(a_backup_is_answered_in_its_turn_when_the_host_says_so)
{
    begin(1, CORE_ALWAYS);
    pump.nodes[0].is_store_held = true;
    pump_command(&pump, 0, "SET k v");
    pump_run(&pump, 1000);
    pump_command(&pump, 0, "CRDT.BACKUP /b");
    ck_assert_str_eq(pump.nodes[0].backup_path, "/b");
    backed_up(true, NULL);
    ck_assert_str_eq(pump_replies(&pump, 0), "");
    pump_store(&pump, 0);
    pump_run(&pump, 1000);
    ck_assert_str_eq(pump_replies(&pump, 0), "+OK\r\n+OK\r\n");
    pump_command(&pump, 0, "CRDT.BACKUP /c");
    ck_assert_str_eq(pump_replies(&pump, 0), "");
    backed_up(false, "/c exists");
    ck_assert_str_eq(pump_replies(&pump, 0), "-ERR backup: /c exists\r\n");
    end();
}
END_TEST

START_TEST(a_backup_whose_client_has_gone_is_answered_to_nobody)
{
    begin(1, CORE_ALWAYS);
    pump_command(&pump, 0, "CRDT.BACKUP /b");
    const struct core_input gone = {
        .kind = CORE_CLIENT_GONE, .client = pump.nodes[0].backup_client};
    pump_step(&pump, 0, &gone);
    backed_up(true, NULL);
    ck_assert_str_eq(pump_replies(&pump, 0), "");
    end();
}
END_TEST

START_TEST(a_restart_in_always_goes_on_under_its_generation)
{
    begin(2, CORE_ALWAYS);
    for (int count = 0; count < 10; count++)
        ck_assert_str_ne(pump_ask(&pump, 0, "INCR k"), "");
    uint64_t before = generation(0);
    pump_restart(&pump, 0, SIZE_MAX);
    /* Writes wait until the peer has said what it knows of this node. */
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_SERVING], 0);
    pump_run(&pump, 1000000);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_SERVING], 1);
    ck_assert_uint_eq(generation(0), before);
    ck_assert_str_eq(pump_ask(&pump, 0, "INCR k"), ":11\r\n");
    pump_run(&pump, 1000000);
    ck_assert(pump_is_equal(&pump));
    end();
}
END_TEST

START_TEST(without_peers_that_answer_writes_wait_two_seconds)
{
    begin(2, CORE_ALWAYS);
    pump_ask(&pump, 0, "INCR k");
    pump_cut(&pump, 0, 1, true);
    pump_restart(&pump, 0, SIZE_MAX);
    pump_run(&pump, 1900000);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_SERVING], 0);
    pump_run(&pump, 200000);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_SERVING], 1);
    end();
}
END_TEST

START_TEST(a_crash_after_going_ahead_begins_a_generation)
{
    begin(2, CORE_EVERYSEC);
    pump_ask(&pump, 0, "INCR k");
    pump_run(&pump, 10000);
    uint64_t before = generation(0);
    pump.nodes[0].is_store_held = true;
    pump_command(&pump, 0, "INCR k");
    pump_run(&pump, 10000);
    /* The second increment was sent and not stored: it comes back from the peer. */
    pump.nodes[0].is_store_held = false;
    pump_restart(&pump, 0, SIZE_MAX);
    ck_assert_uint_ne(generation(0), before);
    pump_run(&pump, 1500000);
    ck_assert_str_eq(pump_ask(&pump, 0, "INCR k"), ":3\r\n");
    pump_run(&pump, 1500000);
    ck_assert(pump_is_equal(&pump));
    /* The first batch of a generation names the one before it. */
    struct crdt_batch batch = {0};
    for (size_t i = 0; i < pump.nodes[0].row_count && batch.previous_generation == 0; i++)
        ck_assert_int_eq(crdt_batch_read(pump.nodes[0].rows[i].batch, &batch), CRDT_OK);
    ck_assert_uint_eq(batch.origin.generation, generation(0));
    ck_assert_uint_eq(batch.previous_generation, before);
    end();
}
END_TEST

START_TEST(own_batches_that_a_peer_knows_and_the_store_lost_end_the_generation)
{
    begin(2, CORE_ALWAYS);
    for (int count = 0; count < 10; count++)
        pump_ask(&pump, 0, "INCR k");
    pump_run(&pump, 100000);
    uint64_t before = generation(0);
    pump_restart(&pump, 0, 4);
    pump_run(&pump, 1500000);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_SERVING], 1);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_GENERATION], 1);
    ck_assert_uint_ne(generation(0), before);
    ck_assert_uint_eq(pump.nodes[0].stored_marks[CORE_MARK_GENERATION], generation(0));
    ck_assert_str_eq(pump_ask(&pump, 0, "INCR k"), ":11\r\n");
    pump_run(&pump, 1500000);
    ck_assert(pump_is_equal(&pump));
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_FORK], 0);
    end();
}
END_TEST

START_TEST(what_a_member_lost_of_its_own_is_sent_at_once)
{
    begin(3, CORE_ALWAYS);
    /* It lacks of every feed, so that its own waits until others were read. */
    for (int count = 0; count < 30; count++) {
        pump_ask(&pump, (size_t)(count % 3), "INCR k");
        pump_run(&pump, 10000);
    }
    uint64_t before = generation(2);
    pump_restart(&pump, 2, 6);
    pump_run(&pump, RELAY_WAIT_US / 2);
    ck_assert_uint_ne(generation(2), before);
    end();
}
END_TEST

START_TEST(who_says_that_own_batches_are_missing_is_given_time_to_show_them)
{
    begin(3, CORE_ALWAYS);
    for (int count = 0; count < 4; count++)
        pump_ask(&pump, 0, "INCR k");
    pump_run(&pump, 100000);
    size_t kept = pump.nodes[0].row_count;
    pump_cut(&pump, 0, 1, true);
    pump_cut(&pump, 1, 2, true);
    pump_ask(&pump, 0, "INCR k");
    pump_run(&pump, 100000);
    uint64_t before = generation(0);
    /* One peer confirms all that is here, since it knows no better; the other has only
     * its word. */
    pump_cut(&pump, 0, 1, false);
    pump.nodes[2].is_bulk_lost = true;
    pump_restart(&pump, 0, kept);
    pump_run(&pump, START_WAIT_US + START_WAIT_US / 2);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_SERVING], 0);
    pump.nodes[2].is_bulk_lost = false;
    pump_run(&pump, START_WAIT_US / 2 - 1000);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_SERVING], 1);
    ck_assert_uint_ne(generation(0), before);
    end();
}
END_TEST

START_TEST(a_word_that_nobody_proves_holds_a_start_up_for_a_while_only)
{
    begin(2, CORE_ALWAYS);
    for (int count = 0; count < 10; count++)
        pump_ask(&pump, 0, "INCR k");
    pump_run(&pump, 100000);
    uint64_t before = generation(0);
    pump.nodes[1].is_bulk_lost = true;
    pump_restart(&pump, 0, 4);
    pump_run(&pump, 2 * START_WAIT_US - 1000);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_SERVING], 0);
    pump_run(&pump, 2000);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_SERVING], 1);
    ck_assert_uint_eq(generation(0), before);
    end();
}
END_TEST

START_TEST(an_empty_store_gets_everything_back)
{
    begin(3, CORE_ALWAYS);
    for (int count = 0; count < 30; count++)
        pump_ask(&pump, (size_t)(count % 3), "INCR k");
    pump_run(&pump, 1000000);
    pump.nodes[0].stored_marks[CORE_MARK_GENERATION] = 0;
    pump_restart(&pump, 0, 0);
    pump_run(&pump, 3000000);
    ck_assert_str_eq(pump_ask(&pump, 0, "GET k"), "$2\r\n30\r\n");
    ck_assert(pump_is_equal(&pump));
    end();
}
END_TEST

START_TEST(a_clock_a_year_ahead_is_told_of_and_wins_only_ties)
{
    begin(2, CORE_ALWAYS);
    pump.nodes[0].wall_ahead_ms = UINT64_C(365) * 24 * 3600 * 1000;
    pump_ask(&pump, 0, "SET k ahead");
    pump_run(&pump, 1500000);
    ck_assert_uint_eq(pump.nodes[1].events[CORE_EVENT_CLOCK_AHEAD], 1);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_CLOCK_AHEAD], 0);
    pump_ask(&pump, 0, "SET other ahead");
    pump_run(&pump, 1500000);
    ck_assert_uint_eq(pump.nodes[1].events[CORE_EVENT_CLOCK_AHEAD], 1);
    ck_assert_ptr_nonnull(strstr(pump_ask(&pump, 1, "INFO crdt"), "crdt_clocks_ahead:2\r\n"));
    /* A write that saw it wins, whatever its own clock says. */
    pump_ask(&pump, 1, "SET k behind");
    pump_run(&pump, 1500000);
    ck_assert_str_eq(pump_ask(&pump, 0, "GET k"), "$6\r\nbehind\r\n");
    ck_assert(pump_is_equal(&pump));
    end();
}
END_TEST

START_TEST(a_clean_stop_keeps_the_generation_in_everysec)
{
    begin(2, CORE_EVERYSEC);
    pump_ask(&pump, 0, "INCR k");
    pump_run(&pump, 10000);
    uint64_t before = generation(0);
    struct core_input stop = {.kind = CORE_STOP};
    pump_step(&pump, 0, &stop);
    pump_run(&pump, 10000);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_STOPPED], 1);
    pump_restart(&pump, 0, SIZE_MAX);
    ck_assert_uint_eq(generation(0), before);
    end();
}
END_TEST

START_TEST(a_row_that_is_not_durable_is_not_served_from_the_store)
{
    begin(2, CORE_EVERYSEC);
    pump_cut(&pump, 0, 1, true);
    for (int count = 0; count < 5; count++)
        pump_ask(&pump, 0, "INCR k");
    pump_run(&pump, 10000);
    struct core_input stop = {.kind = CORE_STOP};
    pump_step(&pump, 0, &stop);
    pump_run(&pump, 10000);
    pump_restart(&pump, 0, SIZE_MAX);
    pump_run(&pump, 2100000);
    pump.nodes[0].is_store_held = true;
    pump.nodes[0].shows_unstored = true;
    pump_ask(&pump, 0, "INCR k");
    pump_cut(&pump, 0, 1, false);
    pump_run(&pump, 2000000);
    ck_assert_uint_eq(pump.nodes[0].unstored_count, 2);
    ck_assert_str_eq(pump_ask(&pump, 1, "GET k"), "$1\r\n5\r\n");
    pump_store(&pump, 0);
    pump_run(&pump, 10000);
    ck_assert_str_eq(pump_ask(&pump, 1, "GET k"), "$1\r\n6\r\n");
    end();
}
END_TEST

START_TEST(batches_that_were_dropped_on_their_way_are_sent_again)
{
    begin(2, CORE_ALWAYS);
    pump.nodes[0].is_bulk_lost = true;
    for (int count = 0; count < 10; count++)
        pump_ask(&pump, 0, "INCR k");
    pump.nodes[0].is_bulk_lost = false;
    pump_ask(&pump, 0, "INCR k");
    pump_run(&pump, 5000000);
    ck_assert_str_eq(pump_ask(&pump, 1, "GET k"), "$2\r\n11\r\n");
    ck_assert(pump_is_equal(&pump));
    end();
}
END_TEST

/* A short life with everything in it; what it says does not matter here. */
static void live(void)
{
    for (int count = 0; count < 12; count++) {
        pump_command(&pump, (size_t)(count % 2), count % 3 == 0 ? "SADD s a b" : "INCR k");
        pump_run(&pump, 20000);
    }
    pump_cut(&pump, 0, 1, true);
    pump_command(&pump, 1, "HSET h f v");
    pump_run(&pump, 20000);
    pump_cut(&pump, 0, 1, false);
    pump_run(&pump, 1500000);
}

START_TEST(every_allocation_may_fail_and_all_converge_afterwards)
{
    begin(2, CORE_EVERYSEC);
    uint64_t requests = pump.nodes[0].memory.requests;
    live();
    uint64_t total = pump.nodes[0].memory.requests - requests;
    end();
    /* A prime stride visits failures of every kind in reasonable time. */
    for (uint64_t at = 1; at <= total; at += 7) {
        begin(2, CORE_EVERYSEC);
        pump.nodes[0].memory.fail_at = pump.nodes[0].memory.requests + at;
        live();
        pump.nodes[0].memory.fail_at = 0;
        pump_run(&pump, 6000000);
        ck_assert_msg(pump_is_equal(&pump), "request %llu failed", (unsigned long long)at);
        end();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_faults");
    TCase *tests = tcase_create("core_faults");
    tcase_set_timeout(tests, 100);
    tcase_add_test(tests, a_failed_store_is_told_and_recovered_from);
    tcase_add_test(tests, a_claim_that_was_not_true_ends_with_the_next_summary);
    tcase_add_test(tests, what_peers_wrote_while_the_store_failed_is_stored_in_its_order);
    tcase_add_test(tests, a_backup_is_answered_in_its_turn_when_the_host_says_so);
    tcase_add_test(tests, a_backup_whose_client_has_gone_is_answered_to_nobody);
    tcase_add_test(tests, a_restart_in_always_goes_on_under_its_generation);
    tcase_add_test(tests, without_peers_that_answer_writes_wait_two_seconds);
    tcase_add_test(tests, a_crash_after_going_ahead_begins_a_generation);
    tcase_add_test(tests, own_batches_that_a_peer_knows_and_the_store_lost_end_the_generation);
    tcase_add_test(tests, what_a_member_lost_of_its_own_is_sent_at_once);
    tcase_add_test(tests, who_says_that_own_batches_are_missing_is_given_time_to_show_them);
    tcase_add_test(tests, a_word_that_nobody_proves_holds_a_start_up_for_a_while_only);
    tcase_add_test(tests, an_empty_store_gets_everything_back);
    tcase_add_test(tests, a_clock_a_year_ahead_is_told_of_and_wins_only_ties);
    tcase_add_test(tests, a_clean_stop_keeps_the_generation_in_everysec);
    tcase_add_test(tests, a_row_that_is_not_durable_is_not_served_from_the_store);
    tcase_add_test(tests, batches_that_were_dropped_on_their_way_are_sent_again);
    tcase_add_test(tests, every_allocation_may_fail_and_all_converge_afterwards);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
