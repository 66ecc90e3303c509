/* Bytes from a stranger at every door of the library, on a document that has
 * content. What is refused changes nothing; what is accepted leaves a document
 * that survives save and load.
 *
 * The first byte picks the door. Random bytes never get past a hash, so three
 * doors take the inside of a batch or a snapshot and make its hash right. */
#include "fuzz/fuzz.h"
#include "tests/support/claim.h"
#include "tests/support/documents.h"
#include "tests/support/memory.h"

#include <sodium.h>
#include <string.h>

enum door {
    DOOR_MERGE,    /* bytes as they are, as a delta                             */
    DOOR_LOAD,     /* as a snapshot to load                                     */
    DOOR_BATCH,    /* as one batch: its header                                  */
    DOOR_SUMMARY,  /* as what a peer says it has                                */
    DOOR_TOKENS,
    DOOR_BODY,     /* as the records of a batch whose header and hash are right */
    DOOR_HEADER,   /* as a header before a body, the body's hash made right     */
    DOOR_SNAPSHOT, /* as a snapshot whose hash at the end is made right         */
    DOOR_COUNT,
};

#define PENDING_BYTES_MAX 4096
/* No allocation may be larger than the bytes at hand justify. */
#define ALLOWED_BYTES(size) (64 * (size) + (1u << 20))

static struct test_memory memory;

static struct crdt_document *victim_new(void)
{
    struct crdt_options options = document_options(1, 1);
    options.memory = test_memory_hook(&memory);
    options.pending_bytes_max = PENDING_BYTES_MAX;
    struct crdt_document *victim;
    claim(crdt_open(&options, &victim) == CRDT_OK);
    add(victim, PATH("n"), 5);
    gadd(victim, PATH("m", "g"), 5);
    assign(victim, PATH("r"), "value");
    put(victim, PATH("s"), "x");
    enable(victim, crdt_root());
    return victim;
}

/* What the stranger is: it has seen the victim or not, and has a past or not. */
static struct crdt_buffer stranger_batch(struct crdt_document *victim, uint8_t how)
{
    struct crdt_document *stranger = document_new(3, 1);
    if (how & 1)
        sync_to(victim, stranger);
    if (how & 2) {
        add(stranger, PATH("n"), 2);
        add(stranger, PATH("m", "n"), 3);
        sync_to(stranger, victim);
    }
    unsigned records = 1 + (how >> 2) % 8;
    for (unsigned i = 0; i < records; i++)
        note(stranger);
    struct crdt_buffer batch = sealed(stranger);
    crdt_close(stranger);
    return batch;
}

static void hash_of(const void *data, size_t size, uint8_t hash[static CRDT_HASH_BYTES])
{
    crypto_generichash(hash, CRDT_HASH_BYTES, data, size, NULL, 0);
}

/* kind, header, body: docs/wire-format.md. The body's hash ends the header. */
static void wrap(const uint8_t *header, size_t header_bytes, const uint8_t *body,
    size_t body_bytes, struct crdt_buffer *ret_batch)
{
    uint8_t changed[4096];
    claim(header_bytes >= CRDT_HASH_BYTES && header_bytes <= sizeof changed);
    memcpy(changed, header, header_bytes);
    hash_of(body, body_bytes, changed + header_bytes - CRDT_HASH_BYTES);
    claim(crdt_write_uint(ret_batch, 1) == CRDT_OK);
    claim(crdt_write_bytes(ret_batch, (struct crdt_bytes){changed, header_bytes}) == CRDT_OK);
    claim(crdt_write_bytes(ret_batch, (struct crdt_bytes){body, body_bytes}) == CRDT_OK);
}

static void must_survive_save_and_load(struct crdt_document *document)
{
    struct crdt_buffer saved = snapshot_of(document);
    struct crdt_document *loaded = copy_of(document);
    struct crdt_buffer again = snapshot_of(loaded);
    claim(buffer_equals(&saved, &again));
    struct crdt_digest x, y;
    claim(crdt_digest(document, &x) == CRDT_OK);
    claim(crdt_digest(loaded, &y) == CRDT_OK);
    claim(memcmp(&x, &y, sizeof x) == 0);
    crdt_buffer_close(&saved);
    crdt_buffer_close(&again);
    crdt_close(loaded);
}

