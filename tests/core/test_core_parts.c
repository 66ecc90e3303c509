/* The parts of the core one by one. */
#include "gossipd/core/clients.h"
#include "gossipd/core/fields.h"
#include "gossipd/core/journal.h"
#include "gossipd/core/outputs.h"
#include "gossipd/core/peer.h"
#include "gossipd/core/pending.h"
#include "gossipd/core/vector.h"
#include "gossipd/limits.h"
#include "tests/support/memory.h"
#include "tests/support/runner.h"

#include <string.h>

static struct test_memory counter;
static struct crdt_memory memory;

static void setup(void)
{
    counter = (struct test_memory){0};
    memory = test_memory_hook(&counter);
}

static void teardown(void)
{
    ck_assert_uint_eq(counter.held, 0);
}

static struct crdt_origin origin_of(uint8_t key, uint64_t generation)
{
    struct crdt_origin origin = {.generation = generation};
    memset(origin.key, key, sizeof origin.key);
    return origin;
}

static struct held *batch_of(struct crdt_origin origin, uint64_t first, uint64_t last, size_t size)
{
    struct held *held = held_new(&memory, size);
    ck_assert_ptr_nonnull(held);
    held->batch.origin = origin;
    held->batch.first_seq = first;
    held->batch.last_seq = last;
    held->batch.bytes = (struct crdt_bytes){.data = held->data, .size = size};
    held->peers = 1;
    memset(held->data, 1, size);
    memset(held->batch.head, (int)first, sizeof held->batch.head);
    return held;
}

START_TEST(a_vector_keeps_its_origins_sorted)
{
    struct vector vector;
    vector_init(&vector, &memory);
    for (unsigned index = 0; index < 100; index++) {
        struct crdt_origin origin = origin_of((uint8_t)(index * 37 % 100), index % 3);
        OK(vector_set(&vector, &origin, index + 1));
    }
    ck_assert_uint_eq(vector.count, 100);
    for (size_t index = 1; index < vector.count; index++)
        ck_assert_int_lt(crdt_origin_compare(
            &vector.items[index - 1].origin, &vector.items[index].origin), 0);
    struct crdt_origin absent = origin_of(200, 1);
    ck_assert_uint_eq(vector_get(&vector, &absent), 0);
    struct crdt_origin present = origin_of(37, 1);
    ck_assert_uint_eq(vector_get(&vector, &present), 2);
    vector_close(&vector);
}
END_TEST

START_TEST(fields_quote_what_would_break_a_line)
{
    struct fields fields = {0};
    fields_text(&fields, "a", "plain");
    fields_text(&fields, "b", "two words\n\"quoted\"");
    fields_number(&fields, "c", 0);
    fields_number(&fields, "d", UINT64_MAX);
    fields_hex64(&fields, "e", 0xabc);
    ck_assert_str_eq(fields.data, "a=plain b=\"two words''quoted'\" c=0 "
        "d=18446744073709551615 e=0000000000000abc");
    for (int count = 0; count < 100; count++)
        fields_text(&fields, "name", "value");
    ck_assert_uint_lt(strlen(fields.data), EVENT_TEXT_BYTES);
}
END_TEST

static uint64_t first_seq(const struct pending *pending, size_t index)
{
    return pending->feeds[index].items[0]->batch.first_seq;
}

START_TEST(pending_gives_batches_in_order_and_only_without_a_gap)
{
    struct pending pending;
    pending_init(&pending, &memory, 10000);
    struct crdt_origin origin = origin_of(1, 1);
    pending_add(&pending, batch_of(origin, 7, 9, 10));
    size_t cost = pending.bytes;
    pending_add(&pending, batch_of(origin, 3, 4, 10));
    pending_add(&pending, batch_of(origin, 5, 6, 10));
    pending_add(&pending, batch_of(origin, 5, 6, 10)); /* a duplicate goes            */
    ck_assert_uint_eq(pending.bytes, 3 * cost);
    ck_assert_uint_eq(pending_ready(&pending, 0, 1), 0);
    ck_assert_uint_eq(pending_reach(&pending, 0, 1, 1), 1);
    ck_assert_uint_eq(pending_reach(&pending, 0, 2, 1), 9);
    ck_assert_uint_eq(pending_ready(&pending, 0, 2), 1);
    ck_assert_uint_eq(first_seq(&pending, 0), 3);
    /* What has come another way is freed on the way. */
    ck_assert(pending_trim(&pending, 0, 6));
    ck_assert_uint_eq(first_seq(&pending, 0), 7);
    ck_assert_uint_eq(pending.bytes, cost);
    held_free(&memory, pending_take(&pending, 0, 0));
    ck_assert_uint_eq(pending.feed_count, 0);
    ck_assert_uint_eq(pending.bytes, 0);
    pending_close(&pending);
}
END_TEST

