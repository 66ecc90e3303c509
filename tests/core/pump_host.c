/* The pretended host: store, links, and what is done with each output. */
#include "tests/core/pump_host.h"

#include "tests/support/claim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *pump_grow(void *array, size_t count, size_t item_bytes)
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

void pump_row_free(struct core_row *row)
{
    union {
        const void *borrowed;
        void *owned;
    } data = {.borrowed = row->batch.data};
    free(data.owned);
}

/* ---- Inputs on their way -------------------------------------------------- */

struct pump_input *pump_post(struct pump *pump, size_t node, enum core_input_kind kind,
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

void pump_input_free(struct pump_input *item)
{
    free(item->bytes);
    free(item->rows);
    free(item->tips);
    crdt_close(item->document);
    free(item);
}

void pump_post_bytes(struct pump_input *item, const void *bytes, size_t size)
{
    item->bytes = malloc(size + 1);
    claim(item->bytes != NULL);
    if (size > 0)
        memcpy(item->bytes, bytes, size);
    item->input.bytes = (struct crdt_bytes){.data = item->bytes, .size = size};
}

/* ---- The store ------------------------------------------------------------ */

static void copy_buffer(struct crdt_buffer *to, const struct crdt_buffer *from)
{
    crdt_buffer_clear(to);
    claim(crdt_buffer_append(to, from->data, from->size) == CRDT_OK);
}

void pump_store(struct pump *pump, size_t index)
{
    struct pump_node *node = &pump->nodes[index];
    if (node->unstored_count == 0)
        return;
    size_t count = node->row_count + node->unstored_count;
    node->rows = pump_grow(node->rows, count, sizeof *node->rows);
    node->row_ms = pump_grow(node->row_ms, count, sizeof *node->row_ms);
    for (size_t row = 0; row < node->unstored_count; row++) {
        node->row_ms[node->row_count] = node->unstored_ms[row];
        if (node->unstored[row].batch.size > 0)
            node->rows[node->row_count++] = node->unstored[row];
        else
            pump_row_free(&node->unstored[row]);
    }
    node->unstored_count = 0;
    memcpy(node->stored_marks, node->marks, sizeof node->marks);
    copy_buffer(&node->stored_evidence, &node->evidence);
    pump_post(pump, index, CORE_STORED, 0)->input.number = node->newest_number;
}

void pump_forget_unstored(struct pump_node *node)
{
    for (size_t row = 0; row < node->unstored_count; row++)
        pump_row_free(&node->unstored[row]);
    node->unstored_count = 0;
    memcpy(node->marks, node->stored_marks, sizeof node->marks);
    copy_buffer(&node->evidence, &node->stored_evidence);
}

void pump_fail_store(struct pump *pump, size_t index, const char *reason)
{
    struct pump_node *node = &pump->nodes[index];
    if (node->unstored_count == 0)
        return;
    struct pump_input *item = pump_post(pump, index, CORE_STORE_FAILED, 0);
    item->input.number = node->unstored_numbers[0];
    item->input.reason = reason;
    pump_forget_unstored(node);
}

static void take_store(struct pump_node *node, const struct core_output *output)
{
    claim(output->number == node->newest_number + 1);
    node->newest_number = output->number;
    node->unstored = pump_grow(node->unstored, node->unstored_count, sizeof *node->unstored);
    node->unstored_numbers =
        pump_grow(node->unstored_numbers, node->unstored_count, sizeof *node->unstored_numbers);
    node->unstored_ms =
        pump_grow(node->unstored_ms, node->unstored_count, sizeof *node->unstored_ms);
    node->unstored_ms[node->unstored_count] = output->wall_ms;
    static const struct core_output none;
    bool is_evidence = output->kind == CORE_STORE_EVIDENCE;
    node->unstored[node->unstored_count] = row_copy(is_evidence ? &none : output);
    if (is_evidence) {
        crdt_buffer_clear(&node->evidence);
        claim(crdt_buffer_append(&node->evidence, output->bytes.data, output->bytes.size)
            == CRDT_OK);
    }
    node->unstored_numbers[node->unstored_count] = output->number;
    node->unstored_count++;
    if (output->kind == CORE_STORE_MARK)
        node->marks[output->mark] = output->value;
}

/* Adds a row to the answer if it is the next one, and notes where one behind a gap
 * begins; returns its size. Rows of a feed lie in their order. */
static size_t fetch_row(struct pump_input *item, const struct core_output *output,
    const struct core_row *row, uint64_t *next)
{
    struct crdt_batch batch;
    if (row->batch.size == 0)
        return 0;
    claim(crdt_batch_read(row->batch, &batch) == CRDT_OK);
    if (crdt_origin_compare(&batch.origin, &output->from.origin) != 0
        || batch.last_seq < *next)
        return 0;
    if (batch.first_seq > *next) {
        bool is_first = item->input.row_count == 0 && item->input.seq_behind == 0;
        item->input.seq_behind = is_first ? batch.first_seq : item->input.seq_behind;
        return 0;
    }
    *next = batch.last_seq + 1;
    item->rows = pump_grow(item->rows, item->input.row_count, sizeof *item->rows);
    item->rows[item->input.row_count++] = *row;
    return row->batch.size;
}

static void fetch(struct pump *pump, size_t index, const struct core_output *output)
{
    struct pump_node *node = &pump->nodes[index];
    struct pump_input *item = pump_post(pump, index, CORE_FETCHED, pump->latency_us);
    item->input.number = output->number;
    item->input.is_ok = output->from.seq > pump_floor(node, &output->from.origin);
    if (!item->input.is_ok)
        return;
    size_t bytes = 0;
    uint64_t next = output->from.seq;
    for (size_t row = 0; row < node->row_count && bytes < output->bytes_max; row++)
        bytes += fetch_row(item, output, &node->rows[row], &next);
    for (size_t row = 0; node->shows_unstored && row < node->unstored_count; row++)
        bytes += fetch_row(item, output, &node->unstored[row], &next);
    item->input.rows = item->rows;
}

/* ---- Links ---------------------------------------------------------------- */

/* The node that answers there, for whoever dials; SIZE_MAX: none. */
static size_t node_of_key(const struct pump *pump, size_t from, const uint8_t *key)
{
    for (size_t index = 0; index < pump->node_count; index++) {
        if (memcmp(pump->nodes[index].options.key, key, CRDT_KEY_BYTES) == 0
            && !pump->nodes[from].is_cut[index])
            return index;
    }
    return SIZE_MAX;
}

static void post_link_up(struct pump *pump, size_t node, size_t peer, bool is_initiator)
{
    struct pump_input *item = pump_post(pump, node, CORE_LINK_UP, pump->latency_us);
    item->input.link = pump->newest_link;
    item->input.is_initiator = is_initiator;
    memcpy(item->input.key, pump->nodes[peer].options.key, CRDT_KEY_BYTES);
}

static void connect_nodes(struct pump *pump, size_t from, size_t to)
{
    if (to == SIZE_MAX || pump->nodes[from].links[to] != 0
        || pump->nodes[to].core == NULL)
        return;
    pump->newest_link++;
    pump->nodes[from].links[to] = pump->newest_link;
    pump->nodes[to].links[from] = pump->newest_link;
    post_link_up(pump, from, to, true);
    post_link_up(pump, to, from, false);
}

void pump_end_link(struct pump *pump, size_t a, size_t b)
{
    uint64_t link = pump->nodes[a].links[b];
    if (link == 0)
        return;
    pump->nodes[a].links[b] = 0;
    pump->nodes[b].links[a] = 0;
    pump_post(pump, a, CORE_LINK_DOWN, pump->latency_us)->input.link = link;
    pump_post(pump, b, CORE_LINK_DOWN, pump->latency_us)->input.link = link;
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
        pump_end_link(pump, a, b);
}

static void send(struct pump *pump, size_t index, const struct core_output *output)
{
    struct pump_node *node = &pump->nodes[index];
    node->sent_count++;
    node->bulk_count += output->is_bulk;
    claim(output->bytes.size > 0);
    node->sent_kinds[*(const uint8_t *)output->bytes.data % 8]++;
    size_t peer = other_end(pump, index, output->link);
    if (peer == SIZE_MAX || (output->is_bulk && node->is_bulk_lost))
        return;
    struct pump_input *item = pump_post(pump, peer, CORE_FRAME, pump->latency_us);
    item->input.link = output->link;
    pump_post_bytes(item, output->bytes.data, output->bytes.size);
}

/* ---- Outputs -------------------------------------------------------------- */

static void verify(struct pump *pump, size_t index, const struct core_output *output)
{
    uint8_t signature[CORE_SIGNATURE_BYTES];
    pump_sign(output->key, output->bytes.data, output->bytes.size, signature);
    struct pump_input *item = pump_post(pump, index, CORE_VERIFIED, 10);
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

void pump_carry_out(struct pump *pump, size_t index, const struct core_output *output)
{
    struct pump_node *node = &pump->nodes[index];
    switch (output->kind) {
    case CORE_STORE:
    case CORE_STORE_MARK:
    case CORE_STORE_EVIDENCE:
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
        connect_nodes(pump, index, node_of_key(pump, index, node->peers[output->peer].key));
        break;
    case CORE_CLOSE_LINK:
        node->closed_links++;
        node->newest_closed_link = output->link;
        if (other_end(pump, index, output->link) != SIZE_MAX)
            pump_end_link(pump, index, other_end(pump, index, output->link));
        break;
    case CORE_REPLY:
        node->reply_count++;
        claim(crdt_buffer_append(&node->replies, output->bytes.data, output->bytes.size)
            == CRDT_OK);
        break;
    case CORE_CLOSE_CLIENT:
        node->closed_clients++;
        break;
    case CORE_BACKUP:
        snprintf(node->backup_path, sizeof node->backup_path, "%s", output->path);
        node->backup_client = output->client;
        break;
    case CORE_SNAPSHOT:
    case CORE_DISCARD:
    case CORE_DROP:
    case CORE_FETCH_PART:
    case CORE_STAGE:
    case CORE_UNSTAGE:
        pump_carry_out_store(pump, index, output);
        break;
    case CORE_EVENT:
        take_event(node, output);
        break;
    }
}
