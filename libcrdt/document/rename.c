/* The open batch under another generation: as it would have been, had that one
 * made it. What the old one had sealed is now something that it depends on. */
#include <string.h>

#include "libcrdt/document/feeds.h"
#include "libcrdt/document/node.h"
#include "libcrdt/document/open.h"

struct rename {
    size_t from;
    size_t to;
    uint64_t first_seq;
};

static crdt_packed_dot renamed(const struct rename *rename, crdt_packed_dot dot)
{
    uint64_t seq = crdt_dot_seq(dot);
    if (crdt_dot_feed(dot) != rename->from || seq < rename->first_seq)
        return dot;
    return crdt_pack(rename->to, seq - rename->first_seq + 1);
}

static void rename_values(const struct rename *rename, struct crdt_node *node)
{
    if (node->type != CRDT_SET) {
        for (size_t i = 0; i < node->leaf.count; i++) {
            struct crdt_leaf_entry *entry = &node->leaf.entries[i];
            entry->dot = renamed(rename, entry->dot);
            if (crdt_type_is_counter(node->type) && entry->stamp >= rename->first_seq &&
                crdt_dot_feed(entry->dot) == rename->to)
                entry->stamp = crdt_dot_seq(entry->dot);
        }
        return;
    }
    for (size_t i = 0; i < node->table.count; i++) {
        struct crdt_table_item *item = &node->table.items[i];
        if (!item->key->has_many) {
            item->value.dot = renamed(rename, item->value.dot);
            continue;
        }
        struct crdt_dots *many = item->value.block;
        for (size_t j = 0; j < many->count; j++)
            many->dots[j] = renamed(rename, many->dots[j]);
    }
}

static void rename_all(struct crdt_document *document, size_t feed)
{
    struct rename rename = {document->self, feed, crdt_open_first_seq(document)};
    struct {
        struct crdt_node *chain;
        const struct crdt_node *map;
        size_t index;
    } stack[CRDT_DEPTH_MAX + 2];
    size_t depth = 1;
    stack[0].chain = document->roots;
    stack[0].map = NULL;
    stack[0].index = 0;
    while (depth > 0) {
        struct crdt_node *node = stack[depth - 1].chain;
        if (node != NULL) {
            stack[depth - 1].chain = node->next;
            if (node->type != CRDT_MAP) {
                rename_values(&rename, node);
                continue;
            }
            stack[depth].chain = NULL;
            stack[depth].map = node;
            stack[depth].index = node->table.count;
            depth++;
        } else if (stack[depth - 1].index > 0) {
            size_t index = --stack[depth - 1].index;
            stack[depth - 1].chain = stack[depth - 1].map->table.items[index].value.block;
        } else {
            depth--;
        }
    }
}

enum crdt_status crdt_open_move(struct crdt_document *document, size_t feed)
{
    struct crdt_open *open = &document->open;
    uint64_t old_seq = document->feeds.items[document->self].seq;
    uint64_t first_seq = crdt_open_first_seq(document);
    size_t count = open->deps == NULL ? 0 : open->deps->count;
    struct crdt_deps *deps = NULL;
    if (count + (old_seq > 0) > 0) {
        deps = crdt_deps_new(document, count + (old_seq > 0));
        if (deps == NULL)
            return CRDT_ERR_NOMEM;
        for (size_t i = 0; i < count; i++)
            deps->dots[i] = open->deps->dots[i];
        if (old_seq > 0)
            deps->dots[count] = crdt_pack(document->self, old_seq);
    }
    uint8_t hash[CRDT_DEPS_HASH_BYTES];
    if (!crdt_deps_hash(document, deps, hash)) {
        crdt_deps_free(document, deps);
        return CRDT_ERR_BUSY;
    }
    memcpy(open->deps_hash, hash, sizeof hash);
    crdt_deps_free(document, open->deps);
    open->deps = deps;
    open->has_current_deps = false;
    for (size_t i = 0; i < open->amount_count; i++)
        open->amounts[i].seq -= first_seq - 1;
    rename_all(document, feed);
    return CRDT_OK;
}
