/* The text of an event: `name=value` fields with blanks between, put together
 * without stdio. What does not fit is cut off. */
#ifndef GOSSIPD_CORE_FIELDS_H
#define GOSSIPD_CORE_FIELDS_H

#include <stddef.h>
#include <stdint.h>

#include "gossipd/limits.h"

/* Starts as {0}. */
struct fields {
    size_t size;
    char data[EVENT_TEXT_BYTES]; /* always zero-terminated                          */
};

/* A value with blanks, quotes or control bytes in it is quoted. */
void fields_text(struct fields *fields, const char *name, const char *value);
void fields_number(struct fields *fields, const char *name, uint64_t value);
void fields_hex(struct fields *fields, const char *name, const uint8_t *bytes, size_t count);
/* A number as 16 hexadecimal digits, as generations are written everywhere. */
void fields_hex64(struct fields *fields, const char *name, uint64_t value);

#endif
