#include "gossipd/host/cache.h"

#include <stdlib.h>
#include <string.h>

#include "gossipd/host/counting.h"
#include "tests/host/support.h"
#include "tests/support/runner.h"

static struct counting_memory counting;
static struct crdt_memory memory;
static struct cache cache;

static void add(uint64_t number, uint8_t key, uint64_t first, uint64_t last)
{
    const struct core_output output = support_store(number, key, first, last);
    cache_add(&cache, &output);
}

/* How many rows answer, or 0 when the store has to be asked. */
static size_t fetch(uint8_t key, uint64_t seq, size_t bytes_max)
{
    struct crdt_dot from = {.seq = seq};
    memset(from.origin.key, key, sizeof from.origin.key);
    from.origin.generation = UINT64_C(0xfedcba9876543210);
    struct fetched *fetched = fetched_new(&memory, 1);
    bool is_here = cache_fetch(&cache, &from, bytes_max, fetched);
    size_t count = fetched->row_count;
    ck_assert(is_here == (count > 0));
    fetched_free(fetched);
    return count;
}

START_TEST(the_newest_batches_of_a_feed_are_answered)
{
    memory = counting_hook(&counting);
    cache_init(&cache, &memory, CACHE_BYTES_MAX);
    add(1, 0xaa, 1, 3);
    add(2, 0xbb, 1, 5);
    add(3, 0xaa, 4, 4);
    add(4, 0xaa, 8, 9);
    ck_assert_uint_eq(fetch(0xaa, 1, 1000), 2);
    ck_assert_uint_eq(fetch(0xaa, 2, 1), 1);
    ck_assert_uint_eq(fetch(0xaa, 9, 1000), 1);
    ck_assert_uint_eq(fetch(0xaa, 5, 1000), 0);
    ck_assert_uint_eq(fetch(0xcc, 1, 1000), 0);
    cache_clear(&cache);
    ck_assert_uint_eq(fetch(0xaa, 1, 1000), 0);
    cache_close(&cache);
    ck_assert_uint_eq(counting_used(&counting), 0);
}
END_TEST

START_TEST(it_never_holds_more_than_its_bytes_and_rows)
{
    memory = counting_hook(&counting);
    cache_init(&cache, &memory, 10 * (sizeof(struct row) + 22));
    for (uint64_t i = 1; i <= 100; i++) {
        add(i, 0xaa, i, i);
        ck_assert_uint_le(counting_used(&counting), cache.bytes_max);
    }
    ck_assert_uint_eq(fetch(0xaa, 91, 100000), 10);
    ck_assert_uint_eq(fetch(0xaa, 90, 100000), 0);
    cache_close(&cache);
    cache_init(&cache, &memory, SIZE_MAX);
    for (uint64_t i = 1; i <= CACHE_ROWS_MAX + 5; i++) {
        add(i, 0xaa, i, i);
    }
    ck_assert_uint_eq(cache.count, CACHE_ROWS_MAX);
    ck_assert_uint_eq(fetch(0xaa, 5, 1), 0);
    ck_assert_uint_eq(fetch(0xaa, 6, SIZE_MAX), CACHE_ROWS_MAX);
    cache_close(&cache);
    ck_assert_uint_eq(counting_used(&counting), 0);
}
END_TEST

START_TEST(without_peers_it_holds_nothing)
{
    memory = counting_hook(&counting);
    cache_init(&cache, &memory, 0);
    add(1, 0xaa, 1, 1);
    ck_assert_uint_eq(counting_used(&counting), 0);
    cache_close(&cache);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache");
    TCase *tests = tcase_create("cache");
    tcase_add_test(tests, the_newest_batches_of_a_feed_are_answered);
    tcase_add_test(tests, it_never_holds_more_than_its_bytes_and_rows);
    tcase_add_test(tests, without_peers_it_holds_nothing);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
