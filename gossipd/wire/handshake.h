/* The handshake of a link: each side proves that it holds the key it names.
 *
 *     initiator                            responder
 *     HELLO  {magic, major, minor, cluster id, key, nonce}   ->
 *            <-  ANSWER {signature, the same fields of the responder}
 *     PROOF  {signature}                                     ->
 *     either side, instead: REFUSAL {why}
 *
 * A signature is over "gossipd hello 1", the cluster id, a role byte (0 for the
 * initiator), own key, own nonce, their key, their nonce: neither replayed nor
 * reflected bytes pass. The responder says nothing before a HELLO of its own
 * cluster. Messages are control frames. Nonces, signing and verifying come from
 * outside; links are not encrypted.
 */
#ifndef GOSSIPD_WIRE_HANDSHAKE_H
#define GOSSIPD_WIRE_HANDSHAKE_H

#include <crdt.h>

#define HANDSHAKE_NONCE_BYTES 32
#define HANDSHAKE_SIGNATURE_BYTES 64

/* The numbers from 2 to 7 travel in a REFUSAL: they never change. */
enum handshake_result {
    HANDSHAKE_MORE = 0,
    HANDSHAKE_DONE = 1,          /* `their_key` is proved                       */
    HANDSHAKE_MALFORMED = 2,
    HANDSHAKE_OTHER_MAJOR = 3,
    HANDSHAKE_OTHER_CLUSTER = 4,
    HANDSHAKE_OWN_KEY = 5,       /* the link leads back to this node            */
    HANDSHAKE_UNKNOWN_KEY = 6,   /* not a configured peer                       */
    HANDSHAKE_BAD_SIGNATURE = 7,
    HANDSHAKE_REFUSED = 8,       /* the other side refused: see `refusal`       */
    HANDSHAKE_NOMEM = 9,
};

/* Who this node is and whom it knows. */
struct handshake_identity {
    uint8_t cluster_id[CRDT_HASH_BYTES];
    uint8_t key[CRDT_KEY_BYTES];
    bool (*is_known)(void *context, const uint8_t key[static CRDT_KEY_BYTES]);
    void (*sign)(void *context, const uint8_t *message, size_t message_bytes,
        uint8_t ret_signature[static HANDSHAKE_SIGNATURE_BYTES]);
    bool (*verify)(void *context, const uint8_t key[static CRDT_KEY_BYTES],
        const uint8_t *message, size_t message_bytes,
        const uint8_t signature[static HANDSHAKE_SIGNATURE_BYTES]);
    void *context;
};

enum handshake_state {
    HANDSHAKE_AWAITS_HELLO,  /* responder, at the start                         */
    HANDSHAKE_AWAITS_ANSWER, /* initiator, HELLO sent                           */
    HANDSHAKE_AWAITS_PROOF,  /* responder, ANSWER sent                          */
    HANDSHAKE_OVER,
};

struct handshake {
    const struct handshake_identity *identity;
    bool is_initiator;
    enum handshake_state state;
    uint8_t nonce[HANDSHAKE_NONCE_BYTES];
    uint8_t their_nonce[HANDSHAKE_NONCE_BYTES];
    uint8_t their_key[CRDT_KEY_BYTES];   /* claimed until HANDSHAKE_DONE        */
    enum handshake_result refusal;       /* what the other side said            */
};

/* `identity` is borrowed until the handshake is over; `nonce` is fresh entropy. */
void handshake_init(struct handshake *handshake, const struct handshake_identity *identity,
    bool is_initiator, const uint8_t nonce[static HANDSHAKE_NONCE_BYTES]);

/* Appends what the initiator says first; nothing for the responder. */
CRDT_MUST_CHECK enum crdt_status handshake_start(
    struct handshake *handshake, struct crdt_buffer *reply);

/* Takes one message of the other side and appends at most one message to say in
 * return, also a REFUSAL that is to be sent before closing. Anything but MORE
 * and DONE ends the link. */
enum handshake_result handshake_step(
    struct handshake *handshake, struct crdt_bytes message, struct crdt_buffer *reply);

/* What happened, for people. */
const char *handshake_result_text(enum handshake_result result);

#endif
