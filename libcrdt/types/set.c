/* OR-Sets (Shapiro et al. 2011; Bieniusa et al. 2012) and flags: an add or
 * enable is a dot, a remove kills the dots it has seen. */
#include "libcrdt/document/node.h"
#include "libcrdt/document/transaction.h"

/* Makes an operation on one element: the path with the element as last key. */
static enum crdt_status write_element(struct crdt_transaction *transaction,
    enum crdt_op_code code, struct crdt_path path, struct crdt_bytes element)
{
    struct crdt_bytes keys[CRDT_DEPTH_MAX + 1];
    if (path.count > CRDT_DEPTH_MAX)
        return CRDT_ERR_LIMIT;
    for (size_t i = 0; i < path.count; i++)
        keys[i] = path.keys[i];
    keys[path.count] = element;
    struct crdt_op op = {.code = code, .keys = keys, .key_count = path.count + 1};
    return crdt_transaction_write(transaction, &op);
}

enum crdt_status crdt_set_add(
    struct crdt_transaction *transaction, struct crdt_path path, struct crdt_bytes element)
{
    return write_element(transaction, CRDT_OP_PUT_ELEMENT, path, element);
}

enum crdt_status crdt_set_remove(
    struct crdt_transaction *transaction, struct crdt_path path, struct crdt_bytes element)
{
    if (!crdt_set_contains(transaction->document, path, element))
        return CRDT_OK;
    return write_element(transaction, CRDT_OP_KILL_ELEMENT, path, element);
}

bool crdt_set_contains(
    const struct crdt_document *document, struct crdt_path path, struct crdt_bytes element)
{
    const struct crdt_node *set = crdt_node_at(document, path, CRDT_SET);
    return set != NULL &&
        crdt_table_find(&set->table, &document->context, element) != CRDT_TABLE_NONE;
}

enum crdt_status crdt_flag_enable(struct crdt_transaction *transaction, struct crdt_path path)
{
    struct crdt_op op = {
        .code = CRDT_OP_PUT_FLAG, .keys = path.keys, .key_count = path.count};
    return crdt_transaction_write(transaction, &op);
}

enum crdt_status crdt_flag_disable(struct crdt_transaction *transaction, struct crdt_path path)
{
    return crdt_remove(transaction, path, CRDT_FLAG);
}

bool crdt_flag_is_enabled(const struct crdt_document *document, struct crdt_path path)
{
    return crdt_node_at(document, path, CRDT_FLAG) != NULL;
}
