#include "gossipd/host/store/store.h"

#include <semaphore.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gossipd/host/cache.h"
#include "gossipd/host/clock.h"
#include "gossipd/host/counting.h"
#include "gossipd/limits.h"
#include "tests/host/support.h"
#include "tests/support/runner.h"

static const uint8_t cluster_id[CRDT_HASH_BYTES] = {1};
static const uint8_t node_key[CRDT_KEY_BYTES] = {2};
static struct counting_memory counting;
static struct crdt_memory memory;
static struct store *store;
static sem_t news_came;

static void notify(void *context)
{
    (void)context;
    sem_post(&news_came);
}

static void start(void)
{
    struct database *database = NULL;
    struct database_facts facts;
    struct failure failure = {{0}};
    bool is_open = database_open(support_path("store.db"), SUPPORT_VFS, cluster_id, node_key,
                       &database, &facts, &failure) &&
        store_start(database, &memory, notify, NULL, &store, &failure);
    ck_assert_msg(is_open, "%s", failure.text);
}

static void setup(void)
{
    memory = counting_hook(&counting);
    sem_init(&news_came, 0, 0);
    support_directory();
    support_vfs_register();
    start();
}

static void teardown(void)
{
    store_stop(store);
    support_remove();
    ck_assert_uint_eq(counting_used(&counting), 0);
}

/* Waits for news, at most three seconds. */
static struct store_news take(void)
{
    struct store_news news;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 3;
    ck_assert_msg(sem_timedwait(&news_came, &until) == 0, "no news came");
    store_take(store, &news);
    return news;
}

static void append(uint64_t number, uint64_t first, enum core_durability durability)
{
    const struct core_output output = support_store(number, 0xaa, first, first);
    ck_assert(store_append(store, &output, durability));
}

static bool send_fetch(uint64_t id, const struct crdt_dot *from, size_t bytes_max)
{
    const struct core_output output = {
        .kind = CORE_FETCH, .number = id, .from = *from, .bytes_max = bytes_max};
    return store_send(store, &output);
}

/* Waits until everything up to `number` is reported. */
static void wait_stored(uint64_t number)
{
    uint64_t stored = 0;
    while (stored < number) {
        struct store_news news = take();
        ck_assert_uint_eq(news.failed, 0);
        ck_assert(news.stored == 0 || news.stored >= stored);
        stored = news.stored;
    }
    ck_assert_uint_eq(stored, number);
}

START_TEST(always_is_reported_after_fsync_and_shares_it)
{
    unsigned fsyncs = support_disk.fsyncs;
    for (uint64_t i = 1; i <= 200; i++) {
        append(i, i, CORE_ALWAYS);
    }
    wait_stored(200);
    ck_assert_uint_gt(support_disk.fsyncs, fsyncs);
    ck_assert_uint_lt(support_disk.fsyncs, fsyncs + 200);
    ck_assert_uint_eq(store_queued_bytes(store), 0);
}
END_TEST

START_TEST(everysec_is_reported_once_a_second)
{
    uint64_t begun_us = clock_monotonic_us();
    append(1, 1, CORE_EVERYSEC);
    append(2, 2, CORE_EVERYSEC);
    wait_stored(2);
    ck_assert_uint_ge(clock_monotonic_us() - begun_us, 900000);
    ck_assert_uint_ge(support_disk.fsyncs, 1);
}
END_TEST

START_TEST(no_is_reported_without_fsync)
{
    append(1, 1, CORE_ALWAYS);
    wait_stored(1);
    unsigned fsyncs = support_disk.fsyncs;
    append(2, 2, CORE_NO);
    wait_stored(2);
    ck_assert_uint_eq(support_disk.fsyncs, fsyncs);
}
END_TEST

