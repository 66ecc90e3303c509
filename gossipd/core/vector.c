/* Sorted arrays: there are few origins, they come seldom, and walking them in
 * order of key keeps every decision independent of memory addresses. */
#include "gossipd/core/vector.h"

#include "gossipd/core/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void vector_init(struct vector *vector, const struct crdt_memory *memory)
{
    *vector = (struct vector){.memory = memory};
}

void vector_close(struct vector *vector)
{
    memory_free(vector->memory, vector->items, vector->capacity * sizeof *vector->items);
    vector->items = NULL;
    vector->count = 0;
    vector->capacity = 0;
}

void vector_clear(struct vector *vector)
{
    vector->count = 0;
}

/* The place of `origin`, or where it would have to be put. */
static size_t find(const struct vector *vector, const struct crdt_origin *origin, bool *ret_found)
{
    size_t low = 0;
    size_t high = vector->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = crdt_origin_compare(&vector->items[middle].origin, origin);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_found = false;
    return low;
}

uint64_t vector_get(const struct vector *vector, const struct crdt_origin *origin)
{
    bool is_found;
    size_t index = find(vector, origin, &is_found);
    return is_found ? vector->items[index].seq : 0;
}

static bool grow(struct vector *vector, size_t count)
{
    void *items = vector->items;
    bool is_grown = memory_grow(
        vector->memory, &items, &vector->capacity, count, sizeof *vector->items);
    vector->items = items;
    return is_grown;
}

enum crdt_status vector_set(
    struct vector *vector, const struct crdt_origin *origin, uint64_t number)
{
    bool is_found;
    size_t index = find(vector, origin, &is_found);
    if (!is_found) {
        if (!grow(vector, vector->count + 1))
            return CRDT_ERR_NOMEM;
        memmove(vector->items + index + 1, vector->items + index,
            (vector->count - index) * sizeof *vector->items);
        vector->items[index].origin = *origin;
        vector->count++;
    }
    vector->items[index].seq = number;
    return CRDT_OK;
}

void vector_update(struct vector *vector, const struct crdt_origin *origin, uint64_t number)
{
    bool is_found;
    size_t index = find(vector, origin, &is_found);
    assert(is_found);
    vector->items[index].seq = number;
}

void vector_drop_zeros(struct vector *vector)
{
    size_t kept = 0;
    for (size_t index = 0; index < vector->count; index++) {
        if (vector->items[index].seq > 0)
            vector->items[kept++] = vector->items[index];
    }
    vector->count = kept;
}

void vector_retain(struct vector *vector, const struct vector *by)
{
    size_t kept = 0;
    size_t at = 0;
    for (size_t index = 0; index < vector->count; index++) {
        const struct crdt_origin *origin = &vector->items[index].origin;
        while (at < by->count && crdt_origin_compare(&by->items[at].origin, origin) < 0)
            at++;
        if (at < by->count && crdt_origin_compare(&by->items[at].origin, origin) == 0)
            vector->items[kept++] = vector->items[index];
    }
    vector->count = kept;
}

enum crdt_status vector_read(struct vector *vector, struct crdt_bytes summary)
{
    /* An origin takes more than two bytes, so this asks for no more memory than
     * the bytes that were received justify. */
    size_t capacity = summary.size / 2;
    if (capacity > CRDT_ORIGINS_MAX)
        capacity = CRDT_ORIGINS_MAX;
    struct vector read;
    vector_init(&read, vector->memory);
    if (!grow(&read, capacity + 1))
        return CRDT_ERR_NOMEM;
    size_t count = 0;
    enum crdt_status status = crdt_summary_read(summary, read.items, capacity, &count);
    if (status != CRDT_OK) {
        vector_close(&read);
        return status;
    }
    /* What stays is as large as its content, not as large as the guess. */
    read.count = count;
    status = vector_copy(vector, &read);
    vector_close(&read);
    return status;
}

enum crdt_status vector_copy(struct vector *vector, const struct vector *from)
{
    if (!grow(vector, from->count))
        return CRDT_ERR_NOMEM;
    if (from->count > 0)
        memcpy(vector->items, from->items, from->count * sizeof *from->items);
    vector->count = from->count;
    return CRDT_OK;
}

static int compare_dots(const void *a, const void *b)
{
    const struct crdt_dot *left = a;
    const struct crdt_dot *right = b;
    return crdt_origin_compare(&left->origin, &right->origin);
}

enum crdt_status vector_take(struct vector *vector, const struct crdt_document *document)
{
    size_t count = crdt_feed_count(document);
    if (!grow(vector, count))
        return CRDT_ERR_NOMEM;
    for (size_t index = 0; index < count; index++) {
        struct crdt_feed feed = crdt_feed_at(document, index);
        vector->items[index] = (struct crdt_dot){.origin = feed.origin, .seq = feed.seq};
    }
    vector->count = count;
    /* At once and not one by one: a member may have made many origins. */
    if (count > 1)
        qsort(vector->items, count, sizeof *vector->items, compare_dots);
    return CRDT_OK;
}
