#include "libcrdt/document/batch.h"

#include <assert.h>
#include <string.h>

#include "libcrdt/base/memory.h"
#include "libcrdt/base/sort.h"
#include "libcrdt/document/dot.h"
#include "libcrdt/document/hash.h"

/* (index, increase), the indexes ascending from `least`. */
static enum crdt_status read_increase(struct crdt_bytes *input, uint64_t least, uint64_t count,
    uint64_t *ret_index, uint64_t *ret_increase)
{
    enum crdt_status status = crdt_read_uint(input, UINT64_MAX, ret_index);
    if (status == CRDT_OK)
        status = crdt_read_uint(input, CRDT_SEQ_MAX, ret_increase);
    if (status != CRDT_OK)
        return status;
    bool is_valid = *ret_index >= least && *ret_index < count && *ret_increase > 0;
    return is_valid ? CRDT_OK : CRDT_ERR_MALFORMED;
}

/* Skips over the deps, checking their form. */
static enum crdt_status read_deps(struct crdt_bytes *input, struct crdt_bytes *ret_deps)
{
    const uint8_t *start = input->data;
    uint64_t count;
    uint64_t least = 0;
    enum crdt_status status = crdt_read_uint(input, CRDT_ORIGINS_MAX, &count);
    for (uint64_t i = 0; i < count && status == CRDT_OK; i++) {
        uint64_t index;
        uint64_t increase;
        status = read_increase(input, least, CRDT_ORIGINS_MAX, &index, &increase);
        least = index + 1;
    }
    if (status == CRDT_OK)
        status = crdt_read_uint(input, CRDT_ORIGINS_MAX, &count);
    for (uint64_t i = 0; i < count && status == CRDT_OK; i++) {
        struct crdt_dot dot;
        status = crdt_dot_read(input, &dot);
    }
    if (status != CRDT_OK)
        return status;
    ret_deps->data = start;
    ret_deps->size = (size_t)((const uint8_t *)input->data - start);
    return CRDT_OK;
}

static enum crdt_status read_seqs(struct crdt_bytes *input, struct crdt_batch *batch)
{
    uint64_t count;
    enum crdt_status status = crdt_read_uint(input, CRDT_SEQ_MAX, &batch->first_seq);
    if (status == CRDT_OK)
        status = crdt_read_uint(input, CRDT_BATCH_RECORDS_MAX, &count);
    if (status != CRDT_OK)
        return status;
    if (batch->first_seq == 0 || count == 0 || count > CRDT_SEQ_MAX - batch->first_seq)
        return CRDT_ERR_MALFORMED;
    batch->last_seq = batch->first_seq + count - 1;
    return CRDT_OK;
}

/* Only a first batch names a generation before it, and only others a head. */
static enum crdt_status read_previous(struct crdt_bytes *input, struct crdt_batch *batch)
{
    if (batch->first_seq > 1)
        return crdt_exact_read(input, batch->previous, CRDT_HASH_BYTES);
    return crdt_read_uint(input, UINT64_MAX, &batch->previous_generation);
}

static enum crdt_status read_version(struct crdt_bytes *input, uint64_t *ret_minor)
{
    uint64_t major;
    enum crdt_status status = crdt_read_uint(input, UINT64_MAX, &major);
    if (status != CRDT_OK)
        return status;
    if (major != CRDT_WIRE_MAJOR)
        return major > CRDT_WIRE_MAJOR ? CRDT_ERR_VERSION : CRDT_ERR_MALFORMED;
    return crdt_read_uint(input, UINT64_MAX, ret_minor);
}

/* Reads all fields of the header that `header->batch.header` holds, but not its hash. */
static enum crdt_status read_fields(
    struct crdt_header *header, uint8_t ret_body_hash[static CRDT_HASH_BYTES])
{
    struct crdt_bytes input = header->batch.header;
    uint64_t minor;
    enum crdt_status status = read_version(&input, &minor);
    if (status == CRDT_OK)
        status = crdt_origin_read(&input, &header->batch.origin);
    if (status == CRDT_OK)
        status = read_seqs(&input, &header->batch);
    if (status == CRDT_OK)
        status = read_previous(&input, &header->batch);
    if (status == CRDT_OK)
        status = read_deps(&input, &header->deps);
    if (status == CRDT_OK)
        status = crdt_exact_read(&input, header->deps_hash, CRDT_DEPS_HASH_BYTES);
    if (status == CRDT_OK)
        status = crdt_exact_read(&input, ret_body_hash, CRDT_HASH_BYTES);
    if (status != CRDT_OK)
        return status;
    /* A newer minor version may have added fields: the head covers them. */
    if (minor <= CRDT_WIRE_MINOR && input.size > 0)
        return CRDT_ERR_MALFORMED;
    return CRDT_OK;
}

