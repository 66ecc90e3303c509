/* Verifies the newest snapshot and the floor. See verify_snapshot.h. */
#include "gossipd/host/store/verify_snapshot.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gossipd/core/memory.h"
#include "gossipd/host/store/database_floor.h"
#include "gossipd/host/store/verify_fault.h"
#include "gossipd/host/identity.h"

static enum verify_result say(
    enum verify_result result, const char *text, struct failure *failure)
{
    failure_say(failure, "%s", text);
    return result;
}

/* The result for a read that failed: `text` when it was for the bytes in the file. */
static enum verify_result read_failed(sqlite3 *handle, const struct verify_base *base,
    const char *text, struct failure *failure)
{
    if (base->is_memory_out) {
        return say(VERIFY_CANNOT, VERIFY_MEMORY, failure);
    }
    return verify_fault_passes(sqlite3_extended_errcode(handle), failure)
        ? VERIFY_CANNOT
        : say(VERIFY_BROKEN, text, failure);
}

/* Takes the floor over as the core would. */
static enum crdt_status take_floors(
    struct verify_base *base, struct crdt_bytes summary, size_t count)
{
    base->floors = memory_new(&base->tips.memory, (count + 1) * sizeof *base->floors);
    if (base->floors == NULL) {
        return CRDT_ERR_NOMEM;
    }
    base->floor_capacity = count;
    return crdt_summary_read(summary, base->floors, count, &base->floor_count);
}

static enum verify_result read_floors(
    sqlite3 *handle, struct verify_base *base, struct failure *failure)
{
    struct crdt_buffer summary;
    size_t count = 0;
    enum verify_result result = VERIFY_WHOLE;
    crdt_buffer_init(&summary, &base->tips.memory);
    if (!database_floor_read(handle, &summary, &count)) {
        result = read_failed(handle, base, "its floor cannot be read", failure);
    } else if (take_floors(base, crdt_buffer_bytes(&summary), count) != CRDT_OK) {
        result = base->is_memory_out ? say(VERIFY_CANNOT, VERIFY_MEMORY, failure)
                                     : say(VERIFY_BROKEN, "its floor is malformed", failure);
    }
    crdt_buffer_close(&summary);
    return result;
}

static enum verify_result read_bytes(
    sqlite3 *handle, struct verify_base *base, struct failure *failure)
{
    struct failure what = {{0}};
    struct crdt_buffer tips;
    enum verify_result result = VERIFY_WHOLE;
    crdt_buffer_init(&tips, &base->tips.memory);
    if (!database_snapshot_read(handle, &base->snapshot, &base->bytes, &what) ||
        !database_snapshot_tips(handle, &base->snapshot, &tips, &what)) {
        result = read_failed(handle, base, what.text, failure);
    } else if (tips_table_put_row(&base->tips, crdt_buffer_bytes(&tips)) != CRDT_OK) {
        result = base->is_memory_out
            ? say(VERIFY_CANNOT, VERIFY_MEMORY, failure)
            : say(VERIFY_BROKEN, "the snapshot's tips are malformed", failure);
    }
    crdt_buffer_close(&tips);
    return result;
}

static enum verify_result read_snapshot(
    sqlite3 *handle, struct verify_base *base, struct failure *failure)
{
    switch (database_snapshot_newest(handle, &base->snapshot)) {
    case SQL_FOUND:
        base->has_snapshot = true;
        return read_bytes(handle, base, failure);
    case SQL_FAILED:
        return read_failed(handle, base, "its newest snapshot cannot be read", failure);
    case SQL_ABSENT: break;
    }
    return base->floor_count == 0
        ? VERIFY_WHOLE
        : say(VERIFY_BROKEN, "batches were dropped, and the snapshot that has them is missing",
              failure);
}

/* The heap, which remembers in the base that it had no more. */
static void *heap_reallocate(void *context, void *block, size_t old_bytes, size_t new_bytes)
{
    struct verify_base *base = context;
    (void)old_bytes;
    if (new_bytes == 0) {
        free(block);
        return NULL;
    }
    void *moved = realloc(block, new_bytes);
    base->is_memory_out = base->is_memory_out || moved == NULL;
    return moved;
}

