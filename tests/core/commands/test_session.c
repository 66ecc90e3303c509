#include "tests/core/commands/site.h"

#include "gossipd/limits.h"

#include <string.h>

static struct site site;

static void setup(void)
{
    site_open(&site, 1);
}

static void teardown(void)
{
    site_close(&site);
}

START_TEST(session_names_what_it_does_not_know)
{
    SAYS(&site, "FOO a b",
        "-ERR unknown command 'FOO', with args beginning with: 'a' 'b' \r\n");
    SAYS(&site, "watch k", "-ERR unknown command 'watch', with args beginning with: 'k' \r\n");
    SAYS(&site, "\"a\\r\\nb\"", "-ERR unknown command 'a  b', with args beginning with: \r\n");
    SAYS(&site, "CLIENT FOO", "-ERR unknown subcommand 'FOO'. Try CLIENT HELP.\r\n");
    char command[4096];
    memset(command, 'x', sizeof command - 1);
    command[sizeof command - 1] = 0;
    ck_assert_uint_lt(strlen(site_say(&site, command)), 300);
}
END_TEST

START_TEST(session_checks_arity_before_anything)
{
    SAYS(&site, "GET", "-ERR wrong number of arguments for 'get' command\r\n");
    SAYS(&site, "gEt a b", "-ERR wrong number of arguments for 'get' command\r\n");
    SAYS(&site, "SADD k", "-ERR wrong number of arguments for 'sadd' command\r\n");
    SAYS(&site, "CLIENT", "-ERR wrong number of arguments for 'client' command\r\n");
    SAYS(&site, "CLIENT SETNAME",
        "-ERR wrong number of arguments for 'client|setname' command\r\n");
    ck_assert_uint_eq(site.stats.commands, 5);
    ck_assert_uint_eq(site.stats.errors, 5);
    ck_assert_uint_eq(site.stats.writes, 0);
}
END_TEST

START_TEST(session_exec_runs_what_was_queued)
{
    SAYS(&site, "MULTI", "+OK\r\n");
    SAYS(&site, "SET k 1", "+QUEUED\r\n");
    SAYS(&site, "INCR k", "+QUEUED\r\n");
    SAYS(&site, "SADD k x", "+QUEUED\r\n");
    SAYS(&site, "GET k", "+QUEUED\r\n");
    ck_assert_uint_eq(crdt_open_records(site.document), 0);
    SAYS(&site, "EXEC",
        "*4\r\n+OK\r\n:2\r\n"
        "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n$1\r\n2\r\n");
    ck_assert(site.result.has_written);
    SAYS(&site, "GET k", "$1\r\n2\r\n");
    SAYS(&site, "EXEC", "-ERR EXEC without MULTI\r\n");
}
END_TEST

START_TEST(session_exec_may_be_empty_or_read_only)
{
    SAYS(&site, "MULTI", "+OK\r\n");
    SAYS(&site, "EXEC", "*0\r\n");
    SAYS(&site, "MULTI", "+OK\r\n");
    SAYS(&site, "GET k", "+QUEUED\r\n");
    SAYS(&site, "EXEC", "*1\r\n$-1\r\n");
    ck_assert(!site.result.has_written);
}
END_TEST

START_TEST(session_discard_forgets_the_queue)
{
    SAYS(&site, "DISCARD", "-ERR DISCARD without MULTI\r\n");
    SAYS(&site, "MULTI", "+OK\r\n");
    SAYS(&site, "SET k 1", "+QUEUED\r\n");
    SAYS(&site, "DISCARD", "+OK\r\n");
    SAYS(&site, "EXISTS k", ":0\r\n");
    SAYS(&site, "MULTI", "+OK\r\n");
    SAYS(&site, "EXEC", "*0\r\n");
}
END_TEST

START_TEST(session_exec_aborts_after_an_error_in_the_queue)
{
    static const char *const wrong[] = {"FOO", "GET", "CLIENT FOO"};
    for (size_t i = 0; i < 3; i++) {
        SAYS(&site, "MULTI", "+OK\r\n");
        SAYS(&site, "SET k 1", "+QUEUED\r\n");
        ck_assert_int_eq(site_say(&site, wrong[i])[0], '-');
        SAYS(&site, "EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n");
        SAYS(&site, "EXISTS k", ":0\r\n");
    }
}
END_TEST

START_TEST(session_multi_does_not_nest)
{
    SAYS(&site, "MULTI", "+OK\r\n");
    SAYS(&site, "MULTI", "-ERR MULTI calls can not be nested\r\n");
    SAYS(&site, "SET k 1", "+QUEUED\r\n");
    SAYS(&site, "EXEC", "*1\r\n+OK\r\n");
}
END_TEST

START_TEST(session_queue_is_bounded)
{
    static char large[QUEUE_BYTES_MAX / 4];
    struct crdt_bytes arguments[] = {crdt_text("SET"), crdt_text("k"), {large, sizeof large}};
    SAYS(&site, "MULTI", "+OK\r\n");
    for (int i = 0; i < 3; i++) {
        OK(site_execute(&site, arguments, 3));
        ck_assert_int_eq(memcmp(site.reply.data, "+QUEUED", 7), 0);
    }
    OK(site_execute(&site, arguments, 3));
    ck_assert_int_eq(memcmp(site.reply.data, "-ERR the transaction is too large", 33), 0);
    SAYS(&site, "EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n");
    ck_assert_uint_lt(site.memory.held, 1 << 20);
}
END_TEST

