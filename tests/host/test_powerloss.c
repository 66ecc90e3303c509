/* What the store promises when the power goes, or the process is killed, at any
 * moment: what was said to be durable is there, whole, in its order, and nothing
 * else is but what was written behind it. */
#include <pthread.h>
#include <semaphore.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gossipd/host/counting.h"
#include "gossipd/host/store/store.h"
#include "tests/host/powerloss.h"
#include "tests/host/support.h"
#include "tests/support/choice.h"
#include "tests/support/claim.h"
#include "tests/support/runner.h"

#define ITEMS_MAX 2000
#define LIVES 4
#define SEEDS 110         /* of four lives each: several hundred ends               */
#define SEEDS_THREAD 25

static const uint8_t cluster_id[CRDT_HASH_BYTES] = {1};
static const uint8_t node_key[CRDT_KEY_BYTES] = {2};

/* One STORE or STORE_MARK that was handed over. */
struct item {
    bool is_mark;
    enum core_mark mark;
    uint64_t value;
    unsigned life;    /* in which it was written: tells it from one that was lost   */
    size_t size;
    bool ends_group;  /* the transaction ends behind it                             */
};

static struct counting_memory counting;
static struct crdt_memory memory;
static struct item items[ITEMS_MAX + 1];
static size_t item_count;
static size_t durable_count;  /* so many must be there                             */
static size_t promised_count; /* the same, when the end came                       */
static struct choice choice; /* of the test; the disk has its own, in its thread     */
static unsigned life;
static uint64_t seed;
static char note[160];

static size_t below(size_t bound)
{
    return choice_below(&choice, (uint32_t)bound);
}

static void fill(uint8_t *bytes, size_t index)
{
    const struct item *item = &items[index];
    for (size_t i = 0; i < item->size; i++) {
        bytes[i] = (uint8_t)(index * 31 + item->life * 7 + i * i);
    }
}

/* Makes the next item up: most are batches, some of them large. */
static void item_draw(void)
{
    claim(item_count < ITEMS_MAX);
    struct item *item = &items[item_count++];
    *item = (struct item){.life = life, .size = below(10) == 0 ? below(60000) : below(900) + 1};
    item->is_mark = below(8) == 0;
    item->mark = below(2) == 0 ? CORE_MARK_AHEAD : CORE_MARK_GENERATION;
    item->value = item->mark == CORE_MARK_AHEAD ? below(2) : UINT64_MAX - item_count - life * 9999;
}

static struct core_output output_of(size_t index)
{
    static uint8_t bytes[65536];
    const struct item *item = &items[index];
    struct core_output output = {.kind = item->is_mark ? CORE_STORE_MARK : CORE_STORE,
        .number = index + 1, .mark = item->mark, .value = item->value,
        .first_seq = index + 1, .last_seq = index + 1};
    if (!item->is_mark) {
        fill(bytes, index);
        output.bytes = (struct crdt_bytes){bytes, item->size};
    }
    return output;
}

/* ---- What is found --------------------------------------------------------- */

struct found {
    size_t rows;
    size_t at; /* the item that must come next                                     */
};

static void find_row(void *context, const struct core_row *row)
{
    static uint8_t bytes[65536];
    struct found *found = context;
    while (found->at < item_count && items[found->at].is_mark) {
        found->at++;
    }
    claim(found->at < item_count);
    claim(row->batch.size == items[found->at].size);
    fill(bytes, found->at);
    claim(memcmp(row->batch.data, bytes, row->batch.size) == 0);
    found->at++;
    found->rows++;
}

static bool group_ends_at(size_t count)
{
    return count == 0 || items[count - 1].ends_group;
}

/* What the store must say of itself when it holds the first `count` items. */
static bool facts_fit(const struct database_facts *facts, size_t count)
{
    bool is_ahead = false;
    uint64_t generation = 0;
    for (size_t i = 0; i < count; i++) {
        if (items[i].is_mark && items[i].mark == CORE_MARK_AHEAD) {
            is_ahead = items[i].value != 0;
        } else if (items[i].is_mark) {
            generation = items[i].value;
        }
    }
    return facts->is_ahead == is_ahead && facts->generation == generation;
}

/* The number of items that the store holds: whole transactions, all that was
 * promised among them. */
static size_t count_found(const struct database_facts *facts, const struct found *found)
{
    size_t count = found->at;
    while (count > 0 && items[count - 1].is_mark) {
        count--;
    }
    for (; count <= item_count; count++) {
        if (count >= durable_count && group_ends_at(count) && facts_fit(facts, count)) {
            return count;
        }
        if (count < item_count && !items[count].is_mark) {
            break;
        }
    }
    return SIZE_MAX;
}

static bool is_intact(struct database *database)
{
    sqlite3_stmt *statement = NULL;
    claim(sqlite3_prepare_v2(database_handle(database), "PRAGMA integrity_check", -1, &statement,
              NULL) == SQLITE_OK);
    bool is_ok = sqlite3_step(statement) == SQLITE_ROW &&
        strcmp((const char *)sqlite3_column_text(statement, 0), "ok") == 0;
    sqlite3_finalize(statement);
    return is_ok;
}

