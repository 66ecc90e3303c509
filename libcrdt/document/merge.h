/* Merging: batches, and snapshots through join.c. */
#ifndef LIBCRDT_DOCUMENT_MERGE_H
#define LIBCRDT_DOCUMENT_MERGE_H

#include "libcrdt/document/batch.h"

/* Joins a snapshot (invariant I7), journaled. The caller finishes or undoes the
 * journal, and after finishing calls crdt_join_settle(). */
struct crdt_join;
CRDT_MUST_CHECK enum crdt_status crdt_join_snapshot(
    struct crdt_document *document, struct crdt_bytes snapshot, struct crdt_join *ret_join);

/* What a join leaves to be done when it is final: the floors to raise. */
struct crdt_join {
    uint64_t *floors; /* per feed; 0: as it is                                    */
    size_t count;
};
void crdt_join_settle(struct crdt_document *document, struct crdt_join *join);
void crdt_join_close(struct crdt_document *document, struct crdt_join *join);

/* What stands between a batch and the document: OK, or *ret_is_known, GAP, FORK,
 * AMNESIA, MALFORMED, NOMEM. The caller frees the deps. */
CRDT_MUST_CHECK enum crdt_status crdt_header_check(const struct crdt_document *document,
    const struct crdt_header *header, struct crdt_deps **ret_deps, bool *ret_is_known,
    struct crdt_dot *ret_missing);

#endif
