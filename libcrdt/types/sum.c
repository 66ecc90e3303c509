/* Exact sums in 128 bits, two's complement: 2^48 operations of 64 bits fit. */
#include <crdt.h>
#include <string.h>

struct crdt_sum crdt_sum_add(struct crdt_sum sum, int64_t amount)
{
    uint64_t low = sum.low + (uint64_t)amount;
    bool carries = low < sum.low;
    /* An amount below zero is 2^64 too large in the lower half. */
    sum.high = (int64_t)((uint64_t)sum.high + carries - (amount < 0));
    sum.low = low;
    return sum;
}

enum crdt_status crdt_sum_int64(struct crdt_sum sum, int64_t *ret_value)
{
    int64_t value = (int64_t)sum.low;
    if (sum.high != (value < 0 ? -1 : 0))
        return CRDT_ERR_RANGE;
    *ret_value = value;
    return CRDT_OK;
}

/* Divides by ten in place and returns the remainder, in steps of 32 bits. */
static unsigned divide_by_ten(uint64_t *high, uint64_t *low)
{
    uint64_t parts[4] = {*high >> 32, *high & UINT32_MAX, *low >> 32, *low & UINT32_MAX};
    uint64_t rest = 0;
    for (int i = 0; i < 4; i++) {
        uint64_t part = rest << 32 | parts[i];
        parts[i] = part / 10;
        rest = part % 10;
    }
    *high = parts[0] << 32 | parts[1];
    *low = parts[2] << 32 | parts[3];
    return (unsigned)rest;
}

size_t crdt_sum_text(struct crdt_sum sum, char text[CRDT_SUM_TEXT_BYTES])
{
    bool is_negative = sum.high < 0;
    uint64_t high = (uint64_t)sum.high;
    uint64_t low = sum.low;
    if (is_negative) {
        low = ~low + 1;
        high = ~high + (low == 0);
    }
    char digits[CRDT_SUM_TEXT_BYTES];
    size_t start = sizeof digits;
    digits[--start] = '\0';
    do
        digits[--start] = (char)('0' + divide_by_ten(&high, &low));
    while (high != 0 || low != 0);
    if (is_negative)
        digits[--start] = '-';
    size_t length = sizeof digits - 1 - start;
    memcpy(text, digits + start, length + 1);
    return length;
}
