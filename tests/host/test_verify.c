/* What a verification says of stores whose oldest batches were dropped, and of
 * snapshots. */
#include "gossipd/host/store/verify.h"

#include <string.h>

#include "gossipd/host/store/database_floor.h"
#include "tests/host/built.h"
#include "tests/host/support.h"
#include "tests/support/runner.h"

/* Breaks a store that has a floor by a statement, and verifies it. */
static void expect_broken(const char *sql, const char *reason)
{
    struct verify_report report;
    struct core_drop_feed feed = {.stable = 20, .cap = 20};
    bool has_more = false;
    for (int i = 0; i < 30; i++) {
        put(database, &a, &here);
    }
    make_snapshot(database, "store.db", 1);
    put(database, &a, &here);
    feed.origin = crdt_self(a.document);
    feed.stable = feed.cap = a.seq / 2;
    struct core_drop drop = {.feeds = &feed, .feed_count = 1, .before_ms = UINT64_MAX,
        .log_bytes_max = UINT64_MAX};
    ck_assert_int_eq(
        database_drop(database, &drop, &memory, &has_more, &failure), DATABASE_DONE);
    ck_assert_int_eq(
        sqlite3_exec(database_handle(database), sql, NULL, NULL, NULL), SQLITE_OK);
    database_close(database);
    database = NULL;
    enum verify_result result =
        verify_store(support_path("store.db"), NULL, NULL, &report, NULL, &failure);
    ck_assert_int_eq(result, reason == NULL ? VERIFY_WHOLE : VERIFY_BROKEN);
    ck_assert_msg(reason == NULL || strstr(failure.text, reason) != NULL, "%s", failure.text);
    ck_assert(reason != NULL || report.dropped_feeds == 1);
}

START_TEST(verify_finds_a_store_with_a_floor_whole)
{
    expect_broken("SELECT 1", NULL);
}
END_TEST

START_TEST(verify_misses_the_snapshot_that_has_what_was_dropped)
{
    expect_broken("DELETE FROM snapshot", "the snapshot that has them is missing");
}
END_TEST

START_TEST(verify_misses_a_batch_above_the_floor)
{
    expect_broken("DELETE FROM batch WHERE place = (SELECT max(place) - 5 FROM batch)",
        "operations of this feed before it are missing");
}
END_TEST

START_TEST(verify_sees_a_floor_above_the_snapshot)
{
    expect_broken("UPDATE floor SET seq = 100000", "it lacks operations whose batches");
}
END_TEST

START_TEST(verify_calls_a_malformed_floor_by_its_name)
{
    expect_broken("UPDATE floor SET seq = -1", "its floor is malformed");
}
END_TEST

START_TEST(verify_sees_a_damaged_snapshot)
{
    expect_broken("UPDATE snapshot_part SET bytes = zeroblob(length(bytes))",
        "the snapshot cannot be loaded");
}
END_TEST

START_TEST(verify_sees_a_whole_log_that_makes_another_snapshot)
{
    struct verify_report report;
    put_some(10);
    make_snapshot(database, "store.db", 1);
    put_some(10);
    ck_assert_int_eq(sqlite3_exec(database_handle(database),
        "UPDATE snapshot SET place = place + 1", NULL, NULL, NULL), SQLITE_OK);
    database_close(database);
    database = NULL;
    ck_assert_int_eq(verify_store(support_path("store.db"), NULL, NULL, &report, NULL, &failure),
        VERIFY_BROKEN);
    ck_assert_msg(strstr(failure.text, "not what its batches make") != NULL, "%s", failure.text);
}
END_TEST

static void expect_foreign(const char *sql, const char *name)
{
    struct verify_report report;
    struct database_facts facts;
    put_some(10);
    ck_assert_int_eq(
        sqlite3_exec(database_handle(database), sql, NULL, NULL, NULL), SQLITE_OK);
    database_close(database);
    database = NULL;
    ck_assert_int_eq(verify_store(support_path("store.db"), NULL, NULL, &report, NULL, &failure),
        VERIFY_BROKEN);
    ck_assert_msg(strstr(failure.text, name) != NULL, "%s", failure.text);
    ck_assert(!database_open(support_path("store.db"), SUPPORT_VFS, feeds_cluster_id,
        here.identity.key, &database, &facts, &failure));
    ck_assert_msg(strstr(failure.text, name) != NULL, "%s", failure.text);
}

START_TEST(a_store_with_anything_but_our_tables_is_refused)
{
    static const char *const foreign[][2] = {
        {"CREATE TRIGGER t AFTER INSERT ON batch BEGIN DELETE FROM batch; END", "trigger \"t\""},
        {"CREATE VIEW v AS SELECT * FROM batch", "view \"v\""},
        {"CREATE TABLE more (a)", "table \"more\""},
        {"CREATE UNIQUE INDEX i ON batch (place)", "index \"i\""},
        {"DROP TABLE evidence; CREATE TABLE evidence (key CHECK (key != 1))",
            "table \"evidence\""},
    };
    expect_foreign(foreign[_i][0], foreign[_i][1]);
}
END_TEST

START_TEST(a_store_that_was_analyzed_is_not_foreign)
{
    struct verify_report report;
    put_some(10);
    ck_assert_int_eq(
        sqlite3_exec(database_handle(database), "ANALYZE", NULL, NULL, NULL), SQLITE_OK);
    database_close(database);
    database = open_store("store.db");
    database_close(database);
    database = NULL;
    ck_assert_int_eq(verify_store(support_path("store.db"), NULL, NULL, &report, NULL, &failure),
        VERIFY_WHOLE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verify");
    TCase *tests = tcase_create("verify");
    tcase_add_checked_fixture(tests, built_setup, built_teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, verify_finds_a_store_with_a_floor_whole);
    tcase_add_test(tests, verify_misses_the_snapshot_that_has_what_was_dropped);
    tcase_add_test(tests, verify_misses_a_batch_above_the_floor);
    tcase_add_test(tests, verify_sees_a_floor_above_the_snapshot);
    tcase_add_test(tests, verify_calls_a_malformed_floor_by_its_name);
    tcase_add_test(tests, verify_sees_a_damaged_snapshot);
    tcase_add_test(tests, verify_sees_a_whole_log_that_makes_another_snapshot);
    tcase_add_loop_test(tests, a_store_with_anything_but_our_tables_is_refused, 0, 5);
    tcase_add_test(tests, a_store_that_was_analyzed_is_not_foreign);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
