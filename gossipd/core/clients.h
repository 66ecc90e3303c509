/* Clients' sessions, and their replies that wait for a batch to be durable.
 *
 * Every reply waits for an own batch by its ordinal; replies leave in the order
 * in which they were computed, so each client reads them in its own order.
 * Knows nothing of stores: told what is durable, it says what may leave. */
#ifndef GOSSIPD_CORE_CLIENTS_H
#define GOSSIPD_CORE_CLIENTS_H

#include "gossipd/core/commands.h"
#include "gossipd/core/outputs.h"

struct reply; /* of one client, or several of its replies that share their fate    */

struct client {
    uint64_t id;
    struct session *session;
    struct reply *newest;  /* of this client that waits                             */
    size_t waiting_count;  /* entries in the line                                   */
    size_t waiting_bytes;
    bool must_close;       /* after what waits                                      */
};

struct clients {
    const struct crdt_memory *memory;
    struct client **items; /* by id                                                 */
    size_t count;
    size_t capacity;
    struct reply *first;   /* the line: ordinals never fall along it                */
    struct reply *last;
};

void clients_init(struct clients *clients, const struct crdt_memory *memory);
void clients_close(struct clients *clients);

/* The client of that number, made if it is new; NULL when memory is out. */
struct client *clients_get(struct clients *clients, uint64_t id);

/* The client of that number, or NULL. */
struct client *clients_find(const struct clients *clients, uint64_t id);

/* Forgets a client and what waits for it. */
void clients_remove(struct clients *clients, uint64_t id);

/* Replies: puts out at once when nothing of this client waits and `ordinal` is
 * durable, else in its turn. NOMEM, and LIMIT when too much waits already: the
 * reply is lost and the caller must close the client. */
CRDT_MUST_CHECK enum crdt_status clients_reply(struct clients *clients,
    struct outputs *outputs, struct client *client, struct crdt_bytes bytes, bool is_write,
    uint64_t ordinal, uint64_t durable_ordinal);

/* Closes the client after all of its replies. */
void clients_finish(struct clients *clients, struct outputs *outputs, struct client *client);

/* Closes the client now and forgets it. */
void clients_drop(struct clients *clients, struct outputs *outputs, struct client *client);

/* Puts out what waited for own batches up to `durable_ordinal`. */
void clients_release(
    struct clients *clients, struct outputs *outputs, uint64_t durable_ordinal);

/* Puts out all that waits: writes get an error, since it is not known whether
 * they will be durable; reads get what they computed. */
void clients_release_failed(struct clients *clients, struct outputs *outputs);

#endif
