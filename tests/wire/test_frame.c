#include "gossipd/wire/frame.h"

#include "gossipd/limits.h"
#include "tests/support/choice.h"
#include "tests/support/memory.h"
#include "tests/support/runner.h"

#include <string.h>

static struct crdt_bytes filled(struct crdt_buffer *buffer, size_t size, uint8_t first)
{
    uint8_t bytes[1000];
    crdt_buffer_init(buffer, NULL);
    for (size_t at = 0; at < size; at += sizeof bytes) {
        size_t left = size - at < sizeof bytes ? size - at : sizeof bytes;
        memset(bytes, (int)(first + at / sizeof bytes), sizeof bytes);
        OK(crdt_buffer_append(buffer, bytes, left));
    }
    return crdt_buffer_bytes(buffer);
}

static void pull_all(struct frame_writer *writer, struct crdt_buffer *stream)
{
    OK(frame_writer_pull(writer, SIZE_MAX, stream));
    ck_assert_uint_eq(frame_writer_bytes(writer, FRAME_CONTROL), 0);
    ck_assert_uint_eq(frame_writer_bytes(writer, FRAME_BULK), 0);
}

START_TEST(a_message_comes_back_whole_however_the_stream_is_cut)
{
    static const size_t sizes[] = {1, 2, 65535, 65536, 65537, 200000};
    bool is_fixed = false;
    struct choice choice = choice_from_seed(choice_seed("frame", &is_fixed));
    struct frame_writer writer;
    struct frame_reader reader;
    struct crdt_buffer messages[6];
    struct crdt_buffer stream;
    frame_writer_init(&writer, NULL);
    frame_reader_init(&reader, NULL);
    crdt_buffer_init(&stream, NULL);
    for (size_t i = 0; i < 6; i++) {
        struct crdt_bytes bytes = filled(&messages[i], sizes[i], (uint8_t)i);
        OK(frame_writer_push(&writer, i % 2 == 0 ? FRAME_BULK : FRAME_CONTROL, bytes));
    }
    pull_all(&writer, &stream);
    size_t given = 0;
    for (size_t at = 0; at < stream.size;) {
        size_t size = 1 + choice_below(&choice, choice_below(&choice, 2) == 0 ? 3 : 90000);
        size = size < stream.size - at ? size : stream.size - at;
        struct crdt_bytes input = {stream.data + at, size};
        enum frame_channel channel;
        struct crdt_bytes message;
        enum frame_result result;
        while ((result = frame_reader_next(&reader, &input, &channel, &message)) ==
            FRAME_MESSAGE) {
            /* Control first: 1, 3, 5; then bulk: 0, 2, 4. */
            size_t index = given < 3 ? 2 * given + 1 : 2 * (given - 3);
            ck_assert_int_eq(channel, given < 3 ? FRAME_CONTROL : FRAME_BULK);
            ck_assert_uint_eq(message.size, sizes[index]);
            ck_assert_mem_eq(message.data, messages[index].data, message.size);
            given++;
        }
        ck_assert_int_eq(result, FRAME_MORE);
        ck_assert_uint_eq(input.size, 0);
        at += size;
    }
    ck_assert_uint_eq(given, 6);
    for (size_t i = 0; i < 6; i++) {
        crdt_buffer_close(&messages[i]);
    }
    crdt_buffer_close(&stream);
    frame_writer_close(&writer);
    frame_reader_close(&reader);
}
END_TEST

START_TEST(control_passes_between_the_pieces_of_a_bulk_message)
{
    struct frame_writer writer;
    struct frame_reader reader;
    struct crdt_buffer large;
    struct crdt_buffer stream;
    frame_writer_init(&writer, NULL);
    frame_reader_init(&reader, NULL);
    crdt_buffer_init(&stream, NULL);
    OK(frame_writer_push(&writer, FRAME_BULK, filled(&large, 500000, 1)));
    OK(frame_writer_pull(&writer, 1, &stream));
    ck_assert_uint_eq(stream.size, FRAME_HEADER_BYTES + FRAME_PIECE_BYTES_MAX);
    OK(frame_writer_push(&writer, FRAME_CONTROL, crdt_text("heartbeat")));
    pull_all(&writer, &stream);
    struct crdt_bytes input = crdt_buffer_bytes(&stream);
    enum frame_channel channel;
    struct crdt_bytes message;
    ck_assert_int_eq(frame_reader_next(&reader, &input, &channel, &message), FRAME_MESSAGE);
    ck_assert_int_eq(channel, FRAME_CONTROL);
    ck_assert_uint_gt(input.size, 400000);
    ck_assert_int_eq(frame_reader_next(&reader, &input, &channel, &message), FRAME_MESSAGE);
    ck_assert_int_eq(channel, FRAME_BULK);
    ck_assert_uint_eq(message.size, 500000);
    ck_assert_mem_eq(message.data, large.data, large.size);
    crdt_buffer_close(&large);
    crdt_buffer_close(&stream);
    frame_writer_close(&writer);
    frame_reader_close(&reader);
}
END_TEST

