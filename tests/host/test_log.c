#include "gossipd/host/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gossipd/limits.h"
#include "tests/host/support.h"
#include "tests/support/runner.h"

static char text[1u << 20];

static void setup(void)
{
    support_directory();
}

/* What `write_lines` writes to stderr. */
static void capture(void (*write_lines)(void))
{
    const char *path = support_write("log", "");
    int old = dup(STDERR_FILENO);
    int fd = open(path, O_RDWR | O_APPEND);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
    write_lines();
    ck_assert_int_ge(dup2(old, STDERR_FILENO), 0);
    ssize_t size = pread(fd, text, sizeof text - 1, 0);
    ck_assert_int_gt(size, 0);
    text[size] = '\0';
    close(fd);
    close(old);
}

static size_t count(const char *word)
{
    size_t found = 0;
    for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word)) {
        found++;
    }
    return found;
}

static void write_many(void)
{
    for (size_t i = 0; i < 20 * LOG_LINES_PER_SECOND; i++) {
        log_write(CORE_INFO, "stranger", "number=%zu", i);
    }
    log_write(CORE_ALARM, "fire", "%s", "");
}

START_TEST(an_alarm_is_written_when_strangers_have_used_up_the_lines)
{
    capture(write_many);
    ck_assert_uint_eq(count("event=fire"), 1);
    /* At the turn of a second the budget begins anew. */
    ck_assert_uint_le(count("event=stranger"), 3 * LOG_LINES_PER_SECOND);
}
END_TEST

static void write_alarms(void)
{
    for (size_t i = 0; i < 20 * LOG_LINES_PER_SECOND; i++) {
        log_write(CORE_ALARM, "fire", "%s", "");
    }
}

START_TEST(alarms_are_bounded_too)
{
    capture(write_alarms);
    ck_assert_uint_le(count("event=fire"), 3 * LOG_LINES_PER_SECOND);
}
END_TEST

static void write_foreign(void)
{
    log_write(CORE_INFO, "name", "name=\"%s\"", "a\nlevel=alarm\033[2J");
}

START_TEST(foreign_bytes_begin_no_line_and_move_no_terminal)
{
    capture(write_foreign);
    ck_assert_uint_eq(count("\n"), 1);
    ck_assert_uint_eq(count("\033"), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *tests = tcase_create("log");
    tcase_add_checked_fixture(tests, setup, support_remove);
    tcase_add_test(tests, an_alarm_is_written_when_strangers_have_used_up_the_lines);
    tcase_add_test(tests, alarms_are_bounded_too);
    tcase_add_test(tests, foreign_bytes_begin_no_line_and_move_no_terminal);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
