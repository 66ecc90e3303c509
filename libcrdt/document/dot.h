/* Origins and dots as tokens: key, generation, seq. */
#ifndef LIBCRDT_DOCUMENT_DOT_H
#define LIBCRDT_DOCUMENT_DOT_H

#include <crdt.h>

CRDT_MUST_CHECK enum crdt_status crdt_origin_write(
    struct crdt_buffer *buffer, const struct crdt_origin *origin);
CRDT_MUST_CHECK enum crdt_status crdt_origin_read(
    struct crdt_bytes *input, struct crdt_origin *ret_origin);

CRDT_MUST_CHECK enum crdt_status crdt_dot_write(
    struct crdt_buffer *buffer, const struct crdt_origin *origin, uint64_t seq);
/* MALFORMED for seq 0 too: nothing has that name. */
CRDT_MUST_CHECK enum crdt_status crdt_dot_read(
    struct crdt_bytes *input, struct crdt_dot *ret_dot);

/* Bytes of one exact size. */
CRDT_MUST_CHECK enum crdt_status crdt_exact_read(
    struct crdt_bytes *input, void *ret_bytes, size_t size);

#endif
