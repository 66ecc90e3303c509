/* Transactions: whole or not at all, and the limits that decide validity. */
#include "tests/support/documents.h"
#include "tests/support/runner.h"

#include <stdlib.h>
#include <string.h>

static struct crdt_document *a, *b;

static void setup(void)
{
    write_now_ms = 1000;
    a = document_new(1, 1);
    b = document_new(2, 1);
}

static void teardown(void)
{
    crdt_close(a);
    crdt_close(b);
}

static void fill(struct crdt_document *document)
{
    add(document, PATH("n"), 5);
    gadd(document, PATH("g"), 5);
    assign(document, PATH("r"), "before");
    put(document, PATH("s"), "x");
    put(document, PATH("s"), "y");
    enable(document, PATH("f"));
    add(document, PATH("m", "deep", "er"), 5);
}

/* One write of every kind. */
static void write_everything(struct crdt_transaction *transaction)
{
    OK(crdt_counter_add(transaction, PATH("n"), 1));
    OK(crdt_counter_add(transaction, PATH("new", "n"), 1));
    OK(crdt_gcounter_add(transaction, PATH("g"), 2));
    OK(crdt_register_set(transaction, PATH("r"), crdt_text("after")));
    OK(crdt_set_add(transaction, PATH("s"), crdt_text("x")));
    OK(crdt_set_add(transaction, PATH("s"), crdt_text("z")));
    OK(crdt_set_remove(transaction, PATH("s"), crdt_text("y")));
    OK(crdt_flag_disable(transaction, PATH("f")));
    OK(crdt_flag_enable(transaction, PATH("f2")));
    OK(crdt_note(transaction));
    OK(crdt_counter_fold(transaction, PATH("n"), CRDT_COUNTER, 0, UINT64_MAX));
    OK(crdt_remove(transaction, PATH("m"), CRDT_ANY));
    OK(crdt_counter_add(transaction, PATH("m", "deep", "er"), 9));
    OK(crdt_remove(transaction, crdt_root(), CRDT_ANY));
    OK(crdt_set_add(transaction, PATH("m"), crdt_text("again")));
}

START_TEST(abort_restores_the_snapshot_exactly)
{
    fill(a);
    fill(b);
    sync_both(a, b);
    struct crdt_buffer before = snapshot_of(a);
    struct crdt_transaction *transaction = begin(a);
    write_everything(transaction);
    crdt_abort(transaction);
    ck_assert_uint_eq(crdt_open_records(a), 0);
    struct crdt_buffer after = snapshot_of(a);
    ck_assert(buffer_equals(&before, &after));
    crdt_buffer_close(&before);
    crdt_buffer_close(&after);
}
END_TEST

START_TEST(abort_restores_what_the_open_batch_had)
{
    struct crdt_document *twin = document_new(1, 1);
    fill(a);
    fill(twin);
    size_t records = crdt_open_records(a), bytes = crdt_open_bytes(a);
    struct crdt_transaction *transaction = begin(a);
    write_everything(transaction);
    crdt_abort(transaction);
    ck_assert_uint_eq(crdt_open_records(a), records);
    ck_assert_uint_eq(crdt_open_bytes(a), bytes);
    add(a, PATH("n"), 1);
    add(twin, PATH("n"), 1);
    struct crdt_buffer x = sealed(a), y = sealed(twin);
    ck_assert(buffer_equals(&x, &y));
    ck_assert(is_same(a, twin));
    crdt_buffer_close(&x);
    crdt_buffer_close(&y);
    crdt_close(twin);
}
END_TEST

START_TEST(reads_see_the_writes_of_the_open_transaction)
{
    struct crdt_transaction *transaction = begin(a);
    OK(crdt_counter_add(transaction, PATH("n"), 3));
    ck_assert_int_eq(crdt_counter_value(a, PATH("n")), 3);
    OK(crdt_set_add(transaction, PATH("s"), crdt_text("x")));
    ck_assert(has(a, PATH("s"), "x"));
    OK(crdt_remove(transaction, crdt_root(), CRDT_ANY));
    ck_assert_uint_eq(crdt_types(a, crdt_root()), 0);
    crdt_commit(transaction);
}
END_TEST

