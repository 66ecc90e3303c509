#include "tests/exhaustive/arena.h"

#include "tests/support/claim.h"

#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 16u

static struct {
    uint8_t bytes[ARENA_BYTES];
    size_t used;
} saves[ARENA_SAVES_MAX];
static unsigned save_count;

void arena_init(struct arena *arena)
{
    arena->bytes = aligned_alloc(ALIGNMENT, ARENA_BYTES);
    claim(arena->bytes != NULL);
    arena->used = 0;
}

void arena_close(struct arena *arena)
{
    free(arena->bytes);
    arena->bytes = NULL;
}

void arena_clear(struct arena *arena)
{
    arena->used = 0;
}

static size_t rounded(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

/* The last block grows, shrinks and goes in place; others are left behind. */
static void *reallocate(void *context, void *block, size_t old_bytes, size_t new_bytes)
{
    struct arena *arena = context;
    uint8_t *old = block;
    bool is_last = old != NULL && old + rounded(old_bytes) == arena->bytes + arena->used;
    if (is_last)
        arena->used = (size_t)(old - arena->bytes);
    if (new_bytes == 0)
        return NULL;
    if (rounded(new_bytes) > ARENA_BYTES - arena->used)
        claim_broken(__FILE__, __LINE__, "ARENA_BYTES are enough");
    uint8_t *fresh = arena->bytes + arena->used;
    arena->used += rounded(new_bytes);
    if (old != NULL && !is_last)
        memcpy(fresh, old, old_bytes < new_bytes ? old_bytes : new_bytes);
    return fresh;
}

struct crdt_memory arena_hook(struct arena *arena)
{
    return (struct crdt_memory){.reallocate = reallocate, .context = arena};
}

void arena_save(const struct arena *arena)
{
    claim(save_count < ARENA_SAVES_MAX);
    memcpy(saves[save_count].bytes, arena->bytes, arena->used);
    saves[save_count++].used = arena->used;
}

void arena_restore(struct arena *arena)
{
    claim(save_count > 0);
    arena->used = saves[save_count - 1].used;
    memcpy(arena->bytes, saves[save_count - 1].bytes, arena->used);
}

void arena_forget(void)
{
    claim(save_count > 0);
    save_count--;
}
