/* Whatever bytes a client sends: the reader gives the same commands and the same
 * end, whatever the size of the pieces in which they come, and it never holds
 * much more than was sent. The first input byte picks the piece size. */
#include "fuzz/fuzz.h"
#include "gossipd/wire/resp.h"

#include "tests/support/claim.h"
#include "tests/support/memory.h"

#include <string.h>

#define BULK_BYTES_MAX 4096
/* What a reader may hold of its own: two buffers and the arguments, doubled. */
#define HELD_MAX(size) (1024 + (size) * 64)

static enum crdt_status put_command(
    struct crdt_buffer *transcript, const struct crdt_bytes *arguments, size_t count)
{
    enum crdt_status status = resp_array(transcript, count);
    for (size_t i = 0; i < count && status == CRDT_OK; i++) {
        status = resp_bulk(transcript, arguments[i]);
    }
    return status;
}

/* Appends all commands at hand to the transcript; RESP_MORE, or how it ended. */
static enum resp_result drain(struct resp_reader *reader, struct crdt_buffer *transcript)
{
    const struct crdt_bytes *arguments;
    const char *error = NULL;
    enum resp_result result;
    size_t count;
    while ((result = resp_reader_next(reader, &arguments, &count, &error)) == RESP_COMMAND) {
        claim(count > 0);
        claim(put_command(transcript, arguments, count) == CRDT_OK);
    }
    if (result == RESP_ERROR) {
        claim(resp_error(transcript, error) == CRDT_OK);
    }
    claim(result != RESP_NOMEM);
    return result;
}

static enum resp_result read_all(
    const uint8_t *data, size_t size, size_t piece, struct crdt_buffer *transcript)
{
    struct test_memory memory = {.held = 0};
    struct crdt_memory hook = test_memory_hook(&memory);
    struct resp_reader reader;
    enum resp_result result = RESP_MORE;
    resp_reader_init(&reader, &hook, BULK_BYTES_MAX);
    for (size_t at = 0; at < size && result == RESP_MORE; at += piece) {
        size_t bytes = size - at < piece ? size - at : piece;
        claim(resp_reader_feed(&reader, data + at, bytes) == CRDT_OK);
        result = drain(&reader, transcript);
    }
    claim(memory.peak <= HELD_MAX(size));
    resp_reader_close(&reader);
    claim(memory.held == 0);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct crdt_buffer whole;
    struct crdt_buffer pieces;
    if (size == 0) {
        return 0;
    }
    crdt_buffer_init(&whole, NULL);
    crdt_buffer_init(&pieces, NULL);
    size_t piece = (size_t)data[0] % 16 + 1;
    enum resp_result first = read_all(data + 1, size - 1, size, &whole);
    enum resp_result second = read_all(data + 1, size - 1, piece, &pieces);
    claim(first == second);
    claim(whole.size == pieces.size);
    claim(whole.size == 0 || memcmp(whole.data, pieces.data, whole.size) == 0);
    crdt_buffer_close(&whole);
    crdt_buffer_close(&pieces);
    return 0;
}
