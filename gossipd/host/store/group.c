/* Rows that share a transaction. See group.h. */
#include "gossipd/host/store/group.h"

#include "gossipd/limits.h"

void row_queue_init(struct row_queue *queue)
{
    *queue = (struct row_queue){.end = &queue->rows};
}

void row_queue_add(struct row_queue *queue, struct row *row)
{
    *queue->end = row;
    queue->end = &row->next;
    queue->bytes += row_bytes(row);
    queue->added++;
}

struct group row_queue_take(struct row_queue *queue)
{
    struct group group = {.rows = queue->rows};
    if (group.rows == NULL) {
        return group;
    }
    group.first = group.rows->number + (group.rows->snapshot != 0 ? 1 : 0);
    struct row **end = &queue->rows;
    while (*end != NULL && (group.count == 0 || group.bytes < STORE_GROUP_BYTES)) {
        struct row *row = *end;
        group.count++;
        group.bytes += row_bytes(row);
        group.last = row->number;
        group.durability_last = row->durability;
        group.snapshot = row->snapshot != 0 ? row->snapshot : group.snapshot;
        /* Marks are promises about what may happen next: always durable. */
        group.is_synced = group.is_synced || row->is_mark || row->durability == CORE_ALWAYS;
        end = &row->next;
    }
    queue->rows = *end;
    queue->taken += group.count;
    *end = NULL;
    if (queue->rows == NULL) {
        queue->end = &queue->rows;
    }
    return group;
}

struct row *row_queue_clear(struct row_queue *queue)
{
    struct row *rows = queue->rows;
    for (const struct row *row = rows; row != NULL; row = row->next) {
        queue->bytes -= row_bytes(row);
    }
    queue->rows = NULL;
    queue->end = &queue->rows;
    queue->taken = queue->added;
    return rows;
}

void rows_free(const struct crdt_memory *memory, struct row *rows)
{
    while (rows != NULL) {
        struct row *next = rows->next;
        row_free(memory, rows);
        rows = next;
    }
}
