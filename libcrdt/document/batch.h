/* Batches: a header that stands for the whole, and a body of records.
 *
 * docs/wire-format.md, section "Batch". Reading a batch needs no document;
 * resolving its deps does.
 */
#ifndef LIBCRDT_DOCUMENT_BATCH_H
#define LIBCRDT_DOCUMENT_BATCH_H

#include "libcrdt/document/feeds.h"
#include "libcrdt/document/op.h"

/* What everything that leaves a document begins with. */
enum crdt_item_kind {
    CRDT_ITEM_BATCH = 1,
    CRDT_ITEM_SNAPSHOT = 2,
    CRDT_ITEM_SUMMARY = 3,
};

struct crdt_header {
    struct crdt_batch batch;
    struct crdt_bytes deps;      /* tokens: difference to the batch before          */
    uint8_t deps_hash[CRDT_DEPS_HASH_BYTES];
    struct crdt_bytes body;
};

/* Takes a batch from the front of `input` and checks its header and hashes.
 * The body is checked by crdt_body_check(). */
CRDT_MUST_CHECK enum crdt_status crdt_header_read(
    struct crdt_bytes *input, struct crdt_header *ret_header);

/* The header of a batch that was read before. Nothing is hashed again and the body is
 * not looked at (`body` is empty), so the cost is that of the header. */
CRDT_MUST_CHECK enum crdt_status crdt_header_again(
    const struct crdt_batch *batch, struct crdt_header *ret_header);

/* Checks every record and mark: form, limits, count. */
CRDT_MUST_CHECK enum crdt_status crdt_body_check(const struct crdt_header *header);

/* Writes a whole batch. `header->batch` holds origin, seqs, previous generation
 * and head; `deps` and `body` are borrowed; hashes are computed. */
CRDT_MUST_CHECK enum crdt_status crdt_header_write(
    const struct crdt_header *header, struct crdt_buffer *buffer);

/* The deps of the batch's last record, resolved against its feed as it stands
 * here. GAP, with what is missing, when one of them is not applied here. */
CRDT_MUST_CHECK enum crdt_status crdt_header_deps(const struct crdt_document *document,
    const struct crdt_header *header, struct crdt_deps **ret_deps,
    struct crdt_dot *ret_missing);

/* Lowers `seqs`, which holds the seqs of the deps of the last record, to those
 * of the first: the marks of the body taken back. MALFORMED when a mark claims
 * more than there is above `base`. */
CRDT_MUST_CHECK enum crdt_status crdt_header_first_seqs(const struct crdt_header *header,
    const struct crdt_deps *base, uint64_t *seqs, size_t count);

#endif
