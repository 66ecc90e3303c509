#include "tests/sim/workload.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/array.h"
#include "tests/sim/simulator.h"

void command_add(struct command *command, const char *format, ...)
{
    if (command->count == ARGUMENTS_MAX)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command->arguments[command->count++], ARGUMENT_BYTES, format, arguments);
    va_end(arguments);
}

/* The command as one line, for the trace. */
static void command_text(const struct command *command, char *text, size_t text_bytes)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < command->count && used + 1 < text_bytes; i++)
        used += (size_t)snprintf(text + used, text_bytes - used, "%s%s", i == 0 ? "" : " ",
            command->arguments[i]);
}

/* A fingerprint of the counters that the client's command adds to: a further
 * increment in the open batch may join an earlier one and make no record. Keys
 * are where docs/semantics.md says: data, key, field. */
static uint64_t workload_sums(const struct simulator *sim, size_t node, const struct client *client)
{
    uint64_t sums = 0;
    for (size_t i = 0; i < client->effect_count; i++) {
        const struct effect *effect = &client->effects[i];
        if (effect->kind != EFFECT_ADD)
            continue;
        struct command names = { .count = 0 };
        command_add(&names, "%c%d", "csh"[effect->key / 2], effect->key % 2);
        command_add(&names, "f%d", effect->field);
        struct crdt_bytes keys[] = { crdt_text("data"), crdt_text(names.arguments[0]),
            crdt_text(names.arguments[1]) };
        struct crdt_path path = { keys, effect->key < 2 ? 2 : 3 };
        sums = sums * 1000003
            + (uint64_t)crdt_counter_value(core_document(sim->nodes[node].core), path);
    }
    return sums;
}

void workload_send(struct simulator *sim, size_t node, size_t slot,
    const struct command *command, const struct effect *effects, size_t effect_count)
{
    struct client *client = &sim->nodes[node].clients[slot];
    struct crdt_bytes arguments[ARGUMENTS_MAX];
    for (size_t i = 0; i < command->count; i++)
        arguments[i] = crdt_text(command->arguments[i]);
    char text[400];
    command_text(command, text, sizeof text);
    simulator_trace(sim, "n%zu COMMAND c%llu %s", node + 1, (unsigned long long)client->number,
        text);
    if (strcmp(command->arguments[0], "MULTI") == 0)
        client->is_in_multi = true;
    for (size_t i = 0; i < effect_count && client->effect_count < EFFECTS_MAX; i++)
        client->effects[client->effect_count++] = effects[i];
    if (client->outstanding_count == OUTSTANDING_MAX)
        return;
    struct outstanding *outstanding = &client->outstanding[client->outstanding_count++];
    *outstanding = (struct outstanding){ .origin = ORIGIN_COUNT_MAX,
        .is_always = sim->nodes[node].durability == CORE_ALWAYS };
    if (strcmp(command->arguments[0], "ECHO") == 0)
        snprintf(outstanding->echo, sizeof outstanding->echo, "$%zu\r\n%.30s\r\n",
            strlen(command->arguments[1]), command->arguments[1]);
    sim->stats.commands++;
    struct core_input input = { .kind = CORE_COMMAND,
        .client = client->number,
        .arguments = arguments,
        .argument_count = command->count };
    client->sums = workload_sums(sim, node, client);
    bool is_exec = strcmp(command->arguments[0], "EXEC") == 0;
    if (is_exec)
        client->is_in_multi = false;
    node_step(sim, node, &input);
}

static size_t workload_slot(const struct node *node, uint64_t number)
{
    for (size_t i = 0; i < CLIENT_COUNT; i++)
        if (node->clients[i].number == number && number != 0)
            return i;
    return CLIENT_COUNT;
}

