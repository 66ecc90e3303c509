/* Commands on keys of any type, and on all of them. */
#include "gossipd/core/commands/functions.h"

#include "gossipd/core/commands/glob.h"
#include "gossipd/wire/number.h"
#include "gossipd/wire/resp.h"

enum crdt_status keys_delete(struct call *call)
{
    return call_remove_each(call, 1, call_key);
}

enum crdt_status keys_exist(struct call *call)
{
    int64_t count = 0;
    for (size_t i = 1; i < call->argument_count; i++) {
        count += call_types(call, call_key(call, i)) != 0;
    }
    return resp_integer(call->reply, count);
}

/* What TYPE answers: string before hash before set. */
static const char *type_name(unsigned types)
{
    if ((types & TYPES_STRING) != 0) {
        return "string";
    }
    if ((types & TYPES_HASH) != 0) {
        return "hash";
    }
    if ((types & TYPES_SET) != 0) {
        return "set";
    }
    return types != 0 ? "crdt" : "none";
}

enum crdt_status keys_type(struct call *call)
{
    return resp_simple(call->reply, type_name(call_types(call, call_key(call, 1))));
}

enum crdt_status keys_count(struct call *call)
{
    size_t count = crdt_count(call->environment->document, call_data(call), CRDT_MAP);
    return resp_integer(call->reply, (int64_t)count);
}

enum crdt_status keys_flush(struct call *call)
{
    struct crdt_transaction *transaction;
    bool has_mode = call->argument_count == 2
        && (argument_is(call, 1, "async") || argument_is(call, 1, "sync"));
    if (call->argument_count > 1 && !has_mode) {
        return call_syntax_error(call);
    }
    struct crdt_path path = call_data(call);
    if (call_types(call, path) == 0) {
        return call_ok(call);
    }
    enum crdt_status status = call_write(call, &transaction);
    if (status == CRDT_OK) {
        status = crdt_remove(transaction, path, CRDT_ANY);
    }
    return status == CRDT_OK ? call_ok(call) : status;
}

/* ---- Walks ---- */

/* Which keys are wanted, and up to how many are looked at. */
struct filter {
    struct crdt_bytes pattern;
    bool has_pattern;
    struct crdt_bytes type;
    bool has_type;
    uint64_t count;
};

static bool filter_takes(const struct filter *filter, const struct crdt_item *item)
{
    if (filter->has_type && !word_is(filter->type, type_name(item->types))) {
        return false;
    }
    return !filter->has_pattern || glob_match(filter->pattern, item->key, false);
}

/* Looks at up to `filter->count` keys from `*position` on, which moves; 0 at
 * the end. Appends the wanted ones, unless `reply` is NULL, and counts them. */
static enum crdt_status walk(struct call *call, const struct filter *filter,
    struct crdt_buffer *reply, uint64_t *position, size_t *ret_count)
{
    struct crdt_iterator iterator
        = crdt_iterate(call->environment->document, call_data(call), CRDT_MAP, *position);
    enum crdt_status status = CRDT_OK;
    struct crdt_item item;
    bool has_more = true;
    size_t count = 0;
    for (uint64_t i = 0; i < filter->count && status == CRDT_OK; i++) {
        has_more = crdt_next(&iterator, &item);
        if (!has_more) {
            break;
        }
        if (filter_takes(filter, &item)) {
            count++;
            status = reply != NULL ? resp_bulk(reply, item.key) : CRDT_OK;
        }
    }
    *position = has_more ? iterator.position : 0;
    *ret_count = count;
    return status;
}

/* A cursor is a position, and above it the epoch of the document that it is a
 * position in. Below 2^63, for clients that read it as a signed number. */
#define CURSOR_POSITION_BITS 48
#define CURSOR_EPOCH_MASK 0x7fffu

static uint64_t cursor_epoch(const struct call *call)
{
    return call->environment->scan_epoch & CURSOR_EPOCH_MASK;
}

static uint64_t make_cursor(const struct call *call, uint64_t position)
{
    return position == 0 ? 0 : cursor_epoch(call) << CURSOR_POSITION_BITS | position;
}

/* A walk begun in another document begins anew: what it had seen may come again,
 * but nothing is missed. */
static uint64_t cursor_position(const struct call *call, uint64_t cursor)
{
    if (cursor == 0 || cursor >> CURSOR_POSITION_BITS != cursor_epoch(call)) {
        return CRDT_ITERATOR_START;
    }
    return cursor & ((UINT64_C(1) << CURSOR_POSITION_BITS) - 1);
}

/* The head of an array tells its length, so the walk is done twice: the
 * document does not change in between. */
static enum crdt_status walk_reply(
    struct call *call, const struct filter *filter, uint64_t position, bool has_cursor)
{
    uint64_t end = position;
    size_t count;
    char digits[NUMBER_TEXT_BYTES];
    enum crdt_status status = walk(call, filter, NULL, &end, &count);
    if (status == CRDT_OK && has_cursor) {
        size_t size = number_format_unsigned(make_cursor(call, end), digits);
        status = resp_array(call->reply, 2);
        if (status == CRDT_OK) {
            status = resp_bulk(call->reply, (struct crdt_bytes){digits, size});
        }
    }
    if (status == CRDT_OK) {
        status = resp_array(call->reply, count);
    }
    return status == CRDT_OK ? walk(call, filter, call->reply, &position, &count) : status;
}

enum crdt_status keys_match(struct call *call)
{
    struct filter filter = {
        .pattern = call->arguments[1], .has_pattern = true, .count = UINT64_MAX};
    return walk_reply(call, &filter, CRDT_ITERATOR_START, false);
}

/* Reads an unsigned 64-bit cursor. */
static bool parse_cursor(struct crdt_bytes text, uint64_t *ret_cursor)
{
    const char *digits = text.data;
    uint64_t cursor = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = (unsigned)digits[i] - '0';
        if (digit > 9 || cursor > (UINT64_MAX - digit) / 10) {
            return false;
        }
        cursor = cursor * 10 + digit;
    }
    *ret_cursor = cursor;
    return text.size > 0;
}

enum crdt_status keys_scan(struct call *call)
{
    struct filter filter = {.count = 10};
    uint64_t cursor;
    if (!parse_cursor(call->arguments[1], &cursor)) {
        return call_error(call, "ERR invalid cursor");
    }
    for (size_t i = 2; i < call->argument_count; i += 2) {
        int64_t count;
        if (i + 1 == call->argument_count) {
            return call_syntax_error(call);
        }
        if (argument_is(call, i, "count")) {
            if (!number_parse(call->arguments[i + 1], &count)) {
                return call_not_integer(call);
            }
            if (count < 1) {
                return call_syntax_error(call);
            }
            filter.count = (uint64_t)count;
        } else if (argument_is(call, i, "match")) {
            filter.pattern = call->arguments[i + 1];
            filter.has_pattern = true;
        } else if (argument_is(call, i, "type")) {
            filter.type = call->arguments[i + 1];
            filter.has_type = true;
        } else {
            return call_syntax_error(call);
        }
    }
    return walk_reply(call, &filter, cursor_position(call, cursor), true);
}
