/* Two histories of one origin whose batches end in different places: a clone of
 * a disk went on by itself. Where one is known, nothing of the other gets in. */
#include "tests/support/documents.h"
#include "tests/support/memory.h"
#include "tests/support/runner.h"

#include <string.h>

static struct crdt_document *left, *right, *x, *y, *z;

static void setup(void)
{
    write_now_ms = 1000;
    left = document_new(1, 7);
    right = document_new(1, 7);
    x = document_new(2, 1);
    y = document_new(3, 1);
    z = document_new(4, 1);
}

static void teardown(void)
{
    crdt_close(left);
    crdt_close(right);
    crdt_close(x);
    crdt_close(y);
    crdt_close(z);
}

static void put_many(struct crdt_document *document, const char *elements)
{
    for (; *elements != '\0'; elements++)
        put(document, crdt_root(), (char[]){*elements, '\0'});
    struct crdt_buffer bytes = sealed(document);
    crdt_buffer_close(&bytes);
}

static enum crdt_status join(struct crdt_document *to, struct crdt_document *from)
{
    struct crdt_buffer snapshot = snapshot_of(from);
    enum crdt_status status = merge(to, &snapshot);
    crdt_buffer_close(&snapshot);
    return status;
}

static enum crdt_status pull(struct crdt_document *to, struct crdt_document *from)
{
    struct crdt_buffer delta = diff_for(from, to);
    enum crdt_status status = merge(to, &delta);
    crdt_buffer_close(&delta);
    return status;
}

START_TEST(snapshot_that_ends_inside_a_known_batch_is_a_fork)
{
    put_many(left, "abc");
    put_many(right, "d");
    sync_to(left, x);
    sync_to(right, y);
    ck_assert_int_eq(join(x, y), CRDT_ERR_FORK);
    ck_assert(has(x, crdt_root(), "a"));
    /* Likewise further back, as far as heads are remembered. */
    put_many(left, "efg");
    put_many(left, "h");
    put_many(right, "ijk");
    sync_to(left, x);
    sync_to(right, z);
    ck_assert_int_eq(join(x, y), CRDT_ERR_FORK);
    ck_assert_int_eq(join(x, z), CRDT_ERR_FORK);
}
END_TEST

START_TEST(deps_inside_a_known_batch_are_a_fork)
{
    put_many(left, "abc");
    put_many(right, "d");
    sync_to(left, x);
    sync_to(right, y);
    put_many(y, "e");
    struct crdt_buffer delta = diff_for(y, x);
    struct crdt_batch batch;
    struct crdt_dot missing;
    OK(crdt_batch_read(crdt_buffer_bytes(&delta), &batch));
    ck_assert_int_eq(crdt_batch_check(x, &batch, &missing), CRDT_ERR_FORK);
    ck_assert_int_eq(merge(x, &delta), CRDT_ERR_FORK);
    crdt_buffer_close(&delta);
}
END_TEST

/* Y's tip depends on a place where no batch ends here; Y's feed itself is news. */
START_TEST(snapshot_whose_tips_depend_inside_a_known_batch_is_a_fork)
{
    put_many(left, "abc");
    put_many(right, "d");
    put_many(right, "efghi");
    struct crdt_buffer all = diff_for(right, y);
    struct crdt_batch first;
    OK(crdt_batch_read(crdt_buffer_bytes(&all), &first));
    OK(crdt_merge(y, first.bytes));
    put_many(y, "j");
    OK(merge(y, &all));
    sync_to(left, x);
    ck_assert_int_eq(join(x, y), CRDT_ERR_FORK);
    crdt_buffer_close(&all);
}
END_TEST

/* The end of the batch was skipped by a snapshot; its beginning came before. */
START_TEST(known_batch_with_other_bounds_is_a_fork)
{
    put_many(left, "a");
    put_many(left, "b");
    sync_to(left, x);
    put_many(left, "cdef");
    put_many(left, "g");
    OK(join(x, left));
    put_many(right, "hij");
    struct crdt_buffer longer = diff_for(right, y);
    ck_assert_int_eq(merge(x, &longer), CRDT_ERR_FORK);
    struct crdt_buffer ours = diff_for(left, y);
    OK(merge(x, &ours));
    crdt_buffer_close(&longer);
    crdt_buffer_close(&ours);
}
END_TEST

