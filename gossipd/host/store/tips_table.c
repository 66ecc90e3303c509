/* The newest batch of every feed. See tips_table.h. */
#include "gossipd/host/store/tips_table.h"

#include <string.h>

#include "gossipd/core/memory.h"
#include "gossipd/host/identity.h"

void tips_table_init(struct tips_table *table, const struct crdt_memory *memory)
{
    *table = (struct tips_table){.memory = *memory};
}

void tips_table_close(struct tips_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        crdt_buffer_close(&table->headers[i]);
    }
    memory_free(&table->memory, table->tips, table->tips_capacity * sizeof *table->tips);
    memory_free(
        &table->memory, table->headers, table->headers_capacity * sizeof *table->headers);
    *table = (struct tips_table){.memory = table->memory};
}

/* Where the origin is, or would be. */
static size_t search(const struct tips_table *table, const struct crdt_origin *origin)
{
    size_t low = 0;
    size_t high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (crdt_origin_compare(&table->tips[middle].batch.origin, origin) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool is_at(const struct tips_table *table, size_t at, const struct crdt_origin *origin)
{
    return at < table->count &&
        crdt_origin_compare(&table->tips[at].batch.origin, origin) == 0;
}

const struct tip *tips_table_find(
    const struct tips_table *table, const struct crdt_origin *origin)
{
    size_t at = search(table, origin);
    return is_at(table, at, origin) ? &table->tips[at] : NULL;
}

static bool insert(struct tips_table *table, size_t at)
{
    void *tips = table->tips;
    void *headers = table->headers;
    bool has_room = memory_grow(&table->memory, &tips, &table->tips_capacity, table->count + 1,
                        sizeof *table->tips);
    table->tips = tips;
    has_room = has_room && memory_grow(&table->memory, &headers, &table->headers_capacity,
                               table->count + 1, sizeof *table->headers);
    table->headers = headers;
    if (!has_room) {
        return false;
    }
    size_t behind = table->count - at;
    memmove(&table->tips[at + 1], &table->tips[at], behind * sizeof *table->tips);
    memmove(&table->headers[at + 1], &table->headers[at], behind * sizeof *table->headers);
    memset(&table->tips[at], 0, sizeof table->tips[at]);
    crdt_buffer_init(&table->headers[at], &table->memory);
    table->count++;
    return true;
}

enum crdt_status tips_table_put(struct tips_table *table, const struct crdt_batch *batch,
    const uint8_t signature[static CORE_SIGNATURE_BYTES])
{
    size_t at = search(table, &batch->origin);
    bool is_there = is_at(table, at, &batch->origin);
    if (is_there && table->tips[at].batch.last_seq >= batch->last_seq) {
        return CRDT_OK;
    }
    struct crdt_buffer header;
    crdt_buffer_init(&header, &table->memory);
    if (crdt_buffer_append(&header, batch->header.data, batch->header.size) != CRDT_OK ||
        (!is_there && !insert(table, at))) {
        crdt_buffer_close(&header);
        return CRDT_ERR_NOMEM;
    }
    crdt_buffer_close(&table->headers[at]);
    table->headers[at] = header;
    table->tips[at].batch = *batch;
    table->tips[at].batch.header = crdt_buffer_bytes(&header);
    table->tips[at].batch.bytes = (struct crdt_bytes){NULL, 0};
    memcpy(table->tips[at].signature, signature, CORE_SIGNATURE_BYTES);
    return CRDT_OK;
}

enum crdt_status tips_table_put_row(struct tips_table *table, struct crdt_bytes tips)
{
    size_t count = 0;
    struct tip tip;
    enum crdt_status status = tips_check(tips, &count);
    if (status != CRDT_OK) {
        return status;
    }
    struct tips_walk walk = tips_begin(tips);
    while (status == CRDT_OK && tips_next(&walk, &tip)) {
        status = tips_table_put(table, &tip.batch, tip.signature);
    }
    return status;
}

bool tips_table_fits(const struct tips_table *table, const struct crdt_document *document)
{
    size_t found = 0;
    for (size_t i = 0; i < crdt_feed_count(document); i++) {
        const struct crdt_feed feed = crdt_feed_at(document, i);
        if (feed.seq == 0) {
            continue;
        }
        const struct tip *tip = tips_table_find(table, &feed.origin);
        if (tip == NULL || tip->batch.last_seq != feed.seq ||
            memcmp(tip->batch.head, feed.head, CRDT_HASH_BYTES) != 0) {
            return false;
        }
        found++;
    }
    return found == table->count;
}

bool tip_is_signed(const struct tip *tip, const uint8_t cluster_id[static CRDT_HASH_BYTES])
{
    uint8_t message[CORE_SIGNED_BYTES];
    core_signed_message(cluster_id, tip->batch.head, message);
    return identity_verify(tip->batch.origin.key, message, sizeof message, tip->signature);
}
