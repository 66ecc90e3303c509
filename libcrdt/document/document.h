/* What a document is made of. Everything in this storey works on it.
 *
 *     feeds    the context C, the tip of every feed, the log
 *     tree     the live entries S
 *     journal  how to take the change at hand back
 *     open     the open batch: own records that are in S and not yet in C
 *     pending  batches that came early
 */
#ifndef LIBCRDT_DOCUMENT_DOCUMENT_H
#define LIBCRDT_DOCUMENT_DOCUMENT_H

#include <crdt.h>

#include "libcrdt/base/table.h"
#include "libcrdt/clock/hlc.h"

/* Heads kept of every feed, to check what others say they depended on: they
 * lag behind by some batches in flight. 48 bytes each. */
#define CRDT_HEADS_KEPT_MAX 128

/* The hash over the heads of deps is cut to this. */
#define CRDT_DEPS_HASH_BYTES 16

/* ---- dots, packed ---- */

/* A dot inside a document: seq in the upper 48 bits, the index of the feed in
 * the lower 16. */
typedef uint64_t crdt_packed_dot;

static inline crdt_packed_dot crdt_pack(size_t feed, uint64_t seq)
{
    return seq << 16 | (uint64_t)feed;
}

static inline size_t crdt_dot_feed(crdt_packed_dot dot)
{
    return (size_t)(dot & 0xffff);
}

static inline uint64_t crdt_dot_seq(crdt_packed_dot dot)
{
    return dot >> 16;
}

/* A number that orders dots by feed, given its rank, then seq. */
static inline uint64_t crdt_dot_order(size_t rank, crdt_packed_dot dot)
{
    return (uint64_t)rank << 48 | crdt_dot_seq(dot);
}

static inline bool crdt_type_is_counter(enum crdt_type type)
{
    return type == CRDT_COUNTER || type == CRDT_GCOUNTER;
}

/* ---- feeds ---- */

/* The deps of a feed's newest batch, in the feed's own order of origins. */
struct crdt_deps {
    size_t count;
    crdt_packed_dot dots[];
};

struct crdt_log_item {
    uint64_t first_seq;
    uint64_t last_seq;
    uint64_t place; /* order of application here: a causal order                  */
    uint8_t *bytes;
    size_t size;
};

struct crdt_head {
    uint64_t seq;
    uint64_t first_seq;       /* of the batch that ends there; 0: it never came    */
    uint8_t hash[CRDT_HASH_BYTES];
};

struct crdt_feed_state {
    struct crdt_origin origin;
    uint64_t seq;             /* C                                                 */
    uint64_t first_seq;       /* of the batch of `head`; 0: a snapshot skipped it  */
    bool is_assumed;          /* `seq` and `head` are for a question: feeds.h      */
    uint64_t floor;           /* L                                                 */
    uint8_t head[CRDT_HASH_BYTES];
    struct crdt_deps *deps;   /* NULL: none                                        */
    struct crdt_log_item *log; /* above the floor, by seq                          */
    size_t log_count;
    size_t log_capacity;
    struct crdt_head *heads;  /* the newest ones before `head`, a ring             */
    size_t head_count;        /* ever put in                                       */
    size_t head_capacity;
};

struct crdt_feeds {
    struct crdt_feed_state *items; /* numbered in order of appearance              */
    size_t count;
    size_t capacity;
    uint16_t *order;          /* their numbers, sorted by origin                   */
    size_t order_capacity;
    uint64_t version;         /* counts every advance of C                         */
    uint64_t place;           /* of the newest batch applied                       */
};

/* ---- the tree ---- */

/* One live dot of a register, counter or flag. */
struct crdt_leaf_entry {
    crdt_packed_dot dot;
    uint64_t stamp;           /* register: hlc; counter: version                   */
    union {
        int64_t amount;       /* counter                                           */
        struct crdt_key *value; /* register; owned                                 */
    };
};

struct crdt_leaf {
    struct crdt_leaf_entry *entries;
    size_t count;
    size_t capacity;
    struct crdt_sum sum;      /* counter: of all amounts                           */
};

/* The several dots of one element that was added concurrently. */
struct crdt_dots {
    size_t count;
    crdt_packed_dot dots[];
};

