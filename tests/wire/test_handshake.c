#include "gossipd/wire/handshake.h"

#include "tests/support/runner.h"

#include <string.h>

/* A toy of a signature: whoever names `key` as the signer, and nobody else in
 * these tests, makes it; every byte of the message goes into it. */
static void toy_signature(const uint8_t *key, const uint8_t *message, size_t size,
    uint8_t ret_signature[static HANDSHAKE_SIGNATURE_BYTES])
{
    uint64_t state = UINT64_C(0xcbf29ce484222325);
    for (size_t round = 0; round < 8; round++) {
        for (size_t i = 0; i < CRDT_KEY_BYTES + size; i++) {
            uint8_t byte = i < CRDT_KEY_BYTES ? key[i] : message[i - CRDT_KEY_BYTES];
            state = (state ^ byte) * UINT64_C(0x100000001b3);
        }
        memcpy(ret_signature + 8 * round, &state, 8);
    }
}

struct side {
    struct handshake_identity identity;
    struct handshake handshake;
    struct crdt_buffer reply;
    uint8_t known[CRDT_KEY_BYTES];
    bool is_liar; /* signs with another key than it names                       */
};

static void toy_sign(void *context, const uint8_t *message, size_t size,
    uint8_t ret_signature[static HANDSHAKE_SIGNATURE_BYTES])
{
    const struct side *side = context;
    uint8_t key[CRDT_KEY_BYTES];
    memcpy(key, side->identity.key, sizeof key);
    key[0] ^= side->is_liar ? 1 : 0;
    toy_signature(key, message, size, ret_signature);
}

static bool toy_verify(void *context, const uint8_t key[static CRDT_KEY_BYTES],
    const uint8_t *message, size_t size, const uint8_t signature[static HANDSHAKE_SIGNATURE_BYTES])
{
    uint8_t wanted[HANDSHAKE_SIGNATURE_BYTES];
    (void)context;
    toy_signature(key, message, size, wanted);
    return memcmp(wanted, signature, sizeof wanted) == 0;
}

static bool toy_known(void *context, const uint8_t key[static CRDT_KEY_BYTES])
{
    const struct side *side = context;
    return memcmp(side->known, key, CRDT_KEY_BYTES) == 0;
}

static struct side sides[2]; /* initiator, responder                            */

static void begin(void)
{
    for (size_t i = 0; i < 2; i++) {
        uint8_t nonce[HANDSHAKE_NONCE_BYTES];
        struct side *side = &sides[i];
        memset(nonce, 0x50 + (int)i, sizeof nonce);
        memset(&side->handshake, 0, sizeof side->handshake);
        handshake_init(&side->handshake, &side->identity, i == 0, nonce);
        crdt_buffer_clear(&side->reply);
    }
}

static void setup(void)
{
    for (size_t i = 0; i < 2; i++) {
        struct side *side = &sides[i];
        *side = (struct side){.identity = {.is_known = toy_known, .sign = toy_sign,
                                  .verify = toy_verify, .context = side}};
        memset(side->identity.cluster_id, 0xcc, CRDT_HASH_BYTES);
        memset(side->identity.key, 0xa0 + (int)i, CRDT_KEY_BYTES);
        memset(side->known, 0xa1 - (int)i, CRDT_KEY_BYTES);
        crdt_buffer_init(&side->reply, NULL);
    }
    begin();
}

static void teardown(void)
{
    crdt_buffer_close(&sides[0].reply);
    crdt_buffer_close(&sides[1].reply);
}

/* Gives `to` what the other side said last. */
static enum handshake_result give(size_t to)
{
    struct side *from = &sides[1 - to];
    crdt_buffer_clear(&sides[to].reply);
    return handshake_step(
        &sides[to].handshake, crdt_buffer_bytes(&from->reply), &sides[to].reply);
}

START_TEST(both_sides_prove_their_keys_in_three_messages)
{
    OK(handshake_start(&sides[0].handshake, &sides[0].reply));
    OK(handshake_start(&sides[1].handshake, &sides[1].reply));
    ck_assert_uint_eq(sides[1].reply.size, 0);
    ck_assert_int_eq(give(1), HANDSHAKE_MORE);
    ck_assert_int_eq(give(0), HANDSHAKE_DONE);
    ck_assert_int_eq(give(1), HANDSHAKE_DONE);
    ck_assert_mem_eq(sides[0].handshake.their_key, sides[1].identity.key, CRDT_KEY_BYTES);
    ck_assert_mem_eq(sides[1].handshake.their_key, sides[0].identity.key, CRDT_KEY_BYTES);
}
END_TEST

