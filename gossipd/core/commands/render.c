/* CRDT.GET key N field1..fieldN: everything that lives at a path.
 *
 * The reply is an array of pairs, type and value, in this order; nil when
 * nothing lives there:
 *
 *     "register"  the value that wins, a bulk string
 *     "counter"   the exact sum, a bulk string
 *     "gcounter"  likewise
 *     "set"       an array of the elements, sorted
 *     "flag"      the integer 1
 *     "map"       an array of fields, sorted, each followed by what this command
 *                 replies for it
 *
 * Arrays nest RENDER_LEVELS_MAX levels; where a set or a map would go deeper
 * stands the string "..." instead: ask for that path. */
#include "gossipd/core/commands/functions.h"

#include <assert.h>
#include <string.h>

#include "gossipd/core/commands/paths.h"
#include "gossipd/core/commands/session.h"
#include "gossipd/limits.h"
#include "gossipd/wire/resp.h"

static int bytes_compare(struct crdt_bytes a, struct crdt_bytes b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size == 0 ? 0 : memcmp(a.data, b.data, size);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* Lets the item at `root` sink to its place in the heap of `count` items. */
static void heap_sink(struct crdt_bytes *items, size_t root, size_t count)
{
    for (;;) {
        size_t child = 2 * root + 1;
        if (child >= count) {
            return;
        }
        if (child + 1 < count && bytes_compare(items[child], items[child + 1]) < 0) {
            child++;
        }
        if (bytes_compare(items[root], items[child]) >= 0) {
            return;
        }
        struct crdt_bytes swapped = items[root];
        items[root] = items[child];
        items[child] = swapped;
        root = child;
    }
}

/* Heapsort: no memory, and no input makes it slow. */
static void bytes_sort(struct crdt_bytes *items, size_t count)
{
    for (size_t i = count / 2; i > 0; i--) {
        heap_sink(items, i - 1, count);
    }
    for (size_t i = count; i > 1; i--) {
        struct crdt_bytes greatest = items[0];
        items[0] = items[i - 1];
        items[i - 1] = greatest;
        heap_sink(items, 0, i - 1);
    }
}

/* Collects the keys of a map or the elements of a set, sorted, as an array of
 * crdt_bytes in `ret_items`. They live as long as the document is unchanged. */
static enum crdt_status collect(struct call *call, struct crdt_path path, enum crdt_type type,
    struct crdt_buffer *ret_items)
{
    struct crdt_iterator iterator
        = crdt_iterate(call->environment->document, path, type, CRDT_ITERATOR_START);
    enum crdt_status status = CRDT_OK;
    struct crdt_item item;
    while (status == CRDT_OK && crdt_next(&iterator, &item)) {
        status = crdt_buffer_append(ret_items, &item.key, sizeof item.key);
    }
    bytes_sort((void *)ret_items->data, ret_items->size / sizeof(struct crdt_bytes));
    return status;
}

static enum crdt_status render(struct call *call, struct crdt_path path, size_t level);

/* Renders a set or a map as an array at `level`. */
static enum crdt_status render_items(
    struct call *call, struct crdt_path path, enum crdt_type type, size_t level)
{
    struct crdt_buffer items;
    bool is_map = type == CRDT_MAP;
    /* Maps stand at even levels, so what a map's fields need is there as well. */
    static_assert(RENDER_LEVELS_MAX % 2 == 1, "a map is never the last level");
    if (level > RENDER_LEVELS_MAX) {
        return resp_bulk(call->reply, crdt_text("..."));
    }
    crdt_buffer_init(&items, &call->session->memory);
    enum crdt_status status = collect(call, path, type, &items);
    size_t count = items.size / sizeof(struct crdt_bytes);
    if (status == CRDT_OK) {
        status = resp_array(call->reply, is_map ? count * 2 : count);
    }
    for (size_t i = 0; i < count && status == CRDT_OK; i++) {
        struct crdt_bytes item = ((struct crdt_bytes *)(void *)items.data)[i];
        status = resp_bulk(call->reply, item);
        if (status == CRDT_OK && is_map) {
            assert(path.count < CRDT_DEPTH_MAX);
            call->keys[path.count] = item;
            status = render(
                call, (struct crdt_path){path.keys, path.count + 1}, level + 1);
        }
    }
    crdt_buffer_close(&items);
    return status;
}

static enum crdt_status render_sum(struct call *call, struct crdt_path path, enum crdt_type type)
{
    char text[CRDT_SUM_TEXT_BYTES];
    struct crdt_sum sum = crdt_counter_sum(call->environment->document, path, type);
    size_t size = crdt_sum_text(sum, text);
    return resp_bulk(call->reply, (struct crdt_bytes){text, size});
}

static enum crdt_status render_value(
    struct call *call, struct crdt_path path, enum crdt_type type, size_t level)
{
    struct crdt_bytes value = {NULL, 0};
    enum crdt_status status;
    switch (type) {
    case CRDT_REGISTER:
        status = crdt_register_get(call->environment->document, path, &value);
        return status == CRDT_OK ? resp_bulk(call->reply, value) : status;
    case CRDT_COUNTER:
    case CRDT_GCOUNTER:
        return render_sum(call, path, type);
    case CRDT_FLAG:
        return resp_integer(call->reply, 1);
    case CRDT_SET:
    case CRDT_MAP:
        return render_items(call, path, type, level + 1);
    case CRDT_ANY:
    default:
        assert(false);
        return CRDT_ERR_MALFORMED;
    }
}

/* Renders all types alive at the path as one array at `level`. Recursion ends
 * at RENDER_LEVELS_MAX, two levels a step. */
static enum crdt_status render(struct call *call, struct crdt_path path, size_t level)
{
    static const char *const names[CRDT_TYPE_COUNT] = {
        [CRDT_REGISTER] = "register",
        [CRDT_COUNTER] = "counter",
        [CRDT_GCOUNTER] = "gcounter",
        [CRDT_SET] = "set",
        [CRDT_FLAG] = "flag",
        [CRDT_MAP] = "map",
    };
    unsigned types = call_types(call, path);
    size_t count = 0;
    for (unsigned type = CRDT_REGISTER; type < CRDT_TYPE_COUNT; type++) {
        count += (types & TYPE_BIT(type)) != 0;
    }
    enum crdt_status status = resp_array(call->reply, count * 2);
    for (unsigned type = CRDT_REGISTER; type < CRDT_TYPE_COUNT && status == CRDT_OK; type++) {
        if ((types & TYPE_BIT(type)) != 0) {
            status = resp_bulk(call->reply, crdt_text(names[type]));
            if (status == CRDT_OK) {
                status = render_value(call, path, (enum crdt_type)type, level);
            }
        }
    }
    return status;
}

enum crdt_status render_get(struct call *call)
{
    struct crdt_path path;
    size_t next;
    const char *wrong = paths_read(call, &path, &next);
    if (wrong != NULL) {
        return call_error(call, wrong);
    }
    if (next != call->argument_count) {
        return call_arity_error(call);
    }
    return call_types(call, path) == 0 ? resp_null_array(call->reply) : render(call, path, 1);
}
