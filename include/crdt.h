/* libcrdt: replicated data that always merges to the same value.
 *
 * A document is a set of operations and its state is a pure function of that
 * set. Replicas change their own document without asking anyone, exchange what
 * the other lacks in any order, over anything that carries bytes, and read the
 * same values once they hold the same operations.
 *
 *     open -> begin -> write ... -> commit          change a document
 *     summary -> diff -> merge                      replicate it
 *     gc                                            forget what all have
 *
 * The rules that hold for every call are said once, here.
 *
 * Threads: one document, one thread at a time. Documents share nothing, so
 * different documents may be used by different threads at once.
 *
 * Purity: no I/O, no clock, no threads, no globals. Time is passed in. All
 * memory comes from the hook in the options.
 *
 * Ownership: what is passed in is borrowed for the call. What comes back by
 * pointer inside a `crdt_bytes` belongs to the document and lives until the
 * next call that takes the document (or its transaction) without `const`. What
 * is appended to a `crdt_buffer` belongs to the caller.
 *
 * Errors: a function that can fail returns a `crdt_status`; results go through
 * the last parameters, named `ret_`, which failure leaves untouched. A call
 * that fails changes nothing: the snapshot before and after has the same
 * bytes. Breaking a rule that only a programmer can break (NULL, a transaction
 * used after its commit) is an assertion; hostile bytes never are.
 *
 * The format of everything that leaves a document is docs/wire-format.md; what
 * concurrent writes mean is docs/semantics.md.
 */
#ifndef CRDT_H
#define CRDT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CRDT_API __attribute__((visibility("default")))
#define CRDT_MUST_CHECK __attribute__((warn_unused_result))
#else
#define CRDT_API
#define CRDT_MUST_CHECK
#endif

/* ---- Status codes ------------------------------------------------------- */

#define CRDT_STATUS_MAP(X)                                                    \
    X(CRDT_OK, 0, "done")                                                     \
    X(CRDT_ERR_NOMEM, 1, "out of memory")                                     \
    X(CRDT_ERR_MALFORMED, 2, "the bytes are not what they claim to be")       \
    X(CRDT_ERR_VERSION, 3, "written by a newer version of the wire format")   \
    X(CRDT_ERR_LIMIT, 4, "larger than a limit allows")                        \
    X(CRDT_ERR_RANGE, 5, "the number does not fit")                           \
    X(CRDT_ERR_NOT_FOUND, 6, "nothing lives at this path")                    \
    X(CRDT_ERR_GENERATION, 7, "name a generation before writing")             \
    X(CRDT_ERR_AMNESIA, 8, "a peer knows operations of mine that I lost: name a new generation") \
    X(CRDT_ERR_GAP, 9, "operations that this depends on are missing here")    \
    X(CRDT_ERR_BELOW_FLOOR, 10, "the records were dropped: ask for a snapshot") \
    X(CRDT_ERR_FORK, 11, "one origin signed two different histories")         \
    X(CRDT_ERR_BUSY, 12, "a transaction is open")

enum crdt_status {
#define CRDT_STATUS_ENUM(name, value, text) name = value,
    CRDT_STATUS_MAP(CRDT_STATUS_ENUM)
#undef CRDT_STATUS_ENUM
};

/* The sentence for `status`; never NULL, static. */
CRDT_API const char *crdt_status_text(enum crdt_status status);

/* ---- Limits ------------------------------------------------------------- */

/* These decide whether an operation is valid, so they are constants of the
 * wire version: every replica must answer alike. */
#define CRDT_WIRE_MAJOR 1              /* another major is refused             */
#define CRDT_WIRE_MINOR 0              /* a newer minor may add header fields  */
#define CRDT_DEPTH_MAX 64              /* keys in a path: bounds every stack   */
#define CRDT_PATH_BYTES_MAX (1u << 20) /* sum of the keys of a path            */
#define CRDT_VALUE_BYTES_MAX (16u << 20) /* one register value                 */
#define CRDT_BATCH_BYTES_MAX (32u << 20) /* one batch: fits a receive buffer   */
#define CRDT_BATCH_RECORDS_MAX (1u << 20) /* operations in one batch           */
#define CRDT_SEQ_MAX ((UINT64_C(1) << 48) - 1) /* packs beside 16 bits         */
#define CRDT_ORIGINS_MAX 65535         /* origins one document can name        */