static enum crdt_status check_body_hash(
    const struct crdt_header *header, const uint8_t body_hash[static CRDT_HASH_BYTES])
{
    uint8_t expected[CRDT_HASH_BYTES];
    crdt_hash_bytes(header->body, expected);
    return memcmp(body_hash, expected, CRDT_HASH_BYTES) == 0 ? CRDT_OK : CRDT_ERR_MALFORMED;
}

enum crdt_status crdt_header_read(struct crdt_bytes *input, struct crdt_header *ret_header)
{
    struct crdt_bytes rest = *input;
    struct crdt_header header = {0};
    uint64_t kind;
    enum crdt_status status = crdt_read_uint(&rest, UINT64_MAX, &kind);
    if (status == CRDT_OK && kind != CRDT_ITEM_BATCH)
        status = CRDT_ERR_MALFORMED;
    if (status == CRDT_OK)
        status = crdt_read_bytes(&rest, CRDT_BATCH_BYTES_MAX, &header.batch.header);
    if (status == CRDT_OK)
        status = crdt_read_bytes(&rest, CRDT_BATCH_BYTES_MAX, &header.body);
    if (status != CRDT_OK)
        return status;
    header.batch.bytes =
        (struct crdt_bytes){.data = input->data, .size = input->size - rest.size};
    if (header.batch.bytes.size > CRDT_BATCH_BYTES_MAX)
        return CRDT_ERR_MALFORMED;
    uint8_t body_hash[CRDT_HASH_BYTES];
    status = read_fields(&header, body_hash);
    if (status == CRDT_OK)
        status = check_body_hash(&header, body_hash);
    if (status != CRDT_OK)
        return status;
    crdt_hash_bytes(header.batch.header, header.batch.head);
    *input = rest;
    *ret_header = header;
    return CRDT_OK;
}

enum crdt_status crdt_batch_read(struct crdt_bytes bytes, struct crdt_batch *ret_batch)
{
    struct crdt_header header;
    enum crdt_status status = crdt_header_read(&bytes, &header);
    if (status == CRDT_OK)
        *ret_batch = header.batch;
    return status;
}

enum crdt_status crdt_batch_read_header(struct crdt_bytes header, struct crdt_batch *ret_batch)
{
    struct crdt_header read = {.batch = {.header = header}};
    uint8_t body_hash[CRDT_HASH_BYTES];
    enum crdt_status status = read_fields(&read, body_hash);
    if (status != CRDT_OK)
        return status;
    crdt_hash_bytes(header, read.batch.head);
    *ret_batch = read.batch;
    return CRDT_OK;
}

enum crdt_status crdt_header_again(
    const struct crdt_batch *batch, struct crdt_header *ret_header)
{
    struct crdt_header header = {.batch = *batch};
    uint8_t body_hash[CRDT_HASH_BYTES];
    enum crdt_status status = read_fields(&header, body_hash);
    if (status == CRDT_OK)
        *ret_header = header;
    return status;
}

enum crdt_status crdt_body_check(const struct crdt_header *header)
{
    struct crdt_body_reader reader;
    crdt_body_reader_init(&reader, header->body, header->batch.first_seq);
    bool may_mark = false;
    while (!crdt_body_is_at_end(&reader)) {
        struct crdt_op op;
        if (reader.seq > header->batch.last_seq)
            return CRDT_ERR_MALFORMED;
        enum crdt_status status = crdt_body_next(&reader, &op);
        if (status != CRDT_OK)
            return status;
        /* A mark stands between records: what came before, what comes after. */
        if (op.code == CRDT_OP_MARK && !may_mark)
            return CRDT_ERR_MALFORMED;
        may_mark = op.code != CRDT_OP_MARK;
    }
    bool is_whole = may_mark && reader.seq == header->batch.last_seq + 1;
    return is_whole ? CRDT_OK : CRDT_ERR_MALFORMED;
}