static enum frame_result read_word(uint32_t word, size_t control_max, size_t bulk_max)
{
    struct frame_reader reader;
    struct test_memory memory = {0};
    struct crdt_memory hook = test_memory_hook(&memory);
    const uint8_t bytes[] = {
        (uint8_t)(word >> 24), (uint8_t)(word >> 16), (uint8_t)(word >> 8), (uint8_t)word};
    struct crdt_bytes input = {bytes, sizeof bytes};
    enum frame_channel channel;
    struct crdt_bytes message;
    frame_reader_init(&reader, &hook);
    reader.message_bytes_max[FRAME_CONTROL] = control_max;
    reader.message_bytes_max[FRAME_BULK] = bulk_max;
    enum frame_result result = frame_reader_next(&reader, &input, &channel, &message);
    ck_assert_uint_eq(memory.peak, 0);
    frame_reader_close(&reader);
    return result;
}

START_TEST(a_bad_length_is_malformed_before_anything_is_allocated)
{
    ck_assert_int_eq(read_word(0x40000000, 100, 100), FRAME_MALFORMED);
    ck_assert_int_eq(read_word(0x00000000, 100, 100), FRAME_MALFORMED);
    ck_assert_int_eq(read_word(0x40000000 | 65537, 1 << 20, 1 << 20), FRAME_MALFORMED);
    ck_assert_int_eq(read_word(0xffffffff, 1 << 20, 1 << 20), FRAME_MALFORMED);
    ck_assert_int_eq(read_word(0x40000000 | 101, 100, 1000), FRAME_MALFORMED);
    ck_assert_int_eq(read_word(0x40000000 | 100, 100, 1000), FRAME_MORE);
    ck_assert_int_eq(read_word(0xc0000000 | 1, 100, 0), FRAME_MALFORMED);
    ck_assert_int_eq(read_word(0xc0000000 | 1000, 100, 1000), FRAME_MORE);
    ck_assert_int_eq(read_word(0x474554, 512, 0), FRAME_MALFORMED);
}
END_TEST

START_TEST(a_message_that_never_ends_is_malformed_at_its_limit)
{
    struct frame_reader reader;
    struct test_memory memory = {0};
    struct crdt_memory hook = test_memory_hook(&memory);
    static const uint8_t piece[4 + 1000] = {0, 0, 1000 >> 8, 1000 & 0xff};
    enum frame_channel channel;
    struct crdt_bytes message;
    frame_reader_init(&reader, &hook);
    reader.message_bytes_max[FRAME_CONTROL] = 10500;
    for (size_t i = 0; i < 10; i++) {
        struct crdt_bytes input = {piece, sizeof piece};
        ck_assert_int_eq(frame_reader_next(&reader, &input, &channel, &message), FRAME_MORE);
    }
    struct crdt_bytes input = {piece, sizeof piece};
    ck_assert_int_eq(frame_reader_next(&reader, &input, &channel, &message), FRAME_MALFORMED);
    ck_assert_uint_le(memory.peak, 4 * 10500);
    frame_reader_close(&reader);
    ck_assert_uint_eq(memory.held, 0);
}
END_TEST

START_TEST(what_a_large_message_needed_is_given_back)
{
    struct frame_writer writer;
    struct frame_reader reader;
    struct test_memory memory = {0};
    struct crdt_memory hook = test_memory_hook(&memory);
    struct crdt_buffer large;
    struct crdt_buffer stream;
    enum frame_channel channel;
    struct crdt_bytes message;
    crdt_buffer_init(&stream, NULL);
    frame_writer_init(&writer, &hook);
    frame_reader_init(&reader, &hook);
    OK(frame_writer_push(&writer, FRAME_BULK, filled(&large, 3000000, 9)));
    pull_all(&writer, &stream);
    ck_assert_uint_eq(memory.held, 0);
    struct crdt_bytes input = crdt_buffer_bytes(&stream);
    ck_assert_int_eq(frame_reader_next(&reader, &input, &channel, &message), FRAME_MESSAGE);
    ck_assert_uint_ge(memory.held, 3000000);
    ck_assert_int_eq(frame_reader_next(&reader, &input, &channel, &message), FRAME_MORE);
    ck_assert_uint_eq(memory.held, 0);
    crdt_buffer_close(&large);
    crdt_buffer_close(&stream);
    frame_writer_close(&writer);
    frame_reader_close(&reader);
}
END_TEST

START_TEST(out_of_memory_leaves_the_queue_as_it_was)
{
    struct crdt_buffer large;
    struct crdt_bytes bytes = filled(&large, 300000, 3);
    enum crdt_status status = CRDT_ERR_NOMEM;
    for (uint64_t n = 1; status != CRDT_OK; n++) {
        struct frame_writer writer;
        struct test_memory memory = {.fail_at = n};
        struct crdt_memory hook = test_memory_hook(&memory);
        frame_writer_init(&writer, &hook);
        status = frame_writer_push(&writer, FRAME_BULK, bytes);
        size_t waiting = frame_writer_bytes(&writer, FRAME_BULK);
        ck_assert_uint_eq(waiting, status == CRDT_OK ? 300000 + 5 * FRAME_HEADER_BYTES : 0);
        frame_writer_close(&writer);
        ck_assert_uint_eq(memory.held, 0);
    }
    crdt_buffer_close(&large);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("frame");
    TCase *tests = tcase_create("frame");
    tcase_add_test(tests, a_message_comes_back_whole_however_the_stream_is_cut);
    tcase_add_test(tests, control_passes_between_the_pieces_of_a_bulk_message);
    tcase_add_test(tests, a_bad_length_is_malformed_before_anything_is_allocated);
    tcase_add_test(tests, a_message_that_never_ends_is_malformed_at_its_limit);
    tcase_add_test(tests, what_a_large_message_needed_is_given_back);
    tcase_add_test(tests, out_of_memory_leaves_the_queue_as_it_was);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
