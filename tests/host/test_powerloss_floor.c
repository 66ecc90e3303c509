/* Drops, staging and joins when the power goes, or the process is killed, at any
 * moment: a batch is in the store or below the floor, the floor is never above
 * what the newest whole snapshot has, and what was said to be durable is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gossipd/host/counting.h"
#include "gossipd/host/store/database_floor.h"
#include "gossipd/host/store/database_snapshot.h"
#include "gossipd/host/store/database_stage.h"
#include "gossipd/host/store/errand.h"
#include "gossipd/host/store/import.h"
#include "tests/host/powerloss.h"
#include "tests/host/support.h"
#include "tests/support/choice.h"
#include "tests/support/claim.h"
#include "tests/support/runner.h"

#define FEEDS 3
#define LIVES 5
#define SEEDS 60

static const uint8_t cluster_id[CRDT_HASH_BYTES] = {1};
static const uint8_t node_key[CRDT_KEY_BYTES] = {2};
static struct counting_memory counting;
static struct crdt_memory memory;
static struct choice choice;
static struct database *database;
static struct failure failure;
static char note[96];

/* A context is the newest seq of each feed; a snapshot's bytes are one, so that it
 * says what it has. */
struct context {
    uint64_t seq[FEEDS];
};

static struct context applied;   /* what the node has, here or below the floor       */
static struct context durable;   /* so much must be there after an end               */
static struct context promised;  /* the same, when the end came                      */
static struct context floors;    /* durable floors                                   */
static struct context floors_promised;
static uint64_t number;

static size_t below(size_t bound)
{
    return choice_below(&choice, (uint32_t)bound);
}

static void remember(void *nothing)
{
    (void)nothing;
    promised = durable;
    floors_promised = floors;
}

static struct crdt_origin origin_of(size_t feed)
{
    return support_store(1, (uint8_t)(feed + 1), 1, 1).origin;
}

static bool goes_on(enum database_result result)
{
    claim(result == DATABASE_DONE || powerloss_has_come());
    return !powerloss_has_come();
}

/* ---- What is found --------------------------------------------------------------- */

static uint64_t number_of(const char *sql)
{
    int64_t found = -1;
    claim(sql_number(sql_prepare(database_handle(database), sql), &found));
    return (uint64_t)found;
}

static struct context snapshot_context(void)
{
    struct context context = {{0}};
    struct database_snapshot newest;
    struct crdt_buffer bytes;
    crdt_buffer_init(&bytes, NULL);
    if (database_snapshot_newest(database_handle(database), &newest)) {
        claim(database_snapshot_read(database_handle(database), &newest, &bytes, &failure));
        claim(bytes.size >= sizeof context);
        memcpy(&context, bytes.data, sizeof context);
    }
    crdt_buffer_close(&bytes);
    return context;
}

/* The rows of a feed above its floor must be there without a gap; gives the newest
 * seq that is here or below the floor. */
static uint64_t look_at_feed(size_t feed, uint64_t floor)
{
    struct crdt_origin origin = origin_of(feed);
    sqlite3_stmt *rows = sql_prepare(database_handle(database),
        "SELECT first, last FROM batch WHERE key = ?1 AND generation = ?2 AND last > ?3 "
        "ORDER BY first");
    sql_bind_origin(rows, &origin);
    sqlite3_bind_int64(rows, 3, (int64_t)floor);
    uint64_t seq = floor;
    while (sqlite3_step(rows) == SQLITE_ROW) {
        claim((uint64_t)sqlite3_column_int64(rows, 0) == seq + 1);
        seq = (uint64_t)sqlite3_column_int64(rows, 1);
    }
    sqlite3_finalize(rows);
    return seq;
}

static void look_at_stage(void)
{
    struct database_stage stage;
    struct crdt_buffer bytes;
    if (!database_stage_read(database_handle(database), &memory, &stage)) {
        return;
    }
    crdt_buffer_init(&bytes, NULL);
    database_stage_bytes(database_handle(database), &stage, &bytes, &failure);
    claim(bytes.size == stage.staged * sizeof(struct context));
    crdt_buffer_close(&bytes);
    crdt_buffer_close(&stage.tips);
}

