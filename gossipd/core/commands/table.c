/* The command table; see table.h. Sorted by name, so that it can be searched by
 * halves. */
#include "gossipd/core/commands/table.h"

#include <string.h>

#include "gossipd/core/commands/functions.h"
#include "gossipd/core/commands/text.h"

#define WRITE COMMAND_WRITE
#define GROW (COMMAND_WRITE | COMMAND_DENYOOM)
#define READ COMMAND_READONLY
#define FAST COMMAND_FAST
#define ADMIN COMMAND_ADMIN
#define NO_AUTH COMMAND_NO_AUTH
#define AT_ONCE COMMAND_AT_ONCE
#define SUB(list) .subcommands = list, .subcommand_count = sizeof list / sizeof *list

static const struct command client_commands[] = {
    {"client|getname", client_getname, 2, 0, 0, 0, 0, NULL, 0},
    {"client|help", client_help, 2, 0, 0, 0, 0, NULL, 0},
    {"client|id", client_id, 2, 0, 0, 0, 0, NULL, 0},
    {"client|info", client_info, 2, 0, 0, 0, 0, NULL, 0},
    {"client|list", client_list, -2, ADMIN, 0, 0, 0, NULL, 0},
    {"client|setinfo", client_setinfo, 4, 0, 0, 0, 0, NULL, 0},
    {"client|setname", client_setname, 3, 0, 0, 0, 0, NULL, 0},
};

static const struct command command_commands[] = {
    {"command|count", command_count, 2, 0, 0, 0, 0, NULL, 0},
    {"command|docs", command_docs, -2, 0, 0, 0, 0, NULL, 0},
    {"command|help", command_help, 2, 0, 0, 0, 0, NULL, 0},
    {"command|info", command_info, -2, 0, 0, 0, 0, NULL, 0},
    {"command|list", command_list, 2, 0, 0, 0, 0, NULL, 0},
};

static const struct command config_commands[] = {
    {"config|get", config_get, -3, ADMIN, 0, 0, 0, NULL, 0},
    {"config|help", config_help, 2, 0, 0, 0, 0, NULL, 0},
    {"config|resetstat", config_resetstat, 2, ADMIN, 0, 0, 0, NULL, 0},
    {"config|set", config_set, -4, ADMIN, 0, 0, 0, NULL, 0},
};

