#include "libcrdt/base/table.h"

#include <assert.h>
#include <sodium/crypto_shorthash.h>
#include <string.h>

#include "libcrdt/base/buffer.h"
#include "libcrdt/base/memory.h"

enum {
    SEARCH_COUNT_MAX = 8, /* so few items are found faster without an index        */
    SLOT_COUNT_MIN = 16,
    TAG_FREE = 0,
    TAG_DELETED = 1,
    TAG_USED = 0x80,      /* the other 7 bits are of the hash                      */
};

static_assert(crypto_shorthash_KEYBYTES == 16, "the options' hash_seed is SipHash's key");

struct crdt_key *crdt_key_new(const struct crdt_memory *memory, struct crdt_bytes bytes)
{
    assert(bytes.size <= INT32_MAX);
    struct crdt_key *key = crdt_memory_new(memory, sizeof *key + bytes.size);
    if (key == NULL)
        return NULL;
    key->size = (uint32_t)bytes.size & INT32_MAX;
    key->has_many = 0;
    if (bytes.size > 0)
        memcpy(key->data, bytes.data, bytes.size);
    return key;
}

void crdt_key_free(const struct crdt_memory *memory, struct crdt_key *key)
{
    if (key != NULL)
        crdt_memory_free(memory, key, sizeof *key + key->size);
}

static uint64_t hash_of(const struct crdt_table_context *context, struct crdt_bytes key)
{
    uint64_t hash;
    uint8_t out[crypto_shorthash_BYTES];
    crypto_shorthash(out, key.data, key.size, context->hash_seed);
    memcpy(&hash, out, sizeof hash);
    return hash;
}

static uint8_t tag_of(uint64_t hash)
{
    return (uint8_t)(TAG_USED | (hash >> 57));
}

static bool item_has_key(const struct crdt_table_item *item, struct crdt_bytes key)
{
    return item->key->size == key.size &&
        (key.size == 0 || memcmp(item->key->data, key.data, key.size) == 0);
}

/* The slot that holds this key, or the slot count when none does. */
static size_t find_slot(const struct crdt_table *table, uint64_t hash, struct crdt_bytes key)
{
    uint8_t tag = tag_of(hash);
    size_t mask = table->slot_count - 1;
    for (size_t slot = hash & mask;; slot = (slot + 1) & mask) {
        if (table->tags[slot] == TAG_FREE)
            return table->slot_count;
        if (table->tags[slot] == tag && item_has_key(&table->items[table->slots[slot]], key))
            return slot;
    }
}

/* Puts an item that is not in the index there. Some slot is free. */
static void index_item(struct crdt_table *table, uint64_t hash, size_t index)
{
    size_t mask = table->slot_count - 1;
    size_t slot = hash & mask;
    while (table->tags[slot] >= TAG_USED)
        slot = (slot + 1) & mask;
    if (table->tags[slot] == TAG_DELETED)
        table->deleted_count--;
    table->tags[slot] = tag_of(hash);
    table->slots[slot] = (uint32_t)index;
}

static void free_index(struct crdt_table *table, const struct crdt_table_context *context)
{
    crdt_memory_free(&context->memory, table->slots, table->slot_count * sizeof *table->slots);
    crdt_memory_free(&context->memory, table->tags, table->slot_count);
    table->slots = NULL;
    table->tags = NULL;
    table->slot_count = 0;
    table->deleted_count = 0;
}

/* Fills an index whose memory is there: some items at a time, so that memory
 * answers for the slots of the last ones while the first ones are put in. */
static void fill_index(struct crdt_table *table, const struct crdt_table_context *context)
{
    enum { STRIDE_COUNT = 16 };
    memset(table->tags, TAG_FREE, table->slot_count);
    table->deleted_count = 0;
    for (size_t first = 0; first < table->count; first += STRIDE_COUNT) {
        uint64_t hashes[STRIDE_COUNT];
        size_t left = table->count - first;
        size_t count = left < STRIDE_COUNT ? left : STRIDE_COUNT;
        for (size_t i = 0; i < count; i++) {
            hashes[i] = hash_of(context, crdt_key_bytes(table->items[first + i].key));
            size_t slot = hashes[i] & (table->slot_count - 1);
            crdt_memory_expect(&table->tags[slot]);
            crdt_memory_expect(&table->slots[slot]);
        }
        for (size_t i = 0; i < count; i++)
            index_item(table, hashes[i], first + i);
    }
}

/* Makes the index anew with `slot_count` slots. */
static enum crdt_status rebuild_index(
    struct crdt_table *table, const struct crdt_table_context *context, size_t slot_count)
{
    uint32_t *slots = crdt_memory_new(&context->memory, slot_count * sizeof *slots);
    uint8_t *tags = crdt_memory_new(&context->memory, slot_count);
    if (slots == NULL || tags == NULL) {
        crdt_memory_free(&context->memory, slots, slot_count * sizeof *slots);
        crdt_memory_free(&context->memory, tags, slot_count);
        return CRDT_ERR_NOMEM;
    }
    free_index(table, context);
    table->slots = slots;
    table->tags = tags;
    table->slot_count = slot_count;
    fill_index(table, context);
    return CRDT_OK;
}

/* Seven slots of eight are used or deleted at most: a search ends at a free one. */
static bool index_has_room(const struct crdt_table *table, size_t count)
{
    return count + table->deleted_count <= table->slot_count / 8 * 7;
}

/* Leaves an eighth of the slots to what comes and goes before the next time. */
static size_t slots_for(size_t count)
{
    size_t slot_count = SLOT_COUNT_MIN;
    while (slot_count / 4 * 3 < count)
        slot_count *= 2;
    return slot_count;
}

