/* What a reader of the library found: places where a value with many dots, or a
 * document with many feeds, was handled dot by dot. Memory is claimed here; time
 * is the business of bench/, so these tests are only large enough to matter. */
#include "tests/support/documents.h"
#include "tests/support/memory.h"
#include "tests/support/runner.h"

#include <sodium.h>
#include <string.h>

enum { DOTS = 5000 };

static void write_origin(struct crdt_buffer *buffer, uint8_t key)
{
    uint8_t bytes[CRDT_KEY_BYTES];
    memset(bytes, key, sizeof bytes);
    OK(crdt_write_bytes(buffer, (struct crdt_bytes){bytes, sizeof bytes}));
    OK(crdt_write_uint(buffer, 1));
}

/* A snapshot up to its values: the feeds 1 .. `count`, each with `seq`, and
 * `deps`, for each of the others, in the tip of the last one. */
static struct crdt_buffer begin_snapshot(
    uint8_t count, uint64_t seq, const uint64_t *deps, size_t dep_count)
{
    static const uint8_t head[CRDT_HASH_BYTES];
    struct crdt_buffer buffer;
    crdt_buffer_init(&buffer, NULL);
    OK(crdt_write_uint(&buffer, 2));
    OK(crdt_write_uint(&buffer, CRDT_WIRE_MAJOR));
    OK(crdt_write_uint(&buffer, CRDT_WIRE_MINOR));
    OK(crdt_write_bytes(&buffer, (struct crdt_bytes){0}));
    OK(crdt_write_uint(&buffer, count));
    for (uint8_t i = 1; i <= count; i++) {
        write_origin(&buffer, i);
        OK(crdt_write_uint(&buffer, seq));
        OK(crdt_write_bytes(&buffer, (struct crdt_bytes){head, sizeof head}));
    }
    for (uint8_t i = 1; i < count; i++)
        OK(crdt_write_uint(&buffer, 0));
    OK(crdt_write_uint(&buffer, dep_count));
    for (size_t i = 0; i < dep_count; i++) {
        OK(crdt_write_uint(&buffer, deps[i]));
        OK(crdt_write_uint(&buffer, seq));
    }
    return buffer;
}

static void end_snapshot(struct crdt_buffer *buffer)
{
    uint8_t hash[CRDT_HASH_BYTES];
    OK(crdt_write_uint(buffer, 0));
    crypto_generichash(hash, sizeof hash, buffer->data, buffer->size, NULL, 0);
    OK(crdt_write_bytes(buffer, (struct crdt_bytes){hash, sizeof hash}));
}

START_TEST(element_with_many_dots_takes_memory_like_its_bytes)
{
    struct crdt_buffer snapshot = begin_snapshot(1, DOTS, NULL, 0);
    OK(crdt_write_uint(&snapshot, CRDT_SET));
    OK(crdt_write_uint(&snapshot, 0));
    OK(crdt_write_uint(&snapshot, 1));
    OK(crdt_write_bytes(&snapshot, crdt_text("e")));
    OK(crdt_write_uint(&snapshot, DOTS));
    for (uint64_t seq = 1; seq <= DOTS; seq++) {
        OK(crdt_write_uint(&snapshot, 0));
        OK(crdt_write_uint(&snapshot, seq));
    }
    end_snapshot(&snapshot);
    struct test_memory memory = {0};
    struct crdt_options options = document_options(2, 1);
    options.memory = test_memory_hook(&memory);
    struct crdt_document *document;
    OK(crdt_load(&options, crdt_buffer_bytes(&snapshot), &document));
    ck_assert(has(document, crdt_root(), "e"));
    struct crdt_buffer again = snapshot_of(document);
    ck_assert(buffer_equals(&snapshot, &again));
    crdt_close(document);
    OK(crdt_open(&options, &document));
    put(document, crdt_root(), "e");
    OK(merge(document, &snapshot));
    OK(merge(document, &snapshot));
    ck_assert_uint_lt(memory.peak, 100 * snapshot.size);
    struct crdt_document *copy = copy_of(document);
    ck_assert(is_same(document, copy));
    crdt_close(copy);
    take(document, crdt_root(), "e");
    OK(merge(document, &snapshot));
    ck_assert(!has(document, crdt_root(), "e"));
    crdt_buffer_close(&again);
    crdt_buffer_close(&snapshot);
    crdt_close(document);
    ck_assert_uint_eq(memory.held, 0);
}
END_TEST

