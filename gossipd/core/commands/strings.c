/* Commands on strings. What a string is, is value.h's matter. */
#include "gossipd/core/commands/functions.h"
#include "gossipd/core/commands/value.h"

#include "gossipd/core/commands/text.h"
#include "gossipd/wire/number.h"
#include "gossipd/wire/resp.h"

enum crdt_status strings_get(struct call *call)
{
    struct crdt_path path = call_key(call, 1);
    if (types_are_wrong(call_types(call, path), TYPES_STRING)) {
        return call_wrong_type(call);
    }
    return value_reply(call, path);
}

enum crdt_status strings_strlen(struct call *call)
{
    struct crdt_path path = call_key(call, 1);
    struct value value;
    if (types_are_wrong(call_types(call, path), TYPES_STRING)) {
        return call_wrong_type(call);
    }
    bool is_there = value_read(call, path, &value);
    return resp_integer(call->reply, is_there ? (int64_t)value.bytes.size : 0);
}

enum crdt_status strings_mget(struct call *call)
{
    enum crdt_status status = resp_array(call->reply, call->argument_count - 1);
    for (size_t i = 1; i < call->argument_count && status == CRDT_OK; i++) {
        status = value_reply(call, call_key(call, i));
    }
    return status;
}

enum crdt_status strings_mset(struct call *call)
{
    enum crdt_status status = CRDT_OK;
    if (call->argument_count % 2 == 0) {
        return call_arity_error(call);
    }
    for (size_t i = 1; i < call->argument_count && status == CRDT_OK; i += 2) {
        status = value_assign(call, call_key(call, i), call->arguments[i + 1]);
    }
    return status == CRDT_OK ? call_ok(call) : status;
}

/* ---- SET ---- */

struct set_options {
    bool only_absent;  /* NX */
    bool only_present; /* XX */
    bool wants_old;    /* GET */
    const char *expiry; /* the name of an option that asks for one, else NULL      */
};

/* The name of the expiry option in argument `index`, or NULL. */
static const char *expiry_option(const struct call *call, size_t index)
{
    static const char *const names[][2] = {
        {"ex", "EX"}, {"px", "PX"}, {"exat", "EXAT"}, {"pxat", "PXAT"}, {"keepttl", "KEEPTTL"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (argument_is(call, index, names[i][0])) {
            return names[i][1];
        }
    }
    return NULL;
}

/* False on a syntax error, by Redis's rules, those for expiries included. */
static bool parse_options(const struct call *call, struct set_options *options)
{
    for (size_t i = 3; i < call->argument_count; i++) {
        const char *expiry = expiry_option(call, i);
        if (argument_is(call, i, "nx") && !options->only_present) {
            options->only_absent = true;
        } else if (argument_is(call, i, "xx") && !options->only_absent) {
            options->only_present = true;
        } else if (argument_is(call, i, "get")) {
            options->wants_old = true;
        } else if (expiry != NULL && options->expiry == NULL) {
            options->expiry = expiry;
            /* All but KEEPTTL are followed by a time. */
            i += expiry[0] != 'K';
            if (i >= call->argument_count) {
                return false;
            }
        } else {
            return false;
        }
    }
    return true;
}

static enum crdt_status expiry_error(struct call *call, const char *option)
{
    struct text text = {.size = 0};
    text_put(&text, "ERR SET with ");
    text_put(&text, option);
    text_put(&text, " is not supported yet: gossipd has no expiry so far; nothing was written");
    return call_error(call, text_end(&text));
}

enum crdt_status strings_set(struct call *call)
{
    struct set_options options = {.expiry = NULL};
    struct crdt_path path = call_key(call, 1);
    unsigned types = call_types(call, path);
    if (!parse_options(call, &options)) {
        return call_syntax_error(call);
    }
    if (options.expiry != NULL) {
        return expiry_error(call, options.expiry);
    }
    if (options.wants_old && types_are_wrong(types, TYPES_STRING)) {
        return call_wrong_type(call);
    }
    bool must_write = !(options.only_absent && types != 0) && !(options.only_present && types == 0);
    enum crdt_status status = CRDT_OK;
    /* The old value is replied first: the write ends the life of its bytes. */
    if (options.wants_old || !must_write) {
        status = options.wants_old ? value_reply(call, path) : resp_null(call->reply);
    }
    if (status == CRDT_OK && must_write) {
        status = value_assign(call, path, call->arguments[2]);
    }
    return status == CRDT_OK && must_write && !options.wants_old ? call_ok(call) : status;
}

/* ---- INCR and DECR ---- */

static enum crdt_status add(struct call *call, int64_t amount)
{
    return value_increment(call, call_key(call, 1), amount,
        "ERR value is not an integer or out of range");
}

enum crdt_status strings_incr(struct call *call)
{
    return add(call, 1);
}

enum crdt_status strings_decr(struct call *call)
{
    return add(call, -1);
}

enum crdt_status strings_incrby(struct call *call)
{
    int64_t amount;
    return number_parse(call->arguments[2], &amount) ? add(call, amount) : call_not_integer(call);
}

enum crdt_status strings_decrby(struct call *call)
{
    int64_t amount;
    if (!number_parse(call->arguments[2], &amount)) {
        return call_not_integer(call);
    }
    if (amount == INT64_MIN) {
        return call_error(call, "ERR decrement would overflow");
    }
    return add(call, -amount);
}
