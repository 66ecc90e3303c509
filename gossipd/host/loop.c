/* The loop. See loop.h. */
#include "gossipd/host/loop.h"

#include <assert.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "gossipd/core/memory.h"
#include "gossipd/host/clock.h"
#include "gossipd/host/effects.h"
#include "gossipd/host/socket.h"
#include "gossipd/limits.h"

#define EXIT_NO_MEMORY 70 /* EX_SOFTWARE: whoever supervises us starts us again */

static void facts_refresh(struct loop *loop)
{
    loop->facts.used_memory_bytes = counting_used(&loop->counting);
    loop->facts.used_memory_peak_bytes = counting_peak(&loop->counting);
    loop->facts.connected_clients = loop->connections.count;
    loop->facts.total_connections = loop->connections.accepted;
}

void loop_step(struct loop *loop, struct core_input *input)
{
    assert(!loop->is_stepping);
    loop->is_stepping = true;
    input->wall_ms = clock_wall_ms();
    input->monotonic_us = clock_monotonic_us();
    loop->stepped_us = input->monotonic_us;
    facts_refresh(loop);
    struct core_outputs outputs = {0};
    core_step(loop->core, input, &outputs);
    for (size_t i = 0; i < outputs.count; i++) {
        effect_of(loop, &outputs.items[i]);
    }
    loop->is_stepping = false;
}

static void step_deferred(struct loop *loop)
{
    while (loop->deferred_first < loop->deferred_count) {
        struct deferred deferred = loop->deferred[loop->deferred_first++];
        if (deferred.is_fetch) {
            effect_fetch(loop, &deferred);
        } else {
            loop_step(loop, &deferred.input);
        }
    }
    loop->deferred_first = 0;
    loop->deferred_count = 0;
}

void loop_input(struct loop *loop, struct core_input *input)
{
    if (loop->deferred_count > loop->deferred_first) {
        step_deferred(loop);
    }
    loop_step(loop, input);
    if (loop->deferred_count > loop->deferred_first) {
        step_deferred(loop);
    }
}

void loop_die_of_memory(void)
{
    log_write(CORE_ALARM, "out-of-memory", "action=\"exit %d: start it with more memory, or "
        "set maxmemory\"", EXIT_NO_MEMORY);
    _exit(EXIT_NO_MEMORY);
}

struct deferred *loop_defer_slot(struct loop *loop)
{
    void *array = loop->deferred;
    if (!memory_grow(&loop->memory, &array, &loop->deferred_capacity, loop->deferred_count + 1,
            sizeof *loop->deferred)) {
        /* An input that is lost would leave the core and the world in
         * disagreement; a process that is started again is in order. */
        loop_die_of_memory();
    }
    loop->deferred = array;
    struct deferred *slot = &loop->deferred[loop->deferred_count++];
    memset(slot, 0, sizeof *slot);
    return slot;
}

void loop_defer(struct loop *loop, const struct core_input *input)
{
    loop_defer_slot(loop)->input = *input;
}

/* While the store cannot follow, clients and peers wait. */
static void throttle(struct loop *loop)
{
    size_t queued = store_queued_bytes(loop->store);
    if (queued > STORE_QUEUE_BYTES_MAX) {
        loop->is_full = true;
    } else if (loop->is_full && queued < STORE_QUEUE_BYTES_MAX / 2) {
        loop->is_full = false;
        connections_resume(loop);
        mesh_resume(loop);
    }
}

static void on_store(struct ev_loop *ev, ev_async *watcher, int events)
{
    (void)ev;
    (void)events;
    struct loop *loop = watcher->data;
    struct store_news news;
    store_take(loop->store, &news);
    if (news.stored != 0) {
        struct core_input input = {.kind = CORE_STORED, .number = news.stored};
        loop_input(loop, &input);
    }
    if (news.failed != 0) {
        cache_clear(&loop->cache);
        store_resume(loop->store);
        struct core_input input = {
            .kind = CORE_STORE_FAILED, .number = news.failed, .reason = news.reason.text};
        loop_input(loop, &input);
    }
    if (news.has_backed_up) {
        struct core_input input = {.kind = CORE_BACKED_UP, .client = news.backup_client,
            .is_ok = news.is_backup_ok, .reason = news.backup_reason.text};
        connections_unpause(loop, news.backup_client);
        loop_input(loop, &input);
    }
    builder_news(&loop->builder, &news);
    while (news.errands != NULL) {
        struct errand *next = news.errands->next;
        effect_answer(loop, news.errands);
        errand_free(news.errands);
        news.errands = next;
    }
    throttle(loop);
}

static void on_resolve(struct ev_loop *ev, ev_async *watcher, int events)
{
    (void)ev;
    (void)events;
    mesh_resolved(watcher->data);
}

static void on_tick(struct ev_loop *ev, ev_timer *watcher, int events)
{
    /* Waking up is all it is for: on_prepare() gives the TICK. */
    (void)ev;
    (void)watcher;
    (void)events;
}

