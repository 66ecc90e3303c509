#include "tests/sim/simulator.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gossipd/core/random.h"
#include "tests/sim/array.h"
#include "tests/sim/invariants.h"
#include "tests/sim/liveness.h"
#include "tests/sim/mischief.h"
#include "tests/sim/signature.h"

#define CHAOS_US_MIN 3000000  /* faults and clients together                      */
#define CHAOS_US_MAX 20000000
#define CHAOS_ROUND_US 50000
#define COMMANDS_MAX 3000     /* short runs find more, and the model is quadratic */
#define ANSWER_US 10000000    /* a calm node that serves answers within this      */

uint64_t simulator_random(struct simulator *sim, uint64_t bound)
{
    return bound == 0 ? 0 : random_next(&sim->random) % bound;
}

bool simulator_chance(struct simulator *sim, uint64_t bound)
{
    return !sim->options.is_quiet && simulator_random(sim, bound) == 0;
}

uint64_t simulator_after(struct simulator *sim, uint64_t least, uint64_t most)
{
    uint64_t more = sim->options.is_quiet || most <= least
        ? 0 : simulator_random(sim, most - least + 1);
    return sim->now_us + least + more;
}

void simulator_mix_number(struct simulator *sim, uint64_t number)
{
    uint64_t state = sim->checksum ^ number;
    sim->checksum = random_next(&state);
}

void simulator_mix(struct simulator *sim, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    simulator_mix_number(sim, size);
    for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
        uint64_t word = 0;
        memcpy(&word, bytes + at, size - at < sizeof word ? size - at : sizeof word);
        simulator_mix_number(sim, word);
    }
}

void simulator_trace(struct simulator *sim, const char *format, ...)
{
    if (!sim->options.is_traced)
        return;
    char line[600];
    int used = sim->options.trace != NULL
        ? 0 : snprintf(line, sizeof line, "%10.6f ", (double)sim->now_us / 1e6);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + used, sizeof line - (size_t)used, format, arguments);
    va_end(arguments);
    if (sim->options.trace != NULL)
        sim->options.trace(sim->options.trace_context, line);
    else
        puts(line);
}

void simulator_fail(struct simulator *sim, const char *format, ...)
{
    if (sim->is_broken)
        return;
    sim->is_broken = true;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sim->violation, sizeof sim->violation, format, arguments);
    va_end(arguments);
    simulator_trace(sim, "VIOLATION %s", sim->violation);
}

struct label simulator_label(const struct simulator *sim, size_t origin)
{
    struct label label = { "n?" };
    if (origin >= sim->registry.origin_count)
        return label;
    const struct known_origin *known = &sim->registry.origins[origin];
    snprintf(label.text, sizeof label.text, "n%u%c", (unsigned)known->node + 1,
        known->ordinal < 26 ? (char)('a' + known->ordinal) : '+');
    return label;
}

/* Budgets are tiny, so that batches go early and who is away comes back too late. */
static void simulator_draw_log(struct simulator *sim)
{
    if (!simulator_chance(sim, 4)) /* tiny, so that restarts begin with one often */
        sim->snapshot_bytes = UINT64_C(500) << simulator_random(sim, 8);
    if (simulator_chance(sim, 2))
        sim->history_ms = simulator_random(sim, 2) * simulator_random(sim, 5000);
    if (!simulator_chance(sim, 4))
        sim->log_bytes_max = UINT64_C(500) << simulator_random(sim, 8);
    if (!simulator_chance(sim, 3))
        sim->unacked_bytes_max = UINT64_C(500) << simulator_random(sim, 8);
    if (!simulator_chance(sim, 4)) /* tiny, so that counters fold all the time */
        sim->fold_count = UINT64_C(2) << simulator_random(sim, 6);
    if (!simulator_chance(sim, 4))
        sim->fold_away_us = UINT64_C(1200000) << simulator_random(sim, 4);
    sim->part_bytes = 40 + simulator_random(sim, 400);
    sim->drop_rows = 1 + simulator_random(sim, 50);
}

/* Half of the runs have one durability everywhere, the others mix them. */
static void simulator_draw(struct simulator *sim)
{
    bool is_mixed = simulator_chance(sim, 2);
    enum core_durability durability = (enum core_durability)simulator_random(sim, 3);
    for (size_t i = 0; i < sim->node_count; i++)
        sim->nodes[i].durability
            = is_mixed ? (enum core_durability)simulator_random(sim, 3) : durability;
    sim->think_us = UINT64_C(2000) << simulator_random(sim, 8);
    sim->has_flushall = simulator_chance(sim, 3);
    simulator_draw_log(sim);
    bool is_small = simulator_chance(sim, 3);
    sim->portion_max = is_small ? 2 : 2 + simulator_random(sim, PORTION_MAX - 1);
    sim->multi_max = is_small ? 5 : 5 + simulator_random(sim, 15);
    sim->field_count = is_small ? 5 : 5 + simulator_random(sim, FIELD_COUNT_MAX - 4);
    sim->has_long_counters = simulator_chance(sim, 3);
    if (simulator_chance(sim, 4))
        sim->nodes[0].clock_offset_ms = INT64_C(31536000000);
    faults_draw(sim);
    agenda_add(&sim->agenda, (struct event){ .kind = EVENT_FAULT, .at_us = 1000000 });
}

