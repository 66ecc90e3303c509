/* Sockets. See socket.h. */
#include "gossipd/host/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "gossipd/limits.h"

#define LISTEN_BACKLOG 511 /* connections the kernel holds for us, as in Redis  */

static bool make_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
        fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

static int close_keeping_errno(int fd)
{
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static int listen_at(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM, 0);
    if (fd < 0) {
        return -1;
    }
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (!make_nonblocking(fd) || bind(fd, address->ai_addr, address->ai_addrlen) != 0 ||
        listen(fd, LISTEN_BACKLOG) != 0) {
        return close_keeping_errno(fd);
    }
    return fd;
}

bool socket_listen(const char *host, const char *port, int *ret_fd, struct failure *failure)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *addresses = NULL;
    int code = getaddrinfo(host, port, &hints, &addresses);
    if (code != 0) {
        return failure_say(failure, "cannot listen at %s:%s: %s", host, port,
            gai_strerror(code));
    }
    int fd = listen_at(addresses);
    int error = errno;
    freeaddrinfo(addresses);
    if (fd < 0) {
        return failure_say(failure, "cannot listen at %s:%s: %s%s", host, port, strerror(error),
            error == EADDRINUSE ? "; choose another port or stop who uses it" : "");
    }
    *ret_fd = fd;
    return true;
}

/* Makes room for a socket at `address`: that of a process that is no more goes. */
static bool clear_path(const struct sockaddr_un *address, struct failure *failure)
{
    const char *path = address->sun_path;
    struct stat facts;
    if (lstat(path, &facts) != 0) {
        return true;
    }
    if (!S_ISSOCK(facts.st_mode)) {
        return failure_say(failure, "%s exists and is not a socket: move it away, or set "
            "`unixsocket` to another path", path);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    bool is_dead = fd >= 0 && make_nonblocking(fd) &&
        connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
        errno == ECONNREFUSED;
    if (fd >= 0) {
        close(fd);
    }
    if (!is_dead) {
        return failure_say(failure, "another process seems to listen at %s: stop it, or set "
            "`unixsocket` to another path; if there is none, remove the file", path);
    }
    unlink(path);
    return true;
}

static int bind_path(const struct sockaddr_un *address, struct socket_file *ret_file)
{
    struct stat facts;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0) {
        return -1;
    }
    mode_t mask = umask(0177);
    bool is_bound = make_nonblocking(fd) &&
        bind(fd, (const struct sockaddr *)address, sizeof *address) == 0;
    int error = errno;
    umask(mask);
    errno = error;
    if (!is_bound || listen(fd, LISTEN_BACKLOG) != 0 || lstat(address->sun_path, &facts) != 0) {
        return close_keeping_errno(fd);
    }
    *ret_file = (struct socket_file){facts.st_dev, facts.st_ino};
    return fd;
}

bool socket_listen_path(
    const char *path, int *ret_fd, struct socket_file *ret_file, struct failure *failure)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        return failure_say(failure, "the socket path %s has more than %zu characters, which the "
            "kernel does not take: set `unixsocket` to a shorter one", path,
            sizeof address.sun_path - 1);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (!clear_path(&address, failure)) {
        return false;
    }
    int fd = bind_path(&address, ret_file);
    if (fd < 0) {
        return failure_say(failure, "cannot listen at %s: %s", path, strerror(errno));
    }
    *ret_fd = fd;
    return true;
}

void socket_unlink(const char *path, const struct socket_file *file)
{
    struct stat facts;
    if (file->inode != 0 && lstat(path, &facts) == 0 && facts.st_ino == file->inode &&
        facts.st_dev == file->device) {
        unlink(path);
    }
}

int socket_accept(int listener)
{
    int fd = accept(listener, NULL, NULL);
    if (fd >= 0 && !make_nonblocking(fd)) {
        return close_keeping_errno(fd);
    }
    return fd;
}

/* Binds to a numeric source address; a packet filter can then tell the nodes of
 * one host apart. */
static bool bind_source(int fd, const char *source)
{
    const struct addrinfo hints = {
        .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_PASSIVE};
    struct addrinfo *address = NULL;
    if (getaddrinfo(source, NULL, &hints, &address) != 0) {
        errno = EADDRNOTAVAIL;
        return false;
    }
    bool is_bound = bind(fd, address->ai_addr, address->ai_addrlen) == 0;
    int error = errno;
    freeaddrinfo(address);
    errno = error;
    return is_bound;
}

int socket_dial(const struct sockaddr *address, socklen_t address_bytes, const char *source)
{
    int fd = socket(address->sa_family, SOCK_STREAM, 0);
    if (fd < 0) {
        return -1;
    }
    if (!make_nonblocking(fd) || (source[0] != '\0' && !bind_source(fd, source)) ||
        (connect(fd, address, address_bytes) != 0 && errno != EINPROGRESS)) {
        return close_keeping_errno(fd);
    }
    return fd;
}

void socket_set_nodelay(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void socket_set_keepalive(int fd)
{
    int on = 1;
    int idle_s = CLIENT_KEEPALIVE_S;
    int interval_s = CLIENT_KEEPALIVE_S / 3;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
}

bool socket_is_local(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t address_bytes = sizeof address;
    if (getpeername(fd, (struct sockaddr *)&address, &address_bytes) != 0) {
        return false;
    }
    if (address.ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, &address, sizeof in);
        return ntohl(in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    if (address.ss_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, &address, sizeof in);
        return IN6_IS_ADDR_LOOPBACK(&in.sin6_addr) ||
            (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr) && in.sin6_addr.s6_addr[12] == IN_LOOPBACKNET);
    }
    return address.ss_family == AF_UNIX;
}

void socket_peer_text(int fd, char ret_text[static SOCKET_TEXT_BYTES])
{
    struct sockaddr_storage address = {0};
    socklen_t address_bytes = sizeof address;
    char host[64] = "?";
    char port[16] = "?";
    snprintf(ret_text, SOCKET_TEXT_BYTES, "-");
    if (getpeername(fd, (struct sockaddr *)&address, &address_bytes) == 0 &&
        address.ss_family != AF_UNIX &&
        getnameinfo((const struct sockaddr *)&address, address_bytes, host, sizeof host, port,
            sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
        snprintf(ret_text, SOCKET_TEXT_BYTES, "%s:%s", host, port);
    }
}
