/* What may be said of what is not durable: nothing. Acknowledgements are seen by
 * what they are for: contributions to a counter fold once every member has them
 * for good (invariant I9). */
#include "tests/core/pump.h"

#include "gossipd/limits.h"

#include "tests/support/runner.h"

#include <string.h>

static struct pump pump;

/* Contributions that live at key k, as node 0 sees them. */
static size_t contributions(void)
{
    struct crdt_bytes keys[] = {crdt_text("data"), crdt_text("k")};
    struct crdt_path path = {keys, 2};
    return crdt_count(core_document(pump.nodes[0].core), path, CRDT_COUNTER);
}

/* Each in a batch of its own. The 64th asks whether the others may fold. */
static void add(size_t count)
{
    for (size_t i = 0; i < count; i++)
        pump_ask(&pump, 0, "INCR k");
}

static void begin(enum core_durability durability)
{
    pump_open(&pump, 2, durability, 44);
    pump_run(&pump, 2500000);
}

START_TEST(what_a_peer_has_not_stored_is_not_acknowledged)
{
    begin(CORE_ALWAYS);
    pump.nodes[1].is_store_held = true;
    add(63);
    pump_run(&pump, 3000000);
    ck_assert_str_eq(pump_ask(&pump, 0, "INCR k"), ":64\r\n");
    ck_assert_uint_eq(contributions(), 64);
    pump_close(&pump);
}
END_TEST

START_TEST(nor_is_it_on_a_new_link)
{
    begin(CORE_ALWAYS);
    pump.nodes[1].is_store_held = true;
    add(63);
    pump_run(&pump, 1000000);
    pump_cut(&pump, 0, 1, true);
    pump_run(&pump, 100000);
    pump_cut(&pump, 0, 1, false);
    pump_run(&pump, 3000000);
    ck_assert_str_eq(pump_ask(&pump, 0, "INCR k"), ":64\r\n");
    ck_assert_uint_eq(contributions(), 64);
    pump_close(&pump);
}
END_TEST

START_TEST(what_a_peer_has_stored_is_acknowledged)
{
    begin(CORE_ALWAYS);
    add(63);
    pump_run(&pump, 3000000);
    ck_assert_str_eq(pump_ask(&pump, 0, "INCR k"), ":64\r\n");
    ck_assert_uint_eq(contributions(), 2);
    pump_close(&pump);
}
END_TEST

START_TEST(an_acknowledgement_waits_for_what_its_author_had_written)
{
    begin(CORE_ALWAYS);
    add(40);
    pump_run(&pump, 100000);
    /* This removal is lost on its way; the acknowledgements after it are not. */
    pump.nodes[1].is_bulk_lost = true;
    pump_ask(&pump, 1, "DEL k");
    add(23);
    pump_run(&pump, 3000000);
    ck_assert_str_eq(pump_ask(&pump, 0, "INCR k"), ":64\r\n");
    /* The 40 were acknowledged before, and may go; the 24 later ones may not. */
    ck_assert_uint_eq(contributions(), 1 + 24);
    pump.nodes[1].is_bulk_lost = false;
    pump_run(&pump, 5000000);
    ck_assert_str_eq(pump_ask(&pump, 0, "GET k"), "$2\r\n24\r\n");
    ck_assert(pump_is_equal(&pump));
    pump_close(&pump);
}
END_TEST

START_TEST(the_first_words_on_a_link_name_no_own_batch_that_may_be_lost)
{
    begin(CORE_ALWAYS);
    pump.nodes[0].is_store_held = true;
    pump_command(&pump, 0, "INCR k");
    pump_run(&pump, 10000);
    pump_cut(&pump, 0, 1, true);
    pump_run(&pump, 10000);
    pump_cut(&pump, 0, 1, false);
    pump_run(&pump, 1000000);
    ck_assert_ptr_null(strstr(pump_ask(&pump, 1, "CRDT.STATUS"), "\"missing_here\":1"));
    pump_store(&pump, 0);
    pump_run(&pump, 2000000);
    ck_assert_str_eq(pump_ask(&pump, 1, "GET k"), "$1\r\n1\r\n");
    pump_close(&pump);
}
END_TEST

START_TEST(while_the_store_fails_nothing_more_goes_ahead_of_it)
{
    begin(CORE_EVERYSEC);
    pump_ask(&pump, 0, "INCR k");
    pump_run(&pump, 10000);
    pump.nodes[0].is_store_held = true;
    pump_command(&pump, 0, "INCR k");
    pump_run(&pump, 100);
    /* This one is in the next batch, which is still open when the store fails. */
    pump_command(&pump, 0, "INCR k");
    size_t sent = pump.nodes[0].bulk_count;
    pump.nodes[0].is_store_held = false;
    pump.nodes[0].is_store_failing = true;
    pump_fail_store(&pump, 0, "disk full");
    pump_run(&pump, 500000);
    ck_assert_uint_eq(crdt_open_records(core_document(pump.nodes[0].core)), 0);
    ck_assert_uint_eq(pump.nodes[0].bulk_count, sent);
    pump.nodes[0].is_store_failing = false;
    pump_run(&pump, 3000000);
    ck_assert_str_eq(pump_ask(&pump, 1, "GET k"), "$1\r\n3\r\n");
    pump_close(&pump);
}
END_TEST

