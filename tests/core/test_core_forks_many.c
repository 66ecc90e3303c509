/* Forks by a member that means it: many histories, many origins, decoys. What one
 * correct member has applied, all apply, and nobody is kept busy. */
#include "tests/core/forger.h"
#include "tests/core/pump_host.h"

#include "gossipd/limits.h"
#include "gossipd/wire/message.h"
#include "tests/support/runner.h"

#include <stdio.h>
#include <string.h>

static struct pump pump;

static void begin(size_t node_count)
{
    pump_open(&pump, node_count, CORE_ALWAYS, 45);
    pump_run(&pump, 2500000);
}

static uint64_t generation(size_t node)
{
    return crdt_self(core_document(pump.nodes[node].core)).generation;
}

/* How many forks a node shows; `mark` says which. */
static size_t count_forks(size_t node, const char *mark)
{
    size_t count = 0;
    const char *text = pump_ask(&pump, node, "CRDT.FORKS");
    while ((text = strstr(text, mark)) != NULL) {
        count++;
        text++;
    }
    return count;
}

static void cut_pairs(bool is_cut)
{
    for (size_t one = 0; one < 2; one++)
        for (size_t other = 2; other < 4; other++)
            pump_cut(&pump, one, other, is_cut);
}

START_TEST(a_batch_that_waits_for_ever_keeps_no_other_history_out_and_is_proved)
{
    begin(4);
    struct crdt_buffer ghost, dep, decoy, batch;
    forger_first_batch(4, 99, "ghost", &ghost);
    forger_first_batch(4, 88, "dep", &dep);
    forger_dependent_batch(4, &ghost, "decoy", &decoy);
    forger_dependent_batch(4, &dep, "batch", &batch);
    /* Nobody ever gets the ghost; node 1 gets all that the other one waits for. */
    forger_give(&pump, 1, 3, crdt_buffer_bytes(&dep));
    forger_give(&pump, 1, 3, crdt_buffer_bytes(&batch));
    forger_give(&pump, 0, 3, crdt_buffer_bytes(&decoy));
    forger_give(&pump, 0, 3, crdt_buffer_bytes(&batch));
    ck_assert(forger_is_set(&pump, 1, "batch") && !forger_is_set(&pump, 0, "batch")
        && forger_is_frozen(&pump, 0));
    ck_assert_uint_eq(pump.nodes[0].events[CORE_EVENT_FORK], 1);
    pump_run(&pump, 2000000);
    pump_ask(&pump, 1, "SET k yes");
    pump_run(&pump, 10000000);
    for (size_t node = 0; node < 3; node++)
        ck_assert_msg(forger_is_frozen(&pump, node) && forger_is_set(&pump, node, "dep")
            && forger_is_set(&pump, node, "batch")
                && forger_is_set(&pump, node, "k") && !forger_is_set(&pump, node, "decoy"),
            "node %zu: %d %d %d %d %d", node, forger_is_frozen(&pump, node),
            forger_is_set(&pump, node, "dep"), forger_is_set(&pump, node, "batch"),
            forger_is_set(&pump, node, "k"), forger_is_set(&pump, node, "decoy"));
    crdt_buffer_close(&ghost);
    crdt_buffer_close(&dep);
    crdt_buffer_close(&decoy);
    crdt_buffer_close(&batch);
    pump_close(&pump);
}
END_TEST

/* Nodes 2 and 3 have applied `left`; 0 and 1, cut off from them, know of the fork. */
static void begin_half_told(void)
{
    struct crdt_bytes bytes;
    struct crdt_document *left = forger_new(4);
    struct crdt_document *third = forger_new(4);
    begin(4);
    forger_set(left, "both", &bytes);
    forger_give(&pump, 0, 1, bytes);
    pump_run(&pump, 2000000);
    cut_pairs(true);
    pump_run(&pump, 1000000);
    forger_write_to(&pump, left, "left", 2, 3);
    pump_run(&pump, 2000000);
    forger_write_to(&pump, third, "third", 0, 1);
    pump_run(&pump, 1000000);
    ck_assert(forger_is_frozen(&pump, 0) && forger_is_frozen(&pump, 1)
        && !forger_is_frozen(&pump, 2) && !forger_is_frozen(&pump, 3));
    crdt_close(left);
    crdt_close(third);
}

/* Decoys, in the place of what node 2 will vouch for, on a link of its own to each. */
static void give_decoys(int count)
{
    struct crdt_bytes bytes;
    char name[32];
    for (int index = 0; index < count; index++) {
        struct crdt_document *decoy = forger_new(4);
        forger_set(decoy, "both", &bytes);
        snprintf(name, sizeof name, "decoy%d", index);
        forger_set(decoy, name, &bytes);
        forger_give(&pump, 0, 1, bytes);
        forger_give(&pump, 1, 0, bytes);
        crdt_close(decoy);
    }
}

