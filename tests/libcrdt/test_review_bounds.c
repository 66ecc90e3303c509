/* What a reader of the library found: searches that did not end, bytes with two
 * forms, places outside every limit, and failures that left something behind. */
#include "tests/support/documents.h"
#include "tests/support/memory.h"
#include "tests/support/runner.h"

#include <string.h>

START_TEST(signed_head_before_a_number_without_sign_is_refused)
{
    static const struct {
        const char *bytes;
        size_t size;
    } twice[] = {
        {"\xd1\x01\x00", 3},
        {"\xd2\x00\x01\x00\x00", 5},
        {"\xd3\x00\x00\x00\x01\x00\x00\x00\x00", 9},
    };
    for (size_t i = 0; i < sizeof twice / sizeof twice[0]; i++) {
        struct crdt_bytes input = {twice[i].bytes, twice[i].size};
        uint64_t value;
        int64_t number;
        ck_assert_int_eq(crdt_read_uint(&input, UINT64_MAX, &value), CRDT_ERR_MALFORMED);
        ck_assert_int_eq(crdt_read_int(&input, &number), CRDT_ERR_MALFORMED);
        ck_assert_uint_eq(input.size, twice[i].size);
    }
}
END_TEST

static void change_elements(
    struct crdt_transaction *transaction, uint8_t first, uint8_t count, bool is_add)
{
    for (uint8_t i = first; i < first + count; i++) {
        struct crdt_bytes element = {&i, 1};
        OK(is_add ? crdt_set_add(transaction, crdt_root(), element)
                  : crdt_set_remove(transaction, crdt_root(), element));
    }
}

START_TEST(search_ends_after_a_full_set_was_exchanged_and_came_back)
{
    enum { SEEDS = 20 };
    for (uint32_t seed = 0; seed < SEEDS; seed++)
        for (uint8_t count = 10; count <= 14; count++) {
            struct crdt_options options = document_options(1, 1);
            memcpy(options.hash_seed, &seed, sizeof seed);
            struct crdt_document *document;
            OK(crdt_open(&options, &document));
            struct crdt_transaction *transaction = begin(document);
            change_elements(transaction, 0, count, true);
            crdt_commit(transaction);
            for (uint8_t other = 1; other < 20; other++) {
                transaction = begin(document);
                change_elements(transaction, 0, count - 1, false); /* an empty set would go */
                change_elements(transaction, 100, other, true);
                crdt_abort(transaction);
            }
            for (uint8_t i = 0; i < 200; i++)
                ck_assert_int_eq(
                    crdt_set_contains(document, crdt_root(), (struct crdt_bytes){&i, 1}),
                    i < count);
            crdt_close(document);
        }
}
END_TEST

static bool visit_nothing(void *context, const struct crdt_entry *entry)
{
    (void)context;
    (void)entry;
    ck_abort_msg("nothing lives there");
    return false;
}

START_TEST(path_beyond_every_limit_names_nothing)
{
    enum { KEYS = 5000 };
    static struct crdt_bytes keys[KEYS];
    for (size_t i = 0; i < KEYS; i++)
        keys[i] = crdt_text("k");
    struct crdt_path path = {keys, KEYS};
    struct crdt_document *document = document_new(1, 1);
    add(document, (struct crdt_path){keys, CRDT_DEPTH_MAX}, 1);
    OK(crdt_visit(document, path, visit_nothing, NULL));
    ck_assert_uint_eq(crdt_types(document, path), 0);
    ck_assert(!crdt_set_contains(document, path, crdt_text("e")));
    struct crdt_transaction *transaction = begin(document);
    ck_assert_int_eq(crdt_counter_add(transaction, path, 1), CRDT_ERR_LIMIT);
    ck_assert_int_eq(crdt_set_add(transaction, path, crdt_text("e")), CRDT_ERR_LIMIT);
    OK(crdt_remove(transaction, path, CRDT_ANY));
    crdt_commit(transaction);
    crdt_close(document);
}
END_TEST

