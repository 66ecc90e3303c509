/* Sockets: the few calls that connections and links share. All are
 * non-blocking and closed on exec. */
#ifndef GOSSIPD_HOST_SOCKET_H
#define GOSSIPD_HOST_SOCKET_H

#include <sys/socket.h>
#include <sys/types.h>

#include "gossipd/host/log.h"

/* Listens at a numeric address or a name of this host. */
bool socket_listen(const char *host, const char *port, int *ret_fd, struct failure *failure);

/* Which file a socket was bound to: the path may be another's by now. */
struct socket_file {
    dev_t device;
    ino_t inode;               /* 0: none                                       */
};

/* Listens at a path, mode 0600; replaces the socket of a dead process, nothing else. */
bool socket_listen_path(
    const char *path, int *ret_fd, struct socket_file *ret_file, struct failure *failure);
/* Removes the path if it is still that file. */
void socket_unlink(const char *path, const struct socket_file *file);

/* Takes a waiting connection; -1 with errno when there is none. */
int socket_accept(int listener);

/* Begins to connect, from `source` unless it is "". -1 with errno. */
int socket_dial(const struct sockaddr *address, socklen_t address_bytes, const char *source);

/* Sends small messages at once instead of gathering them. */
void socket_set_nodelay(int fd);

/* Lets the kernel ask, after CLIENT_KEEPALIVE_S of silence, whether the other side
 * is still there; without an answer the socket fails. */
void socket_set_keepalive(int fd);

/* Whether the other side is on this machine: a Unix socket, or loopback. */
bool socket_is_local(int fd);

#define SOCKET_TEXT_BYTES 128
/* The other side as text, for the log. */
void socket_peer_text(int fd, char ret_text[static SOCKET_TEXT_BYTES]);

#endif
