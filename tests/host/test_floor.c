/* The log floor in the store: what is dropped, what is said of it later, and what
 * is staged beside it. */
#include "gossipd/host/store/database_floor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gossipd/host/counting.h"
#include "gossipd/host/store/database_snapshot.h"
#include "gossipd/host/store/database_stage.h"
#include "gossipd/host/store/errand.h"
#include "gossipd/limits.h"
#include "tests/host/support.h"
#include "tests/support/choice.h"
#include "tests/support/runner.h"

#define FEEDS 4
#define ROWS_MAX 1500

static const uint8_t cluster_id[CRDT_HASH_BYTES] = {1};
static const uint8_t node_key[CRDT_KEY_BYTES] = {2};
static struct counting_memory counting;
static struct crdt_memory memory;
static struct database *database;
static struct failure failure;
static uint64_t newest_number;

static void open_again(void)
{
    struct database_facts facts;
    database_close(database);
    ck_assert_msg(database_open(support_path("store.db"), SUPPORT_VFS, cluster_id, node_key,
                      &database, &facts, &failure), "%s", failure.text);
}

static void setup(void)
{
    memory = counting_hook(&counting);
    support_directory();
    support_vfs_register();
    newest_number = 0;
    open_again();
}

static void teardown(void)
{
    database_close(database);
    database = NULL;
    support_remove();
    ck_assert_uint_eq(counting_used(&counting), 0);
}

static struct crdt_origin origin_of(uint8_t key)
{
    return support_store(1, key, 1, 1).origin;
}

static void put(uint8_t key, uint64_t first, uint64_t last)
{
    struct core_output output = support_store(++newest_number, key, first, last);
    struct row *row = row_new(&memory, &output, CORE_ALWAYS);
    ck_assert_int_eq(database_write(database, row, 1, true, &failure), DATABASE_DONE);
    row_free(&memory, row);
}

/* Lets a snapshot of what the store holds become the newest one. */
static void put_snapshot(uint64_t number)
{
    const struct core_output output = {.kind = CORE_SNAPSHOT, .number = number};
    struct row *row = row_new(&memory, &output, CORE_ALWAYS);
    const struct core_snapshot snapshot = {
        .hash = {(uint8_t)number}, .bytes = 4, .parts = 1, .tips = crdt_text("tips")};
    bool has_place = false;
    sqlite3 *handle = database_handle(database);
    ck_assert_int_eq(database_write(database, row, 1, true, &failure), DATABASE_DONE);
    row_free(&memory, row);
    ck_assert(database_snapshot_add(handle, number, 0, "part", 4, &has_place));
    ck_assert(database_snapshot_finish(handle, number, &snapshot));
}

/* Everything of the first `count` feeds may go. */
static struct core_drop drop_of(struct core_drop_feed *feeds, size_t count, uint64_t cap)
{
    for (size_t i = 0; i < count; i++) {
        feeds[i] = (struct core_drop_feed){
            .origin = origin_of((uint8_t)(i + 1)), .stable = cap, .cap = cap};
    }
    return (struct core_drop){
        .feeds = feeds, .feed_count = count, .before_ms = UINT64_MAX, .log_bytes_max = UINT64_MAX};
}

static bool drop(struct core_drop *order)
{
    bool has_more = false;
    ck_assert_int_eq(
        database_drop(database, order, &memory, &has_more, &failure), DATABASE_DONE);
    return has_more;
}

static uint64_t number_of(const char *sql)
{
    int64_t number = -1;
    ck_assert(sql_number(sql_prepare(database_handle(database), sql), &number));
    return (uint64_t)number;
}

static void expect_log_bytes(void)
{
    ck_assert_uint_eq(database_log_bytes(database),
        number_of("SELECT coalesce(sum(length(bytes)), 0) FROM batch"));
}

/* "gone", or how many rows come. */
static void expect_fetch(uint8_t key, uint64_t seq, const char *wanted)
{
    struct crdt_dot from = {origin_of(key), seq};
    struct fetched *fetched = fetched_new(&memory, 1);
    char text[32];
    ck_assert(database_fetch(database, &from, 1 << 20, fetched, &failure));
    snprintf(text, sizeof text, "%zu", fetched->row_count);
    ck_assert_str_eq(fetched->is_ok ? text : "gone", wanted);
    fetched_free(fetched);
}