START_TEST(tip_that_names_an_origin_twice_is_refused)
{
    static const uint64_t once[] = {0, 1}, twice[] = {0, 1, 0}, own[] = {2};
    struct crdt_options options = document_options(9, 1);
    const struct {
        const uint64_t *deps;
        size_t count;
        enum crdt_status status;
    } cases[] = {
        {once, 2, CRDT_OK}, {twice, 3, CRDT_ERR_MALFORMED}, {own, 1, CRDT_ERR_MALFORMED}};
    for (size_t i = 0; i < 3; i++) {
        struct crdt_buffer snapshot = begin_snapshot(3, 1, cases[i].deps, cases[i].count);
        end_snapshot(&snapshot);
        struct crdt_document *document = NULL;
        ck_assert_int_eq(
            crdt_load(&options, crdt_buffer_bytes(&snapshot), &document), cases[i].status);
        crdt_close(document);
        crdt_buffer_close(&snapshot);
    }
}
END_TEST

/* Reads a snapshot of one feed with `seq` 5 and these values. */
static enum crdt_status load_values(struct crdt_buffer *values)
{
    struct crdt_buffer snapshot = begin_snapshot(1, 5, NULL, 0);
    OK(crdt_buffer_append(&snapshot, values->data, values->size));
    crdt_buffer_clear(values);
    end_snapshot(&snapshot);
    struct crdt_options options = document_options(2, 1);
    struct crdt_document *document = NULL;
    enum crdt_status status = crdt_load(&options, crdt_buffer_bytes(&snapshot), &document);
    crdt_close(document);
    crdt_buffer_close(&snapshot);
    return status;
}

/* One contribution or dot, with `key` under the root unless it is NULL. */
static void write_value(struct crdt_buffer *values, enum crdt_type type, uint64_t shared,
    const char *key, uint64_t seq)
{
    OK(crdt_write_uint(values, (uint64_t)type));
    OK(crdt_write_uint(values, shared));
    OK(crdt_write_uint(values, key != NULL));
    if (key != NULL)
        OK(crdt_write_bytes(values, crdt_text(key)));
    OK(crdt_write_uint(values, 1));
    OK(crdt_write_uint(values, 0));
    OK(crdt_write_uint(values, seq));
}

static void write_amount(struct crdt_buffer *values, uint64_t later, int64_t amount)
{
    OK(crdt_write_uint(values, later));
    OK(crdt_write_int(values, amount));
}

START_TEST(snapshot_with_values_in_another_order_is_refused)
{
    struct crdt_buffer values = {0};
    write_value(&values, CRDT_GCOUNTER, 0, "a", 1);
    write_amount(&values, 0, 1);
    write_value(&values, CRDT_FLAG, 1, NULL, 2);
    write_value(&values, CRDT_FLAG, 0, "b", 3);
    OK(load_values(&values));
    write_value(&values, CRDT_FLAG, 0, "a", 2);
    write_value(&values, CRDT_GCOUNTER, 1, NULL, 1);
    write_amount(&values, 0, 1);
    ck_assert_int_eq(load_values(&values), CRDT_ERR_MALFORMED);
    write_value(&values, CRDT_FLAG, 0, "b", 2);
    write_value(&values, CRDT_FLAG, 0, "a", 1);
    ck_assert_int_eq(load_values(&values), CRDT_ERR_MALFORMED);
    write_value(&values, CRDT_FLAG, 0, "a", 1);
    write_value(&values, CRDT_FLAG, 1, NULL, 2);
    ck_assert_int_eq(load_values(&values), CRDT_ERR_MALFORMED);
    write_value(&values, CRDT_FLAG, 0, "a", 1);
    write_value(&values, CRDT_FLAG, 0, "b", 1);
    ck_assert_int_eq(load_values(&values), CRDT_ERR_MALFORMED);
    /* "a" again though it could have been shared. */
    write_value(&values, CRDT_REGISTER, 0, "a", 1);
    OK(crdt_write_uint(&values, 1 << 16));
    OK(crdt_write_bytes(&values, crdt_text("v")));
    write_value(&values, CRDT_FLAG, 0, "a", 2);
    ck_assert_int_eq(load_values(&values), CRDT_ERR_MALFORMED);
    /* The element "e" of the set "a", then the flag "a", "e": two keys shared,
     * or, which is refused, one of them written again. */
    for (int again = 0; again < 2; again++) {
        OK(crdt_write_uint(&values, CRDT_SET));
        OK(crdt_write_uint(&values, 0));
        OK(crdt_write_uint(&values, 2));
        OK(crdt_write_bytes(&values, crdt_text("a")));
        OK(crdt_write_bytes(&values, crdt_text("e")));
        OK(crdt_write_uint(&values, 1));
        OK(crdt_write_uint(&values, 0));
        OK(crdt_write_uint(&values, 1));
        if (again == 0)
            write_value(&values, CRDT_FLAG, 2, NULL, 2);
        else
            write_value(&values, CRDT_FLAG, 1, "e", 2);
        ck_assert_int_eq(
            load_values(&values), again == 0 ? CRDT_OK : CRDT_ERR_MALFORMED);
    }
    crdt_buffer_close(&values);
}
END_TEST

