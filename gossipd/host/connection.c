/* Clients' connections. See connection.h. */
#include "gossipd/host/connection.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gossipd/core/memory.h"
#include "gossipd/host/clock.h"
#include "gossipd/host/loop.h"
#include "gossipd/host/socket.h"
#include "gossipd/limits.h"

#define SLOT_MASK UINT64_C(0xffff)
#define SLOT_BITS 16
static_assert(CLIENTS_MAX <= SLOT_MASK, "every client has a slot number");

/* As many clients as the process may have descriptors for, as Redis does it. */
static size_t capacity_allowed(size_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return wanted;
    }
    rlim_t needed = wanted + DESCRIPTORS_RESERVED + LINKS_MAX;
    if (limit.rlim_cur < needed) {
        limit.rlim_cur = limit.rlim_max < needed ? limit.rlim_max : needed;
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur >= needed) {
        return wanted;
    }
    size_t reserved = DESCRIPTORS_RESERVED + LINKS_MAX;
    size_t allowed = limit.rlim_cur > reserved ? (size_t)limit.rlim_cur - reserved : 1;
    log_write(CORE_WARNING, "maxclients-lowered", "wanted=%zu allowed=%zu action=\"raise the "
        "limit on open files (ulimit -n)\"", wanted, allowed);
    return allowed;
}

bool connections_init(struct loop *loop, struct failure *failure)
{
    struct connections *all = &loop->connections;
    *all = (struct connections){.capacity = capacity_allowed(loop->config->clients_max)};
    all->slots = memory_new(&loop->memory, all->capacity * sizeof *all->slots);
    all->slots_free = memory_new(&loop->memory, all->capacity * sizeof *all->slots_free);
    if (all->slots == NULL || all->slots_free == NULL) {
        return failure_say(failure, "out of memory: lower `maxclients`");
    }
    for (size_t i = all->capacity; i > 0; i--) {
        all->slots_free[all->slots_free_count++] = (uint16_t)(i - 1);
    }
    return true;
}

static struct connection *look_up(const struct connections *all, uint64_t id)
{
    size_t slot = (size_t)(id & SLOT_MASK);
    struct connection *connection = slot < all->capacity ? all->slots[slot] : NULL;
    bool is_same = connection != NULL && connection->id == id && connection->fd >= 0;
    return is_same ? connection : NULL;
}

/* Puts it into the list that the end of the turn visits; frees happen there. */
static void enqueue(struct connection *connection)
{
    if (!connection->is_queued) {
        struct connections *all = &connection->loop->connections;
        connection->is_queued = true;
        connection->next = all->visit;
        all->visit = connection;
    }
}

/* Takes the socket away; the rest is freed at the end of the turn, because an
 * input of this very connection may be in progress. */
static void shut(struct connection *connection)
{
    if (connection->fd < 0) {
        return;
    }
    struct loop *loop = connection->loop;
    ev_io_stop(loop->ev, &connection->readable);
    ev_io_stop(loop->ev, &connection->writable);
    close(connection->fd);
    connection->fd = -1;
    const struct core_input input = {.kind = CORE_CLIENT_GONE, .client = connection->id};
    loop_defer(loop, &input);
    enqueue(connection);
}

static void release(struct connection *connection)
{
    struct loop *loop = connection->loop;
    struct connections *all = &loop->connections;
    size_t slot = (size_t)(connection->id & SLOT_MASK);
    assert(connection->fd < 0);
    assert(all->slots[slot] == connection);
    all->slots[slot] = NULL;
    all->slots_free[all->slots_free_count++] = (uint16_t)slot;
    all->count--;
    resp_reader_close(&connection->reader);
    crdt_buffer_close(&connection->output);
    memory_free(&loop->memory, connection, sizeof *connection);
}

static size_t unsent(const struct connection *connection)
{
    return connection->output.size - connection->sent;
}

static void choke(struct connection *connection)
{
    connection->is_choked = true;
    ev_io_stop(connection->loop->ev, &connection->readable);
}

static void unchoke(struct connection *connection)
{
    if (connection->is_choked && connection->fd >= 0) {
        connection->is_choked = false;
        if (!connection->is_at_end && !connection->must_close) {
            ev_io_start(connection->loop->ev, &connection->readable);
        }
        enqueue(connection);
    }
}

/* No more commands are taken; what was replied still leaves. */
static void finish(struct connection *connection)
{
    connection->must_close = true;
    connection->has_more = false;
    ev_io_stop(connection->loop->ev, &connection->readable);
    enqueue(connection);
}

static void execute(
    struct connection *connection, const struct crdt_bytes *arguments, size_t count)
{
    struct core_input input = {
        .kind = CORE_COMMAND,
        .client = connection->id,
        .arguments = arguments,
        .argument_count = count,
    };
    connection->awaited++;
    loop_input(connection->loop, &input);
}

/* Nothing more is taken. The core says so to the client behind the replies that
 * still wait, then closes it. */
