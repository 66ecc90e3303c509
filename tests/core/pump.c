#include "tests/core/pump.h"

#include "tests/support/claim.h"

#include <stdlib.h>
#include <string.h>

#define LATENCY_US 200
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

static void *grow(void *array, size_t count, size_t item_bytes)
{
    void *grown = realloc(array, (count + 1) * item_bytes);
    claim(grown != NULL);
    return grown;
}

static struct core_row row_copy(const struct core_output *output)
{
    struct core_row row = {.batch.size = output->bytes.size};
    void *bytes = malloc(output->bytes.size + 1);
    claim(bytes != NULL);
    if (output->bytes.size > 0)
        memcpy(bytes, output->bytes.data, output->bytes.size);
    row.batch.data = bytes;
    memcpy(row.signature, output->signature, sizeof row.signature);
    return row;
}

static void row_free(struct core_row *row)
{
    union {
        const void *borrowed;
        void *owned;
    } data = {.borrowed = row->batch.data};
    free(data.owned);
}

/* ---- Inputs on their way -------------------------------------------------- */

static struct pump_input *post(struct pump *pump, size_t node, enum core_input_kind kind,
    uint64_t delay_us)
{
    struct pump_input *item = calloc(1, sizeof *item);
    claim(item != NULL);
    item->node = node;
    item->input.kind = kind;
    item->due_us = pump->now_us + delay_us;
    struct pump_input **place = &pump->first;
    while (*place != NULL && (*place)->due_us <= item->due_us)
        place = &(*place)->next;
    item->next = *place;
    *place = item;
    return item;
}

static void input_free(struct pump_input *item)
{
    free(item->bytes);
    free(item->rows);
    free(item);
}

static void post_bytes(struct pump_input *item, const void *bytes, size_t size)
{
    item->bytes = malloc(size + 1);
    claim(item->bytes != NULL);
    if (size > 0)
        memcpy(item->bytes, bytes, size);
    item->input.bytes = (struct crdt_bytes){.data = item->bytes, .size = size};
}

/* ---- The store ------------------------------------------------------------ */

void pump_store(struct pump *pump, size_t index)
{
    struct pump_node *node = &pump->nodes[index];
    if (node->unstored_count == 0)
        return;
    node->rows = grow(
        node->rows, node->row_count + node->unstored_count, sizeof *node->rows);
    for (size_t row = 0; row < node->unstored_count; row++) {
        if (node->unstored[row].batch.size > 0)
            node->rows[node->row_count++] = node->unstored[row];
        else
            row_free(&node->unstored[row]);
    }
    node->unstored_count = 0;
    memcpy(node->stored_marks, node->marks, sizeof node->marks);
    post(pump, index, CORE_STORED, 0)->input.number = node->newest_number;
}

static void forget_unstored(struct pump_node *node)
{
    for (size_t row = 0; row < node->unstored_count; row++)
        row_free(&node->unstored[row]);
    node->unstored_count = 0;
    memcpy(node->marks, node->stored_marks, sizeof node->marks);
}

void pump_fail_store(struct pump *pump, size_t index, const char *reason)
{
    struct pump_node *node = &pump->nodes[index];
    if (node->unstored_count == 0)
        return;
    struct pump_input *item = post(pump, index, CORE_STORE_FAILED, 0);
    item->input.number = node->unstored_numbers[0];
    item->input.reason = reason;
    forget_unstored(node);
}

static void take_store(struct pump_node *node, const struct core_output *output)
{
    claim(output->number == node->newest_number + 1);
    node->newest_number = output->number;
    node->unstored = grow(node->unstored, node->unstored_count, sizeof *node->unstored);
    node->unstored_numbers =
        grow(node->unstored_numbers, node->unstored_count, sizeof *node->unstored_numbers);
    node->unstored[node->unstored_count] = row_copy(output);
    node->unstored_numbers[node->unstored_count] = output->number;
    node->unstored_count++;
    if (output->kind == CORE_STORE_MARK)
        node->marks[output->mark] = output->value;
}

