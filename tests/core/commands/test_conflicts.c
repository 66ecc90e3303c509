/* What concurrent commands mean: the table of design.md section 5, a test each.
 * Sites a, b and c write apart, then exchange all they have. */
#include "tests/core/commands/site.h"

#include <string.h>

static struct site a;
static struct site b;
static struct site c;

static void setup(void)
{
    site_open(&a, 1);
    site_open(&b, 2);
    site_open(&c, 3);
}

static void teardown(void)
{
    site_close(&a);
    site_close(&b);
    site_close(&c);
}

static void sync_all(void)
{
    site_sync(&a, &b);
    site_sync(&b, &c);
    site_sync(&a, &c);
    site_sync(&a, &b);
    ck_assert(is_same(a.document, b.document));
    ck_assert(is_same(b.document, c.document));
}

/* A command and its reply, the same at every site. */
#define ALL_SAY(command, reply)                                                                    \
    do {                                                                                           \
        SAYS(&a, command, reply);                                                                  \
        SAYS(&b, command, reply);                                                                  \
        SAYS(&c, command, reply);                                                                  \
    } while (false)

START_TEST(conflict_every_increment_counts_once)
{
    SAYS(&a, "INCRBY k 5", ":5\r\n");
    SAYS(&b, "DECR k", ":-1\r\n");
    SAYS(&c, "INCRBY k 10", ":10\r\n");
    SAYS(&a, "HINCRBY h f 1", ":1\r\n");
    SAYS(&b, "HINCRBY h f 2", ":2\r\n");
    sync_all();
    ALL_SAY("GET k", "$2\r\n14\r\n");
    ALL_SAY("HGET h f", "$1\r\n3\r\n");
}
END_TEST

START_TEST(conflict_set_beside_set_later_wins)
{
    a.environment.wall_ms += 1000;
    SAYS(&a, "SET k late", "+OK\r\n");
    SAYS(&b, "SET k early", "+OK\r\n");
    sync_all();
    ALL_SAY("GET k", "$4\r\nlate\r\n");
}
END_TEST

START_TEST(conflict_set_beside_incr_counts_from_the_new_base)
{
    SAYS(&a, "SET k 3", "+OK\r\n");
    sync_all();
    SAYS(&a, "SET k 10", "+OK\r\n");
    SAYS(&b, "INCR k", ":4\r\n");
    sync_all();
    ALL_SAY("GET k", "$2\r\n11\r\n");
}
END_TEST

START_TEST(conflict_set_text_beside_incr_hides_it)
{
    SAYS(&a, "SET k abc", "+OK\r\n");
    SAYS(&b, "INCR k", ":1\r\n");
    sync_all();
    ALL_SAY("GET k", "$3\r\nabc\r\n");
    SAYS(&a, "INCR k", "-ERR value is not an integer or out of range\r\n");
    SAYS(&b, "SET k 5", "+OK\r\n");
    sync_all();
    ALL_SAY("GET k", "$1\r\n5\r\n");
}
END_TEST

START_TEST(conflict_del_leaves_what_it_had_not_seen)
{
    SAYS(&a, "MSET string 1 number 7", "+OK\r\n");
    SAYS(&a, "SADD set old", ":1\r\n");
    SAYS(&a, "HSET hash old v", ":1\r\n");
    sync_all();
    SAYS(&a, "DEL string number set hash", ":4\r\n");
    SAYS(&b, "SET string 2", "+OK\r\n");
    SAYS(&b, "INCR number", ":8\r\n");
    SAYS(&b, "SADD set new", ":1\r\n");
    SAYS(&b, "HSET hash new v", ":1\r\n");
    sync_all();
    ALL_SAY("GET string", "$1\r\n2\r\n");
    ALL_SAY("GET number", "$1\r\n1\r\n");
    ALL_SAY("SMEMBERS set", "*1\r\n$3\r\nnew\r\n");
    ALL_SAY("HGETALL hash", "*2\r\n$3\r\nnew\r\n$1\r\nv\r\n");
}
END_TEST

START_TEST(conflict_sadd_beside_srem_keeps)
{
    SAYS(&a, "SADD s x y", ":2\r\n");
    sync_all();
    SAYS(&a, "SADD s x", ":0\r\n");
    SAYS(&b, "SREM s x y", ":2\r\n");
    sync_all();
    ALL_SAY("SMEMBERS s", "*1\r\n$1\r\nx\r\n");
}
END_TEST

