/* A snapshot on its way from a file into the store. See import.h.
 *
 *     parts ... -> whole -> sweep what it replaced ... -> done
 */
#include "gossipd/host/import.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "gossipd/core/memory.h"
#include "gossipd/host/database_snapshot.h"
#include "gossipd/limits.h"

struct import {
    struct crdt_memory memory;
    uint64_t number;
    uint64_t bytes;
    uint64_t done_bytes;
    uint64_t part;
    int fd;
    bool has_place; /* the store knows where it stands                            */
    bool is_whole;
    bool has_more; /* to sweep                                                    */
    size_t size;   /* of the part at hand                                         */
    uint8_t data[SNAPSHOT_PART_BYTES];
};

struct import *import_new(
    const struct crdt_memory *memory, uint64_t number, int fd, uint64_t bytes)
{
    struct import *import = memory_new(memory, sizeof *import);
    if (import == NULL) {
        close(fd);
        return NULL;
    }
    import->memory = *memory;
    import->number = number;
    import->fd = fd;
    import->bytes = bytes;
    import->has_place = true;
    return import;
}

void import_free(struct import *import)
{
    if (import == NULL) {
        return;
    }
    close(import->fd);
    struct crdt_memory memory = import->memory;
    memory_free(&memory, import, sizeof *import);
}

uint64_t import_number(const struct import *import)
{
    return import->number;
}

uint64_t import_bytes(const struct import *import)
{
    return import->bytes;
}

static bool read_part(struct import *import, struct failure *failure)
{
    import->size = 0;
    while (import->size < sizeof import->data) {
        ssize_t got = pread(import->fd, import->data + import->size,
            sizeof import->data - import->size, (off_t)(import->done_bytes + import->size));
        if (got < 0 && errno != EINTR) {
            return failure_say(failure, "cannot read the draft: %s", strerror(errno));
        }
        if (got == 0) {
            break;
        }
        import->size += got > 0 ? (size_t)got : 0;
    }
    uint64_t left = import->bytes - import->done_bytes;
    return import->size == (left < sizeof import->data ? left : sizeof import->data) ||
        failure_say(failure, "the draft has not the bytes it should have");
}

static bool add_part(sqlite3 *handle, void *context)
{
    struct import *import = context;
    return database_snapshot_add(
        handle, import->number, import->part, import->data, import->size, &import->has_place);
}

static bool finish(sqlite3 *handle, void *context)
{
    struct import *import = context;
    return database_snapshot_finish(handle, import->number, import->bytes);
}

static bool sweep(sqlite3 *handle, void *context)
{
    struct import *import = context;
    return database_snapshot_sweep(handle, &import->has_more);
}

/* Does the next transaction; its progress is noted only if it succeeded. */
static enum database_result work(
    struct import *import, struct database *database, struct failure *failure)
{
    enum database_result result;
    if (import->done_bytes < import->bytes) {
        if (!read_part(import, failure)) {
            return DATABASE_FAILED;
        }
        result = database_transact(database, add_part, import, false, failure);
        if (result == DATABASE_FAILED && !import->has_place) {
            failure_say(failure, "the batches it stands for could not be stored");
        }
        import->done_bytes += import->size;
        import->part++;
    } else if (!import->is_whole) {
        result = database_transact(database, finish, import, true, failure);
        import->is_whole = true;
        import->has_more = true;
    } else {
        result = database_transact(database, sweep, import, false, failure);
    }
    return result;
}

enum import_result import_step(
    struct import *import, struct database *database, struct failure *failure)
{
    bool was_whole = import->is_whole;
    switch (work(import, database, failure)) {
    case DATABASE_DONE:
        return import->is_whole && !import->has_more ? IMPORT_DONE : IMPORT_MORE;
    case DATABASE_FAILED:
        /* Sweeping can wait for the next snapshot. */
        return was_whole ? IMPORT_DONE : IMPORT_FAILED;
    case DATABASE_FSYNC_FAILED:
        break;
    }
    return IMPORT_FSYNC_FAILED;
}
