/* A snapshot on its way from a file into the store. See import.h.
 *
 *     parts ... -> whole
 */
#include "gossipd/host/store/import.h"

#include <errno.h>
#include <sodium/crypto_generichash.h>
#include <string.h>
#include <unistd.h>

#include "gossipd/core/memory.h"
#include "gossipd/host/store/database_floor.h"
#include "gossipd/host/store/database_snapshot.h"
#include "gossipd/limits.h"

/* A snapshot ends with the hash of all that stands before, as a byte string:
 * docs/wire-format.md, section "Snapshot". */
static const uint8_t seal_head[] = {0xc4, CRDT_HASH_BYTES};
#define SEAL_BYTES (sizeof seal_head + CRDT_HASH_BYTES)

struct import {
    struct crdt_memory memory;
    struct import_order order;
    struct crdt_buffer tips;    /* what the order points to                        */
    struct crdt_buffer raised;
    uint64_t done_bytes;
    uint64_t part;
    int fd;
    bool has_place; /* the store knows where it stands                            */
    /* libsodium wants its state aligned as no heap does: only bytes lie here. */
    uint8_t hash_state[sizeof(crypto_generichash_state)];
    uint8_t seal[SEAL_BYTES]; /* as it was read                                    */
    size_t size;    /* of the part at hand                                        */
    uint8_t data[SNAPSHOT_PART_BYTES];
};

uint64_t import_parts(uint64_t bytes)
{
    return (bytes + SNAPSHOT_PART_BYTES - 1) / SNAPSHOT_PART_BYTES;
}

/* Takes the tips and the floors over. */
static bool copy(struct import *import)
{
    struct import_order *order = &import->order;
    if (crdt_buffer_append(&import->tips, order->snapshot.tips.data, order->snapshot.tips.size) !=
            CRDT_OK ||
        crdt_buffer_append(&import->raised, order->raised,
            order->raised_count * sizeof *order->raised) != CRDT_OK) {
        return false;
    }
    order->snapshot.tips = crdt_buffer_bytes(&import->tips);
    order->raised = NULL;
    return true;
}

static void hash_begin(struct import *import)
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, CRDT_HASH_BYTES);
    memcpy(import->hash_state, &state, sizeof state);
}

/* Takes in the part at hand: the seal may lie across two. */
static void hash_part(struct import *import)
{
    crypto_generichash_state state;
    uint64_t bytes = import->order.snapshot.bytes;
    uint64_t sealed = bytes < SEAL_BYTES ? bytes : bytes - SEAL_BYTES;
    uint64_t left = import->done_bytes < sealed ? sealed - import->done_bytes : 0;
    size_t size = left < import->size ? (size_t)left : import->size;
    memcpy(&state, import->hash_state, sizeof state);
    crypto_generichash_update(&state, import->data, size);
    memcpy(import->hash_state, &state, sizeof state);
    if (size < import->size) {
        memcpy(import->seal + (import->done_bytes + size - sealed), import->data + size,
            import->size - size);
    }
}

/* Whether all that was read is the snapshot that was built: a disk may give back
 * other bytes than were written, and batches are dropped for it. */
static bool is_sealed(const struct import *import)
{
    crypto_generichash_state state;
    uint8_t hash[CRDT_HASH_BYTES];
    memcpy(&state, import->hash_state, sizeof state);
    crypto_generichash_final(&state, hash, sizeof hash);
    const uint8_t *wanted = import->order.snapshot.hash;
    return memcmp(hash, wanted, sizeof hash) == 0 &&
        memcmp(import->seal, seal_head, sizeof seal_head) == 0 &&
        memcmp(import->seal + sizeof seal_head, wanted, sizeof hash) == 0;
}

struct import *import_new(
    const struct crdt_memory *memory, const struct import_order *order, int fd)
{
    struct import *import = memory_new(memory, sizeof *import);
    if (import == NULL) {
        close(fd);
        return NULL;
    }
    import->memory = *memory;
    import->order = *order;
    import->order.snapshot.parts = import_parts(order->snapshot.bytes);
    import->fd = fd;
    import->has_place = true;
    hash_begin(import);
    crdt_buffer_init(&import->tips, memory);
    crdt_buffer_init(&import->raised, memory);
    if (!copy(import)) {
        import_free(import);
        return NULL;
    }
    return import;
}

void import_free(struct import *import)
{
    if (import == NULL) {
        return;
    }
    close(import->fd);
    crdt_buffer_close(&import->tips);
    crdt_buffer_close(&import->raised);
    struct crdt_memory memory = import->memory;
    memory_free(&memory, import, sizeof *import);
}

uint64_t import_number(const struct import *import)
{
    return import->order.number;
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
    uint64_t left = import->order.snapshot.bytes - import->done_bytes;
    return import->size == (left < sizeof import->data ? left : sizeof import->data) ||
        failure_say(failure, "the draft has not the bytes it should have");
}

static bool add_part(sqlite3 *handle, void *context)
{
    struct import *import = context;
    return database_snapshot_add(handle, import->order.number, import->part, import->data,
        import->size, &import->has_place);
}

/* The one step that makes it whole, and for a join all that goes with it. What is
 * staged stays: the core says when it is not needed any more, for the join may have
 * to be made again. */
static bool finish(sqlite3 *handle, void *context)
{
    struct import *import = context;
    const struct import_order *order = &import->order;
    bool is_done = database_snapshot_finish(handle, order->number, &order->snapshot);
    for (size_t i = 0; is_done && i < order->raised_count; i++) {
        struct crdt_dot dot;
        memcpy(&dot, import->raised.data + i * sizeof dot, sizeof dot);
        is_done = database_floor_raise(handle, &dot);
    }
    return is_done;
}

static enum import_result result_of(enum database_result result, enum import_result done)
{
    switch (result) {
    case DATABASE_DONE: return done;
    case DATABASE_FAILED: return IMPORT_FAILED;
    case DATABASE_FSYNC_FAILED: break;
    }
    return IMPORT_FSYNC_FAILED;
}

enum import_result import_step(
    struct import *import, struct database *database, struct failure *failure)
{
    if (import->done_bytes == import->order.snapshot.bytes) {
        if (!is_sealed(import)) {
            failure_say(failure, "its draft beside the store reads back other bytes than were "
                "written: check the disk; the older snapshot stays, and this one is made again");
            return IMPORT_FAILED;
        }
        return result_of(
            database_transact(database, finish, import, true, failure), IMPORT_DONE);
    }
    if (!read_part(import, failure)) {
        return IMPORT_FAILED;
    }
    enum database_result result = database_transact(database, add_part, import, false, failure);
    if (result == DATABASE_FAILED && !import->has_place) {
        failure_say(failure, "the batches it stands for could not be stored");
    }
    hash_part(import);
    import->done_bytes += import->size;
    import->part++;
    return result_of(result, IMPORT_MORE);
}
