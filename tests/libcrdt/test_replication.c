/* summary -> diff -> merge, batches in any order, gaps, gc, forks, feeds. */
#include "tests/support/documents.h"
#include "tests/support/runner.h"

#include <string.h>

static struct crdt_document *a, *b, *c;

static void setup(void)
{
    write_now_ms = 1000;
    a = document_new(1, 1);
    b = document_new(2, 1);
    c = document_new(3, 1);
}

static void teardown(void)
{
    crdt_close(a);
    crdt_close(b);
    crdt_close(c);
}

static struct crdt_buffer batch_of(struct crdt_document *document, int64_t amount)
{
    add(document, PATH("n"), amount);
    return sealed(document);
}

START_TEST(diff_brings_exactly_what_is_missing)
{
    add(a, PATH("n"), 1);
    sync_to(a, b);
    add(b, PATH("n"), 2);
    sync_to(b, c);
    ck_assert_int_eq(crdt_counter_value(c, PATH("n")), 3);
    struct crdt_buffer none = diff_for(b, c);
    ck_assert_uint_eq(none.size, 0);
    OK(merge(c, &none));
    crdt_buffer_close(&none);
    struct crdt_buffer one = diff_for(b, a);
    struct crdt_batch header;
    OK(crdt_batch_read(crdt_buffer_bytes(&one), &header));
    ck_assert_uint_eq(header.bytes.size, one.size);
    ck_assert_uint_eq(header.origin.key[0], 2);
    crdt_buffer_close(&one);
}
END_TEST

START_TEST(header_alone_says_what_its_batch_says)
{
    struct crdt_buffer bytes = batch_of(a, 1);
    struct crdt_batch batch, read;
    OK(crdt_batch_read(crdt_buffer_bytes(&bytes), &batch));
    OK(crdt_batch_read_header(batch.header, &read));
    ck_assert_int_eq(crdt_origin_compare(&read.origin, &batch.origin), 0);
    ck_assert_uint_eq(read.first_seq, batch.first_seq);
    ck_assert_uint_eq(read.last_seq, batch.last_seq);
    ck_assert_mem_eq(read.head, batch.head, CRDT_HASH_BYTES);
    ck_assert_uint_eq(read.bytes.size, 0);
    for (size_t size = 0; size < batch.header.size; size++) {
        struct crdt_bytes cut = {batch.header.data, size};
        ck_assert_int_eq(crdt_batch_read_header(cut, &read), CRDT_ERR_MALFORMED);
    }
    crdt_buffer_close(&bytes);
}
END_TEST

START_TEST(batches_in_reverse_order_wait_and_are_applied)
{
    struct crdt_buffer batches[4];
    for (int i = 0; i < 4; i++)
        batches[i] = batch_of(a, 1 << i);
    for (int i = 3; i >= 1; i--) {
        OK(merge(b, &batches[i]));
        ck_assert_int_eq(crdt_counter_value(b, PATH("n")), 0);
        ck_assert_uint_gt(crdt_pending_bytes(b), 0);
        OK(merge(b, &batches[i]));
    }
    OK(merge(b, &batches[0]));
    ck_assert_int_eq(crdt_counter_value(b, PATH("n")), 15);
    ck_assert_uint_eq(crdt_pending_bytes(b), 0);
    for (int i = 0; i < 4; i++) {
        OK(merge(b, &batches[i]));
        crdt_buffer_close(&batches[i]);
    }
    ck_assert(is_same(a, b));
}
END_TEST

START_TEST(batch_waits_for_what_its_author_had_seen)
{
    struct crdt_buffer first = batch_of(a, 1);
    OK(merge(b, &first));
    clear(b, PATH("n"), CRDT_COUNTER);
    struct crdt_buffer second = sealed(b);
    OK(merge(c, &second));
    ck_assert_uint_gt(crdt_pending_bytes(c), 0);
    struct crdt_origin origin = document_origin(2, 1);
    ck_assert_uint_eq(crdt_applied(c, &origin), 0);
    OK(merge(c, &first));
    ck_assert_uint_eq(crdt_pending_bytes(c), 0);
    ck_assert_uint_eq(crdt_applied(c, &origin), 1);
    ck_assert_uint_eq(crdt_types(c, PATH("n")), 0);
    crdt_buffer_close(&first);
    crdt_buffer_close(&second);
}
END_TEST

