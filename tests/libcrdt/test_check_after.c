/* What a batch that waits names, and of whose history. */
#include <crdt.h>
#include <string.h>

#include "tests/support/memory.h"
#include "tests/support/runner.h"

static struct test_memory memory;
static struct crdt_document *left, *right, *reader, *here;
static struct crdt_buffer first[2], note;
static struct crdt_batch batches[2], noted;

static struct crdt_document *document_new(uint8_t key)
{
    struct crdt_options options;
    struct crdt_document *document;
    crdt_options_init(&options);
    options.memory = test_memory_hook(&memory);
    memset(options.key, key, sizeof options.key);
    options.generation = 7;
    OK(crdt_open(&options, &document));
    return document;
}

static void write(struct crdt_document *document, const char *name, struct crdt_buffer *ret_bytes,
    struct crdt_batch *ret_batch)
{
    struct crdt_transaction *transaction;
    struct crdt_bytes key = crdt_text(name);
    struct crdt_path path = {.keys = &key, .count = 1};
    struct crdt_bytes bytes;
    OK(crdt_begin(document, 1, &transaction));
    OK(crdt_register_set(transaction, path, key));
    crdt_commit(transaction);
    OK(crdt_seal(document, &bytes));
    crdt_buffer_init(ret_bytes, NULL);
    OK(crdt_buffer_append(ret_bytes, bytes.data, bytes.size));
    OK(crdt_batch_read(crdt_buffer_bytes(ret_bytes), ret_batch));
}

/* Two histories of one origin; the reader has applied the left one and writes. */
static void setup(void)
{
    memory = (struct test_memory){0};
    left = document_new(1);
    right = document_new(1);
    reader = document_new(2);
    here = document_new(3);
    write(left, "left", &first[0], &batches[0]);
    write(right, "right", &first[1], &batches[1]);
    OK(crdt_merge(reader, crdt_buffer_bytes(&first[0])));
    write(reader, "read", &note, &noted);
}

static void teardown(void)
{
    crdt_close(left);
    crdt_close(right);
    crdt_close(reader);
    crdt_close(here);
    crdt_buffer_close(&first[0]);
    crdt_buffer_close(&first[1]);
    crdt_buffer_close(&note);
    ck_assert_uint_eq(memory.held, 0);
}

static enum crdt_status check(uint64_t seq, const uint8_t *head, uint64_t *ret_named)
{
    struct crdt_feed assumed = {.origin = batches[0].origin, .seq = seq};
    struct crdt_dot missing;
    if (head != NULL)
        memcpy(assumed.head, head, CRDT_HASH_BYTES);
    return crdt_batch_check_after(here, &noted, &assumed, ret_named, 1, &missing);
}

/* A batch that waits is asked about again and again: that must not cost what its body does. */
START_TEST(a_check_does_not_read_the_body_that_was_hashed_when_it_came)
{
    struct crdt_dot missing;
    uint64_t named = 0;
    uint8_t *body = (uint8_t *)note.data + note.size - 1;
    ck_assert(body >= (const uint8_t *)noted.header.data + noted.header.size);
    *body ^= 1;
    ck_assert_int_eq(crdt_batch_check(here, &noted, &missing), CRDT_ERR_GAP);
    ck_assert_int_eq(check(1, batches[0].head, &named), CRDT_OK);
    ck_assert_int_eq(check(1, batches[1].head, &named), CRDT_ERR_FORK);
    ck_assert_int_eq(crdt_merge(here, noted.bytes), CRDT_ERR_MALFORMED);
}
END_TEST

START_TEST(the_hash_of_the_deps_tells_the_histories_apart_and_nothing_changes)
{
    uint64_t named = 0;
    struct crdt_dot missing;
    size_t feeds = crdt_feed_count(here);
    ck_assert_int_eq(crdt_batch_check(here, &noted, &missing), CRDT_ERR_GAP);
    ck_assert_int_eq(
        crdt_batch_check_after(here, &noted, NULL, NULL, 0, &missing), CRDT_ERR_GAP);
    ck_assert_int_eq(check(CRDT_SEQ_MAX, NULL, &named), CRDT_OK);
    ck_assert_uint_eq(named, 1);
    ck_assert_int_eq(check(1, batches[0].head, &named), CRDT_OK);
    ck_assert_int_eq(check(1, batches[1].head, &named), CRDT_ERR_FORK);
    ck_assert_uint_eq(crdt_feed_count(here), feeds);
    ck_assert_int_eq(crdt_batch_check(here, &noted, &missing), CRDT_ERR_GAP);
    /* Likewise where the feed is known: it stands where it stood. */
    OK(crdt_merge(here, crdt_buffer_bytes(&first[1])));
    ck_assert_int_eq(check(1, batches[0].head, &named), CRDT_OK);
    ck_assert_int_eq(crdt_batch_check(here, &noted, &missing), CRDT_ERR_FORK);
    ck_assert_uint_eq(crdt_applied(here, &batches[0].origin), 1);
}
END_TEST

START_TEST(without_memory_it_says_so_and_leaves_the_document_as_it_was)
{
    uint64_t named;
    size_t feeds = crdt_feed_count(here);
    enum crdt_status status = CRDT_ERR_NOMEM;
    for (uint64_t at = 1; status != CRDT_OK; at++) {
        memory.fail_at = memory.requests + at;
        status = check(1, batches[0].head, &named);
        memory.fail_at = 0;
        ck_assert(status == CRDT_OK || status == CRDT_ERR_NOMEM);
        ck_assert_uint_eq(crdt_feed_count(here), feeds);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("check_after");
    TCase *tests = tcase_create("check_after");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_check_does_not_read_the_body_that_was_hashed_when_it_came);
    tcase_add_test(tests, the_hash_of_the_deps_tells_the_histories_apart_and_nothing_changes);
    tcase_add_test(tests, without_memory_it_says_so_and_leaves_the_document_as_it_was);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
