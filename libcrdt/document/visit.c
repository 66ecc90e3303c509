/* The live entries, for whoever wants to see why the state is what it is. */
#include "libcrdt/document/feeds.h"
#include "libcrdt/document/walk.h"

struct visiting {
    const struct crdt_document *document;
    bool (*visit)(void *context, const struct crdt_entry *entry);
    void *context;
    bool has_stopped;
};

static enum crdt_status visit_value(void *context, const struct crdt_walked *walked)
{
    struct visiting *visiting = context;
    struct crdt_entry entry = {.type = walked->type,
        .path = {walked->keys, walked->key_count - walked->has_element}};
    if (walked->has_element)
        entry.element = &walked->keys[walked->key_count - 1];
    for (size_t i = 0; i < walked->count && !visiting->has_stopped; i++) {
        const struct crdt_leaf_entry *leaf = &walked->entries[i];
        entry.dot.origin = visiting->document->feeds.items[crdt_dot_feed(leaf->dot)].origin;
        entry.dot.seq = crdt_dot_seq(leaf->dot);
        entry.version = entry.dot.seq;
        if (crdt_type_is_counter(walked->type)) {
            entry.version = leaf->stamp;
            entry.amount = leaf->amount;
        } else if (walked->type == CRDT_REGISTER) {
            entry.hlc = leaf->stamp;
            entry.value = crdt_key_bytes(leaf->value);
        }
        visiting->has_stopped = !visiting->visit(visiting->context, &entry);
    }
    /* A walk ends early only by a failure; this one is not told to anybody. */
    return visiting->has_stopped ? CRDT_ERR_BUSY : CRDT_OK;
}

enum crdt_status crdt_visit(const struct crdt_document *document, struct crdt_path path,
    bool (*visit)(void *context, const struct crdt_entry *entry), void *context)
{
    struct visiting visiting = {.document = document, .visit = visit, .context = context};
    enum crdt_status status = crdt_walk(document, path, true, visit_value, &visiting);
    return visiting.has_stopped ? CRDT_OK : status;
}
