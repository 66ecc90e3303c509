/* A link between members. See link.h. */
#include "gossipd/host/link.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gossipd/core/memory.h"
#include "gossipd/host/clock.h"
#include "gossipd/host/loop.h"
#include "gossipd/host/socket.h"

static void enqueue(struct link *link)
{
    if (!link->is_queued) {
        link->is_queued = true;
        link->next = link->loop->mesh.visit;
        link->loop->mesh.visit = link;
    }
}

/* Ends a link. Its memory is freed at the end of the turn, because an input of
 * this very link may be in progress. `is_told`: the core does not know yet. */
void link_shut(struct link *link, bool is_told)
{
    struct loop *loop = link->loop;
    if (link->state == LINK_CLOSED) {
        return;
    }
    if (!link->is_initiator && link->state == LINK_SHAKING) {
        loop->mesh.half_open--;
    }
    bool is_known = link->state == LINK_UP || link->is_initiator;
    if (link->is_initiator && link->state != LINK_UP) {
        /* A name can have several addresses: the next dial takes the next one. */
        loop->mesh.address_turn[link->peer]++;
    }
    link->state = LINK_CLOSED;
    ev_timer_stop(loop->ev, &link->deadline);
    if (link->fd >= 0) {
        ev_io_stop(loop->ev, &link->readable);
        ev_io_stop(loop->ev, &link->writable);
        close(link->fd);
        link->fd = -1;
    }
    if (is_told && is_known) {
        struct core_input input = {.kind = CORE_LINK_DOWN, .link = link->id};
        if (link->is_initiator) {
            memcpy(input.key, loop->config->peers[link->peer].key, sizeof input.key);
        } else {
            memcpy(input.key, link->handshake.their_key, sizeof input.key);
        }
        loop_defer(loop, &input);
    }
    enqueue(link);
}

void link_free(struct link *link)
{
    struct loop *loop = link->loop;
    size_t slot = (size_t)(link->id & LINK_SLOT_MASK);
    assert(link->state == LINK_CLOSED);
    assert(loop->mesh.slots[slot] == link);
    loop->mesh.slots[slot] = NULL;
    frame_reader_close(&link->reader);
    frame_writer_close(&link->writer);
    crdt_buffer_close(&link->output);
    memory_free(&loop->memory, link, sizeof *link);
}

static bool is_time_for(uint64_t *quiet_until_us)
{
    uint64_t now_us = clock_monotonic_us();
    if (now_us < *quiet_until_us) {
        return false;
    }
    *quiet_until_us = now_us + LINK_QUIET_US;
    return true;
}

/* A member that is away is dialled every second: it is worth one line when it
 * begins, and one a minute while it lasts. */
static bool is_worth_a_line(const struct link *link)
{
    return !link->is_initiator || is_time_for(&link->loop->mesh.quiet_until_us[link->peer]);
}

void link_say_failed(const struct link *link, const char *reason)
{
    char address[SOCKET_TEXT_BYTES] = "-";
    const struct config *config = link->loop->config;
    if (!is_worth_a_line(link)) {
        return;
    }
    if (link->is_initiator) {
        snprintf(address, sizeof address, "%.100s:%s", config->peer_addresses[link->peer].host,
            config->peer_addresses[link->peer].port);
    } else if (link->fd >= 0) {
        socket_peer_text(link->fd, address);
    }
    log_write(CORE_INFO, "link-failed", "peer=%s address=\"%s\" reason=\"%s\"",
        link->is_initiator ? config->peers[link->peer].name : "?", address, reason);
}

static void on_deadline(struct ev_loop *ev, ev_timer *watcher, int events)
{
    (void)ev;
    (void)events;
    struct link *link = watcher->data;
    link_say_failed(link, link->state == LINK_DIALLING ? "no answer to connect"
                                                  : "no answer in the handshake");
    link_shut(link, true);
}

/* Makes a link in a free slot; NULL when there are too many or memory is out. */
struct link *link_new(struct loop *loop, bool is_initiator)
{
    struct mesh *all = &loop->mesh;
    size_t slot = 0;
    while (slot < LINKS_MAX && all->slots[slot] != NULL) {
        slot++;
    }
    struct link *link =
        slot < LINKS_MAX ? memory_new(&loop->memory, sizeof *link) : NULL;
    if (link == NULL) {
        return NULL;
    }
    link->loop = loop;
    link->id = ++all->serial << LINK_SLOT_BITS | slot;
    link->state = LINK_DIALLING;
    link->is_initiator = is_initiator;
    link->fd = -1;
    link->read_bytes = LINK_READ_BYTES_MIN;
    frame_reader_init(&link->reader, &loop->memory);
    frame_writer_init(&link->writer, &loop->memory);
    crdt_buffer_init(&link->output, &loop->memory);
    link->reader.message_bytes_max[FRAME_CONTROL] = HANDSHAKE_BYTES_MAX;
    link->reader.message_bytes_max[FRAME_BULK] = 0;
    ev_timer_init(&link->deadline, on_deadline, LINK_CONNECT_S, 0);
    link->deadline.data = link;
    all->slots[slot] = link;
    return link;
}

