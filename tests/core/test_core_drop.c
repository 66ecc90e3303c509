/* What may be dropped of the log: the rule, against brute force, and the core's
 * use of it. */
#include "tests/core/pump_host.h"

#include "tests/support/choice.h"
#include "tests/support/runner.h"

#include <string.h>

#define FEEDS 3
#define MINUTE_US 60000000

static struct pump pump;

/* ---- Choosing ------------------------------------------------------------- */

/* The rule, word for word. */
static size_t choose_by_definition(const struct core_drop *drop,
    const struct core_drop_head *heads, size_t count, uint64_t log_bytes)
{
    size_t useless = count;
    size_t oldest = count;
    for (size_t index = 0; index < count; index++) {
        const struct core_drop_head *head = &heads[index];
        const struct core_drop_feed *feed = &drop->feeds[head->feed];
        bool is_stable_and_old =
            head->last_seq <= feed->stable && head->applied_ms < drop->before_ms;
        bool is_over_budget = log_bytes > drop->log_bytes_max;
        if (head->last_seq <= feed->floor
            && (useless == count || head->place < heads[useless].place))
            useless = index;
        if (head->last_seq <= feed->cap && (is_stable_and_old || is_over_budget)
            && (oldest == count || head->place < heads[oldest].place))
            oldest = index;
    }
    return useless != count ? useless : oldest;
}

START_TEST(the_choice_is_the_rule)
{
    bool is_fixed;
    struct choice choice = choice_from_seed(choice_seed("core_drop", &is_fixed));
    for (int round = 0; round < 200000; round++) {
        struct core_drop_feed feeds[FEEDS];
        struct core_drop_head heads[FEEDS];
        struct core_drop drop = {.feeds = feeds, .feed_count = FEEDS,
            .before_ms = choice_below(&choice, 4), .log_bytes_max = choice_below(&choice, 4)};
        size_t count = 0;
        uint64_t places[FEEDS] = {choice_below(&choice, 9), 10, 20};
        for (size_t feed = 0; feed < FEEDS; feed++) {
            feeds[feed] = (struct core_drop_feed){.floor = choice_below(&choice, 3),
                .stable = choice_below(&choice, 5), .cap = choice_below(&choice, 5)};
            if (choice_below(&choice, 4) == 0)
                continue;
            heads[count++] = (struct core_drop_head){.feed = feed,
                .place = places[(feed + (size_t)round) % FEEDS],
                .last_seq = 1 + choice_below(&choice, 5),
                .applied_ms = choice_below(&choice, 4)};
        }
        uint64_t log_bytes = choice_below(&choice, 6);
        ck_assert_uint_eq(core_drop_choose(&drop, heads, count, log_bytes),
            choose_by_definition(&drop, heads, count, log_bytes));
    }
}
END_TEST

START_TEST(of_nothing_nothing_is_chosen)
{
    struct core_drop drop = {0};
    ck_assert_uint_eq(core_drop_choose(&drop, NULL, 0, UINT64_MAX), 0);
}
END_TEST

/* ---- The core's use of it ------------------------------------------------- */

static void begin(size_t node_count, uint64_t history_ms, uint64_t log_bytes_max)
{
    pump_open(&pump, node_count, CORE_ALWAYS, 45);
    struct core_options *options = &pump.nodes[0].options;
    options->snapshot_bytes = 1000;
    options->history_ms = history_ms;
    options->log_bytes_max = log_bytes_max;
    options->unacked_bytes_max = UINT64_MAX / 2;
    pump_restart(&pump, 0, SIZE_MAX);
    pump_run(&pump, 2500000);
}

static void end(void)
{
    pump_close(&pump);
}

static void increment(size_t node, int count)
{
    for (int index = 0; index < count; index++)
        ck_assert_int_eq(*pump_ask(&pump, node, "INCR k"), ':');
}