static const struct command commands[] = {
    {"auth", server_auth, -2, FAST | NO_AUTH, 0, 0, 0, NULL, 0},
    {"client", NULL, -2, 0, 0, 0, 0, SUB(client_commands)},
    {"command", command_all, -1, 0, 0, 0, 0, SUB(command_commands)},
    {"config", NULL, -2, 0, 0, 0, 0, SUB(config_commands)},
    {"crdt.backup", crdt_backup, 2, ADMIN | AT_ONCE, 0, 0, 0, NULL, 0},
    {"crdt.digest", crdt_digest_reply, 1, READ, 0, 0, 0, NULL, 0},
    {"crdt.forks", crdt_forks_reply, 1, READ, 0, 0, 0, NULL, 0},
    {"crdt.get", render_get, -3, READ, 1, 1, 1, NULL, 0},
    {"crdt.status", crdt_status_reply, 1, READ, 0, 0, 0, NULL, 0},
    {"crdt.unfreeze", crdt_unfreeze, 3, ADMIN, 0, 0, 0, NULL, 0},
    {"crdt.update", update_run, -4, WRITE, 1, 1, 1, NULL, 0},
    {"dbsize", keys_count, 1, READ | FAST, 0, 0, 0, NULL, 0},
    {"decr", strings_decr, 2, GROW | FAST, 1, 1, 1, NULL, 0},
    {"decrby", strings_decrby, 3, GROW | FAST, 1, 1, 1, NULL, 0},
    {"del", keys_delete, -2, WRITE, 1, -1, 1, NULL, 0},
    {"discard", session_discard, 1, FAST | AT_ONCE, 0, 0, 0, NULL, 0},
    {"echo", server_echo, 2, FAST, 0, 0, 0, NULL, 0},
    {"exec", session_exec, 1, AT_ONCE, 0, 0, 0, NULL, 0},
    {"exists", keys_exist, -2, READ | FAST, 1, -1, 1, NULL, 0},
    {"flushall", keys_flush, -1, WRITE, 0, 0, 0, NULL, 0},
    {"flushdb", keys_flush, -1, WRITE, 0, 0, 0, NULL, 0},
    {"get", strings_get, 2, READ | FAST, 1, 1, 1, NULL, 0},
    {"hdel", hashes_delete, -3, WRITE | FAST, 1, 1, 1, NULL, 0},
    {"hello", server_hello, -1, FAST | NO_AUTH, 0, 0, 0, NULL, 0},
    {"hget", hashes_get, 3, READ | FAST, 1, 1, 1, NULL, 0},
    {"hgetall", hashes_get_all, 2, READ, 1, 1, 1, NULL, 0},
    {"hincrby", hashes_increment, 4, GROW | FAST, 1, 1, 1, NULL, 0},
    {"hlen", hashes_count, 2, READ | FAST, 1, 1, 1, NULL, 0},
    {"hset", hashes_set, -4, GROW | FAST, 1, 1, 1, NULL, 0},
    {"incr", strings_incr, 2, GROW | FAST, 1, 1, 1, NULL, 0},
    {"incrby", strings_incrby, 3, GROW | FAST, 1, 1, 1, NULL, 0},
    {"info", info_all, -1, 0, 0, 0, 0, NULL, 0},
    {"keys", keys_match, 2, READ, 0, 0, 0, NULL, 0},
    {"mget", strings_mget, -2, READ | FAST, 1, -1, 1, NULL, 0},
    {"mset", strings_mset, -3, GROW, 1, -1, 2, NULL, 0},
    {"multi", session_multi, 1, FAST | AT_ONCE, 0, 0, 0, NULL, 0},
    {"ping", server_ping, -1, FAST, 0, 0, 0, NULL, 0},
    {"quit", server_quit, -1, FAST | NO_AUTH | AT_ONCE, 0, 0, 0, NULL, 0},
    {"sadd", sets_add, -3, GROW | FAST, 1, 1, 1, NULL, 0},
    {"scan", keys_scan, -2, READ, 0, 0, 0, NULL, 0},
    {"scard", sets_count, 2, READ | FAST, 1, 1, 1, NULL, 0},
    {"select", server_select, 2, FAST, 0, 0, 0, NULL, 0},
    {"set", strings_set, -3, GROW, 1, 1, 1, NULL, 0},
    {"sismember", sets_is_member, 3, READ | FAST, 1, 1, 1, NULL, 0},
    {"smembers", sets_members, 2, READ, 1, 1, 1, NULL, 0},
    {"spop", sets_pop, -2, WRITE | FAST, 1, 1, 1, NULL, 0},
    {"srem", sets_remove, -3, WRITE | FAST, 1, 1, 1, NULL, 0},
    {"strlen", strings_strlen, 2, READ | FAST, 1, 1, 1, NULL, 0},
    {"time", server_time, 1, FAST, 0, 0, 0, NULL, 0},
    {"type", keys_type, 2, READ | FAST, 1, 1, 1, NULL, 0},
};

#define COMMAND_COUNT (sizeof commands / sizeof *commands)

/* Orders `word`, whatever its case, against a name: like strcmp. */
static int word_compare(struct crdt_bytes word, const char *name)
{
    const char *text = word.data;
    for (size_t i = 0; i < word.size; i++) {
        unsigned char byte = (unsigned char)text_lower(text[i]);
        unsigned char other = (unsigned char)name[i];
        if (byte != other || other == 0) {
            return byte < other ? -1 : 1;
        }
    }
    return name[word.size] == 0 ? 0 : -1;
}

const struct command *table_find(struct crdt_bytes name)
{
    size_t low = 0;
    size_t high = COMMAND_COUNT;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = word_compare(name, commands[middle].name);
        if (order == 0) {
            return &commands[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

const struct command *table_find_subcommand(const struct command *command, struct crdt_bytes name)
{
    size_t parent = strlen(command->name) + 1;
    for (size_t i = 0; i < command->subcommand_count; i++) {
        if (word_is(name, command->subcommands[i].name + parent)) {
            return &command->subcommands[i];
        }
    }
    return NULL;
}

size_t table_count(void)
{
    return COMMAND_COUNT;
}

const struct command *table_at(size_t index)
{
    return &commands[index];
}