size_t link_unsent(const struct link *link)
{
    return link->output.size - link->sent;
}

/* Fills `output` with the next pieces once the kernel has taken all before. */
static bool refill(struct link *link)
{
    if (link_unsent(link) == 0) {
        crdt_buffer_clear(&link->output);
        link->sent = 0;
    }
    return link->output.size > 0 ||
        frame_writer_pull(&link->writer, LINK_WRITE_BYTES, &link->output) == CRDT_OK;
}

void link_flush(struct link *link)
{
    for (size_t i = 0; i < LINK_WRITES_PER_TURN; i++) {
        if (!refill(link)) {
            link_shut(link, true);
            return;
        }
        if (link_unsent(link) == 0) {
            ev_io_stop(link->loop->ev, &link->writable);
            if (link->must_close) {
                link_shut(link, true);
            }
            return;
        }
        ssize_t size = send(
            link->fd, link->output.data + link->sent, link_unsent(link), MSG_NOSIGNAL);
        if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
            break;
        }
        if (size < 0) {
            link_shut(link, true);
            return;
        }
        link->sent += (size_t)size;
    }
    ev_io_start(link->loop->ev, &link->writable);
}

void link_push(struct link *link, enum frame_channel channel, struct crdt_bytes bytes)
{
    if (frame_writer_push(&link->writer, channel, bytes) == CRDT_OK) {
        enqueue(link);
    } else {
        link_shut(link, true);
    }
}

/* Who is behind an address is known only now. The link of another member must not
 * go on: there it would replace the good one, again with every dial. */
static bool is_dialled(const struct link *link)
{
    const struct config *config = link->loop->config;
    const uint8_t *key = link->handshake.their_key;
    if (!link->is_initiator ||
        memcmp(config->peers[link->peer].key, key, CRDT_KEY_BYTES) == 0) {
        return true;
    }
    char reason[3 * CORE_NAME_BYTES + 96];
    const char *wanted = config->peers[link->peer].name;
    snprintf(reason, sizeof reason, "it answered with the key of %s; it should be %s: check the "
        "address of peer %s", mesh_name(link->loop, key), wanted, wanted);
    link_say_failed(link, reason);
    return false;
}

/* The key is proved: from now on the core decides what is said. */
static void rise(struct link *link)
{
    struct core_input input = {
        .kind = CORE_LINK_UP, .link = link->id, .is_initiator = link->is_initiator};
    memcpy(input.key, link->handshake.their_key, sizeof input.key);
    link->loop->mesh.half_open -= link->is_initiator ? 0 : 1;
    link->state = LINK_UP;
    link->risen_us = clock_monotonic_us();
    if (mesh_refuses_twin(link)) {
        link_shut(link, false);
        return;
    }
    if (link->is_initiator) {
        link->loop->mesh.quiet_until_us[link->peer] = 0;
    }
    ev_timer_stop(link->loop->ev, &link->deadline);
    link->reader.message_bytes_max[FRAME_CONTROL] = FRAME_CONTROL_BYTES_MAX;
    link->reader.message_bytes_max[FRAME_BULK] = FRAME_BULK_BYTES_MAX;
    loop_input(link->loop, &input);
}

static void say_refused(const struct link *link, enum handshake_result result)
{
    char reason[160];
    bool is_theirs = result == HANDSHAKE_REFUSED;
    snprintf(reason, sizeof reason, "%s%s", is_theirs ? "it refuses this node: " : "",
        handshake_result_text(is_theirs ? link->handshake.refusal : result));
    link_say_failed(link, reason);
}

static void shake(struct link *link, struct crdt_bytes message)
{
    struct crdt_buffer reply;
    crdt_buffer_init(&reply, &link->loop->memory);
    enum handshake_result result = handshake_step(&link->handshake, message, &reply);
    if (result == HANDSHAKE_DONE && !is_dialled(link)) {
        link_shut(link, true);
    } else if (reply.size > 0) {
        link_push(link, FRAME_CONTROL, crdt_buffer_bytes(&reply));
    }
    crdt_buffer_close(&reply);
    if (link->state == LINK_CLOSED || result == HANDSHAKE_MORE) {
        return;
    }
    if (result == HANDSHAKE_DONE) {
        rise(link);
        return;
    }
    say_refused(link, result);
    /* The refusal, if there is one, still has to leave. */
    link->must_close = true;
    enqueue(link);
}

static void on_message(struct link *link, struct crdt_bytes message)
{
    if (link->state == LINK_UP) {
        struct core_input input = {.kind = CORE_FRAME, .link = link->id, .bytes = message};
        loop_input(link->loop, &input);
    } else {
        shake(link, message);
    }
}