static struct crdt_origin origin_of(size_t node)
{
    return crdt_self(core_document(pump.nodes[node].core));
}

static uint64_t floor_of(size_t node, size_t origin)
{
    struct crdt_origin key = origin_of(origin);
    return pump_floor(&pump.nodes[node], &key);
}

START_TEST(what_all_have_goes_when_it_is_old_enough)
{
    begin(3, 3 * MINUTE_US / 1000, UINT64_MAX);
    increment(0, 30);
    increment(1, 30);
    pump_run(&pump, 2 * MINUTE_US);
    ck_assert_uint_gt(pump.nodes[0].snapshot.size, 0);
    ck_assert_uint_eq(pump.nodes[0].floor_count, 0);
    pump_run(&pump, MINUTE_US + 15000000);
    ck_assert_uint_ge(floor_of(0, 0), 20);
    ck_assert_uint_ge(floor_of(0, 1), 20);
    /* What is not in the snapshot stays. */
    increment(0, 1);
    pump_run(&pump, 5 * MINUTE_US);
    ck_assert_uint_gt(pump.nodes[0].row_count, 0);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_LOG], 0);
    pump_restart(&pump, 0, SIZE_MAX);
    pump_run(&pump, 3000000);
    ck_assert_str_eq(pump_ask(&pump, 0, "GET k"), "$2\r\n61\r\n");
    end();
}
END_TEST

START_TEST(what_a_member_lacks_stays_and_the_member_is_named)
{
    begin(3, 1000, UINT64_MAX);
    increment(0, 5);
    pump_run(&pump, 3000000);
    pump_cut(&pump, 0, 2, true);
    pump_cut(&pump, 1, 2, true);
    increment(0, 30);
    increment(1, 30);
    pump_run(&pump, MINUTE_US);
    ck_assert_uint_le(floor_of(0, 0), 5);
    ck_assert_uint_eq(floor_of(0, 1), 0);
    ck_assert_ptr_nonnull(
        strstr(pump_ask(&pump, 0, "INFO crdt"), "crdt_log_blocked_by:c\r\n"));
    const char *status = pump_ask(&pump, 0, "CRDT.STATUS");
    const char *c = strstr(status, "\"name\":\"c\"");
    ck_assert_ptr_nonnull(c);
    ck_assert_ptr_nonnull(strstr(c, "\"blocks_log\":true"));
    ck_assert_ptr_nonnull(strstr(status, "\"blocks_log\":false"));
    pump_cut(&pump, 0, 2, false);
    pump_run(&pump, MINUTE_US);
    ck_assert_uint_ge(floor_of(0, 0), 20);
    ck_assert_ptr_nonnull(strstr(pump_ask(&pump, 0, "INFO crdt"), "crdt_log_blocked_by:\r\n"));
    end();
}
END_TEST

START_TEST(above_the_budget_the_oldest_go_whoever_lacks_them)
{
    begin(3, UINT64_MAX, 1500);
    pump_cut(&pump, 0, 2, true);
    pump_cut(&pump, 1, 2, true);
    increment(0, 60);
    increment(1, 60);
    pump_run(&pump, MINUTE_US);
    uint64_t bytes = 0;
    for (size_t row = 0; row < pump.nodes[0].row_count; row++)
        bytes += pump.nodes[0].rows[row].batch.size;
    ck_assert_uint_le(bytes, 1500 + 1500);
    ck_assert_uint_gt(floor_of(0, 0), 0);
    ck_assert_uint_ge(pump.nodes[0].events[CORE_EVENT_LOG], 1);
    ck_assert_uint_le(pump.nodes[0].events[CORE_EVENT_LOG], 2);
    const char *info = pump_ask(&pump, 0, "INFO crdt");
    ck_assert_ptr_nonnull(strstr(info, "crdt_log_bytes:"));
    ck_assert_ptr_null(strstr(info, "crdt_log_floor_raised:0\r\n"));
    end();
}
END_TEST