/* Defaults of the options; they bind only this process. */
#define CRDT_PENDING_BYTES_DEFAULT (16u << 20)

#define CRDT_KEY_BYTES 32  /* an Ed25519 public key                            */
#define CRDT_HASH_BYTES 32 /* BLAKE2b-256                                      */

/* ---- Bytes and memory --------------------------------------------------- */

/* Bytes that someone else owns. `data` may be NULL when `size` is 0. */
struct crdt_bytes {
    const void *data;
    size_t size;
};

/* The one memory hook. `new_bytes` 0 frees and returns NULL; `block` NULL
 * allocates; otherwise resizes. `old_bytes` is always the size asked for
 * before, so a hook can count exactly. NULL says that memory is out. */
struct crdt_memory {
    void *(*reallocate)(void *context, void *block, size_t old_bytes, size_t new_bytes);
    void *context;
};

/* Bytes that the caller owns and libcrdt appends to. */
struct crdt_buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    struct crdt_memory memory;
};

/* Makes an empty buffer. `memory` NULL means the C library's heap; so does a
 * buffer that is all zeros. */
CRDT_API void crdt_buffer_init(struct crdt_buffer *buffer, const struct crdt_memory *memory);
CRDT_API void crdt_buffer_close(struct crdt_buffer *buffer);
/* Forgets the content and keeps the memory. */
CRDT_API void crdt_buffer_clear(struct crdt_buffer *buffer);
/* Appends bytes; NOMEM leaves the buffer as it was. Amortised O(size). */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_buffer_append(
    struct crdt_buffer *buffer, const void *data, size_t size);
/* The content as borrowed bytes, until the buffer changes. */
CRDT_API struct crdt_bytes crdt_buffer_bytes(const struct crdt_buffer *buffer);
/* `text` up to its terminating zero as borrowed bytes. */
CRDT_API struct crdt_bytes crdt_text(const char *text);

/* ---- Origins, dots, version vectors ------------------------------------- */

/* Who makes operations. A generation is a random non-zero number; whoever may
 * have lost operations goes on under a new one, so that no dot is used twice. */
struct crdt_origin {
    uint8_t key[CRDT_KEY_BYTES];
    uint64_t generation;
};

/* Names exactly one operation, for ever. seq = 1, 2, 3 ... without gaps. */
struct crdt_dot {
    struct crdt_origin origin;
    uint64_t seq;
};

/* Orders by key, then generation: negative, 0, positive like memcmp. */
CRDT_API int crdt_origin_compare(const struct crdt_origin *a, const struct crdt_origin *b);

/* ---- Types and paths ---------------------------------------------------- */

enum crdt_type {
    CRDT_ANY = 0,      /* only where a call says so: every type under the key  */
    CRDT_REGISTER = 1, /* last writer wins by (hlc, origin, seq)               */
    CRDT_COUNTER = 2,  /* PN-Counter: adds and subtracts                       */
    CRDT_GCOUNTER = 3, /* G-Counter: refuses negative amounts                  */
    CRDT_SET = 4,      /* OR-Set of byte strings: add wins over a concurrent remove */
    CRDT_FLAG = 5,     /* enable wins over a concurrent disable                */
    CRDT_MAP = 6,      /* exists while anything under it lives                 */
};
#define CRDT_TYPE_COUNT 7

/* A path names a place: `count` keys below the root. The last key holds one
 * value of each type side by side, (key, type) being the real key; all keys
 * above the last are maps. `count` 0 names the root itself, so a standalone
 * counter, set or register is a document used at the empty path. */
struct crdt_path {
    const struct crdt_bytes *keys;
    size_t count;
};