static void refuse(struct connection *connection, const char *text)
{
    struct core_input input = {
        .kind = CORE_COMMAND, .client = connection->id, .reason = text};
    connection->is_at_end = true;
    ev_io_stop(connection->loop->ev, &connection->readable);
    connection->awaited++;
    loop_input(connection->loop, &input);
}

/* Gives the core the commands that have come whole, so many and for so long that
 * the others get their turn. */
static void take_commands(struct connection *connection)
{
    uint64_t until_us = clock_monotonic_us() + CLIENT_TURN_US;
    connection->has_more = false;
    for (size_t i = 0; i < CLIENT_COMMANDS_PER_TURN; i++) {
        const struct crdt_bytes *arguments = NULL;
        const char *error = NULL;
        size_t count = 0;
        if (connection->fd < 0 || connection->must_close) {
            return;
        }
        if (connection->is_paused) {
            connection->has_more = true;
            return;
        }
        if (unsent(connection) > CLIENT_OUTPUT_SOFT_BYTES || connection->loop->is_full) {
            connection->has_more = true;
            choke(connection);
            return;
        }
        switch (resp_reader_next(&connection->reader, &arguments, &count, &error)) {
        case RESP_COMMAND: execute(connection, arguments, count); break;
        case RESP_MORE: return;
        case RESP_ERROR: refuse(connection, error); return;
        case RESP_CLOSE: shut(connection); return;
        case RESP_NOMEM: shut(connection); return;
        }
        /* The time of the last command's begin, which is known anyway: one that
         * takes long is followed by one more at most. */
        if (connection->loop->stepped_us > until_us) {
            break;
        }
    }
    if (connection->fd >= 0) {
        connection->has_more = true;
        enqueue(connection);
    }
}

/* The client sends no more. Replies that it may be waiting for still leave. */
static void on_end(struct connection *connection)
{
    if (connection->awaited == 0 && unsent(connection) == 0 && !connection->has_more) {
        shut(connection);
    } else {
        connection->is_at_end = true;
        ev_io_stop(connection->loop->ev, &connection->readable);
    }
}

static void on_bytes(struct connection *connection, const uint8_t *data, size_t size)
{
    struct resp_reader *reader = &connection->reader;
    connection->heard_us = clock_monotonic_us();
    size_t waiting = reader->input.size - reader->consumed;
    if (waiting > CLIENT_QUERY_BYTES_MAX + reader->bulk_bytes_max) {
        log_write(CORE_WARNING, "client-closed", "client=%llu reason=\"query buffer of %zu "
            "bytes\"", (unsigned long long)connection->id, waiting);
        shut(connection);
    } else if (resp_reader_feed(reader, data, size) != CRDT_OK) {
        shut(connection);
    } else {
        take_commands(connection);
    }
}

static void on_readable(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)ev;
    (void)events;
    struct connection *connection = watcher->data;
    if (connection->loop->is_full) {
        choke(connection);
        return;
    }
    uint8_t data[CLIENT_READ_BYTES];
    ssize_t size = recv(connection->fd, data, sizeof data, 0);
    if (size > 0) {
        on_bytes(connection, data, (size_t)size);
    } else if (size == 0) {
        on_end(connection);
    } else if (errno != EAGAIN && errno != EINTR) {
        shut(connection);
    }
}

/* Writes what it can; the kernel says when there is room for the rest. */
static void flush(struct connection *connection)
{
    while (unsent(connection) > 0) {
        ssize_t size = send(connection->fd, connection->output.data + connection->sent,
            unsent(connection), MSG_NOSIGNAL);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size < 0 && errno == EAGAIN) {
            ev_io_start(connection->loop->ev, &connection->writable);
            return;
        }
        if (size < 0) {
            shut(connection);
            return;
        }
        connection->sent += (size_t)size;
    }
    ev_io_stop(connection->loop->ev, &connection->writable);
    crdt_buffer_clear(&connection->output);
    connection->sent = 0;
    bool is_over = connection->must_close ||
        (connection->is_at_end && connection->awaited == 0 && !connection->has_more);
    if (is_over) {
        shut(connection);
    } else if (!connection->loop->is_full) {
        unchoke(connection);
    }
}

static void on_writable(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void)ev;
    (void)events;
    flush(watcher->data);
}

bool connections_admit(struct loop *loop, int fd)
{
    struct connections *all = &loop->connections;
    struct connection *connection = NULL;
    if (all->slots_free_count > 0) {
        connection = memory_new(&loop->memory, sizeof *connection);
    }
    if (connection == NULL) {
        return false;
    }
    uint16_t slot = all->slots_free[--all->slots_free_count];
    connection->loop = loop;
    connection->fd = fd;
    connection->id = ++all->serial << SLOT_BITS | slot;
    connection->heard_us = clock_monotonic_us();
    resp_reader_init(&connection->reader, &loop->memory, loop->config->bulk_bytes_max);
    crdt_buffer_init(&connection->output, &loop->memory);
    ev_io_init(&connection->readable, on_readable, fd, EV_READ);
    ev_io_init(&connection->writable, on_writable, fd, EV_WRITE);
    connection->readable.data = connection;
    connection->writable.data = connection;
    all->slots[slot] = connection;
    all->count++;
    all->accepted++;
    socket_set_nodelay(fd);
    socket_set_keepalive(fd);
    ev_io_start(loop->ev, &connection->readable);
    return true;
}