START_TEST(delta_holds_batches_in_any_order)
{
    struct crdt_buffer first = batch_of(a, 1), second = batch_of(a, 2);
    OK(crdt_buffer_append(&second, first.data, first.size));
    OK(merge(b, &second));
    ck_assert_int_eq(crdt_counter_value(b, PATH("n")), 3);
    crdt_buffer_close(&first);
    crdt_buffer_close(&second);
}
END_TEST

START_TEST(gap_that_cannot_wait_is_named_and_changes_nothing)
{
    struct crdt_options options = document_options(9, 0);
    options.pending_bytes_max = 0;
    struct crdt_document *strict;
    OK(crdt_open(&options, &strict));
    struct crdt_buffer first = batch_of(a, 1), second = batch_of(a, 2);
    struct crdt_buffer before = snapshot_of(strict);
    ck_assert_int_eq(merge(strict, &second), CRDT_ERR_GAP);
    struct crdt_dot missing = crdt_missing(strict);
    ck_assert_uint_eq(missing.seq, 1);
    ck_assert_uint_eq(missing.origin.key[0], 1);
    struct crdt_buffer after = snapshot_of(strict);
    ck_assert(buffer_equals(&before, &after));
    OK(merge(strict, &first));
    OK(merge(strict, &second));
    ck_assert_int_eq(crdt_counter_value(strict, PATH("n")), 3);
    crdt_buffer_close(&first);
    crdt_buffer_close(&second);
    crdt_buffer_close(&before);
    crdt_buffer_close(&after);
    crdt_close(strict);
}
END_TEST

START_TEST(pending_bytes_stay_within_their_limit)
{
    struct crdt_options options = document_options(9, 0);
    options.pending_bytes_max = 1000;
    struct crdt_document *small;
    OK(crdt_open(&options, &small));
    struct crdt_buffer batches[40];
    for (int i = 0; i < 40; i++)
        batches[i] = batch_of(a, 1);
    for (int i = 1; i < 40; i++) {
        enum crdt_status status = merge(small, &batches[i]);
        ck_assert(status == CRDT_OK || status == CRDT_ERR_GAP);
        ck_assert_uint_le(crdt_pending_bytes(small), 1000);
    }
    for (int i = 0; i < 40; i++)
        OK(merge(small, &batches[i]));
    ck_assert_int_eq(crdt_counter_value(small, PATH("n")), 40);
    ck_assert_uint_eq(crdt_pending_bytes(small), 0);
    for (int i = 0; i < 40; i++)
        crdt_buffer_close(&batches[i]);
    crdt_close(small);
}
END_TEST

/* The rest of one merge is refused whole: the good batch before it too. */
START_TEST(delta_with_one_bad_batch_changes_nothing)
{
    struct crdt_buffer first = batch_of(a, 1), second = batch_of(a, 2);
    OK(crdt_buffer_append(&first, second.data, second.size));
    first.data[first.size - 1] ^= 1;
    struct crdt_buffer before = snapshot_of(b);
    ck_assert_int_eq(merge(b, &first), CRDT_ERR_MALFORMED);
    struct crdt_buffer after = snapshot_of(b);
    ck_assert(buffer_equals(&before, &after));
    ck_assert_uint_eq(crdt_pending_bytes(b), 0);
    crdt_buffer_close(&first);
    crdt_buffer_close(&second);
    crdt_buffer_close(&before);
    crdt_buffer_close(&after);
}
END_TEST

