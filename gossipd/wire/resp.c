/* The RESP2 reader; see resp.h. Follows the checks of Redis 7.0 one by one.
 *
 * A command that is not whole yet keeps only the sizes of its arguments,
 * because feeding may move the input; the pointers are set when it is whole. */
#include "gossipd/wire/resp.h"

#include <assert.h>
#include <string.h>

#include "gossipd/limits.h"
#include "gossipd/wire/number.h"
#include "gossipd/wire/resp_inline.h"

void resp_reader_init(struct resp_reader *reader, const struct crdt_memory *memory,
    size_t bulk_bytes_max)
{
    *reader = (struct resp_reader){.bulk_bytes_max = bulk_bytes_max};
    crdt_buffer_init(&reader->input, memory);
    crdt_buffer_init(&reader->unquoted, memory);
}

static void arguments_free(struct resp_reader *reader)
{
    struct crdt_memory *memory = &reader->input.memory;
    if (reader->arguments != NULL) {
        memory->reallocate(memory->context, reader->arguments,
            reader->argument_capacity * sizeof *reader->arguments, 0);
    }
    reader->arguments = NULL;
    reader->argument_count = 0;
    reader->argument_capacity = 0;
}

void resp_reader_close(struct resp_reader *reader)
{
    arguments_free(reader);
    crdt_buffer_close(&reader->input);
    crdt_buffer_close(&reader->unquoted);
}

static void buffer_shrink(struct crdt_buffer *buffer)
{
    struct crdt_memory memory = buffer->memory;
    if (buffer->capacity > RESP_KEEP_BYTES) {
        crdt_buffer_close(buffer);
        crdt_buffer_init(buffer, &memory);
    }
}

/* Everything is consumed. Gives back what a large command made grow: an idle
 * client holds little. */
static void reader_rest(struct resp_reader *reader)
{
    crdt_buffer_clear(&reader->input);
    reader->consumed = 0;
    reader->scan = 0;
    buffer_shrink(&reader->input);
    buffer_shrink(&reader->unquoted);
    if (reader->argument_capacity > RESP_KEEP_BYTES / sizeof *reader->arguments) {
        arguments_free(reader);
    }
}

enum crdt_status resp_reader_feed(struct resp_reader *reader, const void *data, size_t size)
{
    struct crdt_buffer *input = &reader->input;
    if (reader->consumed > 0 && reader->consumed >= input->size - reader->consumed
        && input->capacity - input->size < size) {
        /* At least half is consumed, so moving the rest costs less than what
         * was read since the last move. */
        memmove(input->data, input->data + reader->consumed, input->size - reader->consumed);
        input->size -= reader->consumed;
        reader->scan -= reader->consumed;
        reader->consumed = 0;
    }
    return crdt_buffer_append(input, data, size);
}

/* The first `byte` at or after `offset`, or NULL when it is not there. Looks no
 * further than one inline command, so that the size of the pieces in which the
 * bytes came decides nothing. */
static const uint8_t *line_end(const struct resp_reader *reader, size_t offset, int byte)
{
    size_t size = reader->input.size - offset;
    if (size > INLINE_BYTES_MAX) {
        size = INLINE_BYTES_MAX;
    }
    return size == 0 ? NULL : memchr(reader->input.data + offset, byte, size);
}

/* Reads the number between the type byte at `offset` and CRLF. RESP_COMMAND
 * means that it is there, and `ret_next` is where the line ends. */
static enum resp_result read_count(const struct resp_reader *reader, size_t offset,
    int64_t *ret_count, size_t *ret_next, bool *ret_is_number)
{
    const uint8_t *start = reader->input.data + offset;
    const uint8_t *end = line_end(reader, offset, '\r');
    if (end == NULL) {
        return reader->input.size - offset >= INLINE_BYTES_MAX ? RESP_ERROR : RESP_MORE;
    }
    size_t digits = (size_t)(end - start);
    if (reader->input.size - offset < digits + 2) {
        return RESP_MORE;
    }
    /* An empty line has no type byte; there is no number in it either. */
    struct crdt_bytes text = {start + 1, digits > 0 ? digits - 1 : 0};
    *ret_is_number = text.size > 0 && number_parse(text, ret_count);
    *ret_next = offset + digits + 2;
    return RESP_COMMAND;
}

