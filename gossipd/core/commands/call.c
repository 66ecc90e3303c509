/* What all commands share; see call.h. */
#include "gossipd/core/commands/call.h"

#include <assert.h>
#include <string.h>

#include "gossipd/core/commands/table.h"
#include "gossipd/core/commands/text.h"
#include "gossipd/wire/resp.h"

struct crdt_path call_data(struct call *call)
{
    call->keys[0] = crdt_text("data");
    return (struct crdt_path){call->keys, 1};
}

struct crdt_path call_key(struct call *call, size_t index)
{
    assert(index < call->argument_count);
    call->keys[0] = crdt_text("data");
    call->keys[1] = call->arguments[index];
    return (struct crdt_path){call->keys, 2};
}

struct crdt_path call_field(struct call *call, size_t index)
{
    assert(index < call->argument_count);
    call->keys[0] = crdt_text("data");
    call->keys[1] = call->arguments[1];
    call->keys[2] = call->arguments[index];
    return (struct crdt_path){call->keys, 3};
}

unsigned call_types(const struct call *call, struct crdt_path path)
{
    return crdt_types(call->environment->document, path);
}

enum crdt_status call_write(struct call *call, struct crdt_transaction **ret_transaction)
{
    struct unit *unit = call->unit;
    if (unit->transaction == NULL) {
        enum crdt_status status = crdt_begin(
            call->environment->document, call->environment->wall_ms, &unit->transaction);
        if (status != CRDT_OK) {
            return status;
        }
    }
    unit->has_written = true;
    *ret_transaction = unit->transaction;
    return CRDT_OK;
}

enum crdt_status call_error(struct call *call, const char *text)
{
    call->environment->stats->errors++;
    return resp_error(call->reply, text);
}

enum crdt_status call_syntax_error(struct call *call)
{
    return call_error(call, "ERR syntax error");
}

enum crdt_status call_wrong_type(struct call *call)
{
    return call_error(
        call, "WRONGTYPE Operation against a key holding the wrong kind of value");
}

enum crdt_status call_not_integer(struct call *call)
{
    return call_error(call, "ERR value is not an integer or out of range");
}

enum crdt_status call_arity_error(struct call *call)
{
    struct text text = {.size = 0};
    text_put(&text, "ERR wrong number of arguments for '");
    text_put(&text, call->command->name);
    text_put(&text, "' command");
    return call_error(call, text_end(&text));
}

enum crdt_status call_remove_each(
    struct call *call, size_t first, struct crdt_path (*path_of)(struct call *, size_t))
{
    struct crdt_transaction *transaction;
    enum crdt_status status = CRDT_OK;
    int64_t removed = 0;
    for (size_t i = first; i < call->argument_count && status == CRDT_OK; i++) {
        struct crdt_path path = path_of(call, i);
        if (call_types(call, path) == 0) {
            continue;
        }
        removed++;
        status = call_write(call, &transaction);
        if (status == CRDT_OK) {
            status = crdt_remove(transaction, path, CRDT_ANY);
        }
    }
    return status == CRDT_OK ? resp_integer(call->reply, removed) : status;
}

enum crdt_status call_ok(struct call *call)
{
    return resp_simple(call->reply, "OK");
}

bool types_are_wrong(unsigned types, unsigned wanted)
{
    return types != 0 && (types & wanted) == 0;
}

bool word_is(struct crdt_bytes word, const char *lower)
{
    const char *text = word.data;
    if (word.size != strlen(lower)) {
        return false;
    }
    for (size_t i = 0; i < word.size; i++) {
        if (text_lower(text[i]) != lower[i]) {
            return false;
        }
    }
    return true;
}

bool argument_is(const struct call *call, size_t index, const char *lower)
{
    assert(index < call->argument_count);
    return word_is(call->arguments[index], lower);
}