/* The empty path. */
CRDT_API struct crdt_path crdt_root(void);

/* ---- Documents ---------------------------------------------------------- */

struct crdt_document;
struct crdt_transaction;

enum crdt_kind {
    CRDT_PUT = 1,  /* a register was assigned, an element added, a flag enabled */
    CRDT_ADD = 2,  /* an amount was added to a counter                         */
    CRDT_KILL = 3, /* what was observed at or under the path was removed       */
    CRDT_FOLD = 4, /* contributions became one; the value stays                */
    CRDT_NOTE = 5, /* nothing changed                                          */
};

/* One operation that a commit or a merge applied, or, with kind 0, that a
 * snapshot join may have changed anything at or under the path. */
struct crdt_change {
    enum crdt_kind kind;
    enum crdt_type type;       /* CRDT_ANY: every type at the path              */
    bool is_local;
    struct crdt_path path;     /* of the value                                  */
    const struct crdt_bytes *element; /* of a set; NULL when not about one      */
    struct crdt_dot dot;
};

struct crdt_options {
    struct crdt_memory memory; /* reallocate NULL: the C library's heap         */
    uint8_t key[CRDT_KEY_BYTES]; /* who writes here                             */
    uint64_t generation;       /* 0: read and merge only, until one is named    */
    uint8_t hash_seed[16];     /* random, secret: keeps hash tables fast        */
    bool keep_log;             /* records stay here for `diff`; else the caller
                                * keeps every batch and `diff` is not available */
    size_t pending_bytes_max;  /* batches that came early wait here; 0: refused */
    /* Called after a commit or merge has succeeded, once per operation, in
     * order. It may read the document, not change it. NULL: not called. */
    void (*changed)(void *context, const struct crdt_change *change);
    void *changed_context;
};

/* Fills in the defaults: C library heap, log kept, no generation. */
CRDT_API void crdt_options_init(struct crdt_options *options);

/* Makes an empty document. The options are copied. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_open(
    const struct crdt_options *options, struct crdt_document **ret_document);

/* Makes a document from the bytes of crdt_snapshot(). It has no generation,
 * whatever the options say, until crdt_set_generation() names one: these bytes
 * may be older than what this origin has written since. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_load(const struct crdt_options *options,
    struct crdt_bytes snapshot, struct crdt_document **ret_document);

/* Frees everything. Accepts NULL. */
CRDT_API void crdt_close(struct crdt_document *document);

/* Names the generation that later writes use and ends amnesia. Naming one that
 * already has operations here continues it: the caller vouches that this
 * document holds every operation ever made under it (invariant I1). Operations
 * not sealed yet move to the new generation. Errors: RANGE for 0; BUSY while a
 * transaction is open, or when the open batch cannot move, because it folds a
 * counter, the other generation has begun, or so much was merged since that a
 * head it depends on is forgotten: load what was kept instead; NOMEM; LIMIT (too
 * many origins). */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_set_generation(
    struct crdt_document *document, uint64_t generation);

/* The origin that writes here; generation 0 while none is named. */
CRDT_API struct crdt_origin crdt_self(const struct crdt_document *document);

/* CRDT_OK when a transaction can begin; else GENERATION, AMNESIA or BUSY. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_writable(const struct crdt_document *document);

/* ---- Transactions ------------------------------------------------------- */

/* A transaction is visible to this document's reads at once and to other
 * replicas whole or not at all. One can be open per document. `now_ms` is the
 * wall clock in milliseconds since 1970; it stamps registers (as a hybrid
 * logical clock, Kulkarni et al. 2014) and decides nothing else. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_begin(
    struct crdt_document *document, uint64_t now_ms, struct crdt_transaction **ret_transaction);

/* Makes the writes permanent and ends the transaction. Cannot fail: what can,
 * has failed in the write. */
CRDT_API void crdt_commit(struct crdt_transaction *transaction);

/* Takes every write of the transaction back and ends it. */
CRDT_API void crdt_abort(struct crdt_transaction *transaction);

