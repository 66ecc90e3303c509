/* Status texts, buffers, the memory hook, origins, opening and closing. */
#include "tests/support/documents.h"
#include "tests/support/memory.h"
#include "tests/support/runner.h"

#include <string.h>

START_TEST(every_status_has_a_text_of_its_own)
{
#define TEXT_MATCHES(name, value, text)                                                            \
    ck_assert_int_eq(name, value);                                                                 \
    ck_assert_str_eq(crdt_status_text(name), text);
    CRDT_STATUS_MAP(TEXT_MATCHES)
#undef TEXT_MATCHES
    ck_assert_ptr_nonnull(crdt_status_text((enum crdt_status)999));
}
END_TEST

START_TEST(buffer_appends_clears_and_gives_its_memory_back)
{
    struct test_memory memory = {0};
    struct crdt_memory hook = test_memory_hook(&memory);
    struct crdt_buffer buffer;
    crdt_buffer_init(&buffer, &hook);
    ck_assert_uint_eq(crdt_buffer_bytes(&buffer).size, 0);
    for (int i = 0; i < 1000; i++)
        OK(crdt_buffer_append(&buffer, "0123456789", 10));
    ck_assert_uint_eq(buffer.size, 10000);
    ck_assert_mem_eq(buffer.data + 9990, "0123456789", 10);
    ck_assert_uint_lt(memory.requests, 100);
    OK(crdt_buffer_append(&buffer, NULL, 0));
    crdt_buffer_clear(&buffer);
    ck_assert_uint_eq(buffer.size, 0);
    ck_assert_uint_gt(memory.held, 0);
    crdt_buffer_close(&buffer);
    ck_assert_uint_eq(memory.held, 0);
}
END_TEST

START_TEST(buffer_without_memory_stays_as_it_was)
{
    struct test_memory memory = {0};
    struct crdt_memory hook = test_memory_hook(&memory);
    struct crdt_buffer buffer;
    crdt_buffer_init(&buffer, &hook);
    OK(crdt_buffer_append(&buffer, "abc", 3));
    memory.fail_at = memory.requests + 1;
    static uint8_t large[100000];
    ck_assert_int_eq(crdt_buffer_append(&buffer, large, sizeof large), CRDT_ERR_NOMEM);
    ck_assert_uint_eq(buffer.size, 3);
    ck_assert_mem_eq(buffer.data, "abc", 3);
    crdt_buffer_close(&buffer);
    ck_assert_uint_eq(memory.held, 0);
}
END_TEST

START_TEST(origins_are_ordered_by_key_then_generation)
{
    struct crdt_origin x = document_origin(1, 9), y = document_origin(2, 3);
    ck_assert_int_lt(crdt_origin_compare(&x, &y), 0);
    ck_assert_int_gt(crdt_origin_compare(&y, &x), 0);
    y = document_origin(1, 10);
    ck_assert_int_lt(crdt_origin_compare(&x, &y), 0);
    y.generation = 9;
    ck_assert_int_eq(crdt_origin_compare(&x, &y), 0);
}
END_TEST

START_TEST(empty_document_has_nothing_and_leaks_nothing)
{
    struct test_memory memory = {0};
    struct crdt_options options = document_options(1, 1);
    options.memory = test_memory_hook(&memory);
    struct crdt_document *document;
    OK(crdt_open(&options, &document));
    ck_assert_uint_eq(crdt_types(document, crdt_root()), 0);
    ck_assert_uint_eq(crdt_root().count, 0);
    ck_assert_uint_eq(crdt_open_records(document), 0);
    ck_assert_uint_eq(crdt_open_bytes(document), 0);
    struct crdt_bytes bytes;
    OK(crdt_seal(document, &bytes));
    ck_assert_uint_eq(bytes.size, 0);
    struct crdt_origin self = crdt_self(document);
    ck_assert_uint_eq(self.generation, 1);
    ck_assert_uint_eq(self.key[31], 1);
    crdt_close(document);
    ck_assert_uint_eq(memory.held, 0);
    crdt_close(NULL);
}
END_TEST