void workload_executed(struct simulator *sim, size_t node, const struct core_input *input,
    const struct vector *observed)
{
    struct node *self = &sim->nodes[node];
    size_t slot = workload_slot(self, input->client);
    if (slot == CLIENT_COUNT || self->clients[slot].outstanding_count == 0)
        return;
    struct client *client = &self->clients[slot];
    struct outstanding *outstanding = &client->outstanding[client->outstanding_count - 1];
    outstanding->origin = self->self;
    outstanding->seq = node_own_seq(self);
    if (self->self == ORIGIN_COUNT_MAX)
        return;
    bool has_records = outstanding->seq > observed->seq[self->self];
    outstanding->has_written
        = has_records || workload_sums(sim, node, client) != client->sums;
    if (outstanding->has_written)
        model_add(&sim->model, self->self, self->incarnation, outstanding->seq, has_records,
            observed, client->effects, client->effect_count);
    if (!client->is_in_multi)
        client->effect_count = 0;
}

/* In `always` nothing may be shown that a crash could take back. */
static void workload_check_promise(
    struct simulator *sim, size_t node, const struct outstanding *outstanding, bool is_error)
{
    const struct node *self = &sim->nodes[node];
    if (!outstanding->is_always || is_error || outstanding->origin == ORIGIN_COUNT_MAX)
        return;
    struct known_origin *own = &sim->registry.origins[outstanding->origin];
    bool is_durable = outstanding->seq
        <= disk_seq(&self->disk, outstanding->origin, self->disk.durable);
    if (!is_durable && outstanding->has_written)
        simulator_fail(sim, "n%zu: acknowledges %s %llu before it is durable", node + 1,
            simulator_label(sim, outstanding->origin).text, (unsigned long long)outstanding->seq);
    /* While it cannot STORE, reads go on and show what it holds. */
    if (!is_durable && !disk_has_failed_lately(sim, node))
        simulator_fail(sim, "n%zu: a reply shows %s %llu before it is durable", node + 1,
            simulator_label(sim, outstanding->origin).text, (unsigned long long)outstanding->seq);
    /* What a member promises after it is lost, nobody else can keep. */
    if (outstanding->has_written && own->promised < outstanding->seq && self->loss == 0)
        own->promised = outstanding->seq;
}

/* One whole reply, for the oldest command without one. */
static void workload_answer(
    struct simulator *sim, size_t node, struct client *client, struct crdt_bytes reply)
{
    char text[80];
    snprintf(text, sizeof text, "%.*s", (int)(reply.size < 70 ? reply.size : 70),
        (const char *)reply.data);
    for (size_t i = 0; text[i] != '\0'; i++)
        if (text[i] == '\r' || text[i] == '\n')
            text[i] = ' ';
    simulator_trace(
        sim, "n%zu REPLY c%llu %s", node + 1, (unsigned long long)client->number, text);
    if (client->outstanding_count == 0) {
        simulator_fail(sim, "n%zu: a reply that nobody asked for: %s", node + 1, text);
        return;
    }
    struct outstanding outstanding = client->outstanding[0];
    memmove(client->outstanding, client->outstanding + 1,
        --client->outstanding_count * sizeof *client->outstanding);
    bool is_error = text[0] == '-';
    if (strncmp(text, "-ERR unknown", 12) == 0 || strncmp(text, "-ERR wrong", 10) == 0
        || strncmp(text, "-ERR syntax", 11) == 0)
        if (!sim->options.is_quiet)
            simulator_fail(sim, "n%zu: does not know a command: %s", node + 1, text);
    size_t echo_bytes = strlen(outstanding.echo);
    if (echo_bytes > 0 && !is_error && !client->is_in_multi && strncmp(text, "+QUEUED", 7) != 0
        && (reply.size != echo_bytes || memcmp(reply.data, outstanding.echo, echo_bytes) != 0))
        simulator_fail(sim, "n%zu: replies out of order: %s", node + 1, text);
    workload_check_promise(sim, node, &outstanding, is_error);
    crdt_buffer_clear(&client->answer);
    (void)!crdt_buffer_append(&client->answer, reply.data, reply.size);
    client->answers++;
    if (sim->options.answered != NULL && client != &sim->nodes[node].clients[CLIENT_ASKING])
        sim->options.answered(sim->options.answered_context, node,
            (size_t)(client - sim->nodes[node].clients), reply);
}

