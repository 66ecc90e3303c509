/* All links of this node: the port for peers, dialling, sending. */
#ifndef GOSSIPD_HOST_MESH_H
#define GOSSIPD_HOST_MESH_H

#include "gossipd/host/link.h"
#include "gossipd/host/listener.h"
#include "gossipd/host/log.h"

struct mesh {
    struct link *slots[LINKS_MAX];
    size_t half_open;          /* accepted, key not proved yet                  */
    uint64_t serial;
    uint64_t quiet_until_us[MEMBERS_MAX]; /* per peer: no line about failed dials */
    uint64_t knocks_quiet_until_us; /* likewise about links that strangers close   */
    unsigned address_turn[MEMBERS_MAX]; /* per peer: which of its addresses is next   */
    struct link *visit;        /* with output that waits, or closed             */
    unsigned twins;            /* links refused since `twins_since_us`          */
    uint64_t twins_since_us;
    struct handshake_identity identity;
    struct listener listener;
};

/* `cluster_id` is what both sides of a link must agree on. */
void mesh_init(struct loop *loop, const uint8_t cluster_id[static CRDT_HASH_BYTES]);
void mesh_close(struct loop *loop);

/* Opens the port for peers. */
bool mesh_listen(struct loop *loop, struct failure *failure);

/* Outputs of the core; ids of links that are gone are ignored. */
void mesh_dial(struct loop *loop, size_t peer);
void mesh_send(struct loop *loop, uint64_t id, bool is_bulk, struct crdt_bytes bytes);
void mesh_hang_up(struct loop *loop, uint64_t id);

/* Whether a link that was dialled by a peer has to wait because another one of the
 * same key has just been taken: two processes with one key would throw each other
 * out before anything is said. Raises the alarm when it goes on. */
bool mesh_refuses_twin(const struct link *link);

/* What the configuration calls the holder of this key; "?": a stranger. */
const char *mesh_name(const struct loop *loop, const uint8_t key[static CRDT_KEY_BYTES]);

/* Takes the answers of the resolver. */
void mesh_resolved(struct loop *loop);
/* Before the loop sleeps: writes, and frees what was closed. */
void mesh_turn(struct loop *loop);
/* The store has room again: everyone is read again. */
void mesh_resume(struct loop *loop);

#endif
