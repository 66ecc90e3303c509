/* Reading snapshots: nothing is believed that a correct writer would not write. */
#include <assert.h>
#include <string.h>

#include "libcrdt/base/buffer.h"
#include "libcrdt/base/memory.h"
#include "libcrdt/base/sort.h"
#include "libcrdt/document/batch.h"
#include "libcrdt/document/dot.h"
#include "libcrdt/document/grow.h"
#include "libcrdt/document/hash.h"
#include "libcrdt/document/node.h"
#include "libcrdt/document/snapshot.h"

struct loading {
    struct crdt_document *document;
    struct crdt_bytes input;
    struct crdt_path_reader path;
    enum crdt_type type;     /* of the value read last; CRDT_ANY: none yet          */
    struct crdt_sort_item *names; /* every dot read, to find one that stands twice  */
    size_t name_count;
    size_t name_capacity;
    crdt_packed_dot *dots;   /* of the element at hand                              */
    size_t dot_capacity;
    uint32_t *seen;          /* per feed: 1 + the last feed with deps on it         */
};

/* ---- tips ---- */

static enum crdt_status load_tip(struct loading *loading, const struct crdt_origin *before)
{
    struct crdt_dot dot;
    uint8_t head[CRDT_HASH_BYTES];
    enum crdt_status status = crdt_dot_read(&loading->input, &dot);
    if (status == CRDT_OK)
        status = crdt_exact_read(&loading->input, head, sizeof head);
    if (status == CRDT_OK && before != NULL && crdt_origin_compare(before, &dot.origin) >= 0)
        status = CRDT_ERR_MALFORMED;
    size_t index;
    if (status == CRDT_OK)
        status = crdt_feeds_ensure(loading->document, &dot.origin, &index);
    if (status != CRDT_OK)
        return status;
    struct crdt_feed_state *feed = &loading->document->feeds.items[index];
    feed->seq = dot.seq;
    feed->floor = dot.seq;
    memcpy(feed->head, head, sizeof head);
    return CRDT_OK;
}

static enum crdt_status load_deps(struct loading *loading, size_t own)
{
    struct crdt_feeds *feeds = &loading->document->feeds;
    uint64_t count;
    enum crdt_status status = crdt_read_uint(&loading->input, feeds->count - 1, &count);
    if (status != CRDT_OK || count == 0)
        return status;
    struct crdt_deps *deps = crdt_deps_new(loading->document, (size_t)count);
    if (deps == NULL)
        return CRDT_ERR_NOMEM;
    for (size_t i = 0; i < count && status == CRDT_OK; i++) {
        uint64_t index;
        uint64_t seq;
        status = crdt_read_uint(&loading->input, feeds->count - 1, &index);
        if (status == CRDT_OK)
            status = crdt_read_uint(&loading->input, feeds->items[index].seq, &seq);
        if (status == CRDT_OK && (seq == 0 || index == own))
            status = CRDT_ERR_MALFORMED;
        if (status == CRDT_OK && loading->seen[index] == own + 1)
            status = CRDT_ERR_MALFORMED;
        if (status != CRDT_OK)
            break;
        loading->seen[index] = (uint32_t)own + 1;
        deps->dots[i] = crdt_pack((size_t)index, seq);
    }
    if (status == CRDT_OK)
        feeds->items[own].deps = deps;
    else
        crdt_deps_free(loading->document, deps);
    return status;
}

static size_t seen_bytes_of(const struct loading *loading)
{
    return (loading->document->feeds.count + 1) * sizeof *loading->seen;
}

/* Feeds are numbered here as they are in the snapshot: sorted by origin. */
static enum crdt_status load_tips(struct loading *loading)
{
    uint64_t count;
    struct crdt_origin before;
    enum crdt_status status = crdt_read_uint(&loading->input, CRDT_ORIGINS_MAX, &count);
    for (size_t i = 0; status == CRDT_OK && i < count; i++) {
        status = load_tip(loading, i == 0 ? NULL : &before);
        if (status == CRDT_OK)
            before = loading->document->feeds.items[i].origin;
    }
    if (status != CRDT_OK)
        return status;
    size_t seen_bytes = seen_bytes_of(loading);
    loading->seen = crdt_memory_new(crdt_memory_of(loading->document), seen_bytes);
    if (loading->seen == NULL)
        return CRDT_ERR_NOMEM;
    memset(loading->seen, 0, seen_bytes);
    for (size_t i = 0; status == CRDT_OK && i < count; i++)
        status = load_deps(loading, i);
    return status;
}

/* ---- values ---- */

/* Whether the value at hand may follow the one before it: `shared` keys are
 * the same, `old` was the next one, if any. */
