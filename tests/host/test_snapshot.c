/* Snapshots in the store: whole or not at all, and behind the rows they stand
 * for. */
#include "gossipd/host/store/database_snapshot.h"

#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gossipd/host/counting.h"
#include "gossipd/host/store/store.h"
#include "gossipd/limits.h"
#include "tests/host/support.h"
#include "tests/support/runner.h"

static const uint8_t cluster_id[CRDT_HASH_BYTES] = {1};
static const uint8_t node_key[CRDT_KEY_BYTES] = {2};
static struct counting_memory counting;
static struct crdt_memory memory;
static struct database *database; /* NULL while a store has it                   */
static struct store *store;
static struct failure failure;
static sem_t news_came;

static void database_open_again(void)
{
    struct database_facts facts;
    database_close(database);
    bool is_open = database_open(support_path("store.db"), SUPPORT_VFS, cluster_id, node_key,
        &database, &facts, &failure);
    ck_assert_msg(is_open, "%s", failure.text);
}

static void notify(void *context)
{
    (void)context;
    sem_post(&news_came);
}

static void setup(void)
{
    memory = counting_hook(&counting);
    sem_init(&news_came, 0, 0);
    support_directory();
    support_vfs_register();
    database_open_again();
    ck_assert(store_start(database, &memory, notify, NULL, &store, &failure));
    database = NULL;
}

/* Ends the store's thread; the database is open again for a look. */
static void look(void)
{
    store_stop(store);
    store = NULL;
    database_open_again();
}

static void teardown(void)
{
    store_stop(store);
    store = NULL;
    database_close(database);
    database = NULL;
    support_remove();
    ck_assert_uint_eq(counting_used(&counting), 0);
}

/* Takes news until an import has ended; at most three seconds each. */
static struct store_news take_import(void)
{
    struct store_news news = {.imported = 0};
    while (news.imported == 0) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 3;
        ck_assert_msg(sem_timedwait(&news_came, &until) == 0, "no news came");
        store_take(store, &news);
    }
    return news;
}

/* Parts that belong to nothing go while there is nothing else to do. */
static void let_sweep(void)
{
    const struct timespec while_it_sweeps = {.tv_nsec = 200000000};
    nanosleep(&while_it_sweeps, NULL);
}

static void append(uint64_t number)
{
    const struct core_output output = support_store(number, 0xaa, number, number);
    ck_assert(store_append(store, &output, CORE_ALWAYS));
}

static void place(uint64_t snapshot, uint64_t number)
{
    const struct core_output output = {
        .kind = CORE_SNAPSHOT, .number = snapshot, .value = number};
    ck_assert(store_append(store, &output, CORE_ALWAYS));
}

static uint8_t byte_at(size_t at)
{
    return (uint8_t)(at * 7 + at / 1000);
}

/* A file without a name that holds a snapshot of `size` bytes. */
static int draft_of(size_t size, struct core_snapshot *snapshot)
{
    char path[] = "/tmp/gossipd-test-draft-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    unlink(path);
    size_t content = size - SUPPORT_SEAL_BYTES;
    uint8_t *bytes = malloc(content + 1);
    for (size_t at = 0; at < content; at++) {
        bytes[at] = byte_at(at);
    }
    ck_assert_int_eq(write(fd, bytes, content), (ssize_t)content);
    free(bytes);
    snapshot->bytes = support_seal(fd, snapshot->hash);
    ck_assert_uint_eq(snapshot->bytes, size);
    return fd;
}

/* Brings in `size` bytes, of which a disk has made `damaged_size` zeros. */
static void bring_in_damaged(uint64_t snapshot, size_t size, size_t damaged, size_t damaged_size)
{
    static const uint8_t zeros[4096];
    struct import_order order = {.number = snapshot};
    int fd = draft_of(size, &order.snapshot);
    ck_assert_int_eq(pwrite(fd, zeros, damaged_size, (off_t)damaged), (ssize_t)damaged_size);
    order.snapshot.tips = crdt_text("tips");
    struct import *import = import_new(&memory, &order, fd);
    ck_assert_ptr_nonnull(import);
    ck_assert(store_import(store, import));
}

