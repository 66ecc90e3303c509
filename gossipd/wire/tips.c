/* Tips of feeds. Read once from end to end before anything is believed, so that
 * walking them later has no failures. */
#include "gossipd/wire/tips.h"

#include <assert.h>
#include <string.h>

static enum crdt_status read_tip(struct crdt_bytes *input, struct tip *ret_tip)
{
    struct crdt_bytes header;
    struct crdt_bytes signature;
    enum crdt_status status = crdt_read_bytes(input, MESSAGE_BYTES_MAX, &header);
    if (status == CRDT_OK)
        status = crdt_batch_read_header(header, &ret_tip->batch);
    if (status == CRDT_OK)
        status = crdt_read_bytes(input, sizeof ret_tip->signature, &signature);
    if (status != CRDT_OK || signature.size != sizeof ret_tip->signature)
        return CRDT_ERR_MALFORMED;
    memcpy(ret_tip->signature, signature.data, sizeof ret_tip->signature);
    return CRDT_OK;
}

enum crdt_status tips_check(struct crdt_bytes tips, size_t *ret_count)
{
    uint64_t count;
    enum crdt_status status = crdt_read_uint(&tips, CRDT_ORIGINS_MAX, &count);
    struct tip before = {0};
    for (uint64_t index = 0; status == CRDT_OK && index < count; index++) {
        struct tip tip;
        status = read_tip(&tips, &tip);
        if (status != CRDT_OK)
            break;
        if (index > 0 && crdt_origin_compare(&before.batch.origin, &tip.batch.origin) >= 0)
            status = CRDT_ERR_MALFORMED;
        before = tip;
    }
    if (status == CRDT_OK && tips.size != 0)
        status = CRDT_ERR_MALFORMED;
    if (status == CRDT_OK)
        *ret_count = (size_t)count;
    return status;
}

struct tips_walk tips_begin(struct crdt_bytes tips)
{
    struct tips_walk walk = {.rest = tips};
    if (tips.size == 0)
        return walk;
    enum crdt_status status = crdt_read_uint(&walk.rest, CRDT_ORIGINS_MAX, &walk.left);
    assert(status == CRDT_OK);
    (void)status;
    return walk;
}

bool tips_next(struct tips_walk *walk, struct tip *ret_tip)
{
    if (walk->left == 0)
        return false;
    walk->left--;
    enum crdt_status status = read_tip(&walk->rest, ret_tip);
    assert(status == CRDT_OK);
    (void)status;
    return true;
}

static enum crdt_status write_tip(struct crdt_buffer *buffer, const struct tip *tip)
{
    const struct crdt_bytes signature = {
        .data = tip->signature, .size = sizeof tip->signature};
    enum crdt_status status = crdt_write_bytes(buffer, tip->batch.header);
    if (status == CRDT_OK)
        status = crdt_write_bytes(buffer, signature);
    return status;
}

enum crdt_status tips_write(struct crdt_buffer *buffer, const struct tip *tips, size_t count)
{
    assert(count <= CRDT_ORIGINS_MAX);
    size_t size_before = buffer->size;
    const struct tip *before = NULL;
    enum crdt_status status = crdt_write_uint(buffer, count);
    for (size_t index = 0; status == CRDT_OK && index < count; index++) {
        const struct tip *tip = &tips[index];
        assert(before == NULL
            || crdt_origin_compare(&before->batch.origin, &tip->batch.origin) < 0);
        before = tip;
        status = write_tip(buffer, tip);
    }
    if (status != CRDT_OK)
        buffer->size = size_before;
    return status;
}
