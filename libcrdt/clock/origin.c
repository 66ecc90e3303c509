#include <crdt.h>
#include <string.h>

int crdt_origin_compare(const struct crdt_origin *a, const struct crdt_origin *b)
{
    int order = memcmp(a->key, b->key, CRDT_KEY_BYTES);
    if (order != 0)
        return order;
    return a->generation < b->generation ? -1 : a->generation > b->generation;
}