/* The writes. A write that fails takes itself back; the transaction stays open
 * with what it had before. Errors: NOMEM; LIMIT when a path, a value or the
 * batch would grow over its limit (seal, then try again). Cost: O(keys of the
 * path + concurrent versions of the value), unless said otherwise. */

/* Adds `amount`, which may be negative or 0. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_counter_add(
    struct crdt_transaction *transaction, struct crdt_path path, int64_t amount);
/* Adds to a grow-only counter. RANGE when `amount` is negative. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_gcounter_add(
    struct crdt_transaction *transaction, struct crdt_path path, int64_t amount);
/* Replaces this origin's contributions to the counter with seq above `after`, up
 * to `seq`, by their sum, and leaves older and newer ones as they are; nothing
 * is written when there are fewer than two or when the sum is outside int64.
 * Exact when every member that may remove the counter has acknowledged `seq`
 * and its batches up to that acknowledgement are applied here. Otherwise a
 * removal that had seen a part of the run leaves all of it standing, and what
 * stands before the run is removed as ever: so what a member that is away may
 * have seen, and what it cannot, are best folded as two runs (docs/semantics.md,
 * invariant I9). `type`: COUNTER or GCOUNTER. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_counter_fold(struct crdt_transaction *transaction,
    struct crdt_path path, enum crdt_type type, uint64_t after, uint64_t seq);
/* Assigns a register. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_register_set(
    struct crdt_transaction *transaction, struct crdt_path path, struct crdt_bytes value);
/* Adds an element; one that is present is added anew, so that this add
 * survives a concurrent remove. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_set_add(
    struct crdt_transaction *transaction, struct crdt_path path, struct crdt_bytes element);
/* Removes an element as observed here. What is absent makes no operation. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_set_remove(
    struct crdt_transaction *transaction, struct crdt_path path, struct crdt_bytes element);
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_flag_enable(
    struct crdt_transaction *transaction, struct crdt_path path);
/* Disables as observed here. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_flag_disable(
    struct crdt_transaction *transaction, struct crdt_path path);
/* Removes what is observed at and under the path: of one type, or with
 * CRDT_ANY of all. One operation whatever the size. What is absent makes no
 * operation. Resets counters, clears sets and maps, deletes keys. RANGE when
 * there is no such type. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_remove(
    struct crdt_transaction *transaction, struct crdt_path path, enum crdt_type type);
/* An operation without effect that carries, signed by its batch, what this
 * origin has applied. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_note(struct crdt_transaction *transaction);

/* ---- Reading ------------------------------------------------------------ */

/* The types alive at the path, as a set of bits 1 << type; 0: none. */
CRDT_API unsigned crdt_types(const struct crdt_document *document, struct crdt_path path);

/* How much is there, O(1) below the lookup: keys of a map (each once, however
 * many types it has), elements of a set, concurrent values of a register,
 * contributions to a counter, dots of a flag. */
CRDT_API size_t crdt_count(
    const struct crdt_document *document, struct crdt_path path, enum crdt_type type);

/* An exact sum, two's complement. */
struct crdt_sum {
    int64_t high;
    uint64_t low;
};

#define CRDT_SUM_TEXT_BYTES 41
/* The sum of a counter, of either kind; 0 when absent. */
CRDT_API struct crdt_sum crdt_counter_sum(
    const struct crdt_document *document, struct crdt_path path, enum crdt_type type);
/* Adds a number to a sum. */
CRDT_API struct crdt_sum crdt_sum_add(struct crdt_sum sum, int64_t amount);
/* The sum as int64; RANGE when it does not fit. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_sum_int64(struct crdt_sum sum, int64_t *ret_value);
/* The sum in decimal, zero-terminated; returns its length. */
CRDT_API size_t crdt_sum_text(struct crdt_sum sum, char text[CRDT_SUM_TEXT_BYTES]);

/* The PN-Counter at the path as int64; 0 when absent, and the nearest int64
 * when the exact sum does not fit. */
CRDT_API int64_t crdt_counter_value(const struct crdt_document *document, struct crdt_path path);