/* Opens what the last end has left and compares it with what was promised. NULL:
 * the next end came meanwhile. */
static struct database *open_and_look(void)
{
    struct database *database = NULL;
    struct database_facts facts;
    struct failure failure = {{0}};
    struct found found = {0, 0};
    bool is_open = database_open(support_path("store.db"), POWERLOSS_VFS, cluster_id, node_key,
        &database, &facts, &failure);
    if (powerloss_has_come()) {
        database_close(is_open ? database : NULL);
        return NULL;
    }
    if (!is_open) {
        printf("# %s: %s\n", note, failure.text);
    }
    claim(is_open);
    claim(!facts.has_moved);
    claim(is_intact(database));
    claim(database_replay(database, 0, find_row, &found, &failure));
    size_t count = count_found(&facts, &found);
    if (count == SIZE_MAX) {
        printf("# %s: %zu rows up to item %zu of %zu, promised %zu, ahead %d\n", note, found.rows,
            found.at, item_count, durable_count, facts.is_ahead);
    }
    claim(count != SIZE_MAX);
    item_count = count;
    durable_count = count;
    return database;
}

/* ---- Lives ------------------------------------------------------------------ */

static void remember_promise(void *context)
{
    (void)context;
    promised_count = durable_count;
}

static void arm(void)
{
    size_t scale = (size_t)1 << below(9);
    powerloss_arm(1 + below(scale * 3), below(3) == 0 ? POWERLOSS_KILL : POWERLOSS_CUT,
        remember_promise, NULL);
}

/* Small limits make checkpoints and truncations happen often. */
static void make_restless(struct database *database)
{
    static const int pages[] = {2, 10, 60, 1000};
    char sql[128];
    snprintf(sql, sizeof sql, "PRAGMA wal_autocheckpoint = %d; PRAGMA journal_size_limit = %d",
        pages[below(4)], below(2) == 0 ? 8192 : 1 << 20);
    claim(sqlite3_exec(database_handle(database), sql, NULL, NULL, NULL) == SQLITE_OK);
}

/* One transaction of a few items, as the store's thread would make it. */
static void write_group(struct database *database, enum core_durability durability)
{
    struct row *rows[8];
    struct failure failure;
    size_t count = below(8) + 1;
    bool is_synced = durability == CORE_ALWAYS;
    for (size_t i = 0; i < count; i++) {
        item_draw();
        items[item_count - 1].ends_group = i + 1 == count;
        is_synced = is_synced || items[item_count - 1].is_mark;
        struct core_output output = output_of(item_count - 1);
        rows[i] = row_new(&memory, &output, durability);
        claim(rows[i] != NULL);
        if (i > 0) {
            rows[i - 1]->next = rows[i];
        }
    }
    enum database_result result = database_write(database, rows[0], count, is_synced, &failure);
    claim(powerloss_has_come() || result == DATABASE_DONE);
    if (is_synced && !powerloss_has_come()) {
        durable_count = item_count;
    }
    for (size_t i = 0; i < count; i++) {
        row_free(&memory, rows[i]);
    }
}

static void write_on(struct database *database, enum core_durability durability)
{
    struct failure failure;
    while (!powerloss_has_come() && item_count + 8 < ITEMS_MAX) {
        write_group(database, durability);
        if (!powerloss_has_come() && durability == CORE_EVERYSEC && below(6) == 0) {
            claim(database_write(database, NULL, 0, true, &failure) == DATABASE_DONE ||
                powerloss_has_come());
            durable_count = powerloss_has_come() ? durable_count : item_count;
        }
    }
}

static void begin(uint64_t this_seed)
{
    support_directory();
    powerloss_begin(this_seed);
    choice = choice_from_seed(this_seed + 1);
    item_count = durable_count = 0;
}

static void live_once(void)
{
    snprintf(note, sizeof note, "seed %llu life %u", (unsigned long long)seed, life);
    claim_note(note);
    arm();
    struct database *database = open_and_look();
    if (database != NULL) {
        make_restless(database);
        write_on(database, (enum core_durability)below(3));
        database_close(database);
    }
    powerloss_apply();
    durable_count = promised_count;
}

static void print_counts(const char *what)
{
    printf("# %s: %u power cuts, %u kills; unsynced changes: %u dropped, %u torn, %u files "
           "reordered\n", what, powerloss_counts.cuts, powerloss_counts.kills,
        powerloss_counts.dropped, powerloss_counts.torn, powerloss_counts.reordered);
}

START_TEST(what_was_promised_survives_cuts_and_kills_at_any_moment)
{
    bool is_fixed = false;
    uint64_t first = choice_seed("powerloss", &is_fixed);
    unsigned runs = is_fixed ? 1 : choice_runs(SEEDS);
    for (unsigned i = 0; i < runs; i++) {
        seed = first + i;
        begin(seed);
        for (life = 0; life < LIVES; life++) {
            live_once();
        }
        powerloss_free();
        support_remove();
    }
    print_counts("database");
    ck_assert_uint_eq(counting_used(&counting), 0);
}
END_TEST

