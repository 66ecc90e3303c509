/* The simulated store of a node: batches and marks in one order, the newest
 * snapshot, the log floor, and parts of a peer's snapshot. Three prefixes of the
 * items say how far each promise goes: durable <= reported <= count. A crash
 * keeps what is durable and any prefix of the rest.
 *
 * Here is how it lies; disk_build.c makes snapshots and joins of it, disk_drop.c
 * raises the floor, disk_stage.c keeps and gives parts. What takes time is durable
 * in one event and reported in a later one: a crash may come between. */
#ifndef TESTS_SIM_DISK_H
#define TESTS_SIM_DISK_H

#include "gossipd/core/core.h"
#include "tests/sim/registry.h"

struct simulator;
struct event;

struct disk_item {
    bool is_mark;
    bool is_dropped;  /* it has no bytes any more                               */
    bool is_evidence; /* a mark: evidence of a fork in `bytes`, none: forgotten */
    enum core_mark mark;
    uint64_t value;
    uint64_t number;  /* what the core calls it                                 */
    uint8_t *bytes;   /* a batch                                                */
    size_t size;
    uint8_t signature[CORE_SIGNATURE_BYTES];
    struct crdt_origin origin;
    size_t feed;      /* the registry's number of its origin                    */
    uint64_t first_seq, last_seq;
    uint64_t applied_ms;
};

/* A snapshot that is whole, and how many items it stands for. */
struct disk_snapshot {
    uint8_t *bytes;
    size_t size;
    size_t place;
    uint8_t *tips;
    size_t tips_size;
    struct vector context;
    uint64_t part_bytes;
};

/* A snapshot of a peer, as far as it has come. */
struct disk_staged {
    bool exists;
    bool has_failed;   /* parts that come behind the one that failed are refused */
    uint8_t hash[CRDT_HASH_BYTES];
    uint64_t bytes_whole, parts_whole; /* as its sender says                    */
    uint8_t *tips;
    size_t tips_size;
    uint8_t *bytes;
    size_t capacity;
    size_t *ends;      /* of each part                                          */
    size_t ends_capacity;
    size_t count;      /* parts here                                            */
    size_t durable;    /* of them                                               */
};

/* What the core has asked for and is not done; a crash ends it. */
struct disk_work {
    struct crdt_options options;   /* of a SNAPSHOT                             */
    bool is_join;
    bool is_refused;   /* the join, because of what is staged                   */
    size_t marked;     /* where it stands; SIZE_MAX: its items are lost, and it with them */
    struct crdt_document *joined;  /* durable, not yet reported                 */
    struct core_drop drop;         /* of a DROP; `feeds` is owned               */
    bool has_more;
    bool is_over;      /* the log passed all measure when the last DROPs had ended */
    uint64_t staged_us;            /* when the newest STAGED comes              */
};

struct disk {
    struct disk_snapshot snapshot; /* the newest; no bytes: none                */
    uint8_t former[CRDT_HASH_BYTES]; /* hash of the one before it               */
    struct vector floor;           /* batches at or below it count no more      */
    struct disk_staged staged;
    struct disk_work work;
    struct disk_item *items;
    size_t count;
    size_t capacity;
    size_t durable;    /* survives everything                                   */
    size_t reported;   /* the core was told STORED                              */
    size_t dropped;    /* all batches before are                                */
    bool is_busy;      /* a flush is under way                                  */
    bool is_failing;
    bool is_counted;   /* a write has failed since it began to fail             */
    bool is_erring;    /* some flushes fail, after a part of what they were given */
    bool has_hole;     /* a row is gone, and not all that stands behind it is of use again */
    size_t gap_end;    /* rows before may be out of order: one was gone and came again */
    bool is_held;      /* scenarios: flushes wait                               */
    bool has_moved;    /* it is an older copy: go on under a new generation     */
    uint64_t failures; /* STORE_FAILED so far                                   */
    uint64_t failed_us; /* the newest of them                                   */
};

/* Executes a STORE and its kin. */
void disk_store(struct simulator *sim, size_t node, const struct core_output *output);
/* STOREs have failed so lately that not all may be made good: a retry takes a second,
 * a node that stands still or lags up to eight, a flush one more. */
bool disk_has_failed_lately(const struct simulator *sim, size_t node);
/* A flush ends: reports STORED or STORE_FAILED to the core. */
void disk_flushed(struct simulator *sim, size_t node, size_t target);
/* Starts a flush if there is something to flush and nothing stops it. */
void disk_flush(struct simulator *sim, size_t node);
/* What a crash leaves; a clean stop leaves all. */
void disk_crash(struct simulator *sim, size_t node);
/* Puts an older copy back: its first `kept` items, or as many as what was
 * dropped leaves a choice of. */
void disk_restore(struct simulator *sim, size_t node, size_t kept);
/* Copies what is durable, as a backup does. */
void disk_copy(const struct disk *from, struct disk *ret_to);
/* Work that is not done ends; what was made aside is freed. */
void disk_abandon(struct disk *disk);
/* The newest value of a mark among the first `count` items; 0 when never set. */
uint64_t disk_mark(const struct disk *disk, enum core_mark mark, size_t count);
/* How far the first `count` items, and a snapshot among them, have a feed. */
uint64_t disk_seq(const struct disk *disk, size_t feed, size_t count);
/* How many items a FETCH can see. */
size_t disk_visible(const struct simulator *sim, size_t node);
/* Rows that stood behind one that is gone are still there. */
bool disk_has_gap(const struct disk *disk);
bool disk_has_floor(const struct disk *disk);
void disk_close(struct disk *disk);

/* ---- disk_build.c ---- */

/* Executes a SNAPSHOT; it is made aside, and durable after its items or not at all. */
void disk_snapshot(struct simulator *sim, size_t node, const struct core_output *output);
void disk_snapshot_written(struct simulator *sim, struct event *event);
void disk_snapshot_done(struct simulator *sim, const struct event *event);
/* What the core is told of the newest one. */
struct core_snapshot disk_snapshot_told(const struct disk *disk);

/* ---- disk_drop.c ---- */

/* Executes a DROP. */
void disk_drop(struct simulator *sim, size_t node, const struct core_output *output);
void disk_drop_written(struct simulator *sim, const struct event *event);
void disk_dropped(struct simulator *sim, const struct event *event);
/* The floor as a summary. */
void disk_floor(const struct simulator *sim, const struct disk *disk, struct crdt_buffer *ret);
/* Bytes of the batches among items `from` .. `to` - 1 that are still there. */
uint64_t disk_log_bytes(const struct disk *disk, size_t from, size_t to);

/* ---- disk_stage.c ---- */

/* Execute FETCH_PART, STAGE and UNSTAGE. */
void disk_fetch_part(struct simulator *sim, size_t node, const struct core_output *output);
void disk_stage(struct simulator *sim, size_t node, const struct core_output *output);
void disk_unstage(struct simulator *sim, size_t node);
void disk_part(struct simulator *sim, const struct event *event);
void disk_staged(struct simulator *sim, const struct event *event);
/* What a start tells of it. */
struct core_snapshot disk_staged_told(const struct disk_staged *staged);
/* Keeps the first `count` parts; 0: nothing at all. */
void disk_staged_cut(struct disk_staged *staged, size_t count);
void disk_staged_copy(const struct disk_staged *from, struct disk_staged *ret_to);

#endif
