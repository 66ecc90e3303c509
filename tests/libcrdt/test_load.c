/* A loaded document is one that was written: it finds the same, weighs no more,
 * goes on alike; and canonical order is that of the bytes, however many. */
#include "tests/support/choice.h"
#include "tests/support/claim.h"
#include "tests/support/documents.h"
#include "tests/support/memory.h"
#include "tests/support/runner.h"

#include <stdio.h>
#include <string.h>

enum { KEY_BYTES_MAX = 12 };

static struct crdt_bytes number_key(const size_t *number)
{
    return (struct crdt_bytes){number, sizeof *number};
}

/* `count` keys in a map, and as many elements in a set beside them; under each
 * key, by its number, another mix of types, and maps and sets of other sizes. */
static void fill(struct crdt_document *document, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct crdt_bytes keys[] = {crdt_text("m"), number_key(&i), crdt_text("x"), {0}};
        struct crdt_path place = {keys, 2};
        struct crdt_path inner = {keys, 3};
        struct crdt_path deeper = {keys, 4};
        struct crdt_transaction *transaction = begin(document);
        OK(crdt_set_add(transaction, (struct crdt_path){keys, 1}, number_key(&i)));
        if (i % 2 == 0 || i % 3 != 0)
            OK(crdt_register_set(transaction, place, number_key(&i)));
        if (i % 3 == 0)
            OK(crdt_counter_add(transaction, place, (int64_t)i));
        for (size_t j = 0; i % 5 == 0 && j < i % 40; j++) {
            keys[3] = number_key(&j);
            OK(crdt_set_add(transaction, inner, number_key(&j)));
            OK(crdt_flag_enable(transaction, deeper));
        }
        crdt_commit(transaction);
    }
}

/* What fill() put is found under its path, and nothing else. */
static void check_filled(const struct crdt_document *document, size_t count)
{
    const struct crdt_bytes m = crdt_text("m");
    ck_assert_uint_eq(crdt_count(document, (struct crdt_path){&m, 1}, CRDT_MAP), count);
    ck_assert_uint_eq(crdt_count(document, (struct crdt_path){&m, 1}, CRDT_SET), count);
    for (size_t i = 0; i < 2 * count; i++) {
        bool is_there = i < count;
        struct crdt_bytes keys[] = {m, number_key(&i), crdt_text("x"), {0}};
        struct crdt_path place = {keys, 2};
        struct crdt_bytes value;
        ck_assert(crdt_set_contains(document, (struct crdt_path){&m, 1}, keys[1]) == is_there);
        bool has_register = is_there && (i % 2 == 0 || i % 3 != 0);
        ck_assert((crdt_register_get(document, place, &value) == CRDT_OK) == has_register);
        ck_assert(!has_register || memcmp(value.data, &i, sizeof i) == 0);
        bool has_counter = is_there && i % 3 == 0;
        ck_assert_int_eq(crdt_counter_value(document, place), has_counter ? (int64_t)i : 0);
        for (size_t j = 0; j < 41; j++) {
            bool has_inner = is_there && i % 5 == 0 && j < i % 40;
            keys[3] = number_key(&j);
            ck_assert(crdt_set_contains(
                document, (struct crdt_path){keys, 3}, keys[3]) == has_inner);
            ck_assert(crdt_flag_is_enabled(document, (struct crdt_path){keys, 4}) == has_inner);
        }
    }
}

START_TEST(loaded_document_finds_what_was_written)
{
    /* Below, at and above the sizes at which a table gets an index and grows it. */
    size_t counts[] = {1, 8, 9, 14, 15, 28, 29, 300, 2000};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct crdt_document *written = document_new(1, 1);
        fill(written, counts[i]);
        struct crdt_document *loaded = copy_of(written);
        check_filled(loaded, counts[i]);
        ck_assert(is_same(written, loaded));
        crdt_close(written);
        crdt_close(loaded);
    }
}
END_TEST

START_TEST(loaded_document_is_written_on_like_any)
{
    struct crdt_document *written = document_new(1, 1);
    fill(written, 500);
    struct crdt_document *loaded = copy_of(written);
    OK(crdt_set_generation(loaded, 2));
    for (size_t i = 0; i < 500; i++) {
        struct crdt_bytes keys[] = {crdt_text("m"), number_key(&i)};
        struct crdt_transaction *transaction = begin(loaded);
        OK(crdt_remove(transaction, (struct crdt_path){keys, 2}, CRDT_ANY));
        OK(crdt_set_remove(transaction, (struct crdt_path){keys, 1}, keys[1]));
        crdt_commit(transaction);
        ck_assert_uint_eq(crdt_count(loaded, PATH("m"), CRDT_MAP), 499 - i);
    }
    fill(loaded, 600);
    check_filled(loaded, 600);
    sync_both(written, loaded);
    check_filled(written, 600);
    ck_assert(is_same(written, loaded));
    crdt_close(written);
    crdt_close(loaded);
}
END_TEST

