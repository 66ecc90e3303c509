/* Tokens: one encoding for every value, and no other is read. */
#include "tests/support/runner.h"

#include <crdt.h>
#include <stdlib.h>
#include <string.h>

static struct crdt_buffer buffer;

static void setup(void)
{
    crdt_buffer_init(&buffer, NULL);
}

static void teardown(void)
{
    crdt_buffer_close(&buffer);
}

/* The bounds of MessagePack's forms, each with its shortest encoding. */
static const struct {
    uint64_t value;
    const char *bytes;
    size_t size;
} uints[] = {
    {0, "\x00", 1}, {1, "\x01", 1}, {127, "\x7f", 1}, {128, "\xcc\x80", 2},
    {255, "\xcc\xff", 2}, {256, "\xcd\x01\x00", 3}, {65535, "\xcd\xff\xff", 3},
    {65536, "\xce\x00\x01\x00\x00", 5}, {4294967295u, "\xce\xff\xff\xff\xff", 5},
    {UINT64_C(4294967296), "\xcf\x00\x00\x00\x01\x00\x00\x00\x00", 9},
    {INT64_MAX, "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", 9},
    {UINT64_MAX, "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9},
};

static const struct {
    int64_t value;
    const char *bytes;
    size_t size;
} ints[] = {
    {-1, "\xff", 1}, {-32, "\xe0", 1}, {-33, "\xd0\xdf", 2}, {-128, "\xd0\x80", 2},
    {-129, "\xd1\xff\x7f", 3}, {-32768, "\xd1\x80\x00", 3},
    {-32769, "\xd2\xff\xff\x7f\xff", 5}, {-2147483648LL, "\xd2\x80\x00\x00\x00", 5},
    {-2147483649LL, "\xd3\xff\xff\xff\xff\x7f\xff\xff\xff", 9},
    {INT64_MIN, "\xd3\x80\x00\x00\x00\x00\x00\x00\x00", 9},
};

START_TEST(unsigned_numbers_have_their_shortest_form_and_come_back)
{
    for (size_t i = 0; i < sizeof uints / sizeof uints[0]; i++) {
        crdt_buffer_clear(&buffer);
        OK(crdt_write_uint(&buffer, uints[i].value));
        ck_assert_uint_eq(buffer.size, uints[i].size);
        ck_assert_mem_eq(buffer.data, uints[i].bytes, uints[i].size);
        struct crdt_bytes input = crdt_buffer_bytes(&buffer);
        uint64_t value;
        OK(crdt_read_uint(&input, UINT64_MAX, &value));
        ck_assert_uint_eq(value, uints[i].value);
        ck_assert_uint_eq(input.size, 0);
    }
}
END_TEST

START_TEST(signed_numbers_have_their_shortest_form_and_come_back)
{
    for (size_t i = 0; i < sizeof ints / sizeof ints[0]; i++) {
        crdt_buffer_clear(&buffer);
        OK(crdt_write_int(&buffer, ints[i].value));
        ck_assert_uint_eq(buffer.size, ints[i].size);
        ck_assert_mem_eq(buffer.data, ints[i].bytes, ints[i].size);
        struct crdt_bytes input = crdt_buffer_bytes(&buffer);
        int64_t value;
        OK(crdt_read_int(&input, &value));
        ck_assert_int_eq(value, ints[i].value);
        uint64_t positive;
        input = crdt_buffer_bytes(&buffer);
        ck_assert_int_eq(crdt_read_uint(&input, UINT64_MAX, &positive), CRDT_ERR_MALFORMED);
    }
    for (size_t i = 0; i < sizeof uints / sizeof uints[0]; i++) {
        struct crdt_bytes input = {uints[i].bytes, uints[i].size};
        int64_t value;
        if (uints[i].value > INT64_MAX) {
            ck_assert_int_eq(crdt_read_int(&input, &value), CRDT_ERR_MALFORMED);
            continue;
        }
        OK(crdt_read_int(&input, &value));
        ck_assert_int_eq(value, (int64_t)uints[i].value);
        crdt_buffer_clear(&buffer);
        OK(crdt_write_int(&buffer, value));
        ck_assert_mem_eq(buffer.data, uints[i].bytes, uints[i].size);
    }
}
END_TEST

START_TEST(byte_strings_have_their_shortest_form_and_come_back)
{
    static const size_t sizes[] = {0, 1, 31, 32, 255, 256, 65535, 65536, 70000};
    static const size_t heads[] = {2, 2, 2, 2, 2, 3, 3, 5, 5};
    static uint8_t data[70000];
    memset(data, 0xa5, sizeof data);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        crdt_buffer_clear(&buffer);
        OK(crdt_write_bytes(&buffer, (struct crdt_bytes){data, sizes[i]}));
        ck_assert_uint_eq(buffer.size, heads[i] + sizes[i]);
        ck_assert_uint_eq(buffer.data[0], heads[i] == 2 ? 0xc4 : heads[i] == 3 ? 0xc5 : 0xc6);
        struct crdt_bytes input = crdt_buffer_bytes(&buffer), got;
        OK(crdt_read_bytes(&input, sizes[i], &got));
        ck_assert_uint_eq(got.size, sizes[i]);
        ck_assert(got.size == 0 || memcmp(got.data, data, got.size) == 0);
        ck_assert_uint_eq(input.size, 0);
        input = crdt_buffer_bytes(&buffer);
        if (sizes[i] > 0)
            ck_assert_int_eq(
                crdt_read_bytes(&input, sizes[i] - 1, &got), CRDT_ERR_MALFORMED);
    }
}
END_TEST