/* Opens what the last end has left; false: the next end came meanwhile. */
static bool open_and_look(void)
{
    struct database_facts facts;
    database = NULL;
    bool is_open = database_open(support_path("store.db"), POWERLOSS_VFS, cluster_id, node_key,
        &database, &facts, &failure);
    if (powerloss_has_come()) {
        database_close(is_open ? database : NULL);
        return false;
    }
    claim(is_open);
    struct context whole = snapshot_context();
    for (size_t feed = 0; feed < FEEDS; feed++) {
        struct crdt_origin origin = origin_of(feed);
        uint64_t floor = 0;
        claim(database_floor_of(database_handle(database), &origin, &floor));
        claim(floor <= whole.seq[feed]);
        claim(floor >= floors.seq[feed]);
        applied.seq[feed] = look_at_feed(feed, floor);
        claim(applied.seq[feed] >= durable.seq[feed]);
        floors.seq[feed] = floor;
    }
    look_at_stage();
    claim(database_log_bytes(database) ==
        number_of("SELECT coalesce(sum(length(bytes)), 0) FROM batch"));
    /* Every row behind the newest snapshot's place is newer than what it has. */
    durable = applied;
    return true;
}

/* ---- What is done ----------------------------------------------------------------- */

static void put_rows(void)
{
    struct row *rows[6];
    size_t count = below(6) + 1;
    bool is_synced = below(2) == 0;
    for (size_t i = 0; i < count; i++) {
        size_t feed = below(FEEDS);
        uint64_t first = applied.seq[feed] + 1;
        applied.seq[feed] += 1 + below(3);
        number++;
        struct core_output output =
            support_store(number, (uint8_t)(feed + 1), first, applied.seq[feed]);
        rows[i] = row_new(&memory, &output, is_synced ? CORE_ALWAYS : CORE_NO);
        if (i > 0) {
            rows[i - 1]->next = rows[i];
        }
    }
    enum database_result result = database_write(database, rows[0], count, is_synced, &failure);
    if (goes_on(result) && is_synced) {
        durable = applied;
    }
    for (size_t i = 0; i < count; i++) {
        row_free(&memory, rows[i]);
    }
}

static int draft_of(const struct context *context, struct core_snapshot *snapshot)
{
    char path[] = "/tmp/gossipd-test-draft-XXXXXX";
    static uint8_t padding[1200000];
    size_t more = below(8) == 0 ? sizeof padding : below(3000);
    int fd = mkstemp(path);
    claim(fd >= 0);
    unlink(path);
    claim(write(fd, context, sizeof *context) == (ssize_t)sizeof *context);
    claim(write(fd, padding, more) == (ssize_t)more);
    snapshot->bytes = support_seal(fd, snapshot->hash);
    return fd;
}

/* Brings in a snapshot with what is applied, and for a join with what `brought`
 * has beyond it. */
static void make_snapshot(const struct context *brought)
{
    const struct core_output output = {.kind = CORE_SNAPSHOT, .number = ++number};
    struct row *row = row_new(&memory, &output, CORE_NO);
    struct context context = applied;
    struct crdt_dot raised[FEEDS];
    struct import_order order = {.number = output.number, .raised = raised,
        .snapshot = {.tips = crdt_text("tips")}};
    bool is_placed =
        goes_on(database_write(database, row, 1, false, &failure));
    row_free(&memory, row);
    for (size_t feed = 0; brought != NULL && feed < FEEDS; feed++) {
        if (brought->seq[feed] > context.seq[feed]) {
            context.seq[feed] = brought->seq[feed];
            raised[order.raised_count++] = (struct crdt_dot){origin_of(feed), context.seq[feed]};
        }
    }
    int fd = draft_of(&context, &order.snapshot);
    struct import *import = import_new(&memory, &order, fd);
    enum import_result result = is_placed ? IMPORT_MORE : IMPORT_FAILED;
    while (result == IMPORT_MORE && !powerloss_has_come()) {
        if (below(3) == 0 && brought == NULL) {
            put_rows();
        } else {
            result = import_step(import, database, &failure);
        }
    }
    import_free(import);
    if (result == IMPORT_DONE && !powerloss_has_come() && brought != NULL) {
        for (size_t i = 0; i < order.raised_count; i++) {
            for (size_t feed = 0; feed < FEEDS; feed++) {
                struct crdt_origin origin = origin_of(feed);
                if (crdt_origin_compare(&origin, &raised[i].origin) == 0) {
                    applied.seq[feed] = raised[i].seq;
                    floors.seq[feed] = raised[i].seq;
                }
            }
        }
        durable = applied;
    }
}

