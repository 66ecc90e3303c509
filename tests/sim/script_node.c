/* What a scenario does to one node, and to the network around it. */
#include "tests/sim/script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void script_serve(struct script *script, size_t node)
{
    struct simulator *sim = &script->sim;
    uint64_t end = sim->now_us + 5000000;
    while (!sim->nodes[node].is_serving && agenda_next_us(&sim->agenda) <= end
        && simulator_next(sim))
        continue;
    if (!sim->nodes[node].is_serving)
        script_print(script, "n%zu does not serve\n", node + 1);
}

/* cut 3, cut 1 3, cut 1 -> 3 */
void script_cut(struct script *script, const struct words *words)
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

void script_heal(struct script *script, const struct words *words)
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
    while (sim->nodes[node].core != NULL && agenda_next_us(&sim->agenda) <= end
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

/* log 1: which batches its store still has, and how far each feed was dropped. */
static void script_log(struct script *script, size_t node)
{
    struct simulator *sim = &script->sim;
    const struct disk *disk = &sim->nodes[node].disk;
    for (size_t i = 0; i < sim->registry.origin_count; i++) {
        uint64_t first = 0, last = 0;
        for (size_t at = disk->reported; at > 0; at--) {
            const struct disk_item *item = &disk->items[at - 1];
            if (item->is_mark || item->is_dropped || item->feed != i)
                continue;
            last = last == 0 ? item->last_seq : last;
            first = item->first_seq;
        }
        if (disk->floor.seq[i] == 0 && last == 0)
            continue;
        script_print(script, "n%zu: %s dropped up to %llu, has ", node + 1,
            simulator_label(sim, i).text, (unsigned long long)disk->floor.seq[i]);
        if (last == 0)
            script_print(script, "nothing\n");
        else
            script_print(script, "%llu..%llu\n", (unsigned long long)first,
                (unsigned long long)last);
    }
}

/* doom 3 stage: it crashes when it comes there. */
static void script_doom(struct script *script, const struct words *words, size_t node)
{
    static const char *const texts[] = { [TRAP_STAGE] = "stage", [TRAP_SERVE] = "serve",
        [TRAP_JOIN] = "join", [TRAP_JOIN_DURABLE] = "join-durable",
        [TRAP_JOIN_DONE] = "join-done", [TRAP_SWAP] = "swap", [TRAP_DROP] = "drop",
        [TRAP_DROP_DURABLE] = "drop-durable" };
    for (int i = TRAP_STAGE; i <= TRAP_DROP_DURABLE && words->count > 2; i++)
        if (strcmp(words->text[2], texts[i]) == 0)
            script->sim.nodes[node].trap = (enum trap)i;
}

/* What is done to one node. False: no such word. */
bool script_node(struct script *script, const struct words *words, size_t node)
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
    } else if (strcmp(word, "log") == 0) {
        script_log(script, node);
    } else if (strcmp(word, "doom") == 0) {
        script_doom(script, words, node);
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
