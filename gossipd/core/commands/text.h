/* Text for people, put together without stdio. */
#ifndef GOSSIPD_CORE_COMMANDS_TEXT_H
#define GOSSIPD_CORE_COMMANDS_TEXT_H

#include <crdt.h>

#include "gossipd/limits.h"

/* A short text of fixed room; what does not fit is cut off. Starts as {0}. */
struct text {
    size_t size;
    char data[ERROR_TEXT_BYTES];
};

void text_put(struct text *text, const char *more);
/* At most `bytes_max` bytes, and only up to a zero byte. */
void text_put_bytes(struct text *text, struct crdt_bytes more, size_t bytes_max);
/* The text so far, zero-terminated. */
const char *text_end(struct text *text);

/* True when the bytes are exactly `text`. */
bool text_equals(struct crdt_bytes bytes, const char *text);
/* ASCII lower case. */
char text_lower(char byte);

/* Appends to a buffer; the first failure stays in `status` and stops the rest. */
struct lines {
    struct crdt_buffer *buffer;
    enum crdt_status status;
};

void lines_text(struct lines *lines, const char *text);
void lines_bytes(struct lines *lines, struct crdt_bytes bytes);
void lines_number(struct lines *lines, uint64_t value);
/* `name:value` and CRLF, as INFO has them. */
void lines_field(struct lines *lines, const char *name, const char *value);
void lines_field_number(struct lines *lines, const char *name, uint64_t value);
/* `name:value` for people: "1.50M". */
void lines_field_human(struct lines *lines, const char *name, uint64_t bytes);

#endif
