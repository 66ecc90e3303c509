/* Clients' connections: RESP over TCP and over a Unix socket.
 *
 * Bytes become commands for the core, its replies become bytes. Every client is
 * bounded in what it may send ahead and leave unread; what cannot wait is
 * closed, what can is not read for a while.
 */
#ifndef GOSSIPD_HOST_CONNECTION_H
#define GOSSIPD_HOST_CONNECTION_H

#include <ev.h>

#include "gossipd/host/log.h"
#include "gossipd/wire/resp.h"

struct loop;

struct connection {
    struct loop *loop;
    uint64_t id;              /* serial << 16 | slot: never used again          */
    int fd;                   /* -1 once closed                                 */
    ev_io readable;
    ev_io writable;
    struct resp_reader reader;
    struct crdt_buffer output;
    size_t sent;              /* bytes at the front of `output` that have left  */
    uint64_t heard_us;
    size_t awaited;           /* commands whose reply may still come            */
    bool is_choked;           /* not read until output or store have drained    */
    bool has_more;            /* commands wait in the reader                    */
    bool is_at_end;           /* the client has sent its last byte              */
    bool must_close;          /* after what was replied                         */
    bool is_paused;           /* no command is taken until a backup is made     */
    bool is_queued;           /* in the list of connections to visit            */
    struct connection *next;  /* of the same list                               */
};

struct connections {
    struct connection **slots;
    uint16_t *slots_free;     /* a stack                                        */
    size_t slots_free_count;
    size_t capacity;
    size_t count;
    uint64_t serial;
    uint64_t accepted;        /* in all, for INFO                               */
    struct connection *visit; /* with commands or output that wait              */
};

bool connections_init(struct loop *loop, struct failure *failure);
void connections_close(struct loop *loop);

/* Takes over an accepted socket. False: too many clients, or out of memory. */
bool connections_admit(struct loop *loop, int fd);

/* Outputs of the core; ids of those who have left are ignored. */
void connections_reply(struct loop *loop, uint64_t id, struct crdt_bytes bytes);
void connections_finish(struct loop *loop, uint64_t id);

/* Takes no further command of this client until unpaused. False: it is not on
 * this machine. */
bool connections_pause(struct loop *loop, uint64_t id);
void connections_unpause(struct loop *loop, uint64_t id);

/* Before the loop sleeps: goes on with commands that wait, then writes. */
void connections_turn(struct loop *loop);
/* Whether every reply has left. */
bool connections_are_flushed(const struct loop *loop);
/* The store has room again: everyone is read again. */
void connections_resume(struct loop *loop);
/* Now and then: gives back the memory of idle clients, closes half-closed ones. */
void connections_sweep(struct loop *loop, uint64_t now_us);

#endif
