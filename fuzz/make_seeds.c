/* Writes seeds for the corpora of fuzz_decode and fuzz_laws, made of what the
 * library itself writes. Run after a change of the format:
 *     build/fuzz/make_seeds fuzz/corpus
 */
#include "tests/support/choice.h"
#include "tests/support/claim.h"
#include "tests/support/documents.h"

#include <stdio.h>
#include <string.h>

static const char *directory;

static void write_seed(const char *harness, const char *name, const void *head, size_t head_bytes,
    struct crdt_bytes bytes)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s/%s", directory, harness, name);
    FILE *file = fopen(path, "wb");
    claim(file != NULL);
    claim(fwrite(head, 1, head_bytes, file) == head_bytes);
    claim(bytes.size == 0 || fwrite(bytes.data, 1, bytes.size, file) == bytes.size);
    claim(fclose(file) == 0);
}

static void decode_seed(const char *name, uint8_t door, struct crdt_bytes bytes)
{
    write_seed("fuzz_decode", name, &door, 1, bytes);
}

static void fill(struct crdt_document *document)
{
    struct crdt_transaction *transaction = begin(document);
    struct crdt_path deep = PATH("m", "deep", "er");
    claim(crdt_counter_add(transaction, PATH("n"), -300) == CRDT_OK);
    claim(crdt_gcounter_add(transaction, deep, 1) == CRDT_OK);
    claim(crdt_register_set(transaction, PATH("r"), crdt_text("other")) == CRDT_OK);
    claim(crdt_set_add(transaction, PATH("s"), crdt_text("y")) == CRDT_OK);
    claim(crdt_set_remove(transaction, PATH("s"), crdt_text("x")) == CRDT_OK);
    claim(crdt_flag_enable(transaction, PATH("f")) == CRDT_OK);
    claim(crdt_remove(transaction, PATH("m"), CRDT_ANY) == CRDT_OK);
    claim(crdt_note(transaction) == CRDT_OK);
    crdt_commit(transaction);
}

/* The body stands after kind and header: skip two tokens, read the third. */
static struct crdt_bytes body_of(const struct crdt_batch *header)
{
    struct crdt_bytes input = header->bytes, body;
    uint64_t kind;
    claim(crdt_read_uint(&input, 255, &kind) == CRDT_OK);
    claim(crdt_read_bytes(&input, CRDT_BATCH_BYTES_MAX, &body) == CRDT_OK);
    claim(crdt_read_bytes(&input, CRDT_BATCH_BYTES_MAX, &body) == CRDT_OK);
    return body;
}

static void batch_seeds(struct crdt_document *document, const char *name, uint8_t how)
{
    struct crdt_buffer batch = sealed(document);
    struct crdt_batch header;
    claim(crdt_batch_read(crdt_buffer_bytes(&batch), &header) == CRDT_OK);
    char text[64];
    snprintf(text, sizeof text, "%s-merge", name);
    decode_seed(text, 0, header.bytes);
    snprintf(text, sizeof text, "%s-batch", name);
    decode_seed(text, 2, header.bytes);
    struct crdt_bytes body = body_of(&header);
    uint64_t records = header.last_seq - header.first_seq + 1;
    uint8_t heads[] = {5, (uint8_t)(how | (uint8_t)((records - 1) << 2))};
    snprintf(text, sizeof text, "%s-body", name);
    write_seed("fuzz_decode", text, heads, sizeof heads, body);
    struct crdt_buffer whole;
    crdt_buffer_init(&whole, NULL);
    uint8_t size[2] = {(uint8_t)(header.header.size >> 8), (uint8_t)header.header.size};
    claim(crdt_buffer_append(&whole, size, 2) == CRDT_OK);
    claim(crdt_buffer_append(&whole, header.header.data, header.header.size) == CRDT_OK);
    claim(crdt_buffer_append(&whole, body.data, body.size) == CRDT_OK);
    snprintf(text, sizeof text, "%s-header", name);
    decode_seed(text, 6, crdt_buffer_bytes(&whole));
    crdt_buffer_close(&whole);
    crdt_buffer_close(&batch);
}

/* One operation a batch, so that mutations stay small. */
static void small_seeds(void)
{
    struct crdt_document *document = document_new(3, 1);
    add(document, PATH("n"), 1);
    batch_seeds(document, "add", 0);
    add(document, PATH("n"), 1);
    batch_seeds(document, "add-again", 2);
    fold(document, PATH("n"), CRDT_COUNTER, UINT64_MAX);
    batch_seeds(document, "fold", 2);
    for (int i = 0; i < 3; i++) {
        add(document, PATH("n"), 1);
        struct crdt_buffer batch = sealed(document);
        crdt_buffer_close(&batch);
    }
    fold_run(document, PATH("n"), CRDT_COUNTER, 4, 6);
    batch_seeds(document, "fold-run", 2);
    put(document, PATH("s"), "x");
    batch_seeds(document, "put", 0);
    clear(document, crdt_root(), CRDT_ANY);
    batch_seeds(document, "kill", 1);
    assign(document, PATH("r"), "v");
    batch_seeds(document, "register", 1);
    struct crdt_bytes keys[CRDT_DEPTH_MAX];
    for (size_t i = 0; i < CRDT_DEPTH_MAX; i++)
        keys[i] = crdt_text("");
    put(document, (struct crdt_path){keys, CRDT_DEPTH_MAX}, "x");
    put(document, (struct crdt_path){keys, CRDT_DEPTH_MAX}, "y");
    batch_seeds(document, "deepest", 0);
    struct crdt_buffer snapshot = snapshot_of(document);
    decode_seed("deepest-sealed", 7, crdt_buffer_bytes(&snapshot));
    crdt_buffer_close(&snapshot);
    crdt_close(document);
}

static void state_seeds(struct crdt_document *document)
{
    struct crdt_buffer snapshot = snapshot_of(document), summary = summary_of(document);
    decode_seed("snapshot-merge", 0, crdt_buffer_bytes(&snapshot));
    decode_seed("snapshot-load", 1, crdt_buffer_bytes(&snapshot));
    decode_seed("snapshot-sealed", 7, crdt_buffer_bytes(&snapshot));
    decode_seed("summary", 3, crdt_buffer_bytes(&summary));
    struct crdt_buffer tokens;
    crdt_buffer_init(&tokens, NULL);
    claim(crdt_write_uint(&tokens, 70000) == CRDT_OK);
    claim(crdt_write_int(&tokens, -70000) == CRDT_OK);
    claim(crdt_write_bytes(&tokens, crdt_text("hello")) == CRDT_OK);
    decode_seed("tokens", 4, crdt_buffer_bytes(&tokens));
    crdt_buffer_close(&tokens);
    crdt_buffer_close(&snapshot);
    crdt_buffer_close(&summary);
}

static void history_seeds(void)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        uint8_t bytes[600];
        struct choice choice = choice_from_seed(seed);
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)choice_below(&choice, 256);
        char name[32];
        snprintf(name, sizeof name, "history-%u", (unsigned)seed);
        write_seed("fuzz_laws", name, "", 0, (struct crdt_bytes){bytes, 75 * (size_t)seed});
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: make_seeds CORPUS_DIRECTORY\n");
        return 64;
    }
    directory = argv[1];
    struct crdt_document *victim = document_new(2, 1), *stranger = document_new(3, 1);
    put(victim, PATH("s"), "x");
    sync_to(victim, stranger);
    fill(stranger);
    batch_seeds(stranger, "all", 1);
    state_seeds(stranger);
    small_seeds();
    history_seeds();
    crdt_close(victim);
    crdt_close(stranger);
    return 0;
}
