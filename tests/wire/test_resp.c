#include "gossipd/wire/resp.h"

#include "gossipd/limits.h"
#include "tests/support/memory.h"
#include "tests/support/runner.h"

#include <string.h>

#define BULK_BYTES_MAX 1000

/* Appends text to a transcript that is compared as a string. */
static void say(struct crdt_buffer *transcript, const void *bytes, size_t size)
{
    OK(crdt_buffer_append(transcript, bytes, size));
}

/* What a reader makes of the input in pieces: `get a|set b c|-error`, `close`. */
static void transcribe(const char *input, size_t size, size_t piece, struct crdt_buffer *transcript)
{
    struct resp_reader reader;
    enum resp_result result = RESP_MORE;
    const struct crdt_bytes *arguments;
    const char *error = NULL;
    size_t count;
    resp_reader_init(&reader, NULL, BULK_BYTES_MAX);
    for (size_t at = 0; at < size && result == RESP_MORE; at += piece) {
        OK(resp_reader_feed(&reader, input + at, size - at < piece ? size - at : piece));
        while ((result = resp_reader_next(&reader, &arguments, &count, &error)) == RESP_COMMAND) {
            for (size_t i = 0; i < count; i++) {
                say(transcript, arguments[i].data, arguments[i].size);
                say(transcript, i + 1 < count ? " " : "|", 1);
            }
        }
    }
    if (result == RESP_ERROR) {
        say(transcript, error, strlen(error));
    } else if (result == RESP_CLOSE) {
        say(transcript, "close", 5);
    }
    say(transcript, "", 1);
    resp_reader_close(&reader);
}

static void expect_sized(const char *input, size_t size, const char *wanted)
{
    static const size_t pieces[] = {1, 2, 3, 7, 1000000};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct crdt_buffer transcript;
        crdt_buffer_init(&transcript, NULL);
        transcribe(input, size, pieces[i], &transcript);
        ck_assert_str_eq((const char *)transcript.data, wanted);
        crdt_buffer_close(&transcript);
    }
}

static void expect(const char *input, const char *wanted)
{
    expect_sized(input, strlen(input), wanted);
}

START_TEST(resp_reads_pipelined_commands_in_any_pieces)
{
    expect("*2\r\n$3\r\nget\r\n$1\r\na\r\n*3\r\n$3\r\nset\r\n$1\r\nb\r\n$0\r\n\r\nping\r\n",
        "get a|set b |ping|");
    expect("*1\r\n$4\r\nping\r\n*2\r\n$4\r\necho\r\n$5\r\na", "ping|");
}
END_TEST

START_TEST(resp_gives_binary_arguments_whole)
{
    expect_sized("*2\r\n$4\r\necho\r\n$4\r\n\r\n*\n\r\n", 24, "echo \r\n*\n|");
}
END_TEST

START_TEST(resp_skips_empty_commands)
{
    expect("*0\r\n\r\n  \r\n*-1\r\n\nping\n", "ping|");
}
END_TEST

START_TEST(resp_unquotes_inline_commands)
{
    expect("set k \"a b\"\r\n", "set k a b|");
    expect("set k \"\\x41\\n\\\"\\q\"\n", "set k A\n\"q|");
    expect("set k 'it\\'s \\n'\n", "set k it's \\n|");
    expect("set  k\t\"\"\n", "set k |");
    expect("set pre\"fix ed\"\n", "set prefix ed|");
}
END_TEST

START_TEST(resp_refuses_unbalanced_quotes)
{
    static const char wanted[] = "Protocol error: unbalanced quotes in request";
    expect("set k \"a\r\n", wanted);
    expect("set k 'a\r\n", wanted);
    expect("set k \"a\"b\r\n", wanted);
    expect("set k \"a\\\"\r\n", wanted);
}
END_TEST

START_TEST(resp_refuses_wrong_counts_as_redis_does)
{
    static const char wrong_count[] = "Protocol error: invalid multibulk length";
    static const char wrong_size[] = "Protocol error: invalid bulk length";
    expect("*2147483647\r\n", wrong_count);
    expect("*1048577\r\n", wrong_count);
    expect("*x\r\n", wrong_count);
    expect("*\r\n", wrong_count);
    expect("*01\r\n", wrong_count);
    expect("*1\r\n$-5\r\n", wrong_size);
    expect("*1\r\n$x\r\n", wrong_size);
    expect("*1\r\n$1001\r\n", wrong_size);
    expect("*1\r\n$\r\n", wrong_size);
    expect("*1\r\n$99999999999999999999\r\n", wrong_size);
}
END_TEST