START_TEST(pending_evicts_the_furthest_of_who_takes_most)
{
    struct pending pending;
    struct held *modest_one = batch_of(origin_of(2, 1), 5, 5, 10);
    size_t cost = held_cost(modest_one);
    pending_init(&pending, &memory, 10 * cost);
    pending_add(&pending, modest_one);
    for (uint64_t seq = 10; seq < 30; seq++)
        pending_add(&pending, batch_of(origin_of(1, 1), seq, seq, 10));
    ck_assert_uint_le(pending.bytes, 10 * cost);
    ck_assert_uint_eq(pending.evicted, 11);
    ck_assert_uint_eq(first_seq(&pending, 0), 10);
    ck_assert_uint_eq(first_seq(&pending, 1), 5);
    /* Larger than all there is. */
    pending_add(&pending, batch_of(origin_of(2, 1), 6, 6, 10 * cost));
    ck_assert_uint_le(pending.bytes, 10 * cost);
    ck_assert_uint_eq(pending.evicted, 11);
    pending_close(&pending);
}
END_TEST

/* One member's many small feeds together take more than another's one. */
START_TEST(pending_weighs_keys_and_not_feeds)
{
    struct pending pending;
    struct held *honest = batch_of(origin_of(2, 1), 5, 5, 10);
    size_t cost = held_cost(honest);
    pending_init(&pending, &memory, 20 * cost);
    pending_add(&pending, honest);
    for (uint64_t seq = 6; seq < 13; seq++)
        pending_add(&pending, batch_of(origin_of(2, 1), seq, seq, 10));
    for (uint64_t generation = 1; generation <= 50; generation++)
        pending_add(&pending, batch_of(origin_of(1, generation), 2, 2, 10));
    size_t index = pending_find(&pending, &honest->batch.origin);
    ck_assert_uint_eq(pending.feeds[index].count, 8);
    ck_assert_uint_eq(index, 12);
    pending_close(&pending);
}
END_TEST

START_TEST(pending_counts_what_it_costs_to_hold_the_smallest_batches)
{
    struct pending pending;
    size_t held_before = counter.held;
    pending_init(&pending, &memory, 1 << 20);
    for (uint8_t key = 1; key <= 4; key++) {
        for (uint64_t seq = 2; seq < PENDING_KEY_BATCHES_MAX; seq++)
            pending_add(&pending, batch_of(origin_of(key, 1), seq, seq, 10));
    }
    ck_assert_uint_gt(pending.evicted, 0);
    ck_assert_uint_le(counter.held - held_before, (1 << 20) + 4096);
    ck_assert_uint_ge(pending.bytes, (1 << 20) - 1000);
    pending_close(&pending);
}
END_TEST

START_TEST(pending_keeps_of_one_key_so_many_batches_and_so_many_feeds)
{
    struct pending pending;
    pending_init(&pending, &memory, PENDING_BYTES_MAX);
    struct crdt_origin other = origin_of(2, 1);
    pending_add(&pending, batch_of(other, 9, 9, 10));
    for (uint64_t seq = PENDING_KEY_BATCHES_MAX + 100; seq > 1; seq--)
        pending_add(&pending, batch_of(origin_of(1, 1), seq, seq, 10));
    ck_assert_uint_eq(pending.feeds[0].count, PENDING_KEY_BATCHES_MAX);
    /* Those that are nearest, since only they can be applied soon. */
    ck_assert_uint_eq(first_seq(&pending, 0), 2);
    for (uint64_t generation = 2; generation <= PENDING_KEY_FEEDS_MAX + 10; generation++) {
        pending_add(&pending, batch_of(origin_of(1, generation), 2, 2, 10));
        /* The newcomer stays: it may be what the others wait for. */
        struct crdt_origin newcomer = origin_of(1, generation);
        ck_assert_uint_ne(pending_find(&pending, &newcomer), SIZE_MAX);
    }
    ck_assert_uint_eq(pending.feed_count, PENDING_KEY_FEEDS_MAX + 1);
    ck_assert_uint_ge(pending.feeds[0].count, PENDING_KEY_BATCHES_MAX - PENDING_KEY_FEEDS_MAX);
    ck_assert_uint_ne(pending_find(&pending, &other), SIZE_MAX);
    pending_close(&pending);
}
END_TEST