/* Every form that a shorter one could replace, and every other type. */
static const struct {
    const char *bytes;
    size_t size;
} foreign[] = {
    {"\xcc\x00", 2}, {"\xcc\x7f", 2}, {"\xcd\x00\x00", 3}, {"\xcd\x00\xff", 3},
    {"\xce\x00\x00\x00\x00", 5}, {"\xce\x00\x00\xff\xff", 5},
    {"\xcf\x00\x00\x00\x00\x00\x00\x00\x00", 9}, {"\xcf\x00\x00\x00\x00\xff\xff\xff\xff", 9},
    {"\xd0\x00", 2}, {"\xd0\x7f", 2}, {"\xd0\xe0", 2}, {"\xd0\xff", 2}, {"\xd1\x00\x80", 3},
    {"\xd1\xff\x80", 3}, {"\xd1\x7f\xff", 3}, {"\xd2\x00\x00\x80\x00", 5},
    {"\xd2\xff\xff\x80\x00", 5}, {"\xd3\xff\xff\xff\xff\x80\x00\x00\x00", 9},
    {"\xd3\x7f\xff\xff\xff\xff\xff\xff\xff", 9},
    {"\xc5\x00\x01x", 4}, {"\xc6\x00\x00\x00\x01x", 6}, {"\xa1x", 2}, {"\xa0", 1},
    {"\xd9\x01x", 3}, {"\xc0", 1}, {"\xc1", 1}, {"\xc2", 1}, {"\xc3", 1}, {"\x90", 1},
    {"\x91\x01", 2}, {"\x80", 1}, {"\x81\x01\x01", 3}, {"\xca\x00\x00\x00\x00", 5},
    {"\xcb\x00\x00\x00\x00\x00\x00\x00\x00", 9}, {"\xd4\x01\x00", 3}, {"\xc7\x00\x01", 3},
    {"\xdc\x00\x00", 3}, {"\xdd\xff\xff\xff\xff", 5}, {"\xdf\xff\xff\xff\xff", 5},
};