static enum resp_result arguments_reserve(struct resp_reader *reader)
{
    struct crdt_memory *memory = &reader->input.memory;
    size_t capacity = reader->argument_capacity;
    size_t item_bytes = sizeof *reader->arguments;
    if (reader->argument_count < capacity) {
        return RESP_COMMAND;
    }
    size_t grown = capacity == 0 ? 8 : capacity * 2;
    void *block = memory->reallocate(
        memory->context, reader->arguments, capacity * item_bytes, grown * item_bytes);
    if (block == NULL) {
        return RESP_NOMEM;
    }
    reader->arguments = block;
    reader->argument_capacity = grown;
    return RESP_COMMAND;
}

/* Reads `*<count>CRLF`. RESP_COMMAND: a command with that many arguments began,
 * or an empty one was skipped and multibulk_left is still 0. */
static enum resp_result read_multibulk_head(struct resp_reader *reader, const char **ret_error)
{
    int64_t count = 0;
    size_t next = 0;
    bool is_number = false;
    enum resp_result result = read_count(reader, reader->consumed, &count, &next, &is_number);
    if (result == RESP_ERROR) {
        *ret_error = "Protocol error: too big mbulk count string";
    }
    if (result != RESP_COMMAND) {
        return result;
    }
    if (!is_number || count > RESP_ARGUMENTS_MAX) {
        *ret_error = "Protocol error: invalid multibulk length";
        return RESP_ERROR;
    }
    reader->scan = next;
    if (count <= 0) {
        reader->consumed = next;
        return RESP_COMMAND;
    }
    reader->multibulk_left = (uint64_t)count;
    return RESP_COMMAND;
}

/* Names the byte that stands where '$' was expected. */
static enum resp_result expected_dollar(struct resp_reader *reader, uint8_t byte,
    const char **ret_error)
{
    static const char text[] = "Protocol error: expected '$', got ";
    static_assert(sizeof text + 3 <= sizeof reader->error, "the text fits");
    size_t size = sizeof text - 1;
    memcpy(reader->error, text, size);
    reader->error[size] = '\'';
    /* A reply is zero-terminated text; a NUL byte is shown as a blank. */
    reader->error[size + 1] = byte == 0 ? ' ' : (char)byte;
    reader->error[size + 2] = '\'';
    reader->error[size + 3] = 0;
    *ret_error = reader->error;
    return RESP_ERROR;
}

/* Reads `$<size>CRLF<bytes>CRLF`, the next argument, whole or not at all. */
static enum resp_result read_bulk(struct resp_reader *reader, const char **ret_error)
{
    int64_t size = 0;
    size_t next = 0;
    bool is_number = false;
    enum resp_result result = read_count(reader, reader->scan, &size, &next, &is_number);
    if (result == RESP_ERROR) {
        *ret_error = "Protocol error: too big bulk count string";
    }
    if (result != RESP_COMMAND) {
        return result;
    }
    if (reader->input.data[reader->scan] != '$') {
        return expected_dollar(reader, reader->input.data[reader->scan], ret_error);
    }
    /* A negative size is above every bound once it is unsigned. */
    if (!is_number || (uint64_t)size > reader->bulk_bytes_max) {
        *ret_error = "Protocol error: invalid bulk length";
        return RESP_ERROR;
    }
    if (reader->input.size - next < (size_t)size + 2) {
        return RESP_MORE;
    }
    result = arguments_reserve(reader);
    if (result == RESP_COMMAND) {
        reader->arguments[reader->argument_count++].size = (size_t)size;
        reader->multibulk_left--;
        reader->scan = next + (size_t)size + 2;
    }
    return result;
}

/* Sets the pointers of a whole multibulk command: each argument stands behind
 * a line, and the first of these behind the line with the count. */
