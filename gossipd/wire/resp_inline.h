/* Inline commands: one line, words between blanks, quoted as in Redis. */
#ifndef GOSSIPD_WIRE_RESP_INLINE_H
#define GOSSIPD_WIRE_RESP_INLINE_H

#include <crdt.h>

/* A line that is taken apart in place: what is unquoted is never longer than
 * its quoted form, so arguments are written over what was read. */
struct resp_inline {
    uint8_t *data;
    size_t size;
    size_t offset;
};

enum resp_inline_result { RESP_INLINE_ARGUMENT, RESP_INLINE_END, RESP_INLINE_UNBALANCED };

/* Gives the next argument; it points into the line and stays valid. */
enum resp_inline_result resp_inline_next(
    struct resp_inline *line, struct crdt_bytes *ret_argument);

#endif
