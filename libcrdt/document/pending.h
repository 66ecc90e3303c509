/* Batches that came before what they depend on. They wait outside C, within a
 * bound in bytes, until crdt_merge() finds them applicable. */
#ifndef LIBCRDT_DOCUMENT_PENDING_H
#define LIBCRDT_DOCUMENT_PENDING_H

#include "libcrdt/document/batch.h"

/* Keeps a copy of a batch that waits for `missing`; what waits already is not
 * kept twice. LIMIT when it does not fit into the bound, NOMEM. */
CRDT_MUST_CHECK enum crdt_status crdt_pending_keep(struct crdt_document *document,
    const struct crdt_batch *batch, const struct crdt_dot *missing);

/* The waiting batch of this origin that begins at `seq`, or NULL. */
struct crdt_pending_item *crdt_pending_find(
    const struct crdt_document *document, const struct crdt_origin *origin, uint64_t seq);

/* After a merge: drops what is applied by now or was refused. After one that
 * failed (`has_failed`): forgets the refusals and drops only what it brought. */
void crdt_pending_settle(struct crdt_document *document, bool has_failed);

void crdt_pending_close(struct crdt_document *document);

#endif