/* What follows the same place has another head before it, or begins inside. */
START_TEST(known_batch_that_follows_another_head_is_a_fork)
{
    put_many(left, "ab");
    put_many(left, "c");
    put_many(right, "de");
    struct crdt_buffer first = diff_for(right, z);
    sync_to(right, z);
    put_many(right, "f");
    struct crdt_buffer second = diff_for(right, z);
    sync_to(left, x);
    ck_assert_int_eq(merge(x, &first), CRDT_ERR_FORK);
    ck_assert_int_eq(merge(x, &second), CRDT_ERR_FORK);
    sync_to(left, y);
    put_many(left, "ghi");
    OK(join(y, left));
    sync_to(right, z);
    put_many(right, "jk");
    struct crdt_buffer third = diff_for(right, z);
    ck_assert_int_eq(merge(y, &third), CRDT_ERR_FORK);
    crdt_buffer_close(&first);
    crdt_buffer_close(&second);
    crdt_buffer_close(&third);
}
END_TEST

/* Nothing is known of a stretch that a snapshot skipped or a load begins with:
 * whoever is at a place inside may be right. */
START_TEST(what_a_snapshot_skipped_refuses_nobody)
{
    put_many(left, "a");
    sync_to(left, x);
    put_many(left, "b");
    sync_to(left, y);
    struct crdt_buffer early = diff_for(y, x);
    put_many(left, "c");
    OK(join(x, left));
    OK(join(z, left));
    struct crdt_document *loaded = copy_of(left);
    put_many(y, "d");
    struct crdt_document *const documents[] = {x, z, loaded};
    for (int i = 0; i < 3; i++) {
        OK(merge(documents[i], &early));
        OK(pull(documents[i], y));
        OK(join(documents[i], y));
        ck_assert(is_same(documents[i], x));
    }
    crdt_buffer_close(&early);
    crdt_close(loaded);
}
END_TEST

/* A merge that fails takes back what the ring learned with it. */
START_TEST(failed_merge_leaves_the_known_places_as_they_were)
{
    put_many(left, "ab");
    sync_to(left, x);
    put_many(left, "cd");
    put_many(right, "e");
    struct crdt_buffer delta = diff_for(left, x);
    struct crdt_buffer foreign = diff_for(right, z);
    OK(crdt_buffer_append(&delta, foreign.data, foreign.size));
    ck_assert_int_eq(merge(x, &delta), CRDT_ERR_FORK);
    sync_to(right, y);
    ck_assert_int_eq(join(x, y), CRDT_ERR_FORK);
    struct crdt_buffer bad = snapshot_of(left);
    bad.data[bad.size - 1] ^= 1;
    ck_assert_int_eq(merge(x, &bad), CRDT_ERR_MALFORMED);
    ck_assert_int_eq(join(x, y), CRDT_ERR_FORK);
    crdt_buffer_close(&delta);
    crdt_buffer_close(&foreign);
    crdt_buffer_close(&bad);
}
END_TEST

START_TEST(failed_merge_leaves_what_was_skipped_unknown)
{
    put_many(left, "a");
    sync_to(left, y);
    put_many(left, "b");
    OK(join(x, left));
    put_many(left, "c");
    put_many(right, "d");
    struct crdt_buffer delta = diff_for(left, x);
    put_many(right, "efg");
    struct crdt_buffer forked = diff_for(right, z);
    OK(crdt_buffer_append(&delta, forked.data, forked.size));
    ck_assert_int_eq(merge(x, &delta), CRDT_ERR_FORK);
    OK(join(x, y));
    ck_assert(has(x, crdt_root(), "b"));
    crdt_buffer_close(&delta);
    crdt_buffer_close(&forked);
}
END_TEST