START_TEST(two_histories_of_one_origin_are_a_fork)
{
    struct crdt_document *twin = document_new(1, 1);
    struct crdt_buffer one = batch_of(a, 1), other = batch_of(twin, 2);
    struct crdt_buffer next = batch_of(twin, 4);
    OK(merge(b, &one));
    struct crdt_buffer before = snapshot_of(b);
    ck_assert_int_eq(merge(b, &other), CRDT_ERR_FORK);
    ck_assert_int_eq(merge(b, &next), CRDT_ERR_FORK);
    struct crdt_batch header;
    struct crdt_dot missing;
    OK(crdt_batch_read(crdt_buffer_bytes(&other), &header));
    ck_assert_int_eq(crdt_batch_check(b, &header, &missing), CRDT_ERR_FORK);
    struct crdt_buffer after = snapshot_of(b);
    ck_assert(buffer_equals(&before, &after));
    struct crdt_buffer *all[] = {&one, &other, &next, &before, &after};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        crdt_buffer_close(all[i]);
    crdt_close(twin);
}
END_TEST

START_TEST(snapshot_of_another_history_is_a_fork)
{
    struct crdt_document *twin = document_new(1, 1);
    struct crdt_buffer one = batch_of(a, 1), other = batch_of(twin, 2);
    OK(merge(b, &one));
    OK(merge(c, &other));
    struct crdt_buffer before = snapshot_of(b), foreign = snapshot_of(c);
    ck_assert_int_eq(merge(b, &foreign), CRDT_ERR_FORK);
    struct crdt_buffer after = snapshot_of(b);
    ck_assert(buffer_equals(&before, &after));
    struct crdt_buffer *all[] = {&one, &other, &before, &foreign, &after};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        crdt_buffer_close(all[i]);
    crdt_close(twin);
}
END_TEST

/* A fork hides behind equal numbers: only the hash over the heads tells. */
START_TEST(fork_behind_equal_numbers_in_deps_is_seen)
{
    struct crdt_document *twin = document_new(1, 1);
    struct crdt_buffer one = batch_of(a, 1), other = batch_of(twin, 2);
    OK(merge(b, &one));
    OK(merge(c, &other));
    struct crdt_buffer of_c = batch_of(c, 4);
    struct crdt_buffer before = snapshot_of(b);
    ck_assert_int_eq(merge(b, &of_c), CRDT_ERR_FORK);
    struct crdt_buffer after = snapshot_of(b);
    ck_assert(buffer_equals(&before, &after));
    struct crdt_buffer *all[] = {&one, &other, &of_c, &before, &after};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        crdt_buffer_close(all[i]);
    crdt_close(twin);
}
END_TEST

static enum crdt_status diff_status(struct crdt_document *from, struct crdt_document *to)
{
    struct crdt_buffer summary = summary_of(to), delta;
    crdt_buffer_init(&delta, NULL);
    enum crdt_status status = crdt_diff(from, crdt_buffer_bytes(&summary), &delta);
    if (status != CRDT_OK)
        ck_assert_uint_eq(delta.size, 0);
    crdt_buffer_close(&delta);
    crdt_buffer_close(&summary);
    return status;
}

START_TEST(gc_drops_what_all_have_and_a_newcomer_needs_a_snapshot)
{
    add(a, PATH("n"), 1);
    sync_both(a, b);
    struct crdt_buffer summaries[2] = {summary_of(a), summary_of(b)};
    struct crdt_bytes bytes[2] = {
        crdt_buffer_bytes(&summaries[0]), crdt_buffer_bytes(&summaries[1])};
    struct crdt_buffer before = snapshot_of(a);
    OK(crdt_gc(a, bytes, 2));
    struct crdt_buffer after = snapshot_of(a);
    ck_assert(buffer_equals(&before, &after));
    ck_assert_int_eq(diff_status(a, c), CRDT_ERR_BELOW_FLOOR);
    ck_assert_int_eq(diff_status(a, b), CRDT_OK);
    OK(merge(c, &after));
    ck_assert(is_same(a, c));
    add(a, PATH("n"), 1);
    sync_to(a, c);
    sync_to(a, b);
    ck_assert_int_eq(crdt_counter_value(c, PATH("n")), 2);
    ck_assert_int_eq(crdt_counter_value(b, PATH("n")), 2);
    crdt_buffer_close(&summaries[0]);
    crdt_buffer_close(&summaries[1]);
    crdt_buffer_close(&before);
    crdt_buffer_close(&after);
}
END_TEST

