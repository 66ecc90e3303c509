/* Documents that came to one context in different ways. Whatever way a replica
 * of a history comes to a context, its last step is one of those in claims.c
 * from one of these. */
#ifndef EXHAUSTIVE_COPIES_H
#define EXHAUSTIVE_COPIES_H

#include "tests/exhaustive/arena.h"
#include "tests/exhaustive/history.h"

enum copy_kind {
    COPY_FORWARD,  /* a reader: batches in the order of their numbers              */
    COPY_BACKWARD, /* the newest as early as it may come: another order of feeds   */
    COPY_JOINED,   /* a reader that lacked one operation and joined a snapshot     */
    COPY_LOADED,   /* from a snapshot alone, as after a restart                    */
    COPY_LIFE,     /* + replica: that replica, which executed its operations itself */
};
#define COPY_COUNT (COPY_LIFE + REPLICAS)
const char *copy_text(unsigned kind);

struct copy {
    struct arena arena;
    struct crdt_document *document;
    uint64_t floors[REPLICAS]; /* per replica: the log below is not there          */
    unsigned set;              /* its context                                      */
};

/* Makes `copy`, whose arena is its own, a document of context `set`. The state of
 * the set must be known for JOINED and LOADED. `key`: who it is; only a LIFE has
 * a generation. */
void copy_make(
    struct history *history, unsigned set, unsigned kind, uint8_t key, struct copy *copy);
/* Saves nest, over all copies: see arena.h. */
void copy_save(const struct copy *copy);
void copy_restore(struct copy *copy);
void copy_forget(void);
/* Merges one batch, or the snapshot of a set, whole. */
void copy_deliver(struct history *history, struct copy *copy, unsigned op);
void copy_join(struct history *history, struct copy *copy, unsigned set);
/* Executes and seals; the batch is borrowed. Empty: it made no operation. */
struct crdt_bytes copy_execute(struct history *history, struct copy *copy,
    const struct history_op *op, const struct oracle_op *described);

#endif