START_TEST(loaded_document_weighs_no_more_than_the_written_one)
{
    /* Near 7/8 of a power of two an index could be taken too large. */
    size_t counts[] = {1, 9, 14, 15, 28, 100, 890, 896, 897, 3500, 3600};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct test_memory merged_memory = {0};
        struct test_memory loaded_memory = {0};
        struct crdt_options options = document_options(2, 0);
        struct crdt_document *written = document_new(1, 1);
        struct crdt_document *merged, *loaded;
        fill(written, counts[i]);
        struct crdt_buffer batch = sealed(written);
        struct crdt_buffer snapshot = snapshot_of(written);
        options.keep_log = false;
        options.memory = test_memory_hook(&merged_memory);
        OK(crdt_open(&options, &merged));
        OK(merge(merged, &batch)); /* record by record, and nothing stays open      */
        options.memory = test_memory_hook(&loaded_memory);
        OK(crdt_load(&options, crdt_buffer_bytes(&snapshot), &loaded));
        /* A short journal is kept, a long one is not: that is no part of it. */
        ck_assert_uint_le(loaded_memory.held, merged_memory.held + 128);
        crdt_buffer_close(&batch);
        crdt_buffer_close(&snapshot);
        crdt_close(written);
        crdt_close(merged);
        crdt_close(loaded);
        ck_assert_uint_eq(merged_memory.held + loaded_memory.held, 0);
    }
}
END_TEST

/* How often memory is asked for when an element goes and comes back: more often
 * where the set has no index yet and gets one. It is all taken back, so that the
 * open batch does not grow. */
static uint64_t requests_for_change(
    struct crdt_document *document, struct test_memory *memory, struct crdt_path set)
{
    uint64_t before = memory->requests;
    struct crdt_transaction *transaction = begin(document);
    OK(crdt_set_remove(transaction, set, crdt_text("0")));
    OK(crdt_set_add(transaction, set, crdt_text("0")));
    crdt_abort(transaction);
    return memory->requests - before;
}

START_TEST(loaded_tables_have_their_indexes)
{
    struct test_memory memory = {0};
    struct crdt_options options = document_options(1, 1);
    struct crdt_document *written = document_new(1, 1);
    struct crdt_document *loaded;
    const struct crdt_path sets[] = {PATH("longest", "of", "all"), PATH("a"), PATH("b", "c", "d"),
        PATH("b", "x"), PATH("b", "y"), PATH("z"), PATH("z", "z", "z")};
    const size_t set_count = sizeof sets / sizeof sets[0];
    for (size_t i = 0; i < set_count; i++)
        for (int j = 0; j < 12; j++)
            put(written, sets[i], (const char[]){(char)('0' + j), 0});
    struct crdt_buffer snapshot = snapshot_of(written);
    options.memory = test_memory_hook(&memory);
    OK(crdt_load(&options, crdt_buffer_bytes(&snapshot), &loaded));
    OK(crdt_set_generation(loaded, 2));
    /* The first change makes room in the open batch and the journal, and after it
     * this set has an index in any case. */
    requests_for_change(loaded, &memory, sets[0]);
    uint64_t requests = requests_for_change(loaded, &memory, sets[0]);
    for (size_t i = 1; i < set_count; i++)
        ck_assert_uint_eq(requests_for_change(loaded, &memory, sets[i]), requests);
    crdt_buffer_close(&snapshot);
    crdt_close(written);
    crdt_close(loaded);
}
END_TEST

START_TEST(load_fails_whole_at_every_allocation)
{
    struct crdt_document *written = document_new(1, 1);
    struct crdt_document *peer = document_new(2, 1);
    fill(written, 40);
    fill(peer, 20); /* so that some elements have two dots                          */
    sync_both(written, peer);
    struct crdt_buffer snapshot = snapshot_of(written);
    struct test_memory memory = {0};
    struct crdt_options options = document_options(1, 1);
    options.memory = test_memory_hook(&memory);
    enum crdt_status status = CRDT_ERR_NOMEM;
    for (uint64_t fail_at = 1; status == CRDT_ERR_NOMEM; fail_at++) {
        struct crdt_document *loaded = NULL;
        memory = (struct test_memory){.fail_at = fail_at};
        status = crdt_load(&options, crdt_buffer_bytes(&snapshot), &loaded);
        ck_assert((status == CRDT_OK) == (loaded != NULL));
        crdt_close(loaded);
        ck_assert_uint_eq(memory.held, 0);
    }
    OK(status);
    crdt_buffer_close(&snapshot);
    crdt_close(written);
    crdt_close(peer);
}
END_TEST

/* ---- canonical order ---- */

struct order {
    uint8_t last[KEY_BYTES_MAX];
    size_t last_size;
    size_t count;
};