START_TEST(a_voucher_finds_its_history_among_any_number_of_decoys)
{
    for (int count = 0; count <= 8; count++) {
        begin_half_told();
        give_decoys(count);
        cut_pairs(false);
        pump_run(&pump, 2000000);
        pump_ask(&pump, 2, "SET k yes");
        pump_run(&pump, 20000000);
        for (size_t node = 0; node < 4; node++)
            ck_assert_msg(forger_is_frozen(&pump, node) && forger_is_set(&pump, node, "left")
                && forger_is_set(&pump, node, "k")
                    && !forger_is_set(&pump, node, "decoy0"),
                "%d decoys, node %zu", count, node);
        ck_assert(pump_is_equal(&pump));
        pump_close(&pump);
    }
}
END_TEST

START_TEST(a_voucher_that_waits_for_another_origin_is_heard_once_that_has_come)
{
    struct crdt_bytes bytes;
    begin_half_told();
    struct crdt_document *left = forger_new(4);
    struct crdt_document *late = forger_new_under(4, 88);
    struct crdt_document *voucher = forger_new_under(3, 88);
    forger_set(late, "early", &bytes);
    OK(crdt_merge(voucher, bytes));
    forger_give(&pump, 0, 1, bytes);
    forger_set(late, "late", &bytes);
    OK(crdt_merge(voucher, bytes));
    forger_set(left, "both", &bytes);
    OK(crdt_merge(voucher, bytes));
    forger_set(left, "left", &bytes);
    OK(crdt_merge(voucher, bytes));
    forger_give(&pump, 0, 1, bytes);
    forger_write_to(&pump, voucher, "word", 0, 1);
    ck_assert(forger_is_set(&pump, 0, "early") && !forger_is_set(&pump, 0, "left"));
    struct crdt_document *again = forger_new_under(4, 88);
    forger_set(again, "early", &bytes);
    forger_write_to(&pump, again, "late", 0, 1);
    ck_assert(forger_is_set(&pump, 0, "late") && forger_is_set(&pump, 0, "left")
        && forger_is_set(&pump, 0, "word"));
    crdt_close(left);
    crdt_close(late);
    crdt_close(again);
    crdt_close(voucher);
    pump_close(&pump);
}
END_TEST

START_TEST(what_two_peers_brought_is_let_in_once_one_of_them_has_brought_all)
{
    struct crdt_buffer one, two;
    struct crdt_bytes word;
    begin(4);
    for (uint64_t number = 88; number <= 89; number++) {
        forger_give_first_header(&pump, 0, 1, 4, number, "right");
        forger_give_first_header(&pump, 0, 1, 4, number, "third");
    }
    forger_first_batch(4, 88, "one", &one);
    forger_first_batch(4, 89, "two", &two);
    struct crdt_document *voucher = forger_new_under(3, 88);
    OK(crdt_merge(voucher, crdt_buffer_bytes(&one)));
    OK(crdt_merge(voucher, crdt_buffer_bytes(&two)));
    forger_set(voucher, "word", &word);
    forger_give(&pump, 0, 1, word);
    forger_give(&pump, 0, 1, crdt_buffer_bytes(&one));
    forger_give(&pump, 0, 2, crdt_buffer_bytes(&two));
    ck_assert_uint_eq(count_forks(0, "\"frozen\":true"), 2);
    ck_assert(!forger_is_set(&pump, 0, "one") && !forger_is_set(&pump, 0, "two"));
    /* It waits already, and nothing that comes later is new. */
    forger_give(&pump, 0, 1, crdt_buffer_bytes(&two));
    ck_assert(forger_is_set(&pump, 0, "one") && forger_is_set(&pump, 0, "two")
        && forger_is_set(&pump, 0, "word"));
    crdt_buffer_close(&one);
    crdt_buffer_close(&two);
    crdt_close(voucher);
    pump_close(&pump);
}
END_TEST

/* Nodes 2 and 3 have applied what one key wrote under many generations, of all of which
 * 0 and 1 know that they have forked. */
static void begin_many(int count)
{
    char name[32];
    begin(4);
    cut_pairs(true);
    pump_run(&pump, 1000000);
    for (int index = 0; index < count; index++) {
        struct crdt_buffer batch;
        snprintf(name, sizeof name, "left%d", index);
        forger_first_batch(4, 100 + (uint64_t)index, name, &batch);
        forger_give(&pump, 2, 3, crdt_buffer_bytes(&batch));
        crdt_buffer_close(&batch);
        forger_give_first_header(&pump, 0, 1, 4, 100 + (uint64_t)index, "right");
        forger_give_first_header(&pump, 0, 1, 4, 100 + (uint64_t)index, "third");
    }
    pump_run(&pump, 3000000);
    ck_assert_uint_eq(count_forks(0, "\"frozen\":true"), (size_t)count);
    pump_ask(&pump, 2, "SET k yes");
    pump_run(&pump, 1000000);
}

