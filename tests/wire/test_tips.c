#include "gossipd/wire/tips.h"

#include "tests/support/choice.h"
#include "tests/support/runner.h"

#include <string.h>

#define COUNT 5

static struct crdt_buffer buffer;
static struct tip tips[COUNT];
static struct crdt_document *documents[COUNT];

/* The tip of a feed that was just begun; the document keeps its bytes. */
static void make_tip(size_t index)
{
    struct crdt_options options;
    crdt_options_init(&options);
    memset(options.key, (int)(index / 2), sizeof options.key);
    options.generation = 1 + index % 2;
    OK(crdt_open(&options, &documents[index]));
    struct crdt_transaction *transaction;
    OK(crdt_begin(documents[index], 1, &transaction));
    for (size_t count = 0; count <= index; count++)
        OK(crdt_counter_add(transaction, crdt_root(), 1));
    crdt_commit(transaction);
    struct crdt_bytes bytes;
    OK(crdt_seal(documents[index], &bytes));
    OK(crdt_batch_read(bytes, &tips[index].batch));
    memset(tips[index].signature, (int)(20 + index), MESSAGE_SIGNATURE_BYTES);
}

static void setup(void)
{
    crdt_buffer_init(&buffer, NULL);
    for (size_t index = 0; index < COUNT; index++)
        make_tip(index);
}

static void teardown(void)
{
    crdt_buffer_close(&buffer);
    for (size_t index = 0; index < COUNT; index++)
        crdt_close(documents[index]);
}

START_TEST(tips_come_back_as_they_were_written)
{
    for (size_t count = 0; count <= COUNT; count++) {
        crdt_buffer_clear(&buffer);
        OK(tips_write(&buffer, tips, count));
        size_t read_count;
        OK(tips_check(crdt_buffer_bytes(&buffer), &read_count));
        ck_assert_uint_eq(read_count, count);
        struct tips_walk walk = tips_begin(crdt_buffer_bytes(&buffer));
        struct tip tip;
        for (size_t index = 0; index < count; index++) {
            ck_assert(tips_next(&walk, &tip));
            const struct crdt_batch *batch = &tips[index].batch;
            ck_assert_int_eq(crdt_origin_compare(&tip.batch.origin, &batch->origin), 0);
            ck_assert_uint_eq(tip.batch.last_seq, batch->last_seq);
            ck_assert_mem_eq(tip.batch.head, batch->head, CRDT_HASH_BYTES);
            ck_assert_mem_eq(tip.signature, tips[index].signature, MESSAGE_SIGNATURE_BYTES);
        }
        ck_assert(!tips_next(&walk, &tip));
    }
}
END_TEST

START_TEST(no_bytes_at_all_are_walked_as_no_tips)
{
    struct tips_walk walk = tips_begin((struct crdt_bytes){0});
    struct tip tip;
    ck_assert(!tips_next(&walk, &tip));
}
END_TEST

START_TEST(tips_cut_short_or_with_more_behind_are_malformed)
{
    OK(tips_write(&buffer, tips, COUNT));
    size_t count;
    for (size_t size = 0; size < buffer.size; size++) {
        struct crdt_bytes cut = {.data = buffer.data, .size = size};
        ck_assert_int_eq(tips_check(cut, &count), CRDT_ERR_MALFORMED);
    }
    OK(crdt_buffer_append(&buffer, "", 1));
    ck_assert_int_eq(tips_check(crdt_buffer_bytes(&buffer), &count), CRDT_ERR_MALFORMED);
}
END_TEST

/* Tips written by hand: the writer refuses what is wrong. */
static void write_raw(const struct tip *tip, size_t header_bytes, size_t signature_bytes)
{
    struct crdt_bytes header = {.data = tip->batch.header.data, .size = header_bytes};
    struct crdt_bytes signature = {.data = tip->signature, .size = signature_bytes};
    OK(crdt_write_bytes(&buffer, header));
    OK(crdt_write_bytes(&buffer, signature));
}

START_TEST(tips_out_of_order_twice_or_of_other_sizes_are_malformed)
{
    const struct {
        size_t first, second, header_less, signature_less;
        bool is_good;
    } cases[] = {{0, 1, 0, 0, true}, {1, 4, 0, 0, true}, {0, 0, 0, 0, false},
        {1, 0, 0, 0, false}, {0, 1, 1, 0, false}, {0, 1, 0, 1, false}};
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        crdt_buffer_clear(&buffer);
        const struct tip *first = &tips[cases[index].first];
        const struct tip *second = &tips[cases[index].second];
        OK(crdt_write_uint(&buffer, 2));
        write_raw(first, first->batch.header.size, MESSAGE_SIGNATURE_BYTES);
        write_raw(second, second->batch.header.size - cases[index].header_less,
            MESSAGE_SIGNATURE_BYTES - cases[index].signature_less);
        size_t count;
        ck_assert_int_eq(tips_check(crdt_buffer_bytes(&buffer), &count),
            cases[index].is_good ? CRDT_OK : CRDT_ERR_MALFORMED);
    }
}
END_TEST

START_TEST(random_changes_are_refused_or_read_in_their_one_form)
{
    bool is_fixed;
    struct choice choice = choice_from_seed(choice_seed("tips", &is_fixed));
    OK(tips_write(&buffer, tips, COUNT));
    struct crdt_buffer again;
    crdt_buffer_init(&again, NULL);
    for (int round = 0; round < 50000; round++) {
        uint8_t bytes[2048];
        ck_assert_uint_le(buffer.size, sizeof bytes);
        memcpy(bytes, buffer.data, buffer.size);
        bytes[choice_below(&choice, (uint32_t)buffer.size)] = (uint8_t)choice_u64(&choice);
        struct crdt_bytes row = {.data = bytes, .size = buffer.size};
        size_t count;
        if (tips_check(row, &count) != CRDT_OK)
            continue;
        struct tip read[COUNT];
        struct tips_walk walk = tips_begin(row);
        for (size_t index = 0; index < count; index++)
            ck_assert(tips_next(&walk, &read[index]));
        crdt_buffer_clear(&again);
        OK(tips_write(&again, read, count));
        ck_assert_uint_eq(again.size, row.size);
        ck_assert_mem_eq(again.data, row.data, row.size);
    }
    crdt_buffer_close(&again);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tips");
    TCase *tests = tcase_create("tips");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, tips_come_back_as_they_were_written);
    tcase_add_test(tests, no_bytes_at_all_are_walked_as_no_tips);
    tcase_add_test(tests, tips_cut_short_or_with_more_behind_are_malformed);
    tcase_add_test(tests, tips_out_of_order_twice_or_of_other_sizes_are_malformed);
    tcase_add_test(tests, random_changes_are_refused_or_read_in_their_one_form);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
