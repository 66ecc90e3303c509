/* What waits for its place in a feed: neither a lack of memory nor what waits for ever
 * keeps a member from what the others have, and two histories are told apart wherever
 * their batches end. */
#include "tests/core/forger.h"

#include "tests/support/runner.h"

/* Rounds come in seconds, retries after a lack of memory in milliseconds. */
#define MEETING_US 10000000

static struct pump pump;

static void begin(size_t node_count)
{
    pump_open(&pump, node_count, CORE_ALWAYS, 45);
    pump_run(&pump, 2500000);
}

/* Node 1 has applied two batches under the key of node 0 and names them in one of its own.
 * Node 2 has none of them and knows that there is a fork. No two are linked. */
static void begin_named(void)
{
    struct crdt_document *author = forger_new(1);
    begin(3);
    pump_cut(&pump, 1, 2, true);
    pump_cut(&pump, 0, 2, true);
    forger_write_to(&pump, author, "both", 1, 0);
    forger_write_to(&pump, author, "left", 1, 0);
    pump_cut(&pump, 0, 1, true);
    pump_ask(&pump, 1, "SET k yes");
    pump_cut(&pump, 0, 2, false);
    while (pump.nodes[2].links[0] == 0)
        pump_run(&pump, 1000);
    forger_give_first_header(&pump, 2, 0, 1, FORGER_GENERATION, "right");
    forger_give_first_header(&pump, 2, 0, 1, FORGER_GENERATION, "third");
    pump_cut(&pump, 0, 2, true);
    pump_run(&pump, 1000000);
    ck_assert(forger_is_frozen(&pump, 2) && !forger_is_set(&pump, 2, "both"));
    crdt_close(author);
}

/* Lets nodes 1 and 2 meet while node 2 is refused one request for memory, or none: 0.
 * Returns how many it had. */
static uint64_t meet(uint64_t refused)
{
    struct test_memory *memory = &pump.nodes[2].memory;
    uint64_t before = memory->requests;
    memory->fail_at = refused == 0 ? 0 : before + refused;
    pump_cut(&pump, 1, 2, false);
    pump_run(&pump, MEETING_US);
    memory->fail_at = 0;
    return memory->requests - before;
}

START_TEST(what_a_voucher_names_is_let_in_whichever_one_allocation_fails)
{
    begin_named();
    uint64_t count = meet(0);
    pump_close(&pump);
    for (uint64_t refused = 0; refused <= count; refused++) {
        begin_named();
        meet(refused);
        ck_assert_msg(forger_is_set(&pump, 2, "both") && forger_is_set(&pump, 2, "left")
                && forger_is_set(&pump, 2, "k"),
            "request %u of %u refused", (unsigned)refused, (unsigned)count);
        pump_close(&pump);
    }
}
END_TEST

START_TEST(two_headers_that_follow_what_is_here_prove_a_fork)
{
    struct crdt_bytes left, right;
    struct crdt_document *author = forger_new(3);
    struct crdt_document *other = forger_new(3);
    begin(3);
    forger_write_to(&pump, author, "both", 0, 1);
    pump_run(&pump, 3000000);
    forger_set(other, "both", &right);
    forger_set(author, "left", &left);
    forger_set(other, "right", &right);
    forger_give_header(&pump, 0, 1, left);
    forger_give_header(&pump, 0, 1, right);
    pump_run(&pump, 1000000);
    ck_assert(forger_is_frozen(&pump, 0));
    crdt_close(author);
    crdt_close(other);
    pump_close(&pump);
}
END_TEST

/* What node 1 sent of the history that it has is lost once, and node 2 brought another one
 * that waits for ever. */
START_TEST(what_waits_for_ever_keeps_no_other_member_from_sending_what_it_has)
{
    struct crdt_buffer ghost, decoy;
    begin(3);
    forger_first_batch(3, 99, "ghost", &ghost);
    forger_dependent_batch(3, &ghost, "decoy", &decoy);
    forger_give(&pump, 0, 2, crdt_buffer_bytes(&decoy));
    pump_cut(&pump, 0, 2, true);
    pump.nodes[1].is_bulk_lost = true;
    struct crdt_document *author = forger_new(3);
    forger_write_to(&pump, author, "right", 1, 2);
    pump_run(&pump, 3000000);
    ck_assert(!forger_is_set(&pump, 0, "right"));
    pump.nodes[1].is_bulk_lost = false;
    pump_ask(&pump, 1, "SET k yes");
    pump_run(&pump, MEETING_US);
    ck_assert(forger_is_set(&pump, 0, "right") && forger_is_set(&pump, 0, "k"));
    crdt_buffer_close(&ghost);
    crdt_buffer_close(&decoy);
    crdt_close(author);
    pump_close(&pump);
}
END_TEST

/* Nodes 0 and 1 meet with a history each: batches of so many operations. */
static void meet_with(const int counts[static 2][2])
{
    static const char *const names[2] = {"left", "right"};
    struct crdt_bytes bytes;
    begin(3);
    pump_cut(&pump, 0, 1, true);
    pump.nodes[0].is_bulk_lost = true;
    pump.nodes[1].is_bulk_lost = true;
    pump.nodes[2].is_bulk_lost = true;
    for (size_t node = 0; node < 2; node++) {
        struct crdt_document *author = forger_new(3);
        for (size_t index = 0; index < 2; index++) {
            forger_set_times(author, names[node], counts[node][index], &bytes);
            forger_give(&pump, node, 2, bytes);
        }
        crdt_close(author);
        ck_assert(forger_is_set(&pump, node, names[node]));
    }
    pump_cut(&pump, 0, 2, true);
    pump_cut(&pump, 1, 2, true);
    pump.nodes[0].is_bulk_lost = false;
    pump.nodes[1].is_bulk_lost = false;
    pump_cut(&pump, 0, 1, false);
    pump_run(&pump, MEETING_US);
}

START_TEST(histories_whose_batches_end_at_different_places_are_found_to_be_a_fork)
{
    static const int counts[][2][2] = {{{2, 1}, {1, 2}}, {{2, 2}, {1, 2}}, {{1, 2}, {2, 2}}};
    for (size_t index = 0; index < sizeof counts / sizeof counts[0]; index++) {
        meet_with(counts[index]);
        for (size_t node = 0; node < 2; node++)
            ck_assert_msg(
                forger_is_frozen(&pump, node), "histories %zu, node %zu", index, node);
        pump_close(&pump);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_waiting");
    TCase *tests = tcase_create("core_waiting");
    tcase_set_timeout(tests, 100);
    tcase_add_test(tests, what_a_voucher_names_is_let_in_whichever_one_allocation_fails);
    tcase_add_test(tests, two_headers_that_follow_what_is_here_prove_a_fork);
    tcase_add_test(tests, what_waits_for_ever_keeps_no_other_member_from_sending_what_it_has);
    tcase_add_test(
        tests, histories_whose_batches_end_at_different_places_are_found_to_be_a_fork);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
