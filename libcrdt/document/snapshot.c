/* Writing snapshots. docs/wire-format.md, section "Snapshot". */
#include "libcrdt/document/snapshot.h"

#include <assert.h>

#include "libcrdt/base/buffer.h"
#include "libcrdt/base/memory.h"
#include "libcrdt/document/batch.h"
#include "libcrdt/document/dot.h"
#include "libcrdt/document/hash.h"
#include "libcrdt/document/open.h"
#include "libcrdt/document/walk.h"

enum { HASH_CHUNK_BYTES = 64 << 10 }; /* hashed at once: bounds the buffer          */

enum crdt_status crdt_preamble_write(struct crdt_buffer *buffer, uint64_t kind)
{
    enum crdt_status status = crdt_write_uint(buffer, kind);
    if (status == CRDT_OK)
        status = crdt_write_uint(buffer, CRDT_WIRE_MAJOR);
    if (status == CRDT_OK)
        status = crdt_write_uint(buffer, CRDT_WIRE_MINOR);
    if (status == CRDT_OK)
        status = crdt_write_bytes(buffer, (struct crdt_bytes){0});
    return status;
}

enum crdt_status crdt_preamble_read(struct crdt_bytes *input, uint64_t kind)
{
    uint64_t found;
    uint64_t major;
    uint64_t minor;
    struct crdt_bytes extension;
    enum crdt_status status = crdt_read_uint(input, UINT64_MAX, &found);
    if (status == CRDT_OK && found != kind)
        status = CRDT_ERR_MALFORMED;
    if (status == CRDT_OK)
        status = crdt_read_uint(input, UINT64_MAX, &major);
    if (status == CRDT_OK && major != CRDT_WIRE_MAJOR)
        status = major > CRDT_WIRE_MAJOR ? CRDT_ERR_VERSION : CRDT_ERR_MALFORMED;
    if (status == CRDT_OK)
        status = crdt_read_uint(input, UINT64_MAX, &minor);
    if (status == CRDT_OK)
        status = crdt_read_bytes(input, CRDT_BATCH_BYTES_MAX, &extension);
    /* Only a newer minor version has something to say there. */
    if (status == CRDT_OK && minor <= CRDT_WIRE_MINOR && extension.size > 0)
        status = CRDT_ERR_MALFORMED;
    return status;
}

size_t crdt_context_count(const struct crdt_document *document)
{
    size_t count = 0;
    for (size_t i = 0; i < document->feeds.count; i++)
        count += document->feeds.items[i].seq > 0;
    return count;
}

/* ---- the state ---- */

struct state_writer {
    const struct crdt_document *document;
    struct crdt_buffer *buffer;
    struct crdt_hash *hash;
    uint16_t *indexes;       /* of feeds, among those in C                          */
    struct crdt_bytes keys[CRDT_DEPTH_MAX + 1]; /* written last                    */
    size_t key_count;
};

/* Keys of a table stay where they are, but the walk's array does not. */
static void remember(struct state_writer *writer, const struct crdt_walked *walked)
{
    writer->key_count = walked->key_count;
    for (size_t i = 0; i < walked->key_count; i++)
        writer->keys[i] = walked->keys[i];
}

static enum crdt_status write_entry(const struct state_writer *writer, enum crdt_type type,
    const struct crdt_leaf_entry *entry)
{
    struct crdt_buffer *buffer = writer->buffer;
    uint64_t seq = crdt_dot_seq(entry->dot);
    enum crdt_status status =
        crdt_write_uint(buffer, writer->indexes[crdt_dot_feed(entry->dot)]);
    if (status == CRDT_OK)
        status = crdt_write_uint(buffer, seq);
    if (status == CRDT_OK && type == CRDT_REGISTER) {
        status = crdt_write_uint(buffer, entry->stamp);
        if (status == CRDT_OK)
            status = crdt_write_bytes(buffer, crdt_key_bytes(entry->value));
    } else if (status == CRDT_OK && crdt_type_is_counter(type)) {
        status = crdt_write_uint(buffer, entry->stamp - seq);
        if (status == CRDT_OK)
            status = crdt_write_int(buffer, entry->amount);
    }
    return status;
}

static enum crdt_status write_value(void *context, const struct crdt_walked *walked)
{
    struct state_writer *writer = context;
    struct crdt_buffer *buffer = writer->buffer;
    enum crdt_status status = crdt_write_uint(buffer, (uint64_t)walked->type);
    if (status == CRDT_OK)
        status = crdt_path_write(
            buffer, walked->keys, walked->key_count, writer->keys, writer->key_count);
    if (status == CRDT_OK)
        status = crdt_write_uint(buffer, walked->count);
    for (size_t i = 0; i < walked->count && status == CRDT_OK; i++)
        status = write_entry(writer, walked->type, &walked->entries[i]);
    remember(writer, walked);
    if (status == CRDT_OK && writer->hash != NULL && buffer->size >= HASH_CHUNK_BYTES) {
        crdt_hash_add(writer->hash, buffer->data, buffer->size);
        crdt_buffer_clear(buffer);
    }
    return status;
}

