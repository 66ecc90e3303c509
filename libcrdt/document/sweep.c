/* Sweeping a subtree: every entry is asked for, from below, and what becomes
 * empty goes too. Depth is bounded by the wire's limit, so is the stack. */
#include <assert.h>

#include "libcrdt/base/memory.h"
#include "libcrdt/document/apply.h"
#include "libcrdt/document/node.h"

struct sweep {
    struct crdt_document *document;
    const struct crdt_document *other_document;
    crdt_dooms *dooms;
    const void *context;
};

struct frame {
    struct crdt_node *node;
    const struct crdt_node *other;
    size_t index;            /* items left to visit: the walk goes down             */
    struct crdt_node *chain; /* types of the item at hand left to visit             */
    struct crdt_node *other_chain;
};

static enum crdt_status sweep_leaf(
    const struct sweep *sweep, struct crdt_node *node, const struct crdt_node *other)
{
    enum crdt_status status = CRDT_OK;
    for (size_t i = node->leaf.count; i > 0 && status == CRDT_OK; i--)
        if (sweep->dooms(sweep->context, node, other, NULL, node->leaf.entries[i - 1].dot))
            status = crdt_leaf_take(sweep->document, node, i - 1);
    return status;
}

static enum crdt_status sweep_element(const struct sweep *sweep, struct crdt_node *node,
    const struct crdt_node *other, size_t index)
{
    const struct crdt_table_item *item = &node->table.items[index];
    const crdt_packed_dot *dots;
    size_t count = crdt_element_dots(item, &dots);
    size_t doomed = 0;
    for (size_t i = 0; i < count; i++)
        doomed += sweep->dooms(sweep->context, node, other, item->key, dots[i]);
    if (doomed == 0)
        return CRDT_OK;
    if (doomed == count)
        return crdt_element_set(sweep->document, node, index, NULL, 0);
    const struct crdt_memory *memory = crdt_memory_of(sweep->document);
    crdt_packed_dot *kept = crdt_memory_new(memory, count * sizeof *kept);
    if (kept == NULL)
        return CRDT_ERR_NOMEM;
    size_t kept_count = 0;
    for (size_t i = 0; i < count; i++)
        if (!sweep->dooms(sweep->context, node, other, item->key, dots[i]))
            kept[kept_count++] = dots[i];
    enum crdt_status status =
        crdt_element_set(sweep->document, node, index, kept, kept_count);
    crdt_memory_free(memory, kept, count * sizeof *kept);
    return status;
}

/* Sweeps a node that is no map. */
static enum crdt_status sweep_values(
    const struct sweep *sweep, struct crdt_node *node, const struct crdt_node *other)
{
    if (node->type != CRDT_SET)
        return sweep_leaf(sweep, node, other);
    enum crdt_status status = CRDT_OK;
    for (size_t i = node->table.count; i > 0 && status == CRDT_OK; i--)
        status = sweep_element(sweep, node, other, i - 1);
    return status;
}

/* Takes the map's next item in hand; false when there is none. */
static bool next_item(const struct sweep *sweep, struct frame *frame)
{
    if (frame->index == 0)
        return false;
    frame->index--;
    const struct crdt_table_item *item = &frame->node->table.items[frame->index];
    frame->chain = item->value.block;
    frame->other_chain = frame->other == NULL
        ? NULL
        : crdt_chain_under(sweep->other_document, frame->other, crdt_key_bytes(item->key));
    return true;
}

static struct frame frame_of(struct crdt_node *node, const struct crdt_node *other)
{
    return (struct frame){.node = node,
        .other = other,
        .index = node->type == CRDT_MAP ? node->table.count : 0};
}

enum crdt_status crdt_sweep(struct crdt_document *document, struct crdt_node *node,
    const struct crdt_node *other, const struct crdt_document *other_document,
    crdt_dooms *dooms, const void *context)
{
    const struct sweep sweep = {document, other_document, dooms, context};
    struct frame stack[CRDT_DEPTH_MAX + 1];
    size_t depth = 1;
    stack[0] = frame_of(node, other);
    enum crdt_status status = CRDT_OK;
    while (depth > 0 && status == CRDT_OK) {
        struct frame *frame = &stack[depth - 1];
        if (frame->chain != NULL) {
            struct crdt_node *child = frame->chain;
            frame->chain = child->next; /* the child may go                         */
            assert(depth <= CRDT_DEPTH_MAX);
            stack[depth++] =
                frame_of(child, crdt_chain_find(frame->other_chain, child->type));
            continue;
        }
        if (frame->node->type == CRDT_MAP && next_item(&sweep, frame))
            continue;
        if (frame->node->type != CRDT_MAP)
            status = sweep_values(&sweep, frame->node, frame->other);
        if (status == CRDT_OK && crdt_node_count(frame->node) == 0)
            status = depth == 1 ? crdt_node_take(document, frame->node)
                                : crdt_node_take_one(document, frame->node);
        depth--;
    }
    return status;
}