/* Compares byte by byte, as docs/wire-format.md says: a prefix comes first. */
static bool stands_before(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    for (size_t i = 0; i < a_size && i < b_size; i++)
        if (a[i] != b[i])
            return a[i] < b[i];
    return a_size < b_size;
}

static bool check_next(void *context, const struct crdt_entry *entry)
{
    struct order *order = context;
    const struct crdt_bytes *key =
        entry->element != NULL ? entry->element : &entry->path.keys[entry->path.count - 1];
    claim(order->count == 0 ||
        stands_before(order->last, order->last_size, key->data, key->size));
    claim(key->size <= sizeof order->last);
    if (key->size > 0)
        memcpy(order->last, key->data, key->size);
    order->last_size = key->size;
    order->count++;
    return true;
}

/* Keys of few bytes out of few, behind a common front: many are the front of
 * others, end in zeros, or differ only far behind. */
static size_t draw_key(struct choice *choice, size_t front, uint8_t key[static KEY_BYTES_MAX])
{
    static const uint8_t letters[] = {0, 1, 'a', 0xff};
    memset(key, 'f', front);
    size_t size = front + choice_below(choice, (uint32_t)(KEY_BYTES_MAX - front + 1));
    for (size_t i = front; i < size; i++)
        key[i] = letters[choice_below(choice, sizeof letters)];
    return size;
}

START_TEST(canonical_order_is_that_of_the_bytes)
{
    bool is_fixed;
    uint64_t seed = choice_seed("canonical_order_is_that_of_the_bytes", &is_fixed);
    unsigned runs = choice_runs(30);
    for (unsigned run = 0; run < runs; run++) {
        char note[64];
        snprintf(note, sizeof note, "CRDT_TEST_SEED=%llu, run %u", (unsigned long long)seed, run);
        claim_note(note);
        struct choice choice = choice_from_seed(seed + run);
        struct crdt_document *document = document_new(1, 1);
        size_t count = 1 + choice_below(&choice, run % 3 == 0 ? 40 : 4000);
        size_t front = choice_below(&choice, 6);
        for (size_t i = 0; i < count; i++) {
            uint8_t bytes[KEY_BYTES_MAX];
            size_t size = draw_key(&choice, front, bytes);
            struct crdt_bytes keys[] = {crdt_text("m"), {bytes, size}};
            struct crdt_transaction *transaction = begin(document);
            OK(crdt_set_add(transaction, crdt_root(), keys[1]));
            OK(crdt_flag_enable(transaction, (struct crdt_path){keys, 2}));
            crdt_commit(transaction);
        }
        struct order elements = {0};
        struct order keys = {0};
        OK(crdt_visit(document, PATH("m"), check_next, &keys));
        claim(keys.count == crdt_count(document, PATH("m"), CRDT_MAP));
        clear(document, PATH("m"), CRDT_ANY);
        OK(crdt_visit(document, crdt_root(), check_next, &elements));
        claim(elements.count == crdt_count(document, crdt_root(), CRDT_SET));
        claim(elements.count == keys.count);
        /* Loading refuses any other order. */
        struct crdt_document *loaded = copy_of(document);
        claim(is_same(document, loaded));
        crdt_close(loaded);
        crdt_close(document);
    }
}
END_TEST

START_TEST(fold_is_taken_from_a_snapshot_by_who_has_the_unfolded)
{
    struct crdt_document *a = document_new(1, 1);
    struct crdt_document *b = document_new(2, 1);
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 20; j++) {
            struct crdt_bytes key = number_key(&j);
            add(a, (struct crdt_path){&key, 1}, 1);
            struct crdt_buffer batch = sealed(a);
            OK(merge(b, &batch));
            crdt_buffer_close(&batch);
        }
    for (size_t j = 0; j < 20; j += 2) {
        struct crdt_bytes key = number_key(&j);
        fold(a, (struct crdt_path){&key, 1}, CRDT_COUNTER, UINT64_MAX);
    }
    struct crdt_buffer snapshot = snapshot_of(a);
    OK(merge(b, &snapshot));
    ck_assert(is_same(a, b));
    crdt_buffer_close(&snapshot);
    crdt_close(a);
    crdt_close(b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("load");
    TCase *tests = tcase_create("load");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, loaded_document_finds_what_was_written);
    tcase_add_test(tests, loaded_document_is_written_on_like_any);
    tcase_add_test(tests, loaded_document_weighs_no_more_than_the_written_one);
    tcase_add_test(tests, loaded_tables_have_their_indexes);
    tcase_add_test(tests, load_fails_whole_at_every_allocation);
    tcase_add_test(tests, canonical_order_is_that_of_the_bytes);
    tcase_add_test(tests, fold_is_taken_from_a_snapshot_by_who_has_the_unfolded);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
