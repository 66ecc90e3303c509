/* Tips of feeds. See tips.h. */
#include "gossipd/wire/tips.h"

#include <assert.h>
#include <string.h>

static enum crdt_status read_tip(struct crdt_bytes *input, struct tip *ret_tip)
{
    struct crdt_bytes header;
    struct crdt_bytes signature;
    enum crdt_status status = crdt_read_bytes(input, CRDT_BATCH_BYTES_MAX, &header);
    if (status == CRDT_OK)
        status = crdt_read_bytes(input, MESSAGE_SIGNATURE_BYTES, &signature);
    if (status != CRDT_OK)
        return status;
    if (signature.size != MESSAGE_SIGNATURE_BYTES)
        return CRDT_ERR_MALFORMED;
    memcpy(ret_tip->signature, signature.data, sizeof ret_tip->signature);
    return crdt_batch_read_header(header, &ret_tip->batch);
}

enum crdt_status tips_check(struct crdt_bytes tips, size_t *ret_count)
{
    uint64_t count;
    struct crdt_origin before;
    enum crdt_status status = crdt_read_uint(&tips, CRDT_ORIGINS_MAX, &count);
    if (status != CRDT_OK)
        return status;
    for (uint64_t index = 0; index < count; index++) {
        struct tip tip;
        if (read_tip(&tips, &tip) != CRDT_OK)
            return CRDT_ERR_MALFORMED;
        if (index > 0 && crdt_origin_compare(&before, &tip.batch.origin) >= 0)
            return CRDT_ERR_MALFORMED;
        before = tip.batch.origin;
    }
    if (tips.size != 0)
        return CRDT_ERR_MALFORMED;
    *ret_count = (size_t)count;
    return CRDT_OK;
}

struct tips_walk tips_begin(struct crdt_bytes tips)
{
    struct tips_walk walk = {.rest = tips};
    enum crdt_status status = crdt_read_uint(&walk.rest, CRDT_ORIGINS_MAX, &walk.left);
    assert(status == CRDT_OK);
    return walk;
}

bool tips_next(struct tips_walk *walk, struct tip *ret_tip)
{
    if (walk->left == 0)
        return false;
    walk->left--;
    enum crdt_status status = read_tip(&walk->rest, ret_tip);
    assert(status == CRDT_OK);
    return true;
}

enum crdt_status tips_write(struct crdt_buffer *buffer, const struct tip *tips, size_t count)
{
    size_t before = buffer->size;
    enum crdt_status status = crdt_write_uint(buffer, count);
    for (size_t index = 0; index < count && status == CRDT_OK; index++) {
        assert(index == 0
            || crdt_origin_compare(&tips[index - 1].batch.origin, &tips[index].batch.origin) < 0);
        struct crdt_bytes signature = {
            .data = tips[index].signature, .size = sizeof tips[index].signature};
        status = crdt_write_bytes(buffer, tips[index].batch.header);
        if (status == CRDT_OK)
            status = crdt_write_bytes(buffer, signature);
    }
    if (status != CRDT_OK)
        buffer->size = before;
    return status;
}
