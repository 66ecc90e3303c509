/* What the core does when one origin signs two histories: proof, freeze, vouchers. */
#include "tests/core/forger.h"
#include "tests/core/pump_host.h"

#include "gossipd/limits.h"
#include "gossipd/wire/message.h"
#include "tests/support/runner.h"

#include <string.h>

#define GENERATION_HEX "000000000000004d" /* FORGER_GENERATION */

static struct pump pump;

static void begin(size_t node_count)
{
    pump_open(&pump, node_count, CORE_ALWAYS, 45);
    pump_run(&pump, 2500000);
}

static void end(void)
{
    pump_close(&pump);
}

/* Two authors of one origin, whose first batch is the same. */
static void begin_pair(uint8_t key_byte, size_t node, size_t from,
    struct crdt_document **ret_left, struct crdt_document **ret_right)
{
    struct crdt_bytes bytes;
    *ret_left = forger_new(key_byte);
    *ret_right = forger_new(key_byte);
    forger_set(*ret_right, "both", &bytes);
    forger_set(*ret_left, "both", &bytes);
    forger_give(&pump, node, from, bytes);
    pump_run(&pump, 2000000);
}

static void end_pair(struct crdt_document *left, struct crdt_document *right)
{
    crdt_close(left);
    crdt_close(right);
}

/* ---- Questions ------------------------------------------------------------- */

static uint64_t generation(size_t node)
{
    return crdt_self(core_document(pump.nodes[node].core)).generation;
}

static void cut_pairs(bool is_cut)
{
    for (size_t one = 0; one < 2; one++)
        for (size_t other = 2; other < 4; other++)
            pump_cut(&pump, one, other, is_cut);
}

/* Nodes 2 and 3 have applied `left`; 0 and 1, cut off from them, have not, and know
 * of the fork. */
static void begin_half_told(struct crdt_document **ret_left, struct crdt_document **ret_right)
{
    begin(4);
    begin_pair(4, 0, 1, ret_left, ret_right);
    cut_pairs(true);
    pump_run(&pump, 1000000);
    forger_write_to(&pump, *ret_left, "left", 2, 3);
    pump_run(&pump, 2000000);
    ck_assert(forger_is_set(&pump, 2, "left") && !forger_is_set(&pump, 0, "left"));
    struct crdt_document *third = forger_new(4);
    forger_write_to(&pump, third, "third", 0, 1);
    pump_run(&pump, 1000000);
    ck_assert(forger_is_frozen(&pump, 0) && forger_is_frozen(&pump, 1)
        && !forger_is_frozen(&pump, 2) && !forger_is_frozen(&pump, 3));
    crdt_close(third);
}

START_TEST(a_batch_that_contradicts_is_proved_everywhere_and_the_rest_goes_on)
{
    begin(3);
    struct crdt_document *left, *right;
    begin_pair(3, 0, 1, &left, &right);
    forger_write_to(&pump, left, "left", 0, 1);
    pump_run(&pump, 2000000);
    ck_assert(forger_is_set(&pump, 2, "left"));
    forger_write_to(&pump, right, "right", 0, 1);
    pump_run(&pump, 1000000);
    for (size_t node = 0; node < 3; node++) {
        ck_assert(forger_is_frozen(&pump, node));
        ck_assert(!forger_is_set(&pump, node, "right"));
        ck_assert_uint_eq(pump.nodes[node].events[CORE_EVENT_FORK], 1);
        ck_assert_ptr_nonnull(
            strstr(pump_ask(&pump, node, "CRDT.STATUS"), "\"frozen\":true"));
        ck_assert_ptr_nonnull(strstr(pump_ask(&pump, node, "INFO crdt"), "crdt_frozen:1"));
    }
    /* Neither history goes on, everybody else does, the member included. */
    forger_write_to(&pump, left, "later", 0, 1);
    forger_write_to(&pump, right, "last", 1, 0);
    pump_ask(&pump, 2, "SET k yes");
    pump_ask(&pump, 1, "SET l yes");
    pump_run(&pump, 3000000);
    ck_assert(!forger_is_set(&pump, 0, "later") && !forger_is_set(&pump, 1, "last")
        && forger_is_set(&pump, 0, "k") && forger_is_set(&pump, 2, "l"));
    ck_assert(pump_is_equal(&pump));
    end_pair(left, right);
    end();
}
END_TEST

