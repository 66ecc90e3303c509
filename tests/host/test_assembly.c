/* Snapshots built aside, and joins: from real batches with real signatures, into
 * a real store, compared with a document that has merged the same. */
#include "gossipd/host/store/assembly.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "gossipd/host/store/database_floor.h"
#include "gossipd/host/store/database_snapshot.h"
#include "gossipd/host/store/database_stage.h"
#include "gossipd/host/store/tips_table.h"
#include "tests/host/built.h"
#include "tests/host/support.h"
#include "tests/support/runner.h"

START_TEST(what_is_built_aside_has_the_bytes_of_the_live_document)
{
    for (uint64_t number = 1; number <= 6; number++) {
        put_some(choice_below(&choice, 60));
        make_snapshot(database, "store.db", number);
        expect_newest(database, feeds_snapshot(&here));
        expect_tips(database, &here);
    }
    database_close(database);
    database = NULL;
    expect_whole("store.db");
}
END_TEST

START_TEST(batches_behind_the_place_wait_for_the_next_snapshot)
{
    struct assembly assembly;
    put_some(40);
    struct crdt_buffer wanted = feeds_snapshot(&here);
    place(database, 1);
    put_some(10);
    struct assembly_order order = order_of("store.db", 1, false);
    ck_assert_msg(assembly_build(&order, &assembly, &failure), "%s", failure.text);
    ck_assert_int_eq(bring_in(database, &order, &assembly), IMPORT_DONE);
    assembly_close(&assembly);
    expect_newest(database, wanted);
    make_snapshot(database, "store.db", 2);
    expect_newest(database, feeds_snapshot(&here));
}
END_TEST

/* ---- Beside a writer -------------------------------------------------------------- */

struct beside {
    struct assembly_order order;
    struct assembly assembly;
    struct failure failure;
    bool is_built;
    atomic_bool has_ended;
};

static void *build_beside(void *context)
{
    struct beside *beside = context;
    beside->is_built = assembly_build(&beside->order, &beside->assembly, &beside->failure);
    atomic_store(&beside->has_ended, true);
    return NULL;
}

START_TEST(a_writer_goes_on_while_a_snapshot_is_built)
{
    static uint8_t large[300000];
    struct beside beside = {.is_built = false};
    pthread_t thread;
    put_some(3000);
    struct crdt_buffer wanted = feeds_snapshot(&here);
    place(database, 1);
    beside.order = order_of("store.db", 1, false);
    ck_assert_int_eq(pthread_create(&thread, NULL, build_beside, &beside), 0);
    uint64_t written = 0;
    while (!atomic_load(&beside.has_ended) || written < 100) {
        newest_number++;
        struct core_output output =
            support_store(newest_number, 0xee, newest_number, newest_number);
        output.bytes = (struct crdt_bytes){large, sizeof large};
        put_output(database, &output);
        written++;
    }
    pthread_join(thread, NULL);
    ck_assert_msg(beside.is_built, "%s", beside.failure.text);
    ck_assert_int_eq(bring_in(database, &beside.order, &beside.assembly), IMPORT_DONE);
    assembly_close(&beside.assembly);
    expect_newest(database, wanted);
}
END_TEST

START_TEST(a_build_that_is_given_up_leaves_nothing)
{
    struct assembly assembly;
    put_some(20);
    place(database, 1);
    struct assembly_order order = order_of("store.db", 1, false);
    atomic_store(&is_given_up, true);
    ck_assert(!assembly_build(&order, &assembly, &failure));
    atomic_store(&is_given_up, false);
    ck_assert_str_eq(failure.text, "the node stops");
    close(order.fd);
}
END_TEST

/* ---- Joins ------------------------------------------------------------------------ */

/* A peer's store, whose node `b` has written what nobody else has. */
static struct crdt_buffer peer_bytes, peer_tips;
static struct core_snapshot peer_snapshot;
static bool is_shared; /* the store has what the peer's has                        */

