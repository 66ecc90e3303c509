/* Listening sockets: for clients over TCP and over a Unix socket, and for peers. */
#ifndef GOSSIPD_HOST_LISTENER_H
#define GOSSIPD_HOST_LISTENER_H

#include <ev.h>
#include <stdbool.h>

struct loop;

struct listener {
    struct loop *loop;
    int fd;
    /* Takes over an accepted socket, or returns false and leaves it. */
    bool (*admit)(struct loop *loop, int fd);
    const char *refusal;   /* what is said to whoever is not admitted; may be "" */
    ev_io acceptable;
};

/* Begins to accept on a socket that listens already. */
void listener_open(struct listener *listener, struct loop *loop, int fd,
    bool (*admit)(struct loop *loop, int fd), const char *refusal);
/* Closes it; accepts one that was never opened, whose `loop` is NULL. */
void listener_close(struct listener *listener);
/* Accepts again after a time without descriptors. */
void listener_resume(struct listener *listener);

#endif