START_TEST(pending_gives_up_many_batches_before_large_ones_when_there_are_too_many)
{
    struct pending pending;
    pending_init(&pending, &memory, PENDING_BYTES_MAX);
    struct crdt_origin large = origin_of(1, 7);
    pending_add(&pending, batch_of(large, 2, 2, 1 << 22));
    for (uint64_t seq = 2; seq < PENDING_KEY_BATCHES_MAX + 100; seq++)
        pending_add(&pending, batch_of(origin_of(1, 1), seq, seq, 10));
    ck_assert_uint_ne(pending_find(&pending, &large), SIZE_MAX);
    ck_assert_uint_eq(pending.evicted, 99);
    pending_close(&pending);
}
END_TEST

START_TEST(pending_keeps_other_histories_beside_one_another)
{
    struct pending pending;
    pending_init(&pending, &memory, 100000);
    struct crdt_origin origin = origin_of(1, 1);
    struct held *end = batch_of(origin, 3, 4, 10);
    for (uint8_t history = 9; history > 0; history--) {
        struct held *held = batch_of(origin, 5, 6, 10);
        memset(held->batch.previous, history % 3, sizeof held->batch.previous);
        memset(held->batch.head, history, sizeof held->batch.head);
        pending_add(&pending, held);
    }
    memset(end->batch.head, 2, sizeof end->batch.head);
    pending_add(&pending, end);
    ck_assert_uint_eq(pending.feeds[0].count, 10);
    size_t behind;
    size_t place = pending_followers(&pending.feeds[0], &end->batch, &behind);
    ck_assert_uint_eq(behind - place, 3);
    for (; place < behind; place++)
        ck_assert_uint_eq(pending.feeds[0].items[place]->batch.previous[0], 2);
    ck_assert_uint_eq(pending_ready(&pending, 0, 3), 1);
    ck_assert_uint_eq(pending_ready(&pending, 0, 4), 10);
    pending_close(&pending);
}
END_TEST

START_TEST(without_memory_pending_lets_a_batch_go)
{
    for (uint64_t at = 1; at < 20; at++) {
        struct pending pending;
        pending_init(&pending, &memory, 100000);
        for (uint64_t generation = 1; generation <= 9; generation++) {
            struct held *held = batch_of(origin_of(1, generation), 2, 2, 10);
            counter.fail_at = generation == 9 ? counter.requests + at : 0;
            pending_add(&pending, held);
        }
        counter.fail_at = 0;
        ck_assert_uint_ge(pending.feed_count, 8);
        pending_close(&pending);
    }
}
END_TEST

START_TEST(the_journal_keeps_what_failed_first_in_line)
{
    struct journal journal;
    struct outputs outputs;
    journal_init(&journal, &memory);
    OK(outputs_init(&outputs, &memory));
    struct crdt_origin own = origin_of(1, 1);
    struct crdt_origin other = origin_of(2, 1);
    OK(journal_reserve(&journal, &own));
    OK(journal_reserve(&journal, &other));
    struct held *mine = batch_of(own, 1, 2, 10);
    mine->ordinal = 1;
    journal_append(&journal, mine);
    journal_append(&journal, batch_of(other, 1, 5, 20));
    journal_put_out(&journal, &outputs);
    ck_assert_uint_eq(outputs.count, 2);
    ck_assert_uint_eq(journal.newest_number, 2);
    journal_fail(&journal, 1, 1000);
    outputs_reset(&outputs);
    journal_append(&journal, batch_of(other, 6, 7, 20));
    journal_put_out(&journal, &outputs);
    ck_assert_uint_eq(outputs.count, 0);
    journal_retry(&journal, &outputs);
    ck_assert_uint_eq(outputs.count, 3);
    ck_assert_uint_eq(outputs.items[0].number, 3);
    ck_assert_uint_eq(outputs.items[0].last_seq, 2);
    ck_assert_uint_eq(outputs.items[2].last_seq, 7);
    held_free(&memory, journal_take_stored(&journal, 4));
    ck_assert_int_eq(journal.state, JOURNAL_WORKING);
    ck_assert_uint_eq(journal.durable_ordinal, 1);
    held_free(&memory, journal_take_stored(&journal, 4));
    ck_assert_ptr_null(journal_take_stored(&journal, 4));
    ck_assert_uint_eq(vector_get(&journal.durable, &other), 5);
    ck_assert_uint_eq(journal.bytes, 20);
    journal_close(&journal);
    outputs_close(&outputs);
}
END_TEST

