#include "gossipd/host/store/database.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gossipd/host/counting.h"
#include "gossipd/host/store/sql.h"
#include "tests/host/support.h"
#include "tests/support/runner.h"

static const uint8_t cluster_id[CRDT_HASH_BYTES] = {1};
static const uint8_t node_key[CRDT_KEY_BYTES] = {2};
static struct counting_memory counting;
static struct crdt_memory memory;
static struct database *database;
static struct database_facts facts;
static struct failure failure;

static bool open_with(const uint8_t *cluster, const uint8_t *key)
{
    return database_open(
        support_path("store.db"), SUPPORT_VFS, cluster, key, &database, &facts, &failure);
}

static void open_again(void)
{
    database_close(database);
    database = NULL;
    if (!open_with(cluster_id, node_key)) {
        ck_abort_msg("%s", failure.text);
    }
}

static void setup(void)
{
    memory = counting_hook(&counting);
    support_directory();
    support_vfs_register();
    open_again();
}

static void teardown(void)
{
    database_close(database);
    database = NULL;
    support_remove();
    ck_assert_uint_eq(counting_used(&counting), 0);
}

/* Writes outputs in one transaction. */
static enum database_result write_all(const struct core_output *outputs, size_t count)
{
    struct row *rows[8];
    for (size_t i = 0; i < count; i++) {
        rows[i] = row_new(&memory, &outputs[i], CORE_ALWAYS);
        ck_assert_ptr_nonnull(rows[i]);
        if (i > 0) {
            rows[i - 1]->next = rows[i];
        }
    }
    enum database_result result = database_write(database, rows[0], count, true, &failure);
    for (size_t i = 0; i < count; i++) {
        row_free(&memory, rows[i]);
    }
    return result;
}

static void write_three_feeds(void)
{
    const struct core_output outputs[] = {
        support_store(1, 0xaa, 1, 3),
        support_store(2, 0xbb, 1, 1),
        support_store(3, 0xaa, 4, 4),
        support_mark(4, CORE_MARK_GENERATION, UINT64_C(0xfedcba9876543210)),
        support_store(5, 0xaa, 5, 9),
    };
    ck_assert_int_eq(write_all(outputs, 5), DATABASE_DONE);
}

static void append_text(void *context, const struct core_row *row)
{
    char *text = context;
    strncat(text, row->batch.data, row->batch.size);
    sprintf(text + strlen(text), " signed %u;", row->signature[63]);
}

static void expect_replay(const char *wanted)
{
    char text[1024] = "";
    ck_assert(database_replay(database, 0, append_text, text, &failure));
    ck_assert_str_eq(text, wanted);
}

START_TEST(rows_come_back_in_the_order_of_application)
{
    write_three_feeds();
    open_again();
    expect_replay("batch aa 000001-000003 signed 1;batch bb 000001-000001 signed 2;"
                  "batch aa 000004-000004 signed 3;batch aa 000005-000009 signed 5;");
}
END_TEST

START_TEST(marks_come_back_with_all_their_bits)
{
    ck_assert(facts.is_new);
    ck_assert_uint_eq(facts.generation, 0);
    ck_assert(!facts.is_ahead);
    write_three_feeds();
    const struct core_output ahead = support_mark(6, CORE_MARK_AHEAD, 1);
    ck_assert_int_eq(write_all(&ahead, 1), DATABASE_DONE);
    open_again();
    ck_assert(!facts.is_new);
    ck_assert(!facts.has_moved);
    ck_assert(facts.is_ahead);
    ck_assert_uint_eq(facts.generation, UINT64_C(0xfedcba9876543210));
    const struct core_output clean = support_mark(7, CORE_MARK_AHEAD, 0);
    ck_assert_int_eq(write_all(&clean, 1), DATABASE_DONE);
    open_again();
    ck_assert(!facts.is_ahead);
}
END_TEST

