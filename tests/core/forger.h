/* An author who signs with a member's key what a test likes, and brings it to a node
 * of the pump over the link that it has with another. */
#ifndef TESTS_CORE_FORGER_H
#define TESTS_CORE_FORGER_H

#include "tests/core/pump.h"

#define FORGER_GENERATION 77

struct crdt_document *forger_new(uint8_t key_byte);
struct crdt_document *forger_new_under(uint8_t key_byte, uint64_t generation);
/* Sets a key to "yes"; the batch lives until the next call on the document. */
void forger_set(struct crdt_document *author, const char *key, struct crdt_bytes *ret_batch);
/* The same so many times in one batch: how many operations it holds. */
void forger_set_times(struct crdt_document *author, const char *key, int count,
    struct crdt_bytes *ret_batch);

/* The batch by which an author without a past sets a key; the caller closes it. */
void forger_first_batch(uint8_t key_byte, uint64_t generation, const char *key,
    struct crdt_buffer *ret_batch);
/* The same by an author who has applied `first`, another's first batch. */
void forger_dependent_batch(uint8_t key_byte, const struct crdt_buffer *first,
    const char *key, struct crdt_buffer *ret_batch);

void forger_give(struct pump *pump, size_t node, size_t from, struct crdt_bytes batch);
/* Both at once. */
void forger_write_to(struct pump *pump, struct crdt_document *author, const char *key,
    size_t node, size_t from);
/* Whether a node reads the key that a forger has set. */
bool forger_is_set(struct pump *pump, size_t node, const char *key);
/* Whether some feed is frozen on a node. */
bool forger_is_frozen(struct pump *pump, size_t node);
/* Brings the header alone, as HEADS do. */
void forger_give_header(struct pump *pump, size_t node, size_t from, struct crdt_bytes batch);
/* The header of a first batch. */
void forger_give_first_header(struct pump *pump, size_t node, size_t from, uint8_t key_byte,
    uint64_t generation, const char *key);

#endif
