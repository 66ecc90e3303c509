/* The newest batches in memory. See cache.h. */
#include "gossipd/host/cache.h"

#include <assert.h>

void cache_init(struct cache *cache, const struct crdt_memory *memory, size_t bytes_max)
{
    *cache = (struct cache){.memory = *memory, .bytes_max = bytes_max};
}

static void drop_oldest(struct cache *cache)
{
    assert(cache->count > 0);
    struct row *row = cache->rows[cache->first];
    assert(row != NULL);
    cache->rows[cache->first] = NULL;
    cache->first = (cache->first + 1) % CACHE_ROWS_MAX;
    cache->count--;
    cache->bytes -= row_bytes(row);
    row_free(&cache->memory, row);
}

void cache_clear(struct cache *cache)
{
    while (cache->count > 0) {
        drop_oldest(cache);
    }
}

void cache_close(struct cache *cache)
{
    cache_clear(cache);
}

void cache_add(struct cache *cache, const struct core_output *output)
{
    size_t bytes = sizeof(struct row) + output->bytes.size;
    if (bytes > cache->bytes_max) {
        return;
    }
    while (cache->count == CACHE_ROWS_MAX || cache->bytes > cache->bytes_max - bytes) {
        drop_oldest(cache);
    }
    struct row *row = row_new(&cache->memory, output, CORE_NO);
    if (row != NULL) {
        cache->rows[(cache->first + cache->count) % CACHE_ROWS_MAX] = row;
        cache->count++;
        cache->bytes += bytes;
    }
}

static const struct row *row_at(const struct cache *cache, size_t index)
{
    return cache->rows[(cache->first + index) % CACHE_ROWS_MAX];
}

/* The index of the row that holds `from`; `count` when there is none. The newest
 * are asked for most often, so the search begins there. */
static size_t find(const struct cache *cache, const struct crdt_dot *from)
{
    for (size_t i = cache->count; i > 0; i--) {
        const struct row *row = row_at(cache, i - 1);
        if (row->first_seq <= from->seq && from->seq <= row->last_seq &&
            crdt_origin_compare(&row->origin, &from->origin) == 0) {
            return i - 1;
        }
    }
    return cache->count;
}

bool cache_fetch(const struct cache *cache, const struct crdt_dot *from, size_t bytes_max,
    struct fetched *fetched)
{
    uint64_t wanted = from->seq;
    for (size_t i = find(cache, from); i < cache->count && fetched->bytes.size < bytes_max; i++) {
        const struct row *row = row_at(cache, i);
        bool is_next = row->first_seq <= wanted && wanted <= row->last_seq &&
            crdt_origin_compare(&row->origin, &from->origin) == 0;
        if (is_next) {
            const struct crdt_bytes batch = {row->batch, row->batch_bytes};
            if (!fetched_add(fetched, batch, row->signature)) {
                break;
            }
            wanted = row->last_seq + 1;
        }
    }
    fetched_finish(fetched);
    return fetched->row_count > 0;
}
