#include "tests/sim/script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/invariants.h"

#define REPLY_US 100000 /* `client` waits this long for its reply                */

static void script_traced(void *context, const char *line)
{
    struct script *script = context;
    for (size_t i = 0; i < script->filter_count; i++) {
        char word[32];
        snprintf(word, sizeof word, " %s ", script->filters[i]);
        if (strstr(line, word) == NULL)
            continue;
        script_print(script, "  %s\n", line);
        return;
    }
}

static void script_answered(void *context, size_t node, size_t slot, struct crdt_bytes reply)
{
    struct script *script = context;
    if (slot == 0)
        script_print(script, "n%zu: ", node + 1);
    else
        script_print(script, "n%zu.%zu: ", node + 1, slot + 1);
    script_reply(script, reply);
    script_print(script, "\n");
}

/* A number of the simulator's that "name=" may set. */
static void script_number(const struct words *words, const char *name, uint64_t *number)
{
    const char *text = words_value(words, name);
    if (text != NULL)
        *number = strtoull(text, NULL, 10);
}

/* nodes 3 durability=always snapshot=1500 log=2000 unacked=0 history=0 part=100:
 * bytes, and milliseconds. stranger=3:1 (node 1 does not know node 3) */
static void script_nodes(struct script *script, const struct words *words)
{
    struct simulator_options options = { .seed = 1, .is_quiet = true, .is_traced = true,
        .trace = script_traced, .trace_context = script, .answered = script_answered,
        .answered_context = script,
        .durability = words_durability(words, CORE_ALWAYS) };
    options.node_count = words->count > 1 ? strtoul(words->text[1], NULL, 10) : 0;
    if (script->is_open || options.node_count < 1 || options.node_count > NODE_COUNT_MAX) {
        script_print(script, "nodes: once, 1 to %d\n", NODE_COUNT_MAX);
        return;
    }
    simulator_open(&script->sim, &options);
    script_number(words, "snapshot", &script->sim.snapshot_bytes);
    script_number(words, "log", &script->sim.log_bytes_max);
    script_number(words, "unacked", &script->sim.unacked_bytes_max);
    script_number(words, "history", &script->sim.history_ms);
    script_number(words, "part", &script->sim.part_bytes);
    script->is_open = true;
    const char *stranger = words_value(words, "stranger");
    if (stranger != NULL && stranger[0] >= '1' && stranger[0] <= '5' && stranger[1] == ':'
        && stranger[2] >= '1' && stranger[2] <= '5')
        script->sim.nodes[stranger[0] - '1'].is_stranger_to[stranger[2] - '1'] = true;
    for (size_t i = 0; i < options.node_count; i++)
        node_start(&script->sim, i);
    for (size_t i = 0; i < options.node_count; i++)
        script_serve(script, i);
    simulator_run(&script->sim, 100000);
}

static struct command script_command(
    struct script *script, const struct words *words, size_t first)
{
    struct command command = { .count = 0 };
    for (size_t i = first; i < words->count; i++)
        command_add(&command, "%s", words->text[i]);
    script->is_sorted = words->count > first
        && (strcmp(words->text[first], "SMEMBERS") == 0 || strcmp(words->text[first], "KEYS") == 0);
    return command;
}

/* client 1 SET k 10: waits a while for the reply. `client 1.2`: another client. */
static void script_client(struct script *script, const struct words *words)
{
    struct simulator *sim = &script->sim;
    size_t node = words_node(script, words, 1);
    const char *dot = words->count > 2 ? strchr(words->text[1], '.') : NULL;
    size_t slot = dot != NULL && dot[1] >= '1' && dot[1] <= '3' ? (size_t)(dot[1] - '1') : 0;
    if (node == NODE_COUNT_MAX || words->count < 3 || !sim->nodes[node].is_serving) {
        script_print(script, "client: no such node, or it does not serve\n");
        return;
    }
    struct command command = script_command(script, words, 2);
    const struct client *client = &sim->nodes[node].clients[slot];
    uint64_t answers = client->answers, end = sim->now_us + REPLY_US;
    workload_send(sim, node, slot, &command, NULL, 0);
    while (client->answers == answers && agenda_next_us(&sim->agenda) <= end
        && simulator_next(sim))
        continue;
    if (client->answers == answers)
        script_print(script, "n%zu: (no reply yet)\n", node + 1);
}