static void try_merge(struct crdt_document *victim, struct crdt_bytes bytes)
{
    struct crdt_buffer before = snapshot_of(victim);
    size_t pending = crdt_pending_bytes(victim);
    size_t held = memory.held;
    memory.peak = held;
    enum crdt_status status = crdt_merge(victim, bytes);
    claim(memory.peak - held <= ALLOWED_BYTES(bytes.size));
    claim(crdt_pending_bytes(victim) <= PENDING_BYTES_MAX);
    claim(status == CRDT_OK || crdt_pending_bytes(victim) == pending);
    if (status == CRDT_OK) {
        must_survive_save_and_load(victim);
    } else {
        struct crdt_buffer after = snapshot_of(victim);
        claim(buffer_equals(&before, &after));
        crdt_buffer_close(&after);
    }
    crdt_buffer_close(&before);
}

/* Of a newer minor version: it may say more than is kept here. */
static bool is_newer(struct crdt_bytes bytes)
{
    uint64_t kind, major, minor;
    return crdt_read_uint(&bytes, UINT64_MAX, &kind) == CRDT_OK &&
           crdt_read_uint(&bytes, UINT64_MAX, &major) == CRDT_OK &&
           crdt_read_uint(&bytes, UINT64_MAX, &minor) == CRDT_OK && minor > CRDT_WIRE_MINOR;
}

static void try_load(struct crdt_bytes bytes)
{
    struct crdt_options options = document_options(9, 0);
    options.memory = test_memory_hook(&memory);
    struct crdt_document *loaded = NULL;
    size_t held = memory.held;
    memory.peak = held;
    enum crdt_status status = crdt_load(&options, bytes, &loaded);
    claim(memory.peak - held <= ALLOWED_BYTES(bytes.size));
    claim((status == CRDT_OK) == (loaded != NULL));
    if (loaded == NULL)
        return;
    /* The encoding is canonical: what loads saves to the very same bytes. */
    struct crdt_buffer saved = snapshot_of(loaded);
    claim(is_newer(bytes) ||
          (saved.size == bytes.size && memcmp(saved.data, bytes.data, bytes.size) == 0));
    crdt_buffer_close(&saved);
    crdt_close(loaded);
}

static void try_batch(struct crdt_document *victim, struct crdt_bytes bytes)
{
    struct crdt_batch header;
    struct crdt_dot missing;
    if (crdt_batch_read(bytes, &header) != CRDT_OK)
        return;
    claim(header.bytes.size <= bytes.size && header.first_seq <= header.last_seq);
    struct crdt_buffer before = snapshot_of(victim);
    (void)!crdt_batch_check(victim, &header, &missing);
    struct crdt_buffer after = snapshot_of(victim);
    claim(buffer_equals(&before, &after));
    crdt_buffer_close(&before);
    crdt_buffer_close(&after);
}

static void try_summary(struct crdt_document *victim, struct crdt_bytes bytes)
{
    struct crdt_dot dots[64];
    size_t count;
    struct crdt_buffer out;
    crdt_buffer_init(&out, NULL);
    if (crdt_summary_read(bytes, dots, 64, &count) == CRDT_OK) {
        claim(crdt_summary_write(dots, count, &out) == CRDT_OK);
        claim(is_newer(bytes) ||
              (out.size == bytes.size && memcmp(out.data, bytes.data, bytes.size) == 0));
        crdt_buffer_clear(&out);
    }
    struct crdt_buffer before = snapshot_of(victim);
    if (crdt_diff(victim, bytes, &out) != CRDT_OK)
        claim(out.size == 0);
    (void)!crdt_gc(victim, &bytes, 1);
    struct crdt_buffer after = snapshot_of(victim);
    claim(buffer_equals(&before, &after));
    crdt_buffer_close(&before);
    crdt_buffer_close(&after);
    crdt_buffer_close(&out);
}