static void fetch(struct pump *pump, size_t index, const struct core_output *output)
{
    struct pump_node *node = &pump->nodes[index];
    struct pump_input *item = post(pump, index, CORE_FETCHED, LATENCY_US);
    item->input.number = output->number;
    item->input.is_ok = true;
    size_t bytes = 0;
    for (size_t row = 0; row < node->row_count && bytes < output->bytes_max; row++) {
        struct crdt_batch batch;
        claim(crdt_batch_read(node->rows[row].batch, &batch) == CRDT_OK);
        if (crdt_origin_compare(&batch.origin, &output->from.origin) != 0
            || batch.first_seq < output->from.seq)
            continue;
        item->rows = grow(item->rows, item->input.row_count, sizeof *item->rows);
        item->rows[item->input.row_count++] = node->rows[row];
        bytes += node->rows[row].batch.size;
    }
    item->input.rows = item->rows;
}

/* ---- Links ---------------------------------------------------------------- */

static size_t node_of_key(const struct pump *pump, const uint8_t *key)
{
    for (size_t index = 0; index < pump->node_count; index++) {
        if (memcmp(pump->nodes[index].options.key, key, CRDT_KEY_BYTES) == 0)
            return index;
    }
    claim(false);
    return 0;
}

static void post_link_up(struct pump *pump, size_t node, size_t peer, bool is_initiator)
{
    struct pump_input *item = post(pump, node, CORE_LINK_UP, LATENCY_US);
    item->input.link = pump->newest_link;
    item->input.is_initiator = is_initiator;
    memcpy(item->input.key, pump->nodes[peer].options.key, CRDT_KEY_BYTES);
}

static void connect_nodes(struct pump *pump, size_t from, size_t to)
{
    if (pump->nodes[from].is_cut[to] || pump->nodes[from].links[to] != 0
        || pump->nodes[to].core == NULL)
        return;
    pump->newest_link++;
    pump->nodes[from].links[to] = pump->newest_link;
    pump->nodes[to].links[from] = pump->newest_link;
    post_link_up(pump, from, to, true);
    post_link_up(pump, to, from, false);
}

static void end_link(struct pump *pump, size_t a, size_t b)
{
    uint64_t link = pump->nodes[a].links[b];
    if (link == 0)
        return;
    pump->nodes[a].links[b] = 0;
    pump->nodes[b].links[a] = 0;
    post(pump, a, CORE_LINK_DOWN, LATENCY_US)->input.link = link;
    post(pump, b, CORE_LINK_DOWN, LATENCY_US)->input.link = link;
}

static size_t other_end(const struct pump *pump, size_t node, uint64_t link)
{
    for (size_t index = 0; index < pump->node_count; index++) {
        if (link != 0 && pump->nodes[node].links[index] == link)
            return index;
    }
    return SIZE_MAX;
}

void pump_cut(struct pump *pump, size_t a, size_t b, bool is_cut)
{
    pump->nodes[a].is_cut[b] = is_cut;
    pump->nodes[b].is_cut[a] = is_cut;
    if (is_cut)
        end_link(pump, a, b);
}

static void send(struct pump *pump, size_t index, const struct core_output *output)
{
    struct pump_node *node = &pump->nodes[index];
    node->sent_count++;
    node->bulk_count += output->is_bulk;
    size_t peer = other_end(pump, index, output->link);
    if (peer == SIZE_MAX || (output->is_bulk && node->is_bulk_lost))
        return;
    struct pump_input *item = post(pump, peer, CORE_FRAME, LATENCY_US);
    item->input.link = output->link;
    post_bytes(item, output->bytes.data, output->bytes.size);
}

/* ---- Outputs -------------------------------------------------------------- */

static void verify(struct pump *pump, size_t index, const struct core_output *output)
{
    uint8_t signature[CORE_SIGNATURE_BYTES];
    pump_sign(output->key, output->bytes.data, output->bytes.size, signature);
    struct pump_input *item = post(pump, index, CORE_VERIFIED, 10);
    item->input.number = output->number;
    item->input.is_ok = memcmp(signature, output->signature, sizeof signature) == 0
        && !pump->nodes[index].has_bad_signatures;
}

static void take_event(struct pump_node *node, const struct core_output *output)
{
    node->events[output->event]++;
    crdt_buffer_clear(&node->event_text);
    claim(crdt_buffer_append(&node->event_text, output->text, strlen(output->text) + 1)
        == CRDT_OK);
}