static void peer_make(size_t count)
{
    struct database *peer = open_store("peer.db");
    struct database_snapshot newest;
    uint64_t number = newest_number;
    for (size_t i = 0; i < count; i++) {
        struct core_output output = feeds_write(&b, &choice, ++newest_number);
        put_output(peer, &output);
        if (is_shared) {
            put_output(database, &output);
        }
    }
    make_snapshot(peer, "peer.db", 1);
    crdt_buffer_init(&peer_bytes, NULL);
    crdt_buffer_init(&peer_tips, NULL);
    ck_assert(database_snapshot_newest(database_handle(peer), &newest));
    ck_assert(database_snapshot_read(database_handle(peer), &newest, &peer_bytes, &failure));
    ck_assert(database_snapshot_tips(database_handle(peer), &newest, &peer_tips, &failure));
    peer_snapshot = (struct core_snapshot){
        .bytes = newest.bytes, .parts = 2, .tips = crdt_buffer_bytes(&peer_tips)};
    memcpy(peer_snapshot.hash, newest.hash, CRDT_HASH_BYTES);
    newest_number = number;
    database_close(peer);
}

static void peer_free(void)
{
    crdt_buffer_close(&peer_bytes);
    crdt_buffer_close(&peer_tips);
}

static void stage_part(uint64_t part)
{
    size_t half = peer_bytes.size / 2;
    const struct crdt_bytes bytes = part == 0
        ? (struct crdt_bytes){peer_bytes.data, half}
        : (struct crdt_bytes){peer_bytes.data + half, peer_bytes.size - half};
    bool is_next = false;
    ck_assert(database_stage_add(
        database_handle(database), &peer_snapshot, part, bytes, &is_next));
}

static void stage_all(void)
{
    stage_part(0);
    stage_part(1);
}

static uint64_t floor_of(const struct feeds_node *node)
{
    struct crdt_origin origin = crdt_self(node->document);
    uint64_t seq = 0;
    ck_assert(database_floor_of(database_handle(database), &origin, &seq));
    return seq;
}

static size_t count_of(const char *sql)
{
    int64_t number = 0;
    ck_assert(sql_number(sql_prepare(database_handle(database), sql), &number));
    return (size_t)number;
}

static bool is_blamed; /* the last refusal is the fault of what is staged          */

/* Tries the join, which must fail for this reason and change nothing. */
static void expect_refused(const char *reason)
{
    struct assembly assembly;
    size_t snapshots = count_of("SELECT count(*) FROM snapshot WHERE bytes IS NOT NULL");
    place(database, 9);
    struct assembly_order order = order_of("store.db", 9, true);
    ck_assert(!assembly_build(&order, &assembly, &failure));
    ck_assert_msg(strstr(failure.text, reason) != NULL, "%s", failure.text);
    close(order.fd);
    is_blamed = assembly.is_refused;
    ck_assert_uint_eq(floor_of(&b), 0);
    ck_assert_uint_eq(
        count_of("SELECT count(*) FROM snapshot WHERE bytes IS NOT NULL"), snapshots);
    peer_free();
}

