/* The open batch: own operations on their way out. They are in S already; C
 * takes them in when the batch is sealed. */
#ifndef LIBCRDT_DOCUMENT_OPEN_H
#define LIBCRDT_DOCUMENT_OPEN_H

#include "libcrdt/document/op.h"

/* The seq that the first record of the open batch has, or will have. */
uint64_t crdt_open_first_seq(const struct crdt_document *document);

/* Appends a record, numbers it (`op->seq`), and marks how the deps advanced
 * since the record before. Partly done when it fails: cut back and undo. */
CRDT_MUST_CHECK enum crdt_status crdt_open_append(
    struct crdt_document *document, struct crdt_op *op);

/* Adds to the amount of a record that is in the open batch already. RANGE when
 * the sum does not fit. */
CRDT_MUST_CHECK enum crdt_status crdt_open_add_amount(
    struct crdt_document *document, uint64_t seq, int64_t amount);

struct crdt_open_mark crdt_open_mark(const struct crdt_document *document);
/* Cuts records off; amounts and deps come back through the journal. */
void crdt_open_cut(struct crdt_document *document, const struct crdt_open_mark *mark);

/* Closes the batch. Empty bytes when there is nothing in it. */
CRDT_MUST_CHECK enum crdt_status crdt_open_seal(
    struct crdt_document *document, struct crdt_bytes *ret_batch);

/* Moves the open batch, which folds nothing, to another feed of this key that is
 * empty: its dots in the tree get their seqs from 1 on. NOMEM; BUSY when a head
 * that it depends on is not known any more. Failure changes nothing. */
CRDT_MUST_CHECK enum crdt_status crdt_open_move(struct crdt_document *document, size_t feed);

void crdt_open_close(struct crdt_document *document);

#endif
