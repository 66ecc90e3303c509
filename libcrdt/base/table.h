/* The container of maps and sets: a dense array of items in the order of this
 * replica's own, and beside it a seeded hash index.
 *
 * Items are walked from the last down to the first. Removing one moves the last
 * into its place, so a walk that goes down never misses an item that was there
 * all the time, whatever else comes and goes: an index is a cursor that survives
 * changes. Nothing here shrinks while a change could still be taken back
 * (crdt_table_restore cannot fail); crdt_table_trim is for afterwards.
 */
#ifndef LIBCRDT_BASE_TABLE_H
#define LIBCRDT_BASE_TABLE_H

#include <crdt.h>

/* A key on the heap, owned by the item that points to it. */
struct crdt_key {
    uint32_t size : 31;
    uint32_t has_many : 1; /* the item's value is a list: the set's business       */
    uint8_t data[];
};

union crdt_value {
    uint64_t dot;
    void *block;
};

struct crdt_table_item {
    struct crdt_key *key;
    union crdt_value value;
};

struct crdt_table {
    struct crdt_table_item *items;
    uint32_t *slots;  /* index of the item; meaningful where the tag says so       */
    uint8_t *tags;    /* per slot: free, deleted, or 7 bits of the hash            */
    size_t count;
    size_t capacity;  /* of items                                                  */
    size_t slot_count; /* a power of two, or 0: few items are searched one by one   */
    size_t deleted_count;
};

/* What a table needs of its document at every call. */
struct crdt_table_context {
    struct crdt_memory memory;
    uint8_t hash_seed[16];
};

#define CRDT_TABLE_NONE SIZE_MAX

static inline struct crdt_bytes crdt_key_bytes(const struct crdt_key *key)
{
    return (struct crdt_bytes){.data = key->data, .size = key->size};
}

/* A copy of the bytes as a key; NULL when memory is out. */
struct crdt_key *crdt_key_new(const struct crdt_memory *memory, struct crdt_bytes bytes);
void crdt_key_free(const struct crdt_memory *memory, struct crdt_key *key);

/* The index of the item with this key, or CRDT_TABLE_NONE. */
size_t crdt_table_find(const struct crdt_table *table, const struct crdt_table_context *context,
    struct crdt_bytes key);

/* Appends an item; the key must not be there. The table owns the key from then
 * on. NOMEM changes nothing. Cost: O(1) amortised. */
CRDT_MUST_CHECK enum crdt_status crdt_table_add(struct crdt_table *table,
    const struct crdt_table_context *context, struct crdt_key *key, union crdt_value value);

/* Appends an item that is known to be new to a table that has no index yet: it
 * cannot be searched, and nothing else be done to it, before crdt_table_index()
 * has given it one. */
CRDT_MUST_CHECK enum crdt_status crdt_table_append(struct crdt_table *table,
    const struct crdt_table_context *context, struct crdt_key *key, union crdt_value value);
/* Gives a table that was filled that way the index it would have otherwise. */
CRDT_MUST_CHECK enum crdt_status crdt_table_index(
    struct crdt_table *table, const struct crdt_table_context *context);

/* Takes the item at `index` out, the last one into its place, and gives it back
 * with its key. Never allocates. */
struct crdt_table_item crdt_table_take(
    struct crdt_table *table, const struct crdt_table_context *context, size_t index);

/* Undoes the crdt_table_take() of this item from this index, when all that came
 * after it has been undone. Never allocates. */
void crdt_table_restore(struct crdt_table *table, const struct crdt_table_context *context,
    size_t index, struct crdt_table_item item);

/* Gives memory back when the table is far too large for what it holds. */
void crdt_table_trim(struct crdt_table *table, const struct crdt_table_context *context);

/* Frees the arrays, not the keys and values. */
void crdt_table_close(struct crdt_table *table, const struct crdt_table_context *context);

#endif