START_TEST(snapshot_with_impossible_amounts_is_refused)
{
    struct crdt_buffer values = {0};
    write_value(&values, CRDT_GCOUNTER, 0, "a", 1);
    write_amount(&values, 0, -1);
    ck_assert_int_eq(load_values(&values), CRDT_ERR_MALFORMED);
    write_value(&values, CRDT_COUNTER, 0, "a", 2);
    write_amount(&values, 4, -1);
    ck_assert_int_eq(load_values(&values), CRDT_ERR_MALFORMED);
    write_value(&values, CRDT_COUNTER, 0, "a", 2);
    write_amount(&values, 3, -1);
    OK(load_values(&values));
    write_value(&values, CRDT_FLAG, 0, "a", 6);
    ck_assert_int_eq(load_values(&values), CRDT_ERR_MALFORMED);
    write_value(&values, CRDT_FLAG, 0, "a", 0);
    ck_assert_int_eq(load_values(&values), CRDT_ERR_MALFORMED);
    crdt_buffer_close(&values);
}
END_TEST

START_TEST(join_takes_the_later_fold_of_every_contribution)
{
    struct crdt_document *author = document_new(1, 1);
    struct crdt_document *reader = document_new(2, 1);
    struct crdt_document *third = document_new(3, 1);
    for (int i = 0; i < 20; i++) {
        add(author, PATH("n"), 1);
        add(third, PATH("n"), 100);
        struct crdt_buffer batch = sealed(author);
        crdt_buffer_close(&batch);
        batch = sealed(third);
        crdt_buffer_close(&batch);
    }
    sync_both(author, third);
    sync_to(author, reader);
    add(reader, PATH("n"), 10000);
    struct crdt_buffer before = snapshot_of(author);
    fold(author, PATH("n"), CRDT_COUNTER, 15);
    fold(third, PATH("n"), CRDT_COUNTER, 10);
    ck_assert_uint_eq(crdt_count(author, PATH("n"), CRDT_COUNTER), 26);
    struct crdt_buffer folded = snapshot_of(author), other = snapshot_of(third);
    OK(merge(reader, &folded));
    ck_assert_uint_eq(crdt_count(reader, PATH("n"), CRDT_COUNTER), 27);
    OK(merge(reader, &other));
    OK(merge(reader, &before));
    ck_assert_uint_eq(crdt_count(reader, PATH("n"), CRDT_COUNTER), 18);
    ck_assert_int_eq(crdt_counter_value(reader, PATH("n")), 12020);
    struct crdt_buffer all = snapshot_of(reader);
    OK(merge(author, &all));
    ck_assert(is_same(reader, author));
    crdt_buffer_close(&all);
    crdt_buffer_close(&before);
    crdt_buffer_close(&folded);
    crdt_buffer_close(&other);
    crdt_close(author);
    crdt_close(reader);
    crdt_close(third);
}
END_TEST

