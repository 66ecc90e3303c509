#include "tests/core/pump.h"

#include "tests/core/pump_host.h"

#include "tests/support/claim.h"

#include <stdlib.h>
#include <string.h>

#define CLIENT 7

static uint64_t mix(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t index = 0; index < size; index++)
        hash = (hash ^ bytes[index]) * UINT64_C(1099511628211);
    return hash;
}

void pump_sign(const uint8_t key[static CRDT_KEY_BYTES], const uint8_t *message, size_t size,
    uint8_t ret_signature[static CORE_SIGNATURE_BYTES])
{
    for (size_t index = 0; index < CORE_SIGNATURE_BYTES / 8; index++) {
        uint64_t hash = mix(mix(index + 1, key, CRDT_KEY_BYTES), message, size);
        memcpy(ret_signature + 8 * index, &hash, sizeof hash);
    }
}

static void sign(void *context, const uint8_t *message, size_t size,
    uint8_t ret_signature[static CORE_SIGNATURE_BYTES])
{
    const struct pump_node *node = context;
    pump_sign(node->options.key, message, size, ret_signature);
}

static void trace(struct pump *pump, size_t node, const struct core_output *output)
{
    uint64_t facts[] = {node, (uint64_t)output->kind, output->number, output->link,
        output->client, output->peer, output->value, output->from.seq};
    pump->trace = mix(pump->trace, facts, sizeof facts);
    pump->trace = mix(pump->trace, output->bytes.data, output->bytes.size);
}

/* Dies before the first of these outputs is carried out. */
static void crash(
    struct pump *pump, size_t index, const struct core_output *outputs, size_t count)
{
    for (size_t item = 0; item < count; item++) {
        if (outputs[item].kind == CORE_DISCARD)
            crdt_close(outputs[item].document);
    }
    core_close(pump->nodes[index].core);
    pump->nodes[index].core = NULL;
}

void pump_step(struct pump *pump, size_t index, const struct core_input *input)
{
    struct pump_node *node = &pump->nodes[index];
    if (node->core == NULL)
        return;
    struct core_input timed = *input;
    timed.monotonic_us = pump->now_us;
    timed.wall_ms = UINT64_C(1700000000000) + pump->now_us / 1000
        + node->wall_ahead_ms;
    struct core_outputs outputs;
    core_step(node->core, &timed, &outputs);
    for (size_t item = 0; item < outputs.count; item++) {
        if (node->crash_in > 0 && --node->crash_in == 0) {
            crash(pump, index, outputs.items + item, outputs.count - item);
            return;
        }
        trace(pump, index, &outputs.items[item]);
        pump_carry_out(pump, index, &outputs.items[item]);
    }
    if (node->is_store_failing)
        pump_fail_store(pump, index, "disk full");
    else if (!node->is_store_held)
        pump_store(pump, index);
}

/* ---- Time ----------------------------------------------------------------- */

static void arrive(struct pump *pump)
{
    while (pump->first != NULL && pump->first->due_us <= pump->now_us) {
        struct pump_input *item = pump->first;
        pump->first = item->next;
        if (pump->nodes[item->node].core != NULL) {
            pump_step(pump, item->node, &item->input);
            item->document = NULL;
        }
        pump_input_free(item);
    }
}

static void tick_all(struct pump *pump)
{
    struct core_input tick = {.kind = CORE_TICK};
    for (size_t index = 0; index < pump->node_count; index++) {
        struct core *core = pump->nodes[index].core;
        if (core != NULL && core_deadline_us(core) <= pump->now_us)
            pump_step(pump, index, &tick);
    }
}

static uint64_t next_time(const struct pump *pump, uint64_t end_us)
{
    uint64_t next_us = end_us;
    if (pump->first != NULL && pump->first->due_us < next_us)
        next_us = pump->first->due_us;
    for (size_t index = 0; index < pump->node_count; index++) {
        const struct core *core = pump->nodes[index].core;
        if (core != NULL && core_deadline_us(core) < next_us)
            next_us = core_deadline_us(core);
    }
    /* A core that wants its tick at once gets it a moment later. */
    return next_us <= pump->now_us ? pump->now_us + 1 : next_us;
}

void pump_run(struct pump *pump, uint64_t duration_us)
{
    uint64_t end_us = pump->now_us + duration_us;
    while (pump->now_us < end_us) {
        arrive(pump);
        tick_all(pump);
        pump->now_us = next_time(pump, end_us);
    }
    arrive(pump);
}