START_TEST(own_batches_wait_for_another_member_within_their_measure)
{
    begin(2, 1000, 500);
    pump_cut(&pump, 0, 1, true);
    increment(0, 60);
    pump_run(&pump, MINUTE_US);
    ck_assert_uint_eq(pump.nodes[0].dropped_rows, 0);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_LOG], 0);
    pump_cut(&pump, 0, 1, false);
    pump_run(&pump, MINUTE_US);
    ck_assert_uint_gt(pump.nodes[0].dropped_rows, 0);
    end();
}
END_TEST

START_TEST(far_above_all_measure_own_batches_go_with_an_alarm)
{
    begin(2, UINT64_MAX, 500);
    pump.nodes[0].options.unacked_bytes_max = 4000;
    pump_restart(&pump, 0, SIZE_MAX);
    pump_run(&pump, 2500000);
    pump_cut(&pump, 0, 1, true);
    increment(0, 20);
    pump_run(&pump, MINUTE_US);
    ck_assert_uint_eq(pump.nodes[0].dropped_rows, 0);
    increment(0, 60);
    pump_run(&pump, MINUTE_US);
    ck_assert_uint_gt(pump.nodes[0].dropped_rows, 0);
    ck_assert_uint_ge(pump.nodes[0].events[CORE_EVENT_LOG], 1);
    ck_assert_str_eq(pump_ask(&pump, 0, "GET k"), "$2\r\n80\r\n");
    end();
}
END_TEST

/* Between two snapshots the log may pass all measure: there is nothing to do then. */
START_TEST(what_every_member_has_is_no_cause_for_alarm)
{
    begin(2, UINT64_MAX, 500);
    pump.nodes[0].options.snapshot_bytes = 8000;
    pump.nodes[0].options.unacked_bytes_max = 500;
    pump_restart(&pump, 0, SIZE_MAX);
    pump_run(&pump, 2500000);
    for (int round = 0; round < 30; round++) {
        increment(0, 10);
        pump_run(&pump, 2500000);
    }
    ck_assert_uint_gt(pump.nodes[0].dropped_rows, 0);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_LOG], 0);
    end();
}
END_TEST

START_TEST(without_peers_what_is_in_the_snapshot_is_stable)
{
    begin(1, 1000, UINT64_MAX);
    increment(0, 60);
    pump_run(&pump, MINUTE_US);
    ck_assert_uint_gt(pump.nodes[0].dropped_rows, 40);
    pump_restart(&pump, 0, SIZE_MAX);
    ck_assert_str_eq(pump_ask(&pump, 0, "GET k"), "$2\r\n60\r\n");
    end();
}
END_TEST

START_TEST(with_a_floor_and_no_snapshot_the_core_does_not_serve)
{
    begin(1, 1000, UINT64_MAX);
    increment(0, 60);
    pump_run(&pump, MINUTE_US);
    pump.nodes[0].snapshot.data[pump.nodes[0].snapshot.size / 2] ^= 1;
    pump_restart(&pump, 0, SIZE_MAX);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_SERVING], 0);
    ck_assert(!core_has_snapshot(pump.nodes[0].core));
    ck_assert_ptr_nonnull(strstr((char *)pump.nodes[0].event_text.data, "restore a backup"));
    pump_run(&pump, 5000000);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_SERVING], 0);
    end();
}
END_TEST

/* ---- What the disk has lost ----------------------------------------------- */