size_t crdt_table_find(const struct crdt_table *table, const struct crdt_table_context *context,
    struct crdt_bytes key)
{
    if (table->slot_count == 0) {
        for (size_t i = 0; i < table->count; i++)
            if (item_has_key(&table->items[i], key))
                return i;
        return CRDT_TABLE_NONE;
    }
    size_t slot = find_slot(table, hash_of(context, key), key);
    return slot == table->slot_count ? CRDT_TABLE_NONE : table->slots[slot];
}

static enum crdt_status reserve_item(
    struct crdt_table *table, const struct crdt_table_context *context)
{
    if (table->count >= UINT32_MAX)
        return CRDT_ERR_LIMIT;
    bool has_room = crdt_array_reserve(&context->memory, &table->items, &table->capacity,
        table->count + 1, sizeof *table->items);
    return has_room ? CRDT_OK : CRDT_ERR_NOMEM;
}

enum crdt_status crdt_table_append(struct crdt_table *table,
    const struct crdt_table_context *context, struct crdt_key *key, union crdt_value value)
{
    assert(table->slot_count == 0);
    enum crdt_status status = reserve_item(table, context);
    if (status == CRDT_OK)
        table->items[table->count++] = (struct crdt_table_item){.key = key, .value = value};
    return status;
}

enum crdt_status crdt_table_index(
    struct crdt_table *table, const struct crdt_table_context *context)
{
    assert(table->slot_count == 0);
    if (table->count <= SEARCH_COUNT_MAX)
        return CRDT_OK;
    /* As few slots as adding one by one would have come to. */
    size_t slot_count = SLOT_COUNT_MIN;
    while (slot_count / 8 * 7 < table->count)
        slot_count *= 2;
    return rebuild_index(table, context, slot_count);
}

enum crdt_status crdt_table_add(struct crdt_table *table,
    const struct crdt_table_context *context, struct crdt_key *key, union crdt_value value)
{
    enum crdt_status status = reserve_item(table, context);
    if (status != CRDT_OK)
        return status;
    bool wants_index = table->slot_count > 0 || table->count >= SEARCH_COUNT_MAX;
    if (wants_index && !index_has_room(table, table->count + 1)) {
        /* It never gets smaller here: what was taken out may be restored. */
        size_t wanted = slots_for(table->count + 1);
        if (wanted < table->slot_count)
            wanted = table->slot_count;
        status = rebuild_index(table, context, wanted);
        if (status != CRDT_OK)
            return status;
    }
    table->items[table->count] = (struct crdt_table_item){.key = key, .value = value};
    if (wants_index)
        index_item(table, hash_of(context, crdt_key_bytes(key)), table->count);
    table->count++;
    return CRDT_OK;
}

/* Says in the index that the item with this key is now at `index`. */
static void reindex_item(struct crdt_table *table, const struct crdt_table_context *context,
    struct crdt_bytes key, size_t index)
{
    size_t slot = find_slot(table, hash_of(context, key), key);
    assert(slot < table->slot_count);
    table->slots[slot] = (uint32_t)index;
}

struct crdt_table_item crdt_table_take(
    struct crdt_table *table, const struct crdt_table_context *context, size_t index)
{
    assert(index < table->count);
    struct crdt_table_item item = table->items[index];
    size_t last = table->count - 1;
    if (table->slot_count > 0) {
        struct crdt_bytes key = crdt_key_bytes(item.key);
        size_t slot = find_slot(table, hash_of(context, key), key);
        assert(slot < table->slot_count);
        table->tags[slot] = TAG_DELETED;
        table->deleted_count++;
        if (index != last)
            reindex_item(table, context, crdt_key_bytes(table->items[last].key), index);
    }
    table->items[index] = table->items[last];
    table->count = last;
    return item;
}

void crdt_table_restore(struct crdt_table *table, const struct crdt_table_context *context,
    size_t index, struct crdt_table_item item)
{
    assert(index <= table->count);
    assert(table->count < table->capacity);
    size_t last = table->count;
    if (table->slot_count > 0) {
        /* What was added and is undone left deleted slots; the memory was
         * enough for this item before. */
        if (!index_has_room(table, table->count + 1))
            fill_index(table, context);
        if (index != last)
            reindex_item(table, context, crdt_key_bytes(table->items[index].key), last);
        index_item(table, hash_of(context, crdt_key_bytes(item.key)), index);
    }
    table->items[last] = table->items[index];
    table->items[index] = item;
    table->count++;
}

void crdt_table_trim(struct crdt_table *table, const struct crdt_table_context *context)
{
    if (table->capacity > 2 * SEARCH_COUNT_MAX && table->count < table->capacity / 4) {
        size_t capacity = table->count < 1 ? 1 : table->count;
        void *items = crdt_memory_resize(&context->memory, table->items,
            table->capacity * sizeof *table->items, capacity * sizeof *table->items);
        if (items != NULL) {
            table->items = items;
            table->capacity = capacity;
        }
    }
    if (table->slot_count == 0)
        return;
    if (table->count <= SEARCH_COUNT_MAX / 2)
        free_index(table, context);
    else if (table->slot_count > 4 * slots_for(table->count))
        /* Keeping the large one is all that happens when memory is out. */
        (void)!rebuild_index(table, context, slots_for(table->count));
}

void crdt_table_close(struct crdt_table *table, const struct crdt_table_context *context)
{
    free_index(table, context);
    crdt_memory_free(&context->memory, table->items, table->capacity * sizeof *table->items);
    *table = (struct crdt_table){0};
}
