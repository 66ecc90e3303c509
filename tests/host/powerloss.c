#include "tests/host/powerloss.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/host/content.h"
#include "tests/support/claim.h"

#define FILES_MAX 8
#define NAME_BYTES 512

/* A write, or with `bytes` NULL a truncation to `offset`. */
struct change {
    size_t offset;
    size_t size;
    uint8_t *bytes;
};

struct disk_file {
    char name[NAME_BYTES];
    bool is_durable;        /* the disk knows of the file                         */
    bool is_unlinked;       /* deleted, but the disk need not know yet            */
    bool is_gone;           /* deleted, and the disk knows                        */
    struct content durable; /* at the last sync                                   */
    struct change *changes; /* since then                                         */
    size_t change_count;
    size_t change_capacity;
    bool is_left;           /* there after the end, with this content             */
    struct content left;
};

/* What SQLite sees as a file: the real one follows in memory. */
struct wrapped {
    sqlite3_file base;
    struct disk_file *file; /* NULL: a file of no interest                        */
    sqlite3_file *real;
};

struct powerloss_counts powerloss_counts;
static struct disk_file files[FILES_MAX];
static size_t file_count;
static uint64_t random_state;
static uint64_t operations_left; /* 0: not armed                                   */
static enum powerloss_end end_kind;
static void (*end_told)(void *context);
static void *end_context;
static bool has_come;
static sqlite3_vfs vfs;
static sqlite3_vfs *vfs_real;

/* A number below `bound`, from the seed. */
static uint64_t draw(uint64_t bound)
{
    random_state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = random_state;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (x ^ (x >> 31)) % bound;
}

/* ---- What the disk knows -------------------------------------------------- */

static void forget_changes(struct disk_file *file)
{
    for (size_t i = 0; i < file->change_count; i++) {
        free(file->changes[i].bytes);
    }
    file->change_count = 0;
}

static void add_change(
    struct disk_file *file, size_t offset, const void *bytes, size_t size)
{
    if (file->change_count == file->change_capacity) {
        file->change_capacity = file->change_capacity * 2 + 16;
        file->changes = realloc(file->changes, file->change_capacity * sizeof *file->changes);
        claim(file->changes != NULL);
    }
    struct change *change = &file->changes[file->change_count++];
    *change = (struct change){.offset = offset, .size = size};
    if (bytes != NULL) {
        change->bytes = malloc(size + 1);
        claim(change->bytes != NULL);
        memcpy(change->bytes, bytes, size);
    }
}

static void apply_whole(struct content *content, const struct change *change)
{
    if (change->bytes != NULL) {
        content_put(content, change->offset, change->bytes, change->size);
    } else if (change->offset < content->size) {
        content_resize(content, change->offset);
    }
}

/* Each sector of a write has a fate of its own: written, not written, or garbage
 * because the power went while it was. */
static void apply_torn(struct content *content, const struct change *change)
{
    size_t at = 0;
    while (at < change->size) {
        size_t in_sector = (change->offset + at) % POWERLOSS_SECTOR_BYTES;
        size_t size = POWERLOSS_SECTOR_BYTES - in_sector;
        size = size < change->size - at ? size : change->size - at;
        uint64_t fate = draw(8);
        if (fate < 4) {
            content_put(content, change->offset + at, change->bytes + at, size);
        } else if (fate == 4) {
            uint8_t garbage[POWERLOSS_SECTOR_BYTES];
            memset(garbage, (int)draw(256), sizeof garbage);
            content_put(content, change->offset + at, garbage, size);
        }
        at += size;
    }
}

static void shuffle(struct change *changes, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = (size_t)draw(i);
        struct change moved = changes[i - 1];
        changes[i - 1] = changes[other];
        changes[other] = moved;
    }
}

/* How the changes of one file fare at a power cut. */
enum fate { FATE_DROP, FATE_PREFIX, FATE_SUBSET, FATE_REORDER, FATE_KEEP, FATE_COUNT };

