/* Transactions: own operations, each whole or not at all, and all of them or
 * none. The typed calls in types/ write through here. */
#ifndef LIBCRDT_DOCUMENT_TRANSACTION_H
#define LIBCRDT_DOCUMENT_TRANSACTION_H

#include "libcrdt/document/op.h"

/* Makes the operation: puts it into the open batch and applies it here. On
 * failure nothing has happened. */
CRDT_MUST_CHECK enum crdt_status crdt_transaction_write(
    struct crdt_transaction *transaction, struct crdt_op *op);

/* Adds to a contribution that is still in the open batch, `node`'s entry at
 * `index`; `op` is the increment. RANGE when the sum does not fit. */
CRDT_MUST_CHECK enum crdt_status crdt_transaction_add_to(struct crdt_transaction *transaction,
    const struct crdt_op *op, struct crdt_node *node, size_t index);

/* The stamp for a register. */
uint64_t crdt_transaction_stamp(struct crdt_transaction *transaction);

#endif
