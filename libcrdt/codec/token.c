/* Tokens: single msgpack values in their shortest form, and nothing else.
 *
 * Writing goes through msgpack-c's packer with a write callback of our own;
 * reading through its streaming template, one scalar at a time, so that neither
 * ever allocates more than the bytes at hand and no array can nest. */
#include <assert.h>
#include <crdt.h>
#include <msgpack/pack.h>
#include <msgpack/unpack.h>
#include <string.h>

#include "libcrdt/base/buffer.h"

/* ---- writing ---- */

enum { HEAD_BYTES_MAX = 9 }; /* the longest head of a token: 1 + 8               */

static int append_reserved(void *data, const char *bytes, size_t size)
{
    struct crdt_buffer *buffer = data;
    assert(size <= buffer->capacity - buffer->size);
    memcpy(buffer->data + buffer->size, bytes, size);
    buffer->size += size;
    return 0;
}

/* Room is made first, so that a token is written whole or not at all. */
static enum crdt_status begin_token(
    struct crdt_buffer *buffer, size_t body_bytes, msgpack_packer *ret_packer)
{
    if (body_bytes > UINT32_MAX)
        return CRDT_ERR_LIMIT;
    enum crdt_status status = crdt_buffer_reserve(buffer, HEAD_BYTES_MAX + body_bytes);
    if (status == CRDT_OK)
        msgpack_packer_init(ret_packer, buffer, append_reserved);
    return status;
}

enum crdt_status crdt_write_uint(struct crdt_buffer *buffer, uint64_t value)
{
    msgpack_packer packer;
    enum crdt_status status = begin_token(buffer, 0, &packer);
    if (status == CRDT_OK)
        msgpack_pack_uint64(&packer, value);
    return status;
}

enum crdt_status crdt_write_int(struct crdt_buffer *buffer, int64_t value)
{
    msgpack_packer packer;
    enum crdt_status status = begin_token(buffer, 0, &packer);
    if (status == CRDT_OK)
        msgpack_pack_int64(&packer, value);
    return status;
}

enum crdt_status crdt_write_bytes(struct crdt_buffer *buffer, struct crdt_bytes bytes)
{
    msgpack_packer packer;
    enum crdt_status status = begin_token(buffer, bytes.size, &packer);
    if (status != CRDT_OK)
        return status;
    msgpack_pack_bin(&packer, bytes.size);
    if (bytes.size > 0)
        msgpack_pack_bin_body(&packer, bytes.data, bytes.size);
    return CRDT_OK;
}

/* ---- reading ---- */

enum token_kind { TOKEN_UINT, TOKEN_NEGATIVE, TOKEN_BYTES };

struct token {
    enum token_kind kind;
    uint64_t number; /* TOKEN_NEGATIVE: the bits of an int64_t                      */
    struct crdt_bytes bytes;
};

#undef MSGPACK_EMBED_STACK_SIZE
#define MSGPACK_EMBED_STACK_SIZE 1 /* arrays and maps are refused at their head     */
#include <msgpack/unpack_define.h>
#define msgpack_unpack_struct(name) struct token_parser##name
#define msgpack_unpack_func(ret, name) static ret token_parser##name
#define msgpack_unpack_callback(name) token_on##name
#define msgpack_unpack_object unsigned char
#define msgpack_unpack_user struct token

/* What the format does not use is refused where it begins. */
enum { REFUSED = -1 };

static int token_on_uint64(struct token *token, uint64_t number, unsigned char *object)
{
    *object = 0;
    token->kind = TOKEN_UINT;
    token->number = number;
    return 0;
}

static int token_on_uint8(struct token *token, uint8_t number, unsigned char *object)
{
    return token_on_uint64(token, number, object);
}

static int token_on_uint16(struct token *token, uint16_t number, unsigned char *object)
{
    return token_on_uint64(token, number, object);
}

static int token_on_uint32(struct token *token, uint32_t number, unsigned char *object)
{
    return token_on_uint64(token, number, object);
}

/* A signed head before a number that has an unsigned one is a second way to
 * write it. */
static int token_on_int64(struct token *token, int64_t number, unsigned char *object)
{
    *object = 0;
    if (number >= 0)
        return REFUSED;
    token->kind = TOKEN_NEGATIVE;
    token->number = (uint64_t)number;
    return 0;
}

static int token_on_int8(struct token *token, int8_t number, unsigned char *object)
{
    return token_on_int64(token, number, object);
}

static int token_on_int16(struct token *token, int16_t number, unsigned char *object)
{
    return token_on_int64(token, number, object);
}

static int token_on_int32(struct token *token, int32_t number, unsigned char *object)
{
    return token_on_int64(token, number, object);
}

static int token_on_bin(struct token *token, const char *start, const char *body,
    unsigned int size, unsigned char *object)
{
    (void)start;
    *object = 0;
    token->kind = TOKEN_BYTES;
    token->bytes = (struct crdt_bytes){.data = body, .size = size};
    return 0;
}

static int token_on_str(struct token *token, const char *start, const char *body,
    unsigned int size, unsigned char *object)
{
    (void)token;
    (void)start;
    (void)body;
    (void)size;
    (void)object;
    return REFUSED;
}

static int token_on_ext(struct token *token, const char *start, const char *body,
    unsigned int size, unsigned char *object)
{
    return token_on_str(token, start, body, size, object);
}

