/* What the core does with bytes that no correct peer sends. */
#include "tests/core/pump.h"

#include "gossipd/wire/message.h"
#include "tests/support/choice.h"
#include "tests/support/runner.h"

#include <string.h>

static struct pump pump;

static void begin(size_t node_count)
{
    pump_open(&pump, node_count, CORE_ALWAYS, 44);
    pump_run(&pump, 2500000);
}

static void end(void)
{
    pump_close(&pump);
}

/* A batch that a document of this key makes, as a message signed by it. */
static void make_batch_message(
    uint8_t key_byte, bool is_signed, struct crdt_buffer *ret_message)
{
    struct crdt_options options;
    crdt_options_init(&options);
    memset(options.key, key_byte, sizeof options.key);
    options.generation = 77;
    struct crdt_document *document;
    OK(crdt_open(&options, &document));
    struct crdt_transaction *transaction;
    OK(crdt_begin(document, 1, &transaction));
    struct crdt_bytes names[] = {crdt_text("data"), crdt_text("evil")};
    struct crdt_path path = {.keys = names, .count = 2};
    OK(crdt_register_set(transaction, path, crdt_text("yes")));
    crdt_commit(transaction);
    struct crdt_bytes bytes;
    OK(crdt_seal(document, &bytes));
    struct crdt_batch batch;
    OK(crdt_batch_read(bytes, &batch));
    uint8_t signed_bytes[15 + 2 * CRDT_HASH_BYTES] = {0};
    memcpy(signed_bytes, "gossipd batch 1", 15);
    memcpy(signed_bytes + 15 + CRDT_HASH_BYTES, batch.head, CRDT_HASH_BYTES);
    struct message message = {.kind = MESSAGE_BATCH, .as.batch.batch = bytes};
    if (is_signed)
        pump_sign(options.key, signed_bytes, sizeof signed_bytes, message.as.batch.signature);
    crdt_buffer_init(ret_message, NULL);
    OK(message_write(ret_message, &message));
    crdt_close(document);
}

static void give(uint8_t key_byte, bool is_signed)
{
    struct crdt_buffer message;
    make_batch_message(key_byte, is_signed, &message);
    pump_frame(&pump, 0, 1, message.data, message.size);
    crdt_buffer_close(&message);
    pump_run(&pump, 1000);
}

START_TEST(a_signed_batch_of_a_member_is_taken_from_whoever_brings_it)
{
    begin(3);
    give(3, true);
    ck_assert_str_eq(pump_ask(&pump, 0, "GET evil"), "$3\r\nyes\r\n");
    end();
}
END_TEST

START_TEST(a_batch_of_an_unknown_origin_is_dropped)
{
    begin(2);
    give(9, true);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_DROPPED], 1);
    ck_assert_ptr_nonnull(
        strstr((char *)pump.nodes[0].event_text.data, "reason=unknown-origin"));
    ck_assert_str_eq(pump_ask(&pump, 0, "GET evil"), "$-1\r\n");
    end();
}
END_TEST

START_TEST(a_batch_with_a_bad_signature_is_dropped_and_its_link_closed)
{
    begin(2);
    give(2, false);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_DROPPED], 1);
    ck_assert_ptr_nonnull(
        strstr((char *)pump.nodes[0].event_text.data, "reason=bad-signature"));
    ck_assert_uint_eq(pump.nodes[0].closed_links, 1);
    ck_assert_str_eq(pump_ask(&pump, 0, "GET evil"), "$-1\r\n");
    end();
}
END_TEST

START_TEST(a_link_of_an_unknown_key_is_closed)
{
    begin(2);
    struct core_input up = {.kind = CORE_LINK_UP, .link = 999};
    memset(up.key, 9, sizeof up.key);
    pump_step(&pump, 0, &up);
    ck_assert_uint_eq(pump.nodes[0].closed_links, 1);
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_DROPPED], 1);
    end();
}
END_TEST

START_TEST(two_histories_of_one_origin_raise_the_alarm_and_are_not_applied)
{
    begin(3);
    give(3, true);
    ck_assert_str_eq(pump_ask(&pump, 0, "GET evil"), "$3\r\nyes\r\n");
    /* The same dots, another history: longer, with another first batch. */
    struct crdt_options options;
    crdt_options_init(&options);
    memset(options.key, 3, sizeof options.key);
    options.generation = 77;
    struct crdt_document *document;
    OK(crdt_open(&options, &document));
    struct crdt_transaction *transaction;
    OK(crdt_begin(document, 1, &transaction));
    struct crdt_bytes names[] = {crdt_text("data"), crdt_text("other")};
    struct crdt_path path = {.keys = names, .count = 2};
    OK(crdt_register_set(transaction, path, crdt_text("1")));
    OK(crdt_register_set(transaction, path, crdt_text("2")));
    crdt_commit(transaction);
    struct crdt_bytes bytes;
    OK(crdt_seal(document, &bytes));
    struct crdt_batch batch;
    OK(crdt_batch_read(bytes, &batch));
    uint8_t signed_bytes[15 + 2 * CRDT_HASH_BYTES] = {0};
    memcpy(signed_bytes, "gossipd batch 1", 15);
    memcpy(signed_bytes + 15 + CRDT_HASH_BYTES, batch.head, CRDT_HASH_BYTES);
    struct message message = {.kind = MESSAGE_BATCH, .as.batch.batch = bytes};
    pump_sign(options.key, signed_bytes, sizeof signed_bytes, message.as.batch.signature);
    struct crdt_buffer buffer;
    crdt_buffer_init(&buffer, NULL);
    OK(message_write(&buffer, &message));
    pump_frame(&pump, 0, 1, buffer.data, buffer.size);
    pump_run(&pump, 1000);
    ck_assert_uint_ge(pump.nodes[0].events[CORE_EVENT_FORK], 1);
    ck_assert_str_eq(pump_ask(&pump, 0, "GET other"), "$-1\r\n");
    crdt_buffer_close(&buffer);
    crdt_close(document);
    end();
}
END_TEST

