/* Links between nodes: in order and reliable like TCP unless a fault says
 * otherwise. A cut swallows what is sent and tells nobody, as a real one does; every
 * second link that has swallowed something stays dead when the cut is healed, until
 * both cores have closed it. */
#ifndef TESTS_SIM_NETWORK_H
#define TESTS_SIM_NETWORK_H

#include "gossipd/core/core.h"
#include "tests/sim/agenda.h"
#include "tests/sim/registry.h"

struct simulator;

/* Side 0 dialled, side 1 accepted. */
struct link {
    uint64_t id;
    size_t nodes[2];
    uint64_t numbers[2];     /* what each node's core calls it                  */
    bool is_open[2];
    bool is_judged;          /* it has swallowed something while it was cut      */
    bool is_dead;            /* and passes nothing any more: nobody tells either */
    uint64_t arrives_us[2];  /* when the newest message to that side arrives    */
};

struct network {
    struct link *links;
    size_t count;
    size_t capacity;
    uint64_t id;
    bool is_cut[NODE_COUNT_MAX][NODE_COUNT_MAX]; /* [from][to]                  */
    /* Faults, in messages of a thousand. */
    unsigned flood; /* copies of the next message                              */
    unsigned loss, duplication, reordering, delay, corruption, bulk_loss;
};

/* Executes CONNECT and CLOSE_LINK and SEND. */
void network_dial(struct simulator *sim, size_t node, size_t peer);
/* A dial that the core has not asked for; FAULT_SECOND_LINK when there is a link. */
void network_dial_again(struct simulator *sim, size_t node, size_t peer);
void network_close_link(struct simulator *sim, size_t node, uint64_t number);
void network_send(struct simulator *sim, size_t node, const struct core_output *output);
/* Breaks every link of a node: it crashed. */
void network_crash(struct simulator *sim, size_t node);
/* Breaks one link: both sides learn it. False when neither did. */
bool network_reset(struct simulator *sim, size_t index);
/* An open link of the node is dead. */
bool network_has_dead_link(const struct network *network, size_t node);
/* Open links from `node`'s point of view to `peer`. */
size_t network_links(const struct simulator *sim, size_t node, size_t peer);

/* Puts a message of `node` on a link to `other`; false when there is none. */
bool network_inject(struct simulator *sim, size_t node, size_t other, struct crdt_bytes bytes);

/* The events of this room. */
void network_dialled(struct simulator *sim, const struct event *event);
void network_dial_failed(struct simulator *sim, const struct event *event);
void network_up(struct simulator *sim, const struct event *event);
void network_down(struct simulator *sim, const struct event *event);
void network_frame(struct simulator *sim, const struct event *event);
void network_free(struct network *network);

#endif
