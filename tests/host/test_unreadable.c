/* What cannot be read is not taken for what is not there: SQLite's n-th allocation,
 * or its n-th read, fails while a store is opened, built from, or written, for every n
 * there is. Each time the work fails or is right, and the store has everything. */
#include <string.h>
#include <unistd.h>

#include "gossipd/host/store/database_floor.h"
#include "gossipd/host/store/database_snapshot.h"
#include "tests/host/built.h"
#include "tests/host/support.h"
#include "tests/support/claim.h"
#include "tests/support/runner.h"

#define FAULTS_MAX 20000 /* a sweep that does not end by then is broken             */

/* ---- Faults --------------------------------------------------------------------- */

enum fault { FAULT_ALLOCATION, FAULT_READ };

static void arm(enum fault fault, unsigned at)
{
    *(fault == FAULT_READ ? &support_disk.reads_left : &support_sqlite_left) = at;
}

/* Takes the fault back; false: it did not come, so there are no more. */
static bool disarm(enum fault fault)
{
    unsigned left = fault == FAULT_READ ? support_disk.reads_left : support_sqlite_left;
    arm(fault, 0);
    return left == 0;
}

/* ---- A store whose snapshot is all that is left of its batches -------------------- */

static void drop_all(void)
{
    const struct feeds_node *nodes[] = {&a, &b, &here};
    struct core_drop_feed feeds[3];
    struct core_drop drop = {.feeds = feeds, .log_bytes_max = 0};
    for (size_t i = 0; i < 3; i++) {
        struct crdt_origin origin = crdt_self(nodes[i]->document);
        uint64_t seq = crdt_applied(here.document, &origin);
        if (seq > 0) {
            feeds[drop.feed_count++] = (struct core_drop_feed){.origin = origin, .cap = seq};
        }
    }
    for (bool has_more = true; has_more;) {
        ck_assert_int_eq(
            database_drop(database, &drop, &memory, &has_more, &failure), DATABASE_DONE);
    }
}

static void setup(void)
{
    built_setup();
    support_disk.is_fsync_idle = true;
    put_some(60);
    make_snapshot(database, "store.db", 1);
    drop_all();
    const struct core_output mark = support_mark(++newest_number, CORE_MARK_AHEAD, 1);
    put_output(database, &mark);
}

static int64_t number(const char *sql)
{
    int64_t value = 0;
    ck_assert(sql_number(sql_prepare(database_handle(database), sql), &value));
    return value;
}

/* Opened without a fault, the store has all that setup() left. */
static void expect_everything(enum fault fault, unsigned at)
{
    struct database_facts facts;
    struct database_snapshot newest;
    if (database == NULL) {
        ck_assert_msg(database_open(support_path("store.db"), SUPPORT_VFS, feeds_cluster_id,
                          here.identity.key, &database, &facts, &failure),
            "fault %d at %u: %s", fault, at, failure.text);
        ck_assert_msg(facts.is_ahead && !facts.is_new && !facts.has_other_key,
            "fault %d at %u: a mark is gone", fault, at);
    }
    ck_assert_msg(database_snapshot_newest(database_handle(database), &newest) == SQL_FOUND,
        "fault %d at %u: the snapshot is gone", fault, at);
    ck_assert_int_gt(number("SELECT count(*) FROM floor"), 0);
}

/* ---- Claims --------------------------------------------------------------------- */

/* Opens with a fault; false: it did not come. */
static bool open_with(enum fault fault, unsigned at)
{
    struct database_facts facts = {.is_new = false};
    database_close(database);
    database = NULL;
    arm(fault, at);
    bool is_open = database_open(support_path("store.db"), SUPPORT_VFS, feeds_cluster_id,
        here.identity.key, &database, &facts, &failure);
    bool has_come = disarm(fault);
    ck_assert_msg(!is_open || (facts.is_ahead && facts.is_named && !facts.has_other_key),
        "fault %d at %u: open, but a mark was overlooked", fault, at);
    ck_assert(is_open || failure.text[0] != '\0');
    expect_everything(fault, at);
    return has_come;
}