START_TEST(what_was_dropped_is_gone_and_what_follows_is_served)
{
    struct core_drop_feed feeds[FEEDS];
    put(1, 1, 3);
    put(1, 4, 6);
    put(2, 1, 1);
    put(1, 7, 9);
    struct core_drop order = drop_of(feeds, 1, 6);
    ck_assert(!drop(&order));
    for (int round = 0; round < 2; round++) {
        expect_fetch(1, 1, "gone");
        expect_fetch(1, 6, "gone");
        expect_fetch(1, 7, "1");
        expect_fetch(1, 10, "0");
        expect_fetch(2, 1, "1");
        expect_log_bytes();
        open_again();
    }
}
END_TEST

START_TEST(a_feed_without_any_batch_left_says_that_they_are_gone)
{
    struct core_drop_feed feeds[FEEDS];
    put(1, 1, 3);
    struct core_drop order = drop_of(feeds, 1, 3);
    ck_assert(!drop(&order));
    expect_fetch(1, 2, "gone");
    expect_fetch(1, 3, "gone");
    expect_fetch(1, 4, "0");
    expect_fetch(3, 1, "0");
}
END_TEST

/* What is in memory of the oracle. */
struct kept {
    uint8_t feed;
    uint64_t place, last, applied_ms;
    size_t bytes;
    bool is_gone;
};
static struct kept kept[ROWS_MAX];
static size_t kept_count;

/* From the definition: the oldest row of each feed, the choice, again. */
static void drop_by_definition(struct core_drop *order)
{
    for (size_t dropped = 0; dropped < DROP_ROWS; dropped++) {
        struct core_drop_head heads[FEEDS];
        size_t rows[FEEDS];
        size_t count = 0;
        uint64_t bytes = 0;
        bool has_head[FEEDS + 1] = {false};
        for (size_t i = 0; i < kept_count; i++) {
            bytes += kept[i].is_gone ? 0 : kept[i].bytes;
            if (!kept[i].is_gone && !has_head[kept[i].feed]) {
                has_head[kept[i].feed] = true;
                rows[count] = i;
                heads[count++] = (struct core_drop_head){.feed = kept[i].feed - 1u,
                    .place = kept[i].place, .last_seq = kept[i].last,
                    .applied_ms = kept[i].applied_ms};
            }
        }
        size_t at = core_drop_choose(order, heads, count, bytes);
        if (at == count) {
            return;
        }
        kept[rows[at]].is_gone = true;
        uint64_t *floor = &order->feeds[heads[at].feed].floor;
        *floor = *floor > heads[at].last_seq ? *floor : heads[at].last_seq;
    }
}

static void put_random(struct choice *choice, uint64_t newest[FEEDS + 1], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t feed = (uint8_t)(1 + choice_below(choice, FEEDS));
        uint64_t first = newest[feed] + 1;
        newest[feed] += 1 + choice_below(choice, 3);
        put(feed, first, newest[feed]);
        /* Places of batches that are gone may be given out again after a start. */
        kept[kept_count] = (struct kept){.feed = feed, .last = newest[feed],
            .place = number_of("SELECT max(place) FROM batch"),
            .applied_ms = 1700000000000 + newest_number, .bytes = 22};
        kept_count++;
    }
}

static void expect_kept(const struct core_drop *wanted)
{
    size_t left = 0;
    for (size_t i = 0; i < kept_count; i++) {
        char sql[128];
        snprintf(sql, sizeof sql,
            "SELECT count(*) FROM batch WHERE last = %" PRIu64 " AND substr(key, 1, 1) = x'%02x'",
            kept[i].last, (unsigned)kept[i].feed);
        left += kept[i].is_gone ? 0 : 1;
        ck_assert_uint_eq(number_of(sql), kept[i].is_gone ? 0 : 1);
    }
    ck_assert_uint_eq(number_of("SELECT count(*) FROM batch"), left);
    for (size_t i = 0; i < wanted->feed_count; i++) {
        uint64_t floor = 0;
        ck_assert(database_floor_of(
            database_handle(database), &wanted->feeds[i].origin, &floor));
        ck_assert_uint_eq(floor, wanted->feeds[i].floor);
    }
    expect_log_bytes();
}

