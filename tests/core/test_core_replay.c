/* What a start takes from its store, and what a backup finds in it: all that was
 * acknowledged, or a word that says why not. */
#include "tests/core/pump.h"

#include "tests/support/runner.h"

#include <stdio.h>
#include <string.h>

static struct pump pump;

static void begin(size_t node_count, enum core_durability durability)
{
    pump_open(&pump, node_count, durability, 44);
    pump_run(&pump, 2500000);
}

static uint64_t generation(size_t node)
{
    return crdt_self(core_document(pump.nodes[node].core)).generation;
}

START_TEST(a_row_that_cannot_be_replayed_ends_the_generation)
{
    begin(2, CORE_ALWAYS);
    for (int count = 0; count < 3; count++)
        pump_ask(&pump, 0, "INCR k");
    pump_run(&pump, 100000);
    uint64_t before = generation(0);
    /* The peer, who knows better, cannot be asked. */
    pump_cut(&pump, 0, 1, true);
    pump.nodes[0].rows[pump.nodes[0].row_count - 1].batch.size--;
    pump_restart(&pump, 0, SIZE_MAX);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_DROPPED], 1);
    ck_assert_uint_ne(generation(0), before);
    pump_run(&pump, 2100000);
    ck_assert_str_eq(pump_ask(&pump, 0, "INCR k"), ":3\r\n");
    pump_close(&pump);
}
END_TEST

/* How many requests an empty core makes before anything is replayed. */
static uint64_t requests_to_open(void)
{
    struct test_memory *memory = &pump.nodes[0].memory;
    uint64_t before = memory->requests;
    struct core *core;
    ck_assert_int_eq(core_open(&pump.nodes[0].options, &core), CRDT_OK);
    core_close(core);
    return memory->requests - before;
}

/* Starts again with one request refused; false when no request was the n-th. */
static bool start_short_of_memory(uint64_t at)
{
    struct pump_node *node = &pump.nodes[0];
    node->events[CORE_EVENT_SERVING] = node->events[CORE_EVENT_UNUSABLE] = 0;
    uint64_t opening = requests_to_open();
    node->memory.fail_at = node->memory.requests + opening + at;
    pump_restart(&pump, 0, SIZE_MAX);
    bool has_failed = node->memory.requests >= node->memory.fail_at;
    node->memory.fail_at = 0;
    pump_run(&pump, 3000000);
    return has_failed;
}

static void check_all_or_nothing(uint64_t at, unsigned *ret_refused)
{
    const struct pump_node *node = &pump.nodes[0];
    *ret_refused += node->events[CORE_EVENT_UNUSABLE];
    if (node->events[CORE_EVENT_UNUSABLE] == 1)
        ck_assert_ptr_nonnull(strstr((char *)node->event_text.data, "more memory"));
    ck_assert_uint_eq(
        node->events[CORE_EVENT_UNUSABLE] + node->events[CORE_EVENT_SERVING], 1);
    if (node->events[CORE_EVENT_SERVING] == 1)
        ck_assert_msg(strcmp(pump_ask(&pump, 0, "GET k"), "$2\r\n30\r\n") == 0
                && strcmp(pump_ask(&pump, 0, "SCARD s"), ":30\r\n") == 0,
            "request %llu failed", (unsigned long long)at);
}

START_TEST(a_start_that_finds_no_memory_serves_all_or_nothing)
{
    char words[32];
    unsigned refused = 0;
    begin(1, CORE_ALWAYS);
    for (int count = 0; count < 30; count++) {
        snprintf(words, sizeof words, "SADD s e%d", count);
        pump_ask(&pump, 0, words);
        pump_ask(&pump, 0, "INCR k");
    }
    for (uint64_t at = 1; start_short_of_memory(at); at++)
        check_all_or_nothing(at, &refused);
    ck_assert_uint_gt(refused, 0);
    pump_close(&pump);
}
END_TEST

START_TEST(a_backup_comes_behind_all_that_was_acknowledged)
{
    struct pump_node *node = &pump.nodes[0];
    begin(1, CORE_EVERYSEC);
    pump_command(&pump, 0, "SET k v");
    ck_assert_str_eq(pump_replies(&pump, 0), "+OK\r\n");
    size_t rows = node->row_count;
    pump_command(&pump, 0, "CRDT.BACKUP /b");
    ck_assert_str_eq(node->backup_path, "/b");
    ck_assert_uint_eq(node->row_count, rows + 1);
    pump_close(&pump);
}
END_TEST

START_TEST(no_backup_is_made_of_a_store_that_lacks_what_was_acknowledged)
{
    struct pump_node *node = &pump.nodes[0];
    begin(1, CORE_EVERYSEC);
    node->is_store_failing = true;
    pump_command(&pump, 0, "SET k v");
    pump_run(&pump, 500000);
    ck_assert_uint_eq(node->events[CORE_EVENT_STORE_FAILED], 1);
    ck_assert_str_eq(pump_replies(&pump, 0), "+OK\r\n");
    pump_command(&pump, 0, "CRDT.BACKUP /b");
    ck_assert_str_eq(node->backup_path, "");
    ck_assert_ptr_nonnull(strstr(pump_replies(&pump, 0), "-ERR backup: the store fails"));
    node->is_store_failing = false;
    pump_run(&pump, 2000000);
    pump_command(&pump, 0, "CRDT.BACKUP /b");
    ck_assert_str_eq(node->backup_path, "/b");
    pump_close(&pump);
}
END_TEST

/* Nobody was told of what is missing. */
START_TEST(in_always_a_store_that_fails_has_all_that_was_acknowledged)
{
    struct pump_node *node = &pump.nodes[0];
    begin(1, CORE_ALWAYS);
    node->is_store_failing = true;
    pump_command(&pump, 0, "SET k v");
    pump_run(&pump, 500000);
    ck_assert_str_eq(pump_replies(&pump, 0), "-IOERR not known to be durable\r\n");
    pump_command(&pump, 0, "CRDT.BACKUP /b");
    ck_assert_str_eq(node->backup_path, "/b");
    pump_close(&pump);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_replay");
    TCase *tests = tcase_create("core_replay");
    tcase_set_timeout(tests, 100);
    tcase_add_test(tests, a_row_that_cannot_be_replayed_ends_the_generation);
    tcase_add_test(tests, a_start_that_finds_no_memory_serves_all_or_nothing);
    tcase_add_test(tests, a_backup_comes_behind_all_that_was_acknowledged);
    tcase_add_test(tests, no_backup_is_made_of_a_store_that_lacks_what_was_acknowledged);
    tcase_add_test(tests, in_always_a_store_that_fails_has_all_that_was_acknowledged);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