START_TEST(keys_of_a_path_share_one_limit)
{
    static uint8_t half[CRDT_PATH_BYTES_MAX / 2];
    struct crdt_bytes keys[] = {{half, sizeof half}, {half, sizeof half}, {half, 1}};
    struct crdt_document *document = document_new(1, 1);
    struct crdt_transaction *transaction = begin(document);
    OK(crdt_flag_enable(transaction, (struct crdt_path){keys, 2}));
    ck_assert_int_eq(
        crdt_flag_enable(transaction, (struct crdt_path){keys, 3}), CRDT_ERR_LIMIT);
    ck_assert_int_eq(
        crdt_set_add(transaction, (struct crdt_path){keys, 2}, keys[2]), CRDT_ERR_LIMIT);
    crdt_commit(transaction);
    crdt_close(document);
}
END_TEST

START_TEST(summary_out_of_order_is_refused)
{
    struct crdt_dot dots[2] = {
        {document_origin(3, 1), 1}, {document_origin(2, 1), 1}}, out[2];
    struct crdt_document *document = document_new(1, 1);
    struct crdt_buffer summary = {0}, delta = {0};
    size_t count;
    for (int i = 0; i < 2; i++) {
        crdt_buffer_clear(&summary);
        OK(crdt_summary_write(dots, 2, &summary));
        struct crdt_bytes bytes = crdt_buffer_bytes(&summary);
        ck_assert_int_eq(crdt_summary_read(bytes, out, 2, &count), CRDT_ERR_MALFORMED);
        ck_assert_int_eq(crdt_diff(document, bytes, &delta), CRDT_ERR_MALFORMED);
        ck_assert_int_eq(crdt_gc(document, &bytes, 1), CRDT_ERR_MALFORMED);
        dots[1] = dots[0];
    }
    crdt_buffer_close(&summary);
    crdt_buffer_close(&delta);
    crdt_close(document);
}
END_TEST

/* ---- merges that fail ---- */

/* 128 heads are kept: that of the first batch is the oldest one. */
START_TEST(failed_merge_forgets_no_head)
{
    enum { BATCHES = 129 };
    struct crdt_document *reader = document_new(1, 1);
    struct crdt_document *one = document_new(2, 1), *other = document_new(2, 1);
    struct crdt_buffer delta = {0}, forked;
    add(other, PATH("n"), 2);
    forked = sealed(other);
    for (int i = 0; i < BATCHES; i++) {
        add(one, PATH("n"), 1);
        struct crdt_buffer batch = sealed(one);
        OK(merge(reader, &batch));
        crdt_buffer_close(&batch);
    }
    ck_assert_int_eq(merge(reader, &forked), CRDT_ERR_FORK);
    add(one, PATH("n"), 1);
    struct crdt_buffer next = sealed(one);
    OK(crdt_buffer_append(&delta, next.data, next.size));
    /* By then the head of the first batch is gone, so another feed must fail. */
    struct crdt_document *third = document_new(3, 1), *twin = document_new(3, 1);
    add(third, PATH("n"), 1);
    sync_to(third, reader);
    add(twin, PATH("n"), 2);
    struct crdt_buffer bad = sealed(twin);
    OK(crdt_buffer_append(&delta, bad.data, bad.size));
    ck_assert_int_eq(merge(reader, &delta), CRDT_ERR_FORK);
    ck_assert_int_eq(merge(reader, &forked), CRDT_ERR_FORK);
    OK(merge(reader, &next));
    crdt_buffer_close(&bad);
    crdt_buffer_close(&next);
    crdt_buffer_close(&delta);
    crdt_buffer_close(&forked);
    crdt_close(third);
    crdt_close(twin);
    crdt_close(reader);
    crdt_close(one);
    crdt_close(other);
}
END_TEST

static void append(struct crdt_buffer *delta, struct crdt_buffer *part)
{
    OK(crdt_buffer_append(delta, part->data, part->size));
    crdt_buffer_close(part);
}