static int token_on_array(struct token *token, unsigned int count, unsigned char *object)
{
    (void)token;
    (void)count;
    (void)object;
    return REFUSED;
}

static int token_on_map(struct token *token, unsigned int count, unsigned char *object)
{
    return token_on_array(token, count, object);
}

static int token_on_array_item(struct token *token, unsigned char *object, unsigned char item)
{
    return token_on_array(token, item, object);
}

static int token_on_map_item(
    struct token *token, unsigned char *object, unsigned char key, unsigned char value)
{
    (void)key;
    return token_on_array(token, value, object);
}

static int token_on_nil(struct token *token, unsigned char *object)
{
    return token_on_array(token, 0, object);
}

static int token_on_true(struct token *token, unsigned char *object)
{
    return token_on_array(token, 0, object);
}

static int token_on_false(struct token *token, unsigned char *object)
{
    return token_on_array(token, 0, object);
}

static int token_on_double(struct token *token, double number, unsigned char *object)
{
    (void)number;
    return token_on_array(token, 0, object);
}

static int token_on_float(struct token *token, float number, unsigned char *object)
{
    (void)number;
    return token_on_array(token, 0, object);
}

/* Called once per message, which is not what this reads. */
static unsigned char token_on_root(struct token *token)
{
    (void)token;
    return 0;
}

#include <msgpack/unpack_template.h>

static size_t shortest_bytes(const struct token *token)
{
    switch (token->kind) {
    case TOKEN_BYTES:
        return token->bytes.size +
            (token->bytes.size <= UINT8_MAX ? 2u : token->bytes.size <= UINT16_MAX ? 3u : 5u);
    case TOKEN_UINT:
        if (token->number <= INT8_MAX)
            return 1;
        if (token->number <= UINT8_MAX)
            return 2;
        return token->number <= UINT16_MAX ? 3 : token->number <= UINT32_MAX ? 5 : 9;
    case TOKEN_NEGATIVE: {
        int64_t number = (int64_t)token->number;
        if (number >= -32)
            return 1;
        if (number >= INT8_MIN)
            return 2;
        return number >= INT16_MIN ? 3 : number >= INT32_MIN ? 5 : 9;
    }
    }
    return 0;
}

/* Most tokens are small numbers and short strings, each of one form only: they
 * need no state to be read. False: the token is another one, or cut off. */
static bool read_short(struct crdt_bytes *input, struct token *ret_token)
{
    enum { BIN8 = 0xc4, BIN8_HEAD_BYTES = 2 };
    const uint8_t *data = input->data;
    size_t used = 1;
    if (data[0] <= INT8_MAX) {
        *ret_token = (struct token){.kind = TOKEN_UINT, .number = data[0]};
    } else if (data[0] == BIN8 && input->size >= BIN8_HEAD_BYTES &&
        input->size - BIN8_HEAD_BYTES >= data[1]) {
        used = BIN8_HEAD_BYTES + (size_t)data[1];
        *ret_token = (struct token){.kind = TOKEN_BYTES,
            .bytes = {.data = data + BIN8_HEAD_BYTES, .size = data[1]}};
    } else {
        return false;
    }
    input->data = data + used;
    input->size -= used;
    return true;
}

static enum crdt_status read_token(struct crdt_bytes *input, struct token *ret_token)
{
    if (input->size == 0)
        return CRDT_ERR_MALFORMED;
    if (read_short(input, ret_token))
        return CRDT_OK;
    struct token_parser_context parser;
    token_parser_init(&parser);
    parser.user = (struct token){0};
    size_t offset = 0;
    int result = token_parser_execute(&parser, input->data, input->size, &offset);
    if (result != 1 || shortest_bytes(&parser.user) != offset)
        return CRDT_ERR_MALFORMED;
    (void)token_parser_data(&parser); /* the template makes it; there is no value tree */
    *ret_token = parser.user;
    input->data = (const uint8_t *)input->data + offset;
    input->size -= offset;
    return CRDT_OK;
}

enum crdt_status crdt_read_uint(struct crdt_bytes *input, uint64_t max, uint64_t *ret_value)
{
    struct crdt_bytes rest = *input;
    struct token token;
    enum crdt_status status = read_token(&rest, &token);
    if (status != CRDT_OK)
        return status;
    if (token.kind != TOKEN_UINT || token.number > max)
        return CRDT_ERR_MALFORMED;
    *input = rest;
    *ret_value = token.number;
    return CRDT_OK;
}

enum crdt_status crdt_read_int(struct crdt_bytes *input, int64_t *ret_value)
{
    struct crdt_bytes rest = *input;
    struct token token;
    enum crdt_status status = read_token(&rest, &token);
    if (status != CRDT_OK)
        return status;
    if (token.kind == TOKEN_BYTES || (token.kind == TOKEN_UINT && token.number > INT64_MAX))
        return CRDT_ERR_MALFORMED;
    *input = rest;
    *ret_value = (int64_t)token.number;
    return CRDT_OK;
}

enum crdt_status crdt_read_bytes(
    struct crdt_bytes *input, size_t bytes_max, struct crdt_bytes *ret_bytes)
{
    struct crdt_bytes rest = *input;
    struct token token;
    enum crdt_status status = read_token(&rest, &token);
    if (status != CRDT_OK)
        return status;
    if (token.kind != TOKEN_BYTES || token.bytes.size > bytes_max)
        return CRDT_ERR_MALFORMED;
    *input = rest;
    *ret_bytes = token.bytes;
    return CRDT_OK;
}
