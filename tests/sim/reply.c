/* Splits RESP replies. Written against the protocol, not against wire/resp. */
#include <string.h>

#include "tests/sim/workload.h"

/* The size of the line at the front with its CR LF, its number in `ret_number`.
 * 0: not whole. */
static size_t reply_line(const uint8_t *bytes, size_t size, long long *ret_number)
{
    const uint8_t *end = memchr(bytes, '\n', size);
    if (end == NULL)
        return 0;
    long long number = 0;
    bool is_negative = size > 1 && bytes[1] == '-';
    for (const uint8_t *at = bytes + 1 + is_negative; at < end && *at >= '0' && *at <= '9'; at++)
        number = number * 10 + (*at - '0');
    *ret_number = is_negative ? -number : number;
    return (size_t)(end - bytes) + 1;
}

size_t reply_size(const uint8_t *bytes, size_t size)
{
    size_t at = 0;
    for (long long left = 1; left > 0; left--) {
        if (at >= size)
            return 0;
        long long number = 0;
        uint8_t kind = bytes[at];
        size_t line = reply_line(bytes + at, size - at, &number);
        if (memchr("+-:$*", kind, 5) == NULL)
            return SIZE_MAX;
        if (line == 0)
            return 0;
        at += line;
        if (kind == '*' && number > 0)
            left += number;
        if (kind == '$' && number >= 0)
            at += (size_t)number + 2;
    }
    return at > size ? 0 : at;
}
