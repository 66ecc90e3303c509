#include "tests/core/commands/site.h"

#include <stdio.h>
#include <stdlib.h>
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

START_TEST(keys_are_deleted_counted_and_typed)
{
    SAYS(&site, "MSET a 1 b 2", "+OK\r\n");
    SAYS(&site, "SADD s x", ":1\r\n");
    SAYS(&site, "HSET h f v", ":1\r\n");
    SAYS(&site, "INCR n", ":1\r\n");
    SAYS(&site, "CRDT.UPDATE flag 0 ENABLE", "+OK\r\n");
    SAYS(&site, "DBSIZE", ":6\r\n");
    SAYS(&site, "EXISTS a a none s", ":3\r\n");
    SAYS(&site, "TYPE a", "+string\r\n");
    SAYS(&site, "TYPE n", "+string\r\n");
    SAYS(&site, "TYPE s", "+set\r\n");
    SAYS(&site, "TYPE h", "+hash\r\n");
    SAYS(&site, "TYPE flag", "+crdt\r\n");
    SAYS(&site, "TYPE none", "+none\r\n");
    SAYS(&site, "DEL a none s a h flag", ":4\r\n");
    SAYS(&site, "DEL none", ":0\r\n");
    ck_assert(!site.result.has_written);
    SAYS(&site, "DBSIZE", ":2\r\n");
}
END_TEST

START_TEST(keys_match_patterns)
{
    SAYS(&site, "MSET one 1 two 2", "+OK\r\n");
    SAYS(&site, "KEYS o*", "*1\r\n$3\r\none\r\n");
    SAYS(&site, "KEYS x*", "*0\r\n");
    ck_assert_int_eq(memcmp(site_say(&site, "KEYS *"), "*2\r\n", 4), 0);
}
END_TEST

START_TEST(keys_flush_is_one_record)
{
    SAYS(&site, "FLUSHALL", "+OK\r\n");
    ck_assert(!site.result.has_written);
    SAYS(&site, "MSET a 1 b 2 c 3", "+OK\r\n");
    SAYS(&site, "FLUSHALL FOO", "-ERR syntax error\r\n");
    size_t before = crdt_open_records(site.document);
    SAYS(&site, "FLUSHALL ASYNC", "+OK\r\n");
    ck_assert_uint_eq(crdt_open_records(site.document), before + 1);
    SAYS(&site, "DBSIZE", ":0\r\n");
    SAYS(&site, "SET a 1", "+OK\r\n");
    SAYS(&site, "flushall sync", "+OK\r\n");
    SAYS(&site, "KEYS *", "*0\r\n");
}
END_TEST

/* Walks with SCAN and marks the keys k0 .. k999 that come; `change` runs between
 * the steps. */
static size_t scan_all(const char *options, unsigned *times, void (*change)(unsigned step))
{
    char cursor[32] = "0";
    size_t total = 0;
    unsigned step = 0;
    do {
        char command[128];
        snprintf(command, sizeof command, "SCAN %s %s", cursor, options);
        const char *reply = site_say(&site, command);
        ck_assert_int_eq(memcmp(reply, "*2\r\n$", 5), 0);
        reply = strstr(reply + 5, "\r\n") + 2;
        snprintf(cursor, sizeof cursor, "%.*s", (int)strcspn(reply, "\r"), reply);
        for (reply = strstr(reply, "\r\nk"); reply != NULL; reply = strstr(reply + 3, "\r\nk")) {
            times[strtoul(reply + 3, NULL, 10)]++;
            total++;
        }
        if (change != NULL) {
            change(step);
        }
        ck_assert_uint_lt(++step, 5000);
    } while (strcmp(cursor, "0") != 0);
    return total;
}

static void fill(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char command[64];
        snprintf(command, sizeof command, i % 3 == 0 ? "SADD k%u a" : "SET k%u v", i);
        site_say(&site, command);
    }
}

START_TEST(keys_scan_gives_each_once_when_nothing_changes)
{
    static unsigned times[1000];
    fill(1000);
    ck_assert_uint_eq(scan_all("", times, NULL), 1000);
    ck_assert_uint_eq(scan_all("COUNT 333", times, NULL), 1000);
    for (unsigned i = 0; i < 1000; i++) {
        ck_assert_uint_eq(times[i], 2);
    }
    ck_assert_uint_eq(scan_all("COUNT 100 MATCH k1*", times, NULL), 111);
    ck_assert_uint_eq(scan_all("TYPE set COUNT 50", times, NULL), 334);
    ck_assert_uint_eq(scan_all("TYPE STRING MATCH k9?", times, NULL), 6);
    SAYS(&site, "SCAN 0 COUNT 2000 TYPE list", "*2\r\n$1\r\n0\r\n*0\r\n");
}
END_TEST

/* Deletes the odd keys and adds others while the walk goes on. */
static void churn(unsigned step)
{
    char command[64];
    snprintf(command, sizeof command, "DEL k%u", (step * 2 + 1) % 1000);
    site_say(&site, command);
    snprintf(command, sizeof command, "SET other%u v", step);
    site_say(&site, command);
}

START_TEST(keys_scan_gives_what_stays_at_least_once)
{
    static unsigned times[1000];
    fill(1000);
    scan_all("COUNT 7", times, churn);
    for (unsigned i = 0; i < 1000; i += 2) {
        ck_assert_msg(times[i] >= 1, "k%u was not given", i);
    }
}
END_TEST

START_TEST(keys_scan_refuses_what_it_does_not_know)
{
    SAYS(&site, "SCAN x", "-ERR invalid cursor\r\n");
    SAYS(&site, "SCAN 18446744073709551616", "-ERR invalid cursor\r\n");
    SAYS(&site, "SCAN 0 COUNT 0", "-ERR syntax error\r\n");
    SAYS(&site, "SCAN 0 COUNT x", "-ERR value is not an integer or out of range\r\n");
    SAYS(&site, "SCAN 0 TYPE", "-ERR syntax error\r\n");
    SAYS(&site, "SCAN 0 FOO 1", "-ERR syntax error\r\n");
    SAYS(&site, "SCAN 0", "*2\r\n$1\r\n0\r\n*0\r\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("commands_keys");
    TCase *tests = tcase_create("keys");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, keys_are_deleted_counted_and_typed);
    tcase_add_test(tests, keys_match_patterns);
    tcase_add_test(tests, keys_flush_is_one_record);
    tcase_add_test(tests, keys_scan_gives_each_once_when_nothing_changes);
    tcase_add_test(tests, keys_scan_gives_what_stays_at_least_once);
    tcase_add_test(tests, keys_scan_refuses_what_it_does_not_know);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