START_TEST(a_clone_pair_is_proved_and_each_goes_on_under_a_generation_of_its_own)
{
    begin(4);
    for (size_t node = 0; node < 3; node++)
        pump_cut(&pump, node, 3, true);
    pump_ask(&pump, 0, "SET k yes");
    pump_run(&pump, 2000000);
    pump_cut(&pump, 0, 2, true);
    pump_cut(&pump, 1, 2, true);
    pump_clone(&pump, 3, 0);
    pump_cut(&pump, 3, 2, false);
    pump_run(&pump, 3000000);
    uint64_t before = generation(0);
    ck_assert_uint_eq(generation(3), before);
    pump_ask(&pump, 0, "SET left yes");
    pump_ask(&pump, 3, "SET right yes");
    pump_run(&pump, 2000000);
    ck_assert(forger_is_set(&pump, 1, "left") && !forger_is_set(&pump, 1, "right")
        && forger_is_set(&pump, 2, "right") && !forger_is_set(&pump, 2, "left"));
    pump_cut(&pump, 1, 2, false);
    pump_run(&pump, 4000000);
    for (size_t node = 0; node < 4; node++)
        ck_assert_msg(forger_is_frozen(&pump, node), "node %zu", node);
    ck_assert_uint_ne(generation(0), before);
    ck_assert_uint_ne(generation(3), before);
    ck_assert_uint_ne(generation(0), generation(3));
    end();
}
END_TEST

START_TEST(what_a_member_had_applied_comes_in_through_its_voucher_and_no_more)
{
    struct crdt_document *left, *right;
    begin_half_told(&left, &right);
    cut_pairs(false);
    pump_run(&pump, 5000000);
    for (size_t node = 0; node < 4; node++)
        ck_assert_msg(forger_is_frozen(&pump, node)
            && forger_is_set(&pump, node, "left"), "node %zu", node);
    forger_write_to(&pump, left, "later", 0, 1);
    pump_run(&pump, 3000000);
    for (size_t node = 0; node < 4; node++)
        ck_assert(!forger_is_set(&pump, node, "later"));
    ck_assert(pump_is_equal(&pump));
    end_pair(left, right);
    end();
}
END_TEST

START_TEST(a_voucher_lets_in_the_history_that_it_names_and_not_the_other)
{
    struct crdt_document *left, *right;
    begin_half_told(&left, &right);
    struct crdt_bytes bytes;
    /* The other history waits where the one that is vouched for will be wanted. */
    forger_set(right, "right", &bytes);
    forger_give(&pump, 0, 1, bytes);
    forger_give(&pump, 1, 0, bytes);
    pump.nodes[2].is_bulk_lost = pump.nodes[3].is_bulk_lost = true;
    cut_pairs(false);
    pump_run(&pump, 3000000);
    pump.nodes[2].is_bulk_lost = pump.nodes[3].is_bulk_lost = false;
    pump_run(&pump, 5000000);
    for (size_t node = 0; node < 4; node++)
        ck_assert_msg(forger_is_set(&pump, node, "left")
            && !forger_is_set(&pump, node, "right"), "node %zu", node);
    ck_assert(pump_is_equal(&pump));
    end_pair(left, right);
    end();
}
END_TEST

START_TEST(unfreezing_forgets_the_proof_and_takes_batches_directly_again)
{
    begin(2);
    struct crdt_document *left, *right;
    begin_pair(2, 0, 1, &left, &right);
    forger_write_to(&pump, left, "left", 0, 1);
    forger_write_to(&pump, right, "right", 0, 1);
    pump_run(&pump, 1000000);
    pump_cut(&pump, 0, 1, true);
    ck_assert(forger_is_frozen(&pump, 0));
    const char key[] = "0202020202020202020202020202020202020202020202020202020202020202";
    char words[128] = "CRDT.UNFREEZE ";
    strcat(strcat(words, key), " 0000000000000001");
    ck_assert_ptr_nonnull(strstr(pump_ask(&pump, 0, words), "-ERR CRDT.UNFREEZE: no fork"));
    ck_assert_ptr_nonnull(
        strstr(pump_ask(&pump, 0, "CRDT.UNFREEZE 02 4d"), "-ERR CRDT.UNFREEZE: expected"));
    strcpy(words, "CRDT.UNFREEZE ");
    strcat(strcat(words, key), " " GENERATION_HEX);
    ck_assert_str_eq(pump_ask(&pump, 0, words), "+OK\r\n");
    ck_assert_str_eq(pump_ask(&pump, 0, "CRDT.FORKS"), "$2\r\n[]\r\n");
    pump_restart(&pump, 0, SIZE_MAX);
    pump_run(&pump, 3000000);
    ck_assert_str_eq(pump_ask(&pump, 0, "CRDT.FORKS"), "$2\r\n[]\r\n");
    end_pair(left, right);
    end();
}
END_TEST

