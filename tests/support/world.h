/* A few replicas of one document, the network between them, and the oracle that
 * has written down all they did. Every step is one decision of `choice`; after
 * each the replica that changed must hold live(C + own open batch). */
#ifndef SUPPORT_WORLD_H
#define SUPPORT_WORLD_H

#include "tests/support/choice.h"
#include "tests/support/memory.h"
#include "tests/support/oracle.h"

#define WORLD_REPLICAS_MAX 5
#define WORLD_BATCHES_MAX 1024 /* sealed in one history                         */
#define WORLD_GENERATIONS_MAX 20 /* in one history: origins are bounded          */

/* A sealed batch. Two contexts bound when it may and when it must be applied:
 * what its last transaction had seen, and what was applied when it was sealed. */
struct world_batch {
    struct crdt_buffer bytes;
    unsigned author;
    uint64_t first, last;
    struct oracle_context seen;
    struct oracle_context sealed;
};

struct world_replica {
    struct crdt_document *document;
    unsigned self;                 /* index of its origin                       */
    uint64_t generation;
    struct oracle_context context; /* as the document said after the last step  */
    struct oracle_context floor;   /* below it records may have been dropped    */
    struct oracle_context seen;    /* by the newest transaction of the open batch */
    uint64_t open_records;
    bool has_received[WORLD_BATCHES_MAX]; /* and keeps, applied or pending       */
    uint64_t last_hlc;             /* of own registers: stamps only grow        */
};

struct world {
    struct choice *choice;
    struct oracle oracle;
    struct oracle_entries live; /* scratch                                      */
    struct test_memory memory;
    struct world_replica replicas[WORLD_REPLICAS_MAX];
    unsigned replica_count;
    struct world_batch batches[WORLD_BATCHES_MAX];
    unsigned batch_count;
    uint64_t now_ms;
    unsigned generation_count;
    uint64_t register_count; /* makes every assigned value different            */
};

/* Makes an empty world; it is too large for a stack. */
struct world *world_new(struct choice *choice, unsigned replica_count);
/* Checks that closing gives back every byte. */
void world_free(struct world *world);

/* One decision: a transaction, a seal, a delivery, a merge, gc, a restart ... */
void world_step(struct world *world);
/* Lets everyone exchange everything, then compares all with all. */
void world_heal(struct world *world);

/* The parts, used by each other. */
void world_transaction(struct world *world, unsigned index);
void world_seal(struct world *world, unsigned index);
void world_write(struct world *world, struct world_replica *replica,
    struct crdt_transaction *transaction);
struct oracle_context world_effective(const struct world_replica *replica);
struct crdt_options world_options(struct world *world, unsigned index);
/* The checks after a step; the second one costs more and seals. */
void world_check(struct world *world, unsigned index);
void world_check_saved(struct world *world, unsigned index);
void world_check_digests(struct world *world, unsigned a, unsigned b);
/* Every typed read at one path against the oracle. */
void world_check_reads(struct world *world, unsigned index, const struct oracle_path *path);
struct oracle_path world_path(struct choice *choice);
struct crdt_bytes world_element(uint32_t number);
#define WORLD_ELEMENTS 4

#endif
