/* Snapshots on a disk that loses what it was given: as they are brought in, and later.
 * A store with all its batches ends with a whole snapshot each time. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "gossipd/host/store/database_snapshot.h"
#include "tests/host/built.h"
#include "tests/host/support.h"
#include "tests/support/runner.h"

static int fsync_broken_fd = -1;

/* Stands in front of the C library's, as for every caller in this program. */
int fsync(int fd)
{
    if (fd == fsync_broken_fd) {
        errno = EIO;
        return -1;
    }
    return fdatasync(fd);
}

START_TEST(a_draft_that_the_disk_did_not_take_is_no_snapshot)
{
    struct assembly assembly;
    put_some(20);
    place(database, 1);
    struct assembly_order order = order_of("store.db", 1, false);
    fsync_broken_fd = order.fd;
    ck_assert(!assembly_build(&order, &assembly, &failure));
    fsync_broken_fd = -1;
    ck_assert_ptr_nonnull(strstr(failure.text, "cannot write its draft"));
    close(order.fd);
    make_snapshot(database, "store.db", 2);
    expect_newest(database, feeds_snapshot(&here));
}
END_TEST

START_TEST(a_draft_that_comes_back_as_zeros_is_no_snapshot)
{
    static const uint8_t zeros[512];
    struct assembly assembly;
    put_some(200);
    make_snapshot(database, "store.db", 1);
    struct crdt_buffer wanted = feeds_snapshot(&here);
    put_some(20);
    place(database, 2);
    struct assembly_order order = order_of("store.db", 2, false);
    ck_assert_msg(assembly_build(&order, &assembly, &failure), "%s", failure.text);
    ck_assert_uint_gt(assembly.snapshot.bytes, sizeof zeros);
    ck_assert_int_eq(pwrite(order.fd, zeros, sizeof zeros, 0), sizeof zeros);
    ck_assert_int_eq(bring_in(database, &order, &assembly), IMPORT_FAILED);
    ck_assert_ptr_nonnull(strstr(failure.text, "other bytes than were written"));
    assembly_close(&assembly);
    expect_newest(database, wanted);
}
END_TEST

/* What a disk may do to the newest snapshot. */
static const char *const damages[] = {
    "UPDATE snapshot_part SET bytes = zeroblob(length(bytes))",
    "DELETE FROM snapshot_part",
    "UPDATE snapshot SET tips = zeroblob(length(tips))",
    "UPDATE snapshot SET tips = x'90'",
};

START_TEST(a_damaged_snapshot_is_replaced_while_all_batches_are_there)
{
    put_some(40);
    make_snapshot(database, "store.db", 1);
    ck_assert_int_eq(
        sqlite3_exec(database_handle(database), damages[_i], NULL, NULL, NULL), SQLITE_OK);
    put_some(5);
    make_snapshot(database, "store.db", 2);
    expect_newest(database, feeds_snapshot(&here));
    expect_tips(database, &here);
    database_close(database);
    database = NULL;
    expect_whole("store.db");
}
END_TEST

/* The tips of a store that has what this one has not. */
static struct crdt_buffer tips_of_a_peer(void)
{
    struct database *peer = open_store("peer.db");
    struct database_snapshot newest;
    struct crdt_buffer tips;
    put(peer, &b, NULL);
    make_snapshot(peer, "peer.db", 1);
    crdt_buffer_init(&tips, NULL);
    ck_assert(database_snapshot_newest(database_handle(peer), &newest) == SQL_FOUND);
    ck_assert(database_snapshot_tips(database_handle(peer), &newest, &tips, &failure));
    database_close(peer);
    return tips;
}

START_TEST(a_snapshot_with_the_tips_of_another_is_replaced)
{
    struct crdt_buffer tips = tips_of_a_peer();
    put(database, &a, &here);
    put(database, &here, &here);
    make_snapshot(database, "store.db", 1);
    sqlite3_stmt *statement =
        sql_prepare(database_handle(database), "UPDATE snapshot SET tips = ?1");
    sql_bind_bytes(statement, 1, crdt_buffer_bytes(&tips));
    ck_assert(sql_finish(statement));
    crdt_buffer_close(&tips);
    make_snapshot(database, "store.db", 2);
    expect_newest(database, feeds_snapshot(&here));
    expect_tips(database, &here);
}
END_TEST

static unsigned allocations_left; /* the last of so many fails; 0: none does         */

static void *failing_reallocate(void *context, void *block, size_t old_bytes, size_t new_bytes)
{
    (void)context;
    bool fails = new_bytes > 0 && allocations_left > 0 && --allocations_left == 0;
    return fails ? NULL : memory.reallocate(memory.context, block, old_bytes, new_bytes);
}

START_TEST(lack_of_memory_is_not_taken_for_damage)
{
    const struct crdt_memory failing = {.reallocate = failing_reallocate};
    bool has_come = true;
    unsigned at = 1;
    put_some(40);
    make_snapshot(database, "store.db", 1);
    put_some(5);
    for (; has_come; at++) {
        struct assembly assembly;
        place(database, 1 + at);
        struct assembly_order order = order_of("store.db", 1 + at, false);
        order.memory = failing;
        order.options.memory = failing;
        allocations_left = at;
        bool is_built = assembly_build(&order, &assembly, &failure);
        has_come = allocations_left == 0;
        allocations_left = 0;
        ck_assert(is_built || has_come);
        if (is_built) {
            ck_assert_msg(assembly.batches == 5, "allocation %u: built from all batches", at);
            assembly_close(&assembly);
        }
        close(order.fd);
    }
    ck_assert_uint_gt(at, 50);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lossy");
    TCase *tests = tcase_create("lossy");
    tcase_add_checked_fixture(tests, built_setup, built_teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_draft_that_the_disk_did_not_take_is_no_snapshot);
    tcase_add_test(tests, a_draft_that_comes_back_as_zeros_is_no_snapshot);
    tcase_add_loop_test(tests, a_damaged_snapshot_is_replaced_while_all_batches_are_there, 0,
        (int)(sizeof damages / sizeof *damages));
    tcase_add_test(tests, a_snapshot_with_the_tips_of_another_is_replaced);
    tcase_add_test(tests, lack_of_memory_is_not_taken_for_damage);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
