/* Carries out what the core puts out. See effects.h. */
#include "gossipd/host/effects.h"

#include <string.h>

static const char *event_name(enum core_event event)
{
    switch (event) {
    case CORE_EVENT_SERVING: return "serving";
    case CORE_EVENT_STOPPED: return "stopped";
    case CORE_EVENT_UNUSABLE: return "cannot-start";
    case CORE_EVENT_GENERATION: return "generation";
    case CORE_EVENT_MEMBER_UP: return "member-up";
    case CORE_EVENT_MEMBER_DOWN: return "member-down";
    case CORE_EVENT_DROPPED: return "dropped";
    case CORE_EVENT_FORK: return "fork";
    case CORE_EVENT_DIVERGED: return "diverged";
    case CORE_EVENT_CLOCK_AHEAD: return "clock-ahead";
    case CORE_EVENT_STORE_FAILED: return "store-failed";
    case CORE_EVENT_STORE_BACK: return "store-back";
    case CORE_EVENT_SNAPSHOT: return "snapshot";
    case CORE_EVENT_JOIN: return "join";
    case CORE_EVENT_LOG: return "log";
    }
    return "unknown";
}

static void serve(struct loop *loop)
{
    struct failure failure = {{0}};
    if (loop->is_stopping || loop->is_serving) {
        return;
    }
    if (!loop_serve(loop, &failure)) {
        log_write(CORE_ALARM, "cannot-serve", "reason=\"%s\"", failure.text);
        loop->exit_code = 1;
        ev_break(loop->ev, EVBREAK_ALL);
        return;
    }
    log_write(CORE_INFO, "serving", "name=%s bind=%s port=%s unixsocket=\"%s\"",
        loop->config->name, loop->config->bind, loop->config->port, loop->config->unixsocket);
}

static void on_event(struct loop *loop, const struct core_output *output)
{
    if (output->event == CORE_EVENT_SERVING) {
        serve(loop);
        return;
    }
    if (output->event == CORE_EVENT_STOPPED) {
        loop->is_stopped = true;
    }
    if (output->event == CORE_EVENT_UNUSABLE) {
        loop->exit_code = 1;
        ev_break(loop->ev, EVBREAK_ALL);
    }
    log_write(output->level, event_name(output->event), "%s",
        output->text != NULL ? output->text : "");
}

static void store(struct loop *loop, const struct core_output *output)
{
    if (!store_append(loop->store, output, core_durability(loop->core))) {
        loop_die_of_memory();
    }
    if (output->kind == CORE_STORE) {
        cache_add(&loop->cache, output);
    }
}

/* Checks the signature here and now, 76 us each; the answer has its turn after
 * the other outputs, so a thread could give it as well. */
static void verify(struct loop *loop, const struct core_output *output)
{
    const struct core_input input = {
        .kind = CORE_VERIFIED,
        .number = output->number,
        .is_ok = identity_verify(
            output->key, output->bytes.data, output->bytes.size, output->signature),
    };
    loop_defer(loop, &input);
}

static void fetch(struct loop *loop, const struct core_output *output)
{
    struct deferred *deferred = loop_defer_slot(loop);
    deferred->is_fetch = true;
    deferred->input.number = output->number;
    deferred->from = output->from;
    deferred->bytes_max = output->bytes_max;
}

static void send_errand(struct loop *loop, const struct core_output *output)
{
    if (!store_send(loop->store, output)) {
        loop_die_of_memory();
    }
}

/* Anyone who reaches the client port may ask, but only from this machine: the
 * file appears here, and whoever wants it must be here too. */
static void backup(struct loop *loop, const struct core_output *output)
{
    struct core_input input = {.kind = CORE_BACKED_UP, .client = output->client};
    if (!connections_pause(loop, output->client)) {
        input.reason = "only clients on the node's own machine may ask for one";
    } else if (!store_backup(loop->store, output->client, output->path)) {
        input.reason = "another one is being made: wait for it";
    }
    if (input.reason != NULL) {
        connections_unpause(loop, output->client);
        loop_defer(loop, &input);
    }
}

void effect_of(struct loop *loop, const struct core_output *output)
{
    switch (output->kind) {
    case CORE_STORE: store(loop, output); break;
    case CORE_STORE_MARK: store(loop, output); break;
    case CORE_STORE_EVIDENCE: store(loop, output); break;
    case CORE_FETCH: fetch(loop, output); break;
    case CORE_VERIFY: verify(loop, output); break;
    case CORE_SEND: mesh_send(loop, output->link, output->is_bulk, output->bytes); break;
    case CORE_CONNECT: mesh_dial(loop, output->peer); break;
    case CORE_CLOSE_LINK: mesh_hang_up(loop, output->link); break;
    case CORE_REPLY: connections_reply(loop, output->client, output->bytes); break;
    case CORE_CLOSE_CLIENT: connections_finish(loop, output->client); break;
    case CORE_BACKUP: backup(loop, output); break;
    case CORE_SNAPSHOT: builder_begin(&loop->builder, output); break;
    case CORE_DISCARD: builder_discard(output->document); break;
    case CORE_DROP:
    case CORE_FETCH_PART:
    case CORE_STAGE:
    case CORE_UNSTAGE: send_errand(loop, output); break;
    case CORE_EVENT: on_event(loop, output); break;
    }
}

void effect_answer(struct loop *loop, const struct errand *errand)
{
    struct core_input input;
    if (errand_input(errand, &input)) {
        loop_step(loop, &input);
    }
}

/* Answers from the cache of newest batches, or lets the store do it. */
void effect_fetch(struct loop *loop, const struct deferred *deferred)
{
    const struct core_output output = {.kind = CORE_FETCH,
        .number = deferred->input.number,
        .from = deferred->from,
        .bytes_max = deferred->bytes_max};
    struct errand *errand = errand_new(&loop->memory_store, &output);
    if (errand != NULL &&
        cache_fetch(&loop->cache, &output.from, output.bytes_max, errand->fetched)) {
        errand->is_ok = true;
        effect_answer(loop, errand);
    } else {
        send_errand(loop, &output);
    }
    errand_free(errand);
}
