/* Bytes: helpers around crdt_bytes and crdt_buffer, whose calls are public. */
#ifndef LIBCRDT_BASE_BUFFER_H
#define LIBCRDT_BASE_BUFFER_H

#include <crdt.h>
#include <string.h>

static inline bool crdt_bytes_equal(struct crdt_bytes a, struct crdt_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Orders like memcmp, a prefix before what it begins. */
static inline int crdt_bytes_compare(struct crdt_bytes a, struct crdt_bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    if (order != 0)
        return order;
    return a.size < b.size ? -1 : a.size > b.size;
}

/* Makes room for `size` more bytes, so that appending them cannot fail. */
CRDT_MUST_CHECK enum crdt_status crdt_buffer_reserve(struct crdt_buffer *buffer, size_t size);

/* Cuts the content back to `size` bytes. */
void crdt_buffer_truncate(struct crdt_buffer *buffer, size_t size);

/* Forgets the content, and gives memory beyond `keep_bytes` back. */
void crdt_buffer_recycle(struct crdt_buffer *buffer, size_t keep_bytes);

#endif