/* The responder answers HELLO with a REFUSAL that names the reason. */
static void expect_refused(enum handshake_result reason)
{
    OK(handshake_start(&sides[0].handshake, &sides[0].reply));
    ck_assert_int_eq(give(1), reason);
    ck_assert_int_eq(give(0), HANDSHAKE_REFUSED);
    ck_assert_int_eq(sides[0].handshake.refusal, reason);
    ck_assert_uint_eq(sides[0].reply.size, 0);
}

START_TEST(another_cluster_is_refused_by_name)
{
    sides[0].identity.cluster_id[31] ^= 1;
    expect_refused(HANDSHAKE_OTHER_CLUSTER);
}
END_TEST

START_TEST(a_key_that_is_not_configured_is_refused_by_name)
{
    sides[1].known[5] ^= 1;
    expect_refused(HANDSHAKE_UNKNOWN_KEY);
}
END_TEST

START_TEST(a_link_to_oneself_is_refused_by_name)
{
    memcpy(sides[0].identity.key, sides[1].identity.key, CRDT_KEY_BYTES);
    expect_refused(HANDSHAKE_OWN_KEY);
}
END_TEST

START_TEST(another_major_version_is_refused_by_name)
{
    OK(handshake_start(&sides[0].handshake, &sides[0].reply));
    /* kind, then the magic behind its 2-byte head, then the major. */
    size_t at = 1 + 2 + 7;
    ck_assert_uint_eq(sides[0].reply.data[at], CRDT_WIRE_MAJOR);
    sides[0].reply.data[at] = CRDT_WIRE_MAJOR + 1;
    ck_assert_int_eq(give(1), HANDSHAKE_OTHER_MAJOR);
    ck_assert_int_eq(give(0), HANDSHAKE_REFUSED);
    ck_assert_int_eq(sides[0].handshake.refusal, HANDSHAKE_OTHER_MAJOR);
}
END_TEST

START_TEST(fields_of_a_newer_minor_version_are_passed_over)
{
    OK(handshake_start(&sides[0].handshake, &sides[0].reply));
    OK(crdt_write_uint(&sides[0].reply, 7));
    ck_assert_int_eq(give(1), HANDSHAKE_MALFORMED);
    begin();
    OK(handshake_start(&sides[0].handshake, &sides[0].reply));
    sides[0].reply.data[1 + 2 + 7 + 1] = CRDT_WIRE_MINOR + 1;
    OK(crdt_write_uint(&sides[0].reply, 7));
    ck_assert_int_eq(give(1), HANDSHAKE_MORE);
}
END_TEST

START_TEST(an_initiator_without_the_secret_is_refused)
{
    sides[0].is_liar = true;
    OK(handshake_start(&sides[0].handshake, &sides[0].reply));
    ck_assert_int_eq(give(1), HANDSHAKE_MORE);
    ck_assert_int_eq(give(0), HANDSHAKE_DONE);
    ck_assert_int_eq(give(1), HANDSHAKE_BAD_SIGNATURE);
}
END_TEST

START_TEST(a_responder_without_the_secret_is_refused)
{
    sides[1].is_liar = true;
    OK(handshake_start(&sides[0].handshake, &sides[0].reply));
    ck_assert_int_eq(give(1), HANDSHAKE_MORE);
    ck_assert_int_eq(give(0), HANDSHAKE_BAD_SIGNATURE);
}
END_TEST

