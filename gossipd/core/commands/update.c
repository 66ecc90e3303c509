/* CRDT.UPDATE key N field1..fieldN OP [arg ...]: writes at any depth.
 *
 *     SET value     +OK, as SET does at a key
 *     INCR amount   the new value, as INCRBY
 *     ADD e..       how many elements are new, as SADD
 *     REM e..       how many elements were there, as SREM
 *     ENABLE        +OK
 *     DISABLE       +OK
 *     REMOVE        1 when something was there, of whatever types; else 0
 *
 * All but SET, DISABLE and REMOVE refuse with WRONGTYPE a place where only other
 * types live, and all but REMOVE and DISABLE a path that leads through one. */
#include "gossipd/core/commands/functions.h"
#include "gossipd/core/commands/paths.h"
#include "gossipd/core/commands/session.h"
#include "gossipd/core/commands/sets.h"
#include "gossipd/core/commands/table.h"
#include "gossipd/core/commands/text.h"
#include "gossipd/core/commands/value.h"
#include "gossipd/wire/number.h"
#include "gossipd/wire/resp.h"

static enum crdt_status update_set(struct call *call, struct crdt_path path, size_t first)
{
    enum crdt_status status = value_assign(call, path, call->arguments[first]);
    return status == CRDT_OK ? call_ok(call) : status;
}

static enum crdt_status update_increment(struct call *call, struct crdt_path path, size_t first)
{
    int64_t amount;
    if (!number_parse(call->arguments[first], &amount)) {
        return call_not_integer(call);
    }
    return value_increment(
        call, path, amount, "ERR value is not an integer or out of range");
}

static enum crdt_status update_enable(struct call *call, struct crdt_path path, size_t first)
{
    struct crdt_transaction *transaction;
    (void)first;
    if (types_are_wrong(call_types(call, path), TYPE_BIT(CRDT_FLAG))) {
        return call_wrong_type(call);
    }
    enum crdt_status status = call_write(call, &transaction);
    if (status == CRDT_OK) {
        status = crdt_flag_enable(transaction, path);
    }
    return status == CRDT_OK ? call_ok(call) : status;
}

static enum crdt_status update_disable(struct call *call, struct crdt_path path, size_t first)
{
    struct crdt_transaction *transaction;
    enum crdt_status status = CRDT_OK;
    (void)first;
    if (crdt_flag_is_enabled(call->environment->document, path)) {
        status = call_write(call, &transaction);
        if (status == CRDT_OK) {
            status = crdt_flag_disable(transaction, path);
        }
    }
    return status == CRDT_OK ? call_ok(call) : status;
}

static enum crdt_status update_remove(struct call *call, struct crdt_path path, size_t first)
{
    struct crdt_transaction *transaction;
    enum crdt_status status = CRDT_OK;
    (void)first;
    bool is_there = call_types(call, path) != 0;
    if (is_there) {
        status = call_write(call, &transaction);
        if (status == CRDT_OK) {
            status = crdt_remove(transaction, path, CRDT_ANY);
        }
    }
    return status == CRDT_OK ? resp_integer(call->reply, is_there) : status;
}

static const struct operation {
    const char *name;
    enum crdt_status (*run)(struct call *call, struct crdt_path path, size_t first);
    size_t arguments_min;
    size_t arguments_max;
    bool may_grow;  /* refused above maxmemory                                     */
    bool has_place; /* needs maps above the path                                   */
} operations[] = {
    {"set", update_set, 1, 1, true, true},
    {"incr", update_increment, 1, 1, true, true},
    {"add", sets_add_at, 1, SIZE_MAX, true, true},
    {"rem", sets_remove_at, 1, SIZE_MAX, false, true},
    {"enable", update_enable, 0, 0, true, true},
    {"disable", update_disable, 0, 0, false, false},
    {"remove", update_remove, 0, 0, false, false},
};

static const struct operation *find_operation(const struct call *call, size_t index)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        if (argument_is(call, index, operations[i].name)) {
            return &operations[i];
        }
    }
    return NULL;
}

static enum crdt_status unknown_operation(struct call *call, size_t index)
{
    struct text text = {.size = 0};
    text_put(&text, "ERR unknown operation '");
    text_put_bytes(&text, call->arguments[index], 128);
    text_put(&text, "' for CRDT.UPDATE: SET, INCR, ADD, REM, ENABLE, DISABLE or REMOVE");
    return call_error(call, text_end(&text));
}

enum crdt_status update_run(struct call *call)
{
    struct crdt_path path;
    size_t index;
    const char *wrong = paths_read(call, &path, &index);
    if (wrong != NULL) {
        return call_error(call, wrong);
    }
    if (index == call->argument_count) {
        return call_arity_error(call);
    }
    const struct operation *operation = find_operation(call, index);
    if (operation == NULL) {
        return unknown_operation(call, index);
    }
    size_t count = call->argument_count - index - 1;
    if (count < operation->arguments_min || count > operation->arguments_max) {
        return call_arity_error(call);
    }
    const char *refused = session_refusal(
        call->environment, operation->may_grow ? COMMAND_DENYOOM : 0);
    if (refused != NULL) {
        return call_error(call, refused);
    }
    if (operation->has_place && !paths_is_under_maps(call, path)) {
        return call_wrong_type(call);
    }
    return operation->run(call, path, index + 1);
}
