#include "gossipd/wire/evidence.h"

#include <string.h>

#include "tests/support/runner.h"

static struct crdt_buffer headers[5];
static struct crdt_batch batches[5];

static struct crdt_document *document_new(uint64_t generation)
{
    struct crdt_options options;
    struct crdt_document *document;
    crdt_options_init(&options);
    options.key[0] = 1;
    options.generation = generation;
    OK(crdt_open(&options, &document));
    return document;
}

/* Keeps the header of the next batch, which adds `count` elements. */
static void write(struct crdt_document *document, const char *name, int count, size_t index)
{
    struct crdt_transaction *transaction;
    struct crdt_bytes key = crdt_text(name);
    struct crdt_path path = {.keys = &key, .count = 1};
    OK(crdt_begin(document, 1, &transaction));
    for (int element = 0; element < count; element++)
        OK(crdt_set_add(transaction, path, crdt_text(&"abc"[element])));
    crdt_commit(transaction);
    struct crdt_bytes bytes;
    struct crdt_batch batch;
    OK(crdt_seal(document, &bytes));
    OK(crdt_batch_read(bytes, &batch));
    crdt_buffer_init(&headers[index], NULL);
    OK(crdt_buffer_append(&headers[index], batch.header.data, batch.header.size));
    OK(crdt_batch_read_header(crdt_buffer_bytes(&headers[index]), &batches[index]));
}

/* 0: seqs 1, 1: 2 behind it; another history: 2: 1..2, 3: 3; 4: another generation. */
static void setup(void)
{
    struct crdt_document *left = document_new(7);
    struct crdt_document *right = document_new(7);
    struct crdt_document *other = document_new(8);
    write(left, "left", 1, 0);
    write(left, "left", 1, 1);
    write(right, "right", 2, 2);
    write(right, "right", 1, 3);
    write(other, "other", 1, 4);
    crdt_close(left);
    crdt_close(right);
    crdt_close(other);
}

static void teardown(void)
{
    for (size_t index = 0; index < 5; index++)
        crdt_buffer_close(&headers[index]);
}

START_TEST(headers_contradict_when_no_feed_can_hold_both)
{
    static const bool wanted[5][5] = {
        {0, 0, 1, 0, 0}, {0, 0, 1, 1, 0}, {1, 1, 0, 0, 0}, {0, 1, 0, 0, 0}, {0, 0, 0, 0, 0}};
    for (size_t a = 0; a < 5; a++)
        for (size_t b = 0; b < 5; b++)
            ck_assert_msg(evidence_contradicts(&batches[a], &batches[b]) == wanted[a][b],
                "%zu and %zu", a, b);
}
END_TEST

static struct evidence make(size_t here, size_t other, bool is_proof)
{
    struct evidence evidence = {.found_ms = 300, .is_proof = is_proof};
    evidence.here.batch = batches[here];
    evidence.other.batch = batches[other];
    memset(evidence.here.signature, 5, sizeof evidence.here.signature);
    memset(evidence.other.signature, 6, sizeof evidence.other.signature);
    return evidence;
}

START_TEST(evidence_comes_back_as_it_was_written)
{
    for (int is_proof = 0; is_proof < 2; is_proof++) {
        struct evidence evidence = make(1, 2, is_proof == 1);
        struct evidence read;
        struct crdt_buffer buffer;
        crdt_buffer_init(&buffer, NULL);
        OK(evidence_write(&buffer, &evidence));
        OK(evidence_read(crdt_buffer_bytes(&buffer), &read));
        ck_assert_uint_eq(read.found_ms, 300);
        ck_assert_int_eq(read.is_proof, is_proof);
        ck_assert_mem_eq(read.here.batch.head, batches[1].head, CRDT_HASH_BYTES);
        ck_assert_uint_eq(evidence_seq(&read), 2);
        if (is_proof == 1)
            ck_assert_mem_eq(read.other.signature, evidence.other.signature, 64);
        /* Cut short it is nothing. */
        for (size_t size = 0; size < buffer.size; size++) {
            struct crdt_bytes part = {.data = buffer.data, .size = size};
            ck_assert_int_eq(evidence_read(part, &read), CRDT_ERR_MALFORMED);
        }
        crdt_buffer_close(&buffer);
    }
}
END_TEST

START_TEST(headers_of_one_history_are_no_evidence)
{
    struct evidence evidence = make(0, 1, true);
    struct evidence read;
    struct crdt_buffer buffer;
    crdt_buffer_init(&buffer, NULL);
    OK(evidence_write(&buffer, &evidence));
    ck_assert_int_eq(evidence_read(crdt_buffer_bytes(&buffer), &read), CRDT_ERR_MALFORMED);
    crdt_buffer_close(&buffer);
}
END_TEST

START_TEST(tips_come_back_in_order_and_only_so)
{
    struct tip tips[2] = {{.batch = batches[0]}, {.batch = batches[4]}};
    struct crdt_buffer buffer;
    size_t count;
    struct tip tip;
    memset(tips[0].signature, 5, sizeof tips[0].signature);
    crdt_buffer_init(&buffer, NULL);
    OK(tips_write(&buffer, tips, 2));
    OK(tips_check(crdt_buffer_bytes(&buffer), &count));
    ck_assert_uint_eq(count, 2);
    struct tips_walk walk = tips_begin(crdt_buffer_bytes(&buffer));
    ck_assert(tips_next(&walk, &tip));
    ck_assert_mem_eq(tip.batch.head, batches[0].head, CRDT_HASH_BYTES);
    ck_assert_mem_eq(tip.signature, tips[0].signature, sizeof tip.signature);
    ck_assert(tips_next(&walk, &tip));
    ck_assert(!tips_next(&walk, &tip));
    for (size_t size = 0; size < buffer.size; size++) {
        struct crdt_bytes part = {.data = buffer.data, .size = size};
        ck_assert_int_eq(tips_check(part, &count), CRDT_ERR_MALFORMED);
    }
    /* The same row twice is malformed: the count, then the first row two times. */
    size_t row = headers[0].size;
    crdt_buffer_clear(&buffer);
    OK(crdt_write_uint(&buffer, 2));
    for (int times = 0; times < 2; times++) {
        struct crdt_bytes signature = {.data = tips[0].signature, .size = 64};
        OK(crdt_write_bytes(&buffer, (struct crdt_bytes){.data = headers[0].data, .size = row}));
        OK(crdt_write_bytes(&buffer, signature));
    }
    ck_assert_int_eq(tips_check(crdt_buffer_bytes(&buffer), &count), CRDT_ERR_MALFORMED);
    crdt_buffer_close(&buffer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("evidence");
    TCase *tests = tcase_create("evidence");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, headers_contradict_when_no_feed_can_hold_both);
    tcase_add_test(tests, evidence_comes_back_as_it_was_written);
    tcase_add_test(tests, headers_of_one_history_are_no_evidence);
    tcase_add_test(tests, tips_come_back_in_order_and_only_so);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
