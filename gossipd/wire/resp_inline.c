/* Unquotes inline commands by the rules of Redis's sdssplitargs(): in double
 * quotes \xHH, \n, \r, \t, \b, \a and \<any>; in single quotes only \'; a
 * closing quote must stand before a blank or the end. */
#include "gossipd/wire/resp_inline.h"

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r') || byte == 0;
}

static int hex_value(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    if (byte >= 'a' && byte <= 'f') {
        return byte - 'a' + 10;
    }
    return byte >= 'A' && byte <= 'F' ? byte - 'A' + 10 : -1;
}

static uint8_t escaped(uint8_t byte)
{
    switch (byte) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    default:
        return byte;
    }
}

/* Takes one byte of a quoted part, escapes resolved; more than one byte is read
 * only where they are at hand. */
static uint8_t quoted_byte(struct resp_inline *line, uint8_t quote)
{
    const uint8_t *at = line->data + line->offset;
    size_t left = line->size - line->offset;
    if (quote == '"' && left >= 4 && at[0] == '\\' && at[1] == 'x' && hex_value(at[2]) >= 0
        && hex_value(at[3]) >= 0) {
        line->offset += 4;
        return (uint8_t)(hex_value(at[2]) * 16 + hex_value(at[3]));
    }
    if (left >= 2 && at[0] == '\\' && (quote == '"' || at[1] == '\'')) {
        line->offset += 2;
        return quote == '"' ? escaped(at[1]) : at[1];
    }
    line->offset++;
    return at[0];
}

/* Copies up to the closing quote; false when it is missing or text follows. */
static bool take_quoted(struct resp_inline *line, size_t *end)
{
    uint8_t quote = line->data[line->offset++];
    while (line->offset < line->size) {
        if (line->data[line->offset] == quote) {
            line->offset++;
            return line->offset == line->size || is_blank(line->data[line->offset]);
        }
        line->data[(*end)++] = quoted_byte(line, quote);
    }
    return false;
}

enum resp_inline_result resp_inline_next(
    struct resp_inline *line, struct crdt_bytes *ret_argument)
{
    while (line->offset < line->size && is_blank(line->data[line->offset])) {
        line->offset++;
    }
    if (line->offset == line->size) {
        return RESP_INLINE_END;
    }
    size_t start = line->offset;
    size_t end = start;
    while (line->offset < line->size && !is_blank(line->data[line->offset])) {
        uint8_t byte = line->data[line->offset];
        if (byte == '"' || byte == '\'') {
            if (!take_quoted(line, &end)) {
                return RESP_INLINE_UNBALANCED;
            }
        } else {
            line->data[end++] = byte;
            line->offset++;
        }
    }
    *ret_argument = (struct crdt_bytes){line->data + start, end - start};
    return RESP_INLINE_ARGUMENT;
}
