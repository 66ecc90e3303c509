#include "gossipd/wire/message.h"

#include "tests/support/choice.h"
#include "tests/support/runner.h"

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

static struct message example(enum message_kind kind, bool is_large)
{
    static const uint8_t content[70] = {1, 2, 3};
    struct crdt_bytes bytes = {.data = content, .size = is_large ? sizeof content : 0};
    struct message message = {.kind = kind};
    switch (kind) {
    case MESSAGE_COMPARE:
        memset(message.as.compare.context, 1, CRDT_HASH_BYTES);
        memset(message.as.compare.heads, 2, CRDT_HASH_BYTES);
        message.as.compare.is_durable = is_large;
        message.as.compare.has_state = is_large;
        message.as.compare.probe = is_large ? 300 : 1;
        memset(message.as.compare.state, is_large ? 3 : 0, CRDT_HASH_BYTES);
        break;
    case MESSAGE_SUMMARY:
        message.as.summary.is_reply = is_large;
        message.as.summary.probe = is_large ? UINT64_MAX : 0;
        message.as.summary.summary = bytes;
        message.as.summary.held = bytes;
        break;
    case MESSAGE_BATCH:
        memset(message.as.batch.signature, 4, MESSAGE_SIGNATURE_BYTES);
        message.as.batch.batch = bytes;
        break;
    case MESSAGE_ACK:
        message.as.ack.summary = bytes;
        break;
    case MESSAGE_OFFER:
        memset(message.as.offer.hash, 5, CRDT_HASH_BYTES);
        message.as.offer.bytes = is_large ? UINT64_MAX : 1;
        message.as.offer.parts = is_large ? 70000 : 1;
        message.as.offer.tips = bytes;
        break;
    case MESSAGE_ASK:
        memset(message.as.ask.hash, 6, CRDT_HASH_BYTES);
        message.as.ask.part = is_large ? UINT64_MAX : 0;
        break;
    case MESSAGE_PART:
        memset(message.as.part.hash, 7, CRDT_HASH_BYTES);
        message.as.part.part = is_large ? 300 : 0;
        message.as.part.is_gone = !is_large;
        message.as.part.bytes = bytes;
        break;
    case MESSAGE_HEADS:
        message.as.heads.tips = bytes;
        break;
    }
    return message;
}

START_TEST(message_says_again_what_it_read)
{
    for (int kind = MESSAGE_COMPARE; kind <= MESSAGE_HEADS; kind++) {
        for (int is_large = 0; is_large < 2; is_large++) {
            struct message message = example((enum message_kind)kind, is_large == 1);
            crdt_buffer_clear(&buffer);
            OK(message_write(&buffer, &message));
            struct message read;
            OK(message_read(crdt_buffer_bytes(&buffer), &read));
            ck_assert_int_eq((int)read.kind, kind);
            struct crdt_buffer again;
            crdt_buffer_init(&again, NULL);
            OK(message_write(&again, &read));
            ck_assert_uint_eq(again.size, buffer.size);
            ck_assert_int_eq(memcmp(again.data, buffer.data, again.size), 0);
            crdt_buffer_close(&again);
        }
    }
}
END_TEST

START_TEST(message_has_no_room_for_more_or_less)
{
    for (int kind = MESSAGE_COMPARE; kind <= MESSAGE_HEADS; kind++) {
        struct message message = example((enum message_kind)kind, true);
        crdt_buffer_clear(&buffer);
        OK(message_write(&buffer, &message));
        struct message read;
        for (size_t size = 0; size < buffer.size; size++) {
            struct crdt_bytes cut = {.data = buffer.data, .size = size};
            ck_assert_int_eq(message_read(cut, &read), CRDT_ERR_MALFORMED);
        }
        OK(crdt_buffer_append(&buffer, "\0", 1));
        ck_assert_int_eq(
            message_read(crdt_buffer_bytes(&buffer), &read), CRDT_ERR_MALFORMED);
    }
}
END_TEST

START_TEST(message_of_an_unknown_kind_is_malformed)
{
    struct message read;
    for (uint64_t kind = 0; kind < 300; kind++) {
        if (kind >= MESSAGE_COMPARE && kind <= MESSAGE_HEADS)
            continue;
        crdt_buffer_clear(&buffer);
        OK(crdt_write_uint(&buffer, kind));
        ck_assert_int_eq(
            message_read(crdt_buffer_bytes(&buffer), &read), CRDT_ERR_MALFORMED);
    }
}
END_TEST

