#include "gossipd/host/identity.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gossipd/host/directory.h"
#include "tests/host/support.h"
#include "tests/support/runner.h"

static const char *dir;
static struct failure failure;

/* In the place of the C library's: remembers what was synced, and fails on demand. */
static struct stat synced;
static bool is_fsync_broken;

int fsync(int fd)
{
    if (is_fsync_broken) {
        errno = EIO;
        return -1;
    }
    return fstat(fd, &synced);
}

static void setup(void)
{
    ck_assert_int_ge(sodium_init(), 0);
    dir = support_directory();
}

START_TEST(a_key_is_made_once_private_and_read_back)
{
    struct identity made;
    struct identity read;
    struct stat facts;
    ck_assert(!identity_exists(dir));
    ck_assert(identity_create(dir, &made, &failure));
    ck_assert(identity_exists(dir));
    ck_assert_int_eq(stat(support_path(IDENTITY_FILE), &facts), 0);
    ck_assert_uint_eq(facts.st_mode & 0777, 0600);
    ck_assert_int_ne(access(support_path(IDENTITY_FILE ".new"), F_OK), 0);
    ck_assert(identity_read(dir, &read, &failure));
    ck_assert_mem_eq(made.key, read.key, sizeof made.key);
    ck_assert_mem_eq(made.secret, read.secret, sizeof made.secret);
}
END_TEST

START_TEST(a_key_is_never_overwritten)
{
    struct identity first;
    struct identity second;
    ck_assert(identity_create(dir, &first, &failure));
    ck_assert(!identity_create(dir, &second, &failure));
    ck_assert_ptr_nonnull(strstr(failure.text, "never overwritten"));
    ck_assert(identity_read(dir, &second, &failure));
    ck_assert_mem_eq(first.key, second.key, sizeof first.key);
}
END_TEST

START_TEST(a_key_that_others_may_read_is_refused)
{
    struct identity identity;
    ck_assert(identity_create(dir, &identity, &failure));
    ck_assert_int_eq(chmod(support_path(IDENTITY_FILE), 0640), 0);
    ck_assert(!identity_read(dir, &identity, &failure));
    ck_assert_ptr_nonnull(strstr(failure.text, "chmod 600"));
}
END_TEST

START_TEST(a_damaged_key_is_refused)
{
    static const char *const texts[] = {"", "abc\n",
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeef\n",
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeegg\n",
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff00\n"};
    struct identity identity;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        ck_assert_int_eq(chmod(support_write(IDENTITY_FILE, texts[i]), 0600), 0);
        ck_assert_msg(!identity_read(dir, &identity, &failure), "%s", texts[i]);
        ck_assert_ptr_nonnull(strstr(failure.text, "damaged"));
    }
}
END_TEST

START_TEST(a_signature_holds_for_its_message_and_key_only)
{
    struct identity identity;
    uint8_t signature[CORE_SIGNATURE_BYTES];
    uint8_t message[] = "message";
    ck_assert(identity_create(dir, &identity, &failure));
    identity_sign(&identity, message, sizeof message, signature);
    ck_assert(identity_verify(identity.key, message, sizeof message, signature));
    message[0] ^= 1;
    ck_assert(!identity_verify(identity.key, message, sizeof message, signature));
    message[0] ^= 1;
    identity.key[0] ^= 1;
    ck_assert(!identity_verify(identity.key, message, sizeof message, signature));
}
END_TEST

START_TEST(a_key_is_64_hex_digits_as_text)
{
    uint8_t key[CRDT_KEY_BYTES];
    uint8_t again[CRDT_KEY_BYTES];
    char text[IDENTITY_HEX_BYTES];
    randombytes_buf(key, sizeof key);
    identity_key_text(key, text);
    ck_assert_uint_eq(strlen(text), 64);
    ck_assert(identity_key_parse(text, again));
    ck_assert_mem_eq(key, again, sizeof key);
    text[63] = 'x';
    ck_assert(!identity_key_parse(text, again));
    text[63] = '\0';
    ck_assert(!identity_key_parse(text, again));
}
END_TEST

START_TEST(a_directory_has_one_owner_at_a_time)
{
    int first = -1;
    int second = -1;
    char owner[32];
    ck_assert(directory_lock(dir, &first, &failure));
    ck_assert(!directory_lock(dir, &second, &failure));
    snprintf(owner, sizeof owner, "(pid %ld)", (long)getpid());
    ck_assert_ptr_nonnull(strstr(failure.text, owner));
    ck_assert_ptr_nonnull(strstr(failure.text, dir));
    close(first);
    ck_assert(directory_lock(dir, &second, &failure));
    close(second);
}
END_TEST

START_TEST(a_copy_has_another_residence)
{
    char first[RESIDENCE_BYTES];
    char again[RESIDENCE_BYTES];
    char copy[RESIDENCE_BYTES];
    ck_assert(residence_text(support_write("a", "x"), first, &failure));
    ck_assert(residence_text(support_path("a"), again, &failure));
    ck_assert_str_eq(first, again);
    ck_assert(residence_text(support_write("b", "x"), copy, &failure));
    ck_assert_str_ne(first, copy);
    ck_assert(!residence_text(support_path("none"), copy, &failure));
}
END_TEST

START_TEST(a_directory_is_made_but_not_its_parents)
{
    ck_assert(directory_make(support_path("new"), &failure));
    ck_assert(directory_make(support_path("new"), &failure));
    ck_assert(!directory_make(support_path("other/new"), &failure));
    ck_assert_int_eq(rmdir(support_path("new")), 0);
}
END_TEST

START_TEST(a_directory_is_made_durable_in_its_parent)
{
    struct stat parent;
    char path[512];
    ck_assert_int_eq(stat(dir, &parent), 0);
    snprintf(path, sizeof path, "%s//", support_path("new"));
    const char *const names[] = {support_path("new"), path};
    for (size_t i = 0; i < 2; i++) {
        memset(&synced, 0, sizeof synced);
        ck_assert(directory_make(names[i], &failure));
        ck_assert(synced.st_ino == parent.st_ino);
        ck_assert_int_eq(rmdir(names[i]), 0);
    }
}
END_TEST

START_TEST(a_directory_that_a_power_loss_may_take_away_is_not_left)
{
    is_fsync_broken = true;
    ck_assert(!directory_make(support_path("new"), &failure));
    ck_assert_ptr_nonnull(strstr(failure.text, "fsync of its parent failed"));
    is_fsync_broken = false;
    ck_assert_int_ne(access(support_path("new"), F_OK), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("identity");
    TCase *tests = tcase_create("identity");
    tcase_add_checked_fixture(tests, setup, support_remove);
    tcase_add_test(tests, a_key_is_made_once_private_and_read_back);
    tcase_add_test(tests, a_key_is_never_overwritten);
    tcase_add_test(tests, a_key_that_others_may_read_is_refused);
    tcase_add_test(tests, a_damaged_key_is_refused);
    tcase_add_test(tests, a_signature_holds_for_its_message_and_key_only);
    tcase_add_test(tests, a_key_is_64_hex_digits_as_text);
    tcase_add_test(tests, a_directory_has_one_owner_at_a_time);
    tcase_add_test(tests, a_copy_has_another_residence);
    tcase_add_test(tests, a_directory_is_made_but_not_its_parents);
    tcase_add_test(tests, a_directory_is_made_durable_in_its_parent);
    tcase_add_test(tests, a_directory_that_a_power_loss_may_take_away_is_not_left);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