START_TEST(gc_keeps_what_one_member_lacks)
{
    add(a, PATH("n"), 1);
    sync_both(a, b);
    add(a, PATH("n"), 2);
    struct crdt_buffer summaries[2] = {summary_of(a), summary_of(b)};
    struct crdt_bytes bytes[2] = {
        crdt_buffer_bytes(&summaries[0]), crdt_buffer_bytes(&summaries[1])};
    OK(crdt_gc(a, bytes, 2));
    sync_to(a, b);
    ck_assert_int_eq(crdt_counter_value(b, PATH("n")), 3);
    struct crdt_bytes bad = {"\xff\xff", 2};
    ck_assert_int_eq(crdt_gc(a, &bad, 1), CRDT_ERR_MALFORMED);
    crdt_buffer_close(&summaries[0]);
    crdt_buffer_close(&summaries[1]);
}
END_TEST

START_TEST(document_without_a_log_hands_over_each_batch_once)
{
    struct crdt_options options = document_options(5, 1);
    options.keep_log = false;
    options.pending_bytes_max = 0;
    struct crdt_document *bare;
    OK(crdt_open(&options, &bare));
    struct crdt_buffer first = batch_of(bare, 1), second = batch_of(bare, 2);
    ck_assert_uint_gt(first.size, 0);
    OK(merge(a, &first));
    OK(merge(a, &second));
    ck_assert_int_eq(crdt_counter_value(a, PATH("n")), 3);
    struct crdt_buffer other = batch_of(a, 4);
    OK(merge(bare, &other));
    ck_assert_int_eq(crdt_counter_value(bare, PATH("n")), 7);
    crdt_buffer_close(&first);
    crdt_buffer_close(&second);
    crdt_buffer_close(&other);
    crdt_close(bare);
}
END_TEST

START_TEST(snapshot_join_keeps_what_the_sender_had_not_seen)
{
    put(a, PATH("s"), "common");
    put(a, PATH("s"), "removed");
    sync_both(a, b);
    put(b, PATH("s"), "mine");
    take(a, PATH("s"), "removed");
    put(a, PATH("s"), "theirs");
    struct crdt_buffer snapshot = snapshot_of(a);
    OK(merge(b, &snapshot));
    ck_assert(has(b, PATH("s"), "mine"));
    ck_assert(has(b, PATH("s"), "theirs"));
    ck_assert(has(b, PATH("s"), "common"));
    ck_assert(!has(b, PATH("s"), "removed"));
    OK(merge(b, &snapshot));
    sync_to(b, a);
    ck_assert(is_same(a, b));
    crdt_buffer_close(&snapshot);
}
END_TEST

START_TEST(snapshot_lets_waiting_batches_in)
{
    struct crdt_buffer first = batch_of(a, 1), second;
    struct crdt_buffer snapshot = snapshot_of(a);
    second = batch_of(a, 2);
    OK(merge(b, &second));
    ck_assert_uint_gt(crdt_pending_bytes(b), 0);
    OK(merge(b, &snapshot));
    ck_assert_uint_eq(crdt_pending_bytes(b), 0);
    ck_assert_int_eq(crdt_counter_value(b, PATH("n")), 3);
    crdt_buffer_close(&first);
    crdt_buffer_close(&second);
    crdt_buffer_close(&snapshot);
}
END_TEST

START_TEST(acknowledgements_are_what_batches_say)
{
    struct crdt_origin of_a = document_origin(1, 1), of_b = document_origin(2, 1);
    add(a, PATH("n"), 1);
    sync_to(a, b);
    ck_assert_uint_eq(crdt_acknowledged(a, &of_b, &of_a), 0);
    note(b);
    sync_to(b, a);
    ck_assert_uint_eq(crdt_acknowledged(a, &of_b, &of_a), 1);
    add(a, PATH("n"), 1);
    sync_to(a, b);
    ck_assert_uint_eq(crdt_acknowledged(a, &of_b, &of_a), 1);
    note(b);
    sync_to(b, a);
    ck_assert_uint_eq(crdt_acknowledged(a, &of_b, &of_a), 2);
    ck_assert_int_eq(crdt_counter_value(a, PATH("n")), 2);
}
END_TEST