START_TEST(a_restart_keeps_the_proof_and_the_freeze)
{
    begin(3);
    struct crdt_document *left, *right;
    begin_pair(3, 0, 1, &left, &right);
    forger_write_to(&pump, left, "left", 0, 1);
    forger_write_to(&pump, right, "right", 0, 1);
    pump_run(&pump, 1000000);
    for (size_t node = 1; node < 3; node++)
        pump_cut(&pump, 0, node, true);
    pump_restart(&pump, 0, SIZE_MAX);
    pump_run(&pump, 3000000);
    ck_assert(forger_is_frozen(&pump, 0));
    for (size_t node = 1; node < 3; node++)
        pump_cut(&pump, 0, node, false);
    pump_run(&pump, 2000000);
    forger_write_to(&pump, left, "later", 0, 1);
    ck_assert(!forger_is_set(&pump, 0, "later"));
    end_pair(left, right);
    end();
}
END_TEST

START_TEST(after_a_restart_the_header_of_the_history_here_comes_from_the_store)
{
    begin(3);
    struct crdt_document *left, *right;
    begin_pair(3, 0, 1, &left, &right);
    forger_write_to(&pump, left, "left", 0, 1);
    pump_run(&pump, 2000000);
    pump_restart(&pump, 0, SIZE_MAX);
    pump_run(&pump, 3000000);
    forger_write_to(&pump, right, "right", 0, 1);
    pump_run(&pump, 1000000);
    ck_assert(forger_is_frozen(&pump, 0) && forger_is_frozen(&pump, 1));
    end_pair(left, right);
    end();
}
END_TEST

START_TEST(a_signed_header_of_own_batches_that_are_not_here_begins_a_generation)
{
    begin(2);
    pump_ask(&pump, 0, "SET k yes");
    pump_run(&pump, 2000000);
    uint64_t before = generation(0);
    struct crdt_options options;
    crdt_options_init(&options);
    memset(options.key, 1, sizeof options.key);
    options.generation = before;
    struct crdt_document *author;
    OK(crdt_open(&options, &author));
    struct crdt_bytes bytes;
    /* Far behind what is here, so that it contradicts nothing. */
    for (int count = 0; count < 9; count++)
        forger_set(author, "lost", &bytes);
    forger_give_header(&pump, 0, 1, bytes);
    pump_run(&pump, 1000000);
    ck_assert_uint_ne(generation(0), before);
    ck_assert(!forger_is_frozen(&pump, 0));
    ck_assert_str_eq(pump_ask(&pump, 0, "SET k again"), "+OK\r\n");
    crdt_close(author);
    end();
}
END_TEST

START_TEST(a_batch_whose_deps_name_another_history_is_told_and_freezes_nobody)
{
    begin(3);
    struct crdt_document *left, *right;
    begin_pair(3, 0, 1, &left, &right);
    forger_write_to(&pump, left, "left", 0, 1);
    pump_run(&pump, 2000000);
    /* Whoever follows the other history writes, and only that batch comes here. */
    struct crdt_bytes bytes;
    struct crdt_document *reader = forger_new(2);
    struct crdt_buffer other;
    crdt_buffer_init(&other, NULL);
    forger_set(right, "right", &bytes);
    OK(crdt_snapshot(right, &other));
    OK(crdt_merge(reader, crdt_buffer_bytes(&other)));
    forger_set(reader, "read", &bytes);
    forger_give(&pump, 0, 1, bytes);
    forger_give(&pump, 0, 1, bytes);
    pump_run(&pump, 1000000);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_FORK], 1);
    ck_assert(!forger_is_set(&pump, 0, "read"));
    ck_assert(!forger_is_frozen(&pump, 0));
    ck_assert_ptr_nonnull(strstr(pump_ask(&pump, 0, "CRDT.FORKS"), "\"frozen\":false"));
    ck_assert_ptr_nonnull(strstr(pump_ask(&pump, 0, "INFO crdt"), "crdt_frozen:0"));
    crdt_buffer_close(&other);
    crdt_close(reader);
    end_pair(left, right);
    end();
}
END_TEST

