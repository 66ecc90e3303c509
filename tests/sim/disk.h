/* The simulated store of a node: batches and marks in one order. Three prefixes
 * say how far each promise goes: durable <= reported <= count. A crash keeps
 * what is durable and any prefix of the rest. */
#ifndef TESTS_SIM_DISK_H
#define TESTS_SIM_DISK_H

#include "gossipd/core/core.h"

struct simulator;
struct event;

struct disk_item {
    bool is_mark;
    bool is_evidence; /* a mark: evidence of a fork in `bytes`, none: forgotten */
    enum core_mark mark;
    uint64_t value;
    uint64_t number;  /* what the core calls it                                 */
    uint8_t *bytes;   /* a batch                                                */
    size_t size;
    uint8_t signature[CORE_SIGNATURE_BYTES];
    struct crdt_origin origin;
    uint64_t first_seq, last_seq;
};

/* A snapshot that is whole, and how many items it stands for. */
struct disk_snapshot {
    uint8_t *bytes;
    size_t size;
    size_t place;
};

struct disk {
    struct disk_snapshot snapshot; /* the newest; no bytes: none                */
    size_t marked;     /* where the snapshot stands that is being made; SIZE_MAX: its
                        * items are lost, and it with them                      */
    struct disk_item *items;
    size_t count;
    size_t capacity;
    size_t durable;    /* survives everything                                   */
    size_t reported;   /* the core was told STORED                              */
    bool is_busy;      /* a flush is under way                                  */
    bool is_failing;
    bool is_erring;    /* some flushes fail, after a part of what they were given */
    bool has_hole;     /* a row is gone in the middle                           */
    bool is_held;      /* scenarios: flushes wait                               */
    bool has_moved;    /* it is an older copy: go on under a new generation     */
    uint64_t failures; /* STORE_FAILED so far                                   */
};

/* Executes a STORE and its kin. */
void disk_store(struct simulator *sim, size_t node, const struct core_output *output);
/* Executes a SNAPSHOT; then its bytes are written, after its items or not at all. */
void disk_snapshot(struct simulator *sim, size_t node, const struct core_output *output);
void disk_snapshot_written(struct simulator *sim, struct event *event);
/* A flush ends: reports STORED or STORE_FAILED to the core. */
void disk_flushed(struct simulator *sim, size_t node, size_t target);
/* Starts a flush if there is something to flush and nothing stops it. */
void disk_flush(struct simulator *sim, size_t node);
/* What a crash leaves; a clean stop leaves all. */
void disk_crash(struct simulator *sim, size_t node);
/* Puts an older copy back: its first `kept` items. */
void disk_restore(struct simulator *sim, size_t node, size_t kept);
/* The newest value of a mark among the first `count` items; 0 when never set. */
uint64_t disk_mark(const struct disk *disk, enum core_mark mark, size_t count);
/* The greatest seq of `origin` among the first `count` items. */
uint64_t disk_seq(const struct disk *disk, const struct crdt_origin *origin, size_t count);
/* How many items a FETCH can see. */
size_t disk_visible(const struct simulator *sim, size_t node);
void disk_close(struct disk *disk);

#endif
