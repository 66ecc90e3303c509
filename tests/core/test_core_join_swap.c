/* What follows once all of a peer's snapshot is here: the document with it is made,
 * again if need be, and put in the place of the present one. */
#include "tests/core/apart.h"
#include "tests/core/pump_host.h"

#include "gossipd/limits.h"
#include "gossipd/wire/message.h"
#include "tests/support/runner.h"

#include <stdio.h>
#include <string.h>

/* Node 1, cut off, makes a document of what it staged: one that is done in 5 s and
 * has to be made again, since too much comes meanwhile. */
static void begin_building_twice(void)
{
    begin(2, CORE_ALWAYS);
    drift_apart();
    pump.nodes[1].options.log_bytes_max = UINT64_MAX;
    pump_restart(&pump, 1, SIZE_MAX);
    pump_run(&pump, 3 * SECOND_US);
    pump.nodes[1].build_us = 5 * SECOND_US;
    cut(1, false);
    run_until_building();
    cut(1, true);
    const size_t size = (size_t)15 << 20;
    for (size_t bytes = 0; bytes <= JOIN_TAIL_BYTES_MAX; bytes += size)
        set_large(1, size);
    ck_assert_str_eq(pump_ask(&pump, 1, "DEL large"), ":1\r\n");
}

START_TEST(a_join_during_which_too_much_came_is_made_again)
{
    begin_building_twice();
    pump_run(&pump, 20 * SECOND_US);
    ck_assert(info_has(1, "crdt_joins:1\r\n"));
    ck_assert_uint_eq(pump.nodes[1].discard_count, 2);
    ck_assert_str_eq(pump_ask(&pump, 1, "SCARD s"), ":55\r\n");
    end();
}
END_TEST

START_TEST(a_join_that_is_durable_is_made_again_until_it_succeeds)
{
    begin_building_twice();
    pump.nodes[1].is_snapshot_failing = true;
    pump_run(&pump, 60 * SECOND_US);
    ck_assert_uint_eq(pump.nodes[1].discard_count, 1);
    ck_assert(info_has(1, "crdt_joins:0\r\n"));
    pump.nodes[1].is_snapshot_failing = false;
    pump_run(&pump, 20 * SECOND_US);
    ck_assert(info_has(1, "crdt_joins:1\r\n"));
    ck_assert_str_eq(pump_ask(&pump, 1, "SCARD s"), ":55\r\n");
    ck_assert_uint_eq(pump.nodes[1].staged_parts, 0);
    end();
}
END_TEST

/* What words on their way to node 0 say is durable is in the document of node 1, of
 * which `digest` is what CRDT.DIGEST replies. */
static void check_word(const struct message *word, const char *digest)
{
    struct crdt_dot dots[PUMP_FEEDS_MAX];
    size_t count = 0;
    if (word->kind == MESSAGE_ACK)
        OK(crdt_summary_read(word->as.ack.summary, dots, PUMP_FEEDS_MAX, &count));
    const struct crdt_document *document = core_document(pump.nodes[1].core);
    for (size_t index = 0; index < count; index++)
        ck_assert_uint_le(dots[index].seq, crdt_applied(document, &dots[index].origin));
    const uint8_t *hash = word->as.compare.context;
    char hex[9] = "";
    if (word->kind == MESSAGE_COMPARE)
        snprintf(hex, sizeof hex, "%02x%02x%02x%02x", hash[0], hash[1], hash[2], hash[3]);
    ck_assert_ptr_nonnull(strstr(digest, hex));
}

START_TEST(what_a_join_brings_is_acknowledged_with_the_swap_and_not_before)
{
    begin_building_twice();
    /* The document that is done and durable is discarded: it comes in with the next. */
    for (int ms = 0; ms < 9000 && pump.nodes[1].discard_count == 0; ms++)
        pump_run(&pump, 1000);
    cut(1, false);
    size_t sent = pump.nodes[1].sent_kinds[MESSAGE_ACK];
    char digest[256] = {0};
    strncpy(digest, pump_ask(&pump, 1, "CRDT.DIGEST"), sizeof digest - 1);
    for (; pump.nodes[1].discard_count == 1; pump_run(&pump, pump.latency_us / 2)) {
        for (struct pump_input *item = pump.first; item != NULL; item = item->next) {
            struct message word;
            if (item->node == 0 && item->input.kind == CORE_FRAME
                && message_read(item->input.bytes, &word) == CRDT_OK)
                check_word(&word, digest);
        }
    }
    ck_assert_uint_gt(pump.nodes[1].sent_kinds[MESSAGE_ACK], sent);
    ck_assert(info_has(1, "crdt_joins:1\r\n"));
    end();
}
END_TEST