START_TEST(a_voucher_may_name_any_number_of_frozen_origins)
{
    for (int count = 1; count <= EVIDENCE_KEY_MAX; count += 5) {
        begin_many(count);
        cut_pairs(false);
        pump_run(&pump, 20000000);
        for (size_t node = 0; node < 4; node++)
            ck_assert_msg(forger_is_set(&pump, node, "left0")
                && forger_is_set(&pump, node, "k"), "%d origins, node %zu",
                count, node);
        ck_assert(pump_is_equal(&pump));
        pump_close(&pump);
    }
}
END_TEST

/* Batches of one key under many generations, whose deps name another history. */
static void give_unproven(struct crdt_bytes other, uint8_t key, int count)
{
    struct crdt_bytes bytes;
    for (int index = 0; index < count; index++) {
        struct crdt_document *reader = forger_new_under(key, 200 + (uint64_t)index);
        OK(crdt_merge(reader, other));
        forger_set(reader, "read", &bytes);
        forger_give(&pump, 0, 3, bytes);
        crdt_close(reader);
    }
    pump_run(&pump, 1000000);
}

START_TEST(what_proves_nothing_gives_way_to_proofs_and_takes_no_room_from_other_keys)
{
    struct crdt_bytes bytes;
    struct crdt_buffer other;
    begin(4);
    struct crdt_document *left = forger_new(4);
    struct crdt_document *right = forger_new(4);
    forger_write_to(&pump, left, "left", 0, 3);
    forger_set(right, "right", &bytes);
    crdt_buffer_init(&other, NULL);
    OK(crdt_snapshot(right, &other));
    give_unproven(crdt_buffer_bytes(&other), 4, EVIDENCE_MAX + 9);
    ck_assert_uint_eq(count_forks(0, "\"frozen\":false"), EVIDENCE_KEY_MAX);
    ck_assert(!forger_is_frozen(&pump, 0));
    forger_give_header(&pump, 0, 3, bytes);
    pump_run(&pump, 1000000);
    ck_assert_uint_eq(count_forks(0, "\"frozen\":true"), 1);
    ck_assert_uint_eq(count_forks(0, "\"frozen\":false"), EVIDENCE_KEY_MAX - 1);
    forger_give_first_header(&pump, 0, 3, 3, 300, "one");
    forger_give_first_header(&pump, 0, 3, 3, 300, "two");
    ck_assert_uint_eq(count_forks(0, "\"frozen\":true"), 2);
    ck_assert_uint_eq(count_forks(0, "\"frozen\":false"), EVIDENCE_KEY_MAX - 1);
    crdt_buffer_close(&other);
    crdt_close(left);
    crdt_close(right);
    pump_close(&pump);
}
END_TEST

START_TEST(an_own_generation_that_forked_is_left_without_room_for_the_proof)
{
    begin(3);
    for (uint64_t index = 0; index < EVIDENCE_KEY_MAX; index++) {
        forger_give_first_header(&pump, 0, 1, 1, 300 + index, "one");
        forger_give_first_header(&pump, 0, 1, 1, 300 + index, "two");
    }
    ck_assert_uint_eq(count_forks(0, "\"frozen\":true"), EVIDENCE_KEY_MAX);
    uint64_t before = generation(0);
    pump_ask(&pump, 0, "SET k yes");
    pump_run(&pump, 1000000);
    ck_assert_uint_eq(generation(0), before);
    forger_give_first_header(&pump, 0, 1, 1, before, "cloned");
    pump_run(&pump, 1000000);
    ck_assert_uint_ne(generation(0), before);
    ck_assert_uint_eq(count_forks(0, "\"frozen\":true"), EVIDENCE_KEY_MAX);
    uint64_t after = generation(0);
    forger_give_first_header(&pump, 0, 1, 1, before, "cloned once more");
    pump_run(&pump, 1000000);
    ck_assert_uint_eq(generation(0), after);
    pump_close(&pump);
}
END_TEST

/* The header of a batch that names so many origins. */
static struct crdt_document *wide_author(uint64_t generation_number, int origin_count)
{
    struct crdt_document *document = forger_new_under(2, generation_number);
    for (int index = 0; index < origin_count; index++) {
        struct crdt_buffer batch;
        forger_first_batch(1, 1000 + (uint64_t)index, "k", &batch);
        OK(crdt_merge(document, crdt_buffer_bytes(&batch)));
        crdt_buffer_close(&batch);
    }
    return document;
}

