#include "libcrdt/document/changes.h"

#include <assert.h>

#include "libcrdt/base/buffer.h"

enum { BUFFER_KEEP_BYTES = 64 << 10 };

enum crdt_status crdt_changes_keep(struct crdt_document *document, const struct crdt_op *op)
{
    if (document->options.changed == NULL)
        return CRDT_OK;
    size_t size = document->changes.size;
    enum crdt_status status = crdt_write_uint(&document->changes, op->seq);
    if (status == CRDT_OK)
        status = crdt_op_write(&document->changes, op, NULL, 0, 0);
    if (status != CRDT_OK)
        crdt_buffer_truncate(&document->changes, size);
    return status;
}

static void tell(const struct crdt_document *document, const struct crdt_op *op,
    const struct crdt_origin *origin, bool is_local)
{
    struct crdt_change change = {.kind = crdt_op_kind(op->code),
        .type = crdt_op_type(op->code),
        .is_local = is_local,
        .path = {.keys = op->keys, .count = crdt_op_depth(op)},
        .dot = {.origin = *origin, .seq = op->seq}};
    if (crdt_op_has_element(op->code))
        change.element = &op->keys[op->key_count - 1];
    document->options.changed(document->options.changed_context, &change);
}

void crdt_changes_tell_kept(struct crdt_document *document)
{
    if (document->options.changed == NULL)
        return;
    struct crdt_origin self = crdt_self(document);
    struct crdt_body_reader reader;
    crdt_body_reader_init(&reader, crdt_buffer_bytes(&document->changes), 0);
    reader.without_amounts = true;
    while (!crdt_body_is_at_end(&reader)) {
        struct crdt_op op;
        reader.path.key_count = 0;
        enum crdt_status status = crdt_read_uint(&reader.rest, CRDT_SEQ_MAX, &reader.seq);
        if (status == CRDT_OK)
            status = crdt_body_next(&reader, &op);
        assert(status == CRDT_OK);
        tell(document, &op, &self, true);
    }
    crdt_buffer_recycle(&document->changes, BUFFER_KEEP_BYTES);
}

void crdt_changes_tell_batch(
    const struct crdt_document *document, const struct crdt_header *header)
{
    if (document->options.changed == NULL)
        return;
    struct crdt_body_reader reader;
    crdt_body_reader_init(&reader, header->body, header->batch.first_seq);
    while (!crdt_body_is_at_end(&reader)) {
        struct crdt_op op;
        enum crdt_status status = crdt_body_next(&reader, &op);
        assert(status == CRDT_OK);
        if (op.code != CRDT_OP_MARK)
            tell(document, &op, &header->batch.origin, false);
    }
}

void crdt_changes_tell_all(const struct crdt_document *document)
{
    if (document->options.changed == NULL)
        return;
    struct crdt_change change = {0};
    document->options.changed(document->options.changed_context, &change);
}