START_TEST(batches_go_in_the_order_that_the_definition_gives)
{
    bool is_fixed = false;
    uint64_t seed = choice_seed("floor", &is_fixed);
    unsigned runs = is_fixed ? 1 : choice_runs(8);
    for (unsigned run = 0; run < runs; run++) {
        struct choice choice = choice_from_seed(seed + run);
        struct core_drop_feed feeds[FEEDS];
        struct core_drop_feed feeds_wanted[FEEDS];
        uint64_t newest[FEEDS + 1] = {0};
        struct core_drop order = drop_of(feeds, FEEDS, 0);
        teardown();
        setup();
        kept_count = 0;
        for (int round = 0; round < 6; round++) {
            put_random(&choice, newest, 30);
            if (choice_below(&choice, 2) == 0) {
                put_snapshot((uint64_t)round + 1);
            }
            for (size_t i = 0; i < FEEDS; i++) {
                feeds[i].stable = choice_below(&choice, (uint32_t)newest[i + 1] + 1);
                feeds[i].cap = choice_below(&choice, (uint32_t)newest[i + 1] + 1);
            }
            order.before_ms = 1700000000000 + choice_below(&choice, 200);
            order.log_bytes_max = choice_below(&choice, 1500);
            memcpy(feeds_wanted, feeds, sizeof feeds);
            struct core_drop wanted = order;
            wanted.feeds = feeds_wanted;
            drop_by_definition(&wanted);
            drop(&order);
            expect_kept(&wanted);
            if (choice_below(&choice, 3) == 0) {
                open_again();
            }
        }
    }
}
END_TEST

START_TEST(one_step_drops_no_more_than_its_share)
{
    struct core_drop_feed feeds[FEEDS];
    for (uint64_t seq = 1; seq <= DROP_ROWS + 10; seq++) {
        put(1, seq, seq);
    }
    struct core_drop order = drop_of(feeds, 1, DROP_ROWS + 10);
    ck_assert(drop(&order));
    ck_assert_uint_eq(number_of("SELECT count(*) FROM batch"), 10);
    ck_assert(!drop(&order));
    ck_assert_uint_eq(number_of("SELECT count(*) FROM batch"), 0);
    ck_assert_uint_eq(database_log_bytes(database), 0);
}
END_TEST

static void count_row(void *context, const struct core_row *row)
{
    size_t *count = context;
    ck_assert_uint_gt(row->batch.size, 0);
    (*count)++;
}

START_TEST(what_comes_after_an_emptied_log_is_behind_the_snapshot)
{
    struct core_drop_feed feeds[FEEDS];
    struct database_snapshot snapshot;
    size_t count = 0;
    put(1, 1, 1);
    put(1, 2, 2);
    put_snapshot(1);
    struct core_drop order = drop_of(feeds, 1, 2);
    ck_assert(!drop(&order));
    open_again();
    put(1, 3, 3);
    ck_assert(database_snapshot_newest(database_handle(database), &snapshot));
    ck_assert(database_replay(database, snapshot.place, count_row, &count, &failure));
    ck_assert_uint_eq(count, 1);
}
END_TEST

START_TEST(a_full_disk_drops_nothing)
{
    struct core_drop_feed feeds[FEEDS];
    bool has_more = false;
    put(1, 1, 1);
    struct core_drop order = drop_of(feeds, 1, 1);
    support_disk.is_full = true;
    ck_assert_int_eq(
        database_drop(database, &order, &memory, &has_more, &failure), DATABASE_FAILED);
    support_disk.is_full = false;
    expect_fetch(1, 1, "1");
    expect_log_bytes();
}
END_TEST

START_TEST(a_store_of_the_version_before_opens_and_forgets_its_snapshot)
{
    struct database_snapshot snapshot;
    put(1, 1, 1);
    ck_assert_int_eq(sqlite3_exec(database_handle(database),
        "DROP TABLE snapshot; DROP TABLE snapshot_part; DROP TABLE floor; DROP TABLE stage;"
        "CREATE TABLE snapshot (id INTEGER PRIMARY KEY AUTOINCREMENT, number INTEGER NOT NULL, "
        "place INTEGER NOT NULL, bytes INTEGER);"
        "CREATE TABLE snapshot_part (id INTEGER NOT NULL, part INTEGER NOT NULL, "
        "bytes BLOB NOT NULL);"
        "CREATE INDEX snapshot_part_order ON snapshot_part (id, part);"
        "INSERT INTO snapshot VALUES (1, 1, 1, 3); INSERT INTO snapshot_part VALUES (1, 0, 'abc')",
        NULL, NULL, NULL), SQLITE_OK);
    open_again();
    ck_assert(!database_snapshot_newest(database_handle(database), &snapshot));
    expect_fetch(1, 1, "1");
    expect_log_bytes();
}
END_TEST

/* ---- Staging -------------------------------------------------------------------- */

static const struct core_snapshot offers[2] = {
    {.hash = {7}, .bytes = 9, .parts = 3, .tips = {"tips of seven", 13}},
    {.hash = {8}, .bytes = 2, .parts = 1, .tips = {"tips of eight", 13}},
};

