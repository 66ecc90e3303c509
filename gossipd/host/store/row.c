/* Rows between the core and the store. See row.h. */
#include "gossipd/host/store/row.h"

#include <string.h>

#include "gossipd/core/memory.h"

size_t row_bytes(const struct row *row)
{
    return sizeof *row + row->batch_bytes;
}

struct row *row_new(const struct crdt_memory *memory, const struct core_output *output,
    enum core_durability durability)
{
    size_t batch_bytes = output->kind == CORE_SNAPSHOT ? 0 : output->bytes.size;
    struct row *row = memory_new(memory, sizeof *row + batch_bytes);
    if (row == NULL) {
        return NULL;
    }
    row->number = output->number;
    if (output->kind == CORE_SNAPSHOT) {
        row->snapshot = output->number;
        row->number = output->value;
    }
    row->is_evidence = output->kind == CORE_STORE_EVIDENCE;
    row->is_mark = output->kind == CORE_STORE_MARK || row->is_evidence;
    row->mark = output->mark;
    row->value = output->value;
    row->durability = durability;
    row->origin = output->origin;
    row->first_seq = output->first_seq;
    row->last_seq = output->last_seq;
    row->wall_ms = output->wall_ms;
    row->batch_bytes = batch_bytes;
    memcpy(row->previous, output->previous, sizeof row->previous);
    memcpy(row->head, output->head, sizeof row->head);
    memcpy(row->signature, output->signature, sizeof row->signature);
    if (row->batch_bytes > 0) {
        memcpy(row->batch, output->bytes.data, row->batch_bytes);
    }
    return row;
}

void row_free(const struct crdt_memory *memory, struct row *row)
{
    if (row != NULL) {
        memory_free(memory, row, row_bytes(row));
    }
}

struct fetched *fetched_new(const struct crdt_memory *memory, uint64_t id)
{
    struct fetched *fetched = memory_new(memory, sizeof *fetched);
    if (fetched != NULL) {
        fetched->id = id;
        fetched->is_ok = true;
        fetched->memory = *memory;
        crdt_buffer_init(&fetched->bytes, memory);
    }
    return fetched;
}

void fetched_free(struct fetched *fetched)
{
    if (fetched == NULL) {
        return;
    }
    struct crdt_memory memory = fetched->memory;
    crdt_buffer_close(&fetched->bytes);
    memory_free(&memory, fetched->rows, fetched->row_capacity * sizeof *fetched->rows);
    memory_free(&memory, fetched, sizeof *fetched);
}

bool fetched_add(struct fetched *fetched, struct crdt_bytes batch,
    const uint8_t signature[static CORE_SIGNATURE_BYTES])
{
    void *rows = fetched->rows;
    bool has_room = memory_grow(&fetched->memory, &rows, &fetched->row_capacity,
        fetched->row_count + 1, sizeof *fetched->rows);
    fetched->rows = rows;
    if (!has_room ||
        crdt_buffer_append(&fetched->bytes, batch.data, batch.size) != CRDT_OK) {
        return false;
    }
    struct core_row *row = &fetched->rows[fetched->row_count++];
    row->batch = (struct crdt_bytes){NULL, batch.size};
    memcpy(row->signature, signature, sizeof row->signature);
    return true;
}

void fetched_finish(struct fetched *fetched)
{
    size_t at = 0;
    for (size_t i = 0; i < fetched->row_count; i++) {
        fetched->rows[i].batch.data = fetched->bytes.data + at;
        at += fetched->rows[i].batch.size;
    }
}
