#include "tests/host/support.h"

#include <dirent.h>
#include <pthread.h>
#include <sodium/crypto_generichash.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/claim.h"

static char directory[64];

const char *support_directory(void)
{
    snprintf(directory, sizeof directory, "/tmp/gossipd-test-XXXXXX");
    claim(mkdtemp(directory) != NULL);
    return directory;
}

const char *support_path(const char *file)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", directory, file);
    return path;
}

void support_remove(void)
{
    DIR *stream = opendir(directory);
    claim(stream != NULL);
    for (struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
        unlink(support_path(entry->d_name));
    }
    closedir(stream);
    claim(rmdir(directory) == 0);
}

const char *support_write(const char *file, const char *text)
{
    const char *path = support_path(file);
    FILE *stream = fopen(path, "w");
    claim(stream != NULL);
    claim(fputs(text, stream) >= 0);
    claim(fclose(stream) == 0);
    return path;
}

size_t support_seal(int fd, uint8_t ret_hash[static CRDT_HASH_BYTES])
{
    static const uint8_t head[] = {0xc4, CRDT_HASH_BYTES};
    static uint8_t bytes[65536];
    crypto_generichash_state state;
    ssize_t got = 0;
    off_t size = 0;
    crypto_generichash_init(&state, NULL, 0, CRDT_HASH_BYTES);
    while ((got = pread(fd, bytes, sizeof bytes, size)) > 0) {
        crypto_generichash_update(&state, bytes, (unsigned long long)got);
        size += got;
    }
    claim(got == 0);
    crypto_generichash_final(&state, ret_hash, CRDT_HASH_BYTES);
    claim(pwrite(fd, head, sizeof head, size) == (ssize_t)sizeof head);
    claim(pwrite(fd, ret_hash, CRDT_HASH_BYTES, size + (off_t)sizeof head) == CRDT_HASH_BYTES);
    return (size_t)size + SUPPORT_SEAL_BYTES;
}

struct core_output support_store(uint64_t number, uint8_t key, uint64_t first, uint64_t last)
{
    static char batches[8][32];
    char *batch = batches[number % 8];
    struct core_output output = {.kind = CORE_STORE, .number = number, .first_seq = first,
        .last_seq = last, .wall_ms = 1700000000000 + number};
    snprintf(batch, sizeof batches[0], "batch %02x %06llu-%06llu", key,
        (unsigned long long)first, (unsigned long long)last);
    output.bytes = crdt_text(batch);
    memset(output.origin.key, key, sizeof output.origin.key);
    /* Above INT64_MAX: the store keeps the bits. */
    output.origin.generation = UINT64_C(0xfedcba9876543210);
    memset(output.signature, (int)number, sizeof output.signature);
    return output;
}

struct core_output support_mark(uint64_t number, enum core_mark mark, uint64_t value)
{
    return (struct core_output){
        .kind = CORE_STORE_MARK, .number = number, .mark = mark, .value = value};
}

struct support_disk support_disk;

/* unix-excl has a few tables of methods, which differ in locking only: a file
 * gets a copy of its table with three methods replaced. */
#define TABLES_MAX 4
static sqlite3_io_methods tables[TABLES_MAX];
static unsigned table_count;
static int (*real_write)(sqlite3_file *, const void *, int, sqlite3_int64);
static int (*real_sync)(sqlite3_file *, int);
static int (*real_read)(sqlite3_file *, void *, int, sqlite3_int64);
static sqlite3_vfs vfs_failing;
static sqlite3_vfs *vfs_real;

static int failing_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset)
{
    return support_disk.is_full ? SQLITE_FULL : real_write(file, data, size, offset);
}

static int failing_read(sqlite3_file *file, void *data, int size, sqlite3_int64 offset)
{
    if (support_disk.reads_left > 0 && --support_disk.reads_left == 0) {
        return SQLITE_IOERR_READ;
    }
    return real_read(file, data, size, offset);
}

static int failing_sync(sqlite3_file *file, int flags)
{
    if (support_disk.is_fsync_broken) {
        return SQLITE_IOERR_FSYNC;
    }
    support_disk.fsyncs++;
    return support_disk.is_fsync_idle ? SQLITE_OK : real_sync(file, flags);
}

/* The failing copy of a table: the one made before, or a new one. What was once set
 * stays, since other threads use it already. */
static const sqlite3_io_methods *find_table(const sqlite3_io_methods *real)
{
    if (real_write == NULL) {
        real_write = real->xWrite;
        real_sync = real->xSync;
        real_read = real->xRead;
    }
    for (unsigned i = 0; i < table_count; i++) {
        if (tables[i].xLock == real->xLock && tables[i].xShmMap == real->xShmMap) {
            return &tables[i];
        }
    }
    claim(table_count < TABLES_MAX);
    sqlite3_io_methods *table = &tables[table_count++];
    *table = *real;
    table->xWrite = failing_write;
    table->xSync = failing_sync;
    table->xRead = failing_read;
    return table;
}

static const sqlite3_io_methods *failing_table(const sqlite3_io_methods *real)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    claim(pthread_mutex_lock(&mutex) == 0);
    const sqlite3_io_methods *table = find_table(real);
    claim(pthread_mutex_unlock(&mutex) == 0);
    return table;
}

static int failing_open(
    sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    (void)vfs;
    int code = vfs_real->xOpen(vfs_real, name, file, flags, ret_flags);
    if (code == SQLITE_OK && file->pMethods != NULL) {
        file->pMethods = failing_table(file->pMethods);
    }
    return code;
}

void support_vfs_register(void)
{
    support_disk = (struct support_disk){0};
    if (vfs_real == NULL) {
        vfs_real = sqlite3_vfs_find("unix-excl");
        claim(vfs_real != NULL);
        vfs_failing = *vfs_real;
        vfs_failing.pNext = NULL;
        vfs_failing.zName = SUPPORT_VFS;
        vfs_failing.xOpen = failing_open;
        claim(sqlite3_vfs_register(&vfs_failing, 0) == SQLITE_OK);
    }
}

/* ---- SQLite's memory ------------------------------------------------------------ */

unsigned support_sqlite_left;
static sqlite3_mem_methods real_memory;

bool support_is_last(unsigned *left)
{
    return *left > 0 && --*left == 0;
}

static void *failing_malloc(int size)
{
    return support_is_last(&support_sqlite_left) ? NULL : real_memory.xMalloc(size);
}

static void *failing_realloc(void *block, int size)
{
    return support_is_last(&support_sqlite_left) ? NULL : real_memory.xRealloc(block, size);
}

void support_sqlite_memory(void)
{
    sqlite3_mem_methods methods;
    /* Without lookaside each small allocation can fail, too. */
    claim(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) == SQLITE_OK);
    claim(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory) == SQLITE_OK);
    methods = real_memory;
    methods.xMalloc = failing_malloc;
    methods.xRealloc = failing_realloc;
    claim(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK);
}