START_TEST(origin_assumed_twice_leaves_the_document_as_it_was)
{
    put_many(left, "ab");
    sync_to(left, x);
    sync_to(left, y);
    put_many(y, "c");
    struct crdt_buffer delta = diff_for(y, x);
    struct crdt_buffer before = snapshot_of(x);
    struct crdt_batch batch;
    struct crdt_dot missing;
    uint64_t named[3];
    struct crdt_origin origin = document_origin(1, 7);
    OK(crdt_batch_read(crdt_buffer_bytes(&delta), &batch));
    struct crdt_feed assumed[3] = {{.origin = origin, .seq = CRDT_SEQ_MAX},
        {.origin = batch.origin}, {.origin = origin, .seq = 99}};
    OK(crdt_batch_check_after(x, &batch, assumed, named, 3, &missing));
    ck_assert_uint_eq(named[0], 2);
    ck_assert_uint_eq(crdt_applied(x, &origin), 2);
    struct crdt_buffer after = snapshot_of(x);
    ck_assert(buffer_equals(&before, &after));
    OK(merge(x, &delta));
    crdt_buffer_close(&delta);
    crdt_buffer_close(&before);
    crdt_buffer_close(&after);
}
END_TEST

/* Who asks what would be if the feed stood in the other history must not hear
 * of the places of this one. */
START_TEST(places_of_this_history_say_nothing_of_an_assumed_one)
{
    put_many(left, "abc");
    put_many(left, "d");
    put_many(right, "e");
    sync_to(left, x);
    sync_to(right, y);
    put_many(y, "f");
    struct crdt_buffer delta = diff_for(y, x);
    struct crdt_batch batch;
    struct crdt_dot missing;
    uint64_t named = 0;
    OK(crdt_batch_read(crdt_buffer_bytes(&delta), &batch));
    ck_assert_int_eq(crdt_batch_check(x, &batch, &missing), CRDT_ERR_FORK);
    struct crdt_feed assumed = {.origin = document_origin(1, 7), .seq = CRDT_SEQ_MAX};
    OK(crdt_batch_check_after(x, &batch, &assumed, &named, 1, &missing));
    ck_assert_uint_eq(named, 1);
    ck_assert_int_eq(crdt_batch_check(x, &batch, &missing), CRDT_ERR_FORK);
    crdt_buffer_close(&delta);
}
END_TEST

/* ---- memory ---- */

START_TEST(counter_gives_back_what_a_fold_took)
{
    struct test_memory memory = {0};
    struct crdt_options options = document_options(9, 1);
    options.memory = test_memory_hook(&memory);
    options.keep_log = false;
    struct crdt_document *reader;
    OK(crdt_open(&options, &reader));
    for (int i = 0; i < 5000; i++) {
        add(left, PATH("n"), 1);
        struct crdt_buffer batch = sealed(left);
        OK(merge(reader, &batch));
        crdt_buffer_close(&batch);
    }
    ck_assert_uint_eq(crdt_count(reader, PATH("n"), CRDT_COUNTER), 5000);
    size_t held = memory.held;
    fold(left, PATH("n"), CRDT_COUNTER, 5000);
    struct crdt_buffer batch = sealed(left);
    OK(merge(reader, &batch));
    crdt_buffer_close(&batch);
    ck_assert_int_eq(crdt_counter_value(reader, PATH("n")), 5000);
    ck_assert_uint_eq(crdt_count(reader, PATH("n"), CRDT_COUNTER), 1);
    ck_assert_uint_lt(memory.held + 5000 * 24, held + 1024);
    crdt_close(reader);
    ck_assert_uint_eq(memory.held, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("forked");
    TCase *tests = tcase_create("forked");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, snapshot_that_ends_inside_a_known_batch_is_a_fork);
    tcase_add_test(tests, deps_inside_a_known_batch_are_a_fork);
    tcase_add_test(tests, snapshot_whose_tips_depend_inside_a_known_batch_is_a_fork);
    tcase_add_test(tests, known_batch_with_other_bounds_is_a_fork);
    tcase_add_test(tests, known_batch_that_follows_another_head_is_a_fork);
    tcase_add_test(tests, what_a_snapshot_skipped_refuses_nobody);
    tcase_add_test(tests, failed_merge_leaves_the_known_places_as_they_were);
    tcase_add_test(tests, failed_merge_leaves_what_was_skipped_unknown);
    tcase_add_test(tests, origin_assumed_twice_leaves_the_document_as_it_was);
    tcase_add_test(tests, places_of_this_history_say_nothing_of_an_assumed_one);
    tcase_add_test(tests, counter_gives_back_what_a_fold_took);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