START_TEST(conflict_hset_beside_hdel_keeps)
{
    SAYS(&a, "HSET h f v g w", ":2\r\n");
    sync_all();
    SAYS(&a, "HSET h f v", ":0\r\n");
    SAYS(&b, "HDEL h f g", ":2\r\n");
    sync_all();
    ALL_SAY("HGETALL h", "*2\r\n$1\r\nf\r\n$1\r\nv\r\n");
}
END_TEST

START_TEST(conflict_enable_beside_disable_keeps)
{
    SAYS(&a, "CRDT.UPDATE f 0 ENABLE", "+OK\r\n");
    sync_all();
    SAYS(&a, "CRDT.UPDATE f 0 ENABLE", "+OK\r\n");
    SAYS(&b, "CRDT.UPDATE f 0 DISABLE", "+OK\r\n");
    sync_all();
    ALL_SAY("CRDT.GET f 0", "*2\r\n$4\r\nflag\r\n:1\r\n");
}
END_TEST

START_TEST(conflict_removed_map_keeps_a_concurrent_update_inside)
{
    SAYS(&a, "CRDT.UPDATE cart 2 milk quantity INCR 2", ":2\r\n");
    SAYS(&a, "CRDT.UPDATE cart 2 milk note SET x", "+OK\r\n");
    sync_all();
    SAYS(&a, "CRDT.UPDATE cart 1 milk REMOVE", ":1\r\n");
    SAYS(&b, "CRDT.UPDATE cart 2 milk quantity INCR 3", ":5\r\n");
    sync_all();
    ALL_SAY("CRDT.GET cart 0",
        "*2\r\n$3\r\nmap\r\n*2\r\n$4\r\nmilk\r\n*2\r\n$3\r\nmap\r\n*2\r\n$8\r\nquantity\r\n"
        "*2\r\n$7\r\ncounter\r\n$1\r\n3\r\n");
}
END_TEST

START_TEST(conflict_removed_counter_keeps_unseen_increments)
{
    SAYS(&a, "INCRBY k 100", ":100\r\n");
    SAYS(&b, "INCRBY k 10", ":10\r\n");
    site_sync(&a, &b);
    SAYS(&c, "INCRBY k 1", ":1\r\n");
    SAYS(&a, "DEL k", ":1\r\n");
    SAYS(&b, "INCRBY k 2", ":112\r\n");
    sync_all();
    ALL_SAY("GET k", "$1\r\n3\r\n");
}
END_TEST

