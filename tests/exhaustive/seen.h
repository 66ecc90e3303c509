/* Hashes that have been seen: counts what is different. */
#ifndef EXHAUSTIVE_SEEN_H
#define EXHAUSTIVE_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seen {
    uint64_t *items; /* 0: empty                                                   */
    size_t count;
    size_t capacity; /* a power of two                                             */
};

void seen_init(struct seen *seen);
void seen_close(struct seen *seen);
void seen_clear(struct seen *seen);
/* True when it is new. */
bool seen_add(struct seen *seen, uint64_t hash);
/* FNV-1a. Begin with SEEN_SEED. */
#define SEEN_SEED UINT64_C(0xcbf29ce484222325)
uint64_t seen_hash(uint64_t hash, const void *data, size_t size);

#endif
