/* Counters: the sum of live contributions. An increment adds one and kills
 * nothing; a reset kills the contributions it has seen, so what was added
 * meanwhile stays (Weidner, Almeida 2022: observed-reset). */
#include "libcrdt/document/node.h"
#include "libcrdt/document/open.h"
#include "libcrdt/document/transaction.h"

/* This origin's contribution that the open batch made and that is still whole:
 * increments share it. SIZE_MAX when there is none. */
static size_t find_open_contribution(
    const struct crdt_document *document, const struct crdt_node *node)
{
    if (node == NULL || document->open.amount_count == 0)
        return SIZE_MAX;
    uint64_t first_seq = crdt_open_first_seq(document);
    for (size_t i = node->leaf.count; i > 0; i--) {
        const struct crdt_leaf_entry *entry = &node->leaf.entries[i - 1];
        uint64_t seq = crdt_dot_seq(entry->dot);
        /* New ones stand behind old ones. Where a removal changed that, the
         * increment has a record of its own. */
        if (crdt_dot_feed(entry->dot) == document->self)
            return seq >= first_seq && entry->stamp == seq ? i - 1 : SIZE_MAX;
    }
    return SIZE_MAX;
}

static enum crdt_status add(struct crdt_transaction *transaction, struct crdt_path path,
    enum crdt_op_code code, int64_t amount)
{
    const struct crdt_document *document = transaction->document;
    struct crdt_op op = {
        .code = code, .keys = path.keys, .key_count = path.count, .amount = amount};
    struct crdt_node *node = crdt_node_at(document, path, crdt_op_type(code));
    size_t index = find_open_contribution(document, node);
    if (index != SIZE_MAX) {
        enum crdt_status status = crdt_transaction_add_to(transaction, &op, node, index);
        if (status != CRDT_ERR_RANGE)
            return status;
    }
    return crdt_transaction_write(transaction, &op);
}

enum crdt_status crdt_counter_add(
    struct crdt_transaction *transaction, struct crdt_path path, int64_t amount)
{
    return add(transaction, path, CRDT_OP_ADD_COUNTER, amount);
}

enum crdt_status crdt_gcounter_add(
    struct crdt_transaction *transaction, struct crdt_path path, int64_t amount)
{
    if (amount < 0)
        return CRDT_ERR_RANGE;
    return add(transaction, path, CRDT_OP_ADD_GCOUNTER, amount);
}

enum crdt_status crdt_counter_fold(struct crdt_transaction *transaction, struct crdt_path path,
    enum crdt_type type, uint64_t after, uint64_t seq)
{
    const struct crdt_document *document = transaction->document;
    if (!crdt_type_is_counter(type))
        return CRDT_ERR_RANGE;
    const struct crdt_node *node = crdt_node_at(document, path, type);
    struct crdt_sum sum = {0};
    size_t count = 0;
    uint64_t least = UINT64_MAX;
    uint64_t greatest = 0;
    for (size_t i = 0; node != NULL && i < node->leaf.count; i++) {
        const struct crdt_leaf_entry *entry = &node->leaf.entries[i];
        uint64_t name = crdt_dot_seq(entry->dot);
        if (crdt_dot_feed(entry->dot) != document->self || name <= after || name > seq)
            continue;
        sum = crdt_sum_add(sum, entry->amount);
        count++;
        least = name < least ? name : least;
        greatest = name > greatest ? name : greatest;
    }
    struct crdt_op op = {
        .code = type == CRDT_COUNTER ? CRDT_OP_FOLD_COUNTER : CRDT_OP_FOLD_GCOUNTER,
        .keys = path.keys,
        .key_count = path.count,
        .fold_from = least,
        .fold_seq = greatest};
    if (count < 2 || crdt_sum_int64(sum, &op.amount) != CRDT_OK)
        return CRDT_OK;
    return crdt_transaction_write(transaction, &op);
}

struct crdt_sum crdt_counter_sum(
    const struct crdt_document *document, struct crdt_path path, enum crdt_type type)
{
    const struct crdt_node *node = NULL;
    if (crdt_type_is_counter(type))
        node = crdt_node_at(document, path, type);
    return node == NULL ? (struct crdt_sum){0} : node->leaf.sum;
}

int64_t crdt_counter_value(const struct crdt_document *document, struct crdt_path path)
{
    struct crdt_sum sum = crdt_counter_sum(document, path, CRDT_COUNTER);
    int64_t value;
    if (crdt_sum_int64(sum, &value) == CRDT_OK)
        return value;
    return sum.high < 0 ? INT64_MIN : INT64_MAX;
}
