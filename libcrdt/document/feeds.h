/* Feeds: who has written, how much of it is applied here (C), what the newest
 * batch of each is and depends on (tips), and the records still at hand (log
 * above L).
 *
 * An origin's entry is never forgotten (invariant I8). */
#ifndef LIBCRDT_DOCUMENT_FEEDS_H
#define LIBCRDT_DOCUMENT_FEEDS_H

#include "libcrdt/document/journal.h"

#define CRDT_FEED_NONE SIZE_MAX

/* The number of the origin's feed, or CRDT_FEED_NONE. O(log origins). */
size_t crdt_feeds_find(const struct crdt_document *document, const struct crdt_origin *origin);

/* The same, made if absent (journaled). LIMIT when there are too many. */
CRDT_MUST_CHECK enum crdt_status crdt_feeds_ensure(
    struct crdt_document *document, const struct crdt_origin *origin, size_t *ret_feed);

/* The `rank`-th feed in the order of origins. */
static inline size_t crdt_feeds_ranked(const struct crdt_document *document, size_t rank)
{
    return document->feeds.order[rank];
}

/* Where a feed comes to stand. `deps` is owned from then on, unless it fails. */
struct crdt_advance {
    size_t feed;
    bool has_skipped;         /* by a snapshot: not with the one batch that follows */
    uint64_t seq;
    const uint8_t *head;
    struct crdt_deps *deps;
};
/* Moves C and the tip of one feed forward (journaled); the head it had goes into
 * the ring of heads. `log` NULL or the whole batch to keep in the log. */
CRDT_MUST_CHECK enum crdt_status crdt_feeds_advance(struct crdt_document *document,
    const struct crdt_advance *advance, const struct crdt_batch *log);

/* For the journal. */
void crdt_feeds_retreat(struct crdt_document *document, struct crdt_journal_item *undo);
void crdt_feeds_remove_last(struct crdt_document *document);

/* What is remembered of a place in a feed. Batches are immutable, so where one
 * stands that came here, a history in which another one ends inside it is not
 * this history. */
enum crdt_place {
    CRDT_PLACE_KNOWN,         /* a batch ends there                                */
    CRDT_PLACE_FORGOTTEN,     /* older than the ring, skipped by a snapshot, or to come */
    CRDT_PLACE_INSIDE,        /* of a batch: none ends there                       */
};

/* Looks for a batch that ends at `seq`; with KNOWN gives the head after it. Of a
 * feed that is assumed to stand elsewhere nothing is said to be INSIDE: the ring
 * may be of another history than what is assumed. */
enum crdt_place crdt_feeds_head_at(
    const struct crdt_feed_state *feed, uint64_t seq, const uint8_t **ret_head);

/* Whether the batch, which C covers, can be of the history that was applied
 * here, as far as that is remembered. */
bool crdt_feeds_agrees(const struct crdt_feed_state *feed, const struct crdt_batch *batch);

/* Drops log items up to `seq` and raises the floor to what was dropped, or to
 * `seq` itself when `is_exact`. */
void crdt_feeds_drop(
    struct crdt_document *document, size_t feed, uint64_t seq, bool is_exact);

void crdt_feeds_close(struct crdt_document *document);

/* ---- deps ---- */

struct crdt_deps *crdt_deps_new(const struct crdt_document *document, size_t count);
/* Accepts NULL. */
void crdt_deps_free(const struct crdt_document *document, struct crdt_deps *deps);

/* The seq that `deps` has of a feed; 0: none. Accepts NULL. */
uint64_t crdt_deps_seq(const struct crdt_deps *deps, size_t feed);

/* The deps of an operation made now on top of `base` (NULL: none): all that is
 * applied of the other feeds. The order of `base` stays, new origins follow in
 * their order. Gives NULL when there are none. */
CRDT_MUST_CHECK enum crdt_status crdt_deps_current(const struct crdt_document *document,
    const struct crdt_deps *base, struct crdt_deps **ret_deps);

/* Appends `deps` as a difference to `base`: increases by index, then new origins. */
CRDT_MUST_CHECK enum crdt_status crdt_deps_write(const struct crdt_document *document,
    const struct crdt_deps *base, const struct crdt_deps *deps, struct crdt_buffer *buffer);

/* Hashes the head of every entry. Returns false when one is not known any more. */
bool crdt_deps_hash(const struct crdt_document *document, const struct crdt_deps *deps,
    uint8_t ret_hash[static CRDT_DEPS_HASH_BYTES]);

/* Whether these can be deps in the histories that were applied here: every entry
 * is where a batch can end, and their heads have the hash, if all are known. */
bool crdt_deps_agree(const struct crdt_document *document, const struct crdt_deps *deps,
    const uint8_t hash[static CRDT_DEPS_HASH_BYTES]);

#endif
