/* Proofs of forks. See evidence.h. */
#include "gossipd/wire/evidence.h"

#include <string.h>

static bool follows_another(const struct crdt_batch *before, const struct crdt_batch *after)
{
    return after->first_seq == before->last_seq + 1
        && memcmp(after->previous, before->head, CRDT_HASH_BYTES) != 0;
}

bool evidence_contradicts(const struct crdt_batch *a, const struct crdt_batch *b)
{
    if (crdt_origin_compare(&a->origin, &b->origin) != 0
        || memcmp(a->head, b->head, CRDT_HASH_BYTES) == 0)
        return false;
    bool overlaps = a->first_seq <= b->last_seq && b->first_seq <= a->last_seq;
    return overlaps || follows_another(a, b) || follows_another(b, a);
}

uint64_t evidence_seq(const struct evidence *evidence)
{
    const struct crdt_batch *here = &evidence->here.batch;
    if (!evidence->is_proof)
        return here->first_seq;
    const struct crdt_batch *other = &evidence->other.batch;
    uint64_t first = here->first_seq > other->first_seq ? here->first_seq : other->first_seq;
    uint64_t last = here->last_seq < other->last_seq ? here->last_seq : other->last_seq;
    return first < last ? first : last;
}

static enum crdt_status read_signature(
    struct crdt_bytes *input, uint8_t ret_signature[static MESSAGE_SIGNATURE_BYTES])
{
    struct crdt_bytes signature;
    enum crdt_status status = crdt_read_bytes(input, MESSAGE_SIGNATURE_BYTES, &signature);
    if (status != CRDT_OK)
        return status;
    if (signature.size != MESSAGE_SIGNATURE_BYTES)
        return CRDT_ERR_MALFORMED;
    memcpy(ret_signature, signature.data, MESSAGE_SIGNATURE_BYTES);
    return CRDT_OK;
}

static enum crdt_status read_tip(struct crdt_bytes *input, struct tip *ret_tip)
{
    struct crdt_bytes header;
    enum crdt_status status = crdt_read_bytes(input, CRDT_BATCH_BYTES_MAX, &header);
    if (status == CRDT_OK)
        status = crdt_batch_read_header(header, &ret_tip->batch);
    if (status == CRDT_OK)
        status = read_signature(input, ret_tip->signature);
    return status;
}

static enum crdt_status read_other(struct crdt_bytes *input, struct evidence *evidence)
{
    struct crdt_bytes rest = *input;
    struct crdt_bytes nothing;
    if (crdt_read_bytes(&rest, 0, &nothing) == CRDT_OK) {
        *input = rest;
        return crdt_read_bytes(input, 0, &nothing);
    }
    evidence->is_proof = true;
    enum crdt_status status = read_tip(input, &evidence->other);
    if (status == CRDT_OK
        && !evidence_contradicts(&evidence->here.batch, &evidence->other.batch))
        return CRDT_ERR_MALFORMED;
    return status;
}

enum crdt_status evidence_read(struct crdt_bytes bytes, struct evidence *ret_evidence)
{
    struct evidence evidence = {0};
    enum crdt_status status = crdt_read_uint(&bytes, UINT64_MAX, &evidence.found_ms);
    if (status == CRDT_OK)
        status = read_tip(&bytes, &evidence.here);
    if (status == CRDT_OK)
        status = read_other(&bytes, &evidence);
    if (status != CRDT_OK)
        return status;
    if (bytes.size != 0)
        return CRDT_ERR_MALFORMED;
    *ret_evidence = evidence;
    return CRDT_OK;
}

static enum crdt_status write_tip(
    struct crdt_buffer *buffer, const struct tip *tip, bool is_there)
{
    struct crdt_bytes header = {0};
    struct crdt_bytes signature = {0};
    if (is_there) {
        header = tip->batch.header;
        signature = (struct crdt_bytes){.data = tip->signature, .size = sizeof tip->signature};
    }
    enum crdt_status status = crdt_write_bytes(buffer, header);
    return status == CRDT_OK ? crdt_write_bytes(buffer, signature) : status;
}

enum crdt_status evidence_write(struct crdt_buffer *buffer, const struct evidence *evidence)
{
    size_t before = buffer->size;
    enum crdt_status status = crdt_write_uint(buffer, evidence->found_ms);
    if (status == CRDT_OK)
        status = write_tip(buffer, &evidence->here, true);
    if (status == CRDT_OK)
        status = write_tip(buffer, &evidence->other, evidence->is_proof);
    if (status != CRDT_OK)
        buffer->size = before;
    return status;
}
