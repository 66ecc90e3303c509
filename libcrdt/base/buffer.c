#include "libcrdt/base/buffer.h"

#include <assert.h>

#include "libcrdt/base/memory.h"

void crdt_buffer_init(struct crdt_buffer *buffer, const struct crdt_memory *memory)
{
    *buffer = (struct crdt_buffer){.memory = crdt_memory_or_heap(memory)};
}

void crdt_buffer_close(struct crdt_buffer *buffer)
{
    if (buffer == NULL)
        return;
    if (buffer->data != NULL)
        crdt_memory_free(&buffer->memory, buffer->data, buffer->capacity);
    buffer->data = NULL;
    buffer->size = 0;
    buffer->capacity = 0;
}

void crdt_buffer_clear(struct crdt_buffer *buffer)
{
    buffer->size = 0;
}

enum crdt_status crdt_buffer_reserve(struct crdt_buffer *buffer, size_t size)
{
    if (size > SIZE_MAX - buffer->size)
        return CRDT_ERR_NOMEM;
    buffer->memory = crdt_memory_or_heap(&buffer->memory);
    bool has_room = crdt_array_reserve(
        &buffer->memory, &buffer->data, &buffer->capacity, buffer->size + size, 1);
    return has_room ? CRDT_OK : CRDT_ERR_NOMEM;
}

enum crdt_status crdt_buffer_append(struct crdt_buffer *buffer, const void *data, size_t size)
{
    if (size == 0)
        return CRDT_OK;
    enum crdt_status status = crdt_buffer_reserve(buffer, size);
    if (status != CRDT_OK)
        return status;
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    return CRDT_OK;
}

void crdt_buffer_truncate(struct crdt_buffer *buffer, size_t size)
{
    assert(size <= buffer->size);
    buffer->size = size;
}

void crdt_buffer_recycle(struct crdt_buffer *buffer, size_t keep_bytes)
{
    if (buffer->capacity > keep_bytes)
        crdt_buffer_close(buffer);
    buffer->size = 0;
}

struct crdt_bytes crdt_buffer_bytes(const struct crdt_buffer *buffer)
{
    return (struct crdt_bytes){.data = buffer->data, .size = buffer->size};
}

struct crdt_bytes crdt_text(const char *text)
{
    return (struct crdt_bytes){.data = text, .size = strlen(text)};
}
