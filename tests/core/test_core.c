/* What the core promises when nothing goes wrong but time and cut lines. */
#include "tests/core/pump.h"

#include "tests/support/runner.h"

#include <string.h>

static struct pump pump;

static void begin(size_t node_count, enum core_durability durability)
{
    pump_open(&pump, node_count, durability, 42);
    pump_run(&pump, 2500000);
    for (size_t index = 0; index < node_count; index++)
        ck_assert_uint_eq(pump.nodes[index].events[CORE_EVENT_SERVING], 1);
}

static void end(void)
{
    pump_close(&pump);
}

START_TEST(a_single_node_serves_at_once)
{
    pump_open(&pump, 1, CORE_ALWAYS, 1);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_SERVING], 1);
    ck_assert_str_eq(pump_ask(&pump, 0, "SET k v"), "+OK\r\n");
    ck_assert_str_eq(pump_ask(&pump, 0, "GET k"), "$1\r\nv\r\n");
    end();
}
END_TEST

START_TEST(in_always_a_reply_waits_until_its_batch_is_stored)
{
    begin(1, CORE_ALWAYS);
    pump.nodes[0].is_store_held = true;
    pump_command(&pump, 0, "SET k v");
    pump_run(&pump, 100000);
    ck_assert_str_eq(pump_replies(&pump, 0), "");
    ck_assert_uint_eq(pump.nodes[0].unstored_count, 1);
    /* A read that saw the write waits too: what it tells could still be lost. */
    pump_command(&pump, 0, "GET k");
    pump_run(&pump, 100000);
    ck_assert_str_eq(pump_replies(&pump, 0), "");
    pump_store(&pump, 0);
    pump_run(&pump, 1000);
    ck_assert_str_eq(pump_replies(&pump, 0), "+OK\r\n$1\r\nv\r\n");
    end();
}
END_TEST

START_TEST(bytes_that_are_no_command_are_refused_behind_the_replies_that_wait)
{
    begin(1, CORE_ALWAYS);
    pump.nodes[0].is_store_held = true;
    pump_command(&pump, 0, "SET k v");
    const struct core_input garbage = {
        .kind = CORE_COMMAND, .client = 7, .reason = "Protocol error: test"};
    pump_step(&pump, 0, &garbage);
    pump_command(&pump, 0, "SET k w");
    pump_run(&pump, 100000);
    ck_assert_str_eq(pump_replies(&pump, 0), "");
    ck_assert_uint_eq(pump.nodes[0].closed_clients, 0);
    pump_store(&pump, 0);
    pump_run(&pump, 1000);
    ck_assert_str_eq(pump_replies(&pump, 0), "+OK\r\n-ERR Protocol error: test\r\n");
    ck_assert_uint_eq(pump.nodes[0].closed_clients, 1);
    end();
}
END_TEST

START_TEST(a_store_that_lacks_what_was_dropped_is_not_served_and_takes_no_link)
{
    begin(2, CORE_ALWAYS);
    pump_ask(&pump, 0, "SET k v");
    struct pump_node *node = &pump.nodes[0];
    struct crdt_origin self = crdt_self(core_document(node->core));
    node->floor[0] = (struct crdt_dot){.origin = self, .seq = 1000};
    node->floor_count = 1;
    pump_restart(&pump, 0, SIZE_MAX);
    pump_run(&pump, 3000000);
    ck_assert_uint_eq(node->events[CORE_EVENT_UNUSABLE], 1);
    ck_assert_uint_eq(node->events[CORE_EVENT_SERVING], 0);
    size_t closed = node->closed_links;
    struct core_input risen = {.kind = CORE_LINK_UP, .link = 900};
    memcpy(risen.key, pump.nodes[1].options.key, sizeof risen.key);
    pump_step(&pump, 0, &risen);
    ck_assert_uint_eq(node->closed_links, closed + 1);
    ck_assert_uint_eq(node->newest_closed_link, 900);
    ck_assert_uint_eq(node->events[CORE_EVENT_MEMBER_UP], 0);
    end();
}
END_TEST