/* The value of a register that wins, or NOT_FOUND. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_register_get(
    const struct crdt_document *document, struct crdt_path path, struct crdt_bytes *ret_value);

/* One of the concurrent values of a register: the multi-value view. */
struct crdt_version {
    struct crdt_bytes value;
    struct crdt_dot dot;
    uint64_t hlc; /* milliseconds since 1970 << 16 | logical counter            */
};
/* The `index`-th value, winner first, then down; NOT_FOUND past the last. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_register_version(
    const struct crdt_document *document, struct crdt_path path, size_t index,
    struct crdt_version *ret_version);

CRDT_API bool crdt_set_contains(
    const struct crdt_document *document, struct crdt_path path, struct crdt_bytes element);
CRDT_API bool crdt_flag_is_enabled(const struct crdt_document *document, struct crdt_path path);

/* Walks the keys of a map or the elements of a set in an order of this
 * replica's own. Between changes each is given once. `position` survives
 * changes: a walk begun again from it gives everything that was there all the
 * time at least once. Only crdt_abort() voids it: after it, begin again at the
 * start with a position that was saved inside the transaction. Other fields are
 * private and die with the next change. */
struct crdt_iterator {
    uint64_t position;
    const void *container;
};
#define CRDT_ITERATOR_START UINT64_MAX
struct crdt_item {
    struct crdt_bytes key; /* of the map, or the element                        */
    unsigned types;        /* of the key, as in crdt_types(); 0 for an element   */
};
/* Begins a walk at `position`: CRDT_ITERATOR_START or one saved earlier.
 * `type`: CRDT_MAP or CRDT_SET. */
CRDT_API struct crdt_iterator crdt_iterate(const struct crdt_document *document,
    struct crdt_path path, enum crdt_type type, uint64_t position);
/* Gives the next one; false at the end, when `position` is 0. */
CRDT_API bool crdt_next(struct crdt_iterator *iterator, struct crdt_item *ret_item);

/* One live entry of the state S, with all that decides its fate. */
struct crdt_entry {
    struct crdt_path path;
    enum crdt_type type;
    const struct crdt_bytes *element; /* of a set; else NULL                    */
    struct crdt_dot dot;              /* its name                               */
    uint64_t version;                 /* seq of the FOLD that last changed it, else dot.seq */
    int64_t amount;                   /* counters                               */
    uint64_t hlc;                     /* registers                              */
    struct crdt_bytes value;          /* registers                              */
};
/* Gives every live entry at or under the path, in canonical order: the order
 * of the snapshot. Stops when `visit` returns false. Sorts: O(n log n). */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_visit(const struct crdt_document *document,
    struct crdt_path path, bool (*visit)(void *context, const struct crdt_entry *entry),
    void *context);

/* ---- Replication -------------------------------------------------------- */

/* Operations leave a document as batches. Commits gather in the open batch;
 * sealing closes it: it gets its place in this origin's hash chain and its
 * bytes never change again. summary, diff, snapshot and digest seal first. */

/* Closes the open batch and gives its bytes: the delta of all commits since the
 * last seal. Empty when there is nothing to seal. Without `keep_log` the bytes
 * live until the next call on the document: keep them, nobody else does.
 * Errors: NOMEM, BUSY; AMNESIA when there is an open batch whose dots may be in
 * use already: name a new generation, which takes the batch over. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_seal(
    struct crdt_document *document, struct crdt_bytes *ret_batch);
/* Bytes that the open batch will roughly have, and its operations: 0 when there is none. */
CRDT_API size_t crdt_open_bytes(const struct crdt_document *document);
CRDT_API size_t crdt_open_records(const struct crdt_document *document);
/* How many of them fold a counter: with one, the batch cannot move to another
 * generation. */
CRDT_API size_t crdt_open_folds(const struct crdt_document *document);

/* Appends what this document has applied: send it to a peer, who answers with
 * crdt_diff(). */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_summary(
    struct crdt_document *document, struct crdt_buffer *ret_summary);

