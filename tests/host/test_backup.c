#include "gossipd/host/store/backup.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gossipd/host/counting.h"
#include "gossipd/host/store/store.h"
#include "tests/host/support.h"
#include "tests/support/runner.h"

static const uint8_t cluster_id[CRDT_HASH_BYTES] = {1};
static const uint8_t node_key[CRDT_KEY_BYTES] = {2};
static struct counting_memory counting;
static struct crdt_memory memory;
static struct database *database;
static struct database_facts facts;
static struct failure failure;

static void setup(void)
{
    memory = counting_hook(&counting);
    support_directory();
    support_vfs_register();
    ck_assert(database_open(support_path("store.db"), SUPPORT_VFS, cluster_id, node_key,
        &database, &facts, &failure));
}

static void teardown(void)
{
    database_close(database);
    database = NULL;
    support_remove();
    ck_assert_uint_eq(counting_used(&counting), 0);
}

/* A batch of 64 KiB, so that a backup takes some steps. */
static struct core_output large(uint64_t number)
{
    static uint8_t bytes[65536];
    struct core_output output = support_store(number, 0xaa, number, number);
    memset(bytes, (int)number, sizeof bytes);
    output.bytes = (struct crdt_bytes){bytes, sizeof bytes};
    return output;
}

static enum database_result write_large(uint64_t first, uint64_t last)
{
    enum database_result result = DATABASE_DONE;
    for (uint64_t number = first; number <= last && result == DATABASE_DONE; number++) {
        struct core_output output = large(number);
        struct row *row = row_new(&memory, &output, CORE_ALWAYS);
        result = database_write(database, row, 1, true, &failure);
        row_free(&memory, row);
    }
    return result;
}

static void count_row(void *context, const struct core_row *row)
{
    uint64_t *count = context;
    uint8_t byte = (uint8_t)++*count;
    ck_assert_uint_eq(row->batch.size, 65536);
    ck_assert_mem_eq(row->batch.data, &byte, 1);
}

static uint64_t rows_in(const char *path)
{
    struct database *copy = NULL;
    uint64_t count = 0;
    ck_assert_msg(database_open(path, NULL, cluster_id, node_key, &copy, &facts, &failure),
        "%s", failure.text);
    ck_assert(database_replay(copy, 0, count_row, &count, &failure));
    database_close(copy);
    return count;
}

static bool is_there(const char *file)
{
    return access(support_path(file), F_OK) == 0;
}

START_TEST(a_copy_takes_along_what_is_written_while_it_is_made)
{
    struct backup *backup = NULL;
    enum backup_result result = BACKUP_MORE;
    uint64_t number = 100;
    unsigned steps = 0;
    ck_assert_int_eq(write_large(1, 100), DATABASE_DONE);
    ck_assert(backup_begin(database_handle(database), support_path("copy.db"), NULL, &backup,
        &failure));
    while (result == BACKUP_MORE) {
        result = backup_step(backup, &failure);
        steps++;
        if (result == BACKUP_MORE) {
            ck_assert(!is_there("copy.db"));
            number++;
            ck_assert_int_eq(write_large(number, number), DATABASE_DONE);
        }
    }
    ck_assert_int_eq(result, BACKUP_DONE);
    ck_assert_uint_ge(steps, 6);
    ck_assert_uint_gt(backup_bytes(backup), 100 * 65536);
    backup_free(backup);
    ck_assert(!is_there("copy.db.partial"));
    struct stat mode;
    ck_assert_int_eq(stat(support_path("copy.db"), &mode), 0);
    ck_assert_uint_eq(mode.st_mode & 07777, 0600);
    ck_assert_uint_eq(rows_in(support_path("copy.db")), number);
    /* It is a copy, and knows it. */
    ck_assert(facts.has_moved);
}
END_TEST

START_TEST(a_copy_given_up_leaves_nothing)
{
    struct backup *backup = NULL;
    ck_assert_int_eq(write_large(1, 60), DATABASE_DONE);
    ck_assert(backup_begin(database_handle(database), support_path("copy.db"), NULL, &backup,
        &failure));
    ck_assert_int_eq(backup_step(backup, &failure), BACKUP_MORE);
    ck_assert(is_there("copy.db.partial"));
    backup_free(backup);
    ck_assert(!is_there("copy.db.partial"));
    ck_assert(!is_there("copy.db"));
    ck_assert_int_eq(write_large(61, 61), DATABASE_DONE);
}
END_TEST

START_TEST(no_file_is_ever_replaced)
{
    struct backup *backup = NULL;
    support_write("copy.db", "precious");
    ck_assert(!backup_begin(database_handle(database), support_path("copy.db"), NULL, &backup,
        &failure));
    ck_assert_ptr_nonnull(strstr(failure.text, "exists already"));
    unlink(support_path("copy.db"));
    ck_assert(backup_begin(database_handle(database), support_path("copy.db"), NULL, &backup,
        &failure));
    /* Someone takes the name while the copy is made. */
    support_write("copy.db", "precious");
    enum backup_result result = BACKUP_MORE;
    while (result == BACKUP_MORE) {
        result = backup_step(backup, &failure);
    }
    ck_assert_int_eq(result, BACKUP_FAILED);
    backup_free(backup);
    char text[16] = "";
    FILE *stream = fopen(support_path("copy.db"), "r");
    ck_assert_ptr_nonnull(fgets(text, sizeof text, stream));
    fclose(stream);
    ck_assert_str_eq(text, "precious");
    ck_assert(!is_there("copy.db.partial"));
}
END_TEST

