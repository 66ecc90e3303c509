#include "tests/exhaustive/seen.h"

#include "tests/support/claim.h"

#include <stdlib.h>
#include <string.h>

void seen_init(struct seen *seen)
{
    *seen = (struct seen){.capacity = 1024};
    seen->items = calloc(seen->capacity, sizeof *seen->items);
    claim(seen->items != NULL);
}

void seen_close(struct seen *seen)
{
    free(seen->items);
    *seen = (struct seen){.items = NULL};
}

void seen_clear(struct seen *seen)
{
    memset(seen->items, 0, seen->capacity * sizeof *seen->items);
    seen->count = 0;
}

static bool insert(struct seen *seen, uint64_t hash)
{
    size_t at = (size_t)(hash ^ hash >> 32) & (seen->capacity - 1);
    while (seen->items[at] != 0 && seen->items[at] != hash)
        at = (at + 1) & (seen->capacity - 1);
    if (seen->items[at] == hash)
        return false;
    seen->items[at] = hash;
    seen->count++;
    return true;
}

static void grow(struct seen *seen)
{
    struct seen larger = {.capacity = 2 * seen->capacity};
    larger.items = calloc(larger.capacity, sizeof *larger.items);
    claim(larger.items != NULL);
    for (size_t i = 0; i < seen->capacity; i++)
        if (seen->items[i] != 0)
            insert(&larger, seen->items[i]);
    free(seen->items);
    *seen = larger;
}

bool seen_add(struct seen *seen, uint64_t hash)
{
    if (2 * (seen->count + 1) > seen->capacity)
        grow(seen);
    return insert(seen, hash == 0 ? 1 : hash);
}

uint64_t seen_hash(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}
