#include "tests/core/commands/site.h"

#include "gossipd/core/commands/table.h"

#include <string.h>

static struct site site;

static void setup(void)
{
    site_open(&site, 1);
}

static void teardown(void)
{
    site_close(&site);
}

START_TEST(server_answers_small_talk)
{
    SAYS(&site, "PING", "+PONG\r\n");
    SAYS(&site, "PING hi", "$2\r\nhi\r\n");
    SAYS(&site, "PING a b", "-ERR wrong number of arguments for 'ping' command\r\n");
    SAYS(&site, "ECHO hi", "$2\r\nhi\r\n");
    SAYS(&site, "SELECT 0", "+OK\r\n");
    SAYS(&site, "SELECT 1", "-ERR DB index is out of range\r\n");
    SAYS(&site, "SELECT x", "-ERR value is not an integer or out of range\r\n");
    SAYS(&site, "SELECT 2147483648",
        "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n");
    SAYS(&site, "TIME", "*2\r\n$10\r\n1700000000\r\n$6\r\n132000\r\n");
}
END_TEST

START_TEST(server_knows_one_user_without_password)
{
    SAYS(&site, "AUTH x",
        "-ERR AUTH <password> called without any password configured for the default user. "
        "Are you sure your configuration is correct?\r\n");
    SAYS(&site, "AUTH default x", "+OK\r\n");
    SAYS(&site, "AUTH bob x",
        "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
}
END_TEST

START_TEST(server_speaks_resp2_only)
{
    static const char hello[] = "*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n"
                                "$5\r\n7.0.0\r\n$5\r\nproto\r\n:2\r\n$2\r\nid\r\n:1\r\n"
                                "$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
                                "$7\r\nmodules\r\n*0\r\n";
    SAYS(&site, "HELLO", hello);
    SAYS(&site, "HELLO 2", hello);
    SAYS(&site, "HELLO 2 AUTH default x SETNAME me", hello);
    SAYS(&site, "CLIENT GETNAME", "$2\r\nme\r\n");
    SAYS(&site, "HELLO 3", "-NOPROTO unsupported protocol version\r\n");
    SAYS(&site, "HELLO x", "-ERR Protocol version is not an integer or out of range\r\n");
    SAYS(&site, "HELLO 2 FOO", "-ERR Syntax error in HELLO option 'FOO'\r\n");
    SAYS(&site, "HELLO 2 SETNAME", "-ERR Syntax error in HELLO option 'SETNAME'\r\n");
}
END_TEST

START_TEST(client_is_known_by_what_it_says)
{
    SAYS(&site, "CLIENT ID", ":1\r\n");
    SAYS(&site, "CLIENT GETNAME", "$-1\r\n");
    SAYS(&site, "CLIENT SETNAME worker", "+OK\r\n");
    SAYS(&site, "CLIENT GETNAME", "$6\r\nworker\r\n");
    SAYS(&site, "CLIENT SETNAME \"a b\"",
        "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
    SAYS(&site, "CLIENT SETINFO lib-name redis-py", "+OK\r\n");
    SAYS(&site, "CLIENT SETINFO LIB-VER 4.3", "+OK\r\n");
    SAYS(&site, "CLIENT SETINFO foo x", "-ERR Unrecognized option 'foo'\r\n");
    SAYS_PART(&site, "CLIENT LIST", "id=1 name=worker flags=N db=0 multi=-1");
    SAYS_PART(&site, "CLIENT INFO", "lib-name=redis-py lib-ver=4.3 resp=2");
    SAYS_PART(&site, "CLIENT LIST TYPE normal", "cmd=client|list");
    SAYS(&site, "CLIENT LIST ID 3", "-ERR syntax error\r\n");
    SAYS_PART(&site, "CLIENT HELP", "*6\r\n+CLIENT");
    char command[200] = "CLIENT SETNAME ";
    memset(command + 15, 'n', 129);
    SAYS(&site, command, "-ERR Client names cannot be longer than 128 bytes.\r\n");
}
END_TEST

START_TEST(config_get_matches_patterns)
{
    SAYS(&site, "CONFIG GET port", "*2\r\n$4\r\nport\r\n$4\r\n6379\r\n");
    SAYS(&site, "CONFIG GET save", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n");
    SAYS(&site, "CONFIG GET appendonly", "*2\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n");
    SAYS(&site, "CONFIG GET DUR* dur*", "*2\r\n$10\r\ndurability\r\n$6\r\nalways\r\n");
    SAYS(&site, "CONFIG GET foo", "*0\r\n");
    ck_assert_int_eq(memcmp(site_say(&site, "CONFIG GET *"), "*10\r\n", 5), 0);
}
END_TEST

START_TEST(config_set_changes_durability_and_nothing_else)
{
    SAYS(&site, "CONFIG SET durability everysec", "+OK\r\n");
    ck_assert_int_eq(site.durability, CORE_EVERYSEC);
    SAYS(&site, "CONFIG SET Durability NO", "+OK\r\n");
    ck_assert_int_eq(site.durability, CORE_NO);
    SAYS(&site, "CONFIG GET appendonly", "*2\r\n$10\r\nappendonly\r\n$2\r\nno\r\n");
    SAYS(&site, "CONFIG SET durability often",
        "-ERR CONFIG SET failed (possibly related to argument 'durability') - argument(s) must "
        "be one of the following: always, everysec, no\r\n");
    SAYS(&site, "CONFIG SET durability always durability no",
        "-ERR CONFIG SET failed (possibly related to argument 'durability') - duplicate "
        "parameter\r\n");
    SAYS(&site, "CONFIG SET durability always port 1",
        "-ERR CONFIG SET failed (possibly related to argument 'port') - can't set immutable "
        "config\r\n");
    ck_assert_int_eq(site.durability, CORE_NO);
    SAYS(&site, "CONFIG SET foo 1",
        "-ERR Unknown option or number of arguments for CONFIG SET - 'foo'\r\n");
    SAYS(&site, "CONFIG SET durability",
        "-ERR wrong number of arguments for 'config|set' command\r\n");
    SAYS(&site, "CONFIG RESETSTAT", "+OK\r\n");
    ck_assert_uint_eq(site.stats.errors, 0);
}
END_TEST

START_TEST(info_has_the_sections_that_are_asked_for)
{
    SAYS_PART(&site, "INFO", "# Server\r\nredis_version:7.0.0\r\ngossipd_version:"
                             PROJECT_VERSION "\r\n");
    SAYS_PART(&site, "INFO", "process_id:42\r\ntcp_port:6379\r\nuptime_in_seconds:5\r\n");
    SAYS_PART(&site, "INFO", "used_memory:1572864\r\nused_memory_human:1.50M\r\n");
    SAYS_PART(&site, "INFO", "# Replication\r\nrole:master\r\n");
    SAYS_PART(&site, "INFO", "# Crdt\r\nmembers:1\r\n");
    SAYS_PART(&site, "INFO persistence", "\r\n# Persistence\r\ndurability:always\r\n");
    SAYS(&site, "INFO keyspace", "$12\r\n# Keyspace\r\n\r\n");
    SAYS(&site, "SET k v", "+OK\r\n");
    SAYS(&site, "INFO KEYSPACE foo",
        "$44\r\n# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0\r\n\r\n");
    SAYS(&site, "INFO foo", "$0\r\n\r\n");
    SAYS_PART(&site, "INFO stats", "total_writes_processed:1\r\n");
    site.facts.used_memory_bytes = 1023;
    SAYS_PART(&site, "INFO memory", "used_memory_human:1023B\r\n");
    site.facts.used_memory_bytes = (UINT64_C(3) << 30) + (UINT64_C(1) << 26);
    SAYS_PART(&site, "INFO memory", "used_memory_human:3.06G\r\n");
}
END_TEST

START_TEST(command_tells_the_table)
{
    char count[32] = {0};
    SAYS(&site, "COMMAND INFO get foo",
        "*2\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n"
        "*0\r\n*0\r\n*0\r\n*0\r\n*-1\r\n");
    strcpy(count, site_say(&site, "COMMAND COUNT"));
    count[0] = '*';
    ck_assert_int_eq(memcmp(site_say(&site, "COMMAND"), count, strlen(count)), 0);
    ck_assert_int_eq(memcmp(site_say(&site, "COMMAND LIST"), count, strlen(count)), 0);
    SAYS(&site, "COMMAND DOCS get", "*0\r\n");
    SAYS(&site, "COMMAND FOO", "-ERR unknown subcommand 'FOO'. Try COMMAND HELP.\r\n");
}
END_TEST

/* The search by halves needs the order. */
START_TEST(table_is_sorted_and_finds_all)
{
    for (size_t i = 0; i < table_count(); i++) {
        const struct command *command = table_at(i);
        ck_assert_ptr_eq(table_find(crdt_text(command->name)), command);
        ck_assert(command->run != NULL || command->subcommands != NULL);
        ck_assert(i == 0 || strcmp(table_at(i - 1)->name, command->name) < 0);
    }
    ck_assert_ptr_null(table_find(crdt_text("ge")));
    ck_assert_ptr_null(table_find(crdt_text("gett")));
    ck_assert_ptr_null(table_find(crdt_text("")));
    ck_assert_ptr_null(table_find((struct crdt_bytes){"get\0", 4}));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("commands_server");
    TCase *tests = tcase_create("server");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, server_answers_small_talk);
    tcase_add_test(tests, server_knows_one_user_without_password);
    tcase_add_test(tests, server_speaks_resp2_only);
    tcase_add_test(tests, client_is_known_by_what_it_says);
    tcase_add_test(tests, config_get_matches_patterns);
    tcase_add_test(tests, config_set_changes_durability_and_nothing_else);
    tcase_add_test(tests, info_has_the_sections_that_are_asked_for);
    tcase_add_test(tests, command_tells_the_table);
    tcase_add_test(tests, table_is_sorted_and_finds_all);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