/* Takes the HEADS to a node away that are on their way; returns how many. */
static size_t lose_heads(size_t node)
{
    size_t count = 0;
    struct pump_input **place = &pump.first;
    while (*place != NULL) {
        struct pump_input *item = *place;
        if (item->node != node || item->input.kind != CORE_FRAME
            || item->bytes[0] != MESSAGE_HEADS) {
            place = &item->next;
            continue;
        }
        *place = item->next;
        pump_input_free(item);
        count++;
    }
    return count;
}

/* Time in which nodes 2 and 3 hear of no fork. */
static size_t run_without_heads(uint64_t duration_us)
{
    size_t count = 0;
    for (uint64_t us = 0; us < duration_us; us += pump.latency_us / 2) {
        pump_run(&pump, pump.latency_us / 2);
        count += lose_heads(2) + lose_heads(3);
    }
    return count;
}

START_TEST(a_proof_that_was_lost_on_a_live_link_is_told_again_until_both_are_equal)
{
    struct crdt_document *left, *right;
    begin_half_told(&left, &right);
    cut_pairs(false);
    run_without_heads(2000000);
    ck_assert(!forger_is_frozen(&pump, 2) && !forger_is_frozen(&pump, 3)
        && !forger_is_set(&pump, 0, "left"));
    uint64_t link = pump.nodes[0].links[2];
    /* Two HEADS on each of four links, and no more often than the limit says. */
    size_t lost = run_without_heads(2 * PROOFS_AGAIN_US);
    ck_assert_uint_ge(lost, 2 * 4);
    ck_assert_uint_le(lost, 2 * 2 * 4);
    pump_run(&pump, PROOFS_AGAIN_US + 3000000);
    ck_assert_uint_eq(pump.nodes[0].links[2], link);
    for (size_t node = 0; node < 4; node++)
        ck_assert_msg(forger_is_frozen(&pump, node)
            && forger_is_set(&pump, node, "left"), "node %zu", node);
    ck_assert(pump_is_equal(&pump));
    size_t sent = pump.nodes[0].sent_kinds[MESSAGE_HEADS % 8];
    pump_run(&pump, 4 * PROOFS_AGAIN_US);
    ck_assert_uint_eq(pump.nodes[0].sent_kinds[MESSAGE_HEADS % 8], sent);
    end_pair(left, right);
    end();
}
END_TEST

/* Node 0 has applied and dropped `left` and what came later, and has restarted since:
 * of headers it has what is in its snapshot, that of the newest batch. */
static void begin_dropped(
    int later_count, struct crdt_document **ret_left, struct crdt_document **ret_right)
{
    begin(3);
    struct core_options *options = &pump.nodes[0].options;
    options->snapshot_bytes = 1000;
    options->history_ms = UINT64_MAX;
    options->log_bytes_max = 500;
    pump_restart(&pump, 0, SIZE_MAX);
    pump_run(&pump, 3000000);
    begin_pair(3, 0, 1, ret_left, ret_right);
    forger_write_to(&pump, *ret_left, "left", 0, 1);
    for (int count = 0; count < later_count; count++)
        forger_write_to(&pump, *ret_left, "later", 0, 1);
    for (int count = 0; count < 30; count++)
        pump_ask(&pump, 0, "SET k yes");
    pump_run(&pump, 30000000);
    struct crdt_origin origin = crdt_self(*ret_left);
    ck_assert_uint_eq(
        pump_floor(&pump.nodes[0], &origin), crdt_applied(*ret_left, &origin));
    pump_restart(&pump, 0, SIZE_MAX);
    pump_run(&pump, 3000000);
    ck_assert(forger_is_set(&pump, 0, "left") && !forger_is_frozen(&pump, 0));
}

static void give_header(struct crdt_document *author, const char *key)
{
    struct crdt_bytes bytes;
    forger_set(author, key, &bytes);
    forger_give_header(&pump, 0, 1, bytes);
    pump_run(&pump, 1000000);
}

