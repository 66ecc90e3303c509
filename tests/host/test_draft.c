/* Files without a name: what they touch beside themselves, and what they say when the
 * disk fails. */
#include "gossipd/host/store/draft.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/host/support.h"
#include "tests/support/runner.h"

static bool is_old;          /* the file system can make no file without a name     */
static bool is_fsync_broken;

/* Stands in front of the C library's, as for every caller in this program. */
int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = va_arg(arguments, mode_t);
    va_end(arguments);
    /* No other call of draft.c asks for a directory that can be written to. */
    if (is_old && (flags & O_DIRECTORY) != 0 && (flags & O_ACCMODE) == O_RDWR) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return openat(AT_FDCWD, path, flags, mode);
}

int fsync(int fd)
{
    if (is_fsync_broken) {
        errno = EIO;
        return -1;
    }
    return fdatasync(fd);
}

static void setup(void)
{
    support_directory();
    is_fsync_broken = false;
}

static size_t entries(void)
{
    DIR *stream = opendir(support_path("."));
    size_t count = 0;
    ck_assert_ptr_nonnull(stream);
    while (readdir(stream) != NULL) {
        count++;
    }
    closedir(stream);
    return count;
}

START_TEST(a_draft_has_no_name_and_takes_nobody_elses)
{
    is_old = _i == 1;
    support_write("store.db.snapshot", "a backup");
    size_t before = entries();
    struct stat facts;
    int fd = draft_open(support_path("store.db"));
    ck_assert_int_ge(fd, 0);
    ck_assert_uint_eq(entries(), before);
    ck_assert_int_eq(write(fd, "draft", 5), 5);
    close(fd);
    ck_assert_uint_eq(entries(), before);
    ck_assert_int_eq(stat(support_path("store.db.snapshot"), &facts), 0);
    ck_assert_int_eq(facts.st_size, strlen("a backup"));
}
END_TEST

START_TEST(a_draft_lies_on_the_file_system_of_its_store)
{
    is_old = _i == 1;
    struct stat facts;
    struct stat of_store;
    int fd = draft_open(support_write("store.db", ""));
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &facts), 0);
    ck_assert_int_eq(stat(support_path("store.db"), &of_store), 0);
    ck_assert(facts.st_dev == of_store.st_dev);
    ck_assert_uint_eq(facts.st_nlink, 0);
    close(fd);
    ck_assert_int_lt(draft_open(support_path("missing/store.db")), 0);
}
END_TEST

START_TEST(a_draft_that_cannot_be_made_durable_says_so)
{
    is_old = false;
    struct draft draft = {.fd = draft_open(support_path("store.db"))};
    struct stat facts;
    ck_assert_int_eq(write(draft.fd, "draft", 5), 5);
    ck_assert(draft_finish(&draft, 3));
    ck_assert_int_eq(fstat(draft.fd, &facts), 0);
    ck_assert_int_eq(facts.st_size, 3);
    is_fsync_broken = true;
    ck_assert(!draft_finish(&draft, 3));
    ck_assert_int_eq(errno, EIO);
    close(draft.fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("draft");
    TCase *tests = tcase_create("draft");
    tcase_add_checked_fixture(tests, setup, support_remove);
    tcase_add_loop_test(tests, a_draft_has_no_name_and_takes_nobody_elses, 0, 2);
    tcase_add_loop_test(tests, a_draft_lies_on_the_file_system_of_its_store, 0, 2);
    tcase_add_test(tests, a_draft_that_cannot_be_made_durable_says_so);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