/* ---- A copied store, cut while it says so ------------------------------------ */

START_TEST(a_copied_store_is_known_as_one_whenever_the_power_goes)
{
    bool is_fixed = false;
    uint64_t first = choice_seed("powerloss-moved", &is_fixed);
    for (uint64_t operation = 1; operation <= 40; operation++) {
        struct database *database = NULL;
        struct database_facts facts;
        struct failure failure;
        char command[1200];
        begin(first + operation);
        life = 0;
        powerloss_arm(UINT64_MAX, POWERLOSS_KILL, NULL, NULL);
        database_close(open_and_look());
        powerloss_free();
        snprintf(command, sizeof command, "cp %s %s && mv %s %s", support_path("store.db"),
            support_path("copy.db"), support_path("copy.db"), support_path("store.db"));
        ck_assert_int_eq(system(command), 0);
        powerloss_arm(operation, POWERLOSS_CUT, NULL, NULL);
        if (database_open(support_path("store.db"), POWERLOSS_VFS, cluster_id, node_key,
                &database, &facts, &failure)) {
            database_close(database);
        }
        powerloss_apply();
        ck_assert(database_open(support_path("store.db"), POWERLOSS_VFS, cluster_id, node_key,
            &database, &facts, &failure));
        ck_assert(facts.has_moved || facts.is_ahead);
        database_close(database);
        powerloss_free();
        support_remove();
    }
}
END_TEST

/* ---- The same through the store's thread ------------------------------------ */

static sem_t news_came;
static pthread_mutex_t promise = PTHREAD_MUTEX_INITIALIZER;

static void notify(void *context)
{
    (void)context;
    sem_post(&news_came);
}

static void remember_locked(void *context)
{
    (void)context;
    pthread_mutex_lock(&promise);
    promised_count = durable_count;
    pthread_mutex_unlock(&promise);
}

/* Everything up to the last item whose STORED means an fsync. */
static void take_promise(struct store *store, enum core_durability durability)
{
    struct store_news news;
    store_take(store, &news);
    size_t stored = (size_t)news.stored;
    while (stored > 0 && durability != CORE_ALWAYS && !items[stored - 1].is_mark) {
        stored--;
    }
    pthread_mutex_lock(&promise);
    durable_count = stored > durable_count ? stored : durable_count;
    pthread_mutex_unlock(&promise);
}

static void write_through(struct store *store, enum core_durability durability)
{
    size_t count = 20 + below(150);
    for (size_t i = 0; i < count; i++) {
        item_draw();
        /* Where the thread ends its transactions only the thread knows. */
        items[item_count - 1].ends_group = true;
        struct core_output output = output_of(item_count - 1);
        claim(store_append(store, &output, durability));
        if (below(4) == 0) {
            sem_wait(&news_came);
            take_promise(store, durability);
        }
    }
    while (sem_trywait(&news_came) == 0) {
        take_promise(store, durability);
    }
}

static void live_with_thread(void)
{
    struct failure failure;
    struct store *store = NULL;
    enum core_durability durability = below(2) == 0 ? CORE_ALWAYS : CORE_NO;
    size_t end_operation = 1 + below(600);
    enum powerloss_end end = below(3) == 0 ? POWERLOSS_KILL : POWERLOSS_CUT;
    snprintf(note, sizeof note, "seed %llu life %u", (unsigned long long)seed, life);
    claim_note(note);
    powerloss_arm(UINT64_MAX, POWERLOSS_CUT, NULL, NULL);
    struct database *database = open_and_look();
    make_restless(database);
    powerloss_arm(end_operation, end, remember_locked, NULL);
    sem_init(&news_came, 0, 0);
    claim(store_start(database, &memory, notify, NULL, &store, &failure));
    write_through(store, durability);
    store_stop(store);
    powerloss_apply();
    durable_count = promised_count;
}

START_TEST(what_the_store_thread_reported_survives_too)
{
    bool is_fixed = false;
    uint64_t first = choice_seed("powerloss-thread", &is_fixed);
    unsigned runs = is_fixed ? 1 : choice_runs(SEEDS_THREAD);
    for (unsigned i = 0; i < runs; i++) {
        seed = first + i;
        begin(seed);
        for (life = 0; life < LIVES; life++) {
            live_with_thread();
        }
        powerloss_free();
        support_remove();
    }
    print_counts("store");
}
END_TEST

static void setup(void)
{
    memory = counting_hook(&counting);
}

int main(void)
{
    Suite *suite = suite_create("powerloss");
    TCase *tests = tcase_create("powerloss");
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, what_was_promised_survives_cuts_and_kills_at_any_moment);
    tcase_add_test(tests, a_copied_store_is_known_as_one_whenever_the_power_goes);
    tcase_add_test(tests, what_the_store_thread_reported_survives_too);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
