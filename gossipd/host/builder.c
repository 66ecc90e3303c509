/* Snapshots built beside the loop. See builder.h. */
#include "gossipd/host/builder.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "gossipd/host/clock.h"
#include "gossipd/host/store/draft.h"
#include "gossipd/host/loop.h"
#include "gossipd/limits.h"

/* ---- Memory -------------------------------------------------------------------- */

static void *gate_reallocate(void *context, void *block, size_t old_bytes, size_t new_bytes)
{
    const struct builder_gate *gate = context;
    if (new_bytes > old_bytes && atomic_load_explicit(gate->is_closed, memory_order_relaxed)) {
        return NULL;
    }
    return gate->memory.reallocate(gate->memory.context, block, old_bytes, new_bytes);
}

static struct crdt_memory gate_hook(struct builder_gate *gate)
{
    return (struct crdt_memory){.reallocate = gate_reallocate, .context = gate};
}

/* ---- The thread ---------------------------------------------------------------- */

static void *builder_main(void *context)
{
    struct builder *builder = context;
    /* On Linux this is the thread alone: the loop keeps its core. */
    setpriority(PRIO_PROCESS, 0, BUILDER_NICE);
    /* Here, since a file system at work can keep whoever makes a file waiting. */
    builder->order.fd = draft_open(builder->loop->store_path);
    builder->is_built = builder->order.fd >= 0
        ? assembly_build(&builder->order, &builder->assembly, &builder->failure)
        : failure_say(&builder->failure, "cannot make a file beside the store");
    ev_async_send(builder->loop->ev, &builder->ended);
    return NULL;
}

static void answer(struct builder *builder, struct core_input *input)
{
    builder->state = BUILDER_IDLE;
    input->kind = CORE_SNAPSHOT_DONE;
    input->number = builder->order.number;
    loop_input(builder->loop, input);
}

static void answer_failed(struct builder *builder)
{
    struct core_input input = {.is_ok = false, .is_refused = builder->assembly.is_refused,
        .reason = builder->failure.text};
    assembly_close(&builder->assembly);
    answer(builder, &input);
}

static void fail(struct builder *builder, const char *reason)
{
    failure_say(&builder->failure, "%s", reason);
    answer_failed(builder);
}

/* A thread that has said its last word still has to end, and may wait for a core:
 * nobody waits for it before the next one. */
static void thread_end(struct builder *builder)
{
    if (builder->has_thread) {
        pthread_join(builder->thread, NULL);
        builder->has_thread = false;
    }
}

/* The place is in the store: the thread can begin. */
static void build(struct builder *builder)
{
    thread_end(builder);
    builder->begun_us = clock_monotonic_us();
    if (pthread_create(&builder->thread, NULL, builder_main, builder) != 0) {
        fail(builder, "the system has no room for another thread");
        return;
    }
    builder->has_thread = true;
    builder->state = BUILDER_BUILDING;
    log_write(CORE_INFO, "snapshot-begun", "number=%" PRIu64 " join=%d", builder->order.number,
        builder->order.is_join ? 1 : 0);
}

static void bring_in(struct builder *builder)
{
    const struct assembly *assembly = &builder->assembly;
    struct import_order order = {.number = builder->order.number,
        .snapshot = assembly->snapshot,
        .raised = assembly->raised,
        .raised_count = assembly->raised_count};
    log_write(CORE_INFO, "snapshot-written", "bytes=%" PRIu64 " batches=%" PRIu64 " ms=%" PRIu64,
        assembly->snapshot.bytes, assembly->batches,
        (clock_monotonic_us() - builder->begun_us) / 1000);
    struct import *import =
        import_new(&builder->loop->memory_store, &order, builder->order.fd);
    if (import == NULL || !store_import(builder->loop->store, import)) {
        import_free(import);
        fail(builder, "out of memory");
        return;
    }
    builder->state = BUILDER_IMPORTING;
}

