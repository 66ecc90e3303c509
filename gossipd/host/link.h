/* A link: one TCP connection between two members.
 *
 *     DIALLING --connected--> SHAKING --key proved--> UP --> (closed)
 *     (accepted) -------------'
 *
 * Turns bytes into whole messages and back; knows nothing of what they mean.
 * Signed but not encrypted: a private network only.
 */
#ifndef GOSSIPD_HOST_LINK_H
#define GOSSIPD_HOST_LINK_H

#include <ev.h>

#include "gossipd/host/resolve.h"
#include "gossipd/limits.h"
#include "gossipd/wire/frame.h"
#include "gossipd/wire/handshake.h"

struct loop;

enum link_state { LINK_DIALLING, LINK_SHAKING, LINK_UP, LINK_CLOSED };

struct link {
    struct loop *loop;
    uint64_t id;               /* serial << 16 | slot: never used again         */
    enum link_state state;
    bool is_initiator;
    size_t peer;               /* whom it dials: index into the configuration   */
    int fd;                    /* -1: none yet, or none any more                */
    ev_io readable;
    ev_io writable;
    ev_timer deadline;         /* of DIALLING and SHAKING                       */
    struct handshake handshake;
    uint64_t risen_us;         /* when the key was proved                       */
    size_t read_bytes;         /* that the next read asks for                   */
    struct frame_reader reader;
    struct frame_writer writer;
    struct crdt_buffer output; /* pieces on their way to the kernel             */
    size_t sent;               /* bytes at the front of `output` that have left */
    uint64_t dropped;          /* bulk messages that found the queue full       */
    bool is_choked;            /* not read until the store has drained          */
    bool must_close;           /* after what is queued: a refusal               */
    bool is_queued;            /* in the list of links to visit                 */
    struct link *next;         /* of the same list                              */
};

#define LINK_SLOT_MASK UINT64_C(0xffff)
#define LINK_SLOT_BITS 16

/* Makes a link in a free slot; NULL when there are too many or memory is out. */
struct link *link_new(struct loop *loop, bool is_initiator);
/* Frees a closed link. */
void link_free(struct link *link);

/* Goes on with a socket that a listener accepted, or with an address to dial. */
void link_accepted(struct link *link, int fd);
void link_connect(struct link *link, const struct resolve_answer *answer);

/* Ends a link; mesh_turn() frees it. `is_told`: the core gets a LINK_DOWN. */
void link_shut(struct link *link, bool is_told);

/* Queues a message; mesh_turn() sends it. */
void link_push(struct link *link, enum frame_channel channel, struct crdt_bytes bytes);
/* Writes what the kernel takes now. */
void link_flush(struct link *link);
/* Bytes that have left the queue and not the process. */
size_t link_unsent(const struct link *link);

void link_say_failed(const struct link *link, const char *reason);

#endif
