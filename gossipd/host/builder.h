/* Carries out a SNAPSHOT: once its place is in the store, a thread builds it
 * aside, then the store takes it in part by part, while the loop goes on.
 *
 *     IDLE --SNAPSHOT--> PLACING --placed--> BUILDING --built--> IMPORTING --> IDLE
 *
 * Every failure ends in IDLE, with the store as it was. */
#ifndef GOSSIPD_HOST_BUILDER_H
#define GOSSIPD_HOST_BUILDER_H

#include <ev.h>
#include <pthread.h>

#include "gossipd/host/store/assembly.h"
#include "gossipd/host/store/store.h"

struct loop;

enum builder_state { BUILDER_IDLE, BUILDER_PLACING, BUILDER_BUILDING, BUILDER_IMPORTING };

/* Memory that runs out when the build is given up, so that no long call into
 * libcrdt keeps a stop waiting. */
struct builder_gate {
    struct crdt_memory memory;
    const atomic_bool *is_closed;
};

struct builder {
    struct loop *loop;
    enum builder_state state;
    struct assembly_order order;
    struct crdt_buffer context;  /* what the order points to                       */
    struct assembly assembly;    /* of the thread until it has ended               */
    struct failure failure;      /* likewise                                       */
    bool is_built;               /* likewise                                       */
    pthread_t thread;
    bool has_thread; /* to be joined                                              */
    atomic_bool is_given_up;
    struct builder_gate gate_document; /* a join's document keeps it               */
    struct builder_gate gate_store;
    uint64_t begun_us;
    ev_async ended;
};

void builder_init(struct builder *builder, struct loop *loop);
/* Gives up a build that is on and waits for its thread. */
void builder_close(struct builder *builder);

/* A CORE_SNAPSHOT; the answer comes as an input. */
void builder_begin(struct builder *builder, const struct core_output *output);
/* The news of the store. */
void builder_news(struct builder *builder, const struct store_news *news);

/* Closes a document in a thread of its own. */
void builder_discard(struct crdt_document *document);

#endif
