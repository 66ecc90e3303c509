/* Commands on hashes: maps whose fields are strings. A field that is something
 * else, as CRDT.UPDATE makes it, is counted by HLEN, not shown by HGETALL, and
 * is of the wrong type for HGET and HINCRBY. */
#include "gossipd/core/commands/functions.h"
#include "gossipd/core/commands/value.h"

#include "gossipd/wire/number.h"
#include "gossipd/wire/resp.h"

static bool is_wrong(struct call *call)
{
    return types_are_wrong(call_types(call, call_key(call, 1)), TYPES_HASH);
}

enum crdt_status hashes_set(struct call *call)
{
    int64_t created = 0;
    enum crdt_status status = CRDT_OK;
    if (call->argument_count % 2 != 0) {
        return call_arity_error(call);
    }
    if (is_wrong(call)) {
        return call_wrong_type(call);
    }
    for (size_t i = 2; i < call->argument_count && status == CRDT_OK; i += 2) {
        struct crdt_path path = call_field(call, i);
        created += call_types(call, path) == 0;
        status = value_assign(call, path, call->arguments[i + 1]);
    }
    return status == CRDT_OK ? resp_integer(call->reply, created) : status;
}

enum crdt_status hashes_get(struct call *call)
{
    if (is_wrong(call)) {
        return call_wrong_type(call);
    }
    struct crdt_path path = call_field(call, 2);
    if (types_are_wrong(call_types(call, path), TYPES_STRING)) {
        return call_wrong_type(call);
    }
    return value_reply(call, path);
}

enum crdt_status hashes_delete(struct call *call)
{
    return is_wrong(call) ? call_wrong_type(call) : call_remove_each(call, 2, call_field);
}

/* Walks the fields that are strings. Without `must_reply` it only counts. */
static enum crdt_status walk(struct call *call, bool must_reply, size_t *ret_count)
{
    struct crdt_iterator iterator = crdt_iterate(
        call->environment->document, call_key(call, 1), CRDT_MAP, CRDT_ITERATOR_START);
    enum crdt_status status = CRDT_OK;
    struct crdt_item item;
    size_t count = 0;
    while (status == CRDT_OK && crdt_next(&iterator, &item)) {
        if ((item.types & TYPES_STRING) == 0) {
            continue;
        }
        count++;
        if (must_reply) {
            call->keys[2] = item.key;
            status = resp_bulk(call->reply, item.key);
            if (status == CRDT_OK) {
                status = value_reply(call, (struct crdt_path){call->keys, 3});
            }
        }
    }
    *ret_count = count;
    return status;
}

enum crdt_status hashes_get_all(struct call *call)
{
    size_t count;
    if (is_wrong(call)) {
        return call_wrong_type(call);
    }
    enum crdt_status status = walk(call, false, &count);
    if (status == CRDT_OK) {
        status = resp_array(call->reply, count * 2);
    }
    return status == CRDT_OK ? walk(call, true, &count) : status;
}

enum crdt_status hashes_count(struct call *call)
{
    if (is_wrong(call)) {
        return call_wrong_type(call);
    }
    size_t count = crdt_count(call->environment->document, call_key(call, 1), CRDT_MAP);
    return resp_integer(call->reply, (int64_t)count);
}

enum crdt_status hashes_increment(struct call *call)
{
    int64_t amount;
    if (!number_parse(call->arguments[3], &amount)) {
        return call_not_integer(call);
    }
    if (is_wrong(call)) {
        return call_wrong_type(call);
    }
    return value_increment(
        call, call_field(call, 2), amount, "ERR hash value is not an integer");
}
