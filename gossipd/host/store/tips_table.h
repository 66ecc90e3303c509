/* The newest batch of every feed, with its signature, as a snapshot is built:
 * what wire/tips.h writes. */
#ifndef GOSSIPD_HOST_TIPS_TABLE_H
#define GOSSIPD_HOST_TIPS_TABLE_H

#include "gossipd/core/core.h"
#include "gossipd/wire/tips.h"

struct tips_table {
    struct crdt_memory memory;
    struct tip *tips;            /* sorted by origin                               */
    struct crdt_buffer *headers; /* what `batch.header` points to; parallel        */
    size_t count;
    size_t tips_capacity;
    size_t headers_capacity;
};

void tips_table_init(struct tips_table *table, const struct crdt_memory *memory);
void tips_table_close(struct tips_table *table);

/* NULL: nothing is known of this feed. */
const struct tip *tips_table_find(
    const struct tips_table *table, const struct crdt_origin *origin);

/* Takes a batch as the tip of its feed, unless a newer one is known. NOMEM. */
CRDT_MUST_CHECK enum crdt_status tips_table_put(struct tips_table *table,
    const struct crdt_batch *batch, const uint8_t signature[static CORE_SIGNATURE_BYTES]);
/* Takes a whole row of tips. MALFORMED, NOMEM. */
CRDT_MUST_CHECK enum crdt_status tips_table_put_row(
    struct tips_table *table, struct crdt_bytes tips);

/* Whether the document's feeds end exactly with these tips. */
bool tips_table_fits(const struct tips_table *table, const struct crdt_document *document);

/* Whether the origin of the tip signed it for this cluster. */
bool tip_is_signed(const struct tip *tip, const uint8_t cluster_id[static CRDT_HASH_BYTES]);

#endif