static void expect_fetch(uint8_t key, uint64_t seq, size_t bytes_max, const char *wanted)
{
    struct crdt_dot from = {.seq = seq};
    struct fetched *fetched = fetched_new(&memory, 1);
    char text[1024] = "";
    memset(from.origin.key, key, sizeof from.origin.key);
    from.origin.generation = UINT64_C(0xfedcba9876543210);
    ck_assert(database_fetch(database, &from, bytes_max, fetched, &failure));
    for (size_t i = 0; i < fetched->row_count; i++) {
        append_text(text, &fetched->rows[i]);
    }
    if (fetched->seq_behind > 0) {
        snprintf(text, sizeof text, "%zu rows, missing up to %d", fetched->row_count,
            (int)fetched->seq_behind - 1);
    }
    ck_assert_str_eq(fetched->is_ok ? text : "gone", wanted);
    fetched_free(fetched);
}

START_TEST(a_fetch_begins_with_the_batch_that_holds_the_seq)
{
    write_three_feeds();
    expect_fetch(0xaa, 1, 1000,
        "batch aa 000001-000003 signed 1;batch aa 000004-000004 signed 3;"
        "batch aa 000005-000009 signed 5;");
    expect_fetch(0xaa, 3, 1, "batch aa 000001-000003 signed 1;");
    expect_fetch(0xaa, 4, 23, "batch aa 000004-000004 signed 3;batch aa 000005-000009 signed 5;");
    expect_fetch(0xaa, 9, 1000, "batch aa 000005-000009 signed 5;");
    expect_fetch(0xaa, 10, 1000, "");
    expect_fetch(0xcc, 1, 1000, "");
}
END_TEST

START_TEST(a_fetch_never_jumps_over_a_gap)
{
    write_three_feeds();
    const struct core_output later = support_store(6, 0xaa, 20, 21);
    ck_assert_int_eq(write_all(&later, 1), DATABASE_DONE);
    expect_fetch(0xaa, 5, 1000, "batch aa 000005-000009 signed 5;");
    expect_fetch(0xaa, 12, 1000, "0 rows, missing up to 19");
    expect_fetch(0xaa, 20, 1000, "batch aa 000020-000021 signed 6;");
}
END_TEST

START_TEST(a_full_disk_takes_the_whole_transaction_back_and_recovers)
{
    write_three_feeds();
    support_disk.is_full = true;
    const struct core_output outputs[] = {
        support_store(6, 0xaa, 10, 10), support_store(7, 0xaa, 11, 11)};
    ck_assert_int_eq(write_all(outputs, 2), DATABASE_FAILED);
    ck_assert_str_eq(failure.text, "database or disk is full");
    expect_fetch(0xaa, 5, 1000, "batch aa 000005-000009 signed 5;");
    support_disk.is_full = false;
    ck_assert_int_eq(write_all(outputs, 2), DATABASE_DONE);
    expect_fetch(0xaa, 10, 1000,
        "batch aa 000010-000010 signed 6;batch aa 000011-000011 signed 7;");
}
END_TEST

START_TEST(a_failed_fsync_is_told_from_a_full_disk)
{
    support_disk.is_fsync_broken = true;
    const struct core_output output = support_store(1, 0xaa, 1, 1);
    ck_assert_int_eq(write_all(&output, 1), DATABASE_FSYNC_FAILED);
    support_disk.is_fsync_broken = false;
}
END_TEST

START_TEST(a_synced_write_without_rows_makes_earlier_ones_durable)
{
    const struct core_output output = support_store(1, 0xaa, 1, 1);
    struct row *row = row_new(&memory, &output, CORE_EVERYSEC);
    ck_assert_int_eq(database_write(database, row, 1, false, &failure), DATABASE_DONE);
    unsigned fsyncs = support_disk.fsyncs;
    ck_assert_int_eq(database_write(database, NULL, 0, true, &failure), DATABASE_DONE);
    ck_assert_uint_gt(support_disk.fsyncs, fsyncs);
    fsyncs = support_disk.fsyncs;
    ck_assert_int_eq(database_write(database, NULL, 0, true, &failure), DATABASE_DONE);
    ck_assert_uint_gt(support_disk.fsyncs, fsyncs);
    row_free(&memory, row);
}
END_TEST