START_TEST(summaries_are_read_and_written)
{
    add(a, PATH("n"), 1);
    enable(b, PATH("f"));
    disable(b, PATH("f"));
    sync_both(a, b);
    struct crdt_buffer summary = summary_of(a), again;
    struct crdt_dot dots[4];
    size_t count;
    OK(crdt_summary_read(crdt_buffer_bytes(&summary), dots, 4, &count));
    ck_assert_uint_eq(count, 2);
    ck_assert_uint_eq(dots[0].origin.key[0], 1);
    ck_assert_uint_eq(dots[0].seq, 1);
    ck_assert_uint_eq(dots[1].seq, 2);
    ck_assert_int_eq(crdt_summary_read(crdt_buffer_bytes(&summary), dots, 1, &count),
        CRDT_ERR_LIMIT);
    ck_assert_uint_eq(count, 2);
    crdt_buffer_init(&again, NULL);
    OK(crdt_summary_write(dots, 2, &again));
    ck_assert(buffer_equals(&summary, &again));
    crdt_buffer_close(&summary);
    crdt_buffer_close(&again);
}
END_TEST

START_TEST(batch_check_foretells_what_merge_says)
{
    struct crdt_buffer first = batch_of(a, 1), second = batch_of(a, 2);
    struct crdt_batch header;
    struct crdt_dot missing;
    OK(crdt_batch_read(crdt_buffer_bytes(&second), &header));
    ck_assert_int_eq(crdt_batch_check(b, &header, &missing), CRDT_ERR_GAP);
    ck_assert_uint_eq(missing.seq, 1);
    OK(merge(b, &first));
    OK(crdt_batch_check(b, &header, &missing));
    OK(merge(b, &second));
    OK(crdt_batch_check(b, &header, &missing));
    struct crdt_feed feed = {.seq = 0};
    for (size_t i = 0; i < crdt_feed_count(b); i++)
        if (crdt_feed_at(b, i).origin.key[0] == 1)
            feed = crdt_feed_at(b, i);
    ck_assert_uint_eq(feed.seq, 2);
    ck_assert_mem_eq(feed.head, header.head, CRDT_HASH_BYTES);
    crdt_buffer_close(&first);
    crdt_buffer_close(&second);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("replication");
    TCase *tests = tcase_create("replication");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, diff_brings_exactly_what_is_missing);
    tcase_add_test(tests, header_alone_says_what_its_batch_says);
    tcase_add_test(tests, batches_in_reverse_order_wait_and_are_applied);
    tcase_add_test(tests, batch_waits_for_what_its_author_had_seen);
    tcase_add_test(tests, delta_holds_batches_in_any_order);
    tcase_add_test(tests, gap_that_cannot_wait_is_named_and_changes_nothing);
    tcase_add_test(tests, pending_bytes_stay_within_their_limit);
    tcase_add_test(tests, delta_with_one_bad_batch_changes_nothing);
    tcase_add_test(tests, two_histories_of_one_origin_are_a_fork);
    tcase_add_test(tests, snapshot_of_another_history_is_a_fork);
    tcase_add_test(tests, fork_behind_equal_numbers_in_deps_is_seen);
    tcase_add_test(tests, gc_drops_what_all_have_and_a_newcomer_needs_a_snapshot);
    tcase_add_test(tests, gc_keeps_what_one_member_lacks);
    tcase_add_test(tests, document_without_a_log_hands_over_each_batch_once);
    tcase_add_test(tests, snapshot_join_keeps_what_the_sender_had_not_seen);
    tcase_add_test(tests, snapshot_lets_waiting_batches_in);
    tcase_add_test(tests, acknowledgements_are_what_batches_say);
    tcase_add_test(tests, summaries_are_read_and_written);
    tcase_add_test(tests, batch_check_foretells_what_merge_says);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