static void bring_in(uint64_t snapshot, size_t size)
{
    bring_in_damaged(snapshot, size, 0, 0);
}

static void count_row(void *context, const struct core_row *row)
{
    size_t *count = context;
    ck_assert_uint_gt(row->batch.size, 0);
    (*count)++;
}

static size_t rows_behind(int64_t behind)
{
    size_t count = 0;
    ck_assert(database_replay(database, behind, count_row, &count, &failure));
    return count;
}

static size_t count_of(const char *sql)
{
    sqlite3_stmt *statement = NULL;
    sqlite3 *handle = database_handle(database);
    ck_assert_int_eq(sqlite3_prepare_v2(handle, sql, -1, &statement, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    size_t count = (size_t)sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return count;
}

START_TEST(a_snapshot_comes_back_with_the_rows_behind_its_place)
{
    const size_t size = 2 * SNAPSHOT_PART_BYTES + 12345;
    append(1);
    append(2);
    place(1, 2);
    append(3);
    bring_in(1, size);
    struct store_news news = take_import();
    ck_assert_msg(news.is_import_ok, "%s", news.import_reason.text);
    look();
    struct database_snapshot snapshot;
    struct crdt_buffer bytes;
    ck_assert(database_snapshot_newest(database_handle(database), &snapshot));
    crdt_buffer_init(&bytes, NULL);
    ck_assert(
        database_snapshot_read(database_handle(database), &snapshot, &bytes, &failure));
    ck_assert_uint_eq(bytes.size, size);
    for (size_t at = 0; at < size - SUPPORT_SEAL_BYTES; at++) {
        ck_assert(bytes.data[at] == byte_at(at));
    }
    crdt_buffer_clear(&bytes);
    ck_assert(
        database_snapshot_tips(database_handle(database), &snapshot, &bytes, &failure));
    ck_assert_uint_eq(bytes.size, 4);
    ck_assert_mem_eq(bytes.data, "tips", 4);
    crdt_buffer_clear(&bytes);
    ck_assert_uint_eq(snapshot.parts, 3);
    ck_assert(!database_snapshot_part(database_handle(database), snapshot.hash, 3, &bytes));
    ck_assert(database_snapshot_part(database_handle(database), snapshot.hash, 2, &bytes));
    ck_assert_uint_eq(bytes.size, 12345);
    ck_assert(bytes.data[0] == byte_at(2 * SNAPSHOT_PART_BYTES));
    snapshot.hash[0]++;
    ck_assert(!database_snapshot_part(database_handle(database), snapshot.hash, 2, &bytes));
    crdt_buffer_close(&bytes);
    ck_assert_uint_eq(rows_behind(snapshot.place), 1);
    ck_assert_uint_eq(rows_behind(0), 3);
}
END_TEST

START_TEST(a_newer_snapshot_takes_the_place_of_the_older)
{
    append(1);
    place(1, 1);
    bring_in(1, 3 * SNAPSHOT_PART_BYTES);
    ck_assert(take_import().is_import_ok);
    append(2);
    place(2, 2);
    bring_in(2, 100);
    ck_assert(take_import().is_import_ok);
    let_sweep();
    look();
    struct database_snapshot snapshot;
    ck_assert(database_snapshot_newest(database_handle(database), &snapshot));
    ck_assert_uint_eq(snapshot.bytes, 100);
    ck_assert_uint_eq(count_of("SELECT count(*) FROM snapshot"), 1);
    ck_assert_uint_eq(count_of("SELECT count(*) FROM snapshot_part"), 1);
}
END_TEST

static bool begin_and_add(sqlite3 *handle, void *context)
{
    (void)context;
    bool has_place = false;
    return database_snapshot_begin(handle, 1, 1, 0) &&
        database_snapshot_add(handle, 1, 0, "part", 4, &has_place) && has_place;
}

START_TEST(what_a_crash_left_half_written_is_never_read_and_goes_away)
{
    append(1);
    look();
    ck_assert_int_eq(database_transact(database, begin_and_add, NULL, true, &failure),
        DATABASE_DONE);
    struct database_snapshot snapshot;
    ck_assert(!database_snapshot_newest(database_handle(database), &snapshot));
    database_open_again();
    ck_assert(!database_snapshot_newest(database_handle(database), &snapshot));
    ck_assert_uint_eq(count_of("SELECT count(*) FROM snapshot"), 0);
    /* Its parts go with the next snapshot; they cannot become parts of it. */
    ck_assert(store_start(database, &memory, notify, NULL, &store, &failure));
    database = NULL;
    place(1, 0);
    bring_in(1, 110);
    ck_assert(take_import().is_import_ok);
    let_sweep();
    look();
    ck_assert(database_snapshot_newest(database_handle(database), &snapshot));
    ck_assert_uint_eq(count_of("SELECT count(*) FROM snapshot_part"), 1);
}
END_TEST

START_TEST(a_sweep_that_a_full_disk_stopped_goes_on_when_there_is_room)
{
    const struct timespec until_the_next_try = {.tv_sec = 1, .tv_nsec = 500000000};
    look();
    ck_assert_int_eq(database_transact(database, begin_and_add, NULL, true, &failure),
        DATABASE_DONE);
    database_open_again();
    ck_assert_uint_eq(count_of("SELECT count(*) FROM snapshot_part"), 1);
    support_disk.is_full = true;
    ck_assert(store_start(database, &memory, notify, NULL, &store, &failure));
    database = NULL;
    let_sweep();
    support_disk.is_full = false;
    nanosleep(&until_the_next_try, NULL);
    look();
    ck_assert_uint_eq(count_of("SELECT count(*) FROM snapshot_part"), 0);
}
END_TEST

START_TEST(a_snapshot_whose_rows_failed_fails_with_them)
{
    append(1);
    place(1, 1);
    bring_in(1, 110);
    ck_assert(take_import().is_import_ok);
    support_disk.is_full = true;
    append(2);
    place(2, 2);
    bring_in(2, 120);
    /* Nobody hands anything over again: the import ends all the same. */
    struct store_news news = {.imported = 0};
    uint64_t failed = 0;
    while (news.imported == 0) {
        ck_assert_int_eq(sem_wait(&news_came), 0);
        store_take(store, &news);
        if (news.failed != 0) {
            failed = news.failed;
            store_resume(store);
        }
    }
    support_disk.is_full = false;
    ck_assert_uint_eq(failed, 2);
    ck_assert(!news.is_import_ok);
    ck_assert_str_eq(news.import_reason.text, "the batches it stands for could not be stored");
    look();
    struct database_snapshot snapshot;
    ck_assert(database_snapshot_newest(database_handle(database), &snapshot));
    ck_assert_uint_eq(snapshot.bytes, 110);
}
END_TEST

START_TEST(a_full_disk_leaves_the_older_snapshot)
{
    append(1);
    place(1, 1);
    bring_in(1, 110);
    ck_assert(take_import().is_import_ok);
    append(2);
    place(2, 2);
    append(3);
    struct store_news news = {.stored = 0};
    while (news.stored < 3) {
        ck_assert_int_eq(sem_wait(&news_came), 0);
        store_take(store, &news);
    }
    support_disk.is_full = true;
    bring_in(2, 120);
    news = take_import();
    ck_assert(!news.is_import_ok);
    ck_assert_ptr_nonnull(strstr(news.import_reason.text, "full"));
    support_disk.is_full = false;
    look();
    struct database_snapshot snapshot;
    ck_assert(database_snapshot_newest(database_handle(database), &snapshot));
    ck_assert_uint_eq(snapshot.bytes, 110);
    ck_assert_uint_eq(rows_behind(snapshot.place), 2);
}
END_TEST

START_TEST(a_draft_that_reads_back_zeros_leaves_the_older_snapshot)
{
    const size_t size = 2 * SNAPSHOT_PART_BYTES + 10; /* the seal lies in two parts   */
    const size_t damaged[][2] = {{0, 4096}, {SNAPSHOT_PART_BYTES - 1, 2}, {size - 1, 1},
        {size - SUPPORT_SEAL_BYTES, 1}, {size - SUPPORT_SEAL_BYTES - 1, 1}};
    append(1);
    place(1, 1);
    bring_in(1, 110);
    ck_assert(take_import().is_import_ok);
    append(2);
    for (uint64_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        place(2 + i, 2);
        bring_in_damaged(2 + i, size, damaged[i][0], damaged[i][1]);
        struct store_news news = take_import();
        ck_assert(!news.is_import_ok);
        ck_assert_ptr_nonnull(strstr(news.import_reason.text, "other bytes than were written"));
    }
    place(9, 2);
    bring_in(9, size);
    struct store_news news = take_import();
    ck_assert_msg(news.is_import_ok, "%s", news.import_reason.text);
    append(3);
    place(10, 3);
    bring_in_damaged(10, size, 0, 4096);
    ck_assert(!take_import().is_import_ok);
    look();
    struct database_snapshot snapshot;
    ck_assert(database_snapshot_newest(database_handle(database), &snapshot));
    ck_assert_uint_eq(snapshot.bytes, size);
    ck_assert_uint_eq(rows_behind(snapshot.place), 1);
}
END_TEST

START_TEST(parts_of_a_failed_import_go_when_the_next_snapshot_is_placed)
{
    append(1);
    place(1, 1);
    bring_in_damaged(1, 3 * SNAPSHOT_PART_BYTES, 0, 4096);
    ck_assert(!take_import().is_import_ok);
    let_sweep();
    place(2, 1);
    let_sweep();
    look();
    ck_assert_uint_eq(count_of("SELECT count(*) FROM snapshot_part"), 0);
}
END_TEST

START_TEST(a_snapshot_that_has_lost_a_part_says_so)
{
    append(1);
    place(1, 1);
    bring_in(1, 3 * SNAPSHOT_PART_BYTES);
    ck_assert(take_import().is_import_ok);
    look();
    struct database_snapshot snapshot;
    struct crdt_buffer bytes;
    crdt_buffer_init(&bytes, NULL);
    ck_assert_int_eq(sqlite3_exec(database_handle(database),
        "DELETE FROM snapshot_part WHERE part = 1", NULL, NULL, NULL), SQLITE_OK);
    ck_assert(database_snapshot_newest(database_handle(database), &snapshot));
    ck_assert(
        !database_snapshot_read(database_handle(database), &snapshot, &bytes, &failure));
    ck_assert_ptr_nonnull(strstr(failure.text, "1048576 of 3145728"));
    crdt_buffer_close(&bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("snapshot");
    TCase *tests = tcase_create("snapshot");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 20);
    tcase_add_test(tests, a_snapshot_comes_back_with_the_rows_behind_its_place);
    tcase_add_test(tests, a_newer_snapshot_takes_the_place_of_the_older);
    tcase_add_test(tests, what_a_crash_left_half_written_is_never_read_and_goes_away);
    tcase_add_test(tests, a_sweep_that_a_full_disk_stopped_goes_on_when_there_is_room);
    tcase_add_test(tests, a_snapshot_whose_rows_failed_fails_with_them);
    tcase_add_test(tests, a_full_disk_leaves_the_older_snapshot);
    tcase_add_test(tests, a_draft_that_reads_back_zeros_leaves_the_older_snapshot);
    tcase_add_test(tests, parts_of_a_failed_import_go_when_the_next_snapshot_is_placed);
    tcase_add_test(tests, a_snapshot_that_has_lost_a_part_says_so);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