START_TEST(a_join_has_what_both_had_and_raises_the_floor_to_what_it_brought)
{
    struct assembly assembly;
    put_some(20);
    for (int i = 0; i < 10; i++) {
        put(database, &a, &here);
    }
    feeds_node_close(&b);
    feeds_node_open(&b, 4);
    peer_make(50);
    stage_all();
    place(database, 1);
    put_some(0);
    struct assembly_order order = order_of("store.db", 1, true);
    ck_assert_msg(assembly_build(&order, &assembly, &failure), "%s", failure.text);
    ck_assert_uint_eq(floor_of(&b), 0);
    ck_assert_int_eq(bring_in(database, &order, &assembly), IMPORT_DONE);
    ck_assert_uint_eq(floor_of(&b), b.seq);
    ck_assert_uint_eq(floor_of(&a), 0);
    feeds_merge(&here, crdt_buffer_bytes(&peer_bytes));
    expect_newest(database, feeds_snapshot(&here));
    expect_tips(database, &here);
    struct crdt_digest joined, wanted;
    ck_assert_int_eq(crdt_digest(assembly.document, &joined), CRDT_OK);
    ck_assert_int_eq(crdt_digest(here.document, &wanted), CRDT_OK);
    ck_assert_mem_eq(&joined, &wanted, sizeof wanted);
    assembly_close(&assembly);
    /* Too much may have come meanwhile: then it is made once more. */
    ck_assert_uint_eq(count_of("SELECT count(*) FROM stage"), 1);
    put(database, &a, &here);
    place(database, 3);
    order = order_of("store.db", 3, true);
    ck_assert_msg(assembly_build(&order, &assembly, &failure), "%s", failure.text);
    ck_assert_ptr_nonnull(assembly.document);
    ck_assert_uint_eq(assembly.raised_count, 0);
    ck_assert_int_eq(bring_in(database, &order, &assembly), IMPORT_DONE);
    assembly_close(&assembly);
    expect_newest(database, feeds_snapshot(&here));
    peer_free();
    /* And the next snapshot stands on it. */
    put(database, &b, &here);
    put(database, &here, NULL);
    make_snapshot(database, "store.db", 4);
    expect_newest(database, feeds_snapshot(&here));
    database_close(database);
    database = NULL;
    expect_whole("store.db");
}
END_TEST

START_TEST(a_join_whose_disk_is_full_at_the_end_has_not_happened)
{
    struct assembly assembly;
    put(database, &a, &here);
    peer_make(10);
    stage_all();
    place(database, 1);
    struct assembly_order order = order_of("store.db", 1, true);
    ck_assert_msg(assembly_build(&order, &assembly, &failure), "%s", failure.text);
    support_disk.is_full = true;
    ck_assert_int_eq(bring_in(database, &order, &assembly), IMPORT_FAILED);
    support_disk.is_full = false;
    assembly_close(&assembly);
    ck_assert_uint_eq(floor_of(&b), 0);
    ck_assert_uint_eq(count_of("SELECT count(*) FROM stage"), 1);
    ck_assert_uint_eq(count_of("SELECT count(*) FROM snapshot WHERE bytes IS NOT NULL"), 0);
    peer_free();
}
END_TEST

START_TEST(staged_bytes_that_were_damaged_are_refused)
{
    peer_make(30);
    peer_bytes.data[peer_bytes.size / 3] ^= 1;
    stage_all();
    expect_refused("cannot be merged");
}
END_TEST

START_TEST(another_snapshot_than_the_one_offered_is_refused)
{
    peer_make(30);
    peer_snapshot.hash[0] ^= 1;
    stage_all();
    expect_refused("not the snapshot that was offered");
}
END_TEST

START_TEST(a_tip_that_its_origin_did_not_sign_is_refused)
{
    peer_make(30);
    peer_tips.data[peer_tips.size - 1] ^= 1;
    stage_all();
    expect_refused("not signed by its origin");
    ck_assert(is_blamed);
}
END_TEST

/* Another history of b's feed: two batches that b will write as well, one that it
 * will not, `more` behind it. Into the store, unless that is NULL; returns the third,
 * of which the numbers and hashes are good. */
static struct core_output write_fork(struct database *into, struct choice other, size_t more)
{
    struct feeds_node fork;
    struct choice same = choice;
    struct core_output third = {.last_seq = 0};
    feeds_node_open(&fork, 2);
    for (size_t i = 0; i < 3 + more; i++) {
        struct core_output output =
            feeds_write(&fork, i < 2 ? &same : &other, newest_number + 1 + i);
        if (into != NULL) {
            put_output(into, &output);
        }
        third = i == 2 ? output : third;
    }
    feeds_node_close(&fork);
    return third;
}

/* The third batch that b will write. */
static struct core_output third_of_b(void)
{
    struct choice rest = choice;
    struct feeds_node ahead;
    feeds_node_open(&ahead, 2);
    for (int i = 0; i < 2; i++) {
        feeds_write(&ahead, &rest, newest_number + 1);
    }
    feeds_node_close(&ahead);
    return write_fork(NULL, rest, 0);
}

