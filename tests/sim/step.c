/* What a node does in one step: the input, the checks, the outputs. */
#include "tests/sim/node.h"

#include <string.h>

#include "tests/sim/invariants.h"
#include "tests/sim/signature.h"
#include "tests/sim/simulator.h"

#define IDLE_TICKS_MAX 1000 /* a core that asks for this many in a row spins */

static void node_event(struct simulator *sim, size_t node, const struct core_output *output)
{
    struct node *self = &sim->nodes[node];
    const char *text = output->text == NULL ? "" : output->text;
    simulator_trace(sim, "n%zu EVENT %d %s", node + 1, (int)output->event, text);
    if (output->event == CORE_EVENT_SERVING) {
        self->is_serving = !self->is_stopping;
        workload_serve(sim, node);
    }
    if (output->event == CORE_EVENT_GENERATION) {
        self->generations++;
        sim->stats.generations++;
    }
    bool is_honest = !sim->options.is_quiet && sim->is_model_exact && !sim->has_poison
        && !self->disk.has_hole;
    bool is_alarm = output->event == CORE_EVENT_FORK || output->event == CORE_EVENT_DIVERGED;
    if (is_honest && (is_alarm || output->event == CORE_EVENT_DROPPED))
        simulator_fail(sim, "n%zu: raised an alarm among honest nodes: %s", node + 1, text);
}

static void node_fetch(struct simulator *sim, size_t node, const struct core_output *output)
{
    simulator_trace(sim, "n%zu FETCH %llu %s from %llu", node + 1,
        (unsigned long long)output->number,
        simulator_label(sim, registry_origin(&sim->registry, &output->from.origin)).text,
        (unsigned long long)output->from.seq);
    agenda_add(&sim->agenda, (struct event){ .kind = EVENT_FETCHED, .node = node,
        .at_us = simulator_after(sim, 100, 5000),
        .incarnation = sim->nodes[node].incarnation, .number = output->number,
        .from = output->from, .bytes_max = output->bytes_max });
}

static void node_verify(struct simulator *sim, size_t node, const struct core_output *output)
{
    invariants_verify(sim, node, output);
    agenda_add(&sim->agenda, (struct event){ .kind = EVENT_VERIFIED, .node = node,
        .at_us = simulator_after(sim, 80, 1000),
        .incarnation = sim->nodes[node].incarnation, .number = output->number,
        .is_ok = signature_is_good(&sim->nodes[node], output->key, output->bytes.data,
            output->bytes.size, output->signature) });
}

/* The old document of a join, or a joined one that was given up. */
static void node_discard(struct simulator *sim, size_t node, struct crdt_document *document)
{
    struct node *self = &sim->nodes[node];
    simulator_trace(sim, "n%zu DISCARD", node + 1);
    crdt_close(document);
    if (self->is_joining)
        invariants_joined(sim, node);
    self->is_joining = false;
    /* Like a start: the new document has seen the stamps that live, and no others. */
    self->stamp = 0;
    faults_spring(sim, node, TRAP_SWAP);
}

/* True when the node is gone. */
static bool node_execute(struct simulator *sim, size_t node, const struct core_output *output)
{
    switch (output->kind) {
    case CORE_STORE:
    case CORE_STORE_MARK:
    case CORE_STORE_EVIDENCE: disk_store(sim, node, output); break;
    case CORE_FETCH: node_fetch(sim, node, output); break;
    case CORE_VERIFY: node_verify(sim, node, output); break;
    case CORE_SEND: network_send(sim, node, output); break;
    case CORE_CONNECT: network_dial(sim, node, output->peer); break;
    case CORE_CLOSE_LINK: network_close_link(sim, node, output->link); break;
    case CORE_REPLY: workload_reply(sim, node, output->client, output->bytes); break;
    case CORE_CLOSE_CLIENT: break;
    case CORE_BACKUP: break; /* no simulated client asks for it */
    case CORE_SNAPSHOT: disk_snapshot(sim, node, output); break;
    case CORE_DISCARD: node_discard(sim, node, output->document); break;
    case CORE_DROP: disk_drop(sim, node, output); break;
    case CORE_FETCH_PART: disk_fetch_part(sim, node, output); break;
    case CORE_STAGE: disk_stage(sim, node, output); break;
    case CORE_UNSTAGE: disk_unstage(sim, node); break;
    case CORE_EVENT:
        node_event(sim, node, output);
        if (output->event == CORE_EVENT_STOPPED) {
            node_stopped(sim, node);
            return true;
        }
        break;
    }
    return false;
}

