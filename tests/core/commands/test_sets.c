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

START_TEST(sets_count_only_what_is_new)
{
    SAYS(&site, "SADD s a b a", ":2\r\n");
    SAYS(&site, "SADD s b c", ":1\r\n");
    SAYS(&site, "SADD s c", ":0\r\n");
    ck_assert(site.result.has_written);
    SAYS(&site, "SCARD s", ":3\r\n");
    SAYS(&site, "SISMEMBER s a", ":1\r\n");
    SAYS(&site, "SISMEMBER s x", ":0\r\n");
    SAYS(&site, "SCARD none", ":0\r\n");
    SAYS(&site, "SISMEMBER none x", ":0\r\n");
    SAYS(&site, "SMEMBERS none", "*0\r\n");
}
END_TEST

START_TEST(sets_remove_and_vanish)
{
    SAYS(&site, "SADD s a b", ":2\r\n");
    SAYS(&site, "SREM s x", ":0\r\n");
    ck_assert(!site.result.has_written);
    SAYS(&site, "SREM s a x a", ":1\r\n");
    SAYS(&site, "SMEMBERS s", "*1\r\n$1\r\nb\r\n");
    SAYS(&site, "SREM s b", ":1\r\n");
    SAYS(&site, "EXISTS s", ":0\r\n");
    SAYS(&site, "SREM s b", ":0\r\n");
}
END_TEST

START_TEST(sets_refuse_other_types)
{
    SAYS(&site, "SET k v", "+OK\r\n");
    SAYS(&site, "SADD k a", WRONG);
    SAYS(&site, "SREM k a", WRONG);
    SAYS(&site, "SCARD k", WRONG);
    SAYS(&site, "SMEMBERS k", WRONG);
    SAYS(&site, "SISMEMBER k a", WRONG);
    SAYS(&site, "SPOP k", WRONG);
    SAYS(&site, "SPOP k 2", WRONG);
    SAYS(&site, "SADD s a", ":1\r\n");
    SAYS(&site, "GET s", WRONG);
    SAYS(&site, "STRLEN s", WRONG);
    SAYS(&site, "INCR s", WRONG);
    SAYS(&site, "HGET s f", WRONG);
}
END_TEST

START_TEST(sets_pop_each_element_once)
{
    bool seen[26] = {false};
    for (int i = 0; i < 26; i++) {
        char command[] = "SADD s x";
        command[7] = (char)('a' + i);
        SAYS(&site, command, ":1\r\n");
    }
    for (int i = 0; i < 26; i++) {
        const char *reply = site_say(&site, "SPOP s");
        ck_assert_int_eq(memcmp(reply, "$1\r\n", 4), 0);
        ck_assert(!seen[reply[4] - 'a']);
        seen[reply[4] - 'a'] = true;
    }
    SAYS(&site, "SPOP s", "$-1\r\n");
    SAYS(&site, "EXISTS s", ":0\r\n");
}
END_TEST

/* Seed: the site's, 1. Each of three elements must be popped first sometimes. */
START_TEST(sets_pop_at_random)
{
    unsigned first[3] = {0};
    for (int i = 0; i < 60; i++) {
        SAYS(&site, "SADD s a b c", ":3\r\n");
        first[site_say(&site, "SPOP s")[4] - 'a']++;
        SAYS(&site, "DEL s", ":1\r\n");
    }
    ck_assert_uint_gt(first[0], 5);
    ck_assert_uint_gt(first[1], 5);
    ck_assert_uint_gt(first[2], 5);
}
END_TEST

START_TEST(sets_pop_a_count)
{
    SAYS(&site, "SPOP s 3", "*0\r\n");
    SAYS(&site, "SADD s a b c d", ":4\r\n");
    SAYS(&site, "SPOP s 0", "*0\r\n");
    SAYS(&site, "SPOP s -1", "-ERR value is out of range, must be positive\r\n");
    SAYS(&site, "SPOP s x", "-ERR value is out of range, must be positive\r\n");
    SAYS(&site, "SPOP s 1 2", "-ERR syntax error\r\n");
    ck_assert_int_eq(memcmp(site_say(&site, "SPOP s 3"), "*3\r\n", 4), 0);
    SAYS(&site, "SCARD s", ":1\r\n");
    SAYS(&site, "SADD s a b c d", ":3\r\n");
    ck_assert_int_eq(memcmp(site_say(&site, "SPOP s 100"), "*4\r\n", 4), 0);
    SAYS(&site, "EXISTS s", ":0\r\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("commands_sets");
    TCase *tests = tcase_create("sets");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, sets_count_only_what_is_new);
    tcase_add_test(tests, sets_remove_and_vanish);
    tcase_add_test(tests, sets_refuse_other_types);
    tcase_add_test(tests, sets_pop_each_element_once);
    tcase_add_test(tests, sets_pop_at_random);
    tcase_add_test(tests, sets_pop_a_count);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