/* Else what is written next would be taken for a part of the snapshot. */
static void expect_next_place_behind_the_snapshot(void)
{
    const struct core_output output = support_store(++newest_number, 9, 1, 1);
    struct database_snapshot newest;
    ck_assert(database_snapshot_newest(database_handle(database), &newest) == SQL_FOUND);
    put_output(database, &output);
    ck_assert_int_gt(number("SELECT max(place) FROM batch"), newest.place);
    ck_assert_int_eq(
        sqlite3_exec(database_handle(database), "DELETE FROM batch", NULL, NULL, NULL), SQLITE_OK);
}

START_TEST(an_open_that_fails_loses_nothing)
{
    enum fault fault = (enum fault)_i;
    unsigned at = 1;
    while (at < FAULTS_MAX && open_with(fault, at)) {
        expect_next_place_behind_the_snapshot();
        at++;
    }
    ck_assert_uint_gt(at, fault == FAULT_READ ? 2 : 100);
    ck_assert_uint_lt(at, FAULTS_MAX);
}
END_TEST

START_TEST(a_build_that_succeeds_has_everything)
{
    enum fault fault = (enum fault)_i;
    put_some(5);
    struct crdt_buffer wanted = feeds_snapshot(&here);
    unsigned at = 1;
    for (bool has_come = true; has_come && at < FAULTS_MAX; at++) {
        struct assembly assembly;
        place(database, 100 + at);
        struct assembly_order order = order_of("store.db", 100 + at, false);
        arm(fault, at);
        bool is_built = assembly_build(&order, &assembly, &failure);
        has_come = disarm(fault);
        ck_assert(has_come || is_built);
        if (is_built) {
            ck_assert_msg(assembly.snapshot.bytes == wanted.size,
                "fault %d at %u: built %zu bytes of %zu", fault, at,
                (size_t)assembly.snapshot.bytes, wanted.size);
            assembly_close(&assembly);
        }
        close(order.fd);
        expect_everything(fault, at);
    }
    ck_assert_uint_gt(at, fault == FAULT_READ ? 2 : 100);
    ck_assert_uint_lt(at, FAULTS_MAX);
    crdt_buffer_close(&wanted);
}
END_TEST

START_TEST(a_build_without_a_base_is_refused_where_batches_were_dropped)
{
    struct assembly assembly;
    ck_assert_int_eq(sqlite3_exec(database_handle(database), "DELETE FROM snapshot", NULL, NULL,
                         NULL), SQLITE_OK);
    place(database, 7);
    struct assembly_order order = order_of("store.db", 7, false);
    ck_assert(!assembly_build(&order, &assembly, &failure));
    ck_assert_ptr_nonnull(strstr(failure.text, "no snapshot to build on"));
    close(order.fd);
}
END_TEST

START_TEST(a_damaged_snapshot_stays_where_batches_were_dropped)
{
    struct assembly assembly;
    ck_assert_int_eq(sqlite3_exec(database_handle(database),
        "UPDATE snapshot_part SET bytes = zeroblob(length(bytes))", NULL, NULL, NULL), SQLITE_OK);
    place(database, 7);
    struct assembly_order order = order_of("store.db", 7, false);
    ck_assert(!assembly_build(&order, &assembly, &failure));
    ck_assert_msg(strstr(failure.text, "the newest snapshot cannot be loaded") != NULL &&
        strstr(failure.text, "batches were dropped") != NULL, "%s", failure.text);
    close(order.fd);
    expect_everything(FAULT_READ, 0);
}
END_TEST

/* Builds from all that is there, where all that `here` has must be; true: it is built. */
static bool build_in_context(uint64_t place_number)
{
    struct assembly assembly;
    struct crdt_buffer context;
    crdt_buffer_init(&context, NULL);
    ck_assert_int_eq(crdt_summary(here.document, &context), CRDT_OK);
    place(database, place_number);
    struct assembly_order order = order_of("store.db", place_number, false);
    order.context = crdt_buffer_bytes(&context);
    bool is_built = assembly_build(&order, &assembly, &failure);
    if (is_built) {
        assembly_close(&assembly);
    }
    close(order.fd);
    crdt_buffer_close(&context);
    return is_built;
}

