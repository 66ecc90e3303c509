#include "libcrdt/document/node.h"

#include <assert.h>

#include "libcrdt/base/memory.h"
#include "libcrdt/document/journal.h"

struct crdt_node *crdt_chain_find(struct crdt_node *chain, enum crdt_type type)
{
    while (chain != NULL && chain->type != type)
        chain = chain->next;
    return chain;
}

struct crdt_node *crdt_chain_under(const struct crdt_document *document,
    const struct crdt_node *map, struct crdt_bytes key)
{
    assert(map->type == CRDT_MAP);
    size_t index = crdt_table_find(&map->table, &document->context, key);
    return index == CRDT_TABLE_NONE ? NULL : map->table.items[index].value.block;
}

struct crdt_node *crdt_chain_at(const struct crdt_document *document, struct crdt_path path)
{
    struct crdt_node *chain = document->roots;
    for (size_t i = 0; i < path.count && chain != NULL; i++) {
        const struct crdt_node *map = crdt_chain_find(chain, CRDT_MAP);
        chain = map == NULL ? NULL : crdt_chain_under(document, map, path.keys[i]);
    }
    return chain;
}

struct crdt_node *crdt_node_at(
    const struct crdt_document *document, struct crdt_path path, enum crdt_type type)
{
    return crdt_chain_find(crdt_chain_at(document, path), type);
}

size_t crdt_node_count(const struct crdt_node *node)
{
    return crdt_node_is_table(node) ? node->table.count : node->leaf.count;
}

/* Makes a node and hangs it under (map, key); `map` NULL means the root. `index`
 * is that of the key in the map, or CRDT_TABLE_NONE. */
static enum crdt_status add_node(struct crdt_document *document, struct crdt_node *map,
    size_t index, struct crdt_bytes key_bytes, enum crdt_type type, struct crdt_node **ret_node)
{
    const struct crdt_memory *memory = crdt_memory_of(document);
    enum crdt_status status = crdt_journal_reserve(document, 1);
    if (status != CRDT_OK)
        return status;
    struct crdt_node *node = crdt_memory_new(memory, sizeof *node);
    if (node == NULL)
        return CRDT_ERR_NOMEM;
    *node = (struct crdt_node){.parent = map, .type = type};
    if (map == NULL) {
        node->next = document->roots;
        document->roots = node;
    } else if (index != CRDT_TABLE_NONE) {
        struct crdt_table_item *item = &map->table.items[index];
        node->next = item->value.block;
        node->key = item->key;
        item->value.block = node;
    } else {
        node->key = crdt_key_new(memory, key_bytes);
        status = node->key == NULL
            ? CRDT_ERR_NOMEM
            : crdt_table_add(&map->table, &document->context, node->key,
                  (union crdt_value){.block = node});
        if (status != CRDT_OK) {
            crdt_key_free(memory, node->key);
            crdt_memory_free(memory, node, sizeof *node);
            return status;
        }
    }
    crdt_journal_add(
        document, &(struct crdt_journal_item){.kind = CRDT_JOURNAL_NODE_ADDED, .node = node});
    *ret_node = node;
    return CRDT_OK;
}

enum crdt_status crdt_node_ensure(struct crdt_document *document, struct crdt_path path,
    enum crdt_type type, struct crdt_node **ret_node)
{
    struct crdt_node *map = NULL;
    struct crdt_node *chain = document->roots;
    struct crdt_bytes key = {0};
    size_t index = CRDT_TABLE_NONE;
    for (size_t i = 0; i <= path.count; i++) {
        enum crdt_type wanted = i == path.count ? type : CRDT_MAP;
        struct crdt_node *node = crdt_chain_find(chain, wanted);
        if (node == NULL) {
            enum crdt_status status = add_node(document, map, index, key, wanted, &node);
            if (status != CRDT_OK)
                return status;
        }
        map = node;
        if (i < path.count) {
            key = path.keys[i];
            index = crdt_table_find(&map->table, &document->context, key);
            chain = index == CRDT_TABLE_NONE ? NULL : map->table.items[index].value.block;
        }
    }
    *ret_node = map;
    return CRDT_OK;
}

