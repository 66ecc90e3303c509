/* The callback tells what a commit or a merge changed, once per operation, in
 * order, and only after success. */
#include "tests/support/documents.h"
#include "tests/support/runner.h"

#include <string.h>

#define CHANGES_MAX 64

struct seen {
    enum crdt_kind kind;
    enum crdt_type type;
    bool is_local;
    size_t depth;
    char last_key[16];
    char element[16];
    uint64_t seq;
};

static struct {
    struct crdt_document *document;
    struct seen changes[CHANGES_MAX];
    size_t count;
    int64_t sum; /* of the counter, read within the callback                    */
} log_of_changes;
static struct crdt_document *watched, *peer;

static void copy_text(char *text, const struct crdt_bytes *bytes)
{
    if (bytes == NULL || bytes->size >= 16)
        return;
    memcpy(text, bytes->data, bytes->size);
}

static void on_change(void *context, const struct crdt_change *change)
{
    ck_assert_ptr_eq(context, &log_of_changes);
    ck_assert_uint_lt(log_of_changes.count, CHANGES_MAX);
    struct seen *seen = &log_of_changes.changes[log_of_changes.count++];
    *seen = (struct seen){.kind = change->kind, .type = change->type,
        .is_local = change->is_local, .depth = change->path.count, .seq = change->dot.seq};
    if (change->path.count > 0)
        copy_text(seen->last_key, &change->path.keys[change->path.count - 1]);
    copy_text(seen->element, change->element);
    if (log_of_changes.document != NULL)
        log_of_changes.sum = crdt_counter_value(log_of_changes.document, PATH("n"));
}

static void setup(void)
{
    memset(&log_of_changes, 0, sizeof log_of_changes);
    struct crdt_options options = document_options(1, 1);
    options.changed = on_change;
    options.changed_context = &log_of_changes;
    OK(crdt_open(&options, &watched));
    log_of_changes.document = watched;
    peer = document_new(2, 1);
}

static void teardown(void)
{
    crdt_close(watched);
    crdt_close(peer);
}

static void must_be(size_t index, enum crdt_kind kind, enum crdt_type type, bool is_local,
    const char *last_key)
{
    ck_assert_uint_lt(index, log_of_changes.count);
    struct seen *seen = &log_of_changes.changes[index];
    ck_assert_int_eq(seen->kind, kind);
    ck_assert_int_eq(seen->type, type);
    ck_assert_int_eq(seen->is_local, is_local);
    ck_assert_str_eq(seen->last_key, last_key);
}

START_TEST(commit_reports_each_operation_in_order_after_it_stands)
{
    struct crdt_transaction *transaction = begin(watched);
    OK(crdt_counter_add(transaction, PATH("n"), 5));
    OK(crdt_set_add(transaction, PATH("m", "s"), crdt_text("x")));
    OK(crdt_register_set(transaction, PATH("r"), crdt_text("v")));
    OK(crdt_remove(transaction, PATH("m"), CRDT_ANY));
    ck_assert_uint_eq(log_of_changes.count, 0);
    crdt_commit(transaction);
    ck_assert_uint_eq(log_of_changes.count, 4);
    must_be(0, CRDT_ADD, CRDT_COUNTER, true, "n");
    must_be(1, CRDT_PUT, CRDT_SET, true, "s");
    ck_assert_str_eq(log_of_changes.changes[1].element, "x");
    ck_assert_uint_eq(log_of_changes.changes[1].depth, 2);
    must_be(2, CRDT_PUT, CRDT_REGISTER, true, "r");
    must_be(3, CRDT_KILL, CRDT_ANY, true, "m");
    ck_assert_int_eq(log_of_changes.sum, 5);
    for (size_t i = 0; i < 4; i++)
        ck_assert_uint_eq(log_of_changes.changes[i].seq, i + 1);
}
END_TEST

START_TEST(abort_reports_nothing)
{
    struct crdt_transaction *transaction = begin(watched);
    OK(crdt_counter_add(transaction, PATH("n"), 5));
    crdt_abort(transaction);
    ck_assert_uint_eq(log_of_changes.count, 0);
}
END_TEST

START_TEST(merge_reports_operations_of_others_once)
{
    add(peer, PATH("n"), 7);
    put(peer, PATH("s"), "x");
    take(peer, PATH("s"), "x");
    struct crdt_buffer batch = sealed(peer);
    OK(merge(watched, &batch));
    ck_assert_uint_eq(log_of_changes.count, 3);
    must_be(0, CRDT_ADD, CRDT_COUNTER, false, "n");
    must_be(1, CRDT_PUT, CRDT_SET, false, "s");
    must_be(2, CRDT_KILL, CRDT_SET, false, "s");
    ck_assert_str_eq(log_of_changes.changes[2].element, "x");
    ck_assert_int_eq(log_of_changes.sum, 7);
    OK(merge(watched, &batch));
    ck_assert_uint_eq(log_of_changes.count, 3);
    crdt_buffer_close(&batch);
}
END_TEST

START_TEST(batch_that_waits_is_reported_when_it_is_applied)
{
    add(peer, PATH("n"), 1);
    struct crdt_buffer first = sealed(peer);
    add(peer, PATH("n"), 2);
    struct crdt_buffer second = sealed(peer);
    OK(merge(watched, &second));
    ck_assert_uint_eq(log_of_changes.count, 0);
    OK(merge(watched, &first));
    ck_assert_uint_eq(log_of_changes.count, 2);
    ck_assert_uint_eq(log_of_changes.changes[0].seq, 1);
    ck_assert_uint_eq(log_of_changes.changes[1].seq, 2);
    crdt_buffer_close(&first);
    crdt_buffer_close(&second);
}
END_TEST

START_TEST(refused_merge_reports_nothing)
{
    add(peer, PATH("n"), 1);
    struct crdt_buffer batch = sealed(peer);
    batch.data[batch.size - 1] ^= 1;
    ck_assert_int_ne(merge(watched, &batch), CRDT_OK);
    ck_assert_uint_eq(log_of_changes.count, 0);
    crdt_buffer_close(&batch);
}
END_TEST

START_TEST(snapshot_join_reports_where_anything_may_have_changed)
{
    add(peer, PATH("n"), 1);
    struct crdt_buffer snapshot = snapshot_of(peer);
    OK(merge(watched, &snapshot));
    ck_assert_uint_ge(log_of_changes.count, 1);
    ck_assert_int_eq(log_of_changes.changes[0].kind, 0);
    ck_assert(!log_of_changes.changes[0].is_local);
    ck_assert_int_eq(log_of_changes.sum, 1);
    crdt_buffer_close(&snapshot);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("changed");
    TCase *tests = tcase_create("changed");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, commit_reports_each_operation_in_order_after_it_stands);
    tcase_add_test(tests, abort_reports_nothing);
    tcase_add_test(tests, merge_reports_operations_of_others_once);
    tcase_add_test(tests, batch_that_waits_is_reported_when_it_is_applied);
    tcase_add_test(tests, refused_merge_reports_nothing);
    tcase_add_test(tests, snapshot_join_reports_where_anything_may_have_changed);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