void simulator_open(struct simulator *sim, const struct simulator_options *options)
{
    *sim = (struct simulator){ .options = *options,
        .random = options->seed,
        .part_bytes = 300,
        .drop_rows = UINT64_MAX,
        .history_ms = UINT64_MAX,
        .log_bytes_max = UINT64_MAX,
        .unacked_bytes_max = UINT64_MAX,
        .fold_count = 64, /* both as in docs/semantics.md */
        .fold_away_us = 10000000 };
    sim->node_count
        = options->node_count > 0 ? options->node_count : 3 + simulator_random(sim, 3);
    sim->registry.node_count = sim->node_count;
    bool is_ed25519 = simulator_chance(sim, 100);
    sim->stats.ed25519 = is_ed25519;
    for (size_t i = 0; i < sim->node_count; i++) {
        uint64_t name[2] = { options->seed, i };
        uint8_t key_seed[CRDT_KEY_BYTES];
        crypto_generichash(key_seed, sizeof key_seed, (const uint8_t *)name, sizeof name, NULL, 0);
        sim->nodes[i].is_ed25519 = is_ed25519;
        signature_begin(&sim->nodes[i], key_seed);
        memcpy(sim->registry.keys[i], sim->nodes[i].key, CRDT_KEY_BYTES);
        sim->nodes[i].durability = options->durability;
    }
    if (!options->is_quiet) {
        simulator_draw(sim);
        for (size_t i = 0; i < sim->node_count; i++)
            node_start(sim, i);
    }
}

/* An event that was meant for an earlier life of its node is void. */
static bool simulator_is_void(const struct simulator *sim, const struct event *event)
{
    if (event->kind == EVENT_FAULT || event->kind == EVENT_FLAP)
        return false;
    const struct node *node = &sim->nodes[event->node];
    if (event->kind == EVENT_RESTART)
        return node->core != NULL || event->incarnation != node->incarnation;
    return node->core == NULL || event->incarnation != node->incarnation;
}

static void simulator_stop_late(struct simulator *sim, const struct event *event)
{
    /* With a failing disk a stop cannot be clean: the operator kills it; so one
     * that stood still or was slow while it stopped. */
    struct node *node = &sim->nodes[event->node];
    uint64_t since_us = sim->now_us - STOP_US;
    bool is_slow = node->busy_until_us > since_us || node->slow_until_us > since_us;
    if (!disk_has_failed_lately(sim, event->node) && !is_slow && !sim->options.is_quiet)
        simulator_fail(sim, "n%zu: SIGTERM took more than 5 s", event->node + 1);
    else
        node_crash(sim, event->node);
    node_restart_later(sim, event->node);
}

static void simulator_restart(struct simulator *sim, const struct event *event)
{
    if (mischief_stays_away(sim, event))
        return;
    mischief_return(sim, event->node);
    node_start(sim, event->node);
}

static void simulator_dispatch(struct simulator *sim, struct event *event)
{
    switch (event->kind) {
    case EVENT_TICK: node_tick(sim, event); break;
    case EVENT_FLUSH: disk_flushed(sim, event->node, event->number); break;
    case EVENT_DIAL: network_dialled(sim, event); break;
    case EVENT_DIAL_FAILED: network_dial_failed(sim, event); break;
    case EVENT_UP: network_up(sim, event); break;
    case EVENT_DOWN: network_down(sim, event); break;
    case EVENT_FRAME: network_frame(sim, event); break;
    case EVENT_FETCHED: node_fetched(sim, event); break;
    case EVENT_SNAPSHOT: disk_snapshot_written(sim, event); break;
    case EVENT_SNAPSHOT_DONE: disk_snapshot_done(sim, event); break;
    case EVENT_DROP: disk_drop_written(sim, event); break;
    case EVENT_DROPPED: disk_dropped(sim, event); break;
    case EVENT_PART: disk_part(sim, event); break;
    case EVENT_STAGED: disk_staged(sim, event); break;
    case EVENT_VERIFIED: node_verified(sim, event); break;
    case EVENT_THINK: workload_think(sim, event->node, event->number); break;
    case EVENT_RESTART: simulator_restart(sim, event); break;
    case EVENT_STOP_LATE: simulator_stop_late(sim, event); break;
    case EVENT_FAULT: faults_happen(sim); break;
    case EVENT_FLAP: mischief_flap(sim, event); break;
    }
}

