/* Frames: what is pushed comes out, whatever the order and the cuts; any other
 * bytes are refused or waited for, within the limits. */
#include "gossipd/wire/frame.h"

#include <string.h>

#include "gossipd/limits.h"
#include "tests/support/choice.h"
#include "tests/support/claim.h"
#include "tests/support/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SENT_MAX 16
#define SENT_BYTES_MAX 150000

/* Gives the bytes to a reader in two pieces. */
static void read_foreign(const uint8_t *data, size_t size)
{
    struct test_memory memory = {0};
    struct crdt_memory hook = test_memory_hook(&memory);
    struct frame_reader reader;
    frame_reader_init(&reader, &hook);
    reader.message_bytes_max[FRAME_CONTROL] = HANDSHAKE_BYTES_MAX;
    reader.message_bytes_max[FRAME_BULK] = 3 * FRAME_PIECE_BYTES_MAX;
    size_t cut = size / 3;
    struct crdt_bytes inputs[2] = {{data, cut}, {data + cut, size - cut}};
    enum frame_result result = FRAME_MORE;
    for (size_t i = 0; i < 2 && result == FRAME_MORE; i++) {
        enum frame_channel channel;
        struct crdt_bytes message;
        while ((result = frame_reader_next(&reader, &inputs[i], &channel, &message)) ==
            FRAME_MESSAGE) {
            claim(message.size > 0);
            claim(message.size <= reader.message_bytes_max[channel]);
        }
    }
    claim(result != FRAME_NOMEM);
    claim(memory.peak <= 8 * (size + 64));
    frame_reader_close(&reader);
    claim(memory.held == 0);
}

struct sent {
    size_t sizes[2][SENT_MAX];
    size_t pushed[2];
    size_t given[2];
};

static void push(struct frame_writer *writer, struct choice *choice, struct sent *sent)
{
    static uint8_t bytes[SENT_BYTES_MAX];
    enum frame_channel channel = choice_below(choice, 2) == 0 ? FRAME_CONTROL : FRAME_BULK;
    if (sent->pushed[channel] == SENT_MAX) {
        return;
    }
    size_t size = 1 + choice_below(choice, choice_below(choice, 2) == 0 ? 20 : SENT_BYTES_MAX);
    size = size < sizeof bytes ? size : sizeof bytes;
    memset(bytes, (int)(1 + sent->pushed[channel]), size);
    claim(frame_writer_push(writer, channel, (struct crdt_bytes){bytes, size}) == CRDT_OK);
    sent->sizes[channel][sent->pushed[channel]++] = size;
}

static void take(struct frame_reader *reader, struct crdt_bytes input, struct sent *sent)
{
    enum frame_channel channel;
    struct crdt_bytes message;
    enum frame_result result;
    while ((result = frame_reader_next(reader, &input, &channel, &message)) == FRAME_MESSAGE) {
        size_t index = sent->given[channel]++;
        claim(index < sent->pushed[channel]);
        claim(message.size == sent->sizes[channel][index]);
        const uint8_t *bytes = message.data;
        claim(bytes[0] == 1 + index);
        claim(bytes[message.size - 1] == 1 + index);
    }
    claim(result == FRAME_MORE);
}

static void round_trip(struct choice *choice)
{
    struct frame_writer writer;
    struct frame_reader reader;
    struct crdt_buffer output;
    struct sent sent = {0};
    frame_writer_init(&writer, NULL);
    frame_reader_init(&reader, NULL);
    crdt_buffer_init(&output, NULL);
    while (!choice_is_over(choice)) {
        if (choice_below(choice, 2) == 0) {
            push(&writer, choice, &sent);
        } else {
            claim(frame_writer_pull(&writer, 1 + choice_below(choice, 100000), &output) ==
                CRDT_OK);
            take(&reader, crdt_buffer_bytes(&output), &sent);
            crdt_buffer_clear(&output);
        }
    }
    claim(frame_writer_pull(&writer, SIZE_MAX, &output) == CRDT_OK);
    take(&reader, crdt_buffer_bytes(&output), &sent);
    claim(sent.given[0] == sent.pushed[0]);
    claim(sent.given[1] == sent.pushed[1]);
    crdt_buffer_close(&output);
    frame_writer_close(&writer);
    frame_reader_close(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_foreign(data, size);
    struct choice choice = choice_from_bytes(data, size);
    round_trip(&choice);
    return 0;
}
