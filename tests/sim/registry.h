/* Every origin and every batch that the cluster has ever seen: what I1 (a dot
 * names one operation for ever) is checked against, and what the reference
 * document is made of.
 *
 * A batch that was neither durable anywhere nor sent to anyone has not
 * happened: a crash of its author takes its name back. */
#ifndef TESTS_SIM_REGISTRY_H
#define TESTS_SIM_REGISTRY_H

#include <crdt.h>

#define NODE_COUNT_MAX 5
#define ORIGIN_COUNT_MAX 96 /* generations of all nodes in one run */

/* A version vector over the registry's own numbers of origins. */
struct vector {
    uint64_t seq[ORIGIN_COUNT_MAX];
};

struct records;

struct known_batch {
    uint64_t first_seq;
    uint64_t last_seq;
    uint8_t head[CRDT_HASH_BYTES];
    uint8_t *bytes;
    size_t size;
    bool is_public;      /* durable somewhere or sent: its name is taken       */
    struct records *records; /* its operations, once somebody has asked; NULL   */
    unsigned holders;  /* nodes that have ever reported it stored, as bits      */
    bool has_deps;
    struct vector deps;  /* what its author had applied at its last operation,
                          * as the simulator saw it, not as the batch says     */
    bool is_judged;      /* folds.c has seen it                                 */
    uint64_t made_us;    /* when it did                                         */
    struct vector durable_before; /* what its author had ever had on disk when
                          * that was started                                   */
};

struct known_origin {
    struct crdt_origin origin;
    size_t node;
    unsigned ordinal;      /* which generation of that node: 0, 1, 2 ...        */
    uint64_t promised;     /* acknowledged to a client under `always`           */
    bool is_elsewhere;     /* an older store was put back: others keep the promise */
    bool is_lost;          /* its node has started with less of it: with `kept`    */
    uint64_t kept;
    uint64_t bytes;        /* of all its batches                                  */
    struct known_batch *batches; /* in order of seq, without gaps               */
    size_t batch_count;
    size_t batch_capacity;
};

struct registry {
    struct known_origin origins[ORIGIN_COUNT_MAX];
    size_t origin_count;
    uint8_t keys[NODE_COUNT_MAX][CRDT_KEY_BYTES];
    size_t node_count;
};

/* The number of `origin`, given to it now if it is new. ORIGIN_COUNT_MAX when
 * its key is no node's or there are too many. */
size_t registry_origin(struct registry *registry, const struct crdt_origin *origin);
/* The batch that holds operation `seq`, or NULL. */
struct known_batch *registry_batch(struct registry *registry, size_t origin, uint64_t seq);
/* Takes a batch in, or compares it with what has its name. NULL when it is the
 * same or new; else what is wrong. `ret_batch` is what has the name. */
const char *registry_take(struct registry *registry, const struct crdt_batch *batch,
    bool may_be_new, struct known_batch **ret_batch);
/* Takes back what a crash of `node` has undone: batches that are not public.
 * `kept` is the greatest seq of `origin` that survives. */
uint64_t registry_crash(struct registry *registry, size_t origin);
void registry_close(struct registry *registry);

#endif
