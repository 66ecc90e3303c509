/* Feeds as nodes make them: real batches, signed with real keys, and the rows that
 * a store gets of them. */
#ifndef TESTS_HOST_FEEDS_H
#define TESTS_HOST_FEEDS_H

#include "gossipd/host/store/database.h"
#include "gossipd/host/identity.h"
#include "tests/support/choice.h"

extern const uint8_t feeds_cluster_id[CRDT_HASH_BYTES];

/* A node without a store: a document that writes under its own key. */
struct feeds_node {
    struct identity identity;
    struct crdt_document *document;
    struct crdt_buffer batch; /* the newest own one                                 */
    uint64_t seq;
};

/* `number` tells the keys apart. */
void feeds_node_open(struct feeds_node *node, uint8_t number);
void feeds_node_close(struct feeds_node *node);

/* Writes a few random operations and gives the batch as a STORE; what that points
 * to lives until the node's next write. */
struct core_output feeds_write(struct feeds_node *node, struct choice *choice, uint64_t number);
/* Merges a batch of another one. */
void feeds_merge(struct feeds_node *node, struct crdt_bytes batch);
/* The bytes of the node's snapshot; the caller closes the buffer. */
struct crdt_buffer feeds_snapshot(struct feeds_node *node);

/* The options of a document that only merges. */
struct crdt_options feeds_options(void);

#endif
