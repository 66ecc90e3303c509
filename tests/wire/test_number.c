#include "gossipd/wire/number.h"

#include "tests/support/runner.h"

#include <string.h>

START_TEST(number_reads_only_what_it_would_write)
{
    static const char *const wrong[] = {"", "-", "+1", " 1", "1 ", "01", "-0", "00", "1x", "0x1",
        "9223372036854775808", "-9223372036854775809", "18446744073709551616",
        "99999999999999999999", "1e3", "--1"};
    int64_t value = 42;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_msg(!number_parse(crdt_text(wrong[i]), &value), "%s", wrong[i]);
    }
    ck_assert_int_eq(value, 42);
    ck_assert(!number_parse((struct crdt_bytes){NULL, 0}, &value));
}
END_TEST

START_TEST(number_round_trips_at_its_edges)
{
    static const int64_t values[] = {
        0, 1, -1, 9, 10, -10, INT64_MAX, INT64_MIN, INT64_MAX - 1, INT64_MIN + 1};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[NUMBER_TEXT_BYTES];
        int64_t value = 7;
        size_t size = number_format(values[i], text);
        ck_assert(number_parse((struct crdt_bytes){text, size}, &value));
        ck_assert_int_eq(value, values[i]);
    }
}
END_TEST

START_TEST(number_writes_the_greatest_unsigned)
{
    char text[NUMBER_TEXT_BYTES + 1] = {0};
    ck_assert_uint_eq(number_format_unsigned(UINT64_MAX, text), 20);
    ck_assert_str_eq(text, "18446744073709551615");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("number");
    TCase *tests = tcase_create("number");
    tcase_add_test(tests, number_reads_only_what_it_would_write);
    tcase_add_test(tests, number_round_trips_at_its_edges);
    tcase_add_test(tests, number_writes_the_greatest_unsigned);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
