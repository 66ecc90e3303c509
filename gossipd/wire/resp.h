/* RESP2: bytes from a client become commands, replies become bytes.
 *
 * Knows no command and does no I/O. Redis's limits and error texts are kept, so
 * that clients raise the exceptions they raise for Redis.
 */
#ifndef GOSSIPD_WIRE_RESP_H
#define GOSSIPD_WIRE_RESP_H

#include <crdt.h>

/* Reads commands: multibulk (`*2\r\n$3\r\n...`) and inline (quoted as in Redis). */
struct resp_reader {
    struct crdt_buffer input;      /* received and not consumed                   */
    size_t consumed;               /* bytes at the front of `input` already given */
    struct crdt_bytes *arguments;  /* of the command being read or just given     */
    size_t argument_count;
    size_t argument_capacity;
    struct crdt_buffer unquoted;   /* holds the arguments of an inline command    */
    size_t bulk_bytes_max;         /* proto-max-bulk-len                          */
    uint64_t multibulk_left;       /* arguments still to come; 0: between commands */
    size_t scan;                   /* where parsing of the command at hand stands  */
    char error[40];                /* the text of RESP_ERROR that names a byte     */
};

enum resp_result {
    RESP_COMMAND, /* arguments are given; they live until the next call            */
    RESP_MORE,    /* feed more bytes                                               */
    RESP_ERROR,   /* reply `ret_error` (no "-ERR ", no CRLF), then close           */
    RESP_CLOSE,   /* close at once, in silence: an HTTP request (POST, Host:)      */
    RESP_NOMEM,
};

void resp_reader_init(struct resp_reader *reader, const struct crdt_memory *memory,
    size_t bulk_bytes_max);
void resp_reader_close(struct resp_reader *reader);

/* Appends received bytes. The caller bounds them: crdt_buffer size of `input`
 * is what a client holds of our memory. */
CRDT_MUST_CHECK enum crdt_status resp_reader_feed(
    struct resp_reader *reader, const void *data, size_t size);

/* Gives the next whole command. An empty command (`*0`, a blank line) is skipped. */
enum resp_result resp_reader_next(struct resp_reader *reader,
    const struct crdt_bytes **ret_arguments, size_t *ret_count, const char **ret_error);

/* Reply writers append to the buffer; NOMEM leaves it as it was. */
CRDT_MUST_CHECK enum crdt_status resp_simple(struct crdt_buffer *reply, const char *text);
/* `text` with its code word in front: "ERR no such key", "WRONGTYPE ...". CR and
 * LF inside become spaces. */
CRDT_MUST_CHECK enum crdt_status resp_error(struct crdt_buffer *reply, const char *text);
CRDT_MUST_CHECK enum crdt_status resp_integer(struct crdt_buffer *reply, int64_t value);
CRDT_MUST_CHECK enum crdt_status resp_bulk(struct crdt_buffer *reply, struct crdt_bytes bytes);
CRDT_MUST_CHECK enum crdt_status resp_null(struct crdt_buffer *reply);
CRDT_MUST_CHECK enum crdt_status resp_null_array(struct crdt_buffer *reply);
/* The head of an array; `count` values follow. */
CRDT_MUST_CHECK enum crdt_status resp_array(struct crdt_buffer *reply, size_t count);

#endif