/* The same batches as b's, and then one that is as long as b's third. */
static void put_fork(size_t more)
{
    struct core_output wanted = third_of_b();
    struct core_output found = {.last_seq = 0};
    struct choice other;
    /* There is only one batch that holds nothing but a note. */
    while (wanted.first_seq == wanted.last_seq) {
        choice_below(&choice, 2);
        wanted = third_of_b();
    }
    for (uint64_t seed = 1; found.last_seq != wanted.last_seq ||
         memcmp(found.head, wanted.head, sizeof found.head) == 0; seed++) {
        other = choice_from_seed(seed);
        found = write_fork(NULL, other, 0);
    }
    write_fork(database, other, more);
}

START_TEST(a_tip_of_another_history_is_refused_wherever_it_ends)
{
    /* Batches behind the third: here, at the peer. */
    static const size_t more[][2] = {{0, 0}, {0, 1}, {5, 0}};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        if (i > 0) {
            built_teardown();
            built_setup();
        }
        put_fork(more[i][0]);
        peer_make(3 + more[i][1]);
        stage_all();
        expect_refused("another history");
        ck_assert(is_blamed);
    }
}
END_TEST

START_TEST(a_tip_that_ends_before_what_is_here_is_no_fork)
{
    struct assembly assembly;
    is_shared = true;
    peer_make(3);
    is_shared = false;
    stage_all();
    for (int i = 0; i < 10; i++) {
        put(database, &b, NULL);
    }
    place(database, 1);
    struct assembly_order order = order_of("store.db", 1, true);
    ck_assert_msg(assembly_build(&order, &assembly, &failure), "%s", failure.text);
    close(order.fd);
    assembly_close(&assembly);
    peer_free();
}
END_TEST

START_TEST(a_snapshot_that_holds_more_than_its_tips_prove_is_refused)
{
    struct tips_table none;
    peer_make(30);
    tips_table_init(&none, &memory);
    crdt_buffer_clear(&peer_tips);
    ck_assert_int_eq(tips_write(&peer_tips, none.tips, 0), CRDT_OK);
    peer_snapshot.tips = crdt_buffer_bytes(&peer_tips);
    stage_all();
    expect_refused("do not prove");
}
END_TEST

START_TEST(a_snapshot_of_which_a_part_is_missing_is_refused)
{
    peer_make(30);
    stage_part(0);
    expect_refused("only 1 of 2 parts are staged");
}
END_TEST

START_TEST(without_anything_staged_there_is_no_join)
{
    put(database, &a, &here);
    crdt_buffer_init(&peer_bytes, NULL);
    crdt_buffer_init(&peer_tips, NULL);
    expect_refused("nothing is staged");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("assembly");
    TCase *tests = tcase_create("assembly");
    tcase_add_checked_fixture(tests, built_setup, built_teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, what_is_built_aside_has_the_bytes_of_the_live_document);
    tcase_add_test(tests, batches_behind_the_place_wait_for_the_next_snapshot);
    tcase_add_test(tests, a_writer_goes_on_while_a_snapshot_is_built);
    tcase_add_test(tests, a_build_that_is_given_up_leaves_nothing);
    tcase_add_test(tests, a_join_has_what_both_had_and_raises_the_floor_to_what_it_brought);
    tcase_add_test(tests, a_join_whose_disk_is_full_at_the_end_has_not_happened);
    tcase_add_test(tests, staged_bytes_that_were_damaged_are_refused);
    tcase_add_test(tests, another_snapshot_than_the_one_offered_is_refused);
    tcase_add_test(tests, a_tip_that_its_origin_did_not_sign_is_refused);
    tcase_add_test(tests, a_tip_of_another_history_is_refused_wherever_it_ends);
    tcase_add_test(tests, a_tip_that_ends_before_what_is_here_is_no_fork);
    tcase_add_test(tests, a_snapshot_that_holds_more_than_its_tips_prove_is_refused);
    tcase_add_test(tests, a_snapshot_of_which_a_part_is_missing_is_refused);
    tcase_add_test(tests, without_anything_staged_there_is_no_join);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
