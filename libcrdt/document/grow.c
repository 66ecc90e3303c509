#include "libcrdt/document/grow.h"

#include <string.h>

#include "libcrdt/base/buffer.h"
#include "libcrdt/base/memory.h"
#include "libcrdt/document/node.h"

static struct crdt_table_item *last_item(const struct crdt_node *map)
{
    return map->table.count == 0 ? NULL : &map->table.items[map->table.count - 1];
}

/* Indexes the tables that end a whole subtree: those of the chain, of the last
 * chain under its map, and so on down. The others have been indexed when the
 * items behind them came. */
static enum crdt_status index_chain(
    struct crdt_document *document, struct crdt_node *chain)
{
    enum crdt_status status = CRDT_OK;
    while (chain != NULL && status == CRDT_OK) {
        struct crdt_node *map = NULL;
        for (struct crdt_node *node = chain; node != NULL; node = node->next) {
            if (crdt_node_is_table(node) && status == CRDT_OK)
                status = crdt_table_index(&node->table, &document->context);
            if (node->type == CRDT_MAP)
                map = node;
        }
        const struct crdt_table_item *last = map == NULL ? NULL : last_item(map);
        chain = last == NULL ? NULL : last->value.block;
    }
    return status;
}

static struct crdt_node *node_new(
    struct crdt_document *document, struct crdt_node *map, enum crdt_type type)
{
    struct crdt_node *node = crdt_memory_new(crdt_memory_of(document), sizeof *node);
    if (node != NULL)
        *node = (struct crdt_node){.parent = map, .type = type};
    return node;
}

/* Appends an item with a first node to the map. What its last item has is whole
 * by that. */
static enum crdt_status append_node(struct crdt_document *document, struct crdt_node *map,
    struct crdt_bytes key_bytes, enum crdt_type type, struct crdt_node **ret_node)
{
    const struct crdt_memory *memory = crdt_memory_of(document);
    const struct crdt_table_item *last = last_item(map);
    enum crdt_status status =
        last == NULL ? CRDT_OK : index_chain(document, last->value.block);
    if (status != CRDT_OK)
        return status;
    struct crdt_node *node = node_new(document, map, type);
    struct crdt_key *key = crdt_key_new(memory, key_bytes);
    status = CRDT_ERR_NOMEM;
    if (node != NULL && key != NULL)
        status = crdt_table_append(
            &map->table, &document->context, key, (union crdt_value){.block = node});
    if (status != CRDT_OK) {
        crdt_key_free(memory, key);
        crdt_memory_free(memory, node, sizeof *node);
        return status;
    }
    node->key = key;
    *ret_node = node;
    return CRDT_OK;
}

/* Hangs another type under the last key of the map; NULL means the root. */
static enum crdt_status add_type(struct crdt_document *document, struct crdt_node *map,
    enum crdt_type type, struct crdt_node **ret_node)
{
    struct crdt_node *node = node_new(document, map, type);
    if (node == NULL)
        return CRDT_ERR_NOMEM;
    if (map == NULL) {
        node->next = document->roots;
        document->roots = node;
    } else {
        struct crdt_table_item *last = last_item(map);
        node->key = last->key;
        node->next = last->value.block;
        last->value.block = node;
    }
    *ret_node = node;
    return CRDT_OK;
}

enum crdt_status crdt_grow_node(struct crdt_document *document, struct crdt_path path,
    enum crdt_type type, struct crdt_node **ret_node)
{
    struct crdt_node *map = NULL;
    for (size_t i = 0; i <= path.count; i++) {
        enum crdt_type wanted = i == path.count ? type : CRDT_MAP;
        enum crdt_status status = CRDT_OK;
        const struct crdt_table_item *last = map == NULL ? NULL : last_item(map);
        struct crdt_node *node = NULL;
        if (map != NULL &&
            (last == NULL || !crdt_bytes_equal(crdt_key_bytes(last->key), path.keys[i - 1]))) {
            status = append_node(document, map, path.keys[i - 1], wanted, &node);
        } else {
            node = crdt_chain_find(map == NULL ? document->roots : last->value.block, wanted);
            if (node == NULL)
                status = add_type(document, map, wanted, &node);
        }
        if (status != CRDT_OK)
            return status;
        map = node;
    }
    *ret_node = map;
    return CRDT_OK;
}

enum crdt_status crdt_grow_element(struct crdt_document *document, struct crdt_node *set,
    struct crdt_bytes element, const crdt_packed_dot *dots, size_t count)
{
    const struct crdt_memory *memory = crdt_memory_of(document);
    struct crdt_dots *many = NULL;
    size_t many_bytes = sizeof *many + count * sizeof *dots;
    union crdt_value value = {.dot = dots[0]};
    struct crdt_key *key = crdt_key_new(memory, element);
    enum crdt_status status = key == NULL ? CRDT_ERR_NOMEM : CRDT_OK;
    if (status == CRDT_OK && count > 1) {
        many = crdt_memory_new(memory, many_bytes);
        if (many == NULL) {
            status = CRDT_ERR_NOMEM;
        } else {
            many->count = count;
            memcpy(many->dots, dots, count * sizeof *dots);
            value.block = many;
            key->has_many = 1;
        }
    }
    if (status == CRDT_OK)
        status = crdt_table_append(&set->table, &document->context, key, value);
    if (status != CRDT_OK) {
        crdt_memory_free(memory, many, many_bytes);
        crdt_key_free(memory, key);
    }
    return status;
}

enum crdt_status crdt_grow_finish(struct crdt_document *document)
{
    return index_chain(document, document->roots);
}
