/* BLAKE2b over the pieces of a document. */
#ifndef LIBCRDT_DOCUMENT_HASH_H
#define LIBCRDT_DOCUMENT_HASH_H

#include <crdt.h>
#include <sodium/crypto_generichash.h>

struct crdt_hash {
    crypto_generichash_state state;
};

/* `bytes` is the length of the hash, 16 to 32. */
static inline void crdt_hash_init(struct crdt_hash *hash, size_t bytes)
{
    crypto_generichash_init(&hash->state, NULL, 0, bytes);
}

static inline void crdt_hash_add(struct crdt_hash *hash, const void *data, size_t size)
{
    crypto_generichash_update(&hash->state, data, size);
}

/* Numbers are hashed as 8 bytes, most significant first. */
static inline void crdt_hash_add_number(struct crdt_hash *hash, uint64_t number)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(number >> (56 - 8 * i));
    crdt_hash_add(hash, bytes, sizeof bytes);
}

static inline void crdt_hash_add_origin(struct crdt_hash *hash, const struct crdt_origin *origin)
{
    crdt_hash_add(hash, origin->key, CRDT_KEY_BYTES);
    crdt_hash_add_number(hash, origin->generation);
}

static inline void crdt_hash_finish(struct crdt_hash *hash, uint8_t *ret_hash, size_t bytes)
{
    crypto_generichash_final(&hash->state, ret_hash, bytes);
}

/* BLAKE2b-256 of some bytes. */
static inline void crdt_hash_bytes(
    struct crdt_bytes bytes, uint8_t ret_hash[static CRDT_HASH_BYTES])
{
    crypto_generichash(ret_hash, CRDT_HASH_BYTES, bytes.data, bytes.size, NULL, 0);
}

#endif