START_TEST(session_exec_that_fails_leaves_nothing)
{
    static char large[CRDT_PATH_BYTES_MAX + 1];
    struct crdt_bytes arguments[] = {crdt_text("SADD"), crdt_text("s"), {large, sizeof large}};
    SAYS(&site, "MULTI", "+OK\r\n");
    SAYS(&site, "SET k 1", "+QUEUED\r\n");
    OK(site_execute(&site, arguments, 3));
    SAYS_PART(&site, "EXEC", "-ERR larger than a limit of the wire format allows");
    ck_assert(!site.result.has_written);
    ck_assert_int_eq(site.reply.data[0], '-');
    ck_assert_uint_eq(site.stats.writes, 0);
    SAYS(&site, "EXISTS k", ":0\r\n");
    SAYS(&site, "EXEC", "-ERR EXEC without MULTI\r\n");
    ck_assert_uint_lt(site.memory.held, 1 << 20);
}
END_TEST

START_TEST(session_refuses_writes_when_told_to)
{
    SAYS(&site, "SET k 1", "+OK\r\n");
    SAYS(&site, "MULTI", "+OK\r\n");
    SAYS(&site, "INCR k", "+QUEUED\r\n");
    site.environment.write_refusal = "IOERR the disk is full";
    SAYS(&site, "EXEC",
        "-EXECABORT Transaction discarded because of: IOERR the disk is full\r\n");
    SAYS(&site, "DEL k", "-IOERR the disk is full\r\n");
    SAYS(&site, "CRDT.UPDATE k 0 REMOVE", "-IOERR the disk is full\r\n");
    SAYS(&site, "GET k", "$1\r\n1\r\n");
    SAYS(&site, "MULTI", "+OK\r\n");
    SAYS(&site, "INCR k", "-IOERR the disk is full\r\n");
    SAYS(&site, "EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n");
}
END_TEST

START_TEST(session_maxmemory_refuses_what_may_grow)
{
    static const char oom[] = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    SAYS(&site, "SADD s a b c", ":3\r\n");
    SAYS(&site, "HSET h f v", ":1\r\n");
    site.options.maxmemory_bytes = 1024;
    SAYS(&site, "SET k v", oom);
    SAYS(&site, "SADD s d", oom);
    SAYS(&site, "HINCRBY h n 1", oom);
    SAYS(&site, "CRDT.UPDATE s 0 ADD d", oom);
    SAYS(&site, "SREM s a", ":1\r\n");
    SAYS(&site, "CRDT.UPDATE s 0 REM b", ":1\r\n");
    SAYS(&site, "SPOP s", "$1\r\nc\r\n");
    SAYS(&site, "HDEL h f", ":1\r\n");
    SAYS(&site, "DEL s h", ":0\r\n");
    SAYS(&site, "FLUSHALL", "+OK\r\n");
}
END_TEST

START_TEST(session_without_a_generation_says_amnesia)
{
    struct crdt_options options = document_options(9, 0);
    struct crdt_document *reader;
    OK(crdt_open(&options, &reader));
    site.environment.document = reader;
    SAYS_PART(&site, "SET k v", "-AMNESIA this node's store lost");
    ck_assert(!site.result.has_written);
    SAYS(&site, "GET k", "$-1\r\n");
    crdt_close(reader);
    site.environment.document = site.document;
}
END_TEST

/* Two values fit a batch, with a third it is full: the open one is closed. */
START_TEST(session_closes_a_full_batch_and_goes_on)
{
    static char large[CRDT_VALUE_BYTES_MAX - 64];
    struct crdt_bytes arguments[] = {crdt_text("SET"), crdt_text("k"), {large, sizeof large}};
    for (int i = 0; i < 4; i++) {
        OK(site_execute(&site, arguments, 3));
        ck_assert_int_eq(memcmp(site.reply.data, "+OK\r\n", 5), 0);
    }
    ck_assert_uint_ge(site.seals, 1);
}
END_TEST

START_TEST(session_quit_closes)
{
    SAYS(&site, "MULTI", "+OK\r\n");
    ck_assert(!site.result.must_close);
    SAYS(&site, "QUIT", "+OK\r\n");
    ck_assert(site.result.must_close);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("commands_session");
    TCase *tests = tcase_create("session");
    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, session_names_what_it_does_not_know);
    tcase_add_test(tests, session_checks_arity_before_anything);
    tcase_add_test(tests, session_exec_runs_what_was_queued);
    tcase_add_test(tests, session_exec_may_be_empty_or_read_only);
    tcase_add_test(tests, session_discard_forgets_the_queue);
    tcase_add_test(tests, session_exec_aborts_after_an_error_in_the_queue);
    tcase_add_test(tests, session_multi_does_not_nest);
    tcase_add_test(tests, session_queue_is_bounded);
    tcase_add_test(tests, session_exec_that_fails_leaves_nothing);
    tcase_add_test(tests, session_refuses_writes_when_told_to);
    tcase_add_test(tests, session_maxmemory_refuses_what_may_grow);
    tcase_add_test(tests, session_without_a_generation_says_amnesia);
    tcase_add_test(tests, session_closes_a_full_batch_and_goes_on);
    tcase_add_test(tests, session_quit_closes);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
