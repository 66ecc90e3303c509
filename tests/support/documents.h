/* Short words for what tests do all the time. Each checks that it succeeds. */
#ifndef SUPPORT_DOCUMENTS_H
#define SUPPORT_DOCUMENTS_H

#include <crdt.h>

/* A document of the replica whose key is 32 times `key`. Generation 0: a
 * reader. Memory: the C library's heap, so that ASan sees leaks. */
struct crdt_document *document_new(uint8_t key, uint64_t generation);
struct crdt_options document_options(uint8_t key, uint64_t generation);
struct crdt_origin document_origin(uint8_t key, uint64_t generation);

/* A path of text keys; lives until 32 more were made. */
struct crdt_path path_make(const char *const *keys, size_t count);
#define PATH(...)                                                                                  \
    path_make((const char *const[]){__VA_ARGS__},                                                  \
        sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* One transaction with one write, at the time `write_now_ms`. */
extern uint64_t write_now_ms;
struct crdt_transaction *begin(struct crdt_document *document);
void add(struct crdt_document *document, struct crdt_path path, int64_t amount);
void gadd(struct crdt_document *document, struct crdt_path path, int64_t amount);
void assign(struct crdt_document *document, struct crdt_path path, const char *value);
void put(struct crdt_document *document, struct crdt_path path, const char *element);
void take(struct crdt_document *document, struct crdt_path path, const char *element);
void enable(struct crdt_document *document, struct crdt_path path);
void disable(struct crdt_document *document, struct crdt_path path);
void clear(struct crdt_document *document, struct crdt_path path, enum crdt_type type);
void fold(struct crdt_document *document, struct crdt_path path, enum crdt_type type, uint64_t seq);
/* Only those made after `after`. */
void fold_run(struct crdt_document *document, struct crdt_path path, enum crdt_type type,
    uint64_t after, uint64_t seq);
void note(struct crdt_document *document);

/* Reads. */
bool has(const struct crdt_document *document, struct crdt_path path, const char *element);
bool reads(const struct crdt_document *document, struct crdt_path path, const char *value);

/* Bytes that the caller closes. */
struct crdt_buffer sealed(struct crdt_document *document);
struct crdt_buffer snapshot_of(struct crdt_document *document);
struct crdt_buffer summary_of(struct crdt_document *document);
struct crdt_buffer diff_for(struct crdt_document *from, struct crdt_document *to);
bool buffer_equals(const struct crdt_buffer *a, const struct crdt_buffer *b);
enum crdt_status merge(struct crdt_document *document, const struct crdt_buffer *bytes);

/* Brings `to` all that `from` has; `both` does it each way. */
void sync_to(struct crdt_document *from, struct crdt_document *to);
void sync_both(struct crdt_document *a, struct crdt_document *b);
/* A copy without a generation, made through a snapshot. */
struct crdt_document *copy_of(struct crdt_document *document);
/* Have both the same snapshot bytes? */
bool is_same(struct crdt_document *a, struct crdt_document *b);

#endif
