#include "tests/sim/script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/invariants.h"

#define REPLY_US 100000 /* `client` waits this long for its reply                */

/* The line in words. */
struct words {
    char text[SCRIPT_WORDS_MAX][ARGUMENT_BYTES];
    size_t count;
};

static struct words words_split(const char *line)
{
    struct words words = { .count = 0 };
    while (words.count < SCRIPT_WORDS_MAX) {
        line += strspn(line, " ");
        size_t size = strcspn(line, " ");
        if (size == 0)
            break;
        snprintf(words.text[words.count++], ARGUMENT_BYTES, "%.*s", (int)size, line);
        line += size;
    }
    return words;
}

/* The node that a word names, 1 and up; NODE_COUNT_MAX when it is none. */
static size_t words_node(const struct script *script, const struct words *words, size_t at)
{
    if (at >= words->count)
        return NODE_COUNT_MAX;
    unsigned long number = strtoul(words->text[at], NULL, 10);
    return number >= 1 && number <= script->sim.node_count ? number - 1 : NODE_COUNT_MAX;
}

/* What stands behind "name=" in a word; NULL when no word has it. */
static const char *words_value(const struct words *words, const char *name)
{
    size_t size = strlen(name);
    for (size_t i = 1; i < words->count; i++)
        if (strncmp(words->text[i], name, size) == 0 && words->text[i][size] == '=')
            return words->text[i] + size + 1;
    return NULL;
}

static enum core_durability words_durability(
    const struct words *words, enum core_durability otherwise)
{
    const char *text = words_value(words, "durability");
    if (text == NULL)
        return otherwise;
    return strcmp(text, "always") == 0 ? CORE_ALWAYS
        : strcmp(text, "no") == 0      ? CORE_NO
                                       : CORE_EVERYSEC;
}

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

static void script_serve(struct script *script, size_t node)
{
    struct simulator *sim = &script->sim;
    uint64_t end = sim->now_us + 5000000;
    while (!sim->nodes[node].is_serving && queue_next_us(&sim->queue) <= end
        && simulator_next(sim))
        continue;
    if (!sim->nodes[node].is_serving)
        script_print(script, "n%zu does not serve\n", node + 1);
}