START_TEST(a_mark_is_durable_whatever_the_durability)
{
    append(1, 1, CORE_ALWAYS);
    wait_stored(1);
    unsigned fsyncs = support_disk.fsyncs;
    const struct core_output mark = support_mark(2, CORE_MARK_AHEAD, 1);
    ck_assert(store_append(store, &mark, CORE_NO));
    wait_stored(2);
    ck_assert_uint_gt(support_disk.fsyncs, fsyncs);
}
END_TEST

START_TEST(after_a_failure_all_that_waits_fails_and_later_rows_do_not)
{
    support_disk.is_full = true;
    append(1, 1, CORE_ALWAYS);
    sem_wait(&news_came);
    append(2, 2, CORE_ALWAYS);
    append(3, 3, CORE_ALWAYS);
    support_disk.is_full = false;
    struct store_news news;
    store_take(store, &news);
    ck_assert_uint_eq(news.failed, 1);
    ck_assert_uint_eq(news.stored, 0);
    ck_assert_str_eq(news.reason.text, "database or disk is full");
    store_resume(store);
    ck_assert_uint_eq(store_queued_bytes(store), 0);
    /* The core hands the same batches over again under new numbers. */
    append(4, 1, CORE_ALWAYS);
    wait_stored(4);
    store_stop(store);
    start();
    struct crdt_dot from = {.seq = 1};
    memset(from.origin.key, 0xaa, sizeof from.origin.key);
    from.origin.generation = UINT64_C(0xfedcba9876543210);
    ck_assert(send_fetch(7, &from, 1000));
    news = take();
    ck_assert_uint_eq(news.errands->fetched->row_count, 1);
    ck_assert_uint_eq(news.errands->fetched->rows[0].signature[0], 4);
    errand_free(news.errands);
}
END_TEST

START_TEST(what_comes_before_the_core_hears_of_a_failure_fails_too)
{
    struct crdt_dot from = {.seq = 1};
    memset(from.origin.key, 0xaa, sizeof from.origin.key);
    from.origin.generation = UINT64_C(0xfedcba9876543210);
    support_disk.is_full = true;
    append(1, 1, CORE_ALWAYS);
    struct store_news news = take();
    ck_assert_uint_eq(news.failed, 1);
    support_disk.is_full = false;
    /* As when the core answers a STORED that came with the same news. */
    append(2, 2, CORE_ALWAYS);
    ck_assert(send_fetch(1, &from, 1000));
    news = take();
    ck_assert_uint_eq(news.stored, 0);
    ck_assert_uint_eq(news.errands->fetched->row_count, 0);
    errand_free(news.errands);
    store_resume(store);
    append(3, 1, CORE_ALWAYS);
    wait_stored(3);
    ck_assert(send_fetch(2, &from, 1000));
    news = take();
    ck_assert_uint_eq(news.errands->fetched->row_count, 1);
    errand_free(news.errands);
}
END_TEST

START_TEST(a_fetch_is_answered_while_rows_never_cease)
{
    static uint8_t large[1 << 20];
    struct crdt_dot from = {.seq = 1};
    memset(from.origin.key, 0xaa, sizeof from.origin.key);
    from.origin.generation = UINT64_C(0xfedcba9876543210);
    uint64_t number = 0;
    struct store_news news = {.errands = NULL};
    while (news.errands == NULL) {
        ck_assert_uint_lt(number, 400);
        while (store_queued_bytes(store) < 3 * STORE_GROUP_BYTES) {
            struct core_output output = support_store(number + 1, 0xaa, number + 1, number + 1);
            output.bytes = (struct crdt_bytes){large, sizeof large};
            ck_assert(store_append(store, &output, CORE_NO));
            number++;
        }
        ck_assert(from.seq == 0 || send_fetch(1, &from, 1));
        from.seq = 0;
        store_take(store, &news);
    }
    ck_assert_uint_eq(news.errands->fetched->row_count, 1);
    errand_free(news.errands);
}
END_TEST

