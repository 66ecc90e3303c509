/* A verification that cannot look says nothing against the store: SQLite's n-th
 * allocation, the heap's, or the n-th read fails while a whole store is verified, for
 * every n there is. */
#include "gossipd/host/store/verify.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gossipd/host/store/restore.h"
#include "gossipd/host/store/verify_fault.h"
#include "tests/host/built.h"
#include "tests/host/support.h"
#include "tests/support/claim.h"
#include "tests/support/runner.h"

#define FAULTS_MAX 20000 /* a sweep that does not end by then is broken             */

/* ---- Faults --------------------------------------------------------------------- */

enum fault { FAULT_SQLITE, FAULT_HEAP, FAULT_READ, FAULTS };

static unsigned heap_left; /* the last of so many allocations fails; 0: none does    */

/* The linker gives these to all that is linked in, and not to SQLite: --wrap. */
void *__real_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size)
{
    return support_is_last(&heap_left) ? NULL : __real_realloc(block, size);
}

static unsigned *left_of(enum fault fault)
{
    return fault == FAULT_SQLITE ? &support_sqlite_left
        : fault == FAULT_HEAP    ? &heap_left
                                 : &support_disk.reads_left;
}

/* The verification opens by the name of the VFS that gossipd uses: from here on that
 * is the one that fails. */
static void unix_excl_fails(void)
{
    static sqlite3_vfs vfs;
    vfs = *sqlite3_vfs_find(SUPPORT_VFS);
    vfs.pNext = NULL;
    vfs.zName = "unix-excl";
    claim(sqlite3_vfs_register(&vfs, 1) == SQLITE_OK);
}

/* ---- Stores ---------------------------------------------------------------------- */

static void drop_half(void)
{
    bool has_more = false;
    struct core_drop_feed feed = {.origin = crdt_self(a.document), .stable = a.seq / 2,
        .cap = a.seq / 2};
    struct core_drop drop = {.feeds = &feed, .feed_count = 1, .before_ms = UINT64_MAX,
        .log_bytes_max = UINT64_MAX};
    ck_assert_int_eq(
        database_drop(database, &drop, &memory, &has_more, &failure), DATABASE_DONE);
}

/* A whole store with a snapshot, rows behind it, and maybe a floor. */
static void make_store(bool has_floor)
{
    support_disk.is_fsync_idle = true;
    for (int i = 0; i < 8; i++) {
        put(database, &a, &here);
    }
    make_snapshot(database, "store.db", 1);
    put(database, &a, &here);
    if (has_floor) {
        drop_half();
    }
    database_close(database);
    database = NULL;
    unix_excl_fails();
}

static enum verify_result verify(void)
{
    struct verify_report report;
    failure.text[0] = '\0';
    return verify_store(support_path("store.db"), NULL, NULL, &report, NULL, &failure);
}

/* ---- Claims ---------------------------------------------------------------------- */

static void expect_no_blame(enum fault fault, unsigned at, enum verify_result result)
{
    ck_assert_msg(result != VERIFY_BROKEN, "fault %d at %u: broken: %s", fault, at, failure.text);
    if (result == VERIFY_CANNOT) {
        const char *reason = fault == FAULT_READ ? "the disk cannot be read" : "out of memory";
        ck_assert_msg(strstr(failure.text, reason) != NULL &&
                strstr(failure.text, "restore`") == NULL, "fault %d at %u: %s", fault, at,
            failure.text);
    }
}

/* Verifies with every fault of a kind. */
static void sweep(enum fault fault)
{
    unsigned at = 1;
    unsigned refused = 0;
    for (bool has_come = true; has_come && at < FAULTS_MAX; at++) {
        *left_of(fault) = at;
        enum verify_result result = verify();
        has_come = *left_of(fault) == 0;
        *left_of(fault) = 0;
        expect_no_blame(fault, at, result);
        ck_assert(has_come || result == VERIFY_WHOLE);
        refused += result == VERIFY_CANNOT;
    }
    ck_assert_uint_lt(at, FAULTS_MAX);
    ck_assert_uint_gt(refused, fault == FAULT_READ ? 5 : 20);
}

START_TEST(a_whole_store_is_never_called_broken)
{
    make_store(true);
    sweep((enum fault)_i);
}
END_TEST

START_TEST(a_whole_store_without_a_floor_is_never_called_broken)
{
    make_store(false);
    sweep((enum fault)_i);
}
END_TEST

START_TEST(a_restore_that_lacks_memory_does_not_blame_the_backup)
{
    struct verify_report report;
    bool has_key = false;
    unsigned at = 1;
    make_store(true);
    for (bool has_come = true; has_come; at += 30) {
        support_sqlite_left = at;
        enum verify_result result = restore_store(support_path("store.db"),
            support_path("restored"), NULL, NULL, &report, &has_key, &failure);
        has_come = support_sqlite_left == 0;
        support_sqlite_left = 0;
        ck_assert_msg(result == (has_come ? VERIFY_CANNOT : VERIFY_WHOLE), "fault at %u: %d: %s",
            at, result, failure.text);
        ck_assert(!has_come || strstr(failure.text, "out of memory") != NULL);
        unlink(support_path("restored/lock"));
        unlink(support_path("restored/store.db"));
        ck_assert_int_eq(rmdir(support_path("restored")), 0);
    }
    ck_assert_uint_gt(at, 500);
}
END_TEST

START_TEST(what_integrity_check_says_of_a_page_that_cannot_be_read_is_no_damage)
{
    struct failure why;
    ck_assert(verify_fault_line_passes(
        "Page 7: unable to get the page. error code=7", &why));
    ck_assert_ptr_nonnull(strstr(why.text, "out of memory"));
    ck_assert(verify_fault_line_passes(
        "On tree page 4 cell 0: unable to get the page. error code=266", &why));
    ck_assert_ptr_nonnull(strstr(why.text, "the disk cannot be read"));
    ck_assert(verify_fault_line_passes("Main freelist: failed to get page 9", &why));
    ck_assert(!verify_fault_line_passes("Page 7: unable to get the page. error code=11", &why));
    ck_assert(!verify_fault_line_passes("Page 7: btreeInitPage() returns error code 11", &why));
    ck_assert(!verify_fault_line_passes("Main freelist: invalid page number 900", &why));
}
END_TEST

int main(void)
{
    support_sqlite_memory();
    Suite *suite = suite_create("verify_faults");
    TCase *tests = tcase_create("verify_faults");
    tcase_add_checked_fixture(tests, built_setup, built_teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, a_whole_store_is_never_called_broken, 0, FAULTS);
    tcase_add_loop_test(tests, a_whole_store_without_a_floor_is_never_called_broken, 0, FAULTS);
    tcase_add_test(tests, a_restore_that_lacks_memory_does_not_blame_the_backup);
    tcase_add_test(
        tests, what_integrity_check_says_of_a_page_that_cannot_be_read_is_no_damage);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