static void draft_close(struct builder *builder)
{
    if (builder->order.fd >= 0) {
        close(builder->order.fd);
    }
}

static void on_ended(struct ev_loop *ev, ev_async *watcher, int events)
{
    (void)ev;
    (void)events;
    struct builder *builder = watcher->data;
    if (builder->state != BUILDER_BUILDING) {
        return;
    }
    if (builder->is_built) {
        bring_in(builder);
    } else {
        draft_close(builder);
        answer_failed(builder);
    }
}

/* ---- The loop ------------------------------------------------------------------ */

void builder_init(struct builder *builder, struct loop *loop)
{
    *builder = (struct builder){.loop = loop};
    crdt_buffer_init(&builder->context, &loop->memory_store);
    builder->gate_document = (struct builder_gate){loop->memory, &builder->is_given_up};
    builder->gate_store = (struct builder_gate){loop->memory_store, &builder->is_given_up};
    ev_async_init(&builder->ended, on_ended);
    builder->ended.data = builder;
    ev_async_start(loop->ev, &builder->ended);
}

void builder_close(struct builder *builder)
{
    if (builder->loop == NULL) {
        return;
    }
    atomic_store(&builder->is_given_up, true);
    thread_end(builder);
    if (builder->state == BUILDER_BUILDING) {
        draft_close(builder);
    }
    assembly_close(&builder->assembly);
    crdt_buffer_close(&builder->context);
    ev_async_stop(builder->loop->ev, &builder->ended);
    builder->state = BUILDER_IDLE;
}

void builder_begin(struct builder *builder, const struct core_output *output)
{
    struct loop *loop = builder->loop;
    assert(builder->state == BUILDER_IDLE);
    struct assembly_order *order = &builder->order;
    *order = (struct assembly_order){.path = loop->store_path,
        .number = output->number,
        .is_join = output->is_join,
        .options = *output->options,
        .is_given_up = &builder->is_given_up,
        .fd = -1};
    memcpy(order->cluster_id, loop->cluster_id, sizeof order->cluster_id);
    order->memory = gate_hook(&builder->gate_store);
    /* What is thrown away again is no part of the memory that `maxmemory` limits. */
    order->options.memory =
        output->is_join ? gate_hook(&builder->gate_document) : order->memory;
    crdt_buffer_clear(&builder->context);
    if (crdt_buffer_append(&builder->context, output->bytes.data, output->bytes.size) != CRDT_OK ||
        !store_append(loop->store, output, core_durability(loop->core))) {
        loop_die_of_memory();
    }
    order->context = crdt_buffer_bytes(&builder->context);
    builder->state = BUILDER_PLACING;
}

/* The document of a join is the core's from here on. */
static void answer_done(struct builder *builder)
{
    struct assembly *assembly = &builder->assembly;
    struct core_input input = {
        .is_ok = true, .snapshot = &assembly->snapshot, .document = assembly->document};
    assembly->snapshot.parts = import_parts(assembly->snapshot.bytes);
    assembly->document = NULL;
    answer(builder, &input);
    assembly_close(assembly);
}

void builder_news(struct builder *builder, const struct store_news *news)
{
    if (builder->state == BUILDER_PLACING && news->placed == builder->order.number) {
        build(builder);
    } else if (builder->state == BUILDER_PLACING && news->failed != 0) {
        fail(builder, "the batches it stands for could not be stored");
    }
    if (builder->state == BUILDER_IMPORTING && news->imported == builder->order.number) {
        if (news->is_import_ok) {
            answer_done(builder);
        } else {
            builder->failure = news->import_reason;
            answer_failed(builder);
        }
    }
}

static void *discard_main(void *context)
{
    crdt_close(context);
    return NULL;
}

void builder_discard(struct crdt_document *document)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, discard_main, document) == 0) {
        pthread_detach(thread);
    } else {
        crdt_close(document);
    }
}