static bool stage(const struct core_snapshot *snapshot, uint64_t part, const char *bytes)
{
    const struct core_output output = {.kind = CORE_STAGE, .number = 5, .snapshot = snapshot,
        .value = part, .bytes = crdt_text(bytes)};
    struct errand *errand = errand_new(&memory, &output);
    struct core_input input;
    ck_assert_int_ne(errand_do(errand, database), DATABASE_FSYNC_FAILED);
    ck_assert(errand_input(errand, &input));
    ck_assert_int_eq(input.kind, CORE_STAGED);
    ck_assert_uint_eq(input.number, 5);
    bool is_ok = input.is_ok;
    errand_free(errand);
    return is_ok;
}

/* What is staged, as text; "none". */
static void expect_staged(const char *wanted)
{
    struct database_stage staged;
    struct crdt_buffer bytes;
    char text[64] = "none";
    crdt_buffer_init(&bytes, &memory);
    if (database_stage_read(database_handle(database), &memory, &staged)) {
        bool is_whole = database_stage_bytes(
            database_handle(database), &staged, &bytes, &failure);
        ck_assert_int_eq(is_whole, bytes.size == staged.snapshot.bytes);
        snprintf(text, sizeof text, "%u: %u of %u, %.*s", staged.snapshot.hash[0],
            (unsigned)staged.staged, (unsigned)staged.snapshot.parts, (int)bytes.size,
            bytes.size > 0 ? (const char *)bytes.data : "");
        ck_assert_mem_eq(staged.snapshot.tips.data, "tips of ", 8);
        crdt_buffer_close(&staged.tips);
    }
    crdt_buffer_close(&bytes);
    ck_assert_str_eq(text, wanted);
}

static void sweep_all(void)
{
    for (bool has_more = true; has_more;) {
        ck_assert(database_snapshot_sweep(database_handle(database), &has_more));
    }
}

START_TEST(staged_parts_survive_a_restart_and_go_on)
{
    expect_staged("none");
    ck_assert(stage(&offers[0], 0, "abcd"));
    ck_assert(stage(&offers[0], 1, "efgh"));
    open_again();
    sweep_all();
    expect_staged("7: 2 of 3, abcdefgh");
    ck_assert(stage(&offers[0], 2, "i"));
    expect_staged("7: 3 of 3, abcdefghi");
}
END_TEST

START_TEST(a_part_out_of_order_is_not_staged)
{
    ck_assert(stage(&offers[0], 0, "abcd"));
    ck_assert(!stage(&offers[0], 2, "i"));
    ck_assert(!stage(&offers[1], 1, "xy"));
    expect_staged("7: 1 of 3, abcd");
}
END_TEST

START_TEST(another_snapshot_takes_the_place_of_what_is_staged)
{
    put_snapshot(1);
    ck_assert(stage(&offers[0], 0, "abcd"));
    ck_assert(stage(&offers[1], 0, "xy"));
    sweep_all();
    expect_staged("8: 1 of 1, xy");
    ck_assert_uint_eq(number_of("SELECT count(*) FROM snapshot_part"), 2);
    const struct core_output output = {.kind = CORE_UNSTAGE};
    struct errand *errand = errand_new(&memory, &output);
    struct core_input input;
    ck_assert_int_eq(errand_do(errand, database), DATABASE_DONE);
    ck_assert(!errand_input(errand, &input));
    errand_free(errand);
    expect_staged("none");
    sweep_all();
    ck_assert_uint_eq(number_of("SELECT count(*) FROM snapshot_part"), 1);
}
END_TEST

START_TEST(a_full_disk_refuses_a_part_and_keeps_those_before)
{
    ck_assert(stage(&offers[0], 0, "abcd"));
    support_disk.is_full = true;
    ck_assert(!stage(&offers[0], 1, "efgh"));
    support_disk.is_full = false;
    ck_assert(stage(&offers[0], 1, "efgh"));
    expect_staged("7: 2 of 3, abcdefgh");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("floor");
    TCase *tests = tcase_create("floor");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, what_was_dropped_is_gone_and_what_follows_is_served);
    tcase_add_test(tests, a_feed_without_any_batch_left_says_that_they_are_gone);
    tcase_add_test(tests, batches_go_in_the_order_that_the_definition_gives);
    tcase_add_test(tests, one_step_drops_no_more_than_its_share);
    tcase_add_test(tests, what_comes_after_an_emptied_log_is_behind_the_snapshot);
    tcase_add_test(tests, a_full_disk_drops_nothing);
    tcase_add_test(tests, a_store_of_the_version_before_opens_and_forgets_its_snapshot);
    tcase_add_test(tests, staged_parts_survive_a_restart_and_go_on);
    tcase_add_test(tests, a_part_out_of_order_is_not_staged);
    tcase_add_test(tests, another_snapshot_takes_the_place_of_what_is_staged);
    tcase_add_test(tests, a_full_disk_refuses_a_part_and_keeps_those_before);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