START_TEST(a_fetch_sees_what_was_appended_before_it)
{
    struct crdt_dot from = {.seq = 2};
    memset(from.origin.key, 0xaa, sizeof from.origin.key);
    from.origin.generation = UINT64_C(0xfedcba9876543210);
    for (uint64_t i = 1; i <= 3; i++) {
        append(i, i, CORE_EVERYSEC);
    }
    ck_assert(send_fetch(9, &from, 1000));
    struct store_news news = take();
    while (news.errands == NULL) {
        news = take();
    }
    ck_assert_uint_eq(news.errands->id, 9);
    ck_assert(news.errands->fetched->is_ok);
    ck_assert_uint_eq(news.errands->fetched->row_count, 2);
    ck_assert_mem_eq(news.errands->fetched->rows[1].batch.data, "batch aa 000003-000003", 22);
    errand_free(news.errands);
}
END_TEST

START_TEST(a_fetch_sees_rows_of_more_than_one_transaction)
{
    static uint8_t large[1 << 20];
    struct crdt_dot from = {.seq = 30};
    memset(from.origin.key, 0xaa, sizeof from.origin.key);
    from.origin.generation = UINT64_C(0xfedcba9876543210);
    for (uint64_t i = 1; i <= 30; i++) {
        struct core_output output = support_store(i, 0xaa, i, i);
        output.bytes = (struct crdt_bytes){large, sizeof large};
        ck_assert(store_append(store, &output, CORE_NO));
    }
    ck_assert(send_fetch(1, &from, 1));
    struct store_news news = take();
    while (news.errands == NULL) {
        news = take();
    }
    ck_assert_uint_eq(news.errands->fetched->row_count, 1);
    errand_free(news.errands);
}
END_TEST

START_TEST(stopping_makes_what_waits_durable)
{
    for (uint64_t i = 1; i <= 50; i++) {
        append(i, i, CORE_EVERYSEC);
    }
    store_stop(store);
    start();
    struct crdt_dot from = {.seq = 1};
    memset(from.origin.key, 0xaa, sizeof from.origin.key);
    from.origin.generation = UINT64_C(0xfedcba9876543210);
    ck_assert(send_fetch(1, &from, 100000));
    while (sem_trywait(&news_came) == 0) {
    }
    struct store_news news = {0};
    while (news.errands == NULL) {
        store_take(store, &news);
    }
    ck_assert_uint_eq(news.errands->fetched->row_count, 50);
    errand_free(news.errands);
}
END_TEST

START_TEST(a_failed_fsync_ends_the_process_without_a_word_of_success)
{
    /* A fork takes no threads along: the child starts the store's anew. */
    store_stop(store);
    store = NULL;
    pid_t child = fork();
    if (child == 0) {
        start();
        support_disk.is_fsync_broken = true;
        append(1, 1, CORE_ALWAYS);
        for (;;) {
            struct store_news news;
            sem_wait(&news_came);
            store_take(store, &news);
            _exit(news.stored != 0 ? 1 : 2);
        }
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 70);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store");
    TCase *tests = tcase_create("store");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, always_is_reported_after_fsync_and_shares_it);
    tcase_add_test(tests, everysec_is_reported_once_a_second);
    tcase_add_test(tests, no_is_reported_without_fsync);
    tcase_add_test(tests, a_mark_is_durable_whatever_the_durability);
    tcase_add_test(tests, after_a_failure_all_that_waits_fails_and_later_rows_do_not);
    tcase_add_test(tests, what_comes_before_the_core_hears_of_a_failure_fails_too);
    tcase_add_test(tests, a_fetch_is_answered_while_rows_never_cease);
    tcase_add_test(tests, a_fetch_sees_what_was_appended_before_it);
    tcase_add_test(tests, a_fetch_sees_rows_of_more_than_one_transaction);
    tcase_add_test(tests, stopping_makes_what_waits_durable);
    tcase_add_test(tests, a_failed_fsync_ends_the_process_without_a_word_of_success);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