#define WIDE_ORIGINS 5000
#define WIDE_FORKS 12

START_TEST(proofs_are_told_no_faster_than_the_limit_and_all_of_them)
{
    struct crdt_bytes bytes;
    size_t size = 0;
    begin(2);
    for (uint64_t index = 0; index < WIDE_FORKS; index++) {
        struct crdt_document *document = wide_author(500 + index, WIDE_ORIGINS);
        struct crdt_batch batch;
        forger_set(document, "one", &bytes);
        OK(crdt_batch_read(bytes, &batch));
        size = 2 * batch.header.size;
        forger_give_header(&pump, 0, 1, bytes);
        crdt_close(document);
        forger_give_first_header(&pump, 0, 1, 2, 500 + index, "two");
    }
    pump_run(&pump, 20000000);
    ck_assert_uint_eq(count_forks(0, "\"frozen\":true"), WIDE_FORKS);
    ck_assert_uint_eq(count_forks(1, "\"frozen\":true"), WIDE_FORKS);
    pump_cut(&pump, 0, 1, true);
    pump_run(&pump, 1000000);
    pump_cut(&pump, 0, 1, false);
    while (pump.nodes[0].links[1] == 0)
        pump_run(&pump, 1000);
    /* Half of a proof is a large header here, the other half a small one. */
    size_t limit = 2 * (PROOFS_BYTES_PER_S / (size / 2) + 1);
    ck_assert_uint_lt(limit, 2 * WIDE_FORKS);
    size_t before = pump.nodes[0].sent_kinds[MESSAGE_HEADS % 8];
    pump_run(&pump, 900000);
    size_t sent = pump.nodes[0].sent_kinds[MESSAGE_HEADS % 8] - before;
    ck_assert_uint_gt(sent, 0);
    ck_assert_uint_le(sent, limit);
    pump_run(&pump, 3000000);
    sent = pump.nodes[0].sent_kinds[MESSAGE_HEADS % 8] - before;
    ck_assert_uint_eq(sent, 2 * WIDE_FORKS);
    pump_close(&pump);
}
END_TEST

START_TEST(a_generation_that_a_restart_met_unused_still_says_what_it_follows)
{
    begin(2);
    pump_ask(&pump, 0, "SET k yes");
    pump_run(&pump, 2000000);
    uint64_t before = generation(0);
    /* An own header from far ahead: what it heads is lost. */
    struct crdt_bytes bytes;
    struct crdt_document *lost = forger_new_under(1, before);
    for (int count = 0; count < 9; count++)
        forger_set(lost, "lost", &bytes);
    forger_give_header(&pump, 0, 1, bytes);
    pump_run(&pump, 1000000);
    uint64_t after = generation(0);
    ck_assert_uint_ne(after, before);
    pump_restart(&pump, 0, SIZE_MAX);
    pump_run(&pump, 3000000);
    ck_assert_uint_eq(generation(0), after);
    pump_ask(&pump, 0, "SET k again");
    pump_run(&pump, 1000000);
    struct pump_node *node = &pump.nodes[0];
    struct crdt_batch batch;
    OK(crdt_batch_read(node->rows[node->row_count - 1].batch, &batch));
    ck_assert_uint_eq(batch.origin.generation, after);
    ck_assert_uint_eq(batch.first_seq, 1);
    ck_assert_uint_eq(batch.previous_generation, before);
    crdt_close(lost);
    pump_close(&pump);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_forks_many");
    TCase *tests = tcase_create("core_forks_many");
    tcase_set_timeout(tests, 100);
    tcase_add_test(
        tests, a_batch_that_waits_for_ever_keeps_no_other_history_out_and_is_proved);
    tcase_add_test(tests, a_voucher_finds_its_history_among_any_number_of_decoys);
    tcase_add_test(
        tests, a_voucher_that_waits_for_another_origin_is_heard_once_that_has_come);
    tcase_add_test(
        tests, what_two_peers_brought_is_let_in_once_one_of_them_has_brought_all);
    tcase_add_test(tests, a_voucher_may_name_any_number_of_frozen_origins);
    tcase_add_test(
        tests, what_proves_nothing_gives_way_to_proofs_and_takes_no_room_from_other_keys);
    tcase_add_test(tests, an_own_generation_that_forked_is_left_without_room_for_the_proof);
    tcase_add_test(tests, proofs_are_told_no_faster_than_the_limit_and_all_of_them);
    tcase_add_test(tests, a_generation_that_a_restart_met_unused_still_says_what_it_follows);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