static enum crdt_status write_fields(
    const struct crdt_header *header, const uint8_t *body_hash, struct crdt_buffer *buffer)
{
    const struct crdt_batch *batch = &header->batch;
    enum crdt_status status = crdt_write_uint(buffer, CRDT_WIRE_MAJOR);
    if (status == CRDT_OK)
        status = crdt_write_uint(buffer, CRDT_WIRE_MINOR);
    if (status == CRDT_OK)
        status = crdt_origin_write(buffer, &batch->origin);
    if (status == CRDT_OK)
        status = crdt_write_uint(buffer, batch->first_seq);
    if (status == CRDT_OK)
        status = crdt_write_uint(buffer, batch->last_seq - batch->first_seq + 1);
    if (status == CRDT_OK)
        status = batch->first_seq > 1
            ? crdt_write_bytes(buffer, (struct crdt_bytes){batch->previous, CRDT_HASH_BYTES})
            : crdt_write_uint(buffer, batch->previous_generation);
    if (status == CRDT_OK)
        status = crdt_buffer_append(buffer, header->deps.data, header->deps.size);
    if (status == CRDT_OK)
        status = crdt_write_bytes(
            buffer, (struct crdt_bytes){header->deps_hash, CRDT_DEPS_HASH_BYTES});
    if (status == CRDT_OK)
        status = crdt_write_bytes(buffer, (struct crdt_bytes){body_hash, CRDT_HASH_BYTES});
    return status;
}

enum crdt_status crdt_header_write(const struct crdt_header *header, struct crdt_buffer *buffer)
{
    uint8_t body_hash[CRDT_HASH_BYTES];
    crdt_hash_bytes(header->body, body_hash);
    struct crdt_buffer fields;
    crdt_buffer_init(&fields, &buffer->memory);
    enum crdt_status status = write_fields(header, body_hash, &fields);
    if (status == CRDT_OK)
        status = crdt_write_uint(buffer, CRDT_ITEM_BATCH);
    if (status == CRDT_OK)
        status = crdt_write_bytes(buffer, crdt_buffer_bytes(&fields));
    if (status == CRDT_OK)
        status = crdt_write_bytes(buffer, header->body);
    crdt_buffer_close(&fields);
    return status;
}

/* Raises the known entries by the increases at the front of `input`. */
static enum crdt_status resolve_increases(
    struct crdt_bytes *input, struct crdt_deps *deps, size_t base_count)
{
    uint64_t count;
    uint64_t least = 0;
    enum crdt_status status = crdt_read_uint(input, CRDT_ORIGINS_MAX, &count);
    for (uint64_t i = 0; i < count && status == CRDT_OK; i++) {
        uint64_t index;
        uint64_t increase;
        status = read_increase(input, least, base_count, &index, &increase);
        if (status != CRDT_OK)
            return status;
        uint64_t seq = crdt_dot_seq(deps->dots[index]);
        if (increase > CRDT_SEQ_MAX - seq)
            return CRDT_ERR_MALFORMED;
        deps->dots[index] = crdt_pack(crdt_dot_feed(deps->dots[index]), seq + increase);
        least = index + 1;
    }
    return status;
}

static enum crdt_status resolve_new(const struct crdt_document *document,
    const struct crdt_header *header, struct crdt_bytes *input, struct crdt_deps *deps,
    size_t base_count, struct crdt_dot *ret_missing)
{
    enum crdt_status status = CRDT_OK;
    for (size_t i = base_count; i < deps->count && status == CRDT_OK; i++) {
        struct crdt_dot dot;
        status = crdt_dot_read(input, &dot);
        if (status != CRDT_OK)
            return status;
        /* What an origin has seen of itself is implied, never written. */
        if (crdt_origin_compare(&dot.origin, &header->batch.origin) == 0)
            return CRDT_ERR_MALFORMED;
        size_t feed = crdt_feeds_find(document, &dot.origin);
        if (feed == CRDT_FEED_NONE) {
            *ret_missing = (struct crdt_dot){dot.origin, 1};
            return CRDT_ERR_GAP;
        }
        deps->dots[i] = crdt_pack(feed, dot.seq);
    }
    return status;
}

/* An origin stands in a list once. */
static enum crdt_status check_distinct(
    const struct crdt_document *document, const struct crdt_deps *deps)
{
    const struct crdt_memory *memory = crdt_memory_of(document);
    struct crdt_sort_item *items = crdt_memory_new(memory, deps->count * sizeof *items);
    if (items == NULL)
        return CRDT_ERR_NOMEM;
    for (size_t i = 0; i < deps->count; i++)
        items[i] = (struct crdt_sort_item){.rank = crdt_dot_feed(deps->dots[i])};
    enum crdt_status status = crdt_sort(memory, items, deps->count, NULL, NULL);
    for (size_t i = 1; i < deps->count && status == CRDT_OK; i++)
        if (items[i].rank == items[i - 1].rank)
            status = CRDT_ERR_MALFORMED;
    crdt_memory_free(memory, items, deps->count * sizeof *items);
    return status;
}