static void on_idle(struct ev_loop *ev, ev_idle *watcher, int events)
{
    /* Keeps the loop from sleeping while there is more to do. */
    (void)ev;
    (void)watcher;
    (void)events;
}

/* Gives the TICK when it is due, and sets the timer for the next one. True: the
 * core wants to go on at once. */
static bool tick(struct loop *loop)
{
    if (core_deadline_us(loop->core) <= clock_monotonic_us()) {
        struct core_input input = {.kind = CORE_TICK};
        loop_input(loop, &input);
    }
    uint64_t deadline_us = core_deadline_us(loop->core);
    uint64_t now_us = clock_monotonic_us();
    ev_timer_stop(loop->ev, &loop->tick);
    if (deadline_us != UINT64_MAX && deadline_us > now_us) {
        ev_now_update(loop->ev);
        ev_timer_set(&loop->tick, (double)(deadline_us - now_us) / 1e6, 0);
        ev_timer_start(loop->ev, &loop->tick);
    }
    return deadline_us <= now_us;
}

static bool is_drained(const struct loop *loop)
{
    return loop->connections.visit == NULL && loop->mesh.visit == NULL &&
        loop->deferred_count == 0;
}

static void on_prepare(struct ev_loop *ev, ev_prepare *watcher, int events)
{
    (void)events;
    struct loop *loop = watcher->data;
    step_deferred(loop);
    bool is_due = tick(loop);
    throttle(loop);
    connections_turn(loop);
    mesh_turn(loop);
    if (is_due || !is_drained(loop)) {
        ev_idle_start(ev, &loop->idle);
    } else {
        ev_idle_stop(ev, &loop->idle);
    }
    if (loop->is_stopped && is_drained(loop) && connections_are_flushed(loop)) {
        ev_break(ev, EVBREAK_ALL);
    }
}

static uint64_t file_bytes(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 ? (uint64_t)facts.st_size : 0;
}

/* Dropping batches and copying the write-ahead log need room too: what is left of a
 * disk that fills up is kept for them. */
static void watch_disk(struct loop *loop)
{
    struct statvfs disk;
    if (statvfs(loop->config->dir, &disk) != 0) {
        return;
    }
    uint64_t unit = disk.f_frsize;
    uint64_t wanted = unit * disk.f_blocks / STORE_FREE_DIVISOR;
    wanted = wanted < STORE_FREE_BYTES_MIN ? wanted : STORE_FREE_BYTES_MIN;
    bool is_short = unit * disk.f_bavail < wanted;
    if (is_short != loop->facts.is_disk_short) {
        log_write(is_short ? CORE_ALARM : CORE_INFO, is_short ? "disk-short" : "disk-enough",
            "free_bytes=%" PRIu64 " wanted_bytes=%" PRIu64 " %s", unit * disk.f_bavail, wanted,
            is_short ? "action=\"writes of clients are refused: make room\"" : "");
    }
    loop->facts.is_disk_short = is_short;
}

static void on_facts(struct ev_loop *ev, ev_timer *watcher, int events)
{
    (void)ev;
    (void)events;
    struct loop *loop = watcher->data;
    char wal[sizeof loop->store_path + 8];
    snprintf(wal, sizeof wal, "%s-wal", loop->store_path);
    loop->facts.store_bytes = file_bytes(loop->store_path) + file_bytes(wal);
    loop->facts.used_memory_store_bytes =
        counting_used(&loop->counting_store) + (uint64_t)sqlite3_memory_used();
    watch_disk(loop);
    connections_sweep(loop, clock_monotonic_us());
    listener_resume(&loop->clients_tcp);
    listener_resume(&loop->clients_unix);
    listener_resume(&loop->mesh.listener);
}

static void on_stop_late(struct ev_loop *ev, ev_timer *watcher, int events)
{
    (void)events;
    struct loop *loop = watcher->data;
    if (loop->is_stopped) {
        log_write(CORE_WARNING, "stop-late", "reason=\"clients do not read their replies\"");
        ev_break(ev, EVBREAK_ALL);
        return;
    }
    bool is_safe = core_durability(loop->core) == CORE_ALWAYS;
    log_write(CORE_ALARM, "stop-late", "reason=\"the store has not finished\" action=\"exit 1: "
        "%s\"", is_safe ? "what was acknowledged is safe"
                       : "what was acknowledged last may be lost here; what peers have of it "
                         "comes back");
    _exit(1);
}

static void on_signal(struct ev_loop *ev, ev_signal *watcher, int events)
{
    (void)events;
    struct loop *loop = watcher->data;
    if (loop->is_stopping) {
        return;
    }
    loop->is_stopping = true;
    log_write(CORE_INFO, "stopping", "signal=%d", watcher->signum);
    listener_close(&loop->clients_tcp);
    listener_close(&loop->clients_unix);
    socket_unlink(loop->config->unixsocket, &loop->unix_file);
    ev_now_update(ev);
    ev_timer_start(ev, &loop->stop_timer);
    struct core_input input = {.kind = CORE_STOP};
    loop_input(loop, &input);
}