enum verify_result verify_base_read(
    sqlite3 *handle, struct verify_base *ret_base, struct failure *failure)
{
    const struct crdt_memory heap = {.reallocate = heap_reallocate, .context = ret_base};
    *ret_base = (struct verify_base){.has_snapshot = false};
    crdt_buffer_init(&ret_base->bytes, &heap);
    tips_table_init(&ret_base->tips, &heap);
    int64_t tables = 0;
    if (!sql_number(sql_prepare(handle, "SELECT count(*) FROM sqlite_schema WHERE name IN "
                                        "('floor', 'snapshot', 'snapshot_part')"), &tables)) {
        return read_failed(handle, ret_base, "its tables cannot be read", failure);
    }
    /* A store of the version before had none that counts: all batches are there. */
    if (tables < 3) {
        return VERIFY_WHOLE;
    }
    enum verify_result result = read_floors(handle, ret_base, failure);
    return result == VERIFY_WHOLE ? read_snapshot(handle, ret_base, failure) : result;
}

void verify_base_close(struct verify_base *base)
{
    crdt_buffer_close(&base->bytes);
    if (base->tips.memory.reallocate != NULL) {
        memory_free(
            &base->tips.memory, base->floors, (base->floor_capacity + 1) * sizeof *base->floors);
        tips_table_close(&base->tips);
    }
    *base = (struct verify_base){.has_snapshot = false};
}

uint64_t verify_base_floor(const struct verify_base *base, const struct crdt_origin *origin)
{
    for (size_t i = 0; i < base->floor_count; i++) {
        if (crdt_origin_compare(&base->floors[i].origin, origin) == 0) {
            return base->floors[i].seq;
        }
    }
    return 0;
}

/* Names the feed in what is said of it. */
static enum verify_result say_feed(
    const struct crdt_origin *origin, const char *text, struct failure *failure)
{
    char key[IDENTITY_HEX_BYTES];
    identity_key_text(origin->key, key);
    failure_say(failure, "the snapshot, feed %s generation %016" PRIx64 ": %s", key,
        origin->generation, text);
    return VERIFY_BROKEN;
}

static enum verify_result check_tips(const struct verify_base *base,
    const struct crdt_document *document, const uint8_t cluster_id[static CRDT_HASH_BYTES],
    struct failure *failure)
{
    for (size_t i = 0; i < base->tips.count; i++) {
        if (!tip_is_signed(&base->tips.tips[i], cluster_id)) {
            return say_feed(&base->tips.tips[i].batch.origin,
                "the signature of its newest batch is not its origin's", failure);
        }
    }
    if (!tips_table_fits(&base->tips, document)) {
        return say(VERIFY_BROKEN, "the snapshot's feeds do not end with its signed tips", failure);
    }
    for (size_t i = 0; i < base->floor_count; i++) {
        const struct crdt_dot *floor = &base->floors[i];
        if (crdt_applied(document, &floor->origin) < floor->seq) {
            return say_feed(
                &floor->origin, "it lacks operations whose batches were dropped", failure);
        }
    }
    return VERIFY_WHOLE;
}

enum verify_result verify_base_check(const struct verify_base *base,
    const struct crdt_options *options, const uint8_t cluster_id[static CRDT_HASH_BYTES],
    struct crdt_document **ret_document, struct failure *failure)
{
    struct crdt_document *document = NULL;
    enum crdt_status status = crdt_load(options, crdt_buffer_bytes(&base->bytes), &document);
    if (status == CRDT_ERR_NOMEM) {
        return say(VERIFY_CANNOT, VERIFY_MEMORY, failure);
    }
    if (status != CRDT_OK) {
        failure_say(failure, "the snapshot cannot be loaded: %s", crdt_status_text(status));
        return VERIFY_BROKEN;
    }
    if (base->bytes.size < CRDT_HASH_BYTES ||
        memcmp(base->bytes.data + base->bytes.size - CRDT_HASH_BYTES, base->snapshot.hash,
            CRDT_HASH_BYTES) != 0) {
        crdt_close(document);
        return say(VERIFY_BROKEN, "the snapshot is not the one its row names", failure);
    }
    enum verify_result result = check_tips(base, document, cluster_id, failure);
    if (result == VERIFY_WHOLE) {
        *ret_document = document;
    } else {
        crdt_close(document);
    }
    return result;
}

enum verify_result verify_base_compare(const struct verify_base *base,
    struct crdt_document *document, struct failure *failure)
{
    struct crdt_buffer bytes;
    crdt_buffer_init(&bytes, NULL);
    enum crdt_status status = crdt_snapshot(document, &bytes);
    bool is_same = status == CRDT_OK && bytes.size == base->bytes.size &&
        memcmp(bytes.data, base->bytes.data, bytes.size) == 0;
    crdt_buffer_close(&bytes);
    if (status != CRDT_OK) {
        return say(VERIFY_CANNOT, "out of memory: the whole state must fit twice; free "
            "some, lift the limit, or verify a copy on a machine with more", failure);
    }
    return is_same ? VERIFY_WHOLE
                   : say(VERIFY_BROKEN, "the snapshot is not what its batches make", failure);
}