START_TEST(failed_merge_keeps_nothing_waiting)
{
    struct crdt_document *reader = document_new(1, 1);
    struct crdt_document *early = document_new(2, 1);
    struct crdt_document *one = document_new(3, 1);
    struct crdt_document *other = document_new(3, 1);
    add(one, PATH("n"), 1);
    add(other, PATH("n"), 2);
    sync_to(one, reader);
    struct crdt_buffer first, delta;
    crdt_buffer_init(&delta, NULL);
    add(early, PATH("n"), 1);
    first = sealed(early);
    add(early, PATH("n"), 1);
    struct crdt_buffer second = sealed(early);
    append(&delta, &second);
    second = sealed(other);
    append(&delta, &second);
    ck_assert_int_eq(merge(reader, &delta), CRDT_ERR_FORK);
    ck_assert_uint_eq(crdt_pending_bytes(reader), 0);
    OK(merge(reader, &first));
    ck_assert_int_eq(crdt_counter_value(reader, PATH("n")), 2);
    crdt_buffer_close(&first);
    crdt_buffer_close(&delta);
    crdt_close(reader);
    crdt_close(early);
    crdt_close(one);
    crdt_close(other);
}
END_TEST

START_TEST(failed_merge_keeps_what_waited_before_it)
{
    struct crdt_document *reader = document_new(1, 1);
    struct crdt_document *early = document_new(2, 1);
    add(early, PATH("n"), 1);
    struct crdt_buffer first = sealed(early);
    add(early, PATH("n"), 1);
    struct crdt_buffer second = sealed(early);
    OK(merge(reader, &second));
    size_t waiting = crdt_pending_bytes(reader);
    ck_assert_uint_gt(waiting, 0);
    struct crdt_bytes cut = {first.data, first.size - 1};
    ck_assert_int_eq(crdt_merge(reader, cut), CRDT_ERR_MALFORMED);
    ck_assert_uint_eq(crdt_pending_bytes(reader), waiting);
    OK(merge(reader, &first));
    ck_assert_int_eq(crdt_counter_value(reader, PATH("n")), 2);
    crdt_buffer_close(&first);
    crdt_buffer_close(&second);
    crdt_close(reader);
    crdt_close(early);
}
END_TEST

START_TEST(failed_merge_does_not_move_the_clock)
{
    write_now_ms = 1000;
    struct crdt_options options = document_options(1, 1);
    options.pending_bytes_max = 0;
    struct crdt_document *reader;
    OK(crdt_open(&options, &reader));
    struct crdt_document *ahead = document_new(2, 1);
    struct crdt_document *early = document_new(3, 1);
    struct crdt_buffer delta;
    crdt_buffer_init(&delta, NULL);
    write_now_ms = 30000;
    assign(ahead, PATH("r"), "ahead");
    write_now_ms = 1000;
    struct crdt_buffer part = sealed(ahead);
    append(&delta, &part);
    add(early, PATH("n"), 1);
    part = sealed(early);
    crdt_buffer_close(&part);
    add(early, PATH("n"), 1);
    part = sealed(early);
    append(&delta, &part);
    ck_assert_int_eq(merge(reader, &delta), CRDT_ERR_GAP);
    assign(reader, PATH("q"), "mine");
    struct crdt_version version;
    OK(crdt_register_version(reader, PATH("q"), 0, &version));
    ck_assert_uint_eq(version.hlc >> 16, 1000);
    crdt_buffer_close(&delta);
    crdt_close(reader);
    crdt_close(ahead);
    crdt_close(early);
}
END_TEST

static uint64_t next_stamp_ms(struct crdt_document *document)
{
    struct crdt_version version;
    assign(document, PATH("own"), "v");
    OK(crdt_register_version(document, PATH("own"), 0, &version));
    return version.hlc >> 16;
}