/* ---- Opening, closing, clients -------------------------------------------- */

static void start(struct pump *pump, size_t index)
{
    struct pump_node *node = &pump->nodes[index];
    node->options.part_bytes = pump->part_bytes;
    claim(core_open(&node->options, &node->core) == CRDT_OK);
    pump_replay_floor(pump, index);
    size_t first = pump_replay_snapshot(pump, index);
    node->replayed_rows = node->row_count - first;
    for (size_t row = first; row < node->row_count; row++) {
        struct core_input input = {
            .kind = CORE_REPLAY, .rows = &node->rows[row], .row_count = 1};
        pump_step(pump, index, &input);
    }
    pump_replay_staged(pump, index);
    if (node->stored_evidence.size > 0) {
        struct core_input input = {.kind = CORE_REPLAY_EVIDENCE,
            .bytes = crdt_buffer_bytes(&node->stored_evidence)};
        pump_step(pump, index, &input);
    }
    struct core_input serve = {.kind = CORE_SERVE};
    pump_step(pump, index, &serve);
}

void pump_open(struct pump *pump, size_t node_count, enum core_durability durability,
    uint64_t seed)
{
    *pump = (struct pump){.node_count = node_count, .now_us = 1000000, .latency_us = 200,
        .part_bytes = 120, .trace = seed};
    for (size_t index = 0; index < node_count; index++) {
        struct pump_node *node = &pump->nodes[index];
        crdt_buffer_init(&node->replies, NULL);
        crdt_buffer_init(&node->event_text, NULL);
        crdt_buffer_init(&node->snapshot, NULL);
        crdt_buffer_init(&node->snapshot_tips, NULL);
        crdt_buffer_init(&node->staged_bytes, NULL);
        crdt_buffer_init(&node->staged_tips, NULL);
        node->build_us = 5000;
        crdt_buffer_init(&node->evidence, NULL);
        crdt_buffer_init(&node->stored_evidence, NULL);
        node->options = (struct core_options){
            .memory = test_memory_hook(&node->memory),
            .seed = seed + index,
            .crypto = {.sign = sign, .context = node},
            .durability = durability,
            .peers = node->peers,
            .facts = &node->facts,
        };
        node->options.name[0] = (char)('a' + index);
        memset(node->options.key, (int)(index + 1), CRDT_KEY_BYTES);
        for (size_t peer = 0; peer < node_count; peer++) {
            if (peer == index)
                continue;
            struct core_peer *member = &node->peers[node->options.peer_count++];
            member->name[0] = (char)('a' + peer);
            memset(member->key, (int)(peer + 1), CRDT_KEY_BYTES);
        }
    }
    for (size_t index = 0; index < node_count; index++)
        start(pump, index);
}

void pump_close(struct pump *pump)
{
    while (pump->first != NULL) {
        struct pump_input *item = pump->first;
        pump->first = item->next;
        pump_input_free(item);
    }
    for (size_t index = 0; index < pump->node_count; index++) {
        struct pump_node *node = &pump->nodes[index];
        core_close(node->core);
        claim(node->memory.held == 0);
        free(node->row_ms);
        free(node->unstored_ms);
        pump_forget_unstored(node);
        for (size_t row = 0; row < node->row_count; row++)
            pump_row_free(&node->rows[row]);
        free(node->rows);
        free(node->unstored);
        free(node->unstored_numbers);
        crdt_buffer_close(&node->replies);
        crdt_buffer_close(&node->event_text);
        crdt_buffer_close(&node->snapshot);
        crdt_buffer_close(&node->snapshot_tips);
        crdt_buffer_close(&node->staged_bytes);
        crdt_buffer_close(&node->staged_tips);
        crdt_buffer_close(&node->evidence);
        crdt_buffer_close(&node->stored_evidence);
    }
}

void pump_stop(struct pump *pump, size_t index)
{
    struct pump_node *node = &pump->nodes[index];
    struct core_input stop = {.kind = CORE_STOP};
    pump_step(pump, index, &stop);
    for (size_t ms = 0; ms < 5000 && node->events[CORE_EVENT_STOPPED] == 0; ms++)
        pump_run(pump, 1000);
}

