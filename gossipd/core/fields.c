#include "gossipd/core/fields.h"

#include "gossipd/wire/number.h"

#include <stdbool.h>
#include <string.h>

static void add(struct fields *fields, const char *piece, size_t size)
{
    size_t room = sizeof fields->data - 1 - fields->size;
    if (size > room)
        size = room;
    memcpy(fields->data + fields->size, piece, size);
    fields->size += size;
    fields->data[fields->size] = '\0';
}

static void begin(struct fields *fields, const char *name)
{
    if (fields->size > 0)
        add(fields, " ", 1);
    add(fields, name, strlen(name));
    add(fields, "=", 1);
}

static bool is_plain(const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value <= ' ' || *value == '"' || *value == '\x7f')
            return false;
    }
    return true;
}

void fields_text(struct fields *fields, const char *name, const char *value)
{
    begin(fields, name);
    if (is_plain(value)) {
        add(fields, value, strlen(value));
        return;
    }
    add(fields, "\"", 1);
    for (; *value != '\0'; value++) {
        /* One line stays one line, and a quote inside does not end the value. */
        bool is_bad = (*value >= 0 && *value < ' ') || *value == '"' || *value == '\x7f';
        add(fields, is_bad ? "'" : value, 1);
    }
    add(fields, "\"", 1);
}

void fields_number(struct fields *fields, const char *name, uint64_t value)
{
    char digits[NUMBER_TEXT_BYTES];
    begin(fields, name);
    add(fields, digits, number_format_unsigned(value, digits));
}

void fields_hex(struct fields *fields, const char *name, const uint8_t *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    begin(fields, name);
    for (size_t index = 0; index < count; index++) {
        char pair[2] = {digits[bytes[index] >> 4], digits[bytes[index] & 15]};
        add(fields, pair, sizeof pair);
    }
}

void fields_hex64(struct fields *fields, const char *name, uint64_t value)
{
    uint8_t bytes[8];
    for (size_t index = 0; index < sizeof bytes; index++)
        bytes[index] = (uint8_t)(value >> (56 - 8 * index));
    fields_hex(fields, name, bytes, sizeof bytes);
}
