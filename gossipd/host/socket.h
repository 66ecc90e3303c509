/* Sockets: the few calls that connections and links share. All are
 * non-blocking and closed on exec. */
#ifndef GOSSIPD_HOST_SOCKET_H
#define GOSSIPD_HOST_SOCKET_H

#include <sys/socket.h>

#include "gossipd/host/log.h"

/* Listens at a numeric address or a name of this host. */
bool socket_listen(const char *host, const char *port, int *ret_fd, struct failure *failure);

/* Listens at a path, mode 0600; replaces what a dead process left there. */
bool socket_listen_path(const char *path, int *ret_fd, struct failure *failure);

/* Takes a waiting connection; -1 with errno when there is none. */
int socket_accept(int listener);

/* Begins to connect, from `source` unless it is "". -1 with errno. */
int socket_dial(const struct sockaddr *address, socklen_t address_bytes, const char *source);

/* Sends small messages at once instead of gathering them. */
void socket_set_nodelay(int fd);

/* Whether the other side is on this machine: a Unix socket, or loopback. */
bool socket_is_local(int fd);

#define SOCKET_TEXT_BYTES 128
/* The other side as text, for the log. */
void socket_peer_text(int fd, char ret_text[static SOCKET_TEXT_BYTES]);

#endif
