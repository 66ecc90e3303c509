/* Hostile bytes: every truncation and every flipped bit of real batches,
 * snapshots and summaries. Nothing crashes, and what is refused leaves the
 * document byte for byte as it was. */
#include "tests/support/documents.h"
#include "tests/support/memory.h"
#include "tests/support/runner.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static struct crdt_document *writer, *other;
static struct test_memory memory;

static void setup(void)
{
    write_now_ms = 1000;
    writer = document_new(1, 1);
    other = document_new(2, 1);
    add(other, PATH("n"), 3);
    put(other, PATH("s"), "x");
    sync_both(writer, other);
    struct crdt_transaction *transaction = begin(writer);
    OK(crdt_counter_add(transaction, PATH("n"), 300));
    OK(crdt_gcounter_add(transaction, PATH("deep", "er", "g"), 1));
    OK(crdt_register_set(transaction, PATH("r"), crdt_text("value")));
    OK(crdt_set_add(transaction, PATH("s"), crdt_text("element")));
    OK(crdt_set_remove(transaction, PATH("s"), crdt_text("x")));
    OK(crdt_flag_enable(transaction, PATH("f")));
    OK(crdt_remove(transaction, PATH("deep"), CRDT_ANY));
    OK(crdt_note(transaction));
    crdt_commit(transaction);
}

static void teardown(void)
{
    crdt_close(writer);
    crdt_close(other);
}

/* A document with content that merges `bytes`, which lie in a block of exactly
 * their size so that ASan sees any read past them. */
static enum crdt_status try_merge(struct crdt_bytes bytes, struct crdt_buffer *base)
{
    struct crdt_options options = document_options(9, 1);
    options.memory = test_memory_hook(&memory);
    struct crdt_document *victim;
    OK(crdt_load(&options, crdt_buffer_bytes(base), &victim));
    struct crdt_buffer before = snapshot_of(victim);
    memory.peak = memory.held;
    size_t held = memory.held;
    uint8_t *exact = malloc(bytes.size > 0 ? bytes.size : 1);
    memcpy(exact, bytes.data, bytes.size);
    enum crdt_status status = crdt_merge(victim, (struct crdt_bytes){exact, bytes.size});
    free(exact);
    ck_assert_uint_lt(memory.peak - held, 200000);
    struct crdt_buffer after = snapshot_of(victim);
    if (status != CRDT_OK)
        ck_assert(buffer_equals(&before, &after));
    crdt_buffer_close(&before);
    crdt_buffer_close(&after);
    crdt_close(victim);
    ck_assert_uint_eq(memory.held, 0);
    return status;
}