static enum crdt_status check_applied(const struct crdt_document *document,
    const struct crdt_deps *deps, struct crdt_dot *ret_missing)
{
    for (size_t i = 0; i < deps->count; i++) {
        const struct crdt_feed_state *feed =
            &document->feeds.items[crdt_dot_feed(deps->dots[i])];
        if (feed->seq < crdt_dot_seq(deps->dots[i])) {
            *ret_missing = (struct crdt_dot){feed->origin, feed->seq + 1};
            return CRDT_ERR_GAP;
        }
    }
    return CRDT_OK;
}

/* How many new origins the deps name: after the increases. */
static enum crdt_status count_new(struct crdt_bytes deps, size_t *ret_count)
{
    uint64_t count;
    enum crdt_status status = crdt_read_uint(&deps, CRDT_ORIGINS_MAX, &count);
    for (uint64_t i = 0; i < 2 * count && status == CRDT_OK; i++) {
        uint64_t number;
        status = crdt_read_uint(&deps, UINT64_MAX, &number);
    }
    if (status == CRDT_OK)
        status = crdt_read_uint(&deps, CRDT_ORIGINS_MAX, &count);
    if (status == CRDT_OK)
        *ret_count = (size_t)count;
    return status;
}

enum crdt_status crdt_header_deps(const struct crdt_document *document,
    const struct crdt_header *header, struct crdt_deps **ret_deps, struct crdt_dot *ret_missing)
{
    size_t feed = crdt_feeds_find(document, &header->batch.origin);
    const struct crdt_deps *base =
        feed == CRDT_FEED_NONE ? NULL : document->feeds.items[feed].deps;
    size_t base_count = base == NULL ? 0 : base->count;
    size_t new_count;
    enum crdt_status status = count_new(header->deps, &new_count);
    if (status != CRDT_OK)
        return status;
    if (base_count + new_count == 0) {
        struct crdt_bytes none = header->deps;
        status = resolve_increases(&none, NULL, 0);
        if (status == CRDT_OK)
            *ret_deps = NULL;
        return status;
    }
    struct crdt_deps *deps = crdt_deps_new(document, base_count + new_count);
    if (deps == NULL)
        return CRDT_ERR_NOMEM;
    for (size_t i = 0; i < base_count; i++)
        deps->dots[i] = base->dots[i];
    struct crdt_bytes input = header->deps;
    status = resolve_increases(&input, deps, base_count);
    if (status == CRDT_OK)
        status = crdt_read_uint(&input, UINT64_MAX, &(uint64_t){0});
    if (status == CRDT_OK)
        status = resolve_new(document, header, &input, deps, base_count, ret_missing);
    if (status == CRDT_OK && new_count > 0)
        status = check_distinct(document, deps);
    if (status == CRDT_OK)
        status = check_applied(document, deps, ret_missing);
    if (status == CRDT_OK)
        *ret_deps = deps;
    else
        crdt_deps_free(document, deps);
    return status;
}

enum crdt_status crdt_header_first_seqs(const struct crdt_header *header,
    const struct crdt_deps *base, uint64_t *seqs, size_t count)
{
    struct crdt_body_reader reader;
    crdt_body_reader_init(&reader, header->body, header->batch.first_seq);
    while (!crdt_body_is_at_end(&reader)) {
        struct crdt_op op;
        enum crdt_status status = crdt_body_next(&reader, &op);
        if (status != CRDT_OK)
            return status;
        uint64_t least = 0;
        while (op.code == CRDT_OP_MARK && op.marks.size > 0) {
            uint64_t index;
            uint64_t increase;
            status = read_increase(&op.marks, least, count, &index, &increase);
            if (status != CRDT_OK)
                return status;
            uint64_t before =
                base != NULL && index < base->count ? crdt_dot_seq(base->dots[index]) : 0;
            if (seqs[index] - before < increase)
                return CRDT_ERR_MALFORMED;
            seqs[index] -= increase;
            least = index + 1;
        }
    }
    return CRDT_OK;
}