static void carry_out(struct pump *pump, size_t index, const struct core_output *output)
{
    struct pump_node *node = &pump->nodes[index];
    switch (output->kind) {
    case CORE_STORE:
    case CORE_STORE_MARK:
        take_store(node, output);
        break;
    case CORE_FETCH:
        fetch(pump, index, output);
        break;
    case CORE_VERIFY:
        verify(pump, index, output);
        break;
    case CORE_SEND:
        send(pump, index, output);
        break;
    case CORE_CONNECT:
        connect_nodes(pump, index, node_of_key(pump, node->peers[output->peer].key));
        break;
    case CORE_CLOSE_LINK:
        node->closed_links++;
        if (other_end(pump, index, output->link) != SIZE_MAX)
            end_link(pump, index, other_end(pump, index, output->link));
        break;
    case CORE_REPLY:
        node->reply_count++;
        claim(crdt_buffer_append(&node->replies, output->bytes.data, output->bytes.size)
            == CRDT_OK);
        break;
    case CORE_CLOSE_CLIENT:
        node->closed_clients++;
        break;
    case CORE_EVENT:
        take_event(node, output);
        break;
    }
}

static void trace(struct pump *pump, size_t node, const struct core_output *output)
{
    uint64_t facts[] = {node, (uint64_t)output->kind, output->number, output->link,
        output->client, output->peer, output->value, output->from.seq};
    pump->trace = mix(pump->trace, facts, sizeof facts);
    pump->trace = mix(pump->trace, output->bytes.data, output->bytes.size);
}

void pump_step(struct pump *pump, size_t index, const struct core_input *input)
{
    struct pump_node *node = &pump->nodes[index];
    if (node->core == NULL)
        return;
    struct core_input timed = *input;
    timed.monotonic_us = pump->now_us;
    timed.wall_ms = UINT64_C(1700000000000) + pump->now_us / 1000;
    struct core_outputs outputs;
    core_step(node->core, &timed, &outputs);
    for (size_t item = 0; item < outputs.count; item++) {
        trace(pump, index, &outputs.items[item]);
        carry_out(pump, index, &outputs.items[item]);
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
        pump_step(pump, item->node, &item->input);
        input_free(item);
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
    claim(core_open(&node->options, &node->core) == CRDT_OK);
    for (size_t row = 0; row < node->row_count; row++) {
        struct core_input input = {
            .kind = CORE_REPLAY, .rows = &node->rows[row], .row_count = 1};
        pump_step(pump, index, &input);
    }
    struct core_input serve = {.kind = CORE_SERVE};
    pump_step(pump, index, &serve);
}

void pump_open(struct pump *pump, size_t node_count, enum core_durability durability,
    uint64_t seed)
{
    *pump = (struct pump){.node_count = node_count, .now_us = 1000000, .trace = seed};
    for (size_t index = 0; index < node_count; index++) {
        struct pump_node *node = &pump->nodes[index];
        crdt_buffer_init(&node->replies, NULL);
        crdt_buffer_init(&node->event_text, NULL);
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
        input_free(item);
    }
    for (size_t index = 0; index < pump->node_count; index++) {
        struct pump_node *node = &pump->nodes[index];
        core_close(node->core);
        claim(node->memory.held == 0);
        forget_unstored(node);
        for (size_t row = 0; row < node->row_count; row++)
            row_free(&node->rows[row]);
        free(node->rows);
        free(node->unstored);
        free(node->unstored_numbers);
        crdt_buffer_close(&node->replies);
        crdt_buffer_close(&node->event_text);
    }
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
        input_free(item);
    }
}

void pump_restart(struct pump *pump, size_t index, size_t row_count)
{
    struct pump_node *node = &pump->nodes[index];
    for (size_t peer = 0; peer < pump->node_count; peer++)
        end_link(pump, index, peer);
    drop_inputs(pump, index);
    core_close(node->core);
    node->core = NULL;
    forget_unstored(node);
    node->newest_number = 0;
    while (node->row_count > row_count)
        row_free(&node->rows[--node->row_count]);
    node->options.generation = node->stored_marks[CORE_MARK_GENERATION];
    node->options.is_generation_burnt = node->stored_marks[CORE_MARK_AHEAD] == 1;
    node->options.seed += 1000;
    memset(node->events, 0, sizeof node->events);
    start(pump, index);
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