START_TEST(versions_of_a_register_come_winner_first)
{
    enum { REPLICAS = 9 };
    struct crdt_document *reader = document_new(100, 1);
    for (uint8_t i = 1; i <= REPLICAS; i++) {
        struct crdt_document *writer = document_new(i, 1);
        write_now_ms = 1000 + i % 3;
        assign(writer, PATH("r"), "v");
        sync_to(writer, reader);
        crdt_close(writer);
    }
    struct crdt_version version, above;
    for (size_t i = 0; i < REPLICAS; i++) {
        OK(crdt_register_version(reader, PATH("r"), i, &version));
        if (i > 0)
            ck_assert(above.hlc > version.hlc ||
                (above.hlc == version.hlc &&
                    crdt_origin_compare(&above.dot.origin, &version.dot.origin) > 0));
        above = version;
    }
    ck_assert_int_eq(
        crdt_register_version(reader, PATH("r"), REPLICAS, &version), CRDT_ERR_NOT_FOUND);
    ck_assert_int_eq(
        crdt_register_version(reader, PATH("r"), SIZE_MAX, &version), CRDT_ERR_NOT_FOUND);
    crdt_close(reader);
}
END_TEST

START_TEST(snapshot_orders_keys_that_begin_alike)
{
    static const char *const keys[] = {"", "a", "abcdefg", "abcdefgh", "abcdefgha", "abcdefghb",
        "abcdefgi", "b", "\xff"};
    enum { KEYS = sizeof keys / sizeof keys[0] };
    struct crdt_document *up = document_new(1, 1), *down = document_new(2, 1);
    struct crdt_transaction *transaction = begin(up);
    for (size_t i = KEYS; i > 0; i--)
        OK(crdt_set_add(transaction, crdt_root(), crdt_text(keys[i - 1])));
    OK(crdt_set_add(transaction, crdt_root(), (struct crdt_bytes){"a\0", 2}));
    crdt_commit(transaction);
    sync_to(up, down);
    struct crdt_document *copy = copy_of(down);
    ck_assert(is_same(up, copy));
    crdt_close(copy);
    crdt_close(up);
    crdt_close(down);
}
END_TEST

START_TEST(abort_restores_sums_exactly)
{
    struct crdt_document *document = document_new(1, 1);
    static const int64_t amounts[] = {INT64_MIN, INT64_MIN, INT64_MAX, 7, INT64_MIN};
    for (size_t i = 0; i < 5; i++) {
        add(document, PATH("n"), amounts[i]);
        struct crdt_buffer batch = sealed(document);
        crdt_buffer_close(&batch);
    }
    struct crdt_sum sum = crdt_counter_sum(document, PATH("n"), CRDT_COUNTER);
    struct crdt_transaction *transaction = begin(document);
    OK(crdt_counter_add(transaction, PATH("n"), INT64_MIN));
    OK(crdt_counter_add(transaction, PATH("n"), 5));
    OK(crdt_counter_fold(transaction, PATH("n"), CRDT_COUNTER, 0, 4));
    OK(crdt_counter_fold(transaction, PATH("n"), CRDT_COUNTER, 0, 5));
    OK(crdt_remove(transaction, PATH("n"), CRDT_COUNTER));
    crdt_abort(transaction);
    struct crdt_sum after = crdt_counter_sum(document, PATH("n"), CRDT_COUNTER);
    ck_assert_int_eq(after.high, sum.high);
    ck_assert_uint_eq(after.low, sum.low);
    crdt_close(document);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("review_scale");
    TCase *scale = tcase_create("scale");
    tcase_add_test(scale, element_with_many_dots_takes_memory_like_its_bytes);
    tcase_add_test(scale, tip_that_names_an_origin_twice_is_refused);
    tcase_add_test(scale, snapshot_with_values_in_another_order_is_refused);
    tcase_add_test(scale, snapshot_with_impossible_amounts_is_refused);
    tcase_add_test(scale, join_takes_the_later_fold_of_every_contribution);
    tcase_add_test(scale, versions_of_a_register_come_winner_first);
    tcase_add_test(scale, snapshot_orders_keys_that_begin_alike);
    tcase_add_test(scale, abort_restores_sums_exactly);
    suite_add_tcase(suite, scale);
    return runner_run(suite);
}