START_TEST(clock_adopts_a_joined_stamp_unless_it_is_far_ahead)
{
    static const struct {
        uint64_t seen_ms, then_ms;
    } cases[] = {{30000, 30000}, {61000, 61000}, {61001, 1000}};
    for (size_t i = 0; i < 6; i++) {
        struct crdt_document *ahead = document_new(2, 1);
        struct crdt_document *reader = document_new(1, 1);
        write_now_ms = cases[i / 2].seen_ms;
        assign(ahead, PATH("r"), "ahead");
        write_now_ms = 1000;
        struct crdt_buffer bytes = i % 2 == 0 ? snapshot_of(ahead) : sealed(ahead);
        OK(merge(reader, &bytes));
        ck_assert_uint_eq(next_stamp_ms(reader), cases[i / 2].then_ms);
        crdt_buffer_close(&bytes);
        crdt_close(ahead);
        crdt_close(reader);
    }
}
END_TEST

START_TEST(stamp_far_ahead_does_not_turn_the_own_clock_back)
{
    struct crdt_document *ahead = document_new(2, 1);
    struct crdt_document *writer = document_new(1, 1);
    write_now_ms = 30000;
    ck_assert_uint_eq(next_stamp_ms(writer), 30000);
    write_now_ms = 200000;
    assign(ahead, PATH("r"), "ahead");
    write_now_ms = 1000;
    sync_to(ahead, writer);
    ck_assert_uint_eq(next_stamp_ms(writer), 30000);
    crdt_close(ahead);
    crdt_close(writer);
}
END_TEST

/* ---- generations ---- */

START_TEST(open_batch_goes_on_after_it_moved)
{
    struct crdt_document *document = document_new(1, 1);
    struct crdt_document *peer = document_new(2, 1);
    for (int i = 0; i < 2; i++) {
        add(document, PATH("n"), 1);
        struct crdt_buffer batch = sealed(document);
        OK(merge(peer, &batch));
        crdt_buffer_close(&batch);
    }
    note(document);
    add(document, PATH("n"), 10);
    struct crdt_transaction *transaction = begin(document);
    OK(crdt_counter_fold(transaction, PATH("n"), CRDT_COUNTER, 0, 2));
    crdt_abort(transaction);
    OK(crdt_set_generation(document, 2));
    add(document, PATH("n"), 100);
    ck_assert_uint_eq(crdt_open_records(document), 2);
    sync_to(document, peer);
    ck_assert_int_eq(crdt_counter_value(peer, PATH("n")), 112);
    ck_assert(is_same(document, peer));
    crdt_close(document);
    crdt_close(peer);
}
END_TEST

START_TEST(waiting_batch_of_a_generation_named_later_is_news_of_a_loss)
{
    struct crdt_document *reader = document_new(1, 1);
    struct crdt_document *past = document_new(1, 2);
    struct crdt_document *peer = document_new(2, 1);
    add(past, PATH("n"), 1);
    struct crdt_buffer first = sealed(past);
    add(past, PATH("n"), 1);
    struct crdt_buffer second = sealed(past);
    OK(merge(reader, &second));
    OK(crdt_set_generation(reader, 2));
    add(reader, PATH("n"), 10);
    struct crdt_buffer own = sealed(reader);
    crdt_buffer_close(&own);
    add(peer, PATH("n"), 100);
    struct crdt_buffer news = sealed(peer);
    ck_assert_int_eq(merge(reader, &news), CRDT_ERR_AMNESIA);
    ck_assert_int_eq(crdt_writable(reader), CRDT_ERR_AMNESIA);
    OK(crdt_set_generation(reader, 3));
    OK(merge(reader, &news));
    ck_assert_int_eq(crdt_counter_value(reader, PATH("n")), 110);
    crdt_buffer_close(&first);
    crdt_buffer_close(&second);
    crdt_buffer_close(&news);
    crdt_close(reader);
    crdt_close(past);
    crdt_close(peer);
}
END_TEST