START_TEST(a_build_that_lacks_what_the_node_has_fails)
{
    put_some(5);
    ck_assert_msg(build_in_context(2), "%s", failure.text);
    put(database, &here, NULL);
    ck_assert_int_eq(sqlite3_exec(database_handle(database),
        "UPDATE batch SET bytes = zeroblob(length(bytes)) WHERE place = "
        "(SELECT max(place) FROM batch)", NULL, NULL, NULL), SQLITE_OK);
    ck_assert(!build_in_context(3));
    ck_assert_msg(strstr(failure.text, "the store gives operations up to") != NULL, "%s",
        failure.text);
    expect_everything(FAULT_READ, 0);
}
END_TEST

START_TEST(an_import_that_fails_leaves_the_older_snapshot)
{
    enum fault fault = (enum fault)_i;
    unsigned at = 1;
    for (bool has_come = true; has_come && at < FAULTS_MAX; at++) {
        struct assembly assembly;
        struct database_snapshot before, after;
        ck_assert(database_snapshot_newest(database_handle(database), &before) == SQL_FOUND);
        place(database, 100 + at);
        struct assembly_order order = order_of("store.db", 100 + at, false);
        ck_assert_msg(assembly_build(&order, &assembly, &failure), "%s", failure.text);
        arm(fault, at);
        enum import_result result = bring_in(database, &order, &assembly);
        has_come = disarm(fault);
        ck_assert(has_come || result == IMPORT_DONE);
        ck_assert_int_ne(result, IMPORT_FSYNC_FAILED);
        expect_everything(fault, at);
        ck_assert(database_snapshot_newest(database_handle(database), &after) == SQL_FOUND);
        ck_assert((result == IMPORT_DONE) == (after.id != before.id));
        assembly_close(&assembly);
    }
    ck_assert_uint_lt(at, FAULTS_MAX);
    database_close(database);
    database = NULL;
    expect_everything(fault, at);
    ck_assert_msg(build_in_context(99), "%s", failure.text);
}
END_TEST

START_TEST(a_synced_write_that_is_tried_again_is_synced)
{
    unsigned at = 1;
    for (bool has_come = true; has_come && at < FAULTS_MAX; at++) {
        struct core_output output = support_store(++newest_number, 9, at, at);
        struct row *row = row_new(&memory, &output, CORE_ALWAYS);
        ck_assert_int_eq(database_write(database, row, 1, false, &failure), DATABASE_DONE);
        unsigned fsyncs = support_disk.fsyncs;
        arm(FAULT_ALLOCATION, at);
        enum database_result result = database_write(database, row, 1, true, &failure);
        has_come = disarm(FAULT_ALLOCATION);
        while (result == DATABASE_FAILED) {
            fsyncs = support_disk.fsyncs;
            result = database_write(database, row, 1, true, &failure);
        }
        ck_assert_int_eq(result, DATABASE_DONE);
        ck_assert_msg(support_disk.fsyncs > fsyncs, "fault at %u: done without an fsync", at);
        row_free(&memory, row);
    }
    ck_assert_uint_gt(at, 5);
}
END_TEST

int main(void)
{
    support_sqlite_memory();
    Suite *suite = suite_create("unreadable");
    TCase *tests = tcase_create("unreadable");
    tcase_add_checked_fixture(tests, setup, built_teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, an_open_that_fails_loses_nothing, FAULT_ALLOCATION, FAULT_READ + 1);
    tcase_add_loop_test(
        tests, a_build_that_succeeds_has_everything, FAULT_ALLOCATION, FAULT_READ + 1);
    tcase_add_test(tests, a_build_without_a_base_is_refused_where_batches_were_dropped);
    tcase_add_test(tests, a_damaged_snapshot_stays_where_batches_were_dropped);
    tcase_add_test(tests, a_build_that_lacks_what_the_node_has_fails);
    tcase_add_loop_test(
        tests, an_import_that_fails_leaves_the_older_snapshot, FAULT_ALLOCATION, FAULT_READ + 1);
    tcase_add_test(tests, a_synced_write_that_is_tried_again_is_synced);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
