/* Paths from arguments; see paths.h. */
#include "gossipd/core/commands/paths.h"

#include <assert.h>

#include "gossipd/wire/number.h"

/* "data" and the key stand above the fields. */
#define FIELDS_MAX (CRDT_DEPTH_MAX - 2)

const char *paths_read(struct call *call, struct crdt_path *ret_path, size_t *ret_next)
{
    int64_t fields;
    static_assert(FIELDS_MAX == 62, "the text says it");
    if (!number_parse(call->arguments[2], &fields) || fields < 0 || fields > FIELDS_MAX) {
        return "ERR N, the number of fields behind the key, must be 0 to 62";
    }
    if (call->argument_count - 3 < (size_t)fields) {
        return "ERR fewer fields than N says: write key N field1..fieldN";
    }
    struct crdt_path path = call_key(call, 1);
    for (size_t i = 0; i < (size_t)fields; i++) {
        call->keys[path.count++] = call->arguments[3 + i];
    }
    *ret_path = path;
    *ret_next = 3 + (size_t)fields;
    return NULL;
}

bool paths_is_under_maps(const struct call *call, struct crdt_path path)
{
    assert(path.count >= 2);
    for (size_t count = 2; count < path.count; count++) {
        unsigned types = call_types(call, (struct crdt_path){path.keys, count});
        if (types_are_wrong(types, TYPES_HASH)) {
            return false;
        }
    }
    return true;
}
