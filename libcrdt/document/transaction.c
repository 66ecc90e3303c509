#include "libcrdt/document/transaction.h"

#include <assert.h>

#include "libcrdt/base/buffer.h"
#include "libcrdt/document/apply.h"
#include "libcrdt/document/changes.h"
#include "libcrdt/document/journal.h"
#include "libcrdt/document/node.h"
#include "libcrdt/document/open.h"

enum crdt_status crdt_writable(const struct crdt_document *document)
{
    if (document->has_amnesia)
        return CRDT_ERR_AMNESIA;
    if (document->generation == 0)
        return CRDT_ERR_GENERATION;
    return document->transaction.is_open ? CRDT_ERR_BUSY : CRDT_OK;
}

enum crdt_status crdt_begin(
    struct crdt_document *document, uint64_t now_ms, struct crdt_transaction **ret_transaction)
{
    enum crdt_status status = crdt_writable(document);
    if (status != CRDT_OK)
        return status;
    assert(document->journal.count == 0);
    crdt_hlc_set(&document->hlc, now_ms);
    document->transaction = (struct crdt_transaction){
        .document = document, .is_open = true, .before = crdt_open_mark(document)};
    *ret_transaction = &document->transaction;
    return CRDT_OK;
}

void crdt_commit(struct crdt_transaction *transaction)
{
    assert(transaction->is_open);
    struct crdt_document *document = transaction->document;
    transaction->is_open = false;
    if (document->journal.count > 0)
        document->state_version++;
    crdt_journal_finish(document);
    crdt_changes_tell_kept(document);
}

void crdt_abort(struct crdt_transaction *transaction)
{
    assert(transaction->is_open);
    struct crdt_document *document = transaction->document;
    transaction->is_open = false;
    crdt_journal_undo(document, 0);
    crdt_open_cut(document, &transaction->before);
    crdt_buffer_clear(&document->changes);
}

static void take_back(
    struct crdt_document *document, size_t journal_count, const struct crdt_open_mark *mark)
{
    crdt_journal_undo(document, journal_count);
    crdt_open_cut(document, mark);
}

enum crdt_status crdt_transaction_write(
    struct crdt_transaction *transaction, struct crdt_op *op)
{
    assert(transaction->is_open);
    struct crdt_document *document = transaction->document;
    enum crdt_status status = crdt_op_check_limits(op);
    if (status != CRDT_OK)
        return status;
    size_t journal_count = document->journal.count;
    struct crdt_open_mark mark = crdt_open_mark(document);
    status = crdt_open_append(document, op);
    if (status == CRDT_OK)
        status = crdt_apply(document, op, crdt_pack(document->self, op->seq), NULL);
    if (status == CRDT_OK)
        status = crdt_changes_keep(document, op);
    if (status != CRDT_OK)
        take_back(document, journal_count, &mark);
    return status;
}

enum crdt_status crdt_transaction_add_to(struct crdt_transaction *transaction,
    const struct crdt_op *op, struct crdt_node *node, size_t index)
{
    assert(transaction->is_open);
    struct crdt_document *document = transaction->document;
    size_t journal_count = document->journal.count;
    const struct crdt_leaf_entry *entry = &node->leaf.entries[index];
    struct crdt_op told = *op;
    told.seq = crdt_dot_seq(entry->dot);
    enum crdt_status status = crdt_open_add_amount(document, told.seq, op->amount);
    if (status == CRDT_OK)
        status = crdt_leaf_set(
            document, node, index, entry->stamp, entry->amount + op->amount);
    if (status == CRDT_OK)
        status = crdt_changes_keep(document, &told);
    if (status != CRDT_OK)
        crdt_journal_undo(document, journal_count);
    return status;
}

uint64_t crdt_transaction_stamp(struct crdt_transaction *transaction)
{
    return crdt_hlc_next(&transaction->document->hlc);
}

enum crdt_status crdt_note(struct crdt_transaction *transaction)
{
    struct crdt_op op = {.code = CRDT_OP_NOTE};
    return crdt_transaction_write(transaction, &op);
}