static void node_mix(struct simulator *sim, size_t node, const struct core_input *input,
    const struct core_outputs *outputs)
{
    simulator_mix_number(sim, sim->now_us);
    simulator_mix_number(sim, (uint64_t)node << 8 | (uint64_t)input->kind);
    simulator_mix_number(sim, input->number ^ input->link << 20 ^ input->client << 40);
    simulator_mix(sim, input->bytes.data, input->bytes.size);
    for (size_t i = 0; i < outputs->count; i++) {
        const struct core_output *output = &outputs->items[i];
        simulator_mix_number(sim, (uint64_t)output->kind << 32 | output->number);
        simulator_mix_number(sim, output->link ^ output->client << 20 ^ output->value);
        simulator_mix(sim, output->bytes.data, output->bytes.size);
        if (output->text != NULL)
            simulator_mix(sim, output->text, strlen(output->text));
    }
}

/* Plans the next TICK and catches a core that spins. */
static void node_plan(
    struct simulator *sim, size_t node, const struct core_input *input, bool is_silent)
{
    struct node *self = &sim->nodes[node];
    uint64_t deadline = core_deadline_us(self->core);
    uint64_t now = sim->now_us + self->monotonic_offset_us;
    self->tick++;
    if (deadline == UINT64_MAX)
        return;
    bool is_spinning = input->kind == CORE_TICK && is_silent && deadline <= now;
    self->idle_ticks = is_spinning ? self->idle_ticks + 1 : 0;
    if (self->idle_ticks > IDLE_TICKS_MAX)
        simulator_fail(sim, "n%zu: asks for a TICK for ever and does nothing", node + 1);
    uint64_t at = deadline > now ? sim->now_us + (deadline - now) : simulator_after(sim, 5, 50);
    agenda_add(&sim->agenda, (struct event){ .kind = EVENT_TICK, .at_us = at, .node = node,
        .incarnation = self->incarnation, .number = self->tick });
}

/* The origin may have changed: what is not sealed yet has a new name. */
static void node_follow(struct simulator *sim, size_t node, uint64_t applied_before)
{
    struct node *self = &sim->nodes[node];
    struct crdt_origin origin = crdt_self(core_document(self->core));
    if (origin.generation == 0)
        return;
    size_t now = registry_origin(&sim->registry, &origin);
    if (now == ORIGIN_COUNT_MAX) {
        simulator_fail(sim, "n%zu: writes under a key that is not its own", node + 1);
        return;
    }
    if (self->self != ORIGIN_COUNT_MAX && self->self != now) {
        model_move(&sim->model, self->self, self->incarnation, applied_before, now);
        workload_move(self, self->self, applied_before, now);
    }
    self->self = now;
}

/* Executes the outputs; a doomed node crashes between two of them. */
static void node_obey(struct simulator *sim, size_t node, const struct core_outputs *outputs)
{
    struct node *self = &sim->nodes[node];
    size_t count = outputs->count;
    bool is_doomed = self->is_doomed && count > 0;
    if (is_doomed)
        count = simulator_random(sim, count + 1);
    /* What is not executed any more dies with its process. */
    for (size_t i = count; i < outputs->count; i++)
        if (outputs->items[i].kind == CORE_DISCARD)
            crdt_close(outputs->items[i].document);
    for (size_t i = 0; i < count && !sim->is_broken; i++)
        if (node_execute(sim, node, &outputs->items[i]))
            return;
    if (is_doomed && !sim->is_broken) {
        sim->faults.counts[self->doom]++;
        node_crash(sim, node);
        node_restart_later(sim, node);
    }
}

void node_step(struct simulator *sim, size_t node, struct core_input *input)
{
    struct node *self = &sim->nodes[node];
    if (self->core == NULL || sim->is_broken)
        return;
    input->monotonic_us = sim->now_us + self->monotonic_offset_us;
    input->wall_ms = node_wall_ms(sim, node);
    const struct crdt_document *document = core_document(self->core);
    struct crdt_origin before = crdt_self(document);
    struct vector observed = self->context;
    if (self->self != ORIGIN_COUNT_MAX)
        observed.seq[self->self] = node_own_seq(self);
    uint64_t applied_before = crdt_applied(document, &before);
    invariants_clock(sim, node);
    struct core_outputs outputs = { 0 };
    core_step(self->core, input, &outputs);
    sim->stats.steps++;
    node_mix(sim, node, input, &outputs);
    node_follow(sim, node, applied_before);
    if (input->kind == CORE_COMMAND)
        workload_executed(sim, node, input, &observed);
    invariants_step(sim, node, &outputs);
    invariants_held(sim, node);
    if (!sim->is_broken)
        node_plan(sim, node, input, outputs.count == 0);
    node_obey(sim, node, &outputs);
}
