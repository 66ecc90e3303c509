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

START_TEST(strings_set_and_get)
{
    SAYS(&site, "GET k", "$-1\r\n");
    SAYS(&site, "SET k hello", "+OK\r\n");
    ck_assert(site.result.has_written);
    SAYS(&site, "get k", "$5\r\nhello\r\n");
    ck_assert(!site.result.has_written);
    SAYS(&site, "SET k \"\"", "+OK\r\n");
    SAYS(&site, "GET k", "$0\r\n\r\n");
    SAYS(&site, "STRLEN k", ":0\r\n");
    SAYS(&site, "STRLEN absent", ":0\r\n");
}
END_TEST

START_TEST(strings_set_obeys_nx_xx_and_get)
{
    SAYS(&site, "SET k a XX", "$-1\r\n");
    SAYS(&site, "SET k a NX", "+OK\r\n");
    SAYS(&site, "SET k b NX", "$-1\r\n");
    SAYS(&site, "SET k b XX", "+OK\r\n");
    SAYS(&site, "SET k c GET", "$1\r\nb\r\n");
    SAYS(&site, "SET k d NX GET", "$1\r\nc\r\n");
    SAYS(&site, "GET k", "$1\r\nc\r\n");
    SAYS(&site, "SET new d NX GET", "$-1\r\n");
    SAYS(&site, "GET new", "$1\r\nd\r\n");
    SAYS(&site, "SET absent d XX GET", "$-1\r\n");
    SAYS(&site, "EXISTS absent", ":0\r\n");
    SAYS(&site, "SET k v NX XX", "-ERR syntax error\r\n");
    SAYS(&site, "SET k v FOO", "-ERR syntax error\r\n");
}
END_TEST

START_TEST(strings_set_refuses_expiry_by_name)
{
    static const char *const options[] = {"EX 10", "px 10", "EXAT 10", "PXAT 10", "KEEPTTL"};
    static const char *const names[] = {"EX", "PX", "EXAT", "PXAT", "KEEPTTL"};
    for (size_t i = 0; i < 5; i++) {
        char command[64] = "SET k v ";
        char wanted[128] = "-ERR SET with ";
        strcat(command, options[i]);
        strcat(wanted, names[i]);
        strcat(wanted,
            " is not supported yet: gossipd has no expiry so far; nothing was written\r\n");
        SAYS(&site, command, wanted);
    }
    SAYS(&site, "SET k v EX", "-ERR syntax error\r\n");
    SAYS(&site, "EXISTS k", ":0\r\n");
}
END_TEST

START_TEST(strings_set_overwrites_every_type)
{
    SAYS(&site, "SADD s a b", ":2\r\n");
    SAYS(&site, "SET s v GET", "-WRONGTYPE Operation against a key holding the wrong kind of "
                               "value\r\n");
    SAYS(&site, "SET s v", "+OK\r\n");
    SAYS(&site, "SCARD s", "-WRONGTYPE Operation against a key holding the wrong kind of "
                           "value\r\n");
    SAYS(&site, "HSET h f v", ":1\r\n");
    SAYS(&site, "SET h v", "+OK\r\n");
    SAYS(&site, "TYPE h", "+string\r\n");
    SAYS(&site, "INCRBY n 5", ":5\r\n");
    SAYS(&site, "SET n 1", "+OK\r\n");
    SAYS(&site, "GET n", "$1\r\n1\r\n");
    SAYS(&site, "CRDT.GET n 0", "*2\r\n$8\r\nregister\r\n$1\r\n1\r\n");
    SAYS(&site, "DBSIZE", ":3\r\n");
}
END_TEST

START_TEST(strings_many_at_once)
{
    SAYS(&site, "MSET a 1 b 2 a 3", "+OK\r\n");
    SAYS(&site, "SADD s x", ":1\r\n");
    SAYS(&site, "MGET a b s none", "*4\r\n$1\r\n3\r\n$1\r\n2\r\n$-1\r\n$-1\r\n");
    SAYS(&site, "MSET a", "-ERR wrong number of arguments for 'mset' command\r\n");
    SAYS(&site, "MSET a 1 b", "-ERR wrong number of arguments for 'mset' command\r\n");
}
END_TEST

