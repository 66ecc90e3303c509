/* The journal: how to take the change at hand back.
 *
 * Every primitive change of a document first makes room here, then happens and
 * is written down, so that a failure later on undoes it without allocating. What
 * a change takes out of the tree is kept here until the change is final.
 */
#ifndef LIBCRDT_DOCUMENT_JOURNAL_H
#define LIBCRDT_DOCUMENT_JOURNAL_H

#include "libcrdt/document/document.h"

enum crdt_journal_kind {
    CRDT_JOURNAL_NODE_ADDED,
    CRDT_JOURNAL_NODE_TAKEN,
    CRDT_JOURNAL_ELEMENT_ADDED,
    CRDT_JOURNAL_ELEMENT_TAKEN,
    CRDT_JOURNAL_ELEMENT_SET,
    CRDT_JOURNAL_LEAF_ADDED,
    CRDT_JOURNAL_LEAF_TAKEN,
    CRDT_JOURNAL_LEAF_SET,
    CRDT_JOURNAL_AMOUNT_SET,
    CRDT_JOURNAL_OPEN_DEPS,
    CRDT_JOURNAL_FEED_ADDED,
    CRDT_JOURNAL_FEED_ADVANCED,
};

struct crdt_journal_item {
    enum crdt_journal_kind kind;
    bool had_many;            /* ELEMENT_SET: the old value was a list             */
    bool has_logged;          /* FEED_ADVANCED: a log item was added               */
    bool had_deps;            /* OPEN_DEPS                                         */
    struct crdt_node *node;   /* what it happened to                               */
    size_t index;             /* of the item, entry, amount or feed                */
    union {
        struct crdt_table_item item;   /* ELEMENT_*; NODE_TAKEN: with its key, or none */
        struct crdt_leaf_entry entry;  /* LEAF_TAKEN, LEAF_SET                     */
        int64_t amount;                /* AMOUNT_SET                               */
        struct {
            struct crdt_deps *deps;    /* the old ones                             */
            uint8_t hash[CRDT_DEPS_HASH_BYTES];
        } open;
        struct {
            struct crdt_deps *deps;    /* the old tip                              */
            uint64_t seq;
            struct crdt_head overwritten; /* what the ring of heads lost           */
            uint8_t head[CRDT_HASH_BYTES];
        } feed;
    };
};

/* Makes room for `count` more items. */
CRDT_MUST_CHECK enum crdt_status crdt_journal_reserve(
    struct crdt_document *document, size_t count);

/* Writes an item down; room was made. */
void crdt_journal_add(struct crdt_document *document, const struct crdt_journal_item *item);

/* Whether the newest item says that this node was added. */
bool crdt_journal_has_just_added(
    const struct crdt_document *document, const struct crdt_node *node);

/* Undoes everything after the first `count` items, newest first. */
void crdt_journal_undo(struct crdt_document *document, size_t count);

/* The change is final: frees what it took out and forgets how to undo it. */
void crdt_journal_finish(struct crdt_document *document);

#endif
