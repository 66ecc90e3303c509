/* The loop: brings what happens to the core as inputs and carries out what the
 * core puts out. Owns every other part of host/.
 *
 * Within one turn: sockets and the store give inputs; then, before the loop
 * sleeps, the core gets its TICK if it is due, what it said is written to the
 * sockets, and what was closed is freed.
 */
#ifndef GOSSIPD_HOST_LOOP_H
#define GOSSIPD_HOST_LOOP_H

#include <ev.h>

#include "gossipd/host/builder.h"
#include "gossipd/host/cache.h"
#include "gossipd/host/config.h"
#include "gossipd/host/connection.h"
#include "gossipd/host/counting.h"
#include "gossipd/host/identity.h"
#include "gossipd/host/mesh.h"
#include "gossipd/host/listener.h"
#include "gossipd/host/resolve.h"
#include "gossipd/host/socket.h"
#include "gossipd/host/store/store.h"

/* An input or a FETCH that an output brought about: it has its turn when all
 * outputs of the step are carried out. */
struct deferred {
    struct core_input input;
    bool is_fetch;
    struct crdt_dot from;
    size_t bytes_max;
};

struct loop {
    struct ev_loop *ev;
    const struct config *config;
    struct identity *identity;
    struct counting_memory counting;       /* documents, buffers, clients       */
    struct counting_memory counting_store; /* rows on their way, cache          */
    struct crdt_memory memory;
    struct crdt_memory memory_store;
    struct core_facts facts;
    struct core *core;
    struct store *store;
    struct cache cache;
    struct connections connections;
    struct listener clients_tcp;
    struct listener clients_unix;
    struct socket_file unix_file;          /* that clients_unix is bound to     */
    struct mesh mesh;
    struct resolver *resolver;
    struct builder builder;
    struct deferred *deferred;             /* a queue in an array               */
    size_t deferred_first;
    size_t deferred_count;
    size_t deferred_capacity;
    uint64_t stepped_us;                   /* when the last step began          */
    bool is_stepping;
    bool is_full;                          /* the store's queue: nobody is read */
    bool is_serving;
    bool is_stopping;
    bool is_stopped;                       /* the core said so                  */
    int exit_code;
    char store_path[4096];
    uint8_t cluster_id[CRDT_HASH_BYTES];
    ev_prepare prepare;
    ev_idle idle;                          /* runs while there is more to do    */
    ev_timer tick;
    ev_timer facts_timer;
    ev_timer stop_timer;
    ev_signal hang_up;
    ev_async store_async;
    ev_async resolve_async;
    ev_signal terminate;
    ev_signal interrupt;
};

/* Prepares memory, watchers and counters; nothing is open yet. */
bool loop_init(struct loop *loop, const struct config *config, struct identity *identity,
    struct failure *failure);
void loop_close(struct loop *loop);

/* Gives the core an input, with the time added, and carries out what follows. */
void loop_input(struct loop *loop, struct core_input *input);
/* The same, once the outputs at hand are carried out. For use inside of them. */
void loop_defer(struct loop *loop, const struct core_input *input);

/* The same without what was deferred: for use inside of deferred work. */
void loop_step(struct loop *loop, struct core_input *input);
/* Room for a deferred input or FETCH, zeroed. */
struct deferred *loop_defer_slot(struct loop *loop);
/* Ends the process: without this memory the core and the world would disagree. */
void loop_die_of_memory(void);

/* Opens the client ports. */
bool loop_serve(struct loop *loop, struct failure *failure);
/* For store_start(): tells the loop from another thread that there is news. */
void loop_wake_store(void *context);

/* Runs until the core has stopped; returns the exit code. */
int loop_run(struct loop *loop);

#endif