static bool is_in_order(const struct loading *loading, enum crdt_type type, size_t shared,
    size_t old_count, struct crdt_bytes old)
{
    if (loading->type == CRDT_ANY)
        return true;
    size_t count = loading->path.key_count;
    size_t old_depth = old_count - (loading->type == CRDT_SET);
    size_t depth = count - (type == CRDT_SET);
    int order = 0;
    if (shared < old_count && shared < count) {
        order = crdt_bytes_compare(old, loading->path.keys[shared]);
        if (order == 0)
            return false; /* more could have been shared                           */
    }
    if (shared < old_depth && shared < depth)
        return order < 0;
    if (old_depth != depth)
        return old_depth < depth;
    if (loading->type != type)
        return loading->type < type;
    return type == CRDT_SET && shared == depth && order < 0;
}

static enum crdt_status load_path(struct loading *loading, enum crdt_type type)
{
    struct crdt_bytes peek = loading->input;
    uint64_t shared;
    enum crdt_status status = crdt_read_uint(&peek, loading->path.key_count, &shared);
    if (status != CRDT_OK)
        return status;
    size_t old_count = loading->path.key_count;
    struct crdt_bytes old = {0};
    if (shared < old_count)
        old = loading->path.keys[shared];
    status = crdt_path_read(&loading->input, &loading->path);
    if (status != CRDT_OK)
        return status;
    if (type == CRDT_SET && loading->path.key_count == 0)
        return CRDT_ERR_MALFORMED;
    struct crdt_op limits = {.code = type == CRDT_SET ? CRDT_OP_PUT_ELEMENT : CRDT_OP_PUT_FLAG,
        .keys = loading->path.keys,
        .key_count = loading->path.key_count};
    if (crdt_op_check_limits(&limits) != CRDT_OK ||
        !is_in_order(loading, type, (size_t)shared, old_count, old))
        return CRDT_ERR_MALFORMED;
    return CRDT_OK;
}

static enum crdt_status load_dot(struct loading *loading, crdt_packed_dot *ret_dot)
{
    const struct crdt_feeds *feeds = &loading->document->feeds;
    uint64_t index;
    uint64_t seq;
    if (feeds->count == 0)
        return CRDT_ERR_MALFORMED;
    enum crdt_status status = crdt_read_uint(&loading->input, feeds->count - 1, &index);
    if (status == CRDT_OK)
        status = crdt_read_uint(&loading->input, feeds->items[index].seq, &seq);
    if (status != CRDT_OK)
        return status;
    if (seq == 0)
        return CRDT_ERR_MALFORMED;
    if (!crdt_array_reserve(crdt_memory_of(loading->document), &loading->names,
            &loading->name_capacity, loading->name_count + 1, sizeof *loading->names))
        return CRDT_ERR_NOMEM;
    *ret_dot = crdt_pack((size_t)index, seq);
    loading->names[loading->name_count++] = (struct crdt_sort_item){.rank = *ret_dot};
    return CRDT_OK;
}

static enum crdt_status load_amount(
    struct loading *loading, enum crdt_type type, struct crdt_leaf_entry *entry)
{
    uint64_t seq = crdt_dot_seq(entry->dot);
    uint64_t applied = loading->document->feeds.items[crdt_dot_feed(entry->dot)].seq;
    uint64_t later;
    enum crdt_status status = crdt_read_uint(&loading->input, applied - seq, &later);
    if (status == CRDT_OK)
        status = crdt_read_int(&loading->input, &entry->amount);
    if (status == CRDT_OK && type == CRDT_GCOUNTER && entry->amount < 0)
        status = CRDT_ERR_MALFORMED;
    if (status == CRDT_OK)
        entry->stamp = seq + later;
    return status;
}

static enum crdt_status load_leaf_entry(
    struct loading *loading, struct crdt_node *node, crdt_packed_dot dot)
{
    struct crdt_document *document = loading->document;
    struct crdt_leaf_entry entry = {.dot = dot};
    enum crdt_status status = CRDT_OK;
    if (crdt_type_is_counter(node->type))
        status = load_amount(loading, node->type, &entry);
    if (node->type == CRDT_REGISTER) {
        struct crdt_bytes value;
        status = crdt_read_uint(&loading->input, UINT64_MAX, &entry.stamp);
        if (status == CRDT_OK)
            status = crdt_read_bytes(&loading->input, CRDT_VALUE_BYTES_MAX, &value);
        if (status != CRDT_OK)
            return status;
        crdt_hlc_see(&document->hlc, entry.stamp);
        entry.value = crdt_key_new(crdt_memory_of(document), value);
        if (entry.value == NULL)
            return CRDT_ERR_NOMEM;
    }
    if (status == CRDT_OK)
        status = crdt_leaf_append(document, node, &entry);
    if (status != CRDT_OK && node->type == CRDT_REGISTER)
        crdt_key_free(crdt_memory_of(document), entry.value);
    return status;
}

static enum crdt_status keep_dot(struct loading *loading, size_t index, crdt_packed_dot dot)
{
    if (!crdt_array_reserve(crdt_memory_of(loading->document), &loading->dots,
            &loading->dot_capacity, index + 1, sizeof *loading->dots))
        return CRDT_ERR_NOMEM;
    loading->dots[index] = dot;
    return CRDT_OK;
}