START_TEST(many_commands_share_one_store)
{
    begin(1, CORE_ALWAYS);
    pump.nodes[0].is_store_held = true;
    pump_command(&pump, 0, "INCR k");
    pump_run(&pump, 10);
    uint64_t number = pump.nodes[0].newest_number;
    for (int count = 0; count < 100; count++)
        pump_command(&pump, 0, "INCR k");
    pump_run(&pump, 100000);
    ck_assert_uint_eq(pump.nodes[0].newest_number, number);
    pump_store(&pump, 0);
    pump_run(&pump, 1000);
    ck_assert_uint_eq(pump.nodes[0].newest_number, number + 1);
    pump_store(&pump, 0);
    pump_run(&pump, 1000);
    ck_assert_ptr_nonnull(strstr(pump_replies(&pump, 0), ":101\r\n"));
    end();
}
END_TEST

START_TEST(a_batch_that_folds_does_not_stay_open)
{
    begin(1, CORE_ALWAYS);
    for (int count = 0; count < 63; count++) {
        pump_command(&pump, 0, "INCR k");
        pump_run(&pump, 100000);
    }
    pump.nodes[0].is_store_held = true;
    pump_command(&pump, 0, "SET other v");
    pump_run(&pump, 10);
    uint64_t number = pump.nodes[0].newest_number;
    /* The 64th contribution folds the others: this batch waits for nobody. */
    pump_command(&pump, 0, "INCR k");
    ck_assert_uint_eq(crdt_open_records(core_document(pump.nodes[0].core)), 0);
    ck_assert_uint_eq(pump.nodes[0].newest_number, number + 1);
    end();
}
END_TEST

START_TEST(in_always_nothing_is_sent_before_it_is_durable)
{
    begin(2, CORE_ALWAYS);
    pump.nodes[0].is_store_held = true;
    pump_command(&pump, 0, "SET k v");
    pump_run(&pump, 4000000);
    ck_assert_uint_eq(pump.nodes[0].bulk_count, 0);
    ck_assert_str_eq(pump_ask(&pump, 1, "GET k"), "$-1\r\n");
    pump_store(&pump, 0);
    pump_run(&pump, 10000);
    ck_assert_uint_eq(pump.nodes[0].bulk_count, 1);
    ck_assert_str_eq(pump_ask(&pump, 1, "GET k"), "$1\r\nv\r\n");
    end();
}
END_TEST

START_TEST(in_everysec_a_reply_goes_at_once_and_a_batch_after_the_mark)
{
    begin(2, CORE_EVERYSEC);
    pump.nodes[0].is_store_held = true;
    pump_command(&pump, 0, "SET k v");
    ck_assert_str_eq(pump_replies(&pump, 0), "+OK\r\n");
    pump_run(&pump, 500000);
    ck_assert_uint_eq(pump.nodes[0].bulk_count, 0);
    ck_assert_uint_eq(pump.nodes[0].marks[CORE_MARK_AHEAD], 1);
    pump_store(&pump, 0);
    pump_run(&pump, 10000);
    ck_assert_uint_eq(pump.nodes[0].bulk_count, 1);
    /* From now on the mark is there, and batches leave before they are stored. */
    pump_command(&pump, 0, "SET k w");
    pump_run(&pump, 10000);
    ck_assert_uint_eq(pump.nodes[0].bulk_count, 2);
    ck_assert_uint_eq(pump.nodes[0].unstored_count, 1);
    ck_assert_str_eq(pump_ask(&pump, 1, "GET k"), "$1\r\nw\r\n");
    end();
}
END_TEST