START_TEST(recorded_messages_do_not_pass_under_new_nonces)
{
    OK(handshake_start(&sides[0].handshake, &sides[0].reply));
    ck_assert_int_eq(give(1), HANDSHAKE_MORE);
    struct crdt_buffer answer;
    struct crdt_buffer proof;
    crdt_buffer_init(&answer, NULL);
    crdt_buffer_init(&proof, NULL);
    OK(crdt_buffer_append(&answer, sides[1].reply.data, sides[1].reply.size));
    ck_assert_int_eq(give(0), HANDSHAKE_DONE);
    OK(crdt_buffer_append(&proof, sides[0].reply.data, sides[0].reply.size));
    begin();
    sides[0].handshake.nonce[0] ^= 1;
    sides[1].handshake.nonce[0] ^= 1;
    OK(handshake_start(&sides[0].handshake, &sides[0].reply));
    ck_assert_int_eq(give(1), HANDSHAKE_MORE);
    ck_assert_int_eq(handshake_step(&sides[0].handshake, crdt_buffer_bytes(&answer),
                         &sides[0].reply), HANDSHAKE_BAD_SIGNATURE);
    ck_assert_int_eq(handshake_step(&sides[1].handshake, crdt_buffer_bytes(&proof),
                         &sides[1].reply), HANDSHAKE_BAD_SIGNATURE);
    crdt_buffer_close(&answer);
    crdt_buffer_close(&proof);
}
END_TEST

/* Brings both sides to where `rounds` good messages have passed. */
static void replay_to(size_t rounds)
{
    begin();
    OK(handshake_start(&sides[0].handshake, &sides[0].reply));
    for (size_t round = 0; round < rounds; round++) {
        enum handshake_result result = give(1 - round % 2);
        ck_assert(result == HANDSHAKE_MORE || result == HANDSHAKE_DONE);
    }
}

START_TEST(no_truncated_and_no_changed_message_passes)
{
    for (size_t rounds = 0; rounds < 3; rounds++) {
        size_t to = 1 - rounds % 2;
        replay_to(rounds);
        size_t size = sides[1 - to].reply.size;
        for (size_t at = 0; at < size; at++) {
            replay_to(rounds);
            sides[1 - to].reply.size = at;
            ck_assert_int_eq(give(to), HANDSHAKE_MALFORMED);
            replay_to(rounds);
            sides[1 - to].reply.data[at] ^= 0x11;
            enum handshake_result result = give(to);
            /* Free are the nonce, 32 bytes at the end of HELLO, and the minor
             * version, on which nothing depends: it is not signed. */
            size_t behind_nonce_head = size - HANDSHAKE_NONCE_BYTES;
            size_t minor = size - (2 + CRDT_HASH_BYTES) - (2 + CRDT_KEY_BYTES) -
                (2 + HANDSHAKE_NONCE_BYTES) - 1;
            bool is_nonce = rounds == 0 && at >= behind_nonce_head;
            bool is_minor = rounds < 2 && at == minor;
            bool has_passed = result == HANDSHAKE_MORE || result == HANDSHAKE_DONE;
            ck_assert(!has_passed || is_nonce || is_minor);
        }
    }
}
END_TEST

START_TEST(a_message_out_of_turn_is_malformed)
{
    OK(handshake_start(&sides[0].handshake, &sides[0].reply));
    ck_assert_int_eq(give(1), HANDSHAKE_MORE);
    crdt_buffer_clear(&sides[1].reply);
    /* A second HELLO. */
    ck_assert_int_eq(give(1), HANDSHAKE_MALFORMED);
}
END_TEST

START_TEST(a_stranger_who_speaks_something_else_is_told_nothing)
{
    ck_assert_int_eq(handshake_step(&sides[1].handshake, crdt_text("GET / HTTP/1.1"),
                         &sides[1].reply), HANDSHAKE_MALFORMED);
    ck_assert_uint_eq(sides[1].reply.size, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("handshake");
    TCase *tests = tcase_create("handshake");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, both_sides_prove_their_keys_in_three_messages);
    tcase_add_test(tests, another_cluster_is_refused_by_name);
    tcase_add_test(tests, a_key_that_is_not_configured_is_refused_by_name);
    tcase_add_test(tests, a_link_to_oneself_is_refused_by_name);
    tcase_add_test(tests, another_major_version_is_refused_by_name);
    tcase_add_test(tests, fields_of_a_newer_minor_version_are_passed_over);
    tcase_add_test(tests, an_initiator_without_the_secret_is_refused);
    tcase_add_test(tests, a_responder_without_the_secret_is_refused);
    tcase_add_test(tests, recorded_messages_do_not_pass_under_new_nonces);
    tcase_add_test(tests, no_truncated_and_no_changed_message_passes);
    tcase_add_test(tests, a_message_out_of_turn_is_malformed);
    tcase_add_test(tests, a_stranger_who_speaks_something_else_is_told_nothing);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