static void try_all(struct crdt_buffer *bytes, struct crdt_buffer *base)
{
    for (size_t size = 1; size < bytes->size; size++)
        ck_assert_int_ne(try_merge((struct crdt_bytes){bytes->data, size}, base), CRDT_OK);
    for (size_t bit = 0; bit < 8 * bytes->size; bit++) {
        bytes->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        (void)try_merge(crdt_buffer_bytes(bytes), base);
        bytes->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    OK(try_merge(crdt_buffer_bytes(bytes), base));
}

START_TEST(truncated_or_flipped_batch_changes_nothing)
{
    struct crdt_buffer base = snapshot_of(other), batch = sealed(writer);
    try_all(&batch, &base);
    crdt_buffer_close(&base);
    crdt_buffer_close(&batch);
}
END_TEST

/* Also batches that would wait: their bytes are checked before they do. */
START_TEST(truncated_or_flipped_early_batch_changes_nothing)
{
    struct crdt_document *empty = document_new(7, 0);
    struct crdt_buffer base = snapshot_of(empty), batch = sealed(writer);
    try_all(&batch, &base);
    crdt_buffer_close(&base);
    crdt_buffer_close(&batch);
    crdt_close(empty);
}
END_TEST

START_TEST(truncated_or_flipped_snapshot_changes_nothing)
{
    struct crdt_buffer base = snapshot_of(other), snapshot = snapshot_of(writer);
    try_all(&snapshot, &base);
    struct crdt_options options = document_options(9, 1);
    for (size_t size = 0; size < snapshot.size; size++) {
        struct crdt_document *document = NULL;
        ck_assert_int_ne(
            crdt_load(&options, (struct crdt_bytes){snapshot.data, size}, &document), CRDT_OK);
        ck_assert_ptr_null(document);
    }
    crdt_buffer_close(&base);
    crdt_buffer_close(&snapshot);
}
END_TEST

START_TEST(single_flipped_bit_of_a_batch_is_never_accepted)
{
    struct crdt_buffer base = snapshot_of(other), batch = sealed(writer);
    struct crdt_batch header;
    size_t accepted = 0;
    OK(crdt_batch_read(crdt_buffer_bytes(&batch), &header));
    size_t body = 8 * header.header.size;
    for (size_t bit = body; bit < 8 * batch.size; bit++) {
        batch.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        accepted += try_merge(crdt_buffer_bytes(&batch), &base) == CRDT_OK;
        batch.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert_uint_eq(accepted, 0);
    crdt_buffer_close(&base);
    crdt_buffer_close(&batch);
}
END_TEST

static void hash_into(uint8_t *place, const uint8_t *data, size_t size)
{
    crypto_generichash(place, CRDT_HASH_BYTES, data, size, NULL, 0);
}

/* A liar computes hashes too: what is inside must be checked as well. */
START_TEST(flipped_snapshot_with_its_hash_made_right_is_refused_or_sound)
{
    struct crdt_buffer base = snapshot_of(other), snapshot = snapshot_of(writer);
    size_t end = snapshot.size - CRDT_HASH_BYTES - 2;
    size_t refused = 0;
    for (size_t bit = 0; bit < 8 * end; bit++) {
        snapshot.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        hash_into(snapshot.data + snapshot.size - CRDT_HASH_BYTES, snapshot.data, end);
        struct crdt_options options = document_options(9, 0);
        struct crdt_document *loaded;
        refused += try_merge(crdt_buffer_bytes(&snapshot), &base) != CRDT_OK;
        if (crdt_load(&options, crdt_buffer_bytes(&snapshot), &loaded) == CRDT_OK) {
            struct crdt_document *copy = copy_of(loaded);
            ck_assert(is_same(copy, loaded));
            crdt_close(copy);
            crdt_close(loaded);
        }
        snapshot.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert_uint_gt(refused, 0);
    crdt_buffer_close(&base);
    crdt_buffer_close(&snapshot);
}
END_TEST

/* The header ends in the hash of the body, and the body ends the batch. */
START_TEST(flipped_batch_with_its_hash_made_right_is_refused_or_sound)
{
    struct crdt_buffer base = snapshot_of(other), batch = sealed(writer);
    struct crdt_batch header;
    OK(crdt_batch_read(crdt_buffer_bytes(&batch), &header));
    const uint8_t *start = header.header.data;
    size_t header_end = (size_t)(start - batch.data) + header.header.size;
    struct crdt_bytes rest = {batch.data + header_end, batch.size - header_end}, body;
    OK(crdt_read_bytes(&rest, rest.size, &body));
    size_t body_start = batch.size - body.size;
    for (size_t bit = 8 * body_start; bit < 8 * batch.size; bit++) {
        batch.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        hash_into(batch.data + header_end - CRDT_HASH_BYTES, batch.data + body_start, body.size);
        (void)try_merge(crdt_buffer_bytes(&batch), &base);
        batch.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    crdt_buffer_close(&base);
    crdt_buffer_close(&batch);
}
END_TEST

START_TEST(single_flipped_bit_of_a_snapshot_is_never_accepted)
{
    struct crdt_options options = document_options(9, 1);
    struct crdt_buffer snapshot = snapshot_of(writer);
    for (size_t bit = 0; bit < 8 * snapshot.size; bit++) {
        struct crdt_document *document;
        snapshot.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_ne(
            crdt_load(&options, crdt_buffer_bytes(&snapshot), &document), CRDT_OK);
        snapshot.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    crdt_buffer_close(&snapshot);
}
END_TEST

START_TEST(truncated_or_flipped_summary_is_refused_or_answered)
{
    struct crdt_buffer summary = summary_of(other), delta;
    crdt_buffer_init(&delta, NULL);
    struct crdt_buffer before = snapshot_of(writer);
    for (size_t size = 1; size < summary.size; size++)
        ck_assert_int_eq(crdt_diff(writer, (struct crdt_bytes){summary.data, size}, &delta),
            CRDT_ERR_MALFORMED);
    for (size_t bit = 0; bit < 8 * summary.size; bit++) {
        summary.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        struct crdt_dot dots[8];
        size_t count;
        (void)!crdt_summary_read(crdt_buffer_bytes(&summary), dots, 8, &count);
        (void)!crdt_diff(writer, crdt_buffer_bytes(&summary), &delta);
        crdt_buffer_clear(&delta);
        summary.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    struct crdt_buffer after = snapshot_of(writer);
    ck_assert(buffer_equals(&before, &after));
    crdt_buffer_close(&summary);
    crdt_buffer_close(&delta);
    crdt_buffer_close(&before);
    crdt_buffer_close(&after);
}
END_TEST

static const struct {
    const char *bytes;
    size_t size;
} garbage[] = {
    {"\xdd\xff\xff\xff\xff", 5}, {"\xdf\xff\xff\xff\xff", 5}, {"\xc6\xff\xff\xff\xff", 5},
    {"\xdb\xff\xff\xff\xff", 5}, {"\xc1", 1}, {"\x00", 1}, {"\xff\xff\xff\xff", 4},
    {"POST / HTTP/1.1\r\nHost: x\r\n\r\n", 28}, {"*2147483647\r\n", 13}, {"\x91\x91\x91\x91", 4},
};

START_TEST(garbage_is_malformed_and_allocates_next_to_nothing)
{
    struct crdt_buffer base = snapshot_of(other);
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        struct crdt_bytes bytes = {garbage[i].bytes, garbage[i].size};
        struct crdt_batch header;
        enum crdt_status status = try_merge(bytes, &base);
        ck_assert(status == CRDT_ERR_MALFORMED || status == CRDT_ERR_VERSION);
        ck_assert_int_ne(crdt_batch_read(bytes, &header), CRDT_OK);
    }
    static uint8_t nested[1000000];
    memset(nested, 0x91, sizeof nested);
    ck_assert_int_ne(try_merge((struct crdt_bytes){nested, sizeof nested}, &base), CRDT_OK);
    crdt_buffer_close(&base);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hostile");
    TCase *tests = tcase_create("hostile");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, truncated_or_flipped_batch_changes_nothing);
    tcase_add_test(tests, truncated_or_flipped_early_batch_changes_nothing);
    tcase_add_test(tests, truncated_or_flipped_snapshot_changes_nothing);
    tcase_add_test(tests, flipped_snapshot_with_its_hash_made_right_is_refused_or_sound);
    tcase_add_test(tests, flipped_batch_with_its_hash_made_right_is_refused_or_sound);
    tcase_add_test(tests, single_flipped_bit_of_a_batch_is_never_accepted);
    tcase_add_test(tests, single_flipped_bit_of_a_snapshot_is_never_accepted);
    tcase_add_test(tests, truncated_or_flipped_summary_is_refused_or_answered);
    tcase_add_test(tests, garbage_is_malformed_and_allocates_next_to_nothing);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
