/* All links of this node. See mesh.h. */
#include "gossipd/host/mesh.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gossipd/host/loop.h"
#include "gossipd/host/socket.h"

static const struct core_peer *peer_of(
    const struct loop *loop, const uint8_t key[static CRDT_KEY_BYTES])
{
    for (size_t i = 0; i < loop->config->peer_count; i++) {
        if (memcmp(loop->config->peers[i].key, key, CRDT_KEY_BYTES) == 0) {
            return &loop->config->peers[i];
        }
    }
    return NULL;
}

const char *mesh_name(const struct loop *loop, const uint8_t key[static CRDT_KEY_BYTES])
{
    const struct core_peer *peer = peer_of(loop, key);
    return peer != NULL ? peer->name : "?";
}

static bool is_known(void *context, const uint8_t key[static CRDT_KEY_BYTES])
{
    return peer_of(context, key) != NULL;
}

static void sign(void *context, const uint8_t *message, size_t message_bytes,
    uint8_t ret_signature[static HANDSHAKE_SIGNATURE_BYTES])
{
    struct loop *loop = context;
    identity_sign(loop->identity, message, message_bytes, ret_signature);
}

static bool verify(void *context, const uint8_t key[static CRDT_KEY_BYTES],
    const uint8_t *message, size_t message_bytes,
    const uint8_t signature[static HANDSHAKE_SIGNATURE_BYTES])
{
    (void)context;
    return identity_verify(key, message, message_bytes, signature);
}

void mesh_init(struct loop *loop, const uint8_t cluster_id[static CRDT_HASH_BYTES])
{
    loop->mesh = (struct mesh){0};
    struct handshake_identity *identity = &loop->mesh.identity;
    *identity = (struct handshake_identity){
        .is_known = is_known, .sign = sign, .verify = verify, .context = loop};
    memcpy(identity->cluster_id, cluster_id, CRDT_HASH_BYTES);
    memcpy(identity->key, loop->identity->key, CRDT_KEY_BYTES);
}

static struct link *look_up(const struct mesh *all, uint64_t id)
{
    size_t slot = (size_t)(id & LINK_SLOT_MASK);
    struct link *link = slot < LINKS_MAX ? all->slots[slot] : NULL;
    bool is_same = link != NULL && link->id == id && link->state != LINK_CLOSED;
    return is_same ? link : NULL;
}

static bool admit(struct loop *loop, int fd)
{
    struct link *link =
        loop->mesh.half_open < LINKS_HALF_OPEN_MAX ? link_new(loop, false) : NULL;
    if (link == NULL) {
        return false;
    }
    loop->mesh.half_open++;
    link_accepted(link, fd);
    return true;
}

bool mesh_listen(struct loop *loop, struct failure *failure)
{
    const struct config_address *address = &loop->config->peer_address;
    int fd = -1;
    if (!socket_listen(address->host, address->port, &fd, failure)) {
        return false;
    }
    listener_open(&loop->mesh.listener, loop, fd, admit, "");
    return true;
}

/* The link that waits for the address of this peer; NULL: none. */
static const struct link *look_up_asking(const struct mesh *all, size_t peer)
{
    for (size_t i = 0; i < LINKS_MAX; i++) {
        const struct link *link = all->slots[i];
        if (link != NULL && link->is_initiator && link->peer == peer &&
            link->state == LINK_DIALLING && link->fd < 0) {
            return link;
        }
    }
    return NULL;
}

void mesh_dial(struct loop *loop, size_t peer)
{
    assert(peer < loop->config->peer_count);
    const struct link *asking = look_up_asking(&loop->mesh, peer);
    if (asking != NULL) {
        /* A question more would not make the name server faster. */
        link_say_failed(asking, "no answer from the name server yet");
        return;
    }
    struct link *link = link_new(loop, true);
    if (link == NULL) {
        log_write(CORE_WARNING, "link-failed", "peer=%s reason=\"too many links\"",
            loop->config->peers[peer].name);
        return;
    }
    link->peer = peer;
    struct resolve_answer answer;
    if (resolver_ask(loop->resolver, link->id, &loop->config->peer_addresses[peer],
            loop->mesh.address_turn[peer], &answer)) {
        link_connect(link, &answer);
    }
}

