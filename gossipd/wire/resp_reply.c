/* The RESP2 reply writers; see resp.h. Each appends whole or not at all. */
#include <string.h>

#include "gossipd/wire/number.h"
#include "gossipd/wire/resp.h"

/* Puts the buffer back to `size` when `status` says that a part is missing. */
static enum crdt_status whole_or_nothing(
    struct crdt_buffer *reply, size_t size, enum crdt_status status)
{
    if (status != CRDT_OK) {
        reply->size = size;
    }
    return status;
}

/* A type byte, a number and CRLF. */
static enum crdt_status append_head(struct crdt_buffer *reply, char type, int64_t value)
{
    char line[NUMBER_TEXT_BYTES + 3];
    line[0] = type;
    size_t size = 1 + number_format(value, line + 1);
    line[size++] = '\r';
    line[size++] = '\n';
    return crdt_buffer_append(reply, line, size);
}

/* A type byte, text without line ends, and CRLF. */
static enum crdt_status append_line(struct crdt_buffer *reply, char type, const char *text)
{
    size_t before = reply->size;
    enum crdt_status status = crdt_buffer_append(reply, &type, 1);
    if (status == CRDT_OK) {
        status = crdt_buffer_append(reply, text, strlen(text));
    }
    for (size_t i = before; i < reply->size; i++) {
        if (reply->data[i] == '\r' || reply->data[i] == '\n') {
            reply->data[i] = ' ';
        }
    }
    if (status == CRDT_OK) {
        status = crdt_buffer_append(reply, "\r\n", 2);
    }
    return whole_or_nothing(reply, before, status);
}

enum crdt_status resp_simple(struct crdt_buffer *reply, const char *text)
{
    return append_line(reply, '+', text);
}

enum crdt_status resp_error(struct crdt_buffer *reply, const char *text)
{
    return append_line(reply, '-', text);
}

enum crdt_status resp_integer(struct crdt_buffer *reply, int64_t value)
{
    return append_head(reply, ':', value);
}

enum crdt_status resp_bulk(struct crdt_buffer *reply, struct crdt_bytes bytes)
{
    size_t before = reply->size;
    enum crdt_status status = append_head(reply, '$', (int64_t)bytes.size);
    if (status == CRDT_OK && bytes.size > 0) {
        status = crdt_buffer_append(reply, bytes.data, bytes.size);
    }
    if (status == CRDT_OK) {
        status = crdt_buffer_append(reply, "\r\n", 2);
    }
    return whole_or_nothing(reply, before, status);
}

enum crdt_status resp_null(struct crdt_buffer *reply)
{
    return crdt_buffer_append(reply, "$-1\r\n", 5);
}

enum crdt_status resp_null_array(struct crdt_buffer *reply)
{
    return crdt_buffer_append(reply, "*-1\r\n", 5);
}

enum crdt_status resp_array(struct crdt_buffer *reply, size_t count)
{
    return append_head(reply, '*', (int64_t)count);
}
