/* What a member's key can fill or slow down when it signs what no correct one would. */
#include "tests/core/forger.h"
#include "tests/core/pump.h"

#include "gossipd/limits.h"
#include "gossipd/wire/message.h"
#include "tests/support/runner.h"

#include <sodium.h>
#include <string.h>

static struct pump pump;

static void begin(size_t node_count)
{
    pump_open(&pump, node_count, CORE_ALWAYS, 47);
    pump_run(&pump, 2500000);
}

static void end(void)
{
    pump_close(&pump);
}

/* ---- Claims ------------------------------------------------------------------ */

static void claim_in(struct crdt_buffer *summary, uint8_t key, uint64_t first, size_t count,
    uint64_t seq)
{
    static struct crdt_dot dots[20000];
    ck_assert_uint_le(count, sizeof dots / sizeof *dots);
    for (size_t index = 0; index < count; index++) {
        dots[index] = (struct crdt_dot){.origin.generation = first + index, .seq = seq};
        memset(dots[index].origin.key, key, CRDT_KEY_BYTES);
    }
    crdt_buffer_init(summary, NULL);
    OK(crdt_summary_write(dots, count, summary));
}

static void give(const struct message *message)
{
    struct crdt_buffer frame;
    crdt_buffer_init(&frame, NULL);
    OK(message_write(&frame, message));
    pump_frame(&pump, 0, 1, frame.data, frame.size);
    crdt_buffer_close(&frame);
}

/* Node 1 says to node 0 that it has `seq` operations of each of so many generations. */
static void summarize(uint8_t key, uint64_t first, size_t count, uint64_t seq)
{
    struct crdt_buffer summary, held;
    claim_in(&summary, key, first, count, seq);
    claim_in(&held, key, 0, 0, 0);
    struct message message = {.kind = MESSAGE_SUMMARY,
        .as.summary = {.is_reply = true, .summary = crdt_buffer_bytes(&summary),
            .held = crdt_buffer_bytes(&held)}};
    give(&message);
    crdt_buffer_close(&summary);
    crdt_buffer_close(&held);
}

static void acknowledge(uint8_t key, uint64_t first, size_t count)
{
    struct crdt_buffer summary;
    claim_in(&summary, key, first, count, 1);
    struct message message = {
        .kind = MESSAGE_ACK, .as.ack = {.summary = crdt_buffer_bytes(&summary)}};
    give(&message);
    crdt_buffer_close(&summary);
}

static bool is_missing(const char *count)
{
    char text[64] = "\"missing_here\":";
    strncat(text, count, sizeof text - strlen(text) - 1);
    strncat(text, ",", 2);
    return strstr(pump_ask(&pump, 0, "CRDT.STATUS"), text) != NULL;
}

START_TEST(claims_of_fresh_generations_do_not_pile_up)
{
    begin(2);
    acknowledge(2, 1, 5000);
    acknowledge(2, 6000, 5000);
    summarize(2, 100000, 5000, 1);
    summarize(2, 200000, 5000, 1);
    size_t held_before = pump.nodes[0].memory.held;
    for (uint64_t round = 3; round < 30; round++) {
        acknowledge(2, round * 1000000, 5000);
        acknowledge(2, round * 1000000 + 5000, 5000);
        if (round % 5 == 0)
            summarize(2, round * 2000000, 5000, 1);
    }
    ck_assert_uint_le(pump.nodes[0].memory.held, held_before + 4096);
    pump_ask(&pump, 1, "SET k yes");
    pump_run(&pump, 4000000);
    ck_assert(pump_is_equal(&pump));
    end();
}
END_TEST

START_TEST(what_is_taken_back_makes_room_for_other_claims)
{
    begin(2);
    summarize(2, 1, CLAIMS_UNKNOWN_MAX + 10, 1);
    ck_assert(is_missing("1024"));
    summarize(2, 1000000, 1, 7);
    ck_assert(is_missing("7"));
    end();
}
END_TEST

/* Of this node's own operations it must hear, or it would use their dots again. */
START_TEST(claims_about_others_do_not_crowd_out_those_about_this_node)
{
    begin(3);
    struct crdt_buffer summary, held;
    static struct crdt_dot dots[CLAIMS_UNKNOWN_MAX * 2 + 1];
    size_t count = sizeof dots / sizeof *dots;
    for (size_t index = 0; index < count; index++) {
        /* Node 1's key is below node 2's. */
        dots[index] = (struct crdt_dot){.origin.generation = index + 1, .seq = 1};
        memset(dots[index].origin.key, 2, CRDT_KEY_BYTES);
    }
    memset(dots[count - 1].origin.key, 3, CRDT_KEY_BYTES);
    dots[count - 1].seq = 100000;
    crdt_buffer_init(&summary, NULL);
    OK(crdt_summary_write(dots, count, &summary));
    claim_in(&held, 2, 0, 0, 0);
    struct message message = {.kind = MESSAGE_SUMMARY,
        .as.summary = {.is_reply = true, .summary = crdt_buffer_bytes(&summary),
            .held = crdt_buffer_bytes(&held)}};
    struct crdt_buffer frame;
    crdt_buffer_init(&frame, NULL);
    OK(message_write(&frame, &message));
    pump_frame(&pump, 2, 1, frame.data, frame.size);
    ck_assert_ptr_nonnull(
        strstr(pump_ask(&pump, 2, "CRDT.STATUS"), "\"missing_here\":101024,"));
    crdt_buffer_close(&frame);
    crdt_buffer_close(&summary);
    crdt_buffer_close(&held);
    end();
}
END_TEST

