#include "tests/core/commands/site.h"

#include <string.h>

#define WRONG "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"

static struct site site;

static void setup(void)
{
    site_open(&site, 1);
}

static void teardown(void)
{
    site_close(&site);
}

START_TEST(hashes_set_get_and_delete)
{
    SAYS(&site, "HSET h a 1 b 2 a 3", ":2\r\n");
    SAYS(&site, "HSET h a 4 c 5", ":1\r\n");
    SAYS(&site, "HGET h a", "$1\r\n4\r\n");
    SAYS(&site, "HGET h x", "$-1\r\n");
    SAYS(&site, "HGET none x", "$-1\r\n");
    SAYS(&site, "HLEN h", ":3\r\n");
    SAYS(&site, "HDEL h a x a", ":1\r\n");
    SAYS(&site, "HDEL h x", ":0\r\n");
    ck_assert(!site.result.has_written);
    SAYS(&site, "HLEN h", ":2\r\n");
    SAYS(&site, "HDEL h b c", ":2\r\n");
    SAYS(&site, "EXISTS h", ":0\r\n");
    SAYS(&site, "HLEN h", ":0\r\n");
    SAYS(&site, "HGETALL h", "*0\r\n");
}
END_TEST

START_TEST(hashes_show_registers_and_counters)
{
    SAYS(&site, "HINCRBY h n 5", ":5\r\n");
    SAYS(&site, "HGETALL h", "*2\r\n$1\r\nn\r\n$1\r\n5\r\n");
    SAYS(&site, "HSET h n 10", ":0\r\n");
    SAYS(&site, "HINCRBY h n -1", ":9\r\n");
    SAYS(&site, "HGET h n", "$1\r\n9\r\n");
    SAYS(&site, "HSET h n 1", ":0\r\n");
    SAYS(&site, "HGETALL h", "*2\r\n$1\r\nn\r\n$1\r\n1\r\n");
}
END_TEST

START_TEST(hashes_do_not_show_what_is_no_string)
{
    SAYS(&site, "CRDT.UPDATE h 2 milk quantity INCR 3", ":3\r\n");
    SAYS(&site, "HSET h n 1", ":1\r\n");
    SAYS(&site, "HGETALL h", "*2\r\n$1\r\nn\r\n$1\r\n1\r\n");
    SAYS(&site, "HLEN h", ":2\r\n");
    SAYS(&site, "HGET h milk", WRONG);
    SAYS(&site, "HINCRBY h milk 1", WRONG);
    SAYS(&site, "HSET h milk 7", ":0\r\n");
    SAYS(&site, "HGET h milk", "$1\r\n7\r\n");
    SAYS(&site, "CRDT.GET h 1 milk", "*2\r\n$8\r\nregister\r\n$1\r\n7\r\n");
}
END_TEST

START_TEST(hashes_delete_whatever_a_field_holds)
{
    SAYS(&site, "HINCRBY h n 5", ":5\r\n");
    SAYS(&site, "CRDT.UPDATE h 2 milk tags ADD a", ":1\r\n");
    SAYS(&site, "HDEL h n milk", ":2\r\n");
    SAYS(&site, "EXISTS h", ":0\r\n");
}
END_TEST

START_TEST(hashes_refuse_what_does_not_count)
{
    SAYS(&site, "HSET h f abc", ":1\r\n");
    SAYS(&site, "HINCRBY h f 1", "-ERR hash value is not an integer\r\n");
    SAYS(&site, "HINCRBY h f x", "-ERR value is not an integer or out of range\r\n");
    SAYS(&site, "HSET h f 9223372036854775807", ":0\r\n");
    SAYS(&site, "HINCRBY h f 1", "-ERR increment or decrement would overflow\r\n");
    SAYS(&site, "HSET h f", "-ERR wrong number of arguments for 'hset' command\r\n");
    SAYS(&site, "HSET h f v g", "-ERR wrong number of arguments for 'hset' command\r\n");
}
END_TEST

START_TEST(hashes_refuse_other_types)
{
    SAYS(&site, "SADD s a", ":1\r\n");
    SAYS(&site, "HSET s f v", WRONG);
    SAYS(&site, "HGET s f", WRONG);
    SAYS(&site, "HDEL s f", WRONG);
    SAYS(&site, "HGETALL s", WRONG);
    SAYS(&site, "HLEN s", WRONG);
    SAYS(&site, "HINCRBY s f 1", WRONG);
    SAYS(&site, "HSET h f v", ":1\r\n");
    SAYS(&site, "GET h", WRONG);
    SAYS(&site, "SADD h a", WRONG);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("commands_hashes");
    TCase *tests = tcase_create("hashes");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, hashes_set_get_and_delete);
    tcase_add_test(tests, hashes_show_registers_and_counters);
    tcase_add_test(tests, hashes_do_not_show_what_is_no_string);
    tcase_add_test(tests, hashes_delete_whatever_a_field_holds);
    tcase_add_test(tests, hashes_refuse_what_does_not_count);
    tcase_add_test(tests, hashes_refuse_other_types);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
