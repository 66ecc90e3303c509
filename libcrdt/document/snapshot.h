/* Snapshots: (C, S, tips) as bytes, equal for equal documents. */
#ifndef LIBCRDT_DOCUMENT_SNAPSHOT_H
#define LIBCRDT_DOCUMENT_SNAPSHOT_H

#include "libcrdt/document/document.h"

/* How many feeds stand in C. */
size_t crdt_context_count(const struct crdt_document *document);

/* Writes every live entry in canonical order. With `hash` the bytes go into it
 * instead of staying in the buffer. The open batch is sealed. */
struct crdt_hash;
CRDT_MUST_CHECK enum crdt_status crdt_state_write(const struct crdt_document *document,
    struct crdt_buffer *buffer, struct crdt_hash *hash);

/* Reads a snapshot into a document that is empty. Errors: MALFORMED, VERSION,
 * NOMEM, LIMIT; then the document is fit to be closed only. */
CRDT_MUST_CHECK enum crdt_status crdt_snapshot_read(
    struct crdt_document *document, struct crdt_bytes snapshot);

/* What snapshots and summaries begin with: kind, version, room for later. */
CRDT_MUST_CHECK enum crdt_status crdt_preamble_write(
    struct crdt_buffer *buffer, uint64_t kind);
CRDT_MUST_CHECK enum crdt_status crdt_preamble_read(struct crdt_bytes *input, uint64_t kind);

#endif
