/* Tells the application what changed, through the callback of the options. */
#ifndef LIBCRDT_DOCUMENT_CHANGES_H
#define LIBCRDT_DOCUMENT_CHANGES_H

#include "libcrdt/document/batch.h"

/* Keeps an operation of the open transaction for later; nothing without a
 * callback. */
CRDT_MUST_CHECK enum crdt_status crdt_changes_keep(
    struct crdt_document *document, const struct crdt_op *op);

/* Tells what was kept and forgets it. */
void crdt_changes_tell_kept(struct crdt_document *document);

/* Tells every operation of a batch that was merged. */
void crdt_changes_tell_batch(
    const struct crdt_document *document, const struct crdt_header *header);

/* Tells that anything may have changed. */
void crdt_changes_tell_all(const struct crdt_document *document);

#endif