bool simulator_next(struct simulator *sim)
{
    struct event event;
    if (sim->is_broken || !agenda_take(&sim->agenda, &event))
        return false;
    sim->now_us = event.at_us;
    bool is_void = simulator_is_void(sim, &event);
    if (!is_void && mischief_defer(sim, &event))
        return true;
    if (!is_void)
        simulator_dispatch(sim, &event);
    free(event.bytes);
    return !sim->is_broken;
}

void simulator_run(struct simulator *sim, uint64_t us)
{
    uint64_t end = sim->now_us + us;
    while (agenda_next_us(&sim->agenda) <= end && simulator_next(sim))
        continue;
    if (!sim->is_broken)
        sim->now_us = end;
}

bool simulator_converge(struct simulator *sim, uint64_t us)
{
    uint64_t end = sim->now_us + us;
    while (!sim->is_broken && !invariants_converged(sim)) {
        if (agenda_next_us(&sim->agenda) > end)
            return false;
        if (!simulator_next(sim))
            return false;
    }
    return !sim->is_broken;
}

const struct crdt_buffer *simulator_ask(
    struct simulator *sim, size_t node, const struct command *command)
{
    struct client *client = &sim->nodes[node].clients[CLIENT_ASKING];
    uint64_t end = sim->now_us + ANSWER_US;
    while (client->number == 0 && agenda_next_us(&sim->agenda) <= end && simulator_next(sim))
        continue;
    if (client->number == 0)
        return NULL;
    uint64_t answers = client->answers;
    workload_send(sim, node, CLIENT_ASKING, command, NULL, 0);
    while (client->answers == answers && agenda_next_us(&sim->agenda) <= end
        && simulator_next(sim))
        continue;
    return client->answers == answers ? NULL : &client->answer;
}

/* Clients and faults together, until time or commands are up. */
static void simulator_chaos(struct simulator *sim)
{
    uint64_t end
        = sim->now_us + CHAOS_US_MIN + simulator_random(sim, CHAOS_US_MAX - CHAOS_US_MIN);
    while (!sim->is_broken && sim->now_us < end + sim->skipped_us
        && sim->stats.commands < COMMANDS_MAX) {
        uint64_t next = agenda_next_us(&sim->agenda);
        simulator_run(sim, next != UINT64_MAX && next > sim->now_us + CHAOS_ROUND_US
                ? next - sim->now_us : CHAOS_ROUND_US);
    }
}

/* Faults end, but for members that are lost for good; the others become equal,
 * keep what was promised and say what the model says. */
static void simulator_calm(struct simulator *sim)
{
    bool has_losses = sim->options.mode == MODE_LIVENESS
        || (sim->options.mode == MODE_DRAWN && simulator_chance(sim, 4));
    sim->is_calm = true;
    simulator_trace(sim, "CALM");
    if (has_losses)
        liveness_lose(sim);
    faults_end(sim);
    liveness_keep(sim);
    if (has_losses || simulator_chance(sim, 4))
        liveness_thin(sim);
    if (!sim->is_broken)
        liveness_converge(sim);
    if (!sim->is_broken)
        invariants_promises(sim);
}

void simulator_play(struct simulator *sim)
{
    simulator_chaos(sim);
    if (!sim->is_broken && sim->options.mode != MODE_SAFETY)
        simulator_calm(sim);
    bool has_reference = false; /* once: the contexts are equal, and so judged the states */
    for (size_t i = 0; i < sim->node_count && !sim->is_broken; i++) {
        if (sim->nodes[i].core == NULL)
            continue;
        bool is_compared = oracle_compare(sim, i, true);
        if (!has_reference && !sim->is_broken)
            is_compared &= invariants_reference(sim, i);
        has_reference = true;
        if (!is_compared && sim->is_calm && sim->nodes[i].loss == 0)
            simulator_fail(sim, "n%zu: after calm its context has a batch that no disk has had",
                i + 1);
    }
    if (!sim->is_broken && sim->options.mode != MODE_SAFETY)
        invariants_values(sim);
}

void simulator_close(struct simulator *sim)
{
    for (size_t i = 0; i < sim->node_count; i++) {
        node_close(sim, i);
        disk_close(&sim->nodes[i].disk);
        oracle_close(&sim->nodes[i].oracle);
        for (size_t slot = 0; slot < CLIENT_COUNT; slot++) {
            struct client *client = &sim->nodes[i].clients[slot];
            if (client->reply.memory.reallocate == NULL)
                continue;
            crdt_buffer_close(&client->reply);
            crdt_buffer_close(&client->answer);
        }
    }
    mischief_close(sim);
    network_free(&sim->network);
    agenda_close(&sim->agenda);
    registry_close(&sim->registry);
    model_close(&sim->model);
    free(sim->states);
    sim->states = NULL;
}