static void lose_changes(struct disk_file *file, struct content *content)
{
    enum fate fate = (enum fate)draw(FATE_COUNT);
    size_t prefix = (size_t)draw(file->change_count + 1);
    if (fate == FATE_REORDER && file->change_count > 1) {
        shuffle(file->changes, file->change_count);
        powerloss_counts.reordered++;
    }
    for (size_t i = 0; i < file->change_count; i++) {
        const struct change *change = &file->changes[i];
        bool is_kept = fate == FATE_KEEP || (fate == FATE_PREFIX && i < prefix) ||
            (fate >= FATE_SUBSET && draw(2) == 0);
        if (!is_kept) {
            powerloss_counts.dropped++;
        } else if (change->bytes != NULL && fate != FATE_KEEP && draw(4) == 0) {
            apply_torn(content, change);
            powerloss_counts.torn++;
        } else {
            apply_whole(content, change);
        }
    }
}

static void file_cut(struct disk_file *file)
{
    bool is_name_sure = file->is_durable && !file->is_unlinked;
    file->left = content_copy(&file->durable);
    lose_changes(file, &file->left);
    file->is_left = !file->is_gone && (is_name_sure || draw(2) == 0);
}

/* The moment itself: from here on nothing is recorded. */
static void come(void)
{
    has_come = true;
    operations_left = 0;
    if (end_kind == POWERLOSS_CUT) {
        powerloss_counts.cuts++;
    } else {
        powerloss_counts.kills++;
    }
    for (size_t i = 0; i < file_count; i++) {
        struct disk_file *file = &files[i];
        if (end_kind == POWERLOSS_CUT) {
            file_cut(file);
        } else {
            file->is_left = content_read(file->name, &file->left);
        }
    }
    if (end_told != NULL) {
        end_told(end_context);
    }
}

/* One operation; false when nothing is recorded any more. */
static bool count_operation(void)
{
    if (!has_come && operations_left > 0 && --operations_left == 0) {
        come();
    }
    return !has_come;
}

void powerloss_apply(void)
{
    if (!has_come) {
        come();
    }
    for (size_t i = 0; i < file_count; i++) {
        struct disk_file *file = &files[i];
        if (file->is_left) {
            content_write(file->name, &file->left);
        } else {
            unlink(file->name);
        }
        if (end_kind == POWERLOSS_CUT) {
            content_free(&file->durable);
            file->durable = file->left;
            file->left = (struct content){NULL, 0};
            file->is_durable = file->is_left;
            file->is_unlinked = false;
            forget_changes(file);
        }
        content_free(&file->left);
    }
    has_come = false;
    end_told = NULL;
}

/* ---- The VFS --------------------------------------------------------------- */

static struct wrapped *wrapped_of(sqlite3_file *file)
{
    return (struct wrapped *)(void *)file;
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return wrapped_of(file)->real;
}

static int do_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int do_read(sqlite3_file *file, void *data, int size, sqlite3_int64 offset)
{
    return real_of(file)->pMethods->xRead(real_of(file), data, size, offset);
}

static int do_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset)
{
    struct wrapped *wrapped = wrapped_of(file);
    if (wrapped->file != NULL && count_operation()) {
        add_change(wrapped->file, (size_t)offset, data, (size_t)size);
    }
    return wrapped->real->pMethods->xWrite(wrapped->real, data, size, offset);
}

static int do_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct wrapped *wrapped = wrapped_of(file);
    if (wrapped->file != NULL && count_operation()) {
        add_change(wrapped->file, (size_t)size, NULL, 0);
    }
    return wrapped->real->pMethods->xTruncate(wrapped->real, size);
}

static int do_sync(sqlite3_file *file, int flags)
{
    (void)flags;
    struct disk_file *disk = wrapped_of(file)->file;
    if (disk != NULL && count_operation()) {
        for (size_t i = 0; i < disk->change_count; i++) {
            apply_whole(&disk->durable, &disk->changes[i]);
        }
        forget_changes(disk);
        disk->is_durable = true;
        disk->is_unlinked = false;
    }
    return SQLITE_OK;
}

