#include "tests/support/memory.h"

#include "tests/support/claim.h"

#include <stdlib.h>
#include <string.h>

/* Stands before each block; its size keeps the block aligned for anything. */
struct label {
    _Alignas(16) size_t bytes;
};

static void *reallocate(void *context, void *block, size_t old_bytes, size_t new_bytes)
{
    struct test_memory *memory = context;
    struct label *label = NULL;
    if (block != NULL) {
        label = (struct label *)((unsigned char *)block - sizeof *label);
        claim(label->bytes == old_bytes);
    } else {
        claim(old_bytes == 0);
    }
    if (new_bytes > old_bytes && ++memory->requests == memory->fail_at)
        return NULL;
    memory->held += new_bytes - old_bytes;
    if (memory->held > memory->peak)
        memory->peak = memory->held;
    if (new_bytes == 0) {
        free(label);
        return NULL;
    }
    label = realloc(label, sizeof *label + new_bytes);
    claim(label != NULL);
    label->bytes = new_bytes;
    return label + 1;
}

struct crdt_memory test_memory_hook(struct test_memory *memory)
{
    return (struct crdt_memory){.reallocate = reallocate, .context = memory};
}
