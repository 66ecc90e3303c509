/* live(C) by brute force, straight from the definition in docs/semantics.md.
 *
 * A test writes down every operation as it makes it; the oracle says what must
 * live under a context. It knows nothing of libcrdt but the names of kinds and
 * types, keeps no index and no state, and costs O(operations^2): it must be
 * obviously right, not fast. */
#ifndef SUPPORT_ORACLE_H
#define SUPPORT_ORACLE_H

#include <crdt.h>

#define ORACLE_ORIGINS_MAX 32 /* length of every context here                  */
#define ORACLE_DEPTH_MAX 8    /* keys of a path                                */
#define ORACLE_VALUE_MAX 24   /* bytes of a register's value                   */

/* A version vector: index of the origin -> seq. */
struct oracle_context {
    uint64_t seqs[ORACLE_ORIGINS_MAX];
};

struct oracle_path {
    struct crdt_bytes keys[ORACLE_DEPTH_MAX]; /* borrowed: static strings       */
    size_t count;
};

/* One operation. `deps` is all that the author had applied when it executed;
 * its own earlier operations are observed always. */
struct oracle_op {
    enum crdt_kind kind;
    enum crdt_type type;       /* of a KILL: CRDT_ANY or one type              */
    struct oracle_path path;
    bool has_element;
    struct crdt_bytes element; /* borrowed                                     */
    int64_t amount;            /* ADD, FOLD                                    */
    uint64_t folded_from;      /* FOLD: the first contribution it stands for   */
    uint64_t folded;           /* FOLD: the last one                           */
    uint8_t value[ORACLE_VALUE_MAX];
    size_t value_bytes;
    uint64_t hlc;              /* registers: as the author's document showed it */
    unsigned author;
    uint64_t seq;
    struct oracle_context deps;
};

struct oracle {
    struct oracle_op *ops;
    size_t count, capacity;
    struct crdt_origin origins[ORACLE_ORIGINS_MAX];
    unsigned origin_count;
};

/* What lives: the operation that put it, and what folds made of it. */
struct oracle_entry {
    const struct oracle_op *put;
    uint64_t version;
    int64_t amount;
    bool is_seen; /* the comparison's own mark                                  */
};
struct oracle_entries {
    struct oracle_entry *items;
    size_t count, capacity;
};

void oracle_init(struct oracle *oracle);
void oracle_close(struct oracle *oracle);
/* The index of an origin, given on first sight. */
unsigned oracle_origin(struct oracle *oracle, const struct crdt_origin *origin);
/* Appends a copy; pointers to operations are void afterwards. */
void oracle_append(struct oracle *oracle, const struct oracle_op *op);

/* Fills `entries` (zeroed at first, reused later) with live(context). */
void oracle_live(const struct oracle *oracle, const struct oracle_context *context,
    struct oracle_entries *entries);
void oracle_entries_close(struct oracle_entries *entries);

/* Does `path` begin with the keys of `prefix`? */
bool oracle_path_is_under(const struct oracle_path *path, const struct oracle_path *prefix);
bool oracle_path_is_equal(const struct oracle_path *a, const struct oracle_path *b);
bool oracle_bytes_are_equal(struct crdt_bytes a, struct crdt_bytes b);
/* Is what `put` made inside what the KILL names? */
bool oracle_is_in_scope(const struct oracle_op *kill, const struct oracle_op *put);
bool oracle_context_covers(const struct oracle_context *a, const struct oracle_context *b);
void oracle_context_join(struct oracle_context *into, const struct oracle_context *other);

/* Tells the first difference between what a document holds and `entries`, or
 * gives NULL. The text is static. */
const char *oracle_difference(struct oracle *oracle, const struct crdt_document *document,
    struct oracle_entries *entries);

#endif