static bool is_linked(const struct loop *loop, size_t peer)
{
    const uint8_t *key = loop->config->peers[peer].key;
    for (size_t i = 0; i < LINKS_MAX; i++) {
        const struct link *link = loop->mesh.slots[i];
        if (link != NULL && link->state == LINK_UP &&
            memcmp(link->handshake.their_key, key, CRDT_KEY_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

void mesh_resolved(struct loop *loop)
{
    struct resolve_answer *answer = resolver_take(loop->resolver);
    while (answer != NULL) {
        struct resolve_answer *next = answer->next;
        struct link *link = look_up(&loop->mesh, answer->id);
        if (link != NULL && is_linked(loop, link->peer)) {
            /* It has dialled us meanwhile, and a later link would replace that one. */
            link_shut(link, true);
        } else if (link != NULL) {
            link_connect(link, answer);
        }
        free(answer);
        answer = next;
    }
}

void mesh_send(struct loop *loop, uint64_t id, bool is_bulk, struct crdt_bytes bytes)
{
    struct link *link = look_up(&loop->mesh, id);
    if (link == NULL || link->state != LINK_UP) {
        return;
    }
    size_t bulk = frame_writer_bytes(&link->writer, FRAME_BULK);
    size_t queued = bulk + frame_writer_bytes(&link->writer, FRAME_CONTROL) + link_unsent(link);
    if (is_bulk && bulk > LINK_BULK_BYTES_MAX) {
        link->dropped++;
        return;
    }
    if (queued + bytes.size > LINK_QUEUE_BYTES_MAX) {
        link_say_failed(link, "it does not read: the send queue is full");
        link_shut(link, true);
        return;
    }
    link_push(link, is_bulk ? FRAME_BULK : FRAME_CONTROL, bytes);
}

void mesh_hang_up(struct loop *loop, uint64_t id)
{
    struct link *link = look_up(&loop->mesh, id);
    if (link != NULL) {
        link_shut(link, false);
    }
}

/* A peer that lost its link redials once or twice within the turn; who does so
 * again and again is not alone. */
static void count_twin(const struct link *link, const struct link *other)
{
    struct mesh *all = &link->loop->mesh;
    char key[IDENTITY_HEX_BYTES];
    char here[SOCKET_TEXT_BYTES];
    char there[SOCKET_TEXT_BYTES];
    if (link->risen_us - all->twins_since_us > TWIN_WINDOW_US) {
        all->twins = 0;
        all->twins_since_us = link->risen_us;
    }
    if (++all->twins != TWIN_LINKS) {
        return;
    }
    identity_key_text(link->handshake.their_key, key);
    socket_peer_text(link->fd, here);
    socket_peer_text(other->fd, there);
    log_write(CORE_ALARM, "key-twice", "key=%s addresses=\"%s %s\" action=\"two processes seem "
        "to use one node.key: stop the copy, give it a key of its own\"", key, here, there);
}

bool mesh_refuses_twin(const struct link *link)
{
    for (size_t i = 0; i < LINKS_MAX; i++) {
        const struct link *other = link->loop->mesh.slots[i];
        bool is_twin = other != NULL && other != link && other->state == LINK_UP &&
            !other->is_initiator && !link->is_initiator &&
            memcmp(other->handshake.their_key, link->handshake.their_key, CRDT_KEY_BYTES) == 0;
        if (is_twin && link->risen_us - other->risen_us < TWIN_TURN_US) {
            count_twin(link, other);
            return true;
        }
    }
    return false;
}

void mesh_turn(struct loop *loop)
{
    struct link *link = loop->mesh.visit;
    loop->mesh.visit = NULL;
    while (link != NULL) {
        struct link *next = link->next;
        if (link->state == LINK_CLOSED) {
            link_free(link);
        } else {
            link->is_queued = false;
            link_flush(link);
        }
        link = next;
    }
}

void mesh_resume(struct loop *loop)
{
    for (size_t i = 0; i < LINKS_MAX; i++) {
        struct link *link = loop->mesh.slots[i];
        if (link != NULL && link->is_choked && link->fd >= 0) {
            link->is_choked = false;
            ev_io_start(loop->ev, &link->readable);
        }
    }
}

void mesh_close(struct loop *loop)
{
    listener_close(&loop->mesh.listener);
    for (size_t i = 0; i < LINKS_MAX; i++) {
        struct link *link = loop->mesh.slots[i];
        if (link != NULL) {
            link_shut(link, false);
            link_free(link);
        }
    }
    loop->mesh.visit = NULL;
}
