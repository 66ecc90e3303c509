/* The life of a document: open, close, and who writes in it. */
#include "libcrdt/document/document.h"

#include <assert.h>
#include <string.h>

#include "libcrdt/base/memory.h"
#include "libcrdt/document/feeds.h"
#include "libcrdt/document/node.h"
#include "libcrdt/document/open.h"
#include "libcrdt/document/pending.h"

const char *crdt_status_text(enum crdt_status status)
{
    switch (status) {
#define STATUS_TEXT(name, value, text) \
    case name:                         \
        return text;
        CRDT_STATUS_MAP(STATUS_TEXT)
#undef STATUS_TEXT
    }
    return "not a status";
}

struct crdt_path crdt_root(void)
{
    return (struct crdt_path){0};
}

void crdt_options_init(struct crdt_options *options)
{
    *options = (struct crdt_options){
        .keep_log = true, .pending_bytes_max = CRDT_PENDING_BYTES_DEFAULT};
}

enum crdt_status crdt_open(
    const struct crdt_options *options, struct crdt_document **ret_document)
{
    struct crdt_memory memory = crdt_memory_or_heap(&options->memory);
    struct crdt_document *document = crdt_memory_new(&memory, sizeof *document);
    if (document == NULL)
        return CRDT_ERR_NOMEM;
    *document = (struct crdt_document){.options = *options, .context = {.memory = memory}};
    memcpy(document->context.hash_seed, options->hash_seed, sizeof options->hash_seed);
    document->options.memory = memory;
    document->options.generation = 0;
    crdt_buffer_init(&document->open.body, &memory);
    crdt_buffer_init(&document->open.path, &memory);
    crdt_buffer_init(&document->changes, &memory);
    crdt_buffer_init(&document->sealed, &memory);
    if (options->generation != 0) {
        enum crdt_status status = crdt_set_generation(document, options->generation);
        if (status != CRDT_OK) {
            crdt_close(document);
            return status;
        }
    }
    *ret_document = document;
    return CRDT_OK;
}

void crdt_close(struct crdt_document *document)
{
    if (document == NULL)
        return;
    if (document->transaction.is_open)
        crdt_abort(&document->transaction);
    struct crdt_memory memory = document->context.memory;
    while (document->roots != NULL) {
        struct crdt_node *node = document->roots;
        document->roots = node->next;
        crdt_node_free(document, node);
    }
    crdt_open_close(document);
    crdt_pending_close(document);
    crdt_feeds_close(document);
    crdt_buffer_close(&document->changes);
    crdt_buffer_close(&document->sealed);
    crdt_memory_free(&memory, document->observed,
        document->observed_capacity * sizeof *document->observed);
    crdt_memory_free(&memory, document->journal.items,
        document->journal.capacity * sizeof *document->journal.items);
    crdt_memory_free(&memory, document, sizeof *document);
}

struct crdt_origin crdt_self(const struct crdt_document *document)
{
    struct crdt_origin origin = {.generation = document->generation};
    memcpy(origin.key, document->options.key, CRDT_KEY_BYTES);
    return origin;
}

enum crdt_status crdt_set_generation(struct crdt_document *document, uint64_t generation)
{
    if (generation == 0)
        return CRDT_ERR_RANGE;
    if (document->transaction.is_open)
        return CRDT_ERR_BUSY;
    struct crdt_origin origin = crdt_self(document);
    origin.generation = generation;
    bool has_records = document->open.record_count > 0;
    bool is_same = generation == document->generation;
    size_t feed;
    enum crdt_status status = crdt_feeds_ensure(document, &origin, &feed);
    if (status != CRDT_OK)
        return status;
    /* A batch cannot move into a history that has begun, nor can a FOLD, which
     * names contributions of its own origin. */
    if (has_records && !is_same &&
        (document->feeds.items[feed].seq > 0 || document->open.fold_count > 0))
        status = CRDT_ERR_BUSY;
    if (status == CRDT_OK && has_records && !is_same)
        status = crdt_open_move(document, feed);
    if (status != CRDT_OK) {
        crdt_journal_undo(document, 0);
        return status;
    }
    crdt_journal_finish(document);
    if (!is_same)
        document->previous_generation = document->generation;
    document->generation = generation;
    document->self = feed;
    document->has_amnesia = false;
    document->state_version++;
    return CRDT_OK;
}

/* ---- feeds, as others see them ---- */

size_t crdt_feed_count(const struct crdt_document *document)
{
    return document->feeds.count;
}

struct crdt_feed crdt_feed_at(const struct crdt_document *document, size_t index)
{
    assert(index < document->feeds.count);
    const struct crdt_feed_state *state = &document->feeds.items[index];
    struct crdt_feed feed = {.origin = state->origin, .seq = state->seq};
    memcpy(feed.head, state->head, CRDT_HASH_BYTES);
    return feed;
}

uint64_t crdt_applied(const struct crdt_document *document, const struct crdt_origin *origin)
{
    size_t feed = crdt_feeds_find(document, origin);
    return feed == CRDT_FEED_NONE ? 0 : document->feeds.items[feed].seq;
}

uint64_t crdt_acknowledged(const struct crdt_document *document, const struct crdt_origin *by,
    const struct crdt_origin *of)
{
    size_t by_feed = crdt_feeds_find(document, by);
    size_t of_feed = crdt_feeds_find(document, of);
    if (by_feed == CRDT_FEED_NONE || of_feed == CRDT_FEED_NONE)
        return 0;
    if (by_feed == of_feed)
        return document->feeds.items[by_feed].seq;
    return crdt_deps_seq(document->feeds.items[by_feed].deps, of_feed);
}
