#include "libcrdt/document/dot.h"

#include <string.h>

enum crdt_status crdt_exact_read(struct crdt_bytes *input, void *ret_bytes, size_t size)
{
    struct crdt_bytes bytes;
    enum crdt_status status = crdt_read_bytes(input, size, &bytes);
    if (status == CRDT_OK && bytes.size != size)
        status = CRDT_ERR_MALFORMED;
    if (status == CRDT_OK)
        memcpy(ret_bytes, bytes.data, size);
    return status;
}

enum crdt_status crdt_origin_write(
    struct crdt_buffer *buffer, const struct crdt_origin *origin)
{
    enum crdt_status status =
        crdt_write_bytes(buffer, (struct crdt_bytes){origin->key, CRDT_KEY_BYTES});
    return status == CRDT_OK ? crdt_write_uint(buffer, origin->generation) : status;
}

enum crdt_status crdt_origin_read(struct crdt_bytes *input, struct crdt_origin *ret_origin)
{
    enum crdt_status status = crdt_exact_read(input, ret_origin->key, CRDT_KEY_BYTES);
    if (status == CRDT_OK)
        status = crdt_read_uint(input, UINT64_MAX, &ret_origin->generation);
    if (status == CRDT_OK && ret_origin->generation == 0)
        status = CRDT_ERR_MALFORMED;
    return status;
}

enum crdt_status crdt_dot_write(
    struct crdt_buffer *buffer, const struct crdt_origin *origin, uint64_t seq)
{
    enum crdt_status status = crdt_origin_write(buffer, origin);
    return status == CRDT_OK ? crdt_write_uint(buffer, seq) : status;
}

enum crdt_status crdt_dot_read(struct crdt_bytes *input, struct crdt_dot *ret_dot)
{
    enum crdt_status status = crdt_origin_read(input, &ret_dot->origin);
    if (status == CRDT_OK)
        status = crdt_read_uint(input, CRDT_SEQ_MAX, &ret_dot->seq);
    if (status == CRDT_OK && ret_dot->seq == 0)
        status = CRDT_ERR_MALFORMED;
    return status;
}
