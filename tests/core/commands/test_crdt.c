#include "tests/core/commands/site.h"

#include <stdlib.h>
#include <string.h>

#define WRONG "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"

static struct site site;

static void setup(void)
{
    site_open(&site, 1);
}

static void teardown(void)
{
    site_close(&site);
}

START_TEST(crdt_update_reaches_any_depth)
{
    SAYS(&site, "CRDT.UPDATE cart 2 milk quantity INCR 3", ":3\r\n");
    SAYS(&site, "CRDT.UPDATE cart 2 milk quantity INCR -1", ":2\r\n");
    SAYS(&site, "CRDT.UPDATE cart 2 milk added-at SET now", "+OK\r\n");
    SAYS(&site, "CRDT.UPDATE cart 2 milk tags ADD b a", ":2\r\n");
    SAYS(&site, "CRDT.UPDATE cart 2 milk tags ADD a", ":0\r\n");
    SAYS(&site, "CRDT.UPDATE cart 2 milk tags REM x", ":0\r\n");
    SAYS(&site, "CRDT.UPDATE cart 2 milk cold ENABLE", "+OK\r\n");
    SAYS(&site, "CRDT.GET cart 1 milk",
        "*2\r\n$3\r\nmap\r\n*8\r\n"
        "$8\r\nadded-at\r\n*2\r\n$8\r\nregister\r\n$3\r\nnow\r\n"
        "$4\r\ncold\r\n*2\r\n$4\r\nflag\r\n:1\r\n"
        "$8\r\nquantity\r\n*2\r\n$7\r\ncounter\r\n$1\r\n2\r\n"
        "$4\r\ntags\r\n*2\r\n$3\r\nset\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    SAYS(&site, "CRDT.UPDATE cart 2 milk cold DISABLE", "+OK\r\n");
    SAYS(&site, "CRDT.GET cart 2 milk cold", "*-1\r\n");
    SAYS(&site, "CRDT.UPDATE cart 1 milk REMOVE", ":1\r\n");
    SAYS(&site, "CRDT.UPDATE cart 1 milk REMOVE", ":0\r\n");
    SAYS(&site, "EXISTS cart", ":0\r\n");
}
END_TEST

START_TEST(crdt_update_at_no_fields_is_the_key_itself)
{
    SAYS(&site, "CRDT.UPDATE k 0 SET 5", "+OK\r\n");
    SAYS(&site, "CRDT.UPDATE k 0 INCR 2", ":7\r\n");
    SAYS(&site, "GET k", "$1\r\n7\r\n");
    SAYS(&site, "CRDT.GET k 0", "*4\r\n$8\r\nregister\r\n$1\r\n5\r\n$7\r\ncounter\r\n$1\r\n2\r\n");
    SAYS(&site, "CRDT.UPDATE s 0 ADD a", ":1\r\n");
    SAYS(&site, "SMEMBERS s", "*1\r\n$1\r\na\r\n");
    SAYS(&site, "CRDT.UPDATE h 1 f SET v", "+OK\r\n");
    SAYS(&site, "HGET h f", "$1\r\nv\r\n");
    SAYS(&site, "CRDT.UPDATE h 0 REMOVE", ":1\r\n");
    SAYS(&site, "CRDT.GET h 0", "*-1\r\n");
}
END_TEST

START_TEST(crdt_update_makes_no_key_of_two_kinds)
{
    SAYS(&site, "SET k v", "+OK\r\n");
    SAYS(&site, "CRDT.UPDATE k 1 f SET v", WRONG);
    SAYS(&site, "CRDT.UPDATE k 2 f g INCR 1", WRONG);
    SAYS(&site, "CRDT.UPDATE k 0 ADD a", WRONG);
    SAYS(&site, "CRDT.UPDATE k 0 ENABLE", WRONG);
    SAYS(&site, "CRDT.UPDATE h 1 f SET v", "+OK\r\n");
    SAYS(&site, "CRDT.UPDATE h 2 f g SET v", WRONG);
    SAYS(&site, "CRDT.UPDATE h 0 INCR 1", WRONG);
    SAYS(&site, "CRDT.UPDATE h 0 SET v", "+OK\r\n");
    SAYS(&site, "TYPE h", "+string\r\n");
}
END_TEST

START_TEST(crdt_commands_refuse_what_they_cannot_read)
{
    static const char fields[] = "-ERR N, the number of fields behind the key, must be 0 to 62\r\n";
    static const char arity[] = "-ERR wrong number of arguments for 'crdt.update' command\r\n";
    SAYS(&site, "CRDT.UPDATE k x SET v", fields);
    SAYS(&site, "CRDT.UPDATE k -1 SET v", fields);
    SAYS(&site, "CRDT.UPDATE k 63 SET v", fields);
    SAYS(&site, "CRDT.GET k 63", fields);
    SAYS(&site, "CRDT.UPDATE k 5 a SET v",
        "-ERR fewer fields than N says: write key N field1..fieldN\r\n");
    SAYS(&site, "CRDT.UPDATE k 2 a SET", arity);
    SAYS(&site, "CRDT.UPDATE k 0 SET", arity);
    SAYS(&site, "CRDT.UPDATE k 0 SET a b", arity);
    SAYS(&site, "CRDT.UPDATE k 0 ENABLE a", arity);
    SAYS(&site, "CRDT.UPDATE k 0 FOO a", "-ERR unknown operation 'FOO' for CRDT.UPDATE: SET, INCR, "
                                         "ADD, REM, ENABLE, DISABLE or REMOVE\r\n");
    SAYS(&site, "CRDT.UPDATE k 0 INCR a", "-ERR value is not an integer or out of range\r\n");
    SAYS(&site, "CRDT.GET k 0 a", "-ERR wrong number of arguments for 'crdt.get' command\r\n");
    ck_assert_uint_eq(crdt_open_records(site.document), 0);
}
END_TEST

/* The deepest nesting of arrays in a reply. */
static unsigned depth_of(const char **reply)
{
    unsigned deepest = 0;
    char kind = (*reply)[0];
    unsigned long count = strtoul(*reply + 1, NULL, 10);
    *reply = strstr(*reply, "\r\n") + 2;
    if (kind == '$') {
        *reply += count + 2;
    }
    for (unsigned long i = 0; kind == '*' && i < count; i++) {
        unsigned depth = depth_of(reply);
        deepest = depth > deepest ? depth : deepest;
    }
    return kind == '*' ? deepest + 1 : 0;
}

START_TEST(crdt_get_stops_where_clients_stop_reading)
{
    SAYS(&site, "CRDT.UPDATE k 62 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 "
                "1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 SET v",
        "+OK\r\n");
    SAYS(&site, "CRDT.UPDATE k 3 1 2 s ADD e", ":1\r\n");
    const char *reply = site_say(&site, "CRDT.GET k 0");
    ck_assert_ptr_nonnull(strstr(reply, "$3\r\nmap\r\n$3\r\n...\r\n"));
    ck_assert_ptr_nonnull(strstr(reply, "$3\r\nset\r\n$3\r\n...\r\n"));
    ck_assert_uint_le(depth_of(&reply), 7);
    SAYS(&site, "CRDT.GET k 3 1 2 s", "*2\r\n$3\r\nset\r\n*1\r\n$1\r\ne\r\n");
}
END_TEST

START_TEST(crdt_get_sorts_many_elements)
{
    static char command[8192] = "CRDT.UPDATE s 0 ADD";
    size_t size = strlen(command);
    for (unsigned i = 0; i < 1000; i++) {
        unsigned element = i * 617 % 1000;
        command[size++] = ' ';
        for (unsigned unit = 100; unit > 0; unit /= 10) {
            command[size++] = (char)('0' + element / unit % 10);
        }
    }
    SAYS(&site, command, ":1000\r\n");
    const char *reply = site_say(&site, "CRDT.GET s 0");
    const char *first = strstr(reply, "*1000\r\n") + 7;
    for (unsigned i = 0; i < 1000; i++) {
        ck_assert_uint_eq(strtoul(first + 9 * i + 4, NULL, 10), i);
    }
}
END_TEST

START_TEST(crdt_digest_is_three_hashes_and_seals)
{
    char empty[256];
    strcpy(empty, site_say(&site, "CRDT.DIGEST"));
    ck_assert_uint_eq(strlen(empty), 6 + 3 * 64 + 2 + 2);
    ck_assert_uint_eq(strspn(empty + 6, "0123456789abcdef"), 64);
    SAYS(&site, "SET k v", "+OK\r\n");
    ck_assert_str_ne(site_say(&site, "CRDT.DIGEST"), empty);
    ck_assert_uint_eq(site.seals, 1);
    SAYS(&site, "MULTI", "+OK\r\n");
    SAYS(&site, "SET k w", "+QUEUED\r\n");
    SAYS(&site, "CRDT.DIGEST", "+QUEUED\r\n");
    SAYS(&site, "EXEC", "*2\r\n+OK\r\n-ERR CRDT.DIGEST cannot stand after a write in MULTI: ask "
                        "outside of it\r\n");
    SAYS(&site, "CRDT.STATUS", "$11\r\nmembers:1\r\n\r\n");
}
END_TEST

START_TEST(crdt_backup_wants_an_absolute_path_outside_of_multi)
{
    const char *refusal = "-ERR CRDT.BACKUP: expected the absolute path of a new file on the "
                          "node's machine\r\n";
    SAYS(&site, "CRDT.BACKUP here", refusal);
    SAYS(&site, "CRDT.BACKUP /", refusal);
    ck_assert_ptr_null(site.result.backup);
    const struct crdt_bytes arguments[] = {crdt_text("CRDT.BACKUP"), crdt_text("/there")};
    ck_assert_int_eq(site_execute(&site, arguments, 2), CRDT_OK);
    ck_assert_uint_eq(site.reply.size, 0);
    ck_assert_ptr_eq(site.result.backup, &arguments[1]);
    SAYS(&site, "MULTI", "+OK\r\n");
    SAYS(&site, "CRDT.BACKUP /there",
        "-ERR CRDT.BACKUP cannot stand in MULTI: ask outside of it\r\n");
    SAYS(&site, "EXEC",
        "-EXECABORT Transaction discarded because of previous errors.\r\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("commands_crdt");
    TCase *tests = tcase_create("crdt");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, crdt_update_reaches_any_depth);
    tcase_add_test(tests, crdt_update_at_no_fields_is_the_key_itself);
    tcase_add_test(tests, crdt_update_makes_no_key_of_two_kinds);
    tcase_add_test(tests, crdt_commands_refuse_what_they_cannot_read);
    tcase_add_test(tests, crdt_get_stops_where_clients_stop_reading);
    tcase_add_test(tests, crdt_get_sorts_many_elements);
    tcase_add_test(tests, crdt_digest_is_three_hashes_and_seals);
    tcase_add_test(tests, crdt_backup_wants_an_absolute_path_outside_of_multi);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
