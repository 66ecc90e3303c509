/* The COMMAND commands: the table, told to clients. */
#include "gossipd/core/commands/functions.h"
#include "gossipd/core/commands/help.h"
#include "gossipd/core/commands/table.h"
#include "gossipd/wire/resp.h"

static enum crdt_status reply_flags(struct crdt_buffer *reply, unsigned flags)
{
    static const char *const names[COMMAND_FLAG_COUNT] = {
        "write", "readonly", "denyoom", "admin", "fast", "no_auth", NULL};
    size_t count = 0;
    for (size_t i = 0; i < COMMAND_FLAG_COUNT; i++) {
        count += names[i] != NULL && (flags >> i & 1) != 0;
    }
    enum crdt_status status = resp_array(reply, count);
    for (size_t i = 0; i < COMMAND_FLAG_COUNT && status == CRDT_OK; i++) {
        if (names[i] != NULL && (flags >> i & 1) != 0) {
            status = resp_simple(reply, names[i]);
        }
    }
    return status;
}

/* Ten fields, as in Redis 7; categories, tips, key specifications and
 * subcommands, the last four, are not told. */
static enum crdt_status reply_command(struct crdt_buffer *reply, const struct command *command)
{
    int64_t numbers[3] = {command->first_key, command->last_key, command->key_step};
    enum crdt_status status = resp_array(reply, 10);
    if (status == CRDT_OK) {
        status = resp_bulk(reply, crdt_text(command->name));
    }
    if (status == CRDT_OK) {
        status = resp_integer(reply, command->arity);
    }
    if (status == CRDT_OK) {
        status = reply_flags(reply, command->flags);
    }
    for (size_t i = 0; i < 3 && status == CRDT_OK; i++) {
        status = resp_integer(reply, numbers[i]);
    }
    for (size_t i = 0; i < 4 && status == CRDT_OK; i++) {
        status = resp_array(reply, 0);
    }
    return status;
}

enum crdt_status command_all(struct call *call)
{
    enum crdt_status status = resp_array(call->reply, table_count());
    for (size_t i = 0; i < table_count() && status == CRDT_OK; i++) {
        status = reply_command(call->reply, table_at(i));
    }
    return status;
}

enum crdt_status command_count(struct call *call)
{
    return resp_integer(call->reply, (int64_t)table_count());
}

enum crdt_status command_info(struct call *call)
{
    if (call->argument_count == 2) {
        return command_all(call);
    }
    enum crdt_status status = resp_array(call->reply, call->argument_count - 2);
    for (size_t i = 2; i < call->argument_count && status == CRDT_OK; i++) {
        const struct command *command = table_find(call->arguments[i]);
        status = command != NULL ? reply_command(call->reply, command)
                                 : resp_null_array(call->reply);
    }
    return status;
}

/* The documents of commands are in docs/, not in here; redis-cli asks for them
 * at its start and does without. */
enum crdt_status command_docs(struct call *call)
{
    return resp_array(call->reply, 0);
}

enum crdt_status command_list(struct call *call)
{
    enum crdt_status status = resp_array(call->reply, table_count());
    for (size_t i = 0; i < table_count() && status == CRDT_OK; i++) {
        status = resp_bulk(call->reply, crdt_text(table_at(i)->name));
    }
    return status;
}

enum crdt_status command_help(struct call *call)
{
    static const char *const lines[] = {
        "COMMAND [<subcommand> [<arg> ...]]. Without a subcommand: all commands. Others are:",
        "COUNT -- how many commands there are.",
        "DOCS -- nothing.",
        "INFO [<command> ...] -- arity, flags and keys of commands.",
        "LIST -- their names.",
        NULL,
    };
    return help_reply(call, lines);
}
