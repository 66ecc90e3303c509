/* The handshake of a link as a state machine on whole messages. See handshake.h.
 *
 *     initiator: AWAITS_ANSWER -> OVER
 *     responder: AWAITS_HELLO -> AWAITS_PROOF -> OVER
 */
#include "gossipd/wire/handshake.h"

#include <assert.h>
#include <string.h>

#include "gossipd/limits.h"

#define MAGIC "gossipd"
#define SIGNATURE_PREFIX "gossipd hello 1"

enum message_kind { KIND_HELLO = 1, KIND_ANSWER = 2, KIND_PROOF = 3, KIND_REFUSAL = 4 };

/* prefix, cluster, role, and for both sides key and nonce. */
#define SIGNED_BYTES                                                                        \
    (sizeof SIGNATURE_PREFIX - 1 + CRDT_HASH_BYTES + 1 + 2 * CRDT_KEY_BYTES +                \
        2 * HANDSHAKE_NONCE_BYTES)

const char *handshake_result_text(enum handshake_result result)
{
    switch (result) {
    case HANDSHAKE_MORE: return "the handshake is not over";
    case HANDSHAKE_DONE: return "the key is proved";
    case HANDSHAKE_MALFORMED: return "not a gossipd handshake";
    case HANDSHAKE_OTHER_MAJOR: return "another major version of the wire format";
    case HANDSHAKE_OTHER_CLUSTER: return "another cluster: compare `cluster` on both nodes";
    case HANDSHAKE_OWN_KEY: return "this link leads back to the node itself";
    case HANDSHAKE_UNKNOWN_KEY: return "the key is not that of a configured peer";
    case HANDSHAKE_BAD_SIGNATURE: return "the key was named but not proved";
    case HANDSHAKE_REFUSED: return "the other side refused";
    case HANDSHAKE_NOMEM: return "out of memory";
    }
    return "unknown";
}

void handshake_init(struct handshake *handshake, const struct handshake_identity *identity,
    bool is_initiator, const uint8_t nonce[static HANDSHAKE_NONCE_BYTES])
{
    *handshake = (struct handshake){
        .identity = identity,
        .is_initiator = is_initiator,
        .state = is_initiator ? HANDSHAKE_AWAITS_ANSWER : HANDSHAKE_AWAITS_HELLO,
    };
    memcpy(handshake->nonce, nonce, HANDSHAKE_NONCE_BYTES);
}

static uint8_t *put(uint8_t *at, const void *data, size_t size)
{
    memcpy(at, data, size);
    return at + size;
}

/* Builds what one side signs; `is_own` says whether that side is this node. */
static void signed_bytes(
    const struct handshake *handshake, bool is_own, uint8_t ret_bytes[static SIGNED_BYTES])
{
    const struct handshake_identity *identity = handshake->identity;
    bool is_initiator = handshake->is_initiator == is_own;
    uint8_t role = is_initiator ? 0 : 1;
    const uint8_t *keys[2] = {identity->key, handshake->their_key};
    const uint8_t *nonces[2] = {handshake->nonce, handshake->their_nonce};
    size_t signer = is_own ? 0 : 1;
    uint8_t *at = put(ret_bytes, SIGNATURE_PREFIX, sizeof SIGNATURE_PREFIX - 1);
    at = put(at, identity->cluster_id, CRDT_HASH_BYTES);
    at = put(at, &role, 1);
    at = put(at, keys[signer], CRDT_KEY_BYTES);
    at = put(at, nonces[signer], HANDSHAKE_NONCE_BYTES);
    at = put(at, keys[1 - signer], CRDT_KEY_BYTES);
    at = put(at, nonces[1 - signer], HANDSHAKE_NONCE_BYTES);
    assert((size_t)(at - ret_bytes) == SIGNED_BYTES);
}