/* Appends every batch that the writer of `summary` lacks: a delta for
 * crdt_merge(). Cost: O(origins + answer). Errors: BELOW_FLOOR when records it
 * needs were dropped (send crdt_snapshot() instead); AMNESIA when the summary
 * knows operations of this origin that are not here: writing stops. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_diff(struct crdt_document *document,
    struct crdt_bytes summary, struct crdt_buffer *ret_delta);

/* Merges a delta, batches of any origins in any order, or a snapshot: whole or
 * not at all. What is known already is skipped. A batch whose predecessors are
 * missing waits within `pending_bytes_max`, and one that begins where another
 * waits already is dropped with OK: once what came first is applied or refused,
 * crdt_applied() tells whether to bring it again. Errors: MALFORMED; VERSION; GAP
 * when a batch cannot be applied and cannot wait (crdt_missing() says what for);
 * AMNESIA when it brings operations of this origin that are not here: nothing is
 * merged and writing stops; FORK when it contradicts a history known here; BUSY
 * while a transaction is open; LIMIT when it names too many origins; NOMEM.
 *
 * FORK is certain as far as the heads of a feed are remembered, the newest 129
 * since it was loaded. Of what is older, or of a stretch that a snapshot
 * skipped, nothing is known, and anything is believed: a snapshot that is ahead
 * of a feed brings no proof that its history goes through ours. Who may meet
 * clones compares heads or headers of batches first. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_merge(
    struct crdt_document *document, struct crdt_bytes bytes);

/* The greatest wall clock, in milliseconds since 1970, of the stamps that came
 * in since the last crdt_begin(); 0: none. One far ahead of yours says that a
 * clock is wrong somewhere; it is accepted, and not adopted beyond a minute. */
CRDT_API uint64_t crdt_seen_ms(const struct crdt_document *document);

/* The operation whose absence made the last crdt_merge() say GAP. */
CRDT_API struct crdt_dot crdt_missing(const struct crdt_document *document);
/* Bytes of batches that wait for their predecessors. */
CRDT_API size_t crdt_pending_bytes(const struct crdt_document *document);

/* Appends the whole state: context, live entries, tip of every feed. Equal
 * documents give equal bytes. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_snapshot(
    struct crdt_document *document, struct crdt_buffer *ret_snapshot);

/* Drops the records that every member has: at or below the least of the
 * members' summaries, and never above what is applied here. Only the log
 * shrinks; the state does not change. A member who comes back from below gets
 * a snapshot. Errors: MALFORMED. Cost: O(dropped). */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_gc(
    struct crdt_document *document, const struct crdt_bytes *summaries, size_t summary_count);

/* Three hashes. Equal context and heads mean the same operations; then the
 * state must be equal too, and this is how to prove it. */
struct crdt_digest {
    uint8_t context[CRDT_HASH_BYTES]; /* of the version vector                  */
    uint8_t heads[CRDT_HASH_BYTES];   /* of the newest batch of every origin    */
    uint8_t state[CRDT_HASH_BYTES];   /* of every live entry                    */
};
/* Hashes the state unless it has not changed since last asked. O(n log n). */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_digest(
    struct crdt_document *document, struct crdt_digest *ret_digest);
/* Only `context` and `heads`: O(origins). `state` is zeroed. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_context_digest(
    struct crdt_document *document, struct crdt_digest *ret_digest);

/* ---- Feeds: for those who store, sign and forward batches themselves ---- */

/* The feed of one origin as far as it is applied here. */
struct crdt_feed {
    struct crdt_origin origin;
    uint64_t seq;                  /* of the newest applied operation            */
    uint8_t head[CRDT_HASH_BYTES]; /* hash of its newest batch; zeros when none  */
};
/* Feeds are numbered 0 .. count - 1 in an order that never changes; one may
 * have seq 0 while it is only known by name. */
