#include "tests/sim/transfer.h"

#include "tests/sim/array.h"

enum word { WORD_OFFER = 5, WORD_PART = 7 };

static bool is_word(struct crdt_bytes *bytes, enum word word)
{
    /* A kind is one byte: most messages are told apart without reading more. */
    uint64_t kind = 0;
    return bytes->size > 0 && *(const uint8_t *)bytes->data == word
        && crdt_read_uint(bytes, UINT64_MAX, &kind) == CRDT_OK;
}

static bool read_fixed(struct crdt_bytes *bytes, uint8_t *ret, size_t size)
{
    struct crdt_bytes found;
    if (crdt_read_bytes(bytes, size, &found) != CRDT_OK || found.size != size)
        return false;
    memcpy(ret, found.data, size);
    return true;
}

bool transfer_read_offer(struct crdt_bytes bytes, struct core_snapshot *ret_offer)
{
    return is_word(&bytes, WORD_OFFER) && read_fixed(&bytes, ret_offer->hash, CRDT_HASH_BYTES)
        && crdt_read_uint(&bytes, UINT64_MAX, &ret_offer->bytes) == CRDT_OK
        && crdt_read_uint(&bytes, UINT64_MAX, &ret_offer->parts) == CRDT_OK
        && crdt_read_bytes(&bytes, SIZE_MAX, &ret_offer->tips) == CRDT_OK && bytes.size == 0;
}

bool transfer_read_part(struct crdt_bytes bytes, struct transfer_part *ret_part)
{
    uint64_t is_gone = 0;
    bool is_read = is_word(&bytes, WORD_PART)
        && read_fixed(&bytes, ret_part->hash, CRDT_HASH_BYTES)
        && crdt_read_uint(&bytes, UINT64_MAX, &ret_part->part) == CRDT_OK
        && crdt_read_uint(&bytes, 1, &is_gone) == CRDT_OK
        && crdt_read_bytes(&bytes, SIZE_MAX, &ret_part->bytes) == CRDT_OK && bytes.size == 0;
    ret_part->is_gone = is_gone != 0;
    return is_read;
}

bool transfer_read_tips(struct crdt_bytes bytes, struct transfer_tips *ret_tips)
{
    uint64_t left = 0;
    size_t capacity = 0;
    bool is_good = crdt_read_uint(&bytes, CRDT_ORIGINS_MAX, &left) == CRDT_OK;
    *ret_tips = (struct transfer_tips){ .count = 0 };
    for (; is_good && left > 0; left--) {
        ret_tips->items = array_reserve(
            ret_tips->items, ret_tips->count, &capacity, sizeof *ret_tips->items);
        struct transfer_tip *tip = &ret_tips->items[ret_tips->count++];
        struct crdt_bytes header;
        is_good = crdt_read_bytes(&bytes, SIZE_MAX, &header) == CRDT_OK
            && crdt_batch_read_header(header, &tip->batch) == CRDT_OK
            && read_fixed(&bytes, tip->signature, sizeof tip->signature);
        is_good = is_good
            && (ret_tips->count == 1
                || crdt_origin_compare(&tip[-1].batch.origin, &tip->batch.origin) < 0);
    }
    if (is_good && bytes.size == 0)
        return true;
    free(ret_tips->items);
    *ret_tips = (struct transfer_tips){ .count = 0 };
    return false;
}

const struct transfer_tip *transfer_find_tip(
    const struct transfer_tips *tips, const struct crdt_feed *feed)
{
    for (size_t i = 0; i < tips->count; i++) {
        const struct crdt_batch *batch = &tips->items[i].batch;
        if (batch->last_seq == feed->seq
            && memcmp(batch->head, feed->head, CRDT_HASH_BYTES) == 0
            && crdt_origin_compare(&batch->origin, &feed->origin) == 0)
            return &tips->items[i];
    }
    return NULL;
}

static void write_number(struct crdt_buffer *buffer, uint64_t number)
{
    if (crdt_write_uint(buffer, number) != CRDT_OK)
        exit(2);
}

static void write_bytes(struct crdt_buffer *buffer, const void *data, size_t size)
{
    if (crdt_write_bytes(buffer, (struct crdt_bytes){ data, size }) != CRDT_OK)
        exit(2);
}

void transfer_write_offer(struct crdt_buffer *buffer, const struct core_snapshot *offer)
{
    write_number(buffer, WORD_OFFER);
    write_bytes(buffer, offer->hash, CRDT_HASH_BYTES);
    write_number(buffer, offer->bytes);
    write_number(buffer, offer->parts);
    write_bytes(buffer, offer->tips.data, offer->tips.size);
}

void transfer_write_part(struct crdt_buffer *buffer, const struct transfer_part *part)
{
    write_number(buffer, WORD_PART);
    write_bytes(buffer, part->hash, CRDT_HASH_BYTES);
    write_number(buffer, part->part);
    write_number(buffer, part->is_gone ? 1 : 0);
    write_bytes(buffer, part->bytes.data, part->bytes.size);
}

static int compare_tips(const void *a, const void *b)
{
    const struct transfer_tip *left = a, *right = b;
    return crdt_origin_compare(&left->batch.origin, &right->batch.origin);
}

void transfer_write_tips(struct crdt_buffer *buffer, struct transfer_tips *tips)
{
    if (tips->count > 0)
        qsort(tips->items, tips->count, sizeof *tips->items, compare_tips);
    write_number(buffer, tips->count);
    for (size_t i = 0; i < tips->count; i++) {
        const struct crdt_bytes *header = &tips->items[i].batch.header;
        write_bytes(buffer, header->data, header->size);
        write_bytes(buffer, tips->items[i].signature, CORE_SIGNATURE_BYTES);
    }
}