START_TEST(committed_transaction_travels_whole)
{
    struct crdt_transaction *transaction = begin(a);
    for (int i = 0; i < 100; i++) {
        char key[2] = {(char)(' ' + i), 0};
        OK(crdt_flag_enable(transaction, PATH(key)));
    }
    crdt_commit(transaction);
    struct crdt_buffer batch = sealed(a);
    struct crdt_batch header;
    OK(crdt_batch_read(crdt_buffer_bytes(&batch), &header));
    ck_assert_uint_eq(header.first_seq, 1);
    ck_assert_uint_eq(header.last_seq, 100);
    OK(merge(b, &batch));
    ck_assert_uint_eq(crdt_count(b, crdt_root(), CRDT_MAP), 100);
    crdt_buffer_close(&batch);
}
END_TEST

START_TEST(one_transaction_at_a_time)
{
    struct crdt_transaction *transaction = begin(a), *second;
    struct crdt_bytes bytes;
    ck_assert_int_eq(crdt_writable(a), CRDT_ERR_BUSY);
    ck_assert_int_eq(crdt_begin(a, 1, &second), CRDT_ERR_BUSY);
    ck_assert_int_eq(crdt_seal(a, &bytes), CRDT_ERR_BUSY);
    ck_assert_int_eq(crdt_set_generation(a, 2), CRDT_ERR_BUSY);
    crdt_commit(transaction);
    OK(crdt_writable(a));
}
END_TEST

START_TEST(empty_transaction_leaves_nothing_to_seal)
{
    struct crdt_transaction *transaction = begin(a);
    crdt_commit(transaction);
    struct crdt_buffer batch = sealed(a);
    ck_assert_uint_eq(batch.size, 0);
    crdt_buffer_close(&batch);
}
END_TEST

/* A path of `count` keys of `bytes` bytes each, for limits. */
static struct crdt_path wide_path(size_t count, size_t bytes, void *data)
{
    static struct crdt_bytes keys[CRDT_DEPTH_MAX + 1];
    for (size_t i = 0; i < count; i++)
        keys[i] = (struct crdt_bytes){data, bytes};
    return (struct crdt_path){keys, count};
}

static void limit_everywhere(struct crdt_document *document, struct crdt_path path)
{
    struct crdt_transaction *transaction = begin(document);
    size_t records = crdt_open_records(document);
    ck_assert_int_eq(crdt_counter_add(transaction, path, 1), CRDT_ERR_LIMIT);
    ck_assert_int_eq(crdt_gcounter_add(transaction, path, 1), CRDT_ERR_LIMIT);
    ck_assert_int_eq(crdt_register_set(transaction, path, crdt_text("")), CRDT_ERR_LIMIT);
    ck_assert_int_eq(crdt_flag_enable(transaction, path), CRDT_ERR_LIMIT);
    ck_assert_int_eq(crdt_set_add(transaction, path, crdt_text("")), CRDT_ERR_LIMIT);
    ck_assert_uint_eq(crdt_open_records(document), records);
    OK(crdt_counter_add(transaction, PATH("fine"), 1));
    crdt_commit(transaction);
    ck_assert_uint_eq(crdt_count(document, crdt_root(), CRDT_MAP), 1);
}

START_TEST(path_deeper_than_the_limit_is_refused)
{
    char key[] = "k";
    limit_everywhere(a, wide_path(CRDT_DEPTH_MAX + 1, 1, key));
    struct crdt_transaction *transaction = begin(a);
    OK(crdt_counter_add(transaction, wide_path(CRDT_DEPTH_MAX, 1, key), 1));
    crdt_commit(transaction);
    sync_both(a, b);
    ck_assert_int_eq(crdt_counter_value(b, wide_path(CRDT_DEPTH_MAX, 1, key)), 1);
}
END_TEST