static struct crdt_bytes reply_at(const struct outputs *outputs, size_t index)
{
    ck_assert_uint_lt(index, outputs->count);
    ck_assert_int_eq(outputs->items[index].kind, CORE_REPLY);
    return outputs->items[index].bytes;
}

static bool is_text(struct crdt_bytes bytes, const char *text)
{
    return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

START_TEST(replies_of_a_client_leave_in_their_order)
{
    struct clients clients;
    struct outputs outputs;
    clients_init(&clients, &memory);
    OK(outputs_init(&outputs, &memory));
    struct client *first = clients_get(&clients, 10);
    struct client *second = clients_get(&clients, 5);
    OK(clients_reply(&clients, &outputs, first, crdt_text("a"), true, 2, 1));
    OK(clients_reply(&clients, &outputs, first, crdt_text("b"), false, 0, 1));
    OK(clients_reply(&clients, &outputs, second, crdt_text("c"), false, 0, 1));
    ck_assert_uint_eq(outputs.count, 1);
    ck_assert(is_text(reply_at(&outputs, 0), "c"));
    outputs_reset(&outputs);
    clients_release(&clients, &outputs, 2);
    ck_assert(is_text(reply_at(&outputs, 0), "a"));
    ck_assert(is_text(reply_at(&outputs, 1), "b"));
    clients_close(&clients);
    outputs_close(&outputs);
}
END_TEST

START_TEST(when_the_store_fails_each_write_gets_one_error)
{
    struct clients clients;
    struct outputs outputs;
    clients_init(&clients, &memory);
    OK(outputs_init(&outputs, &memory));
    struct client *client = clients_get(&clients, 1);
    OK(clients_reply(&clients, &outputs, client, crdt_text("w"), true, 1, 0));
    OK(clients_reply(&clients, &outputs, client, crdt_text("w"), true, 1, 0));
    OK(clients_reply(&clients, &outputs, client, crdt_text("r"), false, 1, 0));
    struct client *gone = clients_get(&clients, 2);
    OK(clients_reply(&clients, &outputs, gone, crdt_text("x"), true, 1, 0));
    clients_remove(&clients, 2);
    clients_finish(&clients, &outputs, client);
    clients_release_failed(&clients, &outputs);
    ck_assert_uint_eq(outputs.count, 4);
    ck_assert(is_text(reply_at(&outputs, 0), "-IOERR not known to be durable\r\n"));
    ck_assert(is_text(reply_at(&outputs, 1), "-IOERR not known to be durable\r\n"));
    ck_assert(is_text(reply_at(&outputs, 2), "r"));
    ck_assert_int_eq(outputs.items[3].kind, CORE_CLOSE_CLIENT);
    ck_assert_uint_eq(clients.count, 0);
    clients_close(&clients);
    outputs_close(&outputs);
}
END_TEST

START_TEST(a_client_may_hold_only_so_much_that_waits)
{
    struct clients clients;
    struct outputs outputs;
    clients_init(&clients, &memory);
    OK(outputs_init(&outputs, &memory));
    struct client *client = clients_get(&clients, 1);
    static uint8_t large[16 << 20];
    struct crdt_bytes bytes = {.data = large, .size = sizeof large};
    for (int count = 0; count < 4; count++)
        OK(clients_reply(&clients, &outputs, client, bytes, false, 1, 0));
    ck_assert_int_eq(
        clients_reply(&clients, &outputs, client, bytes, false, 1, 0), CRDT_ERR_LIMIT);
    clients_close(&clients);
    outputs_close(&outputs);
}
END_TEST

START_TEST(outputs_keep_their_memory_until_the_next_step)
{
    struct outputs outputs;
    OK(outputs_init(&outputs, &memory));
    size_t held_before = counter.held;
    struct crdt_bytes copies[1000];
    char text[200];
    for (int index = 0; index < 1000; index++) {
        memset(text, index % 100, sizeof text);
        struct crdt_bytes bytes = {.data = text, .size = sizeof text};
        OK(outputs_copy(&outputs, bytes, &copies[index]));
        ck_assert_ptr_nonnull(outputs_add(&outputs, CORE_SEND));
    }
    for (int index = 0; index < 1000; index++)
        ck_assert_int_eq(((const char *)copies[index].data)[199], index % 100);
    outputs_reset(&outputs);
    ck_assert_uint_eq(outputs.count, 0);
    ck_assert_uint_le(counter.held, held_before + 1024 * sizeof(struct core_output));
    outputs_close(&outputs);
}
END_TEST

START_TEST(what_was_lost_is_sent_again_and_again_only_after_a_while)
{
    struct core_peer member = {.name = "b"};
    struct peer peer;
    struct vector held;
    peer_init(&peer, &member, &memory);
    vector_init(&held, &memory);
    peer_link_up(&peer, 1, true, 0);
    struct crdt_origin origin = origin_of(1, 1);
    OK(peer_has(&peer, &origin, 10, 100));
    OK(peer_sent(&peer, &origin, 20));
    ck_assert_uint_eq(peer_cursor(&peer, &origin), 20);
    uint64_t probe = peer_probe(&peer, 200);
    ck_assert_uint_eq(peer_probe(&peer, 201), probe);
    peer_take_answer(&peer, probe - 1, &held, 300);
    ck_assert_uint_eq(peer_cursor(&peer, &origin), 20);
    /* What waits there need not be sent again. */
    OK(vector_set(&held, &origin, 15));
    peer_take_answer(&peer, probe, &held, 300);
    ck_assert_uint_eq(peer_cursor(&peer, &origin), 15);
    OK(peer_sent(&peer, &origin, 20));
    peer_take_answer(&peer, peer_probe(&peer, 400), &held, 500);
    ck_assert_uint_eq(peer_cursor(&peer, &origin), 20);
    peer_take_answer(&peer, peer_probe(&peer, 600), &held, 300 + RESEND_US);
    ck_assert_uint_eq(peer_cursor(&peer, &origin), 15);
    /* A new link begins with what the peer says. */
    OK(peer_sent(&peer, &origin, 30));
    peer_link_down(&peer, 500);
    ck_assert_uint_eq(peer_cursor(&peer, &origin), 10);
    vector_close(&held);
    peer_close(&peer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_parts");
    TCase *tests = tcase_create("core_parts");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_vector_keeps_its_origins_sorted);
    tcase_add_test(tests, fields_quote_what_would_break_a_line);
    tcase_add_test(tests, pending_gives_batches_in_order_and_only_without_a_gap);
    tcase_add_test(tests, pending_evicts_the_furthest_of_who_takes_most);
    tcase_add_test(tests, pending_weighs_keys_and_not_feeds);
    tcase_add_test(tests, pending_counts_what_it_costs_to_hold_the_smallest_batches);
    tcase_add_test(tests, pending_keeps_of_one_key_so_many_batches_and_so_many_feeds);
    tcase_add_test(tests, pending_gives_up_many_batches_before_large_ones_when_there_are_too_many);
    tcase_add_test(tests, pending_keeps_other_histories_beside_one_another);
    tcase_add_test(tests, without_memory_pending_lets_a_batch_go);
    tcase_add_test(tests, the_journal_keeps_what_failed_first_in_line);
    tcase_add_test(tests, replies_of_a_client_leave_in_their_order);
    tcase_add_test(tests, when_the_store_fails_each_write_gets_one_error);
    tcase_add_test(tests, a_client_may_hold_only_so_much_that_waits);
    tcase_add_test(tests, outputs_keep_their_memory_until_the_next_step);
    tcase_add_test(tests, what_was_lost_is_sent_again_and_again_only_after_a_while);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