static void on_hang_up(struct ev_loop *ev, ev_signal *watcher, int events)
{
    (void)ev;
    (void)watcher;
    (void)events;
    log_write(CORE_INFO, "hang-up", "action=\"none: the configuration is read at the start only, "
        "restart to change it; SIGTERM stops\"");
}

bool loop_serve(struct loop *loop, struct failure *failure)
{
    static const char refusal[] = "-ERR max number of clients reached\r\n";
    const struct config *config = loop->config;
    int fd = -1;
    if (strcmp(config->port, "0") != 0) {
        if (!socket_listen(config->bind, config->port, &fd, failure)) {
            return false;
        }
        listener_open(&loop->clients_tcp, loop, fd, connections_admit, refusal);
    }
    if (socket_listen_path(config->unixsocket, &fd, &loop->unix_file, failure)) {
        listener_open(&loop->clients_unix, loop, fd, connections_admit, refusal);
    } else if (config_is_explicit(config, "unixsocket")) {
        return false;
    } else {
        log_write(CORE_WARNING, "no-unixsocket", "reason=\"%s\"", failure->text);
    }
    loop->is_serving = true;
    return true;
}

void loop_wake_store(void *context)
{
    struct loop *loop = context;
    ev_async_send(loop->ev, &loop->store_async);
}

static void wake_resolve(void *context)
{
    struct loop *loop = context;
    ev_async_send(loop->ev, &loop->resolve_async);
}

static void watchers_init(struct loop *loop)
{
    ev_prepare_init(&loop->prepare, on_prepare);
    ev_idle_init(&loop->idle, on_idle);
    ev_timer_init(&loop->tick, on_tick, 0, 0);
    ev_timer_init(&loop->facts_timer, on_facts, 0, FACTS_S);
    ev_timer_init(&loop->stop_timer, on_stop_late, STOP_S, 0);
    ev_async_init(&loop->store_async, on_store);
    ev_async_init(&loop->resolve_async, on_resolve);
    ev_signal_init(&loop->terminate, on_signal, SIGTERM);
    ev_signal_init(&loop->interrupt, on_signal, SIGINT);
    ev_signal_init(&loop->hang_up, on_hang_up, SIGHUP);
    loop->prepare.data = loop;
    loop->facts_timer.data = loop;
    loop->stop_timer.data = loop;
    loop->store_async.data = loop;
    loop->resolve_async.data = loop;
    loop->terminate.data = loop;
    loop->interrupt.data = loop;
}

bool loop_init(struct loop *loop, const struct config *config, struct identity *identity,
    struct failure *failure)
{
    *loop = (struct loop){.config = config, .identity = identity};
    loop->memory = counting_hook(&loop->counting);
    loop->memory_store = counting_hook(&loop->counting_store);
    loop->facts.process_id = (uint64_t)getpid();
    loop->ev = ev_default_loop(EVFLAG_AUTO);
    if (loop->ev == NULL) {
        return failure_say(failure, "libev cannot start: the kernel offers neither epoll nor "
            "poll to this process");
    }
    loop->resolver = resolver_new(wake_resolve, loop);
    if (loop->resolver == NULL) {
        return failure_say(failure, "out of memory");
    }
    cache_init(&loop->cache, &loop->memory_store, config->peer_count > 0 ? CACHE_BYTES_MAX : 0);
    watchers_init(loop);
    /* Before there is anyone to wake us: starting forgets what was sent before. */
    ev_async_start(loop->ev, &loop->store_async);
    ev_async_start(loop->ev, &loop->resolve_async);
    builder_init(&loop->builder, loop);
    return connections_init(loop, failure);
}

int loop_run(struct loop *loop)
{
    if (loop->exit_code != 0) {
        return loop->exit_code;
    }
    /* A replay may have taken long. */
    ev_now_update(loop->ev);
    ev_prepare_start(loop->ev, &loop->prepare);
    ev_timer_start(loop->ev, &loop->facts_timer);
    ev_signal_start(loop->ev, &loop->terminate);
    ev_signal_start(loop->ev, &loop->interrupt);
    ev_signal_start(loop->ev, &loop->hang_up);
    ev_run(loop->ev, 0);
    return loop->exit_code;
}

void loop_close(struct loop *loop)
{
    if (loop->ev == NULL) {
        return;
    }
    listener_close(&loop->clients_tcp);
    listener_close(&loop->clients_unix);
    connections_close(loop);
    mesh_close(loop);
    builder_close(&loop->builder);
    store_stop(loop->store);
    resolver_free(loop->resolver);
    cache_close(&loop->cache);
    core_close(loop->core);
    memory_free(&loop->memory, loop->deferred, loop->deferred_capacity * sizeof *loop->deferred);
    ev_loop_destroy(loop->ev);
}