START_TEST(strings_count_from_their_base)
{
    SAYS(&site, "INCR k", ":1\r\n");
    SAYS(&site, "DECRBY k 3", ":-2\r\n");
    SAYS(&site, "INCRBY k 0", ":-2\r\n");
    SAYS(&site, "GET k", "$2\r\n-2\r\n");
    SAYS(&site, "STRLEN k", ":2\r\n");
    SAYS(&site, "SET k 10", "+OK\r\n");
    SAYS(&site, "INCR k", ":11\r\n");
    SAYS(&site, "DECR k", ":10\r\n");
    SAYS(&site, "INCRBY zero 0", ":0\r\n");
    SAYS(&site, "EXISTS zero", ":1\r\n");
}
END_TEST

START_TEST(strings_refuse_to_count_what_is_no_integer)
{
    static const char error[] = "-ERR value is not an integer or out of range\r\n";
    static const char *const bases[] = {"abc", "01", "+1", "\" 1\"", "-0", "1.5", "\"\"",
        "9223372036854775808"};
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        char command[64] = "SET k ";
        strcat(command, bases[i]);
        SAYS(&site, command, "+OK\r\n");
        SAYS(&site, "INCR k", error);
        ck_assert(!site.result.has_written);
    }
    SAYS(&site, "INCRBY n x", error);
    SAYS(&site, "DECRBY n 9223372036854775808", error);
    SAYS(&site, "EXISTS n", ":0\r\n");
}
END_TEST

START_TEST(strings_overflow_leaves_no_record)
{
    SAYS(&site, "SET k 9223372036854775807", "+OK\r\n");
    SAYS(&site, "INCR k", "-ERR increment or decrement would overflow\r\n");
    ck_assert(!site.result.has_written);
    SAYS(&site, "DECR k", ":9223372036854775806\r\n");
    SAYS(&site, "INCR k", ":9223372036854775807\r\n");
    SAYS(&site, "DECRBY k -9223372036854775808", "-ERR decrement would overflow\r\n");
    SAYS(&site, "SET k -9223372036854775808", "+OK\r\n");
    SAYS(&site, "DECR k", "-ERR increment or decrement would overflow\r\n");
}
END_TEST

START_TEST(strings_long_counters_stay_small)
{
    struct crdt_bytes batch;
    struct crdt_bytes keys[] = {crdt_text("data"), crdt_text("k")};
    struct crdt_path path = {keys, 2};
    for (int i = 0; i < 300; i++) {
        site.environment.folds.exact_seq = crdt_applied(
            site.document, &(struct crdt_origin[]){crdt_self(site.document)}[0]);
        site_say(&site, "INCR k");
        OK(crdt_seal(site.document, &batch));
        ck_assert_uint_le(crdt_count(site.document, path, CRDT_COUNTER), FOLD_COUNT);
    }
    SAYS(&site, "GET k", "$3\r\n300\r\n");
}
END_TEST

START_TEST(strings_too_large_names_the_limit)
{
    static char large[CRDT_VALUE_BYTES_MAX + 1];
    struct crdt_bytes arguments[] = {crdt_text("SET"), crdt_text("k"), {large, sizeof large}};
    OK(site_execute(&site, arguments, 3));
    OK(crdt_buffer_append(&site.reply, "", 1));
    ck_assert_str_eq((const char *)site.reply.data, "-ERR string exceeds maximum allowed size "
        "(16 MiB, a constant of the wire format); nothing was written\r\n");
    SAYS(&site, "EXISTS k", ":0\r\n");
    arguments[1].data = large;
    arguments[1].size = CRDT_PATH_BYTES_MAX + 1;
    arguments[2].size = 1;
    OK(site_execute(&site, arguments, 3));
    ck_assert_int_eq(memcmp(site.reply.data, "-ERR larger than a limit", 24), 0);
    SAYS(&site, "DBSIZE", ":0\r\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("commands_strings");
    TCase *tests = tcase_create("strings");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, strings_set_and_get);
    tcase_add_test(tests, strings_set_obeys_nx_xx_and_get);
    tcase_add_test(tests, strings_set_refuses_expiry_by_name);
    tcase_add_test(tests, strings_set_overwrites_every_type);
    tcase_add_test(tests, strings_many_at_once);
    tcase_add_test(tests, strings_count_from_their_base);
    tcase_add_test(tests, strings_refuse_to_count_what_is_no_integer);
    tcase_add_test(tests, strings_overflow_leaves_no_record);
    tcase_add_test(tests, strings_long_counters_stay_small);
    tcase_add_test(tests, strings_too_large_names_the_limit);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
