/* Text without stdio; see text.h. */
#include "gossipd/core/commands/text.h"

#include <string.h>

#include "gossipd/wire/number.h"

void text_put_bytes(struct text *text, struct crdt_bytes more, size_t bytes_max)
{
    const char *from = more.data;
    for (size_t i = 0; i < more.size && i < bytes_max && from[i] != 0; i++) {
        if (text->size == sizeof text->data - 1) {
            return;
        }
        text->data[text->size++] = from[i];
    }
}

void text_put(struct text *text, const char *more)
{
    text_put_bytes(text, crdt_text(more), sizeof text->data);
}

const char *text_end(struct text *text)
{
    text->data[text->size] = 0;
    return text->data;
}

bool text_equals(struct crdt_bytes bytes, const char *text)
{
    return bytes.size == strlen(text)
        && (bytes.size == 0 || memcmp(bytes.data, text, bytes.size) == 0);
}

char text_lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
}

void lines_bytes(struct lines *lines, struct crdt_bytes bytes)
{
    if (lines->status == CRDT_OK && bytes.size > 0) {
        lines->status = crdt_buffer_append(lines->buffer, bytes.data, bytes.size);
    }
}

void lines_text(struct lines *lines, const char *text)
{
    lines_bytes(lines, crdt_text(text));
}

void lines_number(struct lines *lines, uint64_t value)
{
    char digits[NUMBER_TEXT_BYTES];
    size_t size = number_format_unsigned(value, digits);
    lines_bytes(lines, (struct crdt_bytes){digits, size});
}

void lines_field(struct lines *lines, const char *name, const char *value)
{
    lines_text(lines, name);
    lines_text(lines, ":");
    lines_text(lines, value);
    lines_text(lines, "\r\n");
}

void lines_field_number(struct lines *lines, const char *name, uint64_t value)
{
    lines_text(lines, name);
    lines_text(lines, ":");
    lines_number(lines, value);
    lines_text(lines, "\r\n");
}

void lines_field_human(struct lines *lines, const char *name, uint64_t bytes)
{
    static const char *const units[] = {"B", "K", "M", "G", "T"};
    size_t unit = 0;
    uint64_t scale = 1;
    while (unit + 1 < sizeof units / sizeof *units && bytes / scale >= 1024) {
        scale *= 1024;
        unit++;
    }
    uint64_t hundredths = bytes % scale * 100 / scale;
    lines_text(lines, name);
    lines_text(lines, ":");
    lines_number(lines, bytes / scale);
    if (unit > 0) {
        lines_text(lines, hundredths < 10 ? ".0" : ".");
        lines_number(lines, hundredths);
    }
    lines_text(lines, units[unit]);
    lines_text(lines, "\r\n");
}