START_TEST(conflict_types_created_apart_live_side_by_side)
{
    SAYS(&a, "SET k v", "+OK\r\n");
    SAYS(&b, "SADD k e", ":1\r\n");
    SAYS(&c, "HSET k f w", ":1\r\n");
    sync_all();
    ALL_SAY("TYPE k", "+string\r\n");
    ALL_SAY("GET k", "$1\r\nv\r\n");
    ALL_SAY("SMEMBERS k", "*1\r\n$1\r\ne\r\n");
    ALL_SAY("HGET k f", "$1\r\nw\r\n");
    ALL_SAY("DBSIZE", ":1\r\n");
    ALL_SAY("KEYS *", "*1\r\n$1\r\nk\r\n");
    ALL_SAY("SCAN 0", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n");
    ALL_SAY("EXISTS k", ":1\r\n");
    ALL_SAY("CRDT.GET k 0",
        "*6\r\n$8\r\nregister\r\n$1\r\nv\r\n$3\r\nset\r\n*1\r\n$1\r\ne\r\n"
        "$3\r\nmap\r\n*2\r\n$1\r\nf\r\n*2\r\n$8\r\nregister\r\n$1\r\nw\r\n");
    SAYS(&a, "DEL k", ":1\r\n");
    sync_all();
    ALL_SAY("TYPE k", "+none\r\n");
}
END_TEST

START_TEST(conflict_type_names_hash_before_set)
{
    SAYS(&a, "SADD k e", ":1\r\n");
    SAYS(&b, "HSET k f v", ":1\r\n");
    sync_all();
    ALL_SAY("TYPE k", "+hash\r\n");
    SAYS(&c, "SET k v", "+OK\r\n");
    sync_all();
    ALL_SAY("CRDT.GET k 0", "*2\r\n$8\r\nregister\r\n$1\r\nv\r\n");
}
END_TEST

START_TEST(conflict_exec_is_one_batch)
{
    struct crdt_bytes bytes;
    struct crdt_batch batch;
    SAYS(&a, "MULTI", "+OK\r\n");
    SAYS(&a, "SET k 1", "+QUEUED\r\n");
    SAYS(&a, "SADD s x y", "+QUEUED\r\n");
    SAYS(&a, "HSET h f v", "+QUEUED\r\n");
    SAYS(&a, "EXEC", "*3\r\n+OK\r\n:2\r\n:1\r\n");
    OK(crdt_seal(a.document, &bytes));
    OK(crdt_batch_read(bytes, &batch));
    ck_assert_uint_eq(batch.first_seq, 1);
    ck_assert_uint_eq(batch.last_seq, 4);
    ck_assert_uint_eq(batch.bytes.size, bytes.size);
    site_sync(&a, &b);
    SAYS(&b, "DBSIZE", ":3\r\n");
}
END_TEST

START_TEST(conflict_flushall_keeps_what_it_had_not_seen)
{
    SAYS(&a, "SADD s old", ":1\r\n");
    SAYS(&a, "SET k v", "+OK\r\n");
    sync_all();
    SAYS(&a, "FLUSHALL", "+OK\r\n");
    SAYS(&b, "SADD s new", ":1\r\n");
    sync_all();
    ALL_SAY("DBSIZE", ":1\r\n");
    ALL_SAY("SMEMBERS s", "*1\r\n$3\r\nnew\r\n");
}
END_TEST

/* Removals of what is absent make no operation, so nothing to replicate. */
START_TEST(conflict_removing_nothing_is_no_operation)
{
    SAYS(&a, "DEL k", ":0\r\n");
    SAYS(&a, "SREM s x", ":0\r\n");
    SAYS(&a, "HDEL h f", ":0\r\n");
    SAYS(&a, "SPOP s", "$-1\r\n");
    SAYS(&a, "CRDT.UPDATE f 0 DISABLE", "+OK\r\n");
    ck_assert_uint_eq(crdt_open_records(a.document), 0);
}
END_TEST

START_TEST(conflict_sums_beyond_int64_are_printed_in_full)
{
    SAYS(&a, "INCRBY k 9223372036854775807", ":9223372036854775807\r\n");
    SAYS(&b, "INCRBY k 9223372036854775807", ":9223372036854775807\r\n");
    sync_all();
    ALL_SAY("GET k", "$20\r\n18446744073709551614\r\n");
    SAYS(&a, "DECR k", "-ERR increment or decrement would overflow\r\n");
    SAYS(&a, "DECRBY k 9223372036854775807", ":9223372036854775807\r\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("commands_conflicts");
    TCase *tests = tcase_create("conflicts");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, conflict_every_increment_counts_once);
    tcase_add_test(tests, conflict_set_beside_set_later_wins);
    tcase_add_test(tests, conflict_set_beside_incr_counts_from_the_new_base);
    tcase_add_test(tests, conflict_set_text_beside_incr_hides_it);
    tcase_add_test(tests, conflict_del_leaves_what_it_had_not_seen);
    tcase_add_test(tests, conflict_sadd_beside_srem_keeps);
    tcase_add_test(tests, conflict_hset_beside_hdel_keeps);
    tcase_add_test(tests, conflict_enable_beside_disable_keeps);
    tcase_add_test(tests, conflict_removed_map_keeps_a_concurrent_update_inside);
    tcase_add_test(tests, conflict_removed_counter_keeps_unseen_increments);
    tcase_add_test(tests, conflict_types_created_apart_live_side_by_side);
    tcase_add_test(tests, conflict_type_names_hash_before_set);
    tcase_add_test(tests, conflict_exec_is_one_batch);
    tcase_add_test(tests, conflict_flushall_keeps_what_it_had_not_seen);
    tcase_add_test(tests, conflict_removing_nothing_is_no_operation);
    tcase_add_test(tests, conflict_sums_beyond_int64_are_printed_in_full);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