/* ---- Batches that wait ------------------------------------------------------- */

static struct crdt_document *author_new(uint8_t key, uint64_t generation)
{
    struct crdt_options options;
    struct crdt_document *document;
    crdt_options_init(&options);
    memset(options.key, key, sizeof options.key);
    options.generation = generation;
    OK(crdt_open(&options, &document));
    return document;
}

/* First batches of so many generations, each after something that never comes. */
static void give_waiting(uint8_t key, uint64_t first, size_t count)
{
    struct crdt_bytes bytes;
    struct crdt_document *phantom = author_new(key, 999999);
    forger_set(phantom, "phantom", &bytes);
    for (uint64_t generation = first; generation < first + count; generation++) {
        struct crdt_document *author = author_new(key, generation);
        struct crdt_bytes waiting;
        OK(crdt_merge(author, bytes));
        forger_set(author, "waiting", &waiting);
        forger_give(&pump, 0, 1, waiting);
        crdt_close(author);
    }
    crdt_close(phantom);
}

/* How often memory is asked for while a batch of another member comes and is applied. */
static uint64_t requests_for_one(struct crdt_document *author)
{
    uint64_t before = pump.nodes[0].memory.requests;
    forger_write_to(&pump, author, "other", 0, 2);
    return pump.nodes[0].memory.requests - before;
}

START_TEST(what_waits_is_not_looked_at_again_while_the_same_is_missing)
{
    begin(3);
    struct crdt_document *other = author_new(3, 5);
    requests_for_one(other);
    uint64_t alone = requests_for_one(other);
    give_waiting(2, 100, 40);
    uint64_t beside = requests_for_one(other);
    ck_assert_msg(beside < alone + 30, "%llu beside 40 that wait, %llu alone",
        (unsigned long long)beside, (unsigned long long)alone);
    crdt_close(other);
    end();
}
END_TEST

START_TEST(what_waited_goes_on_when_the_missing_comes)
{
    begin(3);
    struct crdt_bytes bytes;
    give_waiting(2, 100, 10);
    ck_assert_str_eq(pump_ask(&pump, 0, "GET waiting"), "$-1\r\n");
    struct crdt_document *phantom = author_new(2, 999999);
    forger_set(phantom, "phantom", &bytes);
    forger_give(&pump, 0, 1, bytes);
    ck_assert_str_eq(pump_ask(&pump, 0, "GET waiting"), "$3\r\nyes\r\n");
    ck_assert_ptr_nonnull(
        strstr(pump_ask(&pump, 0, "INFO crdt"), "crdt_pending_bytes:0\r\n"));
    crdt_close(phantom);
    end();
}
END_TEST

START_TEST(one_members_generations_that_wait_are_bounded)
{
    begin(3);
    give_waiting(2, 100, PENDING_KEY_FEEDS_MAX + 20);
    ck_assert_ptr_nonnull(
        strstr(pump_ask(&pump, 0, "INFO crdt"), "crdt_pending_evicted:20\r\n"));
    end();
}
END_TEST

/* ---- Records of a newer version ---------------------------------------------- */

/* The same batch with another first byte of its body, and the hash of that. */
static void make_newer(struct crdt_bytes bytes, struct crdt_buffer *ret_batch)
{
    struct crdt_batch batch;
    OK(crdt_batch_read(bytes, &batch));
    size_t header_end = (size_t)((const uint8_t *)batch.header.data
        - (const uint8_t *)bytes.data) + batch.header.size;
    crdt_buffer_init(ret_batch, NULL);
    OK(crdt_buffer_append(ret_batch, bytes.data, bytes.size));
    uint8_t *body = ret_batch->data + header_end + 2; /* behind the head of a bin8    */
    ck_assert_uint_eq(body[-2], 0xc4);
    body[0] = 0x7f;
    crypto_generichash(ret_batch->data + header_end - CRDT_HASH_BYTES, CRDT_HASH_BYTES, body,
        bytes.size - header_end - 2, NULL, 0);
}

START_TEST(a_batch_with_records_of_a_newer_version_is_refused_by_that_name)
{
    begin(2);
    struct crdt_bytes bytes;
    struct crdt_buffer newer;
    struct crdt_document *author = author_new(2, 100);
    forger_set(author, "k", &bytes);
    make_newer(bytes, &newer);
    forger_give(&pump, 0, 1, crdt_buffer_bytes(&newer));
    const char *events = (const char *)pump.nodes[0].event_text.data;
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_DROPPED], 1);
    ck_assert_ptr_nonnull(strstr(events, "reason=newer-wire-version"));
    ck_assert_ptr_null(strstr(events, "reason=malformed"));
    ck_assert_uint_eq(pump.nodes[0].closed_links, 0);
    crdt_buffer_close(&newer);
    crdt_close(author);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_bounds");
    TCase *tests = tcase_create("core_bounds");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, claims_of_fresh_generations_do_not_pile_up);
    tcase_add_test(tests, what_is_taken_back_makes_room_for_other_claims);
    tcase_add_test(tests, claims_about_others_do_not_crowd_out_those_about_this_node);
    tcase_add_test(tests, what_waits_is_not_looked_at_again_while_the_same_is_missing);
    tcase_add_test(tests, what_waited_goes_on_when_the_missing_comes);
    tcase_add_test(tests, one_members_generations_that_wait_are_bounded);
    tcase_add_test(tests, a_batch_with_records_of_a_newer_version_is_refused_by_that_name);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
