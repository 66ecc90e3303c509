/* Maps, and what all types share: a map exists while anything under it lives,
 * so there is nothing to create; removing one kills what was seen under it. */
#include <assert.h>

#include "libcrdt/document/node.h"
#include "libcrdt/document/transaction.h"

enum crdt_status crdt_remove(
    struct crdt_transaction *transaction, struct crdt_path path, enum crdt_type type)
{
    const struct crdt_document *document = transaction->document;
    if (type > CRDT_MAP)
        return CRDT_ERR_RANGE;
    bool is_there = type == CRDT_ANY ? crdt_chain_at(document, path) != NULL
                                     : crdt_node_at(document, path, type) != NULL;
    if (!is_there)
        return CRDT_OK;
    struct crdt_op op = {.code = (enum crdt_op_code)((int)CRDT_OP_KILL + (int)type),
        .keys = path.keys,
        .key_count = path.count};
    return crdt_transaction_write(transaction, &op);
}

static unsigned types_of(const struct crdt_node *chain)
{
    unsigned types = 0;
    for (; chain != NULL; chain = chain->next)
        types |= 1u << chain->type;
    return types;
}

unsigned crdt_types(const struct crdt_document *document, struct crdt_path path)
{
    return types_of(crdt_chain_at(document, path));
}

size_t crdt_count(
    const struct crdt_document *document, struct crdt_path path, enum crdt_type type)
{
    const struct crdt_node *node = crdt_node_at(document, path, type);
    return node == NULL ? 0 : crdt_node_count(node);
}

struct crdt_iterator crdt_iterate(const struct crdt_document *document, struct crdt_path path,
    enum crdt_type type, uint64_t position)
{
    assert(type == CRDT_MAP || type == CRDT_SET);
    const struct crdt_node *node = crdt_node_at(document, path, type);
    struct crdt_iterator iterator = {.container = node};
    if (node != NULL)
        iterator.position = position < node->table.count ? position : node->table.count;
    return iterator;
}

bool crdt_next(struct crdt_iterator *iterator, struct crdt_item *ret_item)
{
    if (iterator->position == 0)
        return false;
    const struct crdt_node *node = iterator->container;
    assert(iterator->position <= node->table.count);
    const struct crdt_table_item *item = &node->table.items[--iterator->position];
    ret_item->key = crdt_key_bytes(item->key);
    ret_item->types = node->type == CRDT_MAP ? types_of(item->value.block) : 0;
    return true;
}
