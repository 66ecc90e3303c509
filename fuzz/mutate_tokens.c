/* A mutator that knows tokens: what leaves a document is a row of them, and a
 * flipped bit mostly makes a row that ends too early. Linked into fuzz_decode
 * under libFuzzer only. */
#include "fuzz/fuzz.h"
#include "tests/support/choice.h"

#include <crdt.h>
#include <string.h>

#define HEAD_BYTES 2    /* the door, and how the stranger is: mutated as bytes   */
#define TOKENS_MAX 512
#define INPUT_MAX 8192  /* bytes                                                 */

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

/* The length of the token at the front; 0 when there is none. */
static size_t token_bytes(struct crdt_bytes input)
{
    struct crdt_bytes rest = input, bytes;
    uint64_t u;
    int64_t s;
    if (crdt_read_uint(&rest, UINT64_MAX, &u) == CRDT_OK ||
        crdt_read_int(&rest, &s) == CRDT_OK ||
        crdt_read_bytes(&rest, SIZE_MAX, &bytes) == CRDT_OK)
        return input.size - rest.size;
    return 0;
}

/* Numbers at which something may end: bounds of forms, depths, counts. */
static uint64_t telling_number(struct choice *choice)
{
    static const uint64_t numbers[] = {0, 1, 2, 3, 31, 32, 63, 64, 65, 66, 127, 128, 255, 256,
        65535, 65536, UINT32_MAX, CRDT_SEQ_MAX, INT64_MAX, UINT64_MAX};
    return numbers[choice_below(choice, sizeof numbers / sizeof numbers[0])];
}

/* Takes a number for the count of what follows: raises it, and supplies. */
static enum crdt_status lengthen(
    struct choice *choice, struct crdt_bytes token, struct crdt_buffer *out)
{
    static const uint64_t more[] = {1, 2, 3, CRDT_DEPTH_MAX};
    uint64_t number;
    if (crdt_read_uint(&token, UINT64_MAX, &number) != CRDT_OK)
        return crdt_buffer_append(out, token.data, token.size);
    uint64_t added = more[choice_below(choice, sizeof more / sizeof more[0])];
    enum crdt_status status = crdt_write_uint(out, number + added);
    for (uint64_t i = 0; i < added && status == CRDT_OK; i++)
        status = crdt_write_bytes(out, (struct crdt_bytes){"", 0});
    return status;
}

/* Puts a changed token in place of `token`, or beside it, or nothing. */
static enum crdt_status change(
    struct choice *choice, struct crdt_bytes token, struct crdt_buffer *out)
{
    struct crdt_bytes input = token;
    uint64_t number;
    enum crdt_status status;
    switch (choice_below(choice, 7)) {
    case 0:
        return CRDT_OK;
    case 1: /* twice */
        status = crdt_buffer_append(out, token.data, token.size);
        if (status != CRDT_OK)
            return status;
        return crdt_buffer_append(out, token.data, token.size);
    case 2:
        return crdt_write_uint(out, telling_number(choice));
    case 3:
        return crdt_write_int(out, -(int64_t)choice_below(choice, 100));
    case 4: /* one more, one less */
        if (crdt_read_uint(&input, UINT64_MAX, &number) == CRDT_OK)
            return crdt_write_uint(out, number + 1 - 2 * (uint64_t)choice_below(choice, 2));
        return crdt_write_bytes(out, (struct crdt_bytes){"", 0});
    case 5: /* an empty key before it */
        status = crdt_write_bytes(out, (struct crdt_bytes){"", 0});
        return status == CRDT_OK ? crdt_buffer_append(out, token.data, token.size) : status;
    default:
        return lengthen(choice, token, out);
    }
}

static void mutate(struct choice *choice, struct crdt_bytes input, struct crdt_buffer *out)
{
    struct crdt_bytes tokens[TOKENS_MAX];
    size_t count = 0;
    size_t size;
    while (count < TOKENS_MAX && (size = token_bytes(input)) > 0) {
        tokens[count++] = (struct crdt_bytes){input.data, size};
        input = (struct crdt_bytes){(const uint8_t *)input.data + size, input.size - size};
    }
    size_t changes = 1 + choice_below(choice, 3);
    enum crdt_status status = CRDT_OK;
    for (size_t i = 0; i < count && status == CRDT_OK; i++) {
        bool is_changed = choice_below(choice, (uint32_t)count) < changes;
        status = is_changed ? change(choice, tokens[i], out)
                            : crdt_buffer_append(out, tokens[i].data, tokens[i].size);
    }
    if (status == CRDT_OK)
        (void)!crdt_buffer_append(out, input.data, input.size);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    struct choice choice = choice_from_seed(seed);
    if (size <= HEAD_BYTES || size > INPUT_MAX || choice_below(&choice, 4) == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    struct crdt_buffer out;
    crdt_buffer_init(&out, NULL);
    mutate(&choice, (struct crdt_bytes){data + HEAD_BYTES, size - HEAD_BYTES}, &out);
    size_t kept = out.size < max_size - HEAD_BYTES ? out.size : max_size - HEAD_BYTES;
    if (kept > 0)
        memcpy(data + HEAD_BYTES, out.data, kept);
    crdt_buffer_close(&out);
    return HEAD_BYTES + kept;
}
