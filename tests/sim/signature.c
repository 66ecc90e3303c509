#include "tests/sim/signature.h"

#include <sodium.h>
#include <string.h>

void signature_begin(struct node *node, const uint8_t seed[static CRDT_KEY_BYTES])
{
    if (node->is_ed25519)
        crypto_sign_seed_keypair(node->key, node->secret, seed);
    else
        memcpy(node->key, seed, CRDT_KEY_BYTES);
}

static void signature_hash(const uint8_t key[static CRDT_KEY_BYTES], const uint8_t *message,
    size_t message_bytes, uint8_t ret_signature[static CORE_SIGNATURE_BYTES])
{
    crypto_generichash(
        ret_signature, CORE_SIGNATURE_BYTES, message, message_bytes, key, CRDT_KEY_BYTES);
}

void signature_make(const struct node *node, const uint8_t *message, size_t message_bytes,
    uint8_t ret_signature[static CORE_SIGNATURE_BYTES])
{
    if (node->is_ed25519)
        crypto_sign_detached(ret_signature, NULL, message, message_bytes, node->secret);
    else
        signature_hash(node->key, message, message_bytes, ret_signature);
}

bool signature_is_good(const struct node *verifier, const uint8_t key[static CRDT_KEY_BYTES],
    const uint8_t *message, size_t message_bytes,
    const uint8_t signature[static CORE_SIGNATURE_BYTES])
{
    if (verifier->is_ed25519)
        return crypto_sign_verify_detached(signature, message, message_bytes, key) == 0;
    uint8_t expected[CORE_SIGNATURE_BYTES];
    signature_hash(key, message, message_bytes, expected);
    return memcmp(expected, signature, sizeof expected) == 0;
}
