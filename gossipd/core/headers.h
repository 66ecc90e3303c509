/* The newest signed header of every feed, as far as it was seen in this life
 * (invariant I1): what proves to others which history is followed here. One that
 * is missing is in the store. */
#ifndef GOSSIPD_CORE_HEADERS_H
#define GOSSIPD_CORE_HEADERS_H

#include "gossipd/core/held.h"
#include "gossipd/wire/tips.h"

struct header {
    struct tip tip;      /* its header points into `data`, its batch is empty       */
    uint8_t *data;
    size_t capacity;
};

struct headers {
    const struct crdt_memory *memory;
    struct header *items; /* by origin                                              */
    size_t count;
    size_t capacity;
};

void headers_init(struct headers *headers, const struct crdt_memory *memory);
void headers_close(struct headers *headers);

/* Takes a copy of the header in the place of an older one of its feed. Without
 * memory, or above HEADER_KEEP_BYTES, it is not kept. */
void headers_keep(struct headers *headers, const struct crdt_batch *batch,
    const uint8_t signature[static CORE_SIGNATURE_BYTES]);

/* The header of the batch that ends at `seq`, or NULL. */
const struct tip *headers_find(
    const struct headers *headers, const struct crdt_origin *origin, uint64_t seq);

#endif