static size_t indexes_bytes(const struct crdt_document *document)
{
    return (document->feeds.count + 1) * sizeof(uint16_t);
}

/* The place of every feed among those in C; NULL when memory is out. */
static uint16_t *indexes_new(const struct crdt_document *document)
{
    uint16_t *indexes = crdt_memory_new(crdt_memory_of(document), indexes_bytes(document));
    uint16_t index = 0;
    for (size_t rank = 0; indexes != NULL && rank < document->feeds.count; rank++) {
        size_t feed = crdt_feeds_ranked(document, rank);
        indexes[feed] = index;
        if (document->feeds.items[feed].seq > 0)
            index++;
    }
    return indexes;
}

enum crdt_status crdt_state_write(const struct crdt_document *document,
    struct crdt_buffer *buffer, struct crdt_hash *hash)
{
    assert(document->open.record_count == 0);
    struct state_writer writer = {.document = document, .buffer = buffer, .hash = hash};
    writer.indexes = indexes_new(document);
    if (writer.indexes == NULL)
        return CRDT_ERR_NOMEM;
    enum crdt_status status = crdt_walk(document, crdt_root(), true, write_value, &writer);
    if (status == CRDT_OK && hash != NULL) {
        crdt_hash_add(hash, buffer->data, buffer->size);
        crdt_buffer_clear(buffer);
    }
    crdt_memory_free(crdt_memory_of(document), writer.indexes, indexes_bytes(document));
    return status;
}

/* ---- the snapshot ---- */

static enum crdt_status write_tip(
    const struct crdt_feed_state *feed, struct crdt_buffer *buffer)
{
    enum crdt_status status = crdt_dot_write(buffer, &feed->origin, feed->seq);
    if (status == CRDT_OK)
        status = crdt_write_bytes(buffer, (struct crdt_bytes){feed->head, CRDT_HASH_BYTES});
    return status;
}

static enum crdt_status write_tip_deps(
    const uint16_t *indexes, const struct crdt_deps *deps, struct crdt_buffer *buffer)
{
    size_t count = deps == NULL ? 0 : deps->count;
    enum crdt_status status = crdt_write_uint(buffer, count);
    for (size_t i = 0; i < count && status == CRDT_OK; i++) {
        size_t feed = crdt_dot_feed(deps->dots[i]);
        status = crdt_write_uint(buffer, indexes[feed]);
        if (status == CRDT_OK)
            status = crdt_write_uint(buffer, crdt_dot_seq(deps->dots[i]));
    }
    return status;
}

static enum crdt_status write_tips(
    const struct crdt_document *document, struct crdt_buffer *buffer)
{
    size_t feed_count = document->feeds.count;
    uint16_t *indexes = indexes_new(document);
    if (indexes == NULL)
        return CRDT_ERR_NOMEM;
    enum crdt_status status = crdt_write_uint(buffer, crdt_context_count(document));
    for (size_t rank = 0; rank < feed_count && status == CRDT_OK; rank++) {
        const struct crdt_feed_state *feed =
            &document->feeds.items[crdt_feeds_ranked(document, rank)];
        if (feed->seq > 0)
            status = write_tip(feed, buffer);
    }
    for (size_t rank = 0; rank < feed_count && status == CRDT_OK; rank++) {
        const struct crdt_feed_state *feed =
            &document->feeds.items[crdt_feeds_ranked(document, rank)];
        if (feed->seq > 0)
            status = write_tip_deps(indexes, feed->deps, buffer);
    }
    crdt_memory_free(crdt_memory_of(document), indexes, indexes_bytes(document));
    return status;
}

/* The end of the values, and the hash of all that stands before it. */
static enum crdt_status write_seal(struct crdt_buffer *buffer, size_t before)
{
    uint8_t hash[CRDT_HASH_BYTES];
    enum crdt_status status = crdt_write_uint(buffer, CRDT_ANY);
    if (status != CRDT_OK)
        return status;
    crdt_hash_bytes(
        (struct crdt_bytes){buffer->data + before, buffer->size - before}, hash);
    return crdt_write_bytes(buffer, (struct crdt_bytes){hash, sizeof hash});
}

enum crdt_status crdt_snapshot(struct crdt_document *document, struct crdt_buffer *ret_snapshot)
{
    if (document->transaction.is_open)
        return CRDT_ERR_BUSY;
    struct crdt_bytes sealed;
    enum crdt_status status = crdt_open_seal(document, &sealed);
    size_t before = ret_snapshot->size;
    if (status == CRDT_OK)
        status = crdt_preamble_write(ret_snapshot, CRDT_ITEM_SNAPSHOT);
    if (status == CRDT_OK)
        status = write_tips(document, ret_snapshot);
    if (status == CRDT_OK)
        status = crdt_state_write(document, ret_snapshot, NULL);
    if (status == CRDT_OK)
        status = write_seal(ret_snapshot, before);
    if (status != CRDT_OK)
        crdt_buffer_truncate(ret_snapshot, before);
    return status;
}
