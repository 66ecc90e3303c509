/* Operations as bytes: the records and marks in the body of a batch.
 *
 * docs/wire-format.md, section "Body". A record shares the front of its path
 * with the record before it. Knows nothing of documents.
 */
#ifndef LIBCRDT_DOCUMENT_OP_H
#define LIBCRDT_DOCUMENT_OP_H

#include "libcrdt/document/document.h"

/* What a record does to which type, in one number. The numbers are the wire's. */
enum crdt_op_code {
    CRDT_OP_PUT_REGISTER = 1,
    CRDT_OP_PUT_ELEMENT = 2,
    CRDT_OP_PUT_FLAG = 3,
    CRDT_OP_ADD_COUNTER = 4,
    CRDT_OP_ADD_GCOUNTER = 5,
    CRDT_OP_FOLD_COUNTER = 6,
    CRDT_OP_FOLD_GCOUNTER = 7,
    CRDT_OP_KILL = 8,          /* + type: 8 kills every type at the path            */
    CRDT_OP_KILL_ELEMENT = 15,
    CRDT_OP_NOTE = 16,
    CRDT_OP_MARK = 17,         /* no record: the deps advance                      */
};

struct crdt_op {
    enum crdt_op_code code;
    const struct crdt_bytes *keys; /* of *_ELEMENT, the last one is the element     */
    size_t key_count;
    struct crdt_bytes value;   /* PUT_REGISTER                                      */
    uint64_t hlc;              /* PUT_REGISTER                                      */
    int64_t amount;            /* ADD, FOLD                                         */
    uint64_t fold_from;        /* FOLD: where its run begins                        */
    uint64_t fold_seq;         /* FOLD: the h of its name                           */
    uint64_t seq;              /* of the dot; MARK: of the record that follows      */
    struct crdt_bytes marks;   /* MARK: (index, increase) tokens                    */
};

/* How many keys an op's path has besides an element, and its type. */
size_t crdt_op_depth(const struct crdt_op *op);
bool crdt_op_has_element(enum crdt_op_code code);
enum crdt_type crdt_op_type(enum crdt_op_code code);
enum crdt_kind crdt_op_kind(enum crdt_op_code code);

/* LIMIT when the path, element included, or the value is over its limit. */
CRDT_MUST_CHECK enum crdt_status crdt_op_check_limits(const struct crdt_op *op);

/* Appends a path that shares its first keys with `before`. */
CRDT_MUST_CHECK enum crdt_status crdt_path_write(struct crdt_buffer *buffer,
    const struct crdt_bytes *keys, size_t key_count, const struct crdt_bytes *before,
    size_t before_count);

/* The keys of the path read last; starts as zeros. */
struct crdt_path_reader {
    struct crdt_bytes keys[CRDT_DEPTH_MAX + 1];
    size_t key_count;
};
/* Reads a path on top of the one before it. */
CRDT_MUST_CHECK enum crdt_status crdt_path_read(
    struct crdt_bytes *input, struct crdt_path_reader *reader);

/* Appends a record without the amount of an ADD. `hlc_before` is that of the
 * register record before it in the batch, 0 in the first. */
CRDT_MUST_CHECK enum crdt_status crdt_op_write(struct crdt_buffer *buffer,
    const struct crdt_op *op, const struct crdt_bytes *before, size_t before_count,
    uint64_t hlc_before);

/* Reads the records and marks of a body, front to back. */
struct crdt_body_reader {
    struct crdt_bytes rest;
    uint64_t seq;              /* of the next record                                */
    uint64_t hlc;
    bool without_amounts;      /* as crdt_op_write() leaves them                    */
    struct crdt_path_reader path;
};
void crdt_body_reader_init(
    struct crdt_body_reader *reader, struct crdt_bytes body, uint64_t first_seq);
static inline bool crdt_body_is_at_end(const struct crdt_body_reader *reader)
{
    return reader->rest.size == 0;
}
/* Gives the next one; its keys live until the next call. Errors: MALFORMED,
 * VERSION for a code of a newer version. */
CRDT_MUST_CHECK enum crdt_status crdt_body_next(
    struct crdt_body_reader *reader, struct crdt_op *ret_op);

#endif
