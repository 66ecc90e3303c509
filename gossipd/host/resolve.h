/* Host names to addresses, without making the loop wait.
 *
 * A numeric address is answered at once. A name goes to a thread of its own,
 * because getaddrinfo() blocks; its answer comes back through the loop. */
#ifndef GOSSIPD_HOST_RESOLVE_H
#define GOSSIPD_HOST_RESOLVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "gossipd/host/config.h"

struct resolve_answer {
    struct resolve_answer *next;
    uint64_t id;               /* of who asked                                  */
    bool is_found;
    char reason[64];           /* when not found                                */
    struct sockaddr_storage address;
    socklen_t address_bytes;
};

struct resolver;

/* `notify` is called from another thread when resolver_take() has an answer. */
struct resolver *resolver_new(void (*notify)(void *context), void *context);
/* Accepts NULL. Threads that still wait for a name server are left alone and end
 * with the process. */
void resolver_free(struct resolver *resolver);

/* Asks. Of several addresses the answer is number `turn`, counted round and round.
 * True: `ret_answer` is filled in already; false: it will come. */
bool resolver_ask(struct resolver *resolver, uint64_t id, const struct config_address *address,
    unsigned turn, struct resolve_answer *ret_answer);

/* The answers that have come; the caller frees each with free(). */
struct resolve_answer *resolver_take(struct resolver *resolver);

#endif
