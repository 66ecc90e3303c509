/* Registers: an assignment kills the values it has seen, so several live only
 * after concurrent ones. Read as last-writer-wins, greatest (hlc, origin, seq),
 * or all of them: the multi-value view of the same dots. */
#include "libcrdt/document/feeds.h"
#include "libcrdt/document/node.h"
#include "libcrdt/document/transaction.h"

enum crdt_status crdt_register_set(
    struct crdt_transaction *transaction, struct crdt_path path, struct crdt_bytes value)
{
    struct crdt_op op = {.code = CRDT_OP_PUT_REGISTER,
        .keys = path.keys,
        .key_count = path.count,
        .value = value,
        .hlc = crdt_transaction_stamp(transaction)};
    return crdt_transaction_write(transaction, &op);
}

/* Whether `a` wins over `b`. */
static bool wins(const struct crdt_document *document, const struct crdt_leaf_entry *a,
    const struct crdt_leaf_entry *b)
{
    if (a->stamp != b->stamp)
        return a->stamp > b->stamp;
    const struct crdt_feed_state *feeds = document->feeds.items;
    int order = crdt_origin_compare(
        &feeds[crdt_dot_feed(a->dot)].origin, &feeds[crdt_dot_feed(b->dot)].origin);
    return order != 0 ? order > 0 : crdt_dot_seq(a->dot) > crdt_dot_seq(b->dot);
}

/* The winner among those that the `rank` greatest ones beat; NULL past the last.
 * Cost: O(versions * (rank + 1)). */
static const struct crdt_leaf_entry *ranked(
    const struct crdt_document *document, const struct crdt_leaf *leaf, size_t rank)
{
    const struct crdt_leaf_entry *above = NULL;
    for (size_t found = 0; found <= rank && found < leaf->count; found++) {
        const struct crdt_leaf_entry *best = NULL;
        for (size_t i = 0; i < leaf->count; i++) {
            const struct crdt_leaf_entry *entry = &leaf->entries[i];
            if ((above == NULL || wins(document, above, entry)) &&
                (best == NULL || wins(document, entry, best)))
                best = entry;
        }
        above = best;
    }
    return rank < leaf->count ? above : NULL;
}

enum crdt_status crdt_register_version(const struct crdt_document *document,
    struct crdt_path path, size_t index, struct crdt_version *ret_version)
{
    const struct crdt_node *node = crdt_node_at(document, path, CRDT_REGISTER);
    const struct crdt_leaf_entry *entry =
        node == NULL ? NULL : ranked(document, &node->leaf, index);
    if (entry == NULL)
        return CRDT_ERR_NOT_FOUND;
    *ret_version = (struct crdt_version){.value = crdt_key_bytes(entry->value),
        .dot = {.origin = document->feeds.items[crdt_dot_feed(entry->dot)].origin,
            .seq = crdt_dot_seq(entry->dot)},
        .hlc = entry->stamp};
    return CRDT_OK;
}

enum crdt_status crdt_register_get(const struct crdt_document *document,
    struct crdt_path path, struct crdt_bytes *ret_value)
{
    const struct crdt_node *node = crdt_node_at(document, path, CRDT_REGISTER);
    if (node == NULL)
        return CRDT_ERR_NOT_FOUND;
    *ret_value = crdt_key_bytes(ranked(document, &node->leaf, 0)->value);
    return CRDT_OK;
}
