/* Numbers as Redis writes them: decimal int64 in its one canonical form. */
#ifndef GOSSIPD_WIRE_NUMBER_H
#define GOSSIPD_WIRE_NUMBER_H

#include <crdt.h>

/* "-9223372036854775808" and "18446744073709551615" have 20 characters. */
#define NUMBER_TEXT_BYTES 20

/* Reads a whole text as int64; false unless it is exactly what
 * number_format() would write: no blanks, no plus, no leading zeros. */
bool number_parse(struct crdt_bytes text, int64_t *ret_value);

/* Writes decimal digits, not zero-terminated; returns their number. */
size_t number_format(int64_t value, char ret_text[static NUMBER_TEXT_BYTES]);
size_t number_format_unsigned(uint64_t value, char ret_text[static NUMBER_TEXT_BYTES]);

#endif