START_TEST(durability_can_be_changed_while_running)
{
    begin(1, CORE_ALWAYS);
    ck_assert_int_eq(core_durability(pump.nodes[0].core), CORE_ALWAYS);
    ck_assert_str_eq(pump_ask(&pump, 0, "CONFIG SET durability no"), "+OK\r\n");
    ck_assert_int_eq(core_durability(pump.nodes[0].core), CORE_NO);
    pump.nodes[0].is_store_held = true;
    pump_command(&pump, 0, "SET k v");
    ck_assert_str_eq(pump_replies(&pump, 0), "+OK\r\n");
    end();
}
END_TEST

START_TEST(three_nodes_count_every_increment)
{
    for (int durability = CORE_ALWAYS; durability <= CORE_NO; durability++) {
        begin(3, (enum core_durability)durability);
        for (int count = 0; count < 300; count++) {
            pump_command(&pump, (size_t)(count % 3), "INCR k");
            pump_run(&pump, 700);
        }
        pump_run(&pump, 3000000);
        for (size_t index = 0; index < 3; index++) {
            ck_assert_str_eq(pump_ask(&pump, index, "GET k"), "$3\r\n300\r\n");
        }
        ck_assert(pump_is_equal(&pump));
        end();
    }
}
END_TEST

START_TEST(in_quiet_every_batch_goes_to_every_peer_once)
{
    begin(3, CORE_ALWAYS);
    for (int count = 0; count < 100; count++) {
        pump_command(&pump, (size_t)(count % 3), "INCR k");
        pump_run(&pump, 50000);
    }
    pump_run(&pump, 3000000);
    size_t sent = 0;
    for (size_t index = 0; index < 3; index++)
        sent += pump.nodes[index].bulk_count;
    ck_assert_uint_eq(sent, 200);
    end();
}
END_TEST

START_TEST(a_cut_off_node_gets_what_it_missed)
{
    begin(3, CORE_ALWAYS);
    pump_cut(&pump, 2, 0, true);
    pump_cut(&pump, 2, 1, true);
    for (int count = 0; count < 200; count++) {
        pump_command(&pump, (size_t)(count % 2), "INCR k");
        pump_run(&pump, 3000);
    }
    pump_command(&pump, 2, "INCRBY k 1000");
    pump_run(&pump, 6000000);
    ck_assert_ptr_nonnull(strstr(pump_ask(&pump, 0, "CRDT.STATUS"), "\"state\":\"down\""));
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_MEMBER_DOWN], 1);
    ck_assert_str_eq(pump_ask(&pump, 2, "GET k"), "$4\r\n1000\r\n");
    pump_cut(&pump, 2, 0, false);
    pump_cut(&pump, 2, 1, false);
    pump_run(&pump, 3000000);
    for (size_t index = 0; index < 3; index++)
        ck_assert_str_eq(pump_ask(&pump, index, "GET k"), "$4\r\n1200\r\n");
    ck_assert(pump_is_equal(&pump));
    end();
}
END_TEST

START_TEST(a_node_passes_on_between_two_that_are_cut)
{
    begin(3, CORE_ALWAYS);
    pump_cut(&pump, 0, 2, true);
    for (int count = 0; count < 50; count++) {
        pump_command(&pump, 0, "INCR k");
        pump_command(&pump, 2, "INCR k");
        pump_run(&pump, 20000);
    }
    pump_run(&pump, 3000000);
    ck_assert(pump_is_equal(&pump));
    ck_assert_str_eq(pump_ask(&pump, 2, "GET k"), "$3\r\n100\r\n");
    end();
}
END_TEST

START_TEST(status_says_whether_all_have_converged)
{
    begin(3, CORE_ALWAYS);
    pump_ask(&pump, 0, "SET k v");
    pump_run(&pump, 500000);
    ck_assert_ptr_nonnull(strstr(pump_ask(&pump, 0, "CRDT.STATUS"), "\"converged\":true"));
    pump_cut(&pump, 0, 1, true);
    pump_run(&pump, 100000);
    const char *status = pump_ask(&pump, 0, "CRDT.STATUS");
    ck_assert_ptr_nonnull(strstr(status, "\"converged\":false"));
    ck_assert_ptr_nonnull(strstr(status, "\"state\":\"suspect\""));
    end();
}
END_TEST