/* A value of one type under one key. MAP: items' values are the first node of
 * the key's chain, one node per type. SET: items' values are dots. */
struct crdt_node {
    struct crdt_node *next;   /* another type under the same key                   */
    struct crdt_node *parent; /* the map; NULL at the root                         */
    struct crdt_key *key;     /* under the parent, owned by the item; NULL at the root */
    enum crdt_type type;
    union {
        struct crdt_table table; /* MAP, SET                                       */
        struct crdt_leaf leaf;   /* REGISTER, COUNTER, GCOUNTER, FLAG              */
    };
};

static inline bool crdt_node_is_table(const struct crdt_node *node)
{
    return node->type == CRDT_MAP || node->type == CRDT_SET;
}

/* ---- the open batch ---- */

/* An increment of the open batch: its amount is put into the body when the
 * batch closes, since later increments still add to it. */
struct crdt_open_amount {
    uint64_t seq;
    size_t offset;            /* where in the body the amount belongs              */
    int64_t amount;
};

struct crdt_open {
    struct crdt_buffer body;  /* records and marks, without the amounts            */
    struct crdt_open_amount *amounts; /* by seq                                    */
    size_t amount_count;
    size_t amount_capacity;
    size_t record_count;
    size_t fold_count;
    uint64_t hlc;             /* of the last register put in this batch            */
    struct crdt_buffer path;  /* the bytes of the last record's keys               */
    size_t path_sizes[CRDT_DEPTH_MAX + 1];
    size_t path_count;
    struct crdt_deps *deps;   /* at the last mark; NULL: none                      */
    uint8_t deps_hash[CRDT_DEPS_HASH_BYTES];
    uint64_t feeds_version;   /* of the feeds when `deps` was taken                */
    bool has_deps;            /* `deps` was taken at all                           */
    bool has_current_deps;    /* and then `feeds_version` tells its age            */
};

/* Where the open batch stood, to cut it back to. */
struct crdt_open_mark {
    size_t body_size;
    size_t amount_count;
    size_t record_count;
    size_t fold_count;
    uint64_t hlc;
};

/* ---- the journal ---- */

struct crdt_journal_item;

struct crdt_journal {
    struct crdt_journal_item *items;
    size_t count;
    size_t capacity;
};

/* ---- pending ---- */

struct crdt_pending_item {
    struct crdt_origin origin;
    uint64_t first_seq;
    uint8_t *bytes;
    size_t size;
    struct crdt_dot missing;  /* found last: cannot be applied before this is       */
    bool is_new;              /* came with the merge at hand                        */
    bool is_refused;          /* its predecessors came and it contradicts them      */
};

struct crdt_pending {
    struct crdt_pending_item **items; /* sorted by (origin, first_seq)             */
    size_t count;
    size_t capacity;
    size_t bytes;
};

/* ---- the document ---- */

struct crdt_transaction {
    struct crdt_document *document;
    bool is_open;
    struct crdt_open_mark before; /* what the open batch had when it began         */
};

struct crdt_document {
    struct crdt_options options;
    struct crdt_table_context context; /* memory and hash seed                     */
    struct crdt_feeds feeds;
    struct crdt_node *roots;  /* one node per type at the empty path               */
    struct crdt_open open;
    struct crdt_journal journal;
    struct crdt_pending pending;
    struct crdt_transaction transaction;
    struct crdt_hlc hlc;
    struct crdt_buffer changes; /* records of the transaction, for the callback    */
    struct crdt_buffer sealed;  /* the last batch, where no log keeps it           */
    uint64_t *observed;       /* per feed: what the operation at hand had seen      */
    size_t observed_capacity;
    struct crdt_dot missing;
    size_t self;              /* own feed; meaningful with a generation            */
    uint64_t generation;      /* 0: none named                                     */
    uint64_t previous_generation;
    bool has_amnesia;
    uint64_t state_version;   /* counts changes of S                               */
    uint64_t digest_version;  /* of the state that `digest` is of                  */
    bool has_digest;
    uint8_t digest[CRDT_HASH_BYTES];
};

static inline const struct crdt_memory *crdt_memory_of(const struct crdt_document *document)
{
    return &document->context.memory;
}

#endif
