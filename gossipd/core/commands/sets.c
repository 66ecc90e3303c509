/* Commands on sets. */
#include "gossipd/core/commands/sets.h"

#include "gossipd/core/commands/functions.h"
#include "gossipd/core/random.h"
#include "gossipd/wire/number.h"
#include "gossipd/wire/resp.h"

enum crdt_status sets_add_at(struct call *call, struct crdt_path path, size_t first)
{
    struct crdt_document *document = call->environment->document;
    struct crdt_transaction *transaction;
    int64_t absent = 0;
    if (types_are_wrong(call_types(call, path), TYPES_SET)) {
        return call_wrong_type(call);
    }
    enum crdt_status status = call_write(call, &transaction);
    for (size_t i = first; i < call->argument_count && status == CRDT_OK; i++) {
        absent += !crdt_set_contains(document, path, call->arguments[i]);
        status = crdt_set_add(transaction, path, call->arguments[i]);
    }
    return status == CRDT_OK ? resp_integer(call->reply, absent) : status;
}

enum crdt_status sets_remove_at(struct call *call, struct crdt_path path, size_t first)
{
    struct crdt_document *document = call->environment->document;
    struct crdt_transaction *transaction;
    enum crdt_status status = CRDT_OK;
    int64_t present = 0;
    if (types_are_wrong(call_types(call, path), TYPES_SET)) {
        return call_wrong_type(call);
    }
    for (size_t i = first; i < call->argument_count && status == CRDT_OK; i++) {
        if (crdt_set_contains(document, path, call->arguments[i])) {
            present++;
            status = call_write(call, &transaction);
            if (status == CRDT_OK) {
                status = crdt_set_remove(transaction, path, call->arguments[i]);
            }
        }
    }
    return status == CRDT_OK ? resp_integer(call->reply, present) : status;
}

enum crdt_status sets_add(struct call *call)
{
    return sets_add_at(call, call_key(call, 1), 2);
}

enum crdt_status sets_remove(struct call *call)
{
    return sets_remove_at(call, call_key(call, 1), 2);
}

enum crdt_status sets_is_member(struct call *call)
{
    struct crdt_path path = call_key(call, 1);
    if (types_are_wrong(call_types(call, path), TYPES_SET)) {
        return call_wrong_type(call);
    }
    return resp_integer(call->reply,
        crdt_set_contains(call->environment->document, path, call->arguments[2]));
}

enum crdt_status sets_count(struct call *call)
{
    struct crdt_path path = call_key(call, 1);
    if (types_are_wrong(call_types(call, path), TYPES_SET)) {
        return call_wrong_type(call);
    }
    size_t count = crdt_count(call->environment->document, path, CRDT_SET);
    return resp_integer(call->reply, (int64_t)count);
}

/* Replies all elements, in this replica's own order. */
static enum crdt_status reply_members(struct call *call, struct crdt_path path)
{
    struct crdt_document *document = call->environment->document;
    enum crdt_status status = resp_array(call->reply, crdt_count(document, path, CRDT_SET));
    struct crdt_iterator iterator = crdt_iterate(document, path, CRDT_SET, CRDT_ITERATOR_START);
    struct crdt_item item;
    while (status == CRDT_OK && crdt_next(&iterator, &item)) {
        status = resp_bulk(call->reply, item.key);
    }
    return status;
}

enum crdt_status sets_members(struct call *call)
{
    struct crdt_path path = call_key(call, 1);
    if (types_are_wrong(call_types(call, path), TYPES_SET)) {
        return call_wrong_type(call);
    }
    return reply_members(call, path);
}

/* ---- SPOP ---- */

/* An element at a random place; false when the set is empty. Places are
 * numbered 1 to count, in the order of the walk from its end. */
static bool random_element(struct call *call, struct crdt_path path, struct crdt_bytes *ret_element)
{
    struct crdt_document *document = call->environment->document;
    size_t count = crdt_count(document, path, CRDT_SET);
    struct crdt_item item;
    if (count == 0) {
        return false;
    }
    uint64_t place = random_next(call->environment->random) % count + 1;
    struct crdt_iterator iterator = crdt_iterate(document, path, CRDT_SET, place);
    bool is_found = crdt_next(&iterator, &item);
    if (!is_found) {
        iterator = crdt_iterate(document, path, CRDT_SET, CRDT_ITERATOR_START);
        is_found = crdt_next(&iterator, &item);
    }
    *ret_element = item.key;
    return is_found;
}

/* Replies one random element and removes it. There is one. */
static enum crdt_status pop_one(struct call *call, struct crdt_path path)
{
    struct crdt_transaction *transaction;
    struct crdt_bytes element = {NULL, 0};
    if (!random_element(call, path, &element)) {
        return resp_null(call->reply);
    }
    enum crdt_status status = resp_bulk(call->reply, element);
    if (status == CRDT_OK) {
        status = call_write(call, &transaction);
    }
    if (status != CRDT_OK) {
        return status;
    }
    /* Removed by the bytes in the reply: those in the document die in the call. */
    struct crdt_bytes copy = {
        call->reply->data + call->reply->size - 2 - element.size, element.size};
    return crdt_set_remove(transaction, path, copy);
}

static enum crdt_status pop_many(struct call *call, struct crdt_path path, size_t wanted)
{
    struct crdt_transaction *transaction;
    size_t count = crdt_count(call->environment->document, path, CRDT_SET);
    if (wanted >= count && count > 0) {
        /* One removal of the whole set instead of one of each element. */
        enum crdt_status status = reply_members(call, path);
        if (status == CRDT_OK) {
            status = call_write(call, &transaction);
        }
        return status == CRDT_OK ? crdt_remove(transaction, path, CRDT_SET) : status;
    }
    size_t left = count == 0 ? 0 : wanted;
    enum crdt_status status = resp_array(call->reply, left);
    for (; left > 0 && status == CRDT_OK; left--) {
        status = pop_one(call, path);
    }
    return status;
}

enum crdt_status sets_pop(struct call *call)
{
    struct crdt_path path = call_key(call, 1);
    int64_t count = 0;
    if (call->argument_count > 3) {
        return call_syntax_error(call);
    }
    if (call->argument_count == 3
        && (!number_parse(call->arguments[2], &count) || count < 0)) {
        return call_error(call, "ERR value is out of range, must be positive");
    }
    if (types_are_wrong(call_types(call, path), TYPES_SET)) {
        return call_wrong_type(call);
    }
    if (call->argument_count == 3) {
        return pop_many(call, path, (size_t)count);
    }
    return pop_one(call, path);
}