START_TEST(a_large_backlog_is_served_in_rounds)
{
    begin(2, CORE_ALWAYS);
    pump_cut(&pump, 0, 1, true);
    pump_run(&pump, 100000);
    char words[70000] = "SET k0 ";
    memset(words + 7, 'x', sizeof words - 8);
    words[sizeof words - 1] = '\0';
    for (int count = 0; count < 60; count++) {
        words[5] = (char)('0' + count);
        pump_command(&pump, 0, words);
        pump_run(&pump, 1000);
    }
    pump_cut(&pump, 0, 1, false);
    while (pump.nodes[0].links[1] == 0)
        pump_run(&pump, 1000);
    /* Each round is asked for as soon as the one before is handled. */
    pump_run(&pump, 20000);
    ck_assert_uint_eq(pump.nodes[0].bulk_count, 60);
    pump_run(&pump, 1000000);
    ck_assert(pump_is_equal(&pump));
    ck_assert_uint_eq(pump.nodes[0].bulk_count, 60);
    end();
}
END_TEST

START_TEST(of_two_links_with_one_peer_both_sides_keep_the_same)
{
    for (size_t dialler = 0; dialler < 2; dialler++) {
        begin(2, CORE_ALWAYS);
        /* Node 0 has the smaller key: the link that it dialled stays, whichever
         * came first. */
        struct core_input up = {.kind = CORE_LINK_UP, .link = 1000};
        for (size_t index = 0; index < 2; index++) {
            memcpy(up.key, pump.nodes[1 - index].options.key, CRDT_KEY_BYTES);
            up.link = 1000;
            up.is_initiator = index == dialler;
            pump_step(&pump, index, &up);
            up.link = 1001;
            up.is_initiator = index != dialler;
            pump_step(&pump, index, &up);
            ck_assert_uint_eq(
                pump.nodes[index].newest_closed_link, dialler == 0 ? 1001 : 1000);
        }
        end();
    }
}
END_TEST

START_TEST(under_load_third_parties_leave_batches_to_their_origin)
{
    begin(3, CORE_ALWAYS);
    /* At any moment a lot is on its way. */
    pump.latency_us = 30000;
    for (int count = 0; count < 4000; count++) {
        pump_command(&pump, (size_t)(count % 3), "INCR k");
        pump_run(&pump, 1100);
    }
    pump_run(&pump, 2000000);
    size_t sent = 0;
    for (size_t index = 0; index < 3; index++)
        sent += pump.nodes[index].bulk_count;
    ck_assert_uint_ge(sent, 8000);
    ck_assert_uint_le(sent, 8000 * 102 / 100);
    end();
}
END_TEST

START_TEST(a_batch_that_must_be_durable_first_is_not_overtaken)
{
    begin(2, CORE_EVERYSEC);
    pump_ask(&pump, 0, "SET k v");
    pump_run(&pump, 10000);
    size_t sent = pump.nodes[0].bulk_count;
    pump_ask(&pump, 0, "CONFIG SET durability always");
    pump.nodes[0].is_store_held = true;
    pump_command(&pump, 0, "SET k w");
    pump_run(&pump, 10000);
    pump_command(&pump, 0, "CONFIG SET durability everysec");
    pump_command(&pump, 0, "SET k x");
    pump_run(&pump, 10000);
    ck_assert_uint_eq(pump.nodes[0].unstored_count, 2);
    ck_assert_uint_eq(pump.nodes[0].bulk_count, sent);
    pump_store(&pump, 0);
    pump_run(&pump, 10000);
    ck_assert_uint_eq(pump.nodes[0].bulk_count, sent + 2);
    end();
}
END_TEST