START_TEST(two_headers_of_a_batch_that_was_dropped_here_prove_the_fork)
{
    struct crdt_document *left, *right;
    struct crdt_document *again = forger_new(3);
    struct crdt_bytes bytes;
    begin_dropped(2, &left, &right);
    forger_set(again, "both", &bytes);
    give_header(again, "left");
    ck_assert(!forger_is_frozen(&pump, 0));
    give_header(right, "right");
    ck_assert(forger_is_frozen(&pump, 0) && !forger_is_set(&pump, 0, "right"));
    crdt_close(again);
    end_pair(left, right);
    end();
}
END_TEST

START_TEST(of_the_newest_batch_here_one_header_proves_it_though_it_was_dropped)
{
    struct crdt_document *left, *right;
    begin_dropped(0, &left, &right);
    give_header(right, "right");
    ck_assert(forger_is_frozen(&pump, 0) && !forger_is_set(&pump, 0, "right"));
    end_pair(left, right);
    end();
}
END_TEST

/* A fork from its first sight to its voucher. */
static void live(struct crdt_document *right)
{
    pump_cut(&pump, 0, 1, false);
    pump_cut(&pump, 0, 2, false);
    pump_run(&pump, 50000);
    struct crdt_bytes bytes;
    forger_set(right, "right", &bytes);
    if (pump.nodes[1].links[2] != 0)
        forger_give(&pump, 1, 2, bytes);
    pump_run(&pump, 2000000);
}

START_TEST(every_allocation_may_fail_and_the_fork_is_proved_afterwards)
{
    uint64_t total = 8;
    for (uint64_t at = 0; at <= total; at += at < 20 ? 1 : 7) {
        struct crdt_document *left, *right;
        begin(3);
        begin_pair(3, 0, 1, &left, &right);
        pump_cut(&pump, 0, 2, true);
        forger_write_to(&pump, left, "left", 1, 0);
        pump_cut(&pump, 0, 1, true);
        pump_run(&pump, 500000);
        uint64_t requests = pump.nodes[1].memory.requests;
        pump.nodes[1].memory.fail_at = at == 0 ? 0 : requests + at;
        live(right);
        pump.nodes[1].memory.fail_at = 0;
        if (at == 0)
            total = pump.nodes[1].memory.requests - requests;
        pump_run(&pump, 4000000);
        struct crdt_bytes bytes;
        forger_set(right, "again", &bytes);
        forger_give(&pump, 1, 2, bytes);
        pump_run(&pump, 4000000);
        for (size_t node = 0; node < 3; node++)
            ck_assert_msg(forger_is_frozen(&pump, node) && forger_is_set(&pump, node, "left")
                && !forger_is_set(&pump, node, "right"),
                "request %llu, node %zu: %d %d %d", (unsigned long long)at, node,
                forger_is_frozen(&pump, node), forger_is_set(&pump, node, "left"),
                forger_is_set(&pump, node, "right"));
        ck_assert(pump_is_equal(&pump));
        end_pair(left, right);
        end();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_forks");
    TCase *tests = tcase_create("core_forks");
    tcase_set_timeout(tests, 100);
    tcase_add_test(tests, a_batch_that_contradicts_is_proved_everywhere_and_the_rest_goes_on);
    tcase_add_test(tests, a_clone_pair_is_proved_and_each_goes_on_under_a_generation_of_its_own);
    tcase_add_test(tests, what_a_member_had_applied_comes_in_through_its_voucher_and_no_more);
    tcase_add_test(tests, a_voucher_lets_in_the_history_that_it_names_and_not_the_other);
    tcase_add_test(tests, unfreezing_forgets_the_proof_and_takes_batches_directly_again);
    tcase_add_test(tests, a_restart_keeps_the_proof_and_the_freeze);
    tcase_add_test(tests, after_a_restart_the_header_of_the_history_here_comes_from_the_store);
    tcase_add_test(tests, a_signed_header_of_own_batches_that_are_not_here_begins_a_generation);
    tcase_add_test(tests, a_batch_whose_deps_name_another_history_is_told_and_freezes_nobody);
    tcase_add_test(
        tests, a_proof_that_was_lost_on_a_live_link_is_told_again_until_both_are_equal);
    tcase_add_test(tests, two_headers_of_a_batch_that_was_dropped_here_prove_the_fork);
    tcase_add_test(tests, of_the_newest_batch_here_one_header_proves_it_though_it_was_dropped);
    tcase_add_test(tests, every_allocation_may_fail_and_the_fork_is_proved_afterwards);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