static int do_file_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), ret_size);
}

static int do_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int do_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int do_check_lock(sqlite3_file *file, int *ret_is_locked)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret_is_locked);
}

static int do_control(sqlite3_file *file, int operation, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int do_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int do_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int do_shm_map(
    sqlite3_file *file, int region, int size, int extend, void volatile **ret_memory)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), region, size, extend, ret_memory);
}

static int do_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void do_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int do_shm_unmap(sqlite3_file *file, int must_delete)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), must_delete);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = do_close,
    .xRead = do_read,
    .xWrite = do_write,
    .xTruncate = do_truncate,
    .xSync = do_sync,
    .xFileSize = do_file_size,
    .xLock = do_lock,
    .xUnlock = do_unlock,
    .xCheckReservedLock = do_check_lock,
    .xFileControl = do_control,
    .xSectorSize = do_sector_size,
    .xDeviceCharacteristics = do_characteristics,
    .xShmMap = do_shm_map,
    .xShmLock = do_shm_lock,
    .xShmBarrier = do_shm_barrier,
    .xShmUnmap = do_shm_unmap,
};

static struct disk_file *file_named(const char *name)
{
    for (size_t i = 0; i < file_count; i++) {
        if (strcmp(files[i].name, name) == 0) {
            return &files[i];
        }
    }
    claim(file_count < FILES_MAX);
    struct disk_file *file = &files[file_count++];
    *file = (struct disk_file){.is_durable = false};
    snprintf(file->name, sizeof file->name, "%s", name);
    /* What was there before the first look is durable. */
    file->is_durable = content_read(name, &file->durable);
    return file;
}

static int do_open(
    sqlite3_vfs *self, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    (void)self;
    struct wrapped *wrapped = wrapped_of(file);
    wrapped->real = (sqlite3_file *)(void *)(wrapped + 1);
    wrapped->file = name == NULL ? NULL : file_named(name);
    int code = vfs_real->xOpen(vfs_real, name, wrapped->real, flags, ret_flags);
    wrapped->base.pMethods = code == SQLITE_OK ? &methods : NULL;
    if (wrapped->file != NULL && !has_come) {
        wrapped->file->is_gone = false;
    }
    return code;
}

static int do_delete(sqlite3_vfs *self, const char *name, int is_synced)
{
    (void)self;
    struct disk_file *file = file_named(name);
    if (count_operation()) {
        add_change(file, 0, NULL, 0);
        file->is_unlinked = true;
        if (is_synced != 0) {
            forget_changes(file);
            content_free(&file->durable);
            file->is_durable = false;
            file->is_gone = true;
        }
    }
    return vfs_real->xDelete(vfs_real, name, 0);
}

void powerloss_begin(uint64_t seed)
{
    powerloss_free();
    random_state = seed;
    if (vfs_real == NULL) {
        vfs_real = sqlite3_vfs_find("unix-excl");
        claim(vfs_real != NULL);
        vfs = *vfs_real;
        vfs.pNext = NULL;
        vfs.zName = POWERLOSS_VFS;
        vfs.szOsFile = (int)sizeof(struct wrapped) + vfs_real->szOsFile;
        vfs.xOpen = do_open;
        vfs.xDelete = do_delete;
        claim(sqlite3_vfs_register(&vfs, 0) == SQLITE_OK);
    }
}

void powerloss_arm(
    uint64_t operations, enum powerloss_end end, void (*on_end)(void *context), void *context)
{
    claim(!has_come);
    operations_left = operations;
    end_kind = end;
    end_told = on_end;
    end_context = context;
}

bool powerloss_has_come(void)
{
    return has_come;
}

void powerloss_free(void)
{
    for (size_t i = 0; i < file_count; i++) {
        forget_changes(&files[i]);
        free(files[i].changes);
        content_free(&files[i].durable);
        content_free(&files[i].left);
    }
    file_count = 0;
    has_come = false;
    operations_left = 0;
}