START_TEST(whatever_is_not_shortest_or_of_another_type_is_refused)
{
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        struct crdt_bytes input = {foreign[i].bytes, foreign[i].size};
        uint64_t u = 77;
        int64_t s = 77;
        struct crdt_bytes bytes = {&u, 77};
        ck_assert_msg(crdt_read_uint(&input, UINT64_MAX, &u) == CRDT_ERR_MALFORMED,
            "form %u, first byte %02x, is read as a number", (unsigned)i,
            *(const uint8_t *)input.data);
        ck_assert_int_eq(crdt_read_int(&input, &s), CRDT_ERR_MALFORMED);
        ck_assert_int_eq(crdt_read_bytes(&input, 1000, &bytes), CRDT_ERR_MALFORMED);
        ck_assert_ptr_eq(input.data, foreign[i].bytes);
        ck_assert_uint_eq(input.size, foreign[i].size);
        ck_assert_uint_eq(u, 77);
        ck_assert_int_eq(s, 77);
        ck_assert_uint_eq(bytes.size, 77);
    }
}
END_TEST

START_TEST(every_truncation_is_refused_and_leaves_the_input)
{
    for (size_t i = 0; i < sizeof uints / sizeof uints[0]; i++)
        for (size_t size = 0; size < uints[i].size; size++) {
            struct crdt_bytes input = {uints[i].bytes, size};
            uint64_t value;
            ck_assert_int_eq(crdt_read_uint(&input, UINT64_MAX, &value), CRDT_ERR_MALFORMED);
            ck_assert_uint_eq(input.size, size);
        }
    OK(crdt_write_bytes(&buffer, (struct crdt_bytes){"hello", 5}));
    for (size_t size = 0; size < buffer.size; size++) {
        /* A copy of just these bytes, so that ASan sees a read beyond them. */
        uint8_t *copy = malloc(size + 1);
        memcpy(copy + 1, buffer.data, size);
        struct crdt_bytes input = {copy + 1, size}, got;
        ck_assert_int_eq(crdt_read_bytes(&input, 1000, &got), CRDT_ERR_MALFORMED);
        ck_assert_uint_eq(input.size, size);
        free(copy);
    }
}
END_TEST

START_TEST(number_above_its_bound_is_refused)
{
    struct crdt_bytes input = {"\x0a", 1};
    uint64_t value = 77;
    ck_assert_int_eq(crdt_read_uint(&input, 9, &value), CRDT_ERR_MALFORMED);
    ck_assert_uint_eq(value, 77);
    OK(crdt_read_uint(&input, 10, &value));
    ck_assert_uint_eq(value, 10);
}
END_TEST

START_TEST(length_larger_than_the_bytes_at_hand_is_refused)
{
    struct crdt_bytes input = {"\xc6\xff\xff\xff\xff" "abc", 8}, got;
    ck_assert_int_eq(crdt_read_bytes(&input, SIZE_MAX, &got), CRDT_ERR_MALFORMED);
    ck_assert_uint_eq(input.size, 8);
}
END_TEST

START_TEST(reads_take_one_value_after_the_other)
{
    OK(crdt_write_uint(&buffer, 300));
    OK(crdt_write_bytes(&buffer, crdt_text("abc")));
    OK(crdt_write_int(&buffer, -5));
    struct crdt_bytes input = crdt_buffer_bytes(&buffer), text;
    uint64_t u;
    int64_t s;
    OK(crdt_read_uint(&input, 1000, &u));
    OK(crdt_read_bytes(&input, 3, &text));
    OK(crdt_read_int(&input, &s));
    ck_assert_uint_eq(u, 300);
    ck_assert_int_eq(s, -5);
    ck_assert_mem_eq(text.data, "abc", 3);
    ck_assert_uint_eq(input.size, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokens");
    TCase *tests = tcase_create("tokens");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, unsigned_numbers_have_their_shortest_form_and_come_back);
    tcase_add_test(tests, signed_numbers_have_their_shortest_form_and_come_back);
    tcase_add_test(tests, byte_strings_have_their_shortest_form_and_come_back);
    tcase_add_test(tests, whatever_is_not_shortest_or_of_another_type_is_refused);
    tcase_add_test(tests, every_truncation_is_refused_and_leaves_the_input);
    tcase_add_test(tests, number_above_its_bound_is_refused);
    tcase_add_test(tests, length_larger_than_the_bytes_at_hand_is_refused);
    tcase_add_test(tests, reads_take_one_value_after_the_other);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