START_TEST(a_write_that_need_not_be_durable_costs_no_fsync)
{
    write_three_feeds();
    const struct core_output output = support_store(6, 0xaa, 10, 10);
    struct row *row = row_new(&memory, &output, CORE_NO);
    unsigned fsyncs = support_disk.fsyncs;
    ck_assert_int_eq(database_write(database, row, 1, false, &failure), DATABASE_DONE);
    ck_assert_uint_eq(support_disk.fsyncs, fsyncs);
    row_free(&memory, row);
}
END_TEST

START_TEST(a_store_of_another_cluster_is_refused)
{
    static const uint8_t other[CRDT_HASH_BYTES] = {9};
    database_close(database);
    database = NULL;
    ck_assert(!open_with(other, node_key));
    ck_assert_ptr_nonnull(strstr(failure.text, "another cluster"));
    open_again();
}
END_TEST

START_TEST(a_newer_schema_is_refused)
{
    database_close(database);
    database = NULL;
    sqlite3 *handle = NULL;
    ck_assert_int_eq(sqlite3_open(support_path("store.db"), &handle), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(handle, "PRAGMA user_version = 2", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
    ck_assert(!open_with(cluster_id, node_key));
    ck_assert_ptr_nonnull(strstr(failure.text, "newer gossipd"));
}
END_TEST

/* Closes the store, puts a copy in its place, and opens that. */
static void become_a_copy(void)
{
    database_close(database);
    database = NULL;
    char command[1200];
    snprintf(command, sizeof command, "cp %s %s && mv %s %s", support_path("store.db"),
        support_path("copy.db"), support_path("copy.db"), support_path("store.db"));
    ck_assert_int_eq(system(command), 0);
    open_again();
}

START_TEST(a_copied_store_is_burnt_until_a_clean_mark)
{
    write_three_feeds();
    become_a_copy();
    ck_assert(facts.has_moved);
    /* A crash right here: the next start sees no move, but the mark. */
    open_again();
    ck_assert(!facts.has_moved);
    ck_assert(facts.is_ahead);
}
END_TEST

START_TEST(a_store_whose_making_was_cut_off_is_named_at_the_next_start)
{
    ck_assert_int_eq(sqlite3_exec(database_handle(database), "DELETE FROM mark", NULL, NULL, NULL),
        SQLITE_OK);
    open_again();
    ck_assert(!facts.is_new);
    become_a_copy();
    ck_assert(facts.has_moved);
}
END_TEST

START_TEST(another_node_key_does_not_go_on_with_the_generation)
{
    static const uint8_t other[CRDT_KEY_BYTES] = {7};
    write_three_feeds();
    database_close(database);
    database = NULL;
    ck_assert(open_with(cluster_id, other));
    ck_assert(facts.has_other_key);
    ck_assert_uint_eq(facts.generation, 0);
}
END_TEST

START_TEST(a_file_that_is_no_store_is_refused)
{
    database_close(database);
    database = NULL;
    support_write("store.db", "this is not a database, and long enough to be looked at as one");
    ck_assert(!open_with(cluster_id, node_key));
    ck_assert_ptr_nonnull(strstr(failure.text, "store.db"));
}
END_TEST

START_TEST(a_fetch_of_a_damaged_batch_says_so)
{
    const struct core_output output = support_store(1, 9, 1, 1);
    struct crdt_dot from = {.seq = 1};
    struct fetched *fetched = fetched_new(&memory, 1);
    ck_assert_int_eq(write_all(&output, 1), DATABASE_DONE);
    ck_assert_int_eq(sqlite3_exec(database_handle(database),
        "UPDATE batch SET signature = x'00'", NULL, NULL, NULL), SQLITE_OK);
    from.origin = output.origin;
    ck_assert(!database_fetch(database, &from, 1000, fetched, &failure));
    ck_assert_ptr_nonnull(strstr(failure.text, "its signature has a wrong length"));
    ck_assert(!fetched->is_ok);
    fetched_free(fetched);
}
END_TEST

/* The page cache may hold what a failed fsync has not brought to the disk. */
/* A process that writes and ends without closing leaves its write-ahead log behind. */
static void write_and_die(const struct core_output *output)
{
    database_close(database);
    database = NULL;
    pid_t child = fork();
    if (child == 0) {
        _exit(open_with(cluster_id, node_key) && write_all(output, 1) == DATABASE_DONE ? 0 : 1);
    }
    int status = 1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}

START_TEST(what_a_killed_process_left_in_the_log_is_written_anew)
{
    struct stat wal;
    const struct core_output output = support_store(1, 9, 1, 1);
    write_and_die(&output);
    ck_assert_int_eq(stat(support_path("store.db-wal"), &wal), 0);
    ck_assert_int_gt(wal.st_size, 0);
    unsigned fsyncs = support_disk.fsyncs;
    open_again();
    ck_assert_int_eq(stat(support_path("store.db-wal"), &wal), 0);
    ck_assert_int_eq(wal.st_size, 0);
    /* Of the log, the file, and the log that has become empty. */
    ck_assert_uint_ge(support_disk.fsyncs, fsyncs + 3);
}
END_TEST

START_TEST(a_full_disk_lets_the_log_of_a_killed_process_be_read)
{
    const struct core_output output = support_store(1, 9, 1, 1);
    struct fetched *fetched = fetched_new(&memory, 1);
    const struct crdt_dot from = {output.origin, 1};
    write_and_die(&output);
    support_disk.is_full = true;
    open_again();
    ck_assert(database_fetch(database, &from, 1000, fetched, &failure));
    ck_assert_uint_eq(fetched->row_count, 1);
    fetched_free(fetched);
    support_disk.is_full = false;
}
END_TEST

/* Begins a snapshot, as each start may: their numbers begin anew. */
static void begin_snapshot(void)
{
    const struct core_output output = {.kind = CORE_SNAPSHOT, .number = 1};
    ck_assert_int_eq(write_all(&output, 1), DATABASE_DONE);
}

static int64_t snapshot_rows(void)
{
    int64_t count = 0;
    ck_assert(sql_number(
        sql_prepare(database_handle(database), "SELECT count(*) FROM snapshot"), &count));
    return count;
}

START_TEST(a_full_disk_lets_a_store_with_an_unfinished_snapshot_be_opened)
{
    write_three_feeds();
    begin_snapshot();
    support_disk.is_full = true;
    open_again();
    expect_fetch(0xaa, 5, 1000, "batch aa 000005-000009 signed 5;");
    ck_assert_int_eq(snapshot_rows(), 1);
    support_disk.is_full = false;
    begin_snapshot();
    ck_assert_int_eq(snapshot_rows(), 1);
    open_again();
    ck_assert_int_eq(snapshot_rows(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("database");
    TCase *tests = tcase_create("database");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, rows_come_back_in_the_order_of_application);
    tcase_add_test(tests, marks_come_back_with_all_their_bits);
    tcase_add_test(tests, a_fetch_begins_with_the_batch_that_holds_the_seq);
    tcase_add_test(tests, a_fetch_never_jumps_over_a_gap);
    tcase_add_test(tests, a_full_disk_takes_the_whole_transaction_back_and_recovers);
    tcase_add_test(tests, a_failed_fsync_is_told_from_a_full_disk);
    tcase_add_test(tests, a_synced_write_without_rows_makes_earlier_ones_durable);
    tcase_add_test(tests, a_write_that_need_not_be_durable_costs_no_fsync);
    tcase_add_test(tests, a_store_of_another_cluster_is_refused);
    tcase_add_test(tests, a_newer_schema_is_refused);
    tcase_add_test(tests, a_copied_store_is_burnt_until_a_clean_mark);
    tcase_add_test(tests, a_store_whose_making_was_cut_off_is_named_at_the_next_start);
    tcase_add_test(tests, another_node_key_does_not_go_on_with_the_generation);
    tcase_add_test(tests, a_file_that_is_no_store_is_refused);
    tcase_add_test(tests, a_fetch_of_a_damaged_batch_says_so);
    tcase_add_test(tests, what_a_killed_process_left_in_the_log_is_written_anew);
    tcase_add_test(tests, a_full_disk_lets_the_log_of_a_killed_process_be_read);
    tcase_add_test(tests, a_full_disk_lets_a_store_with_an_unfinished_snapshot_be_opened);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