/* Relinks the two nodes when the last frame has cost the link. */
static void heal(void)
{
    while (pump.nodes[0].links[1] == 0)
        pump_run(&pump, 500000);
    pump_run(&pump, 1000);
}

START_TEST(frames_of_any_bytes_never_crash_and_change_nothing)
{
    bool is_fixed;
    struct choice choice = choice_from_seed(choice_seed("core_hostile", &is_fixed));
    begin(2);
    pump_ask(&pump, 0, "SET k v");
    pump_run(&pump, 500000);
    struct crdt_buffer valid;
    make_batch_message(2, true, &valid);
    for (int round = 0; round < 3000; round++) {
        uint8_t frame[256];
        size_t size = choice_below(&choice, sizeof frame);
        if (round % 2 == 0 && valid.size < sizeof frame) {
            /* A valid frame with one byte changed, or cut short. */
            size = valid.size - (round % 4 == 0 ? choice_below(&choice, (uint32_t)valid.size) : 0);
            memcpy(frame, valid.data, valid.size);
            uint32_t place = choice_below(&choice, (uint32_t)valid.size);
            frame[place] ^= (uint8_t)(1 + choice_below(&choice, 255));
        } else {
            for (size_t index = 0; index < size; index++)
                frame[index] = (uint8_t)choice_u64(&choice);
            if (size > 0 && round % 3 == 0)
                frame[0] = (uint8_t)choice_below(&choice, MESSAGE_HEADS + 2);
        }
        pump_frame(&pump, 0, 1, frame, size);
        pump_run(&pump, 500);
        heal();
    }
    crdt_buffer_close(&valid);
    pump_run(&pump, 2000000);
    ck_assert_str_eq(pump_ask(&pump, 0, "DBSIZE"), ":1\r\n");
    ck_assert(pump_is_equal(&pump));
    end();
}
END_TEST

START_TEST(a_bare_claim_of_own_operations_changes_no_generation)
{
    begin(2);
    pump_ask(&pump, 0, "SET k v");
    pump_run(&pump, 500000);
    struct crdt_origin self = crdt_self(core_document(pump.nodes[0].core));
    struct crdt_dot claim_of_more = {.origin = self, .seq = 1000};
    struct crdt_buffer summary;
    struct crdt_buffer frame;
    crdt_buffer_init(&summary, NULL);
    crdt_buffer_init(&frame, NULL);
    OK(crdt_summary_write(&claim_of_more, 1, &summary));
    struct crdt_buffer held;
    crdt_buffer_init(&held, NULL);
    OK(crdt_summary_write(NULL, 0, &held));
    struct message message = {.kind = MESSAGE_SUMMARY,
        .as.summary = {.summary = crdt_buffer_bytes(&summary), .held = crdt_buffer_bytes(&held)}};
    OK(message_write(&frame, &message));
    crdt_buffer_close(&held);
    size_t sent = pump.nodes[0].sent_count;
    pump_frame(&pump, 0, 1, frame.data, frame.size);
    /* It is answered with what is here, so that the peer sends what it claims. */
    ck_assert_uint_ge(pump.nodes[0].sent_count, sent + 1);
    ck_assert_uint_eq(crdt_self(core_document(pump.nodes[0].core)).generation, self.generation);
    ck_assert_str_eq(pump_ask(&pump, 0, "SET k w"), "+OK\r\n");
    crdt_buffer_close(&summary);
    crdt_buffer_close(&frame);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_hostile");
    TCase *tests = tcase_create("core_hostile");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_signed_batch_of_a_member_is_taken_from_whoever_brings_it);
    tcase_add_test(tests, a_batch_of_an_unknown_origin_is_dropped);
    tcase_add_test(tests, a_batch_with_a_bad_signature_is_dropped_and_its_link_closed);
    tcase_add_test(tests, a_link_of_an_unknown_key_is_closed);
    tcase_add_test(tests, two_histories_of_one_origin_raise_the_alarm_and_are_not_applied);
    tcase_add_test(tests, frames_of_any_bytes_never_crash_and_change_nothing);
    tcase_add_test(tests, a_bare_claim_of_own_operations_changes_no_generation);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
