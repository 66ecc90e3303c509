/* The handshake: whatever a stranger says, in whatever state, it never comes to
 * DONE without the signature, and a refusal is one whole message. */
#include "gossipd/wire/handshake.h"

#include <string.h>

#include "tests/support/claim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_known(void *context, const uint8_t key[static CRDT_KEY_BYTES])
{
    (void)context;
    return key[0] == 'k';
}

static void sign(void *context, const uint8_t *message, size_t message_bytes,
    uint8_t ret_signature[static HANDSHAKE_SIGNATURE_BYTES])
{
    (void)context;
    claim(message_bytes > 0);
    memset(ret_signature, message[0], HANDSHAKE_SIGNATURE_BYTES);
}

/* Nobody but the true peer can sign, and it is not here. */
static bool verify(void *context, const uint8_t key[static CRDT_KEY_BYTES],
    const uint8_t *message, size_t message_bytes,
    const uint8_t signature[static HANDSHAKE_SIGNATURE_BYTES])
{
    (void)context;
    (void)key;
    (void)message;
    (void)message_bytes;
    (void)signature;
    return false;
}

/* The first byte chooses the role; then messages, each behind its length. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct handshake_identity identity = {
        .is_known = is_known, .sign = sign, .verify = verify};
    static const uint8_t nonce[HANDSHAKE_NONCE_BYTES] = {1, 2, 3};
    struct handshake handshake;
    struct crdt_buffer reply;
    if (size == 0) {
        return 0;
    }
    /* A stranger knows the cluster's id: bytes that a fuzzer finds. */
    memset(identity.cluster_id, 'c', sizeof identity.cluster_id);
    memset(identity.key, 'm', sizeof identity.key);
    crdt_buffer_init(&reply, NULL);
    handshake_init(&handshake, &identity, (data[0] & 1) != 0, nonce);
    claim(handshake_start(&handshake, &reply) == CRDT_OK);
    size_t at = 1;
    enum handshake_result result = HANDSHAKE_MORE;
    while (at < size && result == HANDSHAKE_MORE) {
        size_t length = data[at++];
        length = length < size - at ? length : size - at;
        crdt_buffer_clear(&reply);
        result = handshake_step(&handshake, (struct crdt_bytes){data + at, length}, &reply);
        claim(result != HANDSHAKE_DONE);
        bool is_refusal = result >= HANDSHAKE_OTHER_MAJOR && result <= HANDSHAKE_BAD_SIGNATURE;
        claim(!is_refusal || reply.size == 2);
        claim(result != HANDSHAKE_MALFORMED || reply.size == 0);
        at += length;
    }
    crdt_buffer_close(&reply);
    return 0;
}