CRDT_API size_t crdt_feed_count(const struct crdt_document *document);
CRDT_API struct crdt_feed crdt_feed_at(const struct crdt_document *document, size_t index);
/* The seq of `origin` that is applied here, the open batch not included; 0: none. */
CRDT_API uint64_t crdt_applied(
    const struct crdt_document *document, const struct crdt_origin *origin);
/* How much of `of` the newest batch of `by` that is applied here had applied. */
CRDT_API uint64_t crdt_acknowledged(const struct crdt_document *document,
    const struct crdt_origin *by, const struct crdt_origin *of);

/* What the header of a batch says. Nothing here is proved but the hashes. */
struct crdt_batch {
    struct crdt_origin origin;
    uint64_t first_seq;
    uint64_t last_seq;
    uint64_t previous_generation;  /* of this key; only in the first batch, else 0 */
    uint8_t previous[CRDT_HASH_BYTES]; /* head before it; zeros in the first     */
    uint8_t head[CRDT_HASH_BYTES]; /* hash of its header: what is to be signed   */
    struct crdt_bytes header;      /* stands for the whole batch: holds the body's hash */
    struct crdt_bytes bytes;       /* the whole batch                            */
};
/* Reads the batch at the front of `bytes`, its bounds and hashes; operations
 * are checked only by crdt_merge(). Errors: MALFORMED, VERSION. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_batch_read(
    struct crdt_bytes bytes, struct crdt_batch *ret_batch);
/* Reads a header that was kept without its batch: what a signature over its head
 * proves. `ret_batch->bytes` is empty. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_batch_read_header(
    struct crdt_bytes header, struct crdt_batch *ret_batch);
/* What crdt_merge() would say of this batch now, as far as the header tells:
 * OK (also when it is known already), GAP with the missing operation, FORK,
 * AMNESIA, MALFORMED. `batch` as crdt_batch_read() gave it, or crdt_batch_read_header();
 * its hashes are not checked again. Cost: O(header), whatever the size of the body. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_batch_check(struct crdt_document *document,
    const struct crdt_batch *batch, struct crdt_dot *ret_missing);

/* The same as though the feeds in `assumed` stood where these say: tells whose
 * history a batch names that waits for it. `ret_named`, as many, set with OK: how
 * much of each it names. A seq above that hides the head and so lets any pass. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_batch_check_after(
    struct crdt_document *document, const struct crdt_batch *batch,
    const struct crdt_feed *assumed, uint64_t *ret_named, size_t count,
    struct crdt_dot *ret_missing);

/* Reads a summary into `dots`, sorted by origin, each with its seq. LIMIT when
 * there are more than `capacity`; `ret_count` is their number. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_summary_read(struct crdt_bytes summary,
    struct crdt_dot *dots, size_t capacity, size_t *ret_count);
/* Appends a summary made of `dots`, sorted by origin without duplicates; dots
 * with seq 0 are left out. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_summary_write(
    const struct crdt_dot *dots, size_t count, struct crdt_buffer *ret_summary);

/* ---- Tokens: for messages that travel beside batches ------------------- */

/* The codec of everything that leaves a document: single msgpack values, each
 * in its shortest form, without arrays, maps, floats and extensions. Writers
 * append or leave the buffer as it was (NOMEM). */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_write_uint(
    struct crdt_buffer *buffer, uint64_t value);
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_write_int(
    struct crdt_buffer *buffer, int64_t value);
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_write_bytes(
    struct crdt_buffer *buffer, struct crdt_bytes bytes);

/* Reads take the value from the front of `input`, which failure leaves as it
 * was. MALFORMED: truncated, of another type, above `max`, or not shortest.
 * Bytes that come back point into the input. Nothing is allocated. */
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_read_uint(
    struct crdt_bytes *input, uint64_t max, uint64_t *ret_value);
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_read_int(
    struct crdt_bytes *input, int64_t *ret_value);
CRDT_API CRDT_MUST_CHECK enum crdt_status crdt_read_bytes(
    struct crdt_bytes *input, size_t bytes_max, struct crdt_bytes *ret_bytes);

#ifdef __cplusplus
}
#endif
#endif
