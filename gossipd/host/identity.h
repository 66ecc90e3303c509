/* Who this node is: an Ed25519 key pair whose seed lies in DIR/node.key. */
#ifndef GOSSIPD_HOST_IDENTITY_H
#define GOSSIPD_HOST_IDENTITY_H

#include "gossipd/core/core.h"
#include "gossipd/host/log.h"

#define IDENTITY_FILE "node.key"
#define IDENTITY_SECRET_BYTES 64
#define IDENTITY_HEX_BYTES (2 * CRDT_KEY_BYTES + 1)

struct identity {
    uint8_t key[CRDT_KEY_BYTES];
    uint8_t secret[IDENTITY_SECRET_BYTES];
};

/* Makes DIR/node.key with a fresh seed, mode 0600; refuses when it exists. The
 * file appears whole or not at all. */
bool identity_create(const char *dir, struct identity *ret_identity, struct failure *failure);

/* Reads DIR/node.key. A file that others can read is refused. */
bool identity_read(const char *dir, struct identity *ret_identity, struct failure *failure);

/* Whether DIR/node.key exists. */
bool identity_exists(const char *dir);

/* Wipes the secret. */
void identity_close(struct identity *identity);

/* Fits struct core_crypto; `context` is the identity. */
void identity_sign(void *context, const uint8_t *message, size_t message_bytes,
    uint8_t ret_signature[static CORE_SIGNATURE_BYTES]);
bool identity_verify(const uint8_t key[static CRDT_KEY_BYTES], const uint8_t *message,
    size_t message_bytes, const uint8_t signature[static CORE_SIGNATURE_BYTES]);

/* A key as lower-case hex, and back; false unless it is 64 hex digits. */
void identity_key_text(
    const uint8_t key[static CRDT_KEY_BYTES], char ret_text[static IDENTITY_HEX_BYTES]);
bool identity_key_parse(const char *text, uint8_t ret_key[static CRDT_KEY_BYTES]);

#endif
