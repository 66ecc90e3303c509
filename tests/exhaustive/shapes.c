#include "tests/exhaustive/shapes.h"

#include "tests/support/claim.h"

#include <stdlib.h>
#include <string.h>

const unsigned shape_namings[NAMINGS][REPLICAS] = {
    {0, 1, 2}, {1, 0, 2}, {2, 1, 0}, {0, 2, 1}, {1, 2, 0}, {2, 0, 1}};

/* How many operations of each replica the set has. */
static void count_by_author(const struct shape *shape, unsigned set, unsigned counts[REPLICAS])
{
    memset(counts, 0, REPLICAS * sizeof *counts);
    for (unsigned i = 0; i < shape->count; i++)
        counts[shape->authors[i]] += set >> i & 1;
}

void shape_encode(const struct shape *shape, const unsigned *letters,
    const unsigned names[REPLICAS], uint32_t codes[OPS_MAX])
{
    for (unsigned i = 0; i < shape->count; i++) {
        unsigned counts[REPLICAS];
        unsigned named[REPLICAS];
        count_by_author(shape, shape->seen[i], counts);
        for (unsigned k = 0; k < REPLICAS; k++)
            named[names[k]] = counts[k];
        uint32_t code = names[shape->authors[i]];
        for (unsigned k = 0; k < REPLICAS; k++)
            code = code << 3 | named[k];
        code = code << 5 | (letters == NULL ? 0 : letters[i]);
        unsigned at = i;
        for (; at > 0 && codes[at - 1] > code; at--)
            codes[at] = codes[at - 1];
        codes[at] = code;
    }
}

static int compare(const uint32_t *a, const uint32_t *b, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return 0;
}

bool shape_is_least(const struct shape *shape, const unsigned *letters)
{
    uint32_t own[OPS_MAX], other[OPS_MAX];
    shape_encode(shape, letters, shape_namings[0], own);
    for (unsigned i = 1; i < NAMINGS; i++) {
        shape_encode(shape, letters, shape_namings[i], other);
        if (compare(other, own, shape->count) < 0)
            return false;
    }
    return true;
}

static bool is_listed(const struct shapes *shapes, const struct shape *shape)
{
    uint32_t own[OPS_MAX], other[OPS_MAX];
    shape_encode(shape, NULL, shape_namings[0], own);
    for (size_t i = 0; i < shapes->count; i++) {
        shape_encode(&shapes->items[i], NULL, shape_namings[0], other);
        if (compare(own, other, shape->count) == 0)
            return true;
    }
    return false;
}

static void append(struct shapes *shapes, const struct shape *shape)
{
    if (shapes->count == shapes->capacity) {
        shapes->capacity = 2 * shapes->capacity + 16;
        shapes->items = realloc(shapes->items, shapes->capacity * sizeof *shapes->items);
        claim(shapes->items != NULL);
    }
    shapes->items[shapes->count++] = *shape;
}

static bool is_closed(const struct shape *shape, unsigned set)
{
    for (unsigned i = 0; i < shape->count; i++)
        if ((set >> i & 1) != 0 && (shape->seen[i] & ~set) != 0)
            return false;
    return true;
}

/* One more operation: any author, having seen any closed set with all its own. */
static void extend(struct shapes *longer, const struct shape *shape, bool is_named)
{
    for (unsigned author = 0; author < REPLICAS; author++) {
        unsigned own = 0;
        for (unsigned i = 0; i < shape->count; i++)
            own |= shape->authors[i] == author ? 1u << i : 0;
        for (unsigned seen = 0; seen < 1u << shape->count; seen++) {
            if ((own & ~seen) != 0 || !is_closed(shape, seen))
                continue;
            struct shape next = *shape;
            next.authors[next.count] = author;
            next.seen[next.count++] = seen;
            if ((is_named || shape_is_least(&next, NULL)) && !is_listed(longer, &next))
                append(longer, &next);
        }
    }
}

void shapes_list(struct shapes *shapes, unsigned op_count, bool is_named)
{
    *shapes = (struct shapes){.items = NULL};
    append(shapes, &(struct shape){.count = 0});
    for (unsigned count = 0; count < op_count; count++) {
        struct shapes longer = {.items = NULL};
        for (size_t i = 0; i < shapes->count; i++)
            extend(&longer, &shapes->items[i], is_named || count + 1 < op_count);
        free(shapes->items);
        *shapes = longer;
    }
}

void shapes_close(struct shapes *shapes)
{
    free(shapes->items);
    *shapes = (struct shapes){.items = NULL};
}