static void arguments_point(struct resp_reader *reader)
{
    size_t offset = reader->consumed;
    offset = (size_t)(line_end(reader, offset, '\r') + 2 - reader->input.data);
    for (size_t i = 0; i < reader->argument_count; i++) {
        const uint8_t *end = line_end(reader, offset, '\r');
        assert(end != NULL);
        reader->arguments[i].data = end + 2;
        offset = (size_t)(end + 2 - reader->input.data) + reader->arguments[i].size + 2;
    }
    assert(offset == reader->scan);
    reader->consumed = offset;
}

static enum resp_result read_multibulk(struct resp_reader *reader, const char **ret_error)
{
    enum resp_result result = RESP_COMMAND;
    if (reader->multibulk_left == 0) {
        result = read_multibulk_head(reader, ret_error);
        if (reader->multibulk_left == 0) {
            return result;
        }
    }
    while (reader->multibulk_left > 0) {
        result = read_bulk(reader, ret_error);
        if (result != RESP_COMMAND) {
            return result;
        }
    }
    arguments_point(reader);
    return RESP_COMMAND;
}

static enum resp_result read_inline(struct resp_reader *reader, const char **ret_error)
{
    const uint8_t *start = reader->input.data + reader->consumed;
    const uint8_t *end = line_end(reader, reader->consumed, '\n');
    if (end == NULL) {
        *ret_error = "Protocol error: too big inline request";
        return reader->input.size - reader->consumed >= INLINE_BYTES_MAX ? RESP_ERROR : RESP_MORE;
    }
    struct crdt_bytes rest = {start, (size_t)(end - start)};
    crdt_buffer_clear(&reader->unquoted);
    if (crdt_buffer_append(&reader->unquoted, rest.data, rest.size) != CRDT_OK) {
        return RESP_NOMEM;
    }
    struct resp_inline line = {reader->unquoted.data, reader->unquoted.size, 0};
    struct crdt_bytes argument;
    enum resp_inline_result found;
    while ((found = resp_inline_next(&line, &argument)) == RESP_INLINE_ARGUMENT) {
        if (arguments_reserve(reader) != RESP_COMMAND) {
            reader->argument_count = 0;
            return RESP_NOMEM;
        }
        reader->arguments[reader->argument_count++] = argument;
    }
    if (found == RESP_INLINE_UNBALANCED) {
        reader->argument_count = 0;
        *ret_error = "Protocol error: unbalanced quotes in request";
        return RESP_ERROR;
    }
    reader->consumed += rest.size + 1;
    reader->scan = reader->consumed;
    return RESP_COMMAND;
}

/* `lower` is lower case. */
static bool is_word(struct crdt_bytes bytes, const char *lower)
{
    const char *text = bytes.data;
    if (bytes.size != strlen(lower)) {
        return false;
    }
    for (size_t i = 0; i < bytes.size; i++) {
        char byte = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 32) : text[i];
        if (byte != lower[i]) {
            return false;
        }
    }
    return true;
}

enum resp_result resp_reader_next(struct resp_reader *reader,
    const struct crdt_bytes **ret_arguments, size_t *ret_count, const char **ret_error)
{
    enum resp_result result = RESP_COMMAND;
    if (reader->multibulk_left == 0) {
        reader->argument_count = 0;
    }
    do {
        if (reader->consumed == reader->input.size) {
            reader_rest(reader);
            return RESP_MORE;
        }
        if (reader->input.data[reader->consumed] == '*') {
            result = read_multibulk(reader, ret_error);
        } else {
            result = read_inline(reader, ret_error);
        }
    } while (result == RESP_COMMAND && reader->argument_count == 0);
    if (result != RESP_COMMAND) {
        return result;
    }
    if (is_word(reader->arguments[0], "post") || is_word(reader->arguments[0], "host:")) {
        return RESP_CLOSE;
    }
    *ret_arguments = reader->arguments;
    *ret_count = reader->argument_count;
    return RESP_COMMAND;
}