static enum crdt_status write_fields(
    const struct handshake *handshake, struct crdt_buffer *reply)
{
    const struct handshake_identity *identity = handshake->identity;
    const struct crdt_bytes cluster = {identity->cluster_id, CRDT_HASH_BYTES};
    const struct crdt_bytes key = {identity->key, CRDT_KEY_BYTES};
    const struct crdt_bytes nonce = {handshake->nonce, HANDSHAKE_NONCE_BYTES};
    enum crdt_status status = crdt_write_bytes(reply, crdt_text(MAGIC));
    status = status == CRDT_OK ? crdt_write_uint(reply, CRDT_WIRE_MAJOR) : status;
    status = status == CRDT_OK ? crdt_write_uint(reply, CRDT_WIRE_MINOR) : status;
    status = status == CRDT_OK ? crdt_write_bytes(reply, cluster) : status;
    status = status == CRDT_OK ? crdt_write_bytes(reply, key) : status;
    return status == CRDT_OK ? crdt_write_bytes(reply, nonce) : status;
}

static enum crdt_status write_signature(
    const struct handshake *handshake, enum message_kind kind, struct crdt_buffer *reply)
{
    uint8_t message[SIGNED_BYTES];
    uint8_t signature[HANDSHAKE_SIGNATURE_BYTES];
    signed_bytes(handshake, true, message);
    handshake->identity->sign(
        handshake->identity->context, message, sizeof message, signature);
    enum crdt_status status = crdt_write_uint(reply, kind);
    const struct crdt_bytes bytes = {signature, sizeof signature};
    return status == CRDT_OK ? crdt_write_bytes(reply, bytes) : status;
}

enum crdt_status handshake_start(struct handshake *handshake, struct crdt_buffer *reply)
{
    if (!handshake->is_initiator) {
        return CRDT_OK;
    }
    enum crdt_status status = crdt_write_uint(reply, KIND_HELLO);
    return status == CRDT_OK ? write_fields(handshake, reply) : status;
}

static bool read_fixed(struct crdt_bytes *input, size_t size, uint8_t *ret_bytes)
{
    struct crdt_bytes bytes;
    if (crdt_read_bytes(input, size, &bytes) != CRDT_OK || bytes.size != size) {
        return false;
    }
    memcpy(ret_bytes, bytes.data, size);
    return true;
}

/* Reads the fields of the other side into the handshake and judges them. What
 * comes after the known fields belongs to a newer minor version. */
static enum handshake_result read_fields(struct handshake *handshake, struct crdt_bytes input)
{
    const struct handshake_identity *identity = handshake->identity;
    uint8_t magic[sizeof MAGIC - 1];
    uint8_t cluster_id[CRDT_HASH_BYTES];
    uint64_t major = 0;
    uint64_t minor = 0;
    if (!read_fixed(&input, sizeof magic, magic) || memcmp(magic, MAGIC, sizeof magic) != 0 ||
        crdt_read_uint(&input, UINT32_MAX, &major) != CRDT_OK) {
        return HANDSHAKE_MALFORMED;
    }
    if (major != CRDT_WIRE_MAJOR) {
        return HANDSHAKE_OTHER_MAJOR;
    }
    if (crdt_read_uint(&input, UINT32_MAX, &minor) != CRDT_OK ||
        !read_fixed(&input, sizeof cluster_id, cluster_id) ||
        !read_fixed(&input, CRDT_KEY_BYTES, handshake->their_key) ||
        !read_fixed(&input, HANDSHAKE_NONCE_BYTES, handshake->their_nonce) ||
        (input.size > 0 && minor <= CRDT_WIRE_MINOR)) {
        return HANDSHAKE_MALFORMED;
    }
    if (memcmp(cluster_id, identity->cluster_id, sizeof cluster_id) != 0) {
        return HANDSHAKE_OTHER_CLUSTER;
    }
    if (memcmp(handshake->their_key, identity->key, CRDT_KEY_BYTES) == 0) {
        return HANDSHAKE_OWN_KEY;
    }
    bool is_known = identity->is_known(identity->context, handshake->their_key);
    return is_known ? HANDSHAKE_DONE : HANDSHAKE_UNKNOWN_KEY;
}

static enum handshake_result verify(
    const struct handshake *handshake, const uint8_t signature[static HANDSHAKE_SIGNATURE_BYTES])
{
    uint8_t message[SIGNED_BYTES];
    signed_bytes(handshake, false, message);
    const struct handshake_identity *identity = handshake->identity;
    bool is_valid = identity->verify(
        identity->context, handshake->their_key, message, sizeof message, signature);
    return is_valid ? HANDSHAKE_DONE : HANDSHAKE_BAD_SIGNATURE;
}

