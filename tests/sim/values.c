/* The end of a run: what clients read, on every node, against the model. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/folds.h"
#include "tests/sim/invariants.h"
#include "tests/sim/simulator.h"

#define KEY_COUNT 6 /* as commands.c numbers them: c0 c1 s0 s1 h0 h1 */
#define REPLY_BYTES 256 /* a digest has 194 */

static void values_command(struct command *command, int key, int field)
{
    *command = (struct command){ 0 };
    command_add(command, key < 2 ? "GET" : key < 4 ? "SISMEMBER" : "HGET");
    command_add(command, "%c%d", "csh"[key / 2], key % 2);
    if (key >= 2)
        command_add(command, "%c%d", key < 4 ? 'e' : 'f', field);
}

/* The reply is what the model allows. */
static bool values_fit(const struct model_value *value, int key, const struct crdt_buffer *reply)
{
    char expected[64], got[64];
    snprintf(got, sizeof got, "%.*s", (int)(reply->size < 60 ? reply->size : 60),
        (const char *)reply->data);
    if (key / 2 == 1) {
        snprintf(expected, sizeof expected, ":%d\r\n", value->exists);
        return strcmp(expected, got) == 0;
    }
    if (!value->exists)
        return strcmp(got, "$-1\r\n") == 0;
    for (size_t i = 0; i < value->base_count || i == 0; i++) {
        char number[32];
        int64_t base = value->base_count == 0 ? 0 : value->bases[i];
        snprintf(number, sizeof number, "%lld", (long long)(base + value->sum));
        snprintf(expected, sizeof expected, "$%zu\r\n%s\r\n", strlen(number), number);
        if (strcmp(expected, got) == 0)
            return true;
    }
    return false;
}

/* What lives at a place, here and in the model, for the trace of a failure. */
static bool values_entry(void *context, const struct crdt_entry *entry)
{
    struct simulator *sim = context;
    char path[80];
    size_t used = 0;
    for (size_t i = 0; i < entry->path.count && used < 60; i++)
        used += (size_t)snprintf(path + used, sizeof path - used, "/%.*s",
            (int)(entry->path.keys[i].size < 8 ? entry->path.keys[i].size : 8),
            (const char *)entry->path.keys[i].data);
    simulator_trace(sim, "LIVES %s type %d %s %llu amount %lld value %.*s", path,
        (int)entry->type,
        simulator_label(sim, registry_origin(&sim->registry, &entry->dot.origin)).text,
        (unsigned long long)entry->dot.seq, (long long)entry->amount,
        (int)(entry->value.size < 20 ? entry->value.size : 20),
        entry->value.size == 0 ? "" : (const char *)entry->value.data);
    return true;
}

static void values_explain(struct simulator *sim, size_t node, int key, int field)
{
    if (!sim->options.is_traced)
        return;
    (void)!crdt_visit(core_document(sim->nodes[node].core), crdt_root(), values_entry, sim);
    for (size_t i = 0; i < sim->model.transaction_count; i++) {
        const struct model_transaction *author = &sim->model.transactions[i];
        for (size_t at = 0; at < author->effect_count; at++) {
            const struct effect *effect = &sim->model.effects[author->first_effect + at];
            if (effect->key == key && effect->field == field
                && model_lives(&sim->model, &sim->nodes[node].context, author,
                    author->first_effect + at))
                simulator_trace(sim, "MODEL kind %d %s %llu value %lld", (int)effect->kind,
                    simulator_label(sim, author->origin).text, (unsigned long long)author->seq,
                    (long long)effect->value);
        }
    }
}

/* Reads one place on one node; `first` is what the first node said. */
static void values_check(struct simulator *sim, size_t node, int key, int field,
    char first[static REPLY_BYTES])
{
    struct command command;
    values_command(&command, key, field);
    const struct crdt_buffer *reply = simulator_ask(sim, node, &command);
    if (reply == NULL) {
        simulator_fail(sim, "n%zu: no reply to a read in a calm cluster", node + 1);
        return;
    }
    char text[REPLY_BYTES];
    snprintf(text, sizeof text, "%.*s", (int)reply->size, (const char *)reply->data);
    for (size_t i = 0; text[i] != '\0'; i++)
        text[i] = text[i] == '\r' || text[i] == '\n' ? ' ' : text[i];
    if (first[0] == '\0')
        memcpy(first, text, sizeof text);
    const char *name = command.count > 2 ? command.arguments[2] : "";
    if (strcmp(first, text) != 0)
        simulator_fail(sim, "the first and n%zu: %s %s %s reads %s and %s", node + 1,
            command.arguments[0], command.arguments[1], name, first, text);
    if (sim->is_broken)
        return;
    /* Sets have no folds; of a counter whose fold has outlived a removal the model
     * does not know the sum. S itself is compared with the oracle all the same. */
    if (key / 2 != 1 && !folds_are_exact(sim, node, key, field))
        return;
    struct model_value value
        = model_read(&sim->model, &sim->nodes[node].context, key, field);
    if (values_fit(&value, key, reply))
        return;
    values_explain(sim, node, key, field);
    simulator_fail(sim,
        "n%zu: %s %s %s reads %s, the model: %s, sum %lld, %zu values, the first %lld",
        node + 1, command.arguments[0], command.arguments[1], name, text,
        value.exists ? "there" : "absent", (long long)value.sum, value.base_count,
        (long long)value.bases[0]);
}

static void values_digest(struct simulator *sim, size_t node, char *ret_text, size_t text_bytes)
{
    struct command command = { 0 };
    command_add(&command, "CRDT.DIGEST");
    const struct crdt_buffer *reply = simulator_ask(sim, node, &command);
    if (reply == NULL)
        simulator_fail(sim, "n%zu: no reply to CRDT.DIGEST", node + 1);
    else
        snprintf(ret_text, text_bytes, "%.*s", (int)reply->size, (const char *)reply->data);
}

void invariants_values(struct simulator *sim)
{
    char first[REPLY_BYTES] = "", digest[REPLY_BYTES] = "";
    folds_check(sim);
    for (size_t node = 0; node < sim->node_count && !sim->is_broken; node++) {
        if (sim->nodes[node].loss != 0)
            continue;
        values_digest(sim, node, digest, sizeof digest);
        if (first[0] == '\0')
            memcpy(first, digest, sizeof first);
        if (!sim->is_broken && strcmp(first, digest) != 0)
            simulator_fail(
                sim, "the first and n%zu: equal contexts, CRDT.DIGEST differs", node + 1);
    }
    for (int key = 0; key < KEY_COUNT; key++)
        for (int field = 0; field < (key < 2 ? 1 : (int)sim->field_count); field++) {
            first[0] = '\0';
            for (size_t node = 0; node < sim->node_count && !sim->is_broken; node++)
                if (sim->nodes[node].loss == 0)
                    values_check(sim, node, key, field, first);
        }
}
