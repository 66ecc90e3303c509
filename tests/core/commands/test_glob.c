#include "gossipd/core/commands/glob.h"

#include "tests/support/runner.h"

#include <string.h>

static bool matches(const char *pattern, const char *text)
{
    return glob_match(crdt_text(pattern), crdt_text(text), false);
}

START_TEST(glob_matches_as_redis_does)
{
    static const char *const yes[][2] = {{"*", ""}, {"*", "abc"}, {"", ""}, {"a*", "a"},
        {"*b", "ab"}, {"a*c", "abbc"}, {"a**c", "ac"}, {"?", "x"}, {"h[ae]llo", "hallo"},
        {"h[^e]llo", "hallo"},
        {"h[a-c]llo", "hbllo"}, {"h[c-a]llo", "hbllo"}, {"\\*", "*"}, {"[\\]]", "]"}, {"[abc", "b"},
        {"*a*b*", "xxaxxbxx"}, {"*[0-9]", "key:7"}, {"a\\", "a\\"}, {"*aab", "aaaab"}};
    static const char *const no[][2] = {{"", "a"}, {"?", ""}, {"a*c", "abb"},
        {"h[^e]llo", "hello"},
        {"\\*", "a"}, {"a", "A"}, {"[a-c]", "d"}, {"abc", "ab"}, {"ab", "abc"}, {"*aab", "aaba"}};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        ck_assert_msg(matches(yes[i][0], yes[i][1]), "%s %s", yes[i][0], yes[i][1]);
    }
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
        ck_assert_msg(!matches(no[i][0], no[i][1]), "%s %s", no[i][0], no[i][1]);
    }
}
END_TEST

START_TEST(glob_can_ignore_case)
{
    ck_assert(glob_match(crdt_text("APP*[N-P]LY"), crdt_text("appendonly"), true));
    ck_assert(!glob_match(crdt_text("APP*"), crdt_text("appendonly"), false));
}
END_TEST

/* Exponential in matchers that try again at every star; Check's timeout ends
 * the test then. */
START_TEST(glob_is_quick_on_evil_patterns)
{
    char text[20001];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    ck_assert(!matches("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", text));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("commands_glob");
    TCase *tests = tcase_create("glob");
    tcase_add_test(tests, glob_matches_as_redis_does);
    tcase_add_test(tests, glob_can_ignore_case);
    tcase_add_test(tests, glob_is_quick_on_evil_patterns);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