/* The same where a batch stays open for a moment. */
static void add_apart(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        pump_ask(&pump, 0, "INCR k");
        pump_run(&pump, 2 * BATCH_INTERVAL_US);
    }
}

/* In `everysec` batches go ahead of the disk: what they say of their author is not
 * durable there. Neither node's store may be held before it has the mark *ahead*. */
static void go_ahead(size_t held_node)
{
    begin(CORE_EVERYSEC);
    pump_ask(&pump, 0, "INCR k");
    pump_ask(&pump, 1, "SET other 0");
    pump_run(&pump, 3000000);
    pump.nodes[held_node].is_store_held = true;
}

START_TEST(what_a_peers_batch_names_may_not_be_on_its_disk)
{
    go_ahead(1);
    add_apart(62);
    pump_run(&pump, 1000000);
    pump_ask(&pump, 1, "SET other 1");
    pump_run(&pump, 3000000);
    ck_assert_str_eq(pump_ask(&pump, 0, "GET other"), "$1\r\n1\r\n");
    ck_assert_str_eq(pump_ask(&pump, 0, "INCR k"), ":64\r\n");
    ck_assert_uint_eq(contributions(), 64);
    pump_close(&pump);
}
END_TEST

START_TEST(what_is_not_on_the_own_disk_is_not_folded)
{
    go_ahead(0);
    add_apart(62);
    pump_run(&pump, 3000000);
    ck_assert_str_eq(pump_ask(&pump, 1, "GET k"), "$2\r\n63\r\n");
    ck_assert_str_eq(pump_ask(&pump, 0, "INCR k"), ":64\r\n");
    ck_assert_uint_eq(contributions(), 64);
    pump_close(&pump);
}
END_TEST

START_TEST(an_acknowledgement_waits_for_what_is_written_but_not_stored)
{
    begin(CORE_ALWAYS);
    add(40);
    pump_run(&pump, 3000000);
    /* The removal waits behind this batch; what it has not seen is stored first. */
    pump.nodes[1].is_store_held = true;
    pump_command(&pump, 1, "SET other 0");
    pump_run(&pump, 1000);
    pump_command(&pump, 1, "DEL k");
    add(23);
    pump_run(&pump, 10000);
    pump_store(&pump, 1);
    pump_run(&pump, 1500000);
    ck_assert_str_eq(pump_ask(&pump, 0, "INCR k"), ":64\r\n");
    ck_assert_uint_eq(contributions(), 1 + 24);
    pump.nodes[1].is_store_held = false;
    pump_store(&pump, 1);
    pump_run(&pump, 3000000);
    ck_assert_str_eq(pump_ask(&pump, 0, "GET k"), "$2\r\n24\r\n");
    ck_assert(pump_is_equal(&pump));
    pump_close(&pump);
}
END_TEST

START_TEST(batches_of_a_member_that_is_back_with_less_are_counted)
{
    begin(CORE_ALWAYS);
    add(63);
    pump_run(&pump, 3000000);
    ck_assert_str_eq(pump_ask(&pump, 0, "INCR k"), ":64\r\n");
    ck_assert_uint_eq(contributions(), 2);
    pump_ask(&pump, 1, "SET other 0");
    pump_run(&pump, 100000);
    ck_assert_ptr_nonnull(strstr(pump_ask(&pump, 0, "INFO crdt"), "crdt_lesser_batches:0\r\n"));
    /* An older store is put back, and the clients do not wait for what it lacks. */
    pump_cut(&pump, 0, 1, true);
    pump.nodes[1].stored_marks[CORE_MARK_AHEAD] = 1;
    pump_restart(&pump, 1, 40);
    pump_run(&pump, 3000000);
    ck_assert_str_eq(pump_ask(&pump, 1, "DEL k"), ":1\r\n");
    pump_cut(&pump, 0, 1, false);
    pump_run(&pump, 5000000);
    ck_assert_str_eq(pump_ask(&pump, 0, "GET k"), "$2\r\n64\r\n");
    ck_assert_ptr_nonnull(strstr(pump_ask(&pump, 0, "INFO crdt"), "crdt_lesser_batches:1\r\n"));
    ck_assert(pump_is_equal(&pump));
    pump_close(&pump);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_acknowledged");
    TCase *tests = tcase_create("core_acknowledged");
    tcase_add_test(tests, what_a_peer_has_not_stored_is_not_acknowledged);
    tcase_add_test(tests, nor_is_it_on_a_new_link);
    tcase_add_test(tests, what_a_peer_has_stored_is_acknowledged);
    tcase_add_test(tests, an_acknowledgement_waits_for_what_its_author_had_written);
    tcase_add_test(tests, the_first_words_on_a_link_name_no_own_batch_that_may_be_lost);
    tcase_add_test(tests, while_the_store_fails_nothing_more_goes_ahead_of_it);
    tcase_add_test(tests, what_a_peers_batch_names_may_not_be_on_its_disk);
    tcase_add_test(tests, what_is_not_on_the_own_disk_is_not_folded);
    tcase_add_test(tests, an_acknowledgement_waits_for_what_is_written_but_not_stored);
    tcase_add_test(tests, batches_of_a_member_that_is_back_with_less_are_counted);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
