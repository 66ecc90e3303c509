/* Memory that can be put back: a document lives in one block, so copying the
 * block away and back takes back whatever was done to it. This is what makes
 * trying every next step of one document cheap, with the public API alone. */
#ifndef EXHAUSTIVE_ARENA_H
#define EXHAUSTIVE_ARENA_H

#include <crdt.h>

#define ARENA_BYTES (128u << 10) /* a document of five operations needs some 20 KiB */

#define ARENA_SAVES_MAX 16u /* nested: one a step of a delivery order, and a few  */

struct arena {
    uint8_t *bytes;
    size_t used;
};

void arena_init(struct arena *arena);
void arena_close(struct arena *arena);
/* Forgets everything in it. */
void arena_clear(struct arena *arena);
struct crdt_memory arena_hook(struct arena *arena);

/* Saves nest, over all arenas: the last one saved is the first one restored. */
void arena_save(const struct arena *arena);
/* Goes back to the last save, which stays. */
void arena_restore(struct arena *arena);
/* Drops the last save. */
void arena_forget(void);

#endif