START_TEST(open_batch_that_folds_stays_where_it_is)
{
    struct crdt_document *document = document_new(1, 1);
    for (int i = 0; i < 3; i++) {
        add(document, PATH("n"), 1);
        struct crdt_buffer batch = sealed(document);
        crdt_buffer_close(&batch);
    }
    fold(document, PATH("n"), CRDT_COUNTER, 3);
    ck_assert_uint_eq(crdt_open_records(document), 1);
    size_t feeds = crdt_feed_count(document);
    size_t open_bytes = crdt_open_bytes(document);
    ck_assert_int_eq(crdt_set_generation(document, 2), CRDT_ERR_BUSY);
    ck_assert_uint_eq(crdt_self(document).generation, 1);
    ck_assert_uint_eq(crdt_feed_count(document), feeds);
    ck_assert_uint_eq(crdt_open_records(document), 1);
    ck_assert_uint_eq(crdt_open_bytes(document), open_bytes);
    ck_assert_uint_eq(crdt_count(document, PATH("n"), CRDT_COUNTER), 1);
    /* The same again without the attempt gives the same bytes. */
    struct crdt_document *twin = document_new(1, 1);
    for (int i = 0; i < 3; i++) {
        add(twin, PATH("n"), 1);
        struct crdt_buffer batch = sealed(twin);
        crdt_buffer_close(&batch);
    }
    fold(twin, PATH("n"), CRDT_COUNTER, 3);
    ck_assert(is_same(document, twin));
    OK(crdt_set_generation(document, 2));
    crdt_close(document);
    crdt_close(twin);
}
END_TEST

START_TEST(open_batch_under_amnesia_is_not_sealed_by_anything)
{
    struct crdt_document *lost = document_new(1, 1);
    struct crdt_document *past = document_new(1, 1);
    add(past, PATH("n"), 5);
    add(lost, PATH("n"), 7);
    struct crdt_buffer known = sealed(past), out;
    crdt_buffer_init(&out, NULL);
    ck_assert_int_eq(merge(lost, &known), CRDT_ERR_AMNESIA);
    struct crdt_bytes batch;
    struct crdt_digest digest;
    ck_assert_int_eq(crdt_seal(lost, &batch), CRDT_ERR_AMNESIA);
    ck_assert_int_eq(crdt_summary(lost, &out), CRDT_ERR_AMNESIA);
    ck_assert_int_eq(crdt_snapshot(lost, &out), CRDT_ERR_AMNESIA);
    ck_assert_int_eq(crdt_digest(lost, &digest), CRDT_ERR_AMNESIA);
    ck_assert_int_eq(crdt_context_digest(lost, &digest), CRDT_ERR_AMNESIA);
    ck_assert_uint_eq(out.size, 0);
    ck_assert_uint_eq(crdt_open_records(lost), 1);
    OK(crdt_set_generation(lost, 2));
    OK(merge(lost, &known));
    ck_assert_int_eq(crdt_counter_value(lost, PATH("n")), 12);
    OK(crdt_seal(lost, &batch));
    ck_assert_uint_gt(batch.size, 0);
    crdt_buffer_close(&known);
    crdt_close(lost);
    crdt_close(past);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("review_bounds");
    TCase *bounds = tcase_create("bounds");
    tcase_add_test(bounds, signed_head_before_a_number_without_sign_is_refused);
    tcase_add_test(bounds, search_ends_after_a_full_set_was_exchanged_and_came_back);
    tcase_add_test(bounds, path_beyond_every_limit_names_nothing);
    tcase_add_test(bounds, keys_of_a_path_share_one_limit);
    tcase_add_test(bounds, summary_out_of_order_is_refused);
    tcase_add_test(bounds, failed_merge_forgets_no_head);
    tcase_add_test(bounds, failed_merge_keeps_nothing_waiting);
    tcase_add_test(bounds, failed_merge_keeps_what_waited_before_it);
    tcase_add_test(bounds, failed_merge_does_not_move_the_clock);
    tcase_add_test(bounds, clock_adopts_a_joined_stamp_unless_it_is_far_ahead);
    tcase_add_test(bounds, stamp_far_ahead_does_not_turn_the_own_clock_back);
    tcase_add_test(bounds, open_batch_goes_on_after_it_moved);
    tcase_add_test(bounds, waiting_batch_of_a_generation_named_later_is_news_of_a_loss);
    tcase_add_test(bounds, open_batch_that_folds_stays_where_it_is);
    tcase_add_test(bounds, open_batch_under_amnesia_is_not_sealed_by_anything);
    suite_add_tcase(suite, bounds);
    return runner_run(suite);
}
