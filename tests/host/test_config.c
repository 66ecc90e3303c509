#include "gossipd/host/config.h"

#include <stdio.h>
#include <string.h>

#include "tests/host/support.h"
#include "tests/support/runner.h"

#define KEY_A "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define KEY_B "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static struct config config;
static struct failure failure;

/* Reads a file with this text, then the flags. */
static enum config_result read_all(const char *text, const char *const *flags, size_t flag_count)
{
    char program[] = "gossipd";
    char minus_c[] = "-c";
    char path[512];
    char words[8][128];
    char *arguments[12] = {program};
    int count = 1;
    if (text != NULL) {
        snprintf(path, sizeof path, "%s", support_write("gossipd.conf", text));
        arguments[count++] = minus_c;
        arguments[count++] = path;
    }
    for (size_t i = 0; i < flag_count; i++) {
        snprintf(words[i], sizeof words[i], "%s", flags[i]);
        arguments[count++] = words[i];
    }
    failure.text[0] = '\0';
    return config_read(count, arguments, &config, &failure);
}

/* The file is refused, and the text says where and what. */
static void expect_bad(const char *text, const char *place, const char *expected)
{
    ck_assert_int_eq(read_all(text, NULL, 0), CONFIG_BAD);
    config_close(&config);
    ck_assert_msg(strstr(failure.text, place) != NULL, "%s", failure.text);
    ck_assert_msg(strstr(failure.text, expected) != NULL, "%s", failure.text);
}

static void setup(void)
{
    support_directory();
}

START_TEST(without_file_and_flags_it_is_a_single_node_on_loopback)
{
    ck_assert_int_eq(read_all(NULL, NULL, 0), CONFIG_DONE);
    ck_assert_str_eq(config.dir, "./gossipd-data");
    ck_assert_str_eq(config.bind, "127.0.0.1");
    ck_assert_str_eq(config.port, "6379");
    ck_assert_str_eq(config.unixsocket, "./gossipd-data/gossipd.sock");
    ck_assert_str_eq(config.peer_address.host, "0.0.0.0");
    ck_assert_str_eq(config.peer_address.port, "16379");
    ck_assert_int_eq(config.durability, CORE_ALWAYS);
    ck_assert_uint_eq(config.clients_max, 10000);
    ck_assert_uint_eq(config.bulk_bytes_max, 16u << 20);
    ck_assert_uint_eq(config.peer_count, 0);
    ck_assert_int_ne(config.name[0], '\0');
    config_close(&config);
}
END_TEST

START_TEST(a_file_sets_keys_and_members)
{
    ck_assert_int_eq(read_all("name = n1 # a comment\n"
                              "cluster = \"shop\"\n"
                              "dir = \"/tmp/x\"\n"
                              "port = 7001\n"
                              "durability = everysec\n"
                              "maxmemory = 100mb\n"
                              "peer-source = 127.0.1.1\n"
                              "peer-address = \"127.0.1.1:7101\"\n"
                              "peer n2 { key = " KEY_A " address = \"127.0.1.2:7102\" }\n"
                              "peer n3 {\n key = \"" KEY_B "\"\n address = \"[::1]:7103\"\n}\n",
                         NULL, 0), CONFIG_DONE);
    ck_assert_str_eq(config.name, "n1");
    ck_assert_str_eq(config.cluster, "shop");
    ck_assert_str_eq(config.unixsocket, "/tmp/x/gossipd.sock");
    ck_assert_int_eq(config.durability, CORE_EVERYSEC);
    ck_assert_uint_eq(config.maxmemory_bytes, 100u << 20);
    ck_assert_str_eq(config.peer_source, "127.0.1.1");
    ck_assert_uint_eq(config.peer_count, 2);
    ck_assert_str_eq(config.peers[0].name, "n2");
    ck_assert_uint_eq(config.peers[1].key[0], 0xff);
    ck_assert_str_eq(config.peer_addresses[0].host, "127.0.1.2");
    ck_assert_str_eq(config.peer_addresses[1].host, "::1");
    ck_assert_str_eq(config.peer_addresses[1].port, "7103");
    config_close(&config);
}
END_TEST

START_TEST(flags_win_over_the_file_and_every_key_is_a_setting)
{
    static const char *const flags[] = {"--port", "7009", "--durability=no"};
    ck_assert_int_eq(read_all("port = 7001\ndurability = always\n", flags, 3), CONFIG_DONE);
    ck_assert_str_eq(config.port, "7009");
    ck_assert_int_eq(config.durability, CORE_NO);
    ck_assert_uint_eq(config.setting_count, 17);
    bool has_port = false;
    for (size_t i = 0; i < config.setting_count; i++) {
        if (strcmp(config.settings[i].name, "port") == 0) {
            has_port = true;
            ck_assert_str_eq(config.settings[i].value, "7009");
        }
    }
    ck_assert(has_port);
    ck_assert(config_is_explicit(&config, "port"));
    ck_assert(!config_is_explicit(&config, "bind"));
    config_close(&config);
}
END_TEST

START_TEST(what_may_be_dropped_has_defaults_and_units)
{
    ck_assert_int_eq(read_all("", NULL, 0), CONFIG_DONE);
    ck_assert_uint_eq(config.history_ms, 30 * UINT64_C(86400000));
    ck_assert_uint_eq(config.log_bytes_max, UINT64_C(1) << 30);
    ck_assert_uint_eq(config.unacked_bytes_max, UINT64_C(256) << 20);
    config_close(&config);
    ck_assert_int_eq(read_all("history = all\nlog-budget = 2mb\nunacked-log = 0\n", NULL, 0),
        CONFIG_DONE);
    ck_assert_uint_eq(config.history_ms, UINT64_MAX);
    ck_assert_uint_eq(config.log_bytes_max, UINT64_C(2) << 20);
    ck_assert_uint_eq(config.unacked_bytes_max, 0);
    config_close(&config);
    ck_assert_int_eq(read_all("history = none\n", NULL, 0), CONFIG_DONE);
    ck_assert_uint_eq(config.history_ms, 0);
    config_close(&config);
}
END_TEST

