/* The queue of a transaction; see queue.h. One buffer holds all of it, so that
 * its bound in bytes bounds everything. */
#include "gossipd/core/commands/queue.h"

#include <assert.h>
#include <string.h>

#include "gossipd/core/commands/table.h"
#include "gossipd/core/memory.h"
#include "gossipd/limits.h"

/* What stands before a command's arguments; each has its size in front. */
struct head {
    const struct command *command;
    size_t argument_count;
};

void queue_init(struct queue *queue, const struct crdt_memory *memory)
{
    *queue = (struct queue){.arguments = NULL};
    crdt_buffer_init(&queue->bytes, memory);
}

void queue_close(struct queue *queue)
{
    memory_free(&queue->bytes.memory, queue->arguments,
        queue->argument_capacity * sizeof *queue->arguments);
    crdt_buffer_close(&queue->bytes);
    queue->arguments = NULL;
    queue->argument_capacity = 0;
    queue->argument_max = 0;
    queue->count = 0;
    queue->flags = 0;
}

static size_t command_bytes(const struct crdt_bytes *arguments, size_t argument_count)
{
    size_t size = sizeof(struct head);
    for (size_t i = 0; i < argument_count; i++) {
        size += sizeof arguments[i].size + arguments[i].size;
    }
    return size;
}

enum crdt_status queue_push(struct queue *queue, const struct command *command,
    const struct crdt_bytes *arguments, size_t argument_count)
{
    struct head head = {command, argument_count};
    size_t before = queue->bytes.size;
    if (command_bytes(arguments, argument_count) > QUEUE_BYTES_MAX - before) {
        return CRDT_ERR_LIMIT;
    }
    enum crdt_status status = crdt_buffer_append(&queue->bytes, &head, sizeof head);
    for (size_t i = 0; i < argument_count && status == CRDT_OK; i++) {
        size_t size = arguments[i].size;
        status = crdt_buffer_append(&queue->bytes, &size, sizeof size);
        if (status == CRDT_OK && size > 0) {
            status = crdt_buffer_append(&queue->bytes, arguments[i].data, size);
        }
    }
    if (status != CRDT_OK) {
        queue->bytes.size = before;
        return status;
    }
    if (argument_count > queue->argument_max) {
        queue->argument_max = argument_count;
    }
    queue->count++;
    queue->flags |= command->flags;
    assert(queue->bytes.size <= QUEUE_BYTES_MAX);
    return CRDT_OK;
}

enum crdt_status queue_prepare(struct queue *queue)
{
    void *array = queue->arguments;
    bool has_room = memory_grow(&queue->bytes.memory, &array, &queue->argument_capacity,
        queue->argument_max, sizeof *queue->arguments);
    queue->arguments = array;
    return has_room ? CRDT_OK : CRDT_ERR_NOMEM;
}

const struct command *queue_next(struct queue *queue, size_t *offset,
    const struct crdt_bytes **ret_arguments, size_t *ret_argument_count)
{
    struct head head;
    if (*offset == queue->bytes.size) {
        return NULL;
    }
    const uint8_t *at = queue->bytes.data + *offset;
    memcpy(&head, at, sizeof head);
    at += sizeof head;
    assert(head.argument_count <= queue->argument_capacity);
    for (size_t i = 0; i < head.argument_count; i++) {
        struct crdt_bytes *argument = &queue->arguments[i];
        memcpy(&argument->size, at, sizeof argument->size);
        argument->data = at + sizeof argument->size;
        at += sizeof argument->size + argument->size;
    }
    *offset = (size_t)(at - queue->bytes.data);
    *ret_arguments = queue->arguments;
    *ret_argument_count = head.argument_count;
    return head.command;
}