static enum handshake_result step_hello(
    struct handshake *handshake, struct crdt_bytes input, struct crdt_buffer *reply)
{
    enum handshake_result result = read_fields(handshake, input);
    if (result != HANDSHAKE_DONE) {
        return result;
    }
    enum crdt_status status = write_signature(handshake, KIND_ANSWER, reply);
    status = status == CRDT_OK ? write_fields(handshake, reply) : status;
    handshake->state = HANDSHAKE_AWAITS_PROOF;
    return status == CRDT_OK ? HANDSHAKE_MORE : HANDSHAKE_NOMEM;
}

static enum handshake_result step_answer(
    struct handshake *handshake, struct crdt_bytes input, struct crdt_buffer *reply)
{
    uint8_t signature[HANDSHAKE_SIGNATURE_BYTES];
    if (!read_fixed(&input, sizeof signature, signature)) {
        return HANDSHAKE_MALFORMED;
    }
    enum handshake_result result = read_fields(handshake, input);
    result = result == HANDSHAKE_DONE ? verify(handshake, signature) : result;
    if (result == HANDSHAKE_DONE && write_signature(handshake, KIND_PROOF, reply) != CRDT_OK) {
        return HANDSHAKE_NOMEM;
    }
    return result;
}

static enum handshake_result step_proof(struct handshake *handshake, struct crdt_bytes input)
{
    uint8_t signature[HANDSHAKE_SIGNATURE_BYTES];
    if (!read_fixed(&input, sizeof signature, signature) || input.size > 0) {
        return HANDSHAKE_MALFORMED;
    }
    return verify(handshake, signature);
}

static enum handshake_result step_refusal(struct handshake *handshake, struct crdt_bytes input)
{
    uint64_t why = 0;
    if (crdt_read_uint(&input, HANDSHAKE_BAD_SIGNATURE, &why) != CRDT_OK ||
        why < HANDSHAKE_MALFORMED) {
        return HANDSHAKE_MALFORMED;
    }
    handshake->refusal = (enum handshake_result)why;
    return HANDSHAKE_REFUSED;
}

/* A stranger who does not speak our protocol is told nothing. */
static void refuse(enum handshake_result result, struct crdt_buffer *reply)
{
    size_t size_before = reply->size;
    if (crdt_write_uint(reply, KIND_REFUSAL) != CRDT_OK ||
        crdt_write_uint(reply, (uint64_t)result) != CRDT_OK) {
        reply->size = size_before;
    }
}

static enum handshake_result dispatch(
    struct handshake *handshake, struct crdt_bytes message, struct crdt_buffer *reply)
{
    uint64_t kind = 0;
    if (crdt_read_uint(&message, KIND_REFUSAL, &kind) != CRDT_OK) {
        return HANDSHAKE_MALFORMED;
    }
    if (kind == KIND_REFUSAL && handshake->state != HANDSHAKE_AWAITS_HELLO) {
        return step_refusal(handshake, message);
    }
    if (kind == KIND_HELLO && handshake->state == HANDSHAKE_AWAITS_HELLO) {
        return step_hello(handshake, message, reply);
    }
    if (kind == KIND_ANSWER && handshake->state == HANDSHAKE_AWAITS_ANSWER) {
        return step_answer(handshake, message, reply);
    }
    if (kind == KIND_PROOF && handshake->state == HANDSHAKE_AWAITS_PROOF) {
        return step_proof(handshake, message);
    }
    return HANDSHAKE_MALFORMED;
}

enum handshake_result handshake_step(
    struct handshake *handshake, struct crdt_bytes message, struct crdt_buffer *reply)
{
    assert(handshake->state != HANDSHAKE_OVER);
    size_t size_before = reply->size;
    enum handshake_result result = dispatch(handshake, message, reply);
    if (result != HANDSHAKE_MORE) {
        handshake->state = HANDSHAKE_OVER;
    }
    if (result != HANDSHAKE_MORE && result != HANDSHAKE_DONE) {
        reply->size = size_before;
    }
    if (result >= HANDSHAKE_OTHER_MAJOR && result <= HANDSHAKE_BAD_SIGNATURE) {
        refuse(result, reply);
    }
    return result;
}
