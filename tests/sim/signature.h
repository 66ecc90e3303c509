/* Signatures of simulated nodes: a keyed hash that anyone can verify, enough
 * where nobody guesses; in a few runs Ed25519 as in earnest. */
#ifndef TESTS_SIM_SIGNATURE_H
#define TESTS_SIM_SIGNATURE_H

#include "tests/sim/node.h"

/* Gives a node its key, drawn from `seed`. */
void signature_begin(struct node *node, const uint8_t seed[static CRDT_KEY_BYTES]);
void signature_make(const struct node *node, const uint8_t *message, size_t message_bytes,
    uint8_t ret_signature[static CORE_SIGNATURE_BYTES]);
/* `verifier`'s run says which of the two it is. */
bool signature_is_good(const struct node *verifier, const uint8_t key[static CRDT_KEY_BYTES],
    const uint8_t *message, size_t message_bytes,
    const uint8_t signature[static CORE_SIGNATURE_BYTES]);

#endif
