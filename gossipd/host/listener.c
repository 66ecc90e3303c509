/* Listening sockets. See listener.h. */
#include "gossipd/host/listener.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gossipd/host/loop.h"
#include "gossipd/host/socket.h"
#include "gossipd/limits.h"

static void refuse(const struct listener *listener, int fd)
{
    /* Best effort: whoever is one too many may not be able to read it. */
    ssize_t size = send(fd, listener->refusal, strlen(listener->refusal), MSG_NOSIGNAL);
    (void)size;
    close(fd);
}

static void on_acceptable(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)events;
    struct listener *listener = watcher->data;
    for (size_t i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = socket_accept(listener->fd);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                /* Until listener_resume() the backlog of the kernel holds them. */
                log_write(CORE_WARNING, "accept-failed", "error=\"%s\"", strerror(errno));
                ev_io_stop(ev, watcher);
            }
            return;
        }
        if (!listener->admit(listener->loop, fd)) {
            refuse(listener, fd);
        }
    }
}

void listener_open(struct listener *listener, struct loop *loop, int fd,
    bool (*admit)(struct loop *loop, int fd), const char *refusal)
{
    *listener =
        (struct listener){.loop = loop, .fd = fd, .admit = admit, .refusal = refusal};
    ev_io_init(&listener->acceptable, on_acceptable, fd, EV_READ);
    listener->acceptable.data = listener;
    ev_io_start(loop->ev, &listener->acceptable);
}

void listener_close(struct listener *listener)
{
    if (listener->loop != NULL) {
        ev_io_stop(listener->loop->ev, &listener->acceptable);
        close(listener->fd);
        *listener = (struct listener){0};
    }
}

void listener_resume(struct listener *listener)
{
    if (listener->loop != NULL) {
        ev_io_start(listener->loop->ev, &listener->acceptable);
    }
}
