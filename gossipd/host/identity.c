/* Who this node is. See identity.h. */
#include "gossipd/host/identity.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEED_TEXT_BYTES (2 * crypto_sign_SEEDBYTES + 1) /* hex digits and a newline */

static_assert(crypto_sign_PUBLICKEYBYTES == CRDT_KEY_BYTES, "an Ed25519 key fits an origin");
static_assert(crypto_sign_SECRETKEYBYTES == IDENTITY_SECRET_BYTES, "libsodium's secret fits");
static_assert(crypto_sign_BYTES == CORE_SIGNATURE_BYTES, "an Ed25519 signature fits the seam");

static bool path_make(
    char ret_path[static PATH_MAX], const char *dir, const char *file, struct failure *failure)
{
    int size = snprintf(ret_path, PATH_MAX, "%s/%s", dir, file);
    if (size < 0 || size >= PATH_MAX) {
        return failure_say(failure, "the path %s/%s is too long: choose a shorter `dir`", dir,
            file);
    }
    return true;
}

static void identity_from_seed(
    struct identity *identity, const uint8_t seed[static crypto_sign_SEEDBYTES])
{
    int result = crypto_sign_seed_keypair(identity->key, identity->secret, seed);
    assert(result == 0);
}

/* `path` ends in XXXXXX and becomes a name that nobody else uses: two who make a key
 * at a time must not write to one file. */
static bool write_durably(char *path, const char *text, size_t size)
{
    int fd = mkstemp(path);
    if (fd < 0) {
        return false;
    }
    bool is_written = fchmod(fd, 0600) == 0 && write(fd, text, size) == (ssize_t)size &&
        fsync(fd) == 0;
    int error = errno;
    close(fd);
    errno = error;
    return is_written;
}

static void directory_sync(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

bool identity_create(const char *dir, struct identity *ret_identity, struct failure *failure)
{
    char path[PATH_MAX];
    char draft[PATH_MAX];
    char text[SEED_TEXT_BYTES + 1];
    uint8_t seed[crypto_sign_SEEDBYTES];
    if (!path_make(path, dir, IDENTITY_FILE, failure) ||
        !path_make(draft, dir, IDENTITY_FILE ".XXXXXX", failure)) {
        return false;
    }
    randombytes_buf(seed, sizeof seed);
    sodium_bin2hex(text, sizeof text, seed, sizeof seed);
    text[SEED_TEXT_BYTES - 1] = '\n';
    bool is_written = write_durably(draft, text, SEED_TEXT_BYTES);
    /* link() refuses to replace an existing key, which rename() would not. */
    bool is_linked = is_written && link(draft, path) == 0;
    int error = errno;
    unlink(draft);
    sodium_memzero(text, sizeof text);
    if (is_linked) {
        directory_sync(dir);
        identity_from_seed(ret_identity, seed);
    }
    sodium_memzero(seed, sizeof seed);
    if (!is_linked && error == EEXIST) {
        return failure_say(failure, "%s exists already: a key is never overwritten; to make "
            "another identity, choose another directory", path);
    }
    return is_linked || failure_say(failure, "cannot write %s: %s", path, strerror(error));
}

static bool file_check(int fd, const char *path, struct failure *failure)
{
    struct stat facts;
    if (fstat(fd, &facts) != 0) {
        return failure_say(failure, "cannot look at %s: %s", path, strerror(errno));
    }
    if ((facts.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return failure_say(failure, "%s holds the secret key, but others may read it: "
            "run `chmod 600 %s`", path, path);
    }
    return true;
}

bool identity_read(const char *dir, struct identity *ret_identity, struct failure *failure)
{
    char path[PATH_MAX];
    if (!path_make(path, dir, IDENTITY_FILE, failure)) {
        return false;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return failure_say(failure, "cannot open %s: %s; `gossipctl keygen --dir %s` makes a "
            "new key", path, strerror(errno), dir);
    }
    char text[SEED_TEXT_BYTES + 1];
    ssize_t size = -1;
    bool is_private = file_check(fd, path, failure);
    if (is_private) {
        size = read(fd, text, sizeof text);
    }
    close(fd);
    if (!is_private) {
        return false;
    }
    uint8_t seed[crypto_sign_SEEDBYTES];
    size_t seed_bytes = 0;
    bool is_seed = size == SEED_TEXT_BYTES && text[size - 1] == '\n' &&
        sodium_hex2bin(seed, sizeof seed, text, (size_t)size - 1, NULL, &seed_bytes, NULL) == 0 &&
        seed_bytes == sizeof seed;
    if (is_seed) {
        identity_from_seed(ret_identity, seed);
    }
    sodium_memzero(text, sizeof text);
    sodium_memzero(seed, sizeof seed);
    return is_seed || failure_say(failure, "%s is damaged: expected one line of 64 hexadecimal "
        "digits; put back a copy; for a new member move the file away and run `gossipctl "
        "keygen`", path);
}

bool identity_exists(const char *dir)
{
    char path[PATH_MAX];
    struct failure ignored;
    return path_make(path, dir, IDENTITY_FILE, &ignored) && access(path, F_OK) == 0;
}

void identity_close(struct identity *identity)
{
    sodium_memzero(identity->secret, sizeof identity->secret);
}

void identity_sign(void *context, const uint8_t *message, size_t message_bytes,
    uint8_t ret_signature[static CORE_SIGNATURE_BYTES])
{
    const struct identity *identity = context;
    int result = crypto_sign_detached(
        ret_signature, NULL, message, message_bytes, identity->secret);
    assert(result == 0);
}

bool identity_verify(const uint8_t key[static CRDT_KEY_BYTES], const uint8_t *message,
    size_t message_bytes, const uint8_t signature[static CORE_SIGNATURE_BYTES])
{
    return crypto_sign_verify_detached(signature, message, message_bytes, key) == 0;
}

void identity_key_text(
    const uint8_t key[static CRDT_KEY_BYTES], char ret_text[static IDENTITY_HEX_BYTES])
{
    sodium_bin2hex(ret_text, IDENTITY_HEX_BYTES, key, CRDT_KEY_BYTES);
}

bool identity_key_parse(const char *text, uint8_t ret_key[static CRDT_KEY_BYTES])
{
    uint8_t key[CRDT_KEY_BYTES];
    size_t key_bytes = 0;
    if (strlen(text) != 2 * sizeof key ||
        sodium_hex2bin(key, sizeof key, text, strlen(text), NULL, &key_bytes, NULL) != 0 ||
        key_bytes != sizeof key) {
        return false;
    }
    memcpy(ret_key, key, sizeof key);
    return true;
}