static void drop_some(void)
{
    struct core_drop_feed feeds[FEEDS];
    struct context whole = snapshot_context();
    for (size_t feed = 0; feed < FEEDS; feed++) {
        feeds[feed] = (struct core_drop_feed){.origin = origin_of(feed),
            .floor = floors.seq[feed], .stable = below((size_t)whole.seq[feed] + 1),
            .cap = whole.seq[feed]};
    }
    const struct core_drop drop = {.feeds = feeds, .feed_count = FEEDS,
        .before_ms = below(2) == 0 ? UINT64_MAX : 0, .log_bytes_max = below(2000)};
    const struct core_output output = {.kind = CORE_DROP, .number = 1, .drop = &drop};
    struct errand *errand = errand_new(&memory, &output);
    struct crdt_dot dots[FEEDS];
    size_t count = 0;
    if (goes_on(errand_do(errand, database))) {
        claim(crdt_summary_read(crdt_buffer_bytes(&errand->bytes), dots, FEEDS, &count) ==
            CRDT_OK);
        for (size_t i = 0; i < count; i++) {
            uint64_t *floor = &floors.seq[dots[i].origin.key[0] - 1];
            /* A step that dropped something was durable, and so is all before it. */
            durable = dots[i].seq > *floor ? applied : durable;
            *floor = dots[i].seq;
        }
    }
    errand_free(errand);
}

static struct context offered;

/* May be lost: then the join is made again. */
static void unstage(void)
{
    const struct core_output output = {.kind = CORE_UNSTAGE};
    struct errand *errand = errand_new(&memory, &output);
    if (!powerloss_has_come()) {
        goes_on(errand_do(errand, database));
    }
    errand_free(errand);
}

/* Takes the next part of a peer's snapshot, or joins it. */
static void stage_or_join(void)
{
    struct database_stage stage = {.staged = 0};
    struct core_snapshot snapshot = {.bytes = 3 * sizeof offered, .parts = 3};
    bool is_there = database_stage_read(database_handle(database), &memory, &stage);
    uint64_t staged = stage.staged;
    memcpy(snapshot.hash, stage.snapshot.hash, CRDT_HASH_BYTES);
    if (is_there) {
        crdt_buffer_close(&stage.tips);
    }
    if (is_there && staged == snapshot.parts) {
        make_snapshot(&offered);
        unstage();
        return;
    }
    if (staged == 0) {
        offered = applied;
        offered.seq[below(FEEDS)] += below(20);
        snapshot.hash[0] = (uint8_t)++number;
    }
    snapshot.tips = crdt_text("tips");
    const struct core_output output = {.kind = CORE_STAGE, .number = 1, .snapshot = &snapshot,
        .value = staged, .bytes = {&offered, sizeof offered}};
    struct errand *errand = errand_new(&memory, &output);
    goes_on(errand_do(errand, database));
    errand_free(errand);
}

static void live_once(void)
{
    powerloss_arm(1 + below((size_t)3 << below(9)), below(3) == 0 ? POWERLOSS_KILL : POWERLOSS_CUT,
        remember, NULL);
    if (open_and_look()) {
        for (unsigned i = 0; i < 400 && !powerloss_has_come(); i++) {
            switch (below(8)) {
            case 0: make_snapshot(NULL); break;
            case 1:
            case 2: drop_some(); break;
            case 3: stage_or_join(); break;
            case 4: {
                bool has_more = false;
                database_snapshot_sweep(database_handle(database), &has_more);
                break;
            }
            default: put_rows(); break;
            }
        }
        database_close(database);
    }
    powerloss_apply();
    durable = promised;
    floors = floors_promised;
}

START_TEST(floors_batches_and_snapshots_agree_after_any_end)
{
    bool is_fixed = false;
    uint64_t first = choice_seed("powerloss-floor", &is_fixed);
    unsigned runs = is_fixed ? 1 : choice_runs(SEEDS);
    uint64_t raised = 0;
    for (unsigned i = 0; i < runs; i++) {
        support_directory();
        powerloss_begin(first + i);
        choice = choice_from_seed(first + i + 1);
        applied = durable = promised = floors = floors_promised = (struct context){{0}};
        for (unsigned life = 0; life < LIVES; life++) {
            snprintf(note, sizeof note, "seed %llu life %u", (unsigned long long)(first + i), life);
            claim_note(note);
            live_once();
        }
        raised += floors.seq[0] + floors.seq[1] + floors.seq[2];
        powerloss_free();
        support_remove();
    }
    printf("# floors: %u power cuts, %u kills; floors raised by %llu\n", powerloss_counts.cuts,
        powerloss_counts.kills, (unsigned long long)raised);
    ck_assert_uint_eq(counting_used(&counting), 0);
    ck_assert(is_fixed || raised > 0);
}
END_TEST

static void setup(void)
{
    memory = counting_hook(&counting);
}

int main(void)
{
    Suite *suite = suite_create("powerloss_floor");
    TCase *tests = tcase_create("powerloss_floor");
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, floors_batches_and_snapshots_agree_after_any_end);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