START_TEST(document_that_held_much_gives_every_byte_back)
{
    struct test_memory memory = {0};
    struct crdt_options options = document_options(1, 1);
    options.memory = test_memory_hook(&memory);
    struct crdt_document *document;
    OK(crdt_open(&options, &document));
    for (uint32_t i = 0; i < 500; i++) {
        char key[2] = {(char)('a' + i % 26), 0};
        add(document, PATH("m", key), i);
        put(document, PATH(key), "element");
        assign(document, PATH(key, "r"), "value");
    }
    crdt_close(document);
    ck_assert_uint_eq(memory.held, 0);
}
END_TEST

START_TEST(document_without_generation_reads_and_merges_but_does_not_write)
{
    struct crdt_document *reader = document_new(1, 0), *writer = document_new(2, 1);
    struct crdt_transaction *transaction;
    ck_assert_int_eq(crdt_writable(reader), CRDT_ERR_GENERATION);
    ck_assert_int_eq(crdt_begin(reader, 1, &transaction), CRDT_ERR_GENERATION);
    add(writer, PATH("n"), 4);
    sync_to(writer, reader);
    ck_assert_int_eq(crdt_counter_value(reader, PATH("n")), 4);
    OK(crdt_set_generation(reader, 5));
    OK(crdt_writable(reader));
    add(reader, PATH("n"), 1);
    ck_assert_int_eq(crdt_counter_value(reader, PATH("n")), 5);
    crdt_close(reader);
    crdt_close(writer);
}
END_TEST

START_TEST(loaded_document_needs_a_generation_before_it_writes)
{
    struct crdt_document *writer = document_new(2, 1);
    add(writer, PATH("n"), 4);
    struct crdt_buffer snapshot = snapshot_of(writer);
    struct crdt_options options = document_options(2, 1);
    struct crdt_document *loaded;
    OK(crdt_load(&options, crdt_buffer_bytes(&snapshot), &loaded));
    ck_assert_int_eq(crdt_writable(loaded), CRDT_ERR_GENERATION);
    ck_assert_int_eq(crdt_set_generation(loaded, 0), CRDT_ERR_RANGE);
    OK(crdt_set_generation(loaded, 1));
    add(loaded, PATH("n"), 4);
    struct crdt_buffer batch = sealed(loaded);
    ck_assert_int_eq(merge(writer, &batch), CRDT_ERR_AMNESIA);
    crdt_buffer_close(&batch);
    crdt_buffer_close(&snapshot);
    crdt_close(loaded);
    crdt_close(writer);
}
END_TEST

START_TEST(digest_changes_with_the_state_and_is_kept_while_it_does_not)
{
    struct crdt_document *document = document_new(1, 1);
    struct crdt_digest x, y, z;
    OK(crdt_digest(document, &x));
    add(document, PATH("n"), 0);
    OK(crdt_digest(document, &y));
    OK(crdt_digest(document, &z));
    ck_assert_mem_ne(x.state, y.state, sizeof x.state);
    ck_assert_mem_ne(x.context, y.context, sizeof x.context);
    ck_assert_mem_ne(x.heads, y.heads, sizeof x.heads);
    ck_assert_mem_eq(&y, &z, sizeof y);
    OK(crdt_context_digest(document, &z));
    ck_assert_mem_eq(y.context, z.context, sizeof y.context);
    ck_assert_mem_eq(y.heads, z.heads, sizeof y.heads);
    for (size_t i = 0; i < sizeof z.state; i++)
        ck_assert_uint_eq(z.state[i], 0);
    crdt_close(document);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("basics");
    TCase *tests = tcase_create("basics");
    tcase_add_test(tests, every_status_has_a_text_of_its_own);
    tcase_add_test(tests, buffer_appends_clears_and_gives_its_memory_back);
    tcase_add_test(tests, buffer_without_memory_stays_as_it_was);
    tcase_add_test(tests, origins_are_ordered_by_key_then_generation);
    tcase_add_test(tests, empty_document_has_nothing_and_leaks_nothing);
    tcase_add_test(tests, document_that_held_much_gives_every_byte_back);
    tcase_add_test(tests, document_without_generation_reads_and_merges_but_does_not_write);
    tcase_add_test(tests, loaded_document_needs_a_generation_before_it_writes);
    tcase_add_test(tests, digest_changes_with_the_state_and_is_kept_while_it_does_not);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
