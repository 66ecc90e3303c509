#include "tests/support/documents.h"

#include "tests/support/claim.h"

#include <string.h>

uint64_t write_now_ms = 1000;

#define SLOTS 32
#define SLOT_KEYS 80

struct crdt_options document_options(uint8_t key, uint64_t generation)
{
    struct crdt_options options;
    crdt_options_init(&options);
    memset(options.key, key, sizeof options.key);
    options.generation = generation;
    return options;
}

struct crdt_document *document_new(uint8_t key, uint64_t generation)
{
    struct crdt_options options = document_options(key, generation);
    struct crdt_document *document;
    claim(crdt_open(&options, &document) == CRDT_OK);
    return document;
}

struct crdt_origin document_origin(uint8_t key, uint64_t generation)
{
    struct crdt_origin origin = {.generation = generation};
    memset(origin.key, key, sizeof origin.key);
    return origin;
}

struct crdt_path path_make(const char *const *keys, size_t count)
{
    static struct crdt_bytes slots[SLOTS][SLOT_KEYS];
    static unsigned next;
    struct crdt_bytes *slot = slots[next++ % SLOTS];
    claim(count <= SLOT_KEYS);
    for (size_t i = 0; i < count; i++)
        slot[i] = crdt_text(keys[i]);
    return (struct crdt_path){slot, count};
}

struct crdt_transaction *begin(struct crdt_document *document)
{
    struct crdt_transaction *transaction;
    claim(crdt_begin(document, write_now_ms, &transaction) == CRDT_OK);
    return transaction;
}

static void finish(struct crdt_transaction *transaction, enum crdt_status status)
{
    claim(status == CRDT_OK);
    crdt_commit(transaction);
}

void add(struct crdt_document *document, struct crdt_path path, int64_t amount)
{
    struct crdt_transaction *transaction = begin(document);
    finish(transaction, crdt_counter_add(transaction, path, amount));
}

void gadd(struct crdt_document *document, struct crdt_path path, int64_t amount)
{
    struct crdt_transaction *transaction = begin(document);
    finish(transaction, crdt_gcounter_add(transaction, path, amount));
}

void assign(struct crdt_document *document, struct crdt_path path, const char *value)
{
    struct crdt_transaction *transaction = begin(document);
    finish(transaction, crdt_register_set(transaction, path, crdt_text(value)));
}

void put(struct crdt_document *document, struct crdt_path path, const char *element)
{
    struct crdt_transaction *transaction = begin(document);
    finish(transaction, crdt_set_add(transaction, path, crdt_text(element)));
}

void take(struct crdt_document *document, struct crdt_path path, const char *element)
{
    struct crdt_transaction *transaction = begin(document);
    finish(transaction, crdt_set_remove(transaction, path, crdt_text(element)));
}

void enable(struct crdt_document *document, struct crdt_path path)
{
    struct crdt_transaction *transaction = begin(document);
    finish(transaction, crdt_flag_enable(transaction, path));
}

void disable(struct crdt_document *document, struct crdt_path path)
{
    struct crdt_transaction *transaction = begin(document);
    finish(transaction, crdt_flag_disable(transaction, path));
}

void clear(struct crdt_document *document, struct crdt_path path, enum crdt_type type)
{
    struct crdt_transaction *transaction = begin(document);
    finish(transaction, crdt_remove(transaction, path, type));
}

void fold_run(struct crdt_document *document, struct crdt_path path, enum crdt_type type,
    uint64_t after, uint64_t seq)
{
    struct crdt_transaction *transaction = begin(document);
    finish(transaction, crdt_counter_fold(transaction, path, type, after, seq));
}

void fold(struct crdt_document *document, struct crdt_path path, enum crdt_type type, uint64_t seq)
{
    fold_run(document, path, type, 0, seq);
}

void note(struct crdt_document *document)
{
    struct crdt_transaction *transaction = begin(document);
    finish(transaction, crdt_note(transaction));
}

bool has(const struct crdt_document *document, struct crdt_path path, const char *element)
{
    return crdt_set_contains(document, path, crdt_text(element));
}

bool reads(const struct crdt_document *document, struct crdt_path path, const char *value)
{
    struct crdt_bytes bytes;
    if (crdt_register_get(document, path, &bytes) != CRDT_OK)
        return value == NULL;
    return value != NULL && bytes.size == strlen(value) &&
           memcmp(bytes.data, value, bytes.size) == 0;
}

struct crdt_buffer sealed(struct crdt_document *document)
{
    struct crdt_bytes bytes;
    claim(crdt_seal(document, &bytes) == CRDT_OK);
    struct crdt_buffer buffer;
    crdt_buffer_init(&buffer, NULL);
    claim(crdt_buffer_append(&buffer, bytes.data, bytes.size) == CRDT_OK);
    return buffer;
}

struct crdt_buffer snapshot_of(struct crdt_document *document)
{
    struct crdt_buffer buffer;
    crdt_buffer_init(&buffer, NULL);
    claim(crdt_snapshot(document, &buffer) == CRDT_OK);
    return buffer;
}

struct crdt_buffer summary_of(struct crdt_document *document)
{
    struct crdt_buffer buffer;
    crdt_buffer_init(&buffer, NULL);
    claim(crdt_summary(document, &buffer) == CRDT_OK);
    return buffer;
}

struct crdt_buffer diff_for(struct crdt_document *from, struct crdt_document *to)
{
    struct crdt_buffer summary = summary_of(to), delta;
    crdt_buffer_init(&delta, NULL);
    claim(crdt_diff(from, crdt_buffer_bytes(&summary), &delta) == CRDT_OK);
    crdt_buffer_close(&summary);
    return delta;
}

bool buffer_equals(const struct crdt_buffer *a, const struct crdt_buffer *b)
{
    return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

enum crdt_status merge(struct crdt_document *document, const struct crdt_buffer *bytes)
{
    return crdt_merge(document, crdt_buffer_bytes(bytes));
}

void sync_to(struct crdt_document *from, struct crdt_document *to)
{
    struct crdt_buffer delta = diff_for(from, to);
    claim(merge(to, &delta) == CRDT_OK);
    crdt_buffer_close(&delta);
}

void sync_both(struct crdt_document *a, struct crdt_document *b)
{
    sync_to(a, b);
    sync_to(b, a);
}

struct crdt_document *copy_of(struct crdt_document *document)
{
    struct crdt_buffer snapshot = snapshot_of(document);
    struct crdt_options options = document_options(0xee, 0);
    struct crdt_document *copy;
    claim(crdt_load(&options, crdt_buffer_bytes(&snapshot), &copy) == CRDT_OK);
    crdt_buffer_close(&snapshot);
    return copy;
}

bool is_same(struct crdt_document *a, struct crdt_document *b)
{
    struct crdt_buffer x = snapshot_of(a), y = snapshot_of(b);
    bool is_equal = buffer_equals(&x, &y);
    crdt_buffer_close(&x);
    crdt_buffer_close(&y);
    return is_equal;
}
