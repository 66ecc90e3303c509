#include "tests/support/choice.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct choice choice_from_seed(uint64_t seed)
{
    return (struct choice){.state = seed};
}

struct choice choice_from_bytes(const uint8_t *bytes, size_t size)
{
    static const uint8_t nothing[1];
    return (struct choice){.bytes = size > 0 ? bytes : nothing, .left = size};
}

/* SplitMix64 (Steele, Lea, Flood 2014): every seed gives a full sequence. */
static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t next_byte(struct choice *choice)
{
    if (choice->left == 0)
        return 0;
    choice->left--;
    return *choice->bytes++;
}

uint64_t choice_u64(struct choice *choice)
{
    if (choice->bytes == NULL)
        return splitmix(&choice->state);
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | next_byte(choice);
    return value;
}

uint32_t choice_below(struct choice *choice, uint32_t limit)
{
    if (limit <= 1)
        return 0;
    if (choice->bytes == NULL)
        return (uint32_t)((splitmix(&choice->state) >> 16) % limit);
    uint64_t value = next_byte(choice);
    if (limit > 256)
        value = value << 8 | next_byte(choice);
    return (uint32_t)(value % limit);
}

bool choice_is_over(const struct choice *choice)
{
    return choice->bytes != NULL && choice->left == 0;
}

uint64_t choice_seed(const char *test_name, bool *ret_is_fixed)
{
    const char *text = getenv("CRDT_TEST_SEED");
    *ret_is_fixed = text != NULL;
    uint64_t seed;
    if (text != NULL) {
        seed = strtoull(text, NULL, 0);
    } else {
        seed = (uint64_t)time(NULL) * UINT64_C(1000003);
        seed ^= splitmix(&(uint64_t){seed});
        seed %= UINT64_C(1000000000);
    }
    fprintf(stderr, "%s: CRDT_TEST_SEED=%llu\n", test_name, (unsigned long long)seed);
    return seed;
}

unsigned choice_runs(unsigned default_runs)
{
    const char *text = getenv("CRDT_TEST_RUNS");
    return text != NULL ? (unsigned)strtoul(text, NULL, 0) : default_runs;
}
