/* Digests: of the context, of the heads, and of the state itself. */
#include <string.h>

#include "libcrdt/base/buffer.h"
#include "libcrdt/document/feeds.h"
#include "libcrdt/document/hash.h"
#include "libcrdt/document/open.h"
#include "libcrdt/document/snapshot.h"

static void hash_feeds(const struct crdt_document *document, struct crdt_digest *digest)
{
    struct crdt_hash context;
    struct crdt_hash heads;
    crdt_hash_init(&context, CRDT_HASH_BYTES);
    crdt_hash_init(&heads, CRDT_HASH_BYTES);
    for (size_t rank = 0; rank < document->feeds.count; rank++) {
        const struct crdt_feed_state *feed =
            &document->feeds.items[crdt_feeds_ranked(document, rank)];
        if (feed->seq == 0)
            continue;
        crdt_hash_add_origin(&context, &feed->origin);
        crdt_hash_add_number(&context, feed->seq);
        crdt_hash_add_origin(&heads, &feed->origin);
        crdt_hash_add_number(&heads, feed->seq);
        crdt_hash_add(&heads, feed->head, CRDT_HASH_BYTES);
    }
    crdt_hash_finish(&context, digest->context, CRDT_HASH_BYTES);
    crdt_hash_finish(&heads, digest->heads, CRDT_HASH_BYTES);
}

enum crdt_status crdt_context_digest(
    struct crdt_document *document, struct crdt_digest *ret_digest)
{
    if (document->transaction.is_open)
        return CRDT_ERR_BUSY;
    struct crdt_bytes sealed;
    enum crdt_status status = crdt_open_seal(document, &sealed);
    if (status != CRDT_OK)
        return status;
    struct crdt_digest digest = {0};
    hash_feeds(document, &digest);
    *ret_digest = digest;
    return CRDT_OK;
}

/* The hash of the state is that of what a snapshot says of it. */
static enum crdt_status hash_state(struct crdt_document *document)
{
    struct crdt_hash hash;
    struct crdt_buffer buffer;
    crdt_hash_init(&hash, CRDT_HASH_BYTES);
    crdt_buffer_init(&buffer, &document->context.memory);
    enum crdt_status status = crdt_state_write(document, &buffer, &hash);
    crdt_buffer_close(&buffer);
    if (status != CRDT_OK)
        return status;
    crdt_hash_finish(&hash, document->digest, CRDT_HASH_BYTES);
    document->has_digest = true;
    document->digest_version = document->state_version;
    return CRDT_OK;
}

enum crdt_status crdt_digest(struct crdt_document *document, struct crdt_digest *ret_digest)
{
    struct crdt_digest digest;
    enum crdt_status status = crdt_context_digest(document, &digest);
    bool is_current =
        document->has_digest && document->digest_version == document->state_version;
    if (status == CRDT_OK && !is_current)
        status = hash_state(document);
    if (status != CRDT_OK)
        return status;
    memcpy(digest.state, document->digest, CRDT_HASH_BYTES);
    *ret_digest = digest;
    return CRDT_OK;
}