START_TEST(message_with_a_hash_of_another_size_is_malformed)
{
    struct crdt_bytes wrong[] = {
        {.data = "", .size = 0}, {.data = "0123456789012345678901234567890", .size = 31}};
    for (size_t index = 0; index < 2; index++) {
        crdt_buffer_clear(&buffer);
        OK(crdt_write_uint(&buffer, MESSAGE_COMPARE));
        OK(crdt_write_bytes(&buffer, wrong[index]));
        OK(crdt_write_bytes(&buffer, wrong[index]));
        OK(crdt_write_uint(&buffer, 0));
        OK(crdt_write_uint(&buffer, 0));
        struct message read;
        ck_assert_int_eq(
            message_read(crdt_buffer_bytes(&buffer), &read), CRDT_ERR_MALFORMED);
    }
}
END_TEST

static void write_offer(uint64_t bytes, uint64_t parts)
{
    static const uint8_t hash[CRDT_HASH_BYTES] = {1};
    struct crdt_bytes hash_bytes = {.data = hash, .size = sizeof hash};
    crdt_buffer_clear(&buffer);
    OK(crdt_write_uint(&buffer, MESSAGE_OFFER));
    OK(crdt_write_bytes(&buffer, hash_bytes));
    OK(crdt_write_uint(&buffer, bytes));
    OK(crdt_write_uint(&buffer, parts));
    OK(crdt_write_bytes(&buffer, crdt_text("tips")));
}

START_TEST(message_offers_one_part_at_least_and_none_without_a_byte)
{
    const struct {
        uint64_t bytes, parts;
        bool is_good;
    } cases[] = {{0, 0, false}, {1, 0, false}, {1, 1, true}, {1, 2, false}, {9, 3, true},
        {9, 9, true}, {9, 10, false}};
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        write_offer(cases[index].bytes, cases[index].parts);
        struct message read;
        ck_assert_int_eq(message_read(crdt_buffer_bytes(&buffer), &read),
            cases[index].is_good ? CRDT_OK : CRDT_ERR_MALFORMED);
    }
}
END_TEST

START_TEST(message_gives_a_part_that_is_gone_no_bytes_and_any_other_some)
{
    static const uint8_t hash[CRDT_HASH_BYTES] = {1};
    for (uint64_t is_gone = 0; is_gone < 2; is_gone++) {
        for (size_t size = 0; size < 2; size++) {
            crdt_buffer_clear(&buffer);
            OK(crdt_write_uint(&buffer, MESSAGE_PART));
            OK(crdt_write_bytes(&buffer, (struct crdt_bytes){.data = hash, .size = sizeof hash}));
            OK(crdt_write_uint(&buffer, 0));
            OK(crdt_write_uint(&buffer, is_gone));
            OK(crdt_write_bytes(&buffer, (struct crdt_bytes){.data = "x", .size = size}));
            struct message read;
            ck_assert_int_eq(message_read(crdt_buffer_bytes(&buffer), &read),
                is_gone != size ? CRDT_OK : CRDT_ERR_MALFORMED);
        }
    }
}
END_TEST

START_TEST(message_of_random_bytes_is_read_in_its_one_form_or_refused)
{
    bool is_fixed;
    struct choice choice = choice_from_seed(choice_seed("message", &is_fixed));
    for (int round = 0; round < 200000; round++) {
        uint8_t bytes[120];
        size_t size = choice_below(&choice, sizeof bytes);
        for (size_t index = 0; index < size; index++)
            bytes[index] = (uint8_t)choice_u64(&choice);
        if (size > 2) {
            bytes[0] = (uint8_t)choice_below(&choice, 8);
            bytes[1] = (uint8_t)(choice_below(&choice, 2) == 0 ? 0xc4 : choice_below(&choice, 3));
        }
        struct message read;
        if (message_read((struct crdt_bytes){.data = bytes, .size = size}, &read) != CRDT_OK)
            continue;
        crdt_buffer_clear(&buffer);
        OK(message_write(&buffer, &read));
        ck_assert_uint_eq(buffer.size, size);
        ck_assert_int_eq(memcmp(buffer.data, bytes, size), 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("message");
    TCase *tests = tcase_create("message");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, message_says_again_what_it_read);
    tcase_add_test(tests, message_has_no_room_for_more_or_less);
    tcase_add_test(tests, message_of_an_unknown_kind_is_malformed);
    tcase_add_test(tests, message_with_a_hash_of_another_size_is_malformed);
    tcase_add_test(tests, message_offers_one_part_at_least_and_none_without_a_byte);
    tcase_add_test(tests, message_gives_a_part_that_is_gone_no_bytes_and_any_other_some);
    tcase_add_test(tests, message_of_random_bytes_is_read_in_its_one_form_or_refused);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
