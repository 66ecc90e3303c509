/* Canonical decimal numbers; see number.h. Needs no library. */
#include "gossipd/wire/number.h"

#include <string.h>

/* The digits must not be empty, nor begin with 0 unless they are just "0". */
static bool parse_digits(const char *digits, size_t count, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (count == 0 || count >= NUMBER_TEXT_BYTES || (digits[0] == '0' && count > 1)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (digits[i] < '0' || digits[i] > '9') {
            return false;
        }
        /* At most 19 digits: this cannot overflow 64 bits. */
        value = value * 10 + (uint64_t)(digits[i] - '0');
    }
    *ret_value = value;
    return true;
}

bool number_parse(struct crdt_bytes text, int64_t *ret_value)
{
    const char *digits = text.data;
    uint64_t magnitude;
    if (text.size == 0) {
        return false;
    }
    bool is_negative = digits[0] == '-';
    if (!parse_digits(digits + is_negative, text.size - is_negative, &magnitude)) {
        return false;
    }
    if (magnitude > (uint64_t)INT64_MAX + is_negative || (is_negative && magnitude == 0)) {
        return false;
    }
    *ret_value = is_negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

size_t number_format_unsigned(uint64_t value, char ret_text[static NUMBER_TEXT_BYTES])
{
    char reversed[NUMBER_TEXT_BYTES];
    size_t count = 0;
    do {
        reversed[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    for (size_t i = 0; i < count; i++) {
        ret_text[i] = reversed[count - 1 - i];
    }
    return count;
}

size_t number_format(int64_t value, char ret_text[static NUMBER_TEXT_BYTES])
{
    char digits[NUMBER_TEXT_BYTES];
    bool is_negative = value < 0;
    uint64_t magnitude = is_negative ? 0 - (uint64_t)value : (uint64_t)value;
    size_t count = number_format_unsigned(magnitude, digits);
    if (is_negative) {
        ret_text[0] = '-';
    }
    memcpy(ret_text + is_negative, digits, count);
    return count + is_negative;
}