/* What is read is written back as the very same bytes. */
static void try_tokens(struct crdt_bytes input)
{
    struct crdt_buffer out;
    crdt_buffer_init(&out, NULL);
    for (bool is_going = true; is_going && input.size > 0;) {
        const uint8_t *start = input.data;
        uint64_t u;
        int64_t s;
        struct crdt_bytes bytes;
        crdt_buffer_clear(&out);
        if (crdt_read_uint(&input, UINT64_MAX, &u) == CRDT_OK)
            claim(crdt_write_uint(&out, u) == CRDT_OK);
        else if (crdt_read_int(&input, &s) == CRDT_OK)
            claim(crdt_write_int(&out, s) == CRDT_OK);
        else if (crdt_read_bytes(&input, 1000, &bytes) == CRDT_OK)
            claim(crdt_write_bytes(&out, bytes) == CRDT_OK);
        else
            is_going = false;
        claim(out.size == (size_t)((const uint8_t *)input.data - start));
        claim(out.size == 0 || memcmp(out.data, start, out.size) == 0);
    }
    crdt_buffer_close(&out);
}

/* data: how the stranger is, then the records. */
static void try_body(struct crdt_document *victim, const uint8_t *data, size_t size)
{
    if (size < 1)
        return;
    struct crdt_buffer template = stranger_batch(victim, data[0]), batch;
    struct crdt_batch header;
    claim(crdt_batch_read(crdt_buffer_bytes(&template), &header) == CRDT_OK);
    crdt_buffer_init(&batch, NULL);
    wrap(header.header.data, header.header.size, data + 1, size - 1, &batch);
    try_merge(victim, crdt_buffer_bytes(&batch));
    crdt_buffer_close(&template);
    crdt_buffer_close(&batch);
}

/* data: bytes of the header, its length before; the rest is the body. */
static void try_header(struct crdt_document *victim, const uint8_t *data, size_t size)
{
    if (size < 2)
        return;
    size_t header_bytes = (size_t)data[0] << 8 | data[1];
    data += 2;
    size -= 2;
    if (header_bytes < CRDT_HASH_BYTES || header_bytes > size || header_bytes > 4096)
        return;
    struct crdt_buffer batch;
    crdt_buffer_init(&batch, NULL);
    wrap(data, header_bytes, data + header_bytes, size - header_bytes, &batch);
    try_batch(victim, crdt_buffer_bytes(&batch));
    try_merge(victim, crdt_buffer_bytes(&batch));
    crdt_buffer_close(&batch);
}

static void try_snapshot(struct crdt_document *victim, const uint8_t *data, size_t size)
{
    uint8_t hash[CRDT_HASH_BYTES];
    struct crdt_buffer snapshot;
    if (size < sizeof hash + 2)
        return;
    crdt_buffer_init(&snapshot, NULL);
    size -= sizeof hash + 2;
    hash_of(data, size, hash);
    claim(crdt_buffer_append(&snapshot, data, size) == CRDT_OK);
    claim(crdt_write_bytes(&snapshot, (struct crdt_bytes){hash, sizeof hash}) == CRDT_OK);
    try_load(crdt_buffer_bytes(&snapshot));
    try_merge(victim, crdt_buffer_bytes(&snapshot));
    crdt_buffer_close(&snapshot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct crdt_document *victim = victim_new();
    struct crdt_bytes bytes = {data + 1, size - 1};
    switch ((enum door)(data[0] % DOOR_COUNT)) {
    case DOOR_MERGE:
        try_merge(victim, bytes);
        break;
    case DOOR_LOAD:
        try_load(bytes);
        break;
    case DOOR_BATCH:
        try_batch(victim, bytes);
        break;
    case DOOR_SUMMARY:
        try_summary(victim, bytes);
        break;
    case DOOR_TOKENS:
        try_tokens(bytes);
        break;
    case DOOR_BODY:
        try_body(victim, bytes.data, bytes.size);
        break;
    case DOOR_HEADER:
        try_header(victim, bytes.data, bytes.size);
        break;
    case DOOR_SNAPSHOT:
        try_snapshot(victim, bytes.data, bytes.size);
        break;
    case DOOR_COUNT:
        break;
    }
    crdt_close(victim);
    claim(memory.held == 0);
    return 0;
}