void connections_reply(struct loop *loop, uint64_t id, struct crdt_bytes bytes)
{
    struct connection *connection = look_up(&loop->connections, id);
    if (connection == NULL) {
        return;
    }
    /* One reply to one command is the last one; of several nobody knows, so a
     * half-closed client gets time for more after each. */
    if (connection->is_at_end) {
        connection->heard_us = clock_monotonic_us();
    }
    connection->awaited = connection->awaited <= 1 ? 0 : connection->awaited;
    if (unsent(connection) + bytes.size > CLIENT_OUTPUT_HARD_BYTES) {
        log_write(CORE_WARNING, "client-closed", "client=%llu reason=\"it does not read its "
            "replies: %zu bytes wait\"", (unsigned long long)id, unsent(connection));
        shut(connection);
    } else if (crdt_buffer_append(&connection->output, bytes.data, bytes.size) != CRDT_OK) {
        shut(connection);
    } else {
        enqueue(connection);
    }
}

void connections_finish(struct loop *loop, uint64_t id)
{
    struct connection *connection = look_up(&loop->connections, id);
    if (connection != NULL) {
        finish(connection);
    }
}

bool connections_pause(struct loop *loop, uint64_t id)
{
    struct connection *connection = look_up(&loop->connections, id);
    if (connection == NULL) {
        return true;
    }
    connection->is_paused = true;
    return socket_is_local(connection->fd);
}

void connections_unpause(struct loop *loop, uint64_t id)
{
    struct connection *connection = look_up(&loop->connections, id);
    if (connection != NULL) {
        connection->is_paused = false;
        enqueue(connection);
    }
}

static void visit(struct connection *connection)
{
    bool may_go_on = !connection->is_choked && !connection->is_paused;
    if (connection->fd >= 0 && connection->has_more && may_go_on) {
        take_commands(connection);
    }
    if (connection->fd >= 0) {
        flush(connection);
    }
}

void connections_turn(struct loop *loop)
{
    struct connections *all = &loop->connections;
    struct connection *connection = all->visit;
    all->visit = NULL;
    while (connection != NULL) {
        struct connection *next = connection->next;
        if (connection->fd >= 0) {
            connection->is_queued = false;
            visit(connection);
        } else {
            release(connection);
        }
        connection = next;
    }
}

bool connections_are_flushed(const struct loop *loop)
{
    const struct connections *all = &loop->connections;
    for (size_t i = 0; i < all->capacity; i++) {
        if (all->slots[i] != NULL && all->slots[i]->fd >= 0 && unsent(all->slots[i]) > 0) {
            return false;
        }
    }
    return true;
}

void connections_resume(struct loop *loop)
{
    struct connections *all = &loop->connections;
    for (size_t i = 0; i < all->capacity; i++) {
        if (all->slots[i] != NULL) {
            unchoke(all->slots[i]);
        }
    }
}

/* Gives back what a busy time has left in the buffers of a silent client. */
static void shrink(struct connection *connection)
{
    struct resp_reader *reader = &connection->reader;
    bool is_between = reader->consumed == reader->input.size && reader->multibulk_left == 0;
    if (is_between) {
        size_t bulk_bytes_max = reader->bulk_bytes_max;
        struct crdt_memory memory = connection->loop->memory;
        resp_reader_close(reader);
        resp_reader_init(reader, &memory, bulk_bytes_max);
    }
    if (connection->output.size == 0) {
        crdt_buffer_close(&connection->output);
        crdt_buffer_init(&connection->output, &connection->loop->memory);
    }
}

void connections_sweep(struct loop *loop, uint64_t now_us)
{
    struct connections *all = &loop->connections;
    for (size_t i = 0; i < all->capacity; i++) {
        struct connection *connection = all->slots[i];
        if (connection == NULL || connection->fd < 0) {
            continue;
        }
        if (now_us - connection->heard_us > CLIENT_IDLE_US) {
            shrink(connection);
        }
        if (connection->is_at_end && !connection->is_paused
            && now_us - connection->heard_us > CLIENT_LINGER_US) {
            shut(connection);
        }
    }
}

void connections_close(struct loop *loop)
{
    struct connections *all = &loop->connections;
    for (size_t i = 0; i < all->capacity && all->slots != NULL; i++) {
        struct connection *connection = all->slots[i];
        if (connection != NULL) {
            shut(connection);
            release(connection);
        }
    }
    all->visit = NULL;
    memory_free(&loop->memory, all->slots, all->capacity * sizeof *all->slots);
    memory_free(&loop->memory, all->slots_free, all->capacity * sizeof *all->slots_free);
}