void workload_reply(struct simulator *sim, size_t node, uint64_t number, struct crdt_bytes bytes)
{
    size_t slot = workload_slot(&sim->nodes[node], number);
    if (slot == CLIENT_COUNT)
        return;
    struct client *client = &sim->nodes[node].clients[slot];
    (void)!crdt_buffer_append(&client->reply, bytes.data, bytes.size);
    size_t used = 0;
    while (used < client->reply.size && !sim->is_broken) {
        size_t size = reply_size(client->reply.data + used, client->reply.size - used);
        if (size == 0)
            break;
        if (size == SIZE_MAX) {
            simulator_fail(sim, "n%zu: a reply that is not RESP", node + 1);
            return;
        }
        workload_answer(
            sim, node, client, (struct crdt_bytes){ client->reply.data + used, size });
        used += size;
    }
    memmove(client->reply.data, client->reply.data + used, client->reply.size - used);
    client->reply.size -= used;
}

static void workload_connect(struct simulator *sim, size_t node, size_t slot)
{
    struct client *client = &sim->nodes[node].clients[slot];
    client->number = ++sim->nodes[node].client_number;
    client->outstanding_count = client->effect_count = 0;
    client->is_in_multi = false;
    client->multi_left = 0;
    if (client->reply.memory.reallocate == NULL) {
        crdt_buffer_init(&client->reply, NULL);
        crdt_buffer_init(&client->answer, NULL);
    }
    crdt_buffer_clear(&client->reply);
}

void workload_serve(struct simulator *sim, size_t node)
{
    for (size_t slot = 0; slot < CLIENT_COUNT; slot++) {
        workload_connect(sim, node, slot);
        if (slot == CLIENT_ASKING || sim->options.is_quiet)
            continue;
        agenda_add(&sim->agenda, (struct event){ .kind = EVENT_THINK, .node = node, .number = slot,
            .at_us = simulator_after(sim, 1, sim->think_us),
            .incarnation = sim->nodes[node].incarnation });
    }
}

bool workload_gone(struct simulator *sim, size_t node, size_t slot)
{
    struct client *client = &sim->nodes[node].clients[slot];
    uint64_t number = client->number;
    if (number == 0)
        return false;
    bool is_amid = client->outstanding_count > 0 || client->is_in_multi;
    simulator_trace(sim, "n%zu CLIENT_GONE c%llu", node + 1, (unsigned long long)number);
    workload_connect(sim, node, slot);
    struct core_input input = { .kind = CORE_CLIENT_GONE, .client = number };
    node_step(sim, node, &input);
    return is_amid;
}

void workload_crash(struct simulator *sim, size_t node)
{
    for (size_t slot = 0; slot < CLIENT_COUNT; slot++)
        sim->nodes[node].clients[slot].number = 0;
}

void workload_move(struct node *node, size_t from, uint64_t seq, size_t to)
{
    for (size_t slot = 0; slot < CLIENT_COUNT; slot++) {
        struct client *client = &node->clients[slot];
        for (size_t i = 0; i < client->outstanding_count; i++) {
            struct outstanding *outstanding = &client->outstanding[i];
            if (outstanding->origin != from || outstanding->seq <= seq)
                continue;
            outstanding->origin = to;
            outstanding->seq -= seq;
        }
    }
}

void workload_think(struct simulator *sim, size_t node, size_t slot)
{
    struct node *self = &sim->nodes[node];
    struct client *client = &self->clients[slot];
    if (!self->is_serving || client->number == 0 || sim->is_calm)
        return;
    agenda_add(&sim->agenda, (struct event){ .kind = EVENT_THINK, .node = node, .number = slot,
        .at_us = simulator_after(sim, 1, 2 * sim->think_us), .incarnation = self->incarnation });
    if (client->outstanding_count + 2 > OUTSTANDING_MAX)
        return;
    struct command command = { 0 };
    struct effect effects[EFFECTS_MAX];
    size_t effect_count = 0;
    if (client->is_in_multi && client->multi_left-- == 0) {
        command_add(&command, "EXEC");
    } else if (!client->is_in_multi && simulator_chance(sim, 15)) {
        command_add(&command, "MULTI");
        client->multi_left = 1 + (unsigned)simulator_random(sim, sim->multi_max);
    } else {
        command_draw(sim, &command, effects, &effect_count);
    }
    workload_send(sim, node, slot, &command, effects, effect_count);
}