START_TEST(a_bad_line_is_named_with_file_line_and_what_was_expected)
{
    expect_bad("port = 7001\nport = 70000\n", "gossipd.conf:2: ", "expected a port");
    expect_bad("\n\ndurability = sometimes\n", "gossipd.conf:3: ", "always, everysec or no");
    expect_bad("prot = 7\n", "gossipd.conf:1: ", "prot");
    expect_bad("maxmemory = lots\n", "gossipd.conf:1: ", "512mb");
    expect_bad("maxmemory = 99999999999gb\n", "gossipd.conf:1: ", "512mb");
    expect_bad("maxclients = 0\n", "gossipd.conf:1: ", "from 1 to");
    expect_bad("proto-max-bulk-len = 17mb\n", "gossipd.conf:1: ", "16mb");
    expect_bad("name = \"two words\"\n", "gossipd.conf:1: ", "letters");
    expect_bad("peer-address = localhost\n", "gossipd.conf:1: ", "HOST:PORT");
    expect_bad("history = 30\n", "gossipd.conf:1: ", "30d");
    expect_bad("history = 0d\n", "gossipd.conf:1: ", "30d");
    expect_bad("history = 999999999999999999999d\n", "gossipd.conf:1: ", "36500d");
    expect_bad("log-budget = all\n", "gossipd.conf:1: ", "512mb");
    expect_bad("unacked-log = -1\n", "gossipd.conf:1: ", "256mb");
    expect_bad("bind = \"\"\n", "gossipd.conf:1: ", "expected an address");
    expect_bad("port = \n", "gossipd.conf:", "");
    expect_bad("peer x {\n", "gossipd.conf:", "");
}
END_TEST

START_TEST(a_bad_member_is_named_with_file_line_and_what_was_expected)
{
    expect_bad("cluster = c\npeer n2 { key = 12 address = \"h:1\" }\n", "gossipd.conf:2: ",
        "64 hexadecimal digits");
    expect_bad("cluster = c\npeer n2 { key = " KEY_A " }\n", "gossipd.conf:2: ", "HOST:PORT");
    expect_bad("cluster = c\npeer n2 { address = \"h:1\" }\n", "gossipd.conf:2: ", "key");
    expect_bad("cluster = c\npeer n2 { key = " KEY_A " address = \"h:1\" }\n"
               "peer n3 { key = " KEY_A " address = \"h:2\" }\n",
        "gossipd.conf:3: ", "same key");
    expect_bad("cluster = c\npeer n2 { key = " KEY_A " address = \"h:1\" }\n"
               "peer n2 { key = " KEY_B " address = \"h:2\" }\n",
        "gossipd.conf:3: ", "n2");
}
END_TEST

START_TEST(peers_need_a_cluster_name)
{
    expect_bad("\npeer n2 { key = " KEY_A " address = \"h:1\" }\n", "gossipd.conf:2: ",
        "cluster = \"NAME\"");
}
END_TEST

START_TEST(a_bad_flag_is_named)
{
    static const char *const cases[][2] = {
        {"--prot", "7"}, {"--port", "x"}, {"port", "7"}, {"--port", NULL}, {"-c", "/none/there"},
        {"-c", "/tmp"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t count = cases[i][1] != NULL ? 2 : 1;
        ck_assert_int_eq(read_all(NULL, cases[i], count), CONFIG_BAD);
        config_close(&config);
        const char *named = i == 4 ? "/none/there"
            : i == 5                   ? "/tmp: it is a directory"
                                       : cases[i][0];
        ck_assert_msg(strstr(failure.text, named) != NULL, "%s", failure.text);
    }
}
END_TEST

START_TEST(ones_own_section_is_dropped_so_that_all_share_a_file)
{
    uint8_t key[CRDT_KEY_BYTES];
    ck_assert_int_eq(read_all("cluster = c\npeer n2 { key = " KEY_A " address = \"h:1\" }\n"
                              "peer n3 { key = " KEY_B " address = \"h:2\" }\n",
                         NULL, 0), CONFIG_DONE);
    memcpy(key, config.peers[0].key, sizeof key);
    ck_assert(config_drop_self(&config, key));
    ck_assert_uint_eq(config.peer_count, 1);
    ck_assert_str_eq(config.peers[0].name, "n3");
    ck_assert_str_eq(config.peer_addresses[0].port, "2");
    ck_assert(!config_drop_self(&config, key));
    config_close(&config);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tests = tcase_create("config");
    tcase_add_checked_fixture(tests, setup, support_remove);
    tcase_add_test(tests, without_file_and_flags_it_is_a_single_node_on_loopback);
    tcase_add_test(tests, a_file_sets_keys_and_members);
    tcase_add_test(tests, flags_win_over_the_file_and_every_key_is_a_setting);
    tcase_add_test(tests, what_may_be_dropped_has_defaults_and_units);
    tcase_add_test(tests, a_bad_line_is_named_with_file_line_and_what_was_expected);
    tcase_add_test(tests, a_bad_member_is_named_with_file_line_and_what_was_expected);
    tcase_add_test(tests, peers_need_a_cluster_name);
    tcase_add_test(tests, a_bad_flag_is_named);
    tcase_add_test(tests, ones_own_section_is_dropped_so_that_all_share_a_file);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