/* What node 1 says on its way to node 0 that it has for good of node 0's feed. */
static uint64_t acknowledged(void)
{
    uint64_t most = 0;
    struct crdt_origin author = origin_of(0);
    for (struct pump_input *item = pump.first; item != NULL; item = item->next) {
        struct message word;
        struct crdt_dot dots[PUMP_FEEDS_MAX];
        size_t count = 0;
        if (item->node != 0 || item->input.kind != CORE_FRAME
            || message_read(item->input.bytes, &word) != CRDT_OK
            || word.kind != MESSAGE_ACK)
            continue;
        OK(crdt_summary_read(word.as.ack.summary, dots, PUMP_FEEDS_MAX, &count));
        for (size_t index = 0; index < count; index++) {
            if (crdt_origin_compare(&dots[index].origin, &author) == 0
                && dots[index].seq > most)
                most = dots[index].seq;
        }
    }
    return most;
}

/* The most of it in the words of more than a heartbeat. */
static uint64_t acknowledged_soon(void)
{
    uint64_t most = 0;
    size_t sent = pump.nodes[1].sent_kinds[MESSAGE_ACK];
    for (int step = 0; step < 12000; step++) {
        uint64_t now = acknowledged();
        most = now > most ? now : most;
        pump_run(&pump, pump.latency_us / 2);
    }
    ck_assert_uint_gt(pump.nodes[1].sent_kinds[MESSAGE_ACK], sent);
    return most;
}

START_TEST(a_join_is_acknowledged_when_the_removals_on_their_way_are_durable)
{
    begin(2, CORE_ALWAYS);
    drift_apart();
    struct crdt_origin author = origin_of(0);
    uint64_t before = crdt_applied(core_document(pump.nodes[1].core), &author);
    pump.nodes[1].build_us = SECOND_US;
    cut(1, false);
    run_until_building();
    pump.nodes[1].is_store_held = true;
    /* One batch is on its way into the store; the removal waits for its turn, and is
     * closed by the swap, which it has not seen. */
    pump_command(&pump, 1, "SADD s d000");
    pump_run(&pump, 5000);
    pump_command(&pump, 1, "SREM s a015");
    pump_run(&pump, 5000);
    ck_assert_uint_eq(pump.nodes[1].unstored_count, 1);
    for (int ms = 0; ms < 5000 && pump.nodes[1].discard_count == 0; ms++)
        pump_run(&pump, 1000);
    ck_assert_uint_eq(pump.nodes[1].discard_count, 1);
    ck_assert_uint_ge(pump.nodes[1].unstored_count, 2);
    ck_assert_uint_gt(crdt_applied(core_document(pump.nodes[1].core), &author), before);
    struct core_input stored = {
        .kind = CORE_STORED, .number = pump.nodes[1].unstored_numbers[0]};
    pump_step(&pump, 1, &stored);
    ck_assert_uint_le(acknowledged_soon(), before);
    pump.nodes[1].is_store_held = false;
    pump_store(&pump, 1);
    ck_assert_uint_gt(acknowledged_soon(), before);
    pump_run(&pump, 20 * SECOND_US);
    check_converged(":55\r\n");
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_join_swap");
    TCase *tests = tcase_create("core_join_swap");
    tcase_set_timeout(tests, 150);
    tcase_add_test(tests, a_join_during_which_too_much_came_is_made_again);
    tcase_add_test(tests, a_join_that_is_durable_is_made_again_until_it_succeeds);
    tcase_add_test(tests, what_a_join_brings_is_acknowledged_with_the_swap_and_not_before);
    tcase_add_test(tests, a_join_is_acknowledged_when_the_removals_on_their_way_are_durable);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
