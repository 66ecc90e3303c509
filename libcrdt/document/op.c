#include "libcrdt/document/op.h"

#include <assert.h>

#include "libcrdt/base/buffer.h"

bool crdt_op_has_element(enum crdt_op_code code)
{
    return code == CRDT_OP_PUT_ELEMENT || code == CRDT_OP_KILL_ELEMENT;
}

size_t crdt_op_depth(const struct crdt_op *op)
{
    return crdt_op_has_element(op->code) ? op->key_count - 1 : op->key_count;
}

enum crdt_type crdt_op_type(enum crdt_op_code code)
{
    switch ((int)code) {
    case CRDT_OP_PUT_REGISTER:
        return CRDT_REGISTER;
    case CRDT_OP_PUT_ELEMENT:
    case CRDT_OP_KILL_ELEMENT:
        return CRDT_SET;
    case CRDT_OP_PUT_FLAG:
        return CRDT_FLAG;
    case CRDT_OP_ADD_COUNTER:
    case CRDT_OP_FOLD_COUNTER:
        return CRDT_COUNTER;
    case CRDT_OP_ADD_GCOUNTER:
    case CRDT_OP_FOLD_GCOUNTER:
        return CRDT_GCOUNTER;
    default:
        if (code > CRDT_OP_KILL && code < CRDT_OP_KILL_ELEMENT)
            return (enum crdt_type)(code - CRDT_OP_KILL);
        return CRDT_ANY;
    }
}

enum crdt_kind crdt_op_kind(enum crdt_op_code code)
{
    if (code <= CRDT_OP_PUT_FLAG)
        return CRDT_PUT;
    if (code <= CRDT_OP_ADD_GCOUNTER)
        return CRDT_ADD;
    if (code <= CRDT_OP_FOLD_GCOUNTER)
        return CRDT_FOLD;
    return code <= CRDT_OP_KILL_ELEMENT ? CRDT_KILL : CRDT_NOTE;
}

static bool path_is_within_limits(const struct crdt_bytes *keys, size_t key_count, bool has_element)
{
    if (key_count > CRDT_DEPTH_MAX + (has_element ? 1u : 0u))
        return false;
    size_t bytes = 0;
    for (size_t i = 0; i < key_count; i++) {
        if (keys[i].size > CRDT_PATH_BYTES_MAX)
            return false;
        bytes += keys[i].size;
    }
    return bytes <= CRDT_PATH_BYTES_MAX;
}

enum crdt_status crdt_op_check_limits(const struct crdt_op *op)
{
    if (!path_is_within_limits(op->keys, op->key_count, crdt_op_has_element(op->code)))
        return CRDT_ERR_LIMIT;
    return op->value.size <= CRDT_VALUE_BYTES_MAX ? CRDT_OK : CRDT_ERR_LIMIT;
}

enum crdt_status crdt_path_write(struct crdt_buffer *buffer, const struct crdt_bytes *keys,
    size_t key_count, const struct crdt_bytes *before, size_t before_count)
{
    size_t shared = 0;
    while (shared < key_count && shared < before_count &&
        crdt_bytes_equal(keys[shared], before[shared]))
        shared++;
    enum crdt_status status = crdt_write_uint(buffer, shared);
    if (status == CRDT_OK)
        status = crdt_write_uint(buffer, key_count - shared);
    for (size_t i = shared; i < key_count && status == CRDT_OK; i++)
        status = crdt_write_bytes(buffer, keys[i]);
    return status;
}

enum crdt_status crdt_path_read(struct crdt_bytes *input, struct crdt_path_reader *reader)
{
    uint64_t shared;
    uint64_t fresh;
    enum crdt_status status = crdt_read_uint(input, reader->key_count, &shared);
    if (status == CRDT_OK)
        status = crdt_read_uint(input, CRDT_DEPTH_MAX + 1 - shared, &fresh);
    if (status != CRDT_OK)
        return status;
    reader->key_count = (size_t)shared;
    for (uint64_t i = 0; i < fresh; i++) {
        status = crdt_read_bytes(
            input, CRDT_PATH_BYTES_MAX, &reader->keys[reader->key_count]);
        if (status != CRDT_OK)
            return status;
        reader->key_count++;
    }
    return CRDT_OK;
}

/* What stands after the path. */
static enum crdt_status write_payload(
    struct crdt_buffer *buffer, const struct crdt_op *op, uint64_t hlc_before)
{
    enum crdt_status status = CRDT_OK;
    if (op->code == CRDT_OP_PUT_REGISTER) {
        /* The difference wraps around like the numbers themselves. */
        status = crdt_write_int(buffer, (int64_t)(op->hlc - hlc_before));
        if (status == CRDT_OK)
            status = crdt_write_bytes(buffer, op->value);
    } else if (op->code == CRDT_OP_FOLD_COUNTER || op->code == CRDT_OP_FOLD_GCOUNTER) {
        assert(op->fold_seq < op->seq);
        assert(op->fold_from < op->fold_seq);
        status = crdt_write_uint(buffer, op->seq - op->fold_seq);
        if (status == CRDT_OK)
            status = crdt_write_uint(buffer, op->fold_seq - op->fold_from);
        if (status == CRDT_OK)
            status = crdt_write_int(buffer, op->amount);
    }
    return status;
}