/* read all GET k: every node that serves; one line when all say the same. */
static void script_read(struct script *script, const struct words *words)
{
    struct simulator *sim = &script->sim;
    struct command command = script_command(script, words, 2);
    struct crdt_buffer texts[NODE_COUNT_MAX];
    size_t count = 0, nodes[NODE_COUNT_MAX];
    bool is_same = true;
    for (size_t i = 0; i < sim->node_count; i++) {
        if (!sim->nodes[i].is_serving)
            continue;
        const struct crdt_buffer *reply = simulator_ask(sim, i, &command);
        struct crdt_buffer kept = script->output;
        crdt_buffer_init(&script->output, NULL);
        if (reply == NULL)
            script_print(script, "(no reply)");
        else
            script_reply(script, crdt_buffer_bytes(reply));
        script_print(script, "%s", "\n");
        texts[count] = script->output;
        script->output = kept;
        nodes[count++] = i;
        is_same = is_same && texts[0].size == texts[count - 1].size
            && memcmp(texts[0].data, texts[count - 1].data, texts[0].size) == 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (is_same && i == 0)
            script_print(script, "all: %.*s", (int)texts[i].size, (const char *)texts[i].data);
        else if (!is_same)
            script_print(script, "n%zu: %.*s", nodes[i] + 1, (int)texts[i].size,
                (const char *)texts[i].data);
        crdt_buffer_close(&texts[i]);
    }
}

/* run 500ms, run 2s, run until converged */
static void script_run(struct script *script, const struct words *words)
{
    if (words->count == 3 && strcmp(words->text[2], "converged") == 0) {
        bool is_done = simulator_converge(&script->sim, CONVERGE_US);
        script_print(script, "%s", is_done ? "converged\n" : "not converged in time\n");
        return;
    }
    char *unit = NULL;
    double number = words->count > 1 ? strtod(words->text[1], &unit) : 0;
    if (number <= 0 || unit == NULL || (strcmp(unit, "ms") != 0 && strcmp(unit, "s") != 0)) {
        script_print(script, "run: 500ms, 2s or until converged\n");
        return;
    }
    simulator_run(&script->sim, (uint64_t)(number * (unit[0] == 'm' ? 1e3 : 1e6)));
}

/* skip 10d: all stand still for so long, and what is under way with them. */
static void script_skip(struct script *script, const struct words *words)
{
    struct simulator *sim = &script->sim;
    uint64_t days = words->count > 1 ? strtoull(words->text[1], NULL, 10) : 0;
    uint64_t us = days * UINT64_C(86400000000);
    for (size_t i = 0; i < sim->agenda.count; i++)
        sim->agenda.items[i].at_us += us;
    sim->now_us += us;
}

static void script_trace(struct script *script, const struct words *words)
{
    script->filter_count = 0;
    for (size_t i = 2; i < words->count && i < SCRIPT_FILTERS_MAX + 2; i++)
        snprintf(script->filters[script->filter_count++], sizeof script->filters[0], "%.20s",
            words->text[i]);
}

void script_open(struct script *script)
{
    *script = (struct script){ .is_open = false };
    crdt_buffer_init(&script->output, NULL);
}

void script_line(struct script *script, const char *line)
{
    struct words words = words_split(line);
    const char *word = words.text[0];
    if (strcmp(word, "nodes") == 0)
        script_nodes(script, &words);
    else if (!script->is_open)
        script_print(script, "first: nodes N\n");
    else if (strcmp(word, "client") == 0)
        script_client(script, &words);
    else if (strcmp(word, "read") == 0 && words.count > 2)
        script_read(script, &words);
    else if (strcmp(word, "run") == 0)
        script_run(script, &words);
    else if (strcmp(word, "skip") == 0)
        script_skip(script, &words);
    else if (strcmp(word, "cut") == 0)
        script_cut(script, &words);
    else if (strcmp(word, "heal") == 0)
        script_heal(script, &words);
    else if (strcmp(word, "trace") == 0)
        script_trace(script, &words);
    else if (words_node(script, &words, 1) == NODE_COUNT_MAX
        || !script_node(script, &words, words_node(script, &words, 1)))
        script_print(script, "cannot do: %s\n", line);
    if (script->sim.is_broken)
        script_print(script, "VIOLATION %s\n", script->sim.violation);
}

void script_close(struct script *script)
{
    if (script->is_open)
        simulator_close(&script->sim);
    crdt_buffer_close(&script->output);
}