/* Drops what is on its way to a node that dies, and what it was asked to read. */
static void drop_inputs(struct pump *pump, size_t node)
{
    struct pump_input **place = &pump->first;
    while (*place != NULL) {
        struct pump_input *item = *place;
        if (item->node != node) {
            place = &item->next;
            continue;
        }
        *place = item->next;
        pump_input_free(item);
    }
}

void pump_restart(struct pump *pump, size_t index, size_t row_count)
{
    struct pump_node *node = &pump->nodes[index];
    for (size_t peer = 0; peer < pump->node_count; peer++)
        pump_end_link(pump, index, peer);
    drop_inputs(pump, index);
    core_close(node->core);
    node->core = NULL;
    pump_forget_unstored(node);
    node->newest_number = 0;
    while (node->row_count > row_count)
        pump_row_free(&node->rows[--node->row_count]);
    node->options.generation = node->stored_marks[CORE_MARK_GENERATION];
    node->options.is_generation_burnt = node->stored_marks[CORE_MARK_AHEAD] == 1;
    node->options.seed += 1000;
    node->crash_in = 0;
    memset(node->events, 0, sizeof node->events);
    start(pump, index);
}

static void copy_rows(struct pump_node *node, const struct pump_node *from)
{
    while (node->row_count > 0)
        pump_row_free(&node->rows[--node->row_count]);
    node->rows = realloc(node->rows, (from->row_count + 1) * sizeof *node->rows);
    claim(node->rows != NULL);
    for (size_t row = 0; row < from->row_count; row++) {
        void *bytes = malloc(from->rows[row].batch.size);
        claim(bytes != NULL);
        memcpy(bytes, from->rows[row].batch.data, from->rows[row].batch.size);
        node->rows[row] = from->rows[row];
        node->rows[row].batch.data = bytes;
    }
    node->row_count = from->row_count;
}

void pump_clone(struct pump *pump, size_t index, size_t from)
{
    struct pump_node *node = &pump->nodes[index];
    const struct pump_node *original = &pump->nodes[from];
    memcpy(node->options.key, original->options.key, CRDT_KEY_BYTES);
    memcpy(node->options.name, original->options.name, sizeof node->options.name);
    memcpy(node->peers, original->peers, sizeof node->peers);
    memcpy(node->stored_marks, original->stored_marks, sizeof node->stored_marks);
    pump_forget_unstored(node);
    copy_rows(node, original);
    pump_restart(pump, index, SIZE_MAX);
}

void pump_command(struct pump *pump, size_t node, const char *words)
{
    struct crdt_bytes arguments[16];
    size_t count = 0;
    for (const char *word = words; *word != '\0';) {
        size_t size = strcspn(word, " ");
        claim(count < sizeof arguments / sizeof *arguments);
        arguments[count++] = (struct crdt_bytes){.data = word, .size = size};
        word += size;
        word += strspn(word, " ");
    }
    struct core_input input = {.kind = CORE_COMMAND, .client = CLIENT,
        .arguments = arguments, .argument_count = count};
    pump_step(pump, node, &input);
}

const char *pump_replies(struct pump *pump, size_t node)
{
    struct crdt_buffer *replies = &pump->nodes[node].replies;
    claim(crdt_buffer_append(replies, "", 1) == CRDT_OK);
    replies->size = 0;
    return (const char *)replies->data;
}

const char *pump_ask(struct pump *pump, size_t node, const char *words)
{
    crdt_buffer_clear(&pump->nodes[node].replies);
    size_t before = pump->nodes[node].reply_count;
    pump_command(pump, node, words);
    for (size_t tries = 0; tries < 100 && pump->nodes[node].reply_count == before; tries++)
        pump_run(pump, 1000);
    return pump_replies(pump, node);
}

void pump_frame(struct pump *pump, size_t node, size_t from, const void *bytes, size_t size)
{
    struct core_input input = {.kind = CORE_FRAME, .link = pump->nodes[node].links[from],
        .bytes = {.data = bytes, .size = size}};
    pump_step(pump, node, &input);
}

bool pump_is_equal(struct pump *pump)
{
    char first[512] = {0};
    strncpy(first, pump_ask(pump, 0, "CRDT.DIGEST"), sizeof first - 1);
    claim(first[0] == '$');
    for (size_t index = 1; index < pump->node_count; index++) {
        if (strcmp(first, pump_ask(pump, index, "CRDT.DIGEST")) != 0)
            return false;
    }
    return true;
}