START_TEST(resp_names_the_byte_that_is_no_dollar)
{
    expect("*1\r\nx3\r\n", "Protocol error: expected '$', got 'x'");
    expect("*2\r\n$3\r\nget\r\n:1\r\n", "Protocol error: expected '$', got ':'");
    expect("*1\r\n\r\n", "Protocol error: expected '$', got '\r'");
}
END_TEST

START_TEST(resp_bounds_lines_that_do_not_end)
{
    static char input[2 * INLINE_BYTES_MAX];
    memset(input, 'a', sizeof input);
    struct crdt_buffer transcript;
    static const struct {
        const char *start;
        const char *wanted;
    } cases[] = {
        {"a", "Protocol error: too big inline request"},
        {"*1", "Protocol error: too big mbulk count string"},
        {"*1\r\n$", "Protocol error: too big bulk count string"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memcpy(input, cases[i].start, strlen(cases[i].start));
        for (size_t piece = 1000; piece < sizeof input * 2; piece *= 16) {
            crdt_buffer_init(&transcript, NULL);
            transcribe(input, sizeof input, piece, &transcript);
            ck_assert_str_eq((const char *)transcript.data, cases[i].wanted);
            crdt_buffer_close(&transcript);
        }
    }
}
END_TEST

START_TEST(resp_closes_on_http)
{
    expect("POST / HTTP/1.1\r\nHost: x\r\n\r\n", "close");
    expect("GET / HTTP/1.1\r\nhost: x\r\n\r\n", "GET / HTTP/1.1|close");
    expect("*1\r\n$4\r\nPoSt\r\n", "close");
}
END_TEST

START_TEST(resp_allocates_nothing_for_a_claim)
{
    struct test_memory memory = {.held = 0};
    struct crdt_memory hook = test_memory_hook(&memory);
    struct resp_reader reader;
    const struct crdt_bytes *arguments;
    const char *error;
    size_t count;
    static const char input[] = "*1048576\r\n$536870912\r\nabc";
    resp_reader_init(&reader, &hook, (size_t)512 << 20);
    OK(resp_reader_feed(&reader, input, sizeof input - 1));
    ck_assert_int_eq(resp_reader_next(&reader, &arguments, &count, &error), RESP_MORE);
    ck_assert_uint_lt(memory.peak, 1024);
    resp_reader_close(&reader);
    ck_assert_uint_eq(memory.held, 0);
}
END_TEST

/* A large command, read; then the reader is idle. */
START_TEST(resp_gives_memory_back_when_idle)
{
    struct test_memory memory = {.held = 0};
    struct crdt_memory hook = test_memory_hook(&memory);
    struct resp_reader reader;
    static char body[1 << 20];
    const struct crdt_bytes *arguments;
    const char *error;
    size_t count;
    resp_reader_init(&reader, &hook, sizeof body);
    OK(resp_reader_feed(&reader, "*1\r\n$1048576\r\n", 14));
    OK(resp_reader_feed(&reader, body, sizeof body));
    OK(resp_reader_feed(&reader, "\r\n", 2));
    ck_assert_int_eq(resp_reader_next(&reader, &arguments, &count, &error), RESP_COMMAND);
    ck_assert_uint_eq(arguments[0].size, sizeof body);
    ck_assert_int_eq(resp_reader_next(&reader, &arguments, &count, &error), RESP_MORE);
    ck_assert_uint_le(memory.held, 3 * RESP_KEEP_BYTES);
    resp_reader_close(&reader);
}
END_TEST

/* Every request for memory fails in turn; the reader goes on where it stood. */
START_TEST(resp_survives_every_failing_allocation)
{
    static const char input[] = "*9\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n"
                                "$1\r\nf\r\n$1\r\ng\r\n$1\r\nh\r\n$1\r\ni\r\n1 2 \"3\" 4\r\n";
    uint64_t requests = 1;
    for (uint64_t fail_at = 1; fail_at <= requests; fail_at++) {
        struct test_memory memory = {.fail_at = fail_at};
        struct crdt_memory hook = test_memory_hook(&memory);
        struct resp_reader reader;
        const struct crdt_bytes *arguments;
        const char *error;
        size_t count;
        resp_reader_init(&reader, &hook, BULK_BYTES_MAX);
        while (resp_reader_feed(&reader, input, sizeof input - 1) != CRDT_OK) {
        }
        enum resp_result result;
        while ((result = resp_reader_next(&reader, &arguments, &count, &error)) == RESP_NOMEM) {
        }
        ck_assert_int_eq(result, RESP_COMMAND);
        ck_assert_uint_eq(count, 9);
        ck_assert_int_eq(*(const char *)arguments[8].data, 'i');
        while ((result = resp_reader_next(&reader, &arguments, &count, &error)) == RESP_NOMEM) {
        }
        ck_assert_int_eq(result, RESP_COMMAND);
        ck_assert_uint_eq(count, 4);
        resp_reader_close(&reader);
        ck_assert_uint_eq(memory.held, 0);
        requests = memory.requests;
    }
    ck_assert_uint_gt(requests, 3);
}
END_TEST

START_TEST(resp_writes_every_reply)
{
    struct crdt_buffer reply;
    crdt_buffer_init(&reply, NULL);
    OK(resp_simple(&reply, "OK"));
    OK(resp_error(&reply, "ERR a\r\nb"));
    OK(resp_integer(&reply, -7));
    OK(resp_bulk(&reply, crdt_text("a\r\nb")));
    OK(resp_bulk(&reply, (struct crdt_bytes){NULL, 0}));
    OK(resp_null(&reply));
    OK(resp_null_array(&reply));
    OK(resp_array(&reply, 2));
    say(&reply, "", 1);
    ck_assert_str_eq((const char *)reply.data,
        "+OK\r\n-ERR a  b\r\n:-7\r\n$4\r\na\r\nb\r\n$0\r\n\r\n$-1\r\n*-1\r\n*2\r\n");
    crdt_buffer_close(&reply);
}
END_TEST

START_TEST(resp_reply_without_memory_leaves_the_buffer)
{
    struct test_memory memory = {.held = 0};
    struct crdt_memory hook = test_memory_hook(&memory);
    static const char large[4096] = "x";
    enum crdt_status status = CRDT_ERR_NOMEM;
    unsigned failures = 0;
    while (status != CRDT_OK) {
        struct crdt_buffer reply;
        crdt_buffer_init(&reply, &hook);
        OK(resp_simple(&reply, "OK"));
        memory.fail_at = memory.requests + failures + 1;
        status = resp_bulk(&reply, (struct crdt_bytes){large, sizeof large});
        if (status != CRDT_OK) {
            failures++;
            ck_assert_uint_eq(reply.size, 5);
        }
        memory.fail_at = 0;
        crdt_buffer_close(&reply);
    }
    ck_assert_uint_ge(failures, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resp");
    TCase *tests = tcase_create("resp");
    tcase_add_test(tests, resp_reads_pipelined_commands_in_any_pieces);
    tcase_add_test(tests, resp_gives_binary_arguments_whole);
    tcase_add_test(tests, resp_skips_empty_commands);
    tcase_add_test(tests, resp_unquotes_inline_commands);
    tcase_add_test(tests, resp_refuses_unbalanced_quotes);
    tcase_add_test(tests, resp_refuses_wrong_counts_as_redis_does);
    tcase_add_test(tests, resp_names_the_byte_that_is_no_dollar);
    tcase_add_test(tests, resp_bounds_lines_that_do_not_end);
    tcase_add_test(tests, resp_closes_on_http);
    tcase_add_test(tests, resp_allocates_nothing_for_a_claim);
    tcase_add_test(tests, resp_gives_memory_back_when_idle);
    tcase_add_test(tests, resp_survives_every_failing_allocation);
    tcase_add_test(tests, resp_writes_every_reply);
    tcase_add_test(tests, resp_reply_without_memory_leaves_the_buffer);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