enum crdt_status crdt_node_take_one(struct crdt_document *document, struct crdt_node *node)
{
    enum crdt_status status = crdt_journal_reserve(document, 1);
    if (status != CRDT_OK)
        return status;
    struct crdt_journal_item undo = {.kind = CRDT_JOURNAL_NODE_TAKEN, .node = node};
    struct crdt_node *map = node->parent;
    size_t index = map == NULL
        ? CRDT_TABLE_NONE
        : crdt_table_find(&map->table, &document->context, crdt_key_bytes(node->key));
    struct crdt_node *first = map == NULL ? document->roots : map->table.items[index].value.block;
    if (map != NULL && first == node && node->next == NULL) {
        undo.index = index;
        undo.item = crdt_table_take(&map->table, &document->context, index);
    } else if (first == node) {
        if (map == NULL)
            document->roots = node->next;
        else
            map->table.items[index].value.block = node->next;
    } else {
        struct crdt_node *before = first;
        while (before->next != node)
            before = before->next;
        before->next = node->next;
    }
    node->next = NULL;
    crdt_journal_add(document, &undo);
    return CRDT_OK;
}

enum crdt_status crdt_node_take(struct crdt_document *document, struct crdt_node *node)
{
    struct crdt_node *map = node->parent;
    enum crdt_status status = crdt_node_take_one(document, node);
    while (status == CRDT_OK && map != NULL && map->table.count == 0) {
        struct crdt_node *above = map->parent;
        status = crdt_node_take_one(document, map);
        map = above;
    }
    return status;
}

enum crdt_status crdt_node_prune(struct crdt_document *document, struct crdt_node *node)
{
    return crdt_node_count(node) > 0 ? CRDT_OK : crdt_node_take(document, node);
}

static void free_leaf(struct crdt_document *document, struct crdt_node *node)
{
    const struct crdt_memory *memory = crdt_memory_of(document);
    struct crdt_leaf *leaf = &node->leaf;
    if (node->type == CRDT_REGISTER)
        for (size_t i = 0; i < leaf->count; i++)
            crdt_key_free(memory, leaf->entries[i].value);
    crdt_memory_free(memory, leaf->entries, leaf->capacity * sizeof *leaf->entries);
}

static void free_elements(struct crdt_document *document, struct crdt_node *node)
{
    const struct crdt_memory *memory = crdt_memory_of(document);
    for (size_t i = 0; i < node->table.count; i++) {
        struct crdt_table_item *item = &node->table.items[i];
        if (item->key->has_many) {
            struct crdt_dots *many = item->value.block;
            crdt_memory_free(memory, many, sizeof *many + many->count * sizeof many->dots[0]);
        }
        crdt_key_free(memory, item->key);
    }
    crdt_table_close(&node->table, &document->context);
}

/* Takes the last child out of a map, on the way of freeing it from below. */
static struct crdt_node *pop_child(struct crdt_document *document, struct crdt_node *map)
{
    struct crdt_table_item *item = &map->table.items[map->table.count - 1];
    struct crdt_node *child = item->value.block;
    item->value.block = child->next;
    if (item->value.block == NULL) {
        crdt_key_free(crdt_memory_of(document), item->key);
        map->table.count--;
    }
    return child;
}

void crdt_node_free(struct crdt_document *document, struct crdt_node *node)
{
    if (node == NULL)
        return;
    node->parent = NULL;
    while (node != NULL) {
        struct crdt_node *next = node->parent;
        if (node->type == CRDT_MAP && node->table.count > 0) {
            next = pop_child(document, node);
            next->parent = node;
        } else {
            if (node->type == CRDT_MAP)
                crdt_table_close(&node->table, &document->context);
            else if (node->type == CRDT_SET)
                free_elements(document, node);
            else
                free_leaf(document, node);
            crdt_memory_free(crdt_memory_of(document), node, sizeof *node);
        }
        node = next;
    }
}