static enum crdt_status load_value(struct loading *loading, enum crdt_type type)
{
    uint64_t count = 0;
    enum crdt_status status = load_path(loading, type);
    if (status == CRDT_OK)
        status = crdt_read_uint(&loading->input, CRDT_SEQ_MAX, &count);
    if (status == CRDT_OK && count == 0)
        status = CRDT_ERR_MALFORMED;
    struct crdt_node *node = NULL;
    if (status == CRDT_OK) {
        struct crdt_path path = {
            loading->path.keys, loading->path.key_count - (type == CRDT_SET)};
        status = crdt_grow_node(loading->document, path, type, &node);
    }
    crdt_packed_dot before = 0;
    for (uint64_t i = 0; i < count && status == CRDT_OK; i++) {
        crdt_packed_dot dot = 0;
        status = load_dot(loading, &dot);
        /* Feeds are numbered in the order of origins, so their numbers compare. */
        bool is_later = i == 0 ||
            crdt_dot_order(crdt_dot_feed(before), before) <
                crdt_dot_order(crdt_dot_feed(dot), dot);
        if (status == CRDT_OK && !is_later)
            status = CRDT_ERR_MALFORMED;
        if (status == CRDT_OK)
            status = type == CRDT_SET ? keep_dot(loading, (size_t)i, dot)
                                      : load_leaf_entry(loading, node, dot);
        before = dot;
    }
    if (status == CRDT_OK && type == CRDT_SET)
        status = crdt_grow_element(loading->document, node,
            loading->path.keys[loading->path.key_count - 1], loading->dots, (size_t)count);
    loading->type = type;
    return status;
}

static enum crdt_status check_names(struct loading *loading)
{
    enum crdt_status status = crdt_sort(crdt_memory_of(loading->document), loading->names,
        loading->name_count, NULL, NULL);
    for (size_t i = 1; i < loading->name_count && status == CRDT_OK; i++)
        if (loading->names[i].rank == loading->names[i - 1].rank)
            status = CRDT_ERR_MALFORMED;
    return status;
}

/* A snapshot that lost its end would claim that what it lost is dead: nothing
 * is believed before the hash of the whole agrees. */
static enum crdt_status check_seal(struct crdt_bytes snapshot, struct crdt_bytes rest)
{
    uint8_t hash[CRDT_HASH_BYTES];
    uint8_t expected[CRDT_HASH_BYTES];
    crdt_hash_bytes((struct crdt_bytes){snapshot.data, snapshot.size - rest.size}, expected);
    enum crdt_status status = crdt_exact_read(&rest, hash, sizeof hash);
    bool agrees = status == CRDT_OK && rest.size == 0 &&
        memcmp(hash, expected, sizeof hash) == 0;
    return agrees ? CRDT_OK : CRDT_ERR_MALFORMED;
}

static enum crdt_status load_values(struct loading *loading)
{
    for (;;) {
        uint64_t type;
        enum crdt_status status = crdt_read_uint(&loading->input, CRDT_FLAG, &type);
        if (status == CRDT_OK && type != CRDT_ANY)
            status = load_value(loading, (enum crdt_type)type);
        if (status != CRDT_OK)
            return status;
        if (type == CRDT_ANY)
            return crdt_grow_finish(loading->document);
    }
}

static void close_loading(struct loading *loading)
{
    const struct crdt_memory *memory = crdt_memory_of(loading->document);
    crdt_memory_free(memory, loading->names, loading->name_capacity * sizeof *loading->names);
    crdt_memory_free(memory, loading->dots, loading->dot_capacity * sizeof *loading->dots);
    crdt_memory_free(memory, loading->seen, seen_bytes_of(loading));
    crdt_memory_free(memory, loading, sizeof *loading);
}

enum crdt_status crdt_snapshot_read(struct crdt_document *document, struct crdt_bytes snapshot)
{
    assert(document->feeds.count == 0);
    struct loading *loading = crdt_memory_new(crdt_memory_of(document), sizeof *loading);
    if (loading == NULL)
        return CRDT_ERR_NOMEM;
    *loading = (struct loading){.document = document, .input = snapshot};
    enum crdt_status status = crdt_preamble_read(&loading->input, CRDT_ITEM_SNAPSHOT);
    if (status == CRDT_OK)
        status = load_tips(loading);
    if (status == CRDT_OK)
        status = load_values(loading);
    if (status == CRDT_OK)
        status = check_seal(snapshot, loading->input);
    if (status == CRDT_OK)
        status = check_names(loading);
    crdt_journal_finish(document);
    document->state_version++;
    close_loading(loading);
    return status;
}

enum crdt_status crdt_load(const struct crdt_options *options, struct crdt_bytes snapshot,
    struct crdt_document **ret_document)
{
    struct crdt_options readable = *options;
    readable.generation = 0;
    struct crdt_document *document;
    enum crdt_status status = crdt_open(&readable, &document);
    if (status != CRDT_OK)
        return status;
    status = crdt_snapshot_read(document, snapshot);
    if (status == CRDT_OK)
        *ret_document = document;
    else
        crdt_close(document);
    return status;
}