/* Takes rows of node 1 out of the store of node 0, as a damaged page does. */
static void lose_rows(uint64_t from, uint64_t to)
{
    struct pump_node *node = &pump.nodes[0];
    struct crdt_origin origin = origin_of(1);
    for (size_t row = node->row_count; row-- > 0;) {
        struct crdt_batch batch;
        ck_assert_int_eq(crdt_batch_read(node->rows[row].batch, &batch), CRDT_OK);
        if (crdt_origin_compare(&batch.origin, &origin) != 0 || batch.first_seq < from
            || batch.last_seq > to)
            continue;
        pump_row_free(&node->rows[row]);
        size_t behind = --node->row_count - row;
        memmove(node->rows + row, node->rows + row + 1, behind * sizeof *node->rows);
        memmove(node->row_ms + row, node->row_ms + row + 1, behind * sizeof *node->row_ms);
        node->snapshot_rows -= row < node->snapshot_rows;
    }
}

/* Node 1 writes while node 2 is away; once that is back, node 0 alone can serve it. */
static void write_apart(int count)
{
    begin(3, UINT64_MAX, UINT64_MAX);
    increment(1, 5);
    pump_run(&pump, 2500000);
    pump_cut(&pump, 0, 2, true);
    pump_cut(&pump, 1, 2, true);
    increment(1, count);
    pump_run(&pump, 2500000);
    ck_assert_uint_gt(pump.nodes[0].snapshot.size, 0);
}

static void bring_back(void)
{
    pump_cut(&pump, 0, 1, true);
    pump_cut(&pump, 0, 2, false);
    pump_run(&pump, MINUTE_US);
}

START_TEST(a_gap_below_the_snapshot_is_made_good_by_it)
{
    write_apart(60);
    lose_rows(10, 11);
    bring_back();
    ck_assert_str_eq(pump_ask(&pump, 2, "GET k"), "$2\r\n65\r\n");
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_LOG], 1);
    ck_assert_uint_eq(pump.nodes[0].floor_count, 0);
    /* It stays known, and is not told of again. */
    pump_cut(&pump, 0, 2, true);
    bring_back();
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_LOG], 1);
    end();
}
END_TEST

START_TEST(a_gap_up_to_the_end_of_the_snapshot_is_made_good_by_it)
{
    write_apart(60);
    lose_rows(10, UINT64_MAX);
    bring_back();
    const char *reply = pump_ask(&pump, 2, "GET k");
    ck_assert_msg(strncmp(reply, "$2\r\n", 4) == 0 && strcmp(reply + 4, "40") > 0, "%s", reply);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_LOG], 1);
    end();
}
END_TEST

START_TEST(a_gap_beyond_the_snapshot_is_no_reason_to_offer_it)
{
    write_apart(63);
    ck_assert_uint_lt(pump.nodes[0].snapshot_rows, pump.nodes[0].row_count);
    lose_rows(67, 67);
    bring_back();
    ck_assert_str_ne(pump_ask(&pump, 2, "GET k"), "$2\r\n68\r\n");
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_LOG], 0);
    ck_assert_uint_eq(pump.nodes[2].stage_count, 0);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_drop");
    TCase *tests = tcase_create("core_drop");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, the_choice_is_the_rule);
    tcase_add_test(tests, of_nothing_nothing_is_chosen);
    tcase_add_test(tests, what_all_have_goes_when_it_is_old_enough);
    tcase_add_test(tests, what_a_member_lacks_stays_and_the_member_is_named);
    tcase_add_test(tests, above_the_budget_the_oldest_go_whoever_lacks_them);
    tcase_add_test(tests, own_batches_wait_for_another_member_within_their_measure);
    tcase_add_test(tests, far_above_all_measure_own_batches_go_with_an_alarm);
    tcase_add_test(tests, what_every_member_has_is_no_cause_for_alarm);
    tcase_add_test(tests, without_peers_what_is_in_the_snapshot_is_stable);
    tcase_add_test(tests, with_a_floor_and_no_snapshot_the_core_does_not_serve);
    tcase_add_test(tests, a_gap_below_the_snapshot_is_made_good_by_it);
    tcase_add_test(tests, a_gap_up_to_the_end_of_the_snapshot_is_made_good_by_it);
    tcase_add_test(tests, a_gap_beyond_the_snapshot_is_no_reason_to_offer_it);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