/* nodes 3 durability=always stranger=3:1 (node 1 does not know node 3) */
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
    while (client->answers == answers && queue_next_us(&sim->queue) <= end
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
    struct crdt_buffer kept = script->output;
    struct crdt_buffer texts[NODE_COUNT_MAX];
    size_t count = 0, nodes[NODE_COUNT_MAX];
    bool is_same = true;
    for (size_t i = 0; i < sim->node_count; i++) {
        if (!sim->nodes[i].is_serving)
            continue;
        const struct crdt_buffer *reply = simulator_ask(sim, i, &command);
        crdt_buffer_init(&script->output, NULL);
        if (reply == NULL)
            script_print(script, "(no reply)");
        else
            script_reply(script, crdt_buffer_bytes(reply));
        script_print(script, "%s", "\n");
        texts[count] = script->output;
        nodes[count++] = i;
        is_same = is_same && texts[0].size == texts[count - 1].size
            && memcmp(texts[0].data, texts[count - 1].data, texts[0].size) == 0;
    }
    script->output = kept;
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
        script_print(script, is_done ? "converged\n" : "not converged after 20 s\n");
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

/* cut 3, cut 1 3, cut 1 -> 3 */
static void script_cut(struct script *script, const struct words *words)
{
    struct simulator *sim = &script->sim;
    size_t node = words_node(script, words, 1);
    bool is_one_way = words->count == 4 && strcmp(words->text[2], "->") == 0;
    size_t other = words_node(script, words, is_one_way ? 3 : 2);
    for (size_t i = 0; i < sim->node_count && node < NODE_COUNT_MAX; i++) {
        if (i == node || (other != NODE_COUNT_MAX && i != other))
            continue;
        sim->network.is_cut[node][i] = true;
        sim->network.is_cut[i][node] |= !is_one_way;
    }
}

static void script_heal(struct script *script, const struct words *words)
{
    size_t node = words_node(script, words, 1);
    for (size_t i = 0; i < NODE_COUNT_MAX; i++)
        for (size_t j = 0; j < NODE_COUNT_MAX; j++)
            if (node == NODE_COUNT_MAX || i == node || j == node)
                script->sim.network.is_cut[i][j] = false;
}

static void script_stop(struct script *script, size_t node)
{
    struct simulator *sim = &script->sim;
    uint64_t end = sim->now_us + 6000000;
    node_stop(sim, node);
    while (sim->nodes[node].core != NULL && queue_next_us(&sim->queue) <= end
        && simulator_next(sim))
        continue;
}

/* restart 2 durability=no: as it was, on what its store has. */
static void script_restart(struct script *script, const struct words *words, size_t node)
{
    struct node *self = &script->sim.nodes[node];
    if (self->core != NULL) {
        script_print(script, "n%zu is not down\n", node + 1);
        return;
    }
    self->durability = words_durability(words, self->durability);
    node_start(&script->sim, node);
    script_serve(script, node);
}

/* restore 2 keep=3: an older copy of the store, with its first 3 batches;
 * `moved`: and the host can tell. */
static void script_restore(struct script *script, const struct words *words, size_t node)
{
    struct node *self = &script->sim.nodes[node];
    const char *text = words_value(words, "keep");
    size_t left = text == NULL ? 0 : strtoul(text, NULL, 10), kept = 0;
    for (; kept < self->disk.count && (left > 0 || self->disk.items[kept].is_mark); kept++)
        left -= !self->disk.items[kept].is_mark;
    node_crash(&script->sim, node);
    disk_restore(&script->sim, node, kept);
    self->disk.has_moved = strcmp(words->text[words->count - 1], "moved") == 0;
    for (size_t i = 0; i < script->sim.registry.origin_count; i++)
        if (script->sim.registry.origins[i].node == node)
            script->sim.registry.origins[i].promised = 0;
}

static void script_trace(struct script *script, const struct words *words)
{
    script->filter_count = 0;
    for (size_t i = 2; i < words->count && i < SCRIPT_FILTERS_MAX + 2; i++)
        snprintf(script->filters[script->filter_count++], sizeof script->filters[0], "%.20s",
            words->text[i]);
}

/* What is done to one node. False: no such word. */
static bool script_node(struct script *script, const struct words *words, size_t node)
{
    struct simulator *sim = &script->sim;
    struct node *self = &sim->nodes[node];
    const char *word = words->text[0];
    if (strcmp(word, "crash") == 0) {
        node_crash(sim, node);
    } else if (strcmp(word, "stop") == 0) {
        script_stop(script, node);
    } else if (strcmp(word, "restart") == 0) {
        script_restart(script, words, node);
    } else if (strcmp(word, "restore") == 0) {
        script_restore(script, words, node);
    } else if (strcmp(word, "store-fail") == 0 || strcmp(word, "store-mend") == 0) {
        self->disk.is_failing = word[6] == 'f';
    } else if (strcmp(word, "store-hold") == 0) {
        self->disk.is_held = true;
    } else if (strcmp(word, "store-release") == 0) {
        self->disk.is_held = false;
        disk_flush(sim, node);
    } else if (strcmp(word, "clock") == 0 && words->count > 2) {
        self->clock_offset_ms = 1000 * strtoll(words->text[2], NULL, 10);
    } else if (strcmp(word, "generation") == 0) {
        script_print(script, "n%zu writes as %s\n", node + 1,
            simulator_label(sim, self->self).text);
    } else if (strcmp(word, "dial") == 0 && words_node(script, words, 2) != NODE_COUNT_MAX) {
        for (size_t i = 0; i < self->peer_count; i++)
            if (self->peer_nodes[i] == words_node(script, words, 2))
                network_dial(sim, node, i);
    } else if (strcmp(word, "links") == 0) {
        for (size_t i = 0; i < sim->node_count; i++)
            if (i != node)
                script_print(script, "n%zu - n%zu: %zu\n", node + 1, i + 1,
                    network_links(sim, node, i));
    } else {
        return false;
    }
    return true;
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