enum crdt_status crdt_op_write(struct crdt_buffer *buffer, const struct crdt_op *op,
    const struct crdt_bytes *before, size_t before_count, uint64_t hlc_before)
{
    assert(crdt_op_check_limits(op) == CRDT_OK);
    assert(op->code != CRDT_OP_MARK);
    enum crdt_status status = crdt_write_uint(buffer, (uint64_t)op->code);
    if (status == CRDT_OK && op->code != CRDT_OP_NOTE)
        status = crdt_path_write(buffer, op->keys, op->key_count, before, before_count);
    if (status == CRDT_OK)
        status = write_payload(buffer, op, hlc_before);
    return status;
}

void crdt_body_reader_init(
    struct crdt_body_reader *reader, struct crdt_bytes body, uint64_t first_seq)
{
    reader->rest = body;
    reader->seq = first_seq;
    reader->hlc = 0;
    reader->without_amounts = false;
    reader->path.key_count = 0;
}

static enum crdt_status read_amount(struct crdt_body_reader *reader, struct crdt_op *op)
{
    if (reader->without_amounts && crdt_op_kind(op->code) == CRDT_ADD)
        return CRDT_OK;
    enum crdt_status status = crdt_read_int(&reader->rest, &op->amount);
    if (status == CRDT_OK && crdt_op_type(op->code) == CRDT_GCOUNTER && op->amount < 0)
        status = CRDT_ERR_MALFORMED;
    return status;
}

/* The run that is folded: both ends come before the FOLD, and it has two. */
static enum crdt_status read_run(struct crdt_body_reader *reader, struct crdt_op *op)
{
    uint64_t distance;
    uint64_t span;
    enum crdt_status status = crdt_read_uint(&reader->rest, op->seq - 1, &distance);
    if (status != CRDT_OK)
        return status;
    op->fold_seq = op->seq - distance;
    status = crdt_read_uint(&reader->rest, op->fold_seq - 1, &span);
    if (status != CRDT_OK)
        return status;
    op->fold_from = op->fold_seq - span;
    return distance > 0 && span > 0 ? CRDT_OK : CRDT_ERR_MALFORMED;
}

static enum crdt_status read_payload(struct crdt_body_reader *reader, struct crdt_op *op)
{
    enum crdt_status status = CRDT_OK;
    if (op->code == CRDT_OP_PUT_REGISTER) {
        int64_t difference;
        status = crdt_read_int(&reader->rest, &difference);
        if (status == CRDT_OK)
            status = crdt_read_bytes(&reader->rest, CRDT_VALUE_BYTES_MAX, &op->value);
        if (status == CRDT_OK)
            reader->hlc += (uint64_t)difference;
        op->hlc = reader->hlc;
    } else if (crdt_op_kind(op->code) == CRDT_FOLD) {
        status = read_run(reader, op);
        if (status == CRDT_OK)
            status = read_amount(reader, op);
    } else if (crdt_op_kind(op->code) == CRDT_ADD) {
        status = read_amount(reader, op);
    }
    return status;
}

/* Skips over the pairs of a mark; what they mean is checked by the batch. */
static enum crdt_status read_mark(struct crdt_body_reader *reader, struct crdt_op *op)
{
    uint64_t count;
    enum crdt_status status = crdt_read_uint(&reader->rest, CRDT_ORIGINS_MAX, &count);
    const uint8_t *start = reader->rest.data;
    for (uint64_t i = 0; i < 2 * count && status == CRDT_OK; i++) {
        uint64_t number;
        status = crdt_read_uint(&reader->rest, CRDT_SEQ_MAX, &number);
    }
    if (status != CRDT_OK || count == 0)
        return CRDT_ERR_MALFORMED;
    op->marks.data = start;
    op->marks.size = (size_t)((const uint8_t *)reader->rest.data - start);
    return CRDT_OK;
}

static enum crdt_status read_record(struct crdt_body_reader *reader, struct crdt_op *op)
{
    enum crdt_status status = crdt_path_read(&reader->rest, &reader->path);
    if (status != CRDT_OK)
        return status;
    op->keys = reader->path.keys;
    op->key_count = reader->path.key_count;
    if (crdt_op_has_element(op->code) && op->key_count == 0)
        return CRDT_ERR_MALFORMED;
    if (crdt_op_check_limits(op) != CRDT_OK)
        return CRDT_ERR_MALFORMED;
    return read_payload(reader, op);
}

enum crdt_status crdt_body_next(struct crdt_body_reader *reader, struct crdt_op *ret_op)
{
    uint64_t code;
    enum crdt_status status = crdt_read_uint(&reader->rest, UINT64_MAX, &code);
    if (status != CRDT_OK)
        return status;
    if (code == 0)
        return CRDT_ERR_MALFORMED;
    if (code > CRDT_OP_MARK)
        return CRDT_ERR_VERSION;
    struct crdt_op op = {.code = (enum crdt_op_code)code, .seq = reader->seq};
    if (op.code == CRDT_OP_MARK)
        status = read_mark(reader, &op);
    else if (op.code != CRDT_OP_NOTE)
        status = read_record(reader, &op);
    if (status != CRDT_OK)
        return status;
    if (op.code != CRDT_OP_MARK)
        reader->seq++;
    *ret_op = op;
    return CRDT_OK;
}