START_TEST(a_silent_link_is_closed_and_dialled_again)
{
    begin(2, CORE_ALWAYS);
    /* The other end answers nothing any more, and nobody says so. */
    struct core *frozen = pump.nodes[1].core;
    pump.nodes[1].core = NULL;
    pump_run(&pump, 3100000);
    ck_assert_uint_ge(pump.nodes[0].closed_links, 1);
    pump.nodes[1].core = frozen;
    pump_run(&pump, 1500000);
    pump_ask(&pump, 0, "SET k v");
    pump_run(&pump, 10000);
    ck_assert_str_eq(pump_ask(&pump, 1, "GET k"), "$1\r\nv\r\n");
    end();
}
END_TEST

static uint64_t trace_of(uint64_t seed)
{
    pump_open(&pump, 3, CORE_EVERYSEC, seed);
    for (int count = 0; count < 200; count++) {
        pump_command(&pump, (size_t)(count % 3), count % 7 == 0 ? "SPOP s" : "SADD s a b c");
        pump_run(&pump, 13000);
    }
    uint64_t trace = pump.trace;
    end();
    return trace;
}

START_TEST(the_same_inputs_give_the_same_outputs_byte_for_byte)
{
    ck_assert_uint_eq(trace_of(5), trace_of(5));
    ck_assert_uint_ne(trace_of(5), trace_of(6));
}
END_TEST

START_TEST(stopping_stores_what_is_open_and_says_so)
{
    begin(2, CORE_EVERYSEC);
    pump_ask(&pump, 0, "SET k v");
    pump_run(&pump, 10000);
    ck_assert_uint_eq(pump.nodes[0].stored_marks[CORE_MARK_AHEAD], 1);
    pump.nodes[0].is_store_held = true;
    pump_command(&pump, 0, "SET k w");
    struct core_input stop = {.kind = CORE_STOP};
    pump_step(&pump, 0, &stop);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_STOPPED], 0);
    pump.nodes[0].is_store_held = false;
    pump_store(&pump, 0);
    pump_run(&pump, 10000);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_STOPPED], 1);
    ck_assert_uint_eq(pump.nodes[0].stored_marks[CORE_MARK_AHEAD], 0);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core");
    TCase *tests = tcase_create("core");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_single_node_serves_at_once);
    tcase_add_test(tests, in_always_a_reply_waits_until_its_batch_is_stored);
    tcase_add_test(tests, bytes_that_are_no_command_are_refused_behind_the_replies_that_wait);
    tcase_add_test(tests, a_store_that_lacks_what_was_dropped_is_not_served_and_takes_no_link);
    tcase_add_test(tests, many_commands_share_one_store);
    tcase_add_test(tests, a_batch_that_folds_does_not_stay_open);
    tcase_add_test(tests, in_always_nothing_is_sent_before_it_is_durable);
    tcase_add_test(tests, in_everysec_a_reply_goes_at_once_and_a_batch_after_the_mark);
    tcase_add_test(tests, durability_can_be_changed_while_running);
    tcase_add_test(tests, three_nodes_count_every_increment);
    tcase_add_test(tests, in_quiet_every_batch_goes_to_every_peer_once);
    tcase_add_test(tests, a_cut_off_node_gets_what_it_missed);
    tcase_add_test(tests, a_node_passes_on_between_two_that_are_cut);
    tcase_add_test(tests, status_says_whether_all_have_converged);
    tcase_add_test(tests, a_large_backlog_is_served_in_rounds);
    tcase_add_test(tests, of_two_links_with_one_peer_both_sides_keep_the_same);
    tcase_add_test(tests, under_load_third_parties_leave_batches_to_their_origin);
    tcase_add_test(tests, a_batch_that_must_be_durable_first_is_not_overtaken);
    tcase_add_test(tests, a_silent_link_is_closed_and_dialled_again);
    tcase_add_test(tests, the_same_inputs_give_the_same_outputs_byte_for_byte);
    tcase_add_test(tests, stopping_stores_what_is_open_and_says_so);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
