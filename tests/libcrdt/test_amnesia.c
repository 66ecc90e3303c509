/* A replica that lost its own operations must not use a dot twice (I1): at the
 * sight of them it stops writing until a new generation is named. */
#include "tests/support/documents.h"
#include "tests/support/runner.h"

static struct crdt_document *lost, *peer;

/* `peer` has two batches of `lost`, which came back from a copy with one. */
static void setup(void)
{
    lost = document_new(1, 1);
    peer = document_new(2, 1);
    add(lost, PATH("n"), 1);
    struct crdt_buffer backup = snapshot_of(lost);
    add(lost, PATH("n"), 2);
    sync_to(lost, peer);
    crdt_close(lost);
    struct crdt_options options = document_options(1, 1);
    OK(crdt_load(&options, crdt_buffer_bytes(&backup), &lost));
    OK(crdt_set_generation(lost, 1));
    crdt_buffer_close(&backup);
}

static void teardown(void)
{
    crdt_close(lost);
    crdt_close(peer);
}

static void must_have_stopped(void)
{
    struct crdt_transaction *transaction;
    ck_assert_int_eq(crdt_writable(lost), CRDT_ERR_AMNESIA);
    ck_assert_int_eq(crdt_begin(lost, 1000, &transaction), CRDT_ERR_AMNESIA);
    ck_assert_int_eq(crdt_counter_value(lost, PATH("n")), 1);
    OK(crdt_set_generation(lost, 2));
    OK(crdt_writable(lost));
    add(lost, PATH("n"), 10);
    sync_both(lost, peer);
    ck_assert_int_eq(crdt_counter_value(lost, PATH("n")), 13);
    ck_assert_int_eq(crdt_counter_value(peer, PATH("n")), 13);
    ck_assert(is_same(lost, peer));
}

START_TEST(summary_that_knows_more_of_me_stops_writing)
{
    struct crdt_buffer summary = summary_of(peer), delta;
    crdt_buffer_init(&delta, NULL);
    ck_assert_int_eq(
        crdt_diff(lost, crdt_buffer_bytes(&summary), &delta), CRDT_ERR_AMNESIA);
    ck_assert_uint_eq(delta.size, 0);
    crdt_buffer_close(&summary);
    crdt_buffer_close(&delta);
    must_have_stopped();
}
END_TEST

START_TEST(batch_of_mine_that_i_lack_stops_writing)
{
    struct crdt_buffer delta = diff_for(peer, lost);
    struct crdt_buffer before = snapshot_of(lost);
    ck_assert_int_eq(merge(lost, &delta), CRDT_ERR_AMNESIA);
    struct crdt_buffer after = snapshot_of(lost);
    ck_assert(buffer_equals(&before, &after));
    crdt_buffer_close(&before);
    crdt_buffer_close(&after);
    crdt_buffer_close(&delta);
    must_have_stopped();
}
END_TEST

START_TEST(snapshot_that_knows_more_of_me_stops_writing)
{
    struct crdt_buffer snapshot = snapshot_of(peer);
    ck_assert_int_eq(merge(lost, &snapshot), CRDT_ERR_AMNESIA);
    crdt_buffer_close(&snapshot);
    must_have_stopped();
}
END_TEST

START_TEST(open_batch_moves_to_the_new_generation)
{
    add(lost, PATH("n"), 100);
    put(lost, PATH("s"), "x");
    take(lost, PATH("s"), "x");
    put(lost, PATH("s"), "y");
    size_t records = crdt_open_records(lost);
    /* Asking `lost` for a summary would seal: a reader asks for everything. */
    struct crdt_document *reader = document_new(9, 0);
    struct crdt_buffer all = diff_for(peer, reader);
    ck_assert_int_eq(merge(lost, &all), CRDT_ERR_AMNESIA);
    ck_assert_uint_eq(crdt_open_records(lost), records);
    OK(crdt_set_generation(lost, 2));
    ck_assert_uint_eq(crdt_open_records(lost), records);
    ck_assert_uint_eq(crdt_self(lost).generation, 2);
    struct crdt_buffer batch = sealed(lost);
    struct crdt_batch header;
    OK(crdt_batch_read(crdt_buffer_bytes(&batch), &header));
    ck_assert_uint_eq(header.first_seq, 1);
    ck_assert_uint_eq(header.last_seq, records);
    ck_assert_uint_eq(header.origin.generation, 2);
    ck_assert_uint_eq(header.previous_generation, 1);
    sync_both(lost, peer);
    ck_assert_int_eq(crdt_counter_value(peer, PATH("n")), 103);
    ck_assert(has(peer, PATH("s"), "y"));
    ck_assert(!has(peer, PATH("s"), "x"));
    ck_assert(is_same(lost, peer));
    crdt_buffer_close(&batch);
    crdt_buffer_close(&all);
    crdt_close(reader);
}
END_TEST

START_TEST(known_operations_of_mine_are_no_amnesia)
{
    struct crdt_document *well = document_new(3, 1);
    add(well, PATH("n"), 5);
    sync_both(well, peer);
    sync_both(well, peer);
    struct crdt_buffer snapshot = snapshot_of(peer);
    OK(merge(well, &snapshot));
    OK(crdt_writable(well));
    crdt_buffer_close(&snapshot);
    crdt_close(well);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("amnesia");
    TCase *tests = tcase_create("amnesia");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, summary_that_knows_more_of_me_stops_writing);
    tcase_add_test(tests, batch_of_mine_that_i_lack_stops_writing);
    tcase_add_test(tests, snapshot_that_knows_more_of_me_stops_writing);
    tcase_add_test(tests, open_batch_moves_to_the_new_generation);
    tcase_add_test(tests, known_operations_of_mine_are_no_amnesia);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