START_TEST(path_longer_than_the_limit_is_refused)
{
    uint8_t *data = calloc(1, CRDT_PATH_BYTES_MAX + 1);
    limit_everywhere(a, wide_path(1, CRDT_PATH_BYTES_MAX + 1, data));
    struct crdt_transaction *transaction = begin(a);
    OK(crdt_counter_add(transaction, wide_path(1, CRDT_PATH_BYTES_MAX, data), 1));
    crdt_commit(transaction);
    sync_both(a, b);
    ck_assert(is_same(a, b));
    free(data);
}
END_TEST

START_TEST(value_longer_than_the_limit_is_refused)
{
    uint8_t *data = calloc(1, CRDT_VALUE_BYTES_MAX + 1);
    struct crdt_transaction *transaction = begin(a);
    ck_assert_int_eq(crdt_register_set(transaction, PATH("k"),
                         (struct crdt_bytes){data, CRDT_VALUE_BYTES_MAX + 1}),
        CRDT_ERR_LIMIT);
    ck_assert_uint_eq(crdt_types(a, PATH("k")), 0);
    OK(crdt_register_set(
        transaction, PATH("k"), (struct crdt_bytes){data, CRDT_VALUE_BYTES_MAX}));
    crdt_commit(transaction);
    sync_both(a, b);
    ck_assert(is_same(a, b));
    free(data);
}
END_TEST

START_TEST(batch_that_would_grow_over_the_limit_refuses_the_write_only)
{
    /* Two fit beside what a header may need, three do not. */
    size_t size = CRDT_BATCH_BYTES_MAX / 3;
    uint8_t *data = calloc(1, size);
    struct crdt_bytes value = {data, size};
    struct crdt_transaction *transaction = begin(a);
    OK(crdt_register_set(transaction, PATH("1"), value));
    OK(crdt_register_set(transaction, PATH("2"), value));
    ck_assert_int_eq(crdt_register_set(transaction, PATH("3"), value), CRDT_ERR_LIMIT);
    ck_assert_uint_eq(crdt_types(a, PATH("3")), 0);
    crdt_commit(transaction);
    struct crdt_buffer batch = sealed(a);
    ck_assert_uint_le(batch.size, CRDT_BATCH_BYTES_MAX);
    OK(merge(b, &batch));
    ck_assert(is_same(a, b));
    transaction = begin(a);
    OK(crdt_register_set(transaction, PATH("3"), value));
    crdt_commit(transaction);
    crdt_buffer_close(&batch);
    free(data);
}
END_TEST

START_TEST(batch_of_too_many_records_refuses_the_write_only)
{
    struct crdt_transaction *transaction = begin(a);
    for (uint32_t i = 0; i < CRDT_BATCH_RECORDS_MAX; i++)
        OK(crdt_note(transaction));
    ck_assert_int_eq(crdt_note(transaction), CRDT_ERR_LIMIT);
    ck_assert_int_eq(crdt_flag_enable(transaction, PATH("f")), CRDT_ERR_LIMIT);
    ck_assert_uint_eq(crdt_types(a, PATH("f")), 0);
    crdt_commit(transaction);
    struct crdt_buffer batch = sealed(a);
    OK(merge(b, &batch));
    crdt_buffer_close(&batch);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("transaction");
    TCase *tests = tcase_create("transaction");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, abort_restores_the_snapshot_exactly);
    tcase_add_test(tests, abort_restores_what_the_open_batch_had);
    tcase_add_test(tests, reads_see_the_writes_of_the_open_transaction);
    tcase_add_test(tests, committed_transaction_travels_whole);
    tcase_add_test(tests, one_transaction_at_a_time);
    tcase_add_test(tests, empty_transaction_leaves_nothing_to_seal);
    tcase_add_test(tests, path_deeper_than_the_limit_is_refused);
    tcase_add_test(tests, path_longer_than_the_limit_is_refused);
    tcase_add_test(tests, value_longer_than_the_limit_is_refused);
    tcase_add_test(tests, batch_that_would_grow_over_the_limit_refuses_the_write_only);
    tcase_add_test(tests, batch_of_too_many_records_refuses_the_write_only);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
