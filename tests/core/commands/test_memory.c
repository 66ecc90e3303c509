/* Out of memory at any request: the command is done and says so, or nothing of
 * it stays, in the document and in the reply. */
#include "tests/core/commands/site.h"

#include "gossipd/core/commands/queue.h"
#include "gossipd/core/commands/table.h"
#include "gossipd/wire/resp.h"

#include <string.h>

/* Each is set up by the commands before the last, which runs without memory. */
static const char *const scripts[][6] = {
    {"SET k v"},
    {"SADD k a b", "SET k v"},
    {"SET k v", "SET k w GET"},
    {"INCR k"},
    {"SADD k a b c d e f g h i j"},
    {"SADD k a b c", "SPOP k 2"},
    {"SADD k a b c", "SREM k a c"},
    {"HSET h a 1 b 2", "HINCRBY h a 3"},
    {"HSET h a 1 b 2", "HSET h a 2 c 4 d 5"},
    {"HSET h a 1 b 2", "DEL h"},
    {"MSET a 1 b 2", "FLUSHALL"},
    {"MSET a 1 b 2 c 3 d 4"},
    {"CRDT.UPDATE k 3 a b c ADD x y"},
    {"CRDT.UPDATE k 2 a b ADD x y", "CRDT.GET k 0"},
    {"SET k 1", "MULTI", "INCR k"},
    {"SET k 1", "MULTI", "INCR k", "SADD s a b", "EXEC"},
    {"CLIENT INFO"},
    {"INFO"},
};

static void split(const char *command, struct resp_reader *reader,
    const struct crdt_bytes **ret_arguments, size_t *ret_count)
{
    const char *error;
    resp_reader_init(reader, NULL, 1 << 20);
    OK(resp_reader_feed(reader, command, strlen(command)));
    OK(resp_reader_feed(reader, "\n", 1));
    ck_assert_int_eq(resp_reader_next(reader, ret_arguments, ret_count, &error), RESP_COMMAND);
}

/* Runs a script; true when its last command was not done. */
static bool fails_at(const char *const script[6], uint64_t fail_at)
{
    struct site site;
    struct resp_reader reader;
    const struct crdt_bytes *arguments;
    size_t count;
    size_t last = 0;
    site_open(&site, 1);
    for (; last + 1 < 6 && script[last + 1] != NULL; last++) {
        ck_assert_int_ne(site_say(&site, script[last])[0], '-');
    }
    struct crdt_buffer before = snapshot_of(site.document);
    split(script[last], &reader, &arguments, &count);
    site.memory.fail_at = site.memory.requests + fail_at;
    enum crdt_status status = site_execute(&site, arguments, count);
    bool was_hit = site.memory.requests >= site.memory.fail_at;
    site.memory.fail_at = 0;
    bool is_done = status == CRDT_OK && site.reply.data[0] != '-';
    ck_assert(status == CRDT_OK || site.reply.size == 0);
    if (!is_done) {
        struct crdt_buffer after = snapshot_of(site.document);
        ck_assert_msg(buffer_equals(&before, &after), "%s, request %u", script[last],
            (unsigned)fail_at);
        crdt_buffer_close(&after);
        ck_assert(was_hit);
    }
    resp_reader_close(&reader);
    crdt_buffer_close(&before);
    site_close(&site);
    return was_hit;
}

START_TEST(memory_failing_anywhere_leaves_all_or_nothing)
{
    uint64_t failures = 0;
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        uint64_t fail_at = 1;
        while (fails_at(scripts[i], fail_at)) {
            fail_at++;
        }
        failures += fail_at - 1;
    }
    ck_assert_uint_gt(failures, 50);
}
END_TEST

START_TEST(memory_failing_leaves_the_queue)
{
    struct test_memory memory = {.held = 0};
    struct crdt_memory hook = test_memory_hook(&memory);
    struct crdt_bytes arguments[] = {crdt_text("get"), crdt_text("k")};
    const struct command *get = table_find(arguments[0]);
    enum crdt_status status = CRDT_ERR_NOMEM;
    struct queue queue;
    queue_init(&queue, &hook);
    for (uint64_t fail_at = 1; status != CRDT_OK; fail_at++) {
        memory.fail_at = memory.requests + fail_at;
        status = queue_push(&queue, get, arguments, 2);
        if (status != CRDT_OK) {
            ck_assert_uint_eq(queue.bytes.size, 0);
            ck_assert_uint_eq(queue.count, 0);
            /* Grown, the buffer would ask for nothing any more. */
            queue_close(&queue);
        }
    }
    ck_assert_uint_gt(memory.requests, 3);
    queue_close(&queue);
    ck_assert_uint_eq(memory.held, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("commands_memory");
    TCase *tests = tcase_create("memory");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, memory_failing_anywhere_leaves_all_or_nothing);
    tcase_add_test(tests, memory_failing_leaves_the_queue);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