START_TEST(a_copy_that_is_cut_off_is_named_in_the_next_refusal)
{
    struct backup *backup = NULL;
    support_write("copy.db.partial", "half");
    ck_assert(!backup_begin(database_handle(database), support_path("copy.db"), NULL, &backup,
        &failure));
    ck_assert_ptr_nonnull(strstr(failure.text, "copy.db.partial"));
    ck_assert(!backup_begin(database_handle(database), "/nowhere/at/all", NULL, &backup,
        &failure));
}
END_TEST

START_TEST(the_last_statement_is_in_the_copy_and_not_in_the_store)
{
    struct backup *backup = NULL;
    enum backup_result result = BACKUP_MORE;
    ck_assert(backup_begin(database_handle(database), support_path("copy.db"),
        "INSERT OR REPLACE INTO mark (name, value) VALUES ('generation', 7)", &backup, &failure));
    while (result == BACKUP_MORE) {
        result = backup_step(backup, &failure);
    }
    ck_assert_int_eq(result, BACKUP_DONE);
    backup_free(backup);
    ck_assert_uint_eq(rows_in(support_path("copy.db")), 0);
    ck_assert_uint_eq(facts.generation, 7);
}
END_TEST

/* ---- Through the store's thread ---------------------------------------------- */

static void notify(void *context)
{
    (void)context;
}

/* Polls, for at most some seconds. */
static struct store_news wait_backed_up(struct store *store)
{
    struct store_news news = {0};
    for (int i = 0; i < 2000 && !news.has_backed_up; i++) {
        const struct timespec pause = {.tv_nsec = 5000000};
        nanosleep(&pause, NULL);
        store_take(store, &news);
    }
    ck_assert(news.has_backed_up);
    return news;
}

START_TEST(a_backup_holds_what_was_appended_before_it)
{
    struct store *store = NULL;
    ck_assert(store_start(database, &memory, notify, NULL, &store, &failure));
    database = NULL;
    for (uint64_t number = 1; number <= 200; number++) {
        struct core_output output = large(number);
        ck_assert(store_append(store, &output, CORE_NO));
    }
    ck_assert(store_backup(store, 77, support_path("copy.db")));
    ck_assert(!store_backup(store, 78, support_path("second.db")));
    struct store_news news = wait_backed_up(store);
    ck_assert_msg(news.is_backup_ok, "%s", news.backup_reason.text);
    ck_assert_uint_eq(news.backup_client, 77);
    ck_assert_uint_eq(rows_in(support_path("copy.db")), 200);
    ck_assert(store_backup(store, 79, support_path("copy.db")));
    news = wait_backed_up(store);
    ck_assert(!news.is_backup_ok);
    ck_assert_uint_eq(news.backup_client, 79);
    store_stop(store);
}
END_TEST

START_TEST(no_backup_is_made_behind_a_row_that_could_not_be_written)
{
    struct store *store = NULL;
    ck_assert(store_start(database, &memory, notify, NULL, &store, &failure));
    database = NULL;
    support_disk.is_full = true;
    struct core_output output = large(1);
    ck_assert(store_append(store, &output, CORE_NO));
    ck_assert(store_backup(store, 77, support_path("copy.db")));
    struct store_news news = wait_backed_up(store);
    support_disk.is_full = false;
    ck_assert(!news.is_backup_ok);
    ck_assert_ptr_nonnull(strstr(news.backup_reason.text, "ask again"));
    ck_assert(!is_there("copy.db"));
    store_stop(store);
}
END_TEST

START_TEST(stopping_gives_a_backup_up)
{
    struct store *store = NULL;
    ck_assert_int_eq(write_large(1, 200), DATABASE_DONE);
    ck_assert(store_start(database, &memory, notify, NULL, &store, &failure));
    database = NULL;
    ck_assert(store_backup(store, 1, support_path("copy.db")));
    store_stop(store);
    ck_assert(!is_there("copy.db.partial"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("backup");
    TCase *tests = tcase_create("backup");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_copy_takes_along_what_is_written_while_it_is_made);
    tcase_add_test(tests, a_copy_given_up_leaves_nothing);
    tcase_add_test(tests, no_file_is_ever_replaced);
    tcase_add_test(tests, a_copy_that_is_cut_off_is_named_in_the_next_refusal);
    tcase_add_test(tests, the_last_statement_is_in_the_copy_and_not_in_the_store);
    tcase_add_test(tests, a_backup_holds_what_was_appended_before_it);
    tcase_add_test(tests, no_backup_is_made_behind_a_row_that_could_not_be_written);
    tcase_add_test(tests, stopping_gives_a_backup_up);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