static void on_bytes(struct link *link, struct crdt_bytes input)
{
    while (link->state != LINK_CLOSED && !link->must_close) {
        enum frame_channel channel = FRAME_CONTROL;
        struct crdt_bytes message = {0};
        switch (frame_reader_next(&link->reader, &input, &channel, &message)) {
        case FRAME_MESSAGE:
            on_message(link, message);
            break;
        case FRAME_MORE:
            return;
        case FRAME_MALFORMED:
            link_say_failed(link, "not gossipd's frames");
            link_shut(link, true);
            return;
        case FRAME_NOMEM:
            link_say_failed(link, "out of memory");
            link_shut(link, true);
            return;
        }
    }
}

/* Small batches cost a signature each, hundreds of them in one full read: reads are
 * as large as their handling leaves the others their turn. */
static void pace_reads(struct link *link, uint64_t took_us)
{
    if (took_us > LINK_TURN_US && link->read_bytes > LINK_READ_BYTES_MIN) {
        link->read_bytes /= 2;
    } else if (took_us < LINK_TURN_US / 4 && link->read_bytes < LINK_READ_BYTES) {
        link->read_bytes *= 2;
    }
}

/* Who dials a wrong address, or only knocks, does so every second or oftener, and
 * says why in a log of its own if it is a member. */
static void say_closed(const struct link *link, const char *reason)
{
    bool is_early = link->state == LINK_SHAKING && !link->must_close;
    if (is_early &&
        (link->is_initiator || is_time_for(&link->loop->mesh.knocks_quiet_until_us))) {
        link_say_failed(link, reason);
    }
}

static void on_readable(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)ev;
    (void)events;
    struct link *link = watcher->data;
    if (link->loop->is_full) {
        link->is_choked = true;
        ev_io_stop(ev, watcher);
        return;
    }
    uint8_t data[LINK_READ_BYTES];
    ssize_t size = recv(link->fd, data, link->read_bytes, 0);
    if (size > 0) {
        uint64_t begun_us = clock_monotonic_us();
        on_bytes(link, (struct crdt_bytes){data, (size_t)size});
        pace_reads(link, clock_monotonic_us() - begun_us);
    } else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
        say_closed(link, size == 0 ? "closed in the handshake" : strerror(errno));
        link_shut(link, true);
    }
}

/* Counted from now: the loop's own time is that of the last wait, and much work may
 * have come since. */
static void set_deadline(struct link *link, double seconds)
{
    struct ev_loop *ev = link->loop->ev;
    ev_now_update(ev);
    ev_timer_stop(ev, &link->deadline);
    ev_timer_set(&link->deadline, seconds, 0);
    ev_timer_start(ev, &link->deadline);
}

/* Connected: both sides now prove their keys. */
static void begin(struct link *link)
{
    struct loop *loop = link->loop;
    uint8_t nonce[HANDSHAKE_NONCE_BYTES];
    randombytes_buf(nonce, sizeof nonce);
    link->state = LINK_SHAKING;
    handshake_init(&link->handshake, &loop->mesh.identity, link->is_initiator, nonce);
    set_deadline(link, LINK_HANDSHAKE_S);
    ev_io_stop(loop->ev, &link->writable);
    ev_io_start(loop->ev, &link->readable);
    struct crdt_buffer hello;
    crdt_buffer_init(&hello, &loop->memory);
    if (handshake_start(&link->handshake, &hello) != CRDT_OK) {
        link_shut(link, true);
    } else if (hello.size > 0) {
        link_push(link, FRAME_CONTROL, crdt_buffer_bytes(&hello));
    }
    crdt_buffer_close(&hello);
}

static void on_writable(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)ev;
    (void)events;
    struct link *link = watcher->data;
    if (link->state != LINK_DIALLING) {
        link_flush(link);
        return;
    }
    int error = 0;
    socklen_t error_bytes = sizeof error;
    if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &error_bytes) != 0 || error != 0) {
        link_say_failed(link, strerror(error != 0 ? error : errno));
        link_shut(link, true);
        return;
    }
    begin(link);
}

static void attach(struct link *link, int fd)
{
    link->fd = fd;
    ev_io_init(&link->readable, on_readable, fd, EV_READ);
    ev_io_init(&link->writable, on_writable, fd, EV_WRITE);
    link->readable.data = link;
    link->writable.data = link;
    socket_set_nodelay(fd);
}

void link_accepted(struct link *link, int fd)
{
    attach(link, fd);
    begin(link);
}

void link_connect(struct link *link, const struct resolve_answer *answer)
{
    const struct config *config = link->loop->config;
    if (!answer->is_found) {
        link_say_failed(link, answer->reason);
        link_shut(link, true);
        return;
    }
    int fd = socket_dial((const struct sockaddr *)&answer->address, answer->address_bytes,
        config->peer_source);
    if (fd < 0) {
        link_say_failed(link, strerror(errno));
        link_shut(link, true);
        return;
    }
    attach(link, fd);
    /* Not before: a name server may take longer than a connection. */
    set_deadline(link, LINK_CONNECT_S);
    ev_io_start(link->loop->ev, &link->writable);
}

