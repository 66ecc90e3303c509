/* The pretended store: snapshots made aside, the log floor, what is staged. All
 * of it is durable at once; what takes time is the answer. */
#include "tests/core/pump_host.h"

#include "gossipd/wire/evidence.h"
#include "tests/support/claim.h"

#include <stdlib.h>
#include <string.h>

static void put(struct crdt_buffer *buffer, struct crdt_bytes bytes)
{
    crdt_buffer_clear(buffer);
    claim(crdt_buffer_append(buffer, bytes.data, bytes.size) == CRDT_OK);
}

/* ---- The floor ------------------------------------------------------------ */

uint64_t pump_floor(const struct pump_node *node, const struct crdt_origin *origin)
{
    for (size_t index = 0; index < node->floor_count; index++) {
        if (crdt_origin_compare(&node->floor[index].origin, origin) == 0)
            return node->floor[index].seq;
    }
    return 0;
}

static void raise_floor(struct pump_node *node, const struct crdt_origin *origin, uint64_t seq)
{
    size_t place = 0;
    while (place < node->floor_count
        && crdt_origin_compare(&node->floor[place].origin, origin) < 0)
        place++;
    bool is_there = place < node->floor_count
        && crdt_origin_compare(&node->floor[place].origin, origin) == 0;
    if (!is_there) {
        claim(node->floor_count < PUMP_FEEDS_MAX);
        memmove(node->floor + place + 1, node->floor + place,
            (node->floor_count - place) * sizeof *node->floor);
        node->floor[place] = (struct crdt_dot){.origin = *origin};
        node->floor_count++;
    }
    if (seq > node->floor[place].seq)
        node->floor[place].seq = seq;
}

static void write_floor(const struct pump_node *node, struct crdt_buffer *ret_summary)
{
    crdt_buffer_init(ret_summary, NULL);
    claim(crdt_summary_write(node->floor, node->floor_count, ret_summary) == CRDT_OK);
}

/* ---- Dropping ------------------------------------------------------------- */

static uint64_t log_bytes(const struct pump_node *node)
{
    uint64_t bytes = 0;
    for (size_t row = 0; row < node->row_count; row++)
        bytes += node->rows[row].batch.size;
    return bytes;
}

static size_t feed_of(const struct core_drop *drop, const struct crdt_origin *origin)
{
    size_t feed = 0;
    while (feed < drop->feed_count
        && crdt_origin_compare(&drop->feeds[feed].origin, origin) != 0)
        feed++;
    return feed;
}

/* The oldest row of each feed. */
static size_t take_heads(const struct pump_node *node, const struct core_drop *drop,
    struct core_drop_head *ret_heads)
{
    bool has_head[PUMP_FEEDS_MAX] = {false};
    size_t count = 0;
    for (size_t row = 0; row < node->row_count; row++) {
        struct crdt_batch batch;
        claim(crdt_batch_read(node->rows[row].batch, &batch) == CRDT_OK);
        size_t feed = feed_of(drop, &batch.origin);
        if (feed == drop->feed_count || has_head[feed])
            continue;
        has_head[feed] = true;
        ret_heads[count++] = (struct core_drop_head){.feed = feed, .place = row,
            .last_seq = batch.last_seq, .applied_ms = node->row_ms[row]};
    }
    return count;
}

static void drop_row(struct pump_node *node, size_t row)
{
    pump_row_free(&node->rows[row]);
    node->row_count--;
    size_t behind = node->row_count - row;
    memmove(node->rows + row, node->rows + row + 1, behind * sizeof *node->rows);
    memmove(node->row_ms + row, node->row_ms + row + 1, behind * sizeof *node->row_ms);
    if (row < node->snapshot_rows)
        node->snapshot_rows--;
    node->dropped_rows++;
}

static void drop(struct pump *pump, size_t index, const struct core_output *output)
{
    struct pump_node *node = &pump->nodes[index];
    struct core_drop_feed feeds[PUMP_FEEDS_MAX];
    struct core_drop copy = *output->drop;
    claim(copy.feed_count <= PUMP_FEEDS_MAX);
    for (size_t feed = 0; feed < copy.feed_count; feed++)
        feeds[feed] = output->drop->feeds[feed];
    copy.feeds = feeds;
    bool has_more = false;
    for (size_t dropped = 0;; dropped++) {
        struct core_drop_head heads[PUMP_FEEDS_MAX];
        size_t count = take_heads(node, &copy, heads);
        size_t chosen = core_drop_choose(&copy, heads, count, log_bytes(node));
        if (chosen == count)
            break;
        has_more = dropped == PUMP_DROP_ROWS;
        if (has_more)
            break;
        struct core_drop_feed *feed = &feeds[heads[chosen].feed];
        if (heads[chosen].last_seq > feed->floor)
            feed->floor = heads[chosen].last_seq;
        raise_floor(node, &feed->origin, heads[chosen].last_seq);
        drop_row(node, (size_t)heads[chosen].place);
    }
    struct pump_input *item = pump_post(pump, index, CORE_DROPPED, pump->latency_us);
    struct crdt_buffer summary;
    write_floor(node, &summary);
    pump_post_bytes(item, summary.data, summary.size);
    crdt_buffer_close(&summary);
    item->input.number = output->number;
    item->input.is_ok = true;
    item->input.has_more = has_more;
    item->input.size = log_bytes(node);
}

/* ---- Tips ----------------------------------------------------------------- */

static bool find_tip(struct crdt_bytes tips, const struct crdt_feed *feed, struct tip *ret_tip)
{
    struct tips_walk walk = tips_begin(tips);
    while (tips_next(&walk, ret_tip)) {
        if (memcmp(ret_tip->batch.head, feed->head, CRDT_HASH_BYTES) == 0)
            return true;
    }
    return false;
}

static bool find_row(
    const struct pump_node *node, const struct crdt_feed *feed, struct tip *ret_tip)
{
    for (size_t row = node->row_count; row-- > 0;) {
        claim(crdt_batch_read(node->rows[row].batch, &ret_tip->batch) == CRDT_OK);
        memcpy(ret_tip->signature, node->rows[row].signature, sizeof ret_tip->signature);
        if (memcmp(ret_tip->batch.head, feed->head, CRDT_HASH_BYTES) == 0)
            return true;
    }
    return false;
}

static int compare_tips(const void *a, const void *b)
{
    const struct tip *left = a;
    const struct tip *right = b;
    return crdt_origin_compare(&left->batch.origin, &right->batch.origin);
}

static void write_tips(const struct pump_node *node, const struct crdt_document *document,
    struct crdt_buffer *ret_tips)
{
    struct tip tips[PUMP_FEEDS_MAX];
    size_t count = 0;
    for (size_t index = 0; index < crdt_feed_count(document); index++) {
        struct crdt_feed feed = crdt_feed_at(document, index);
        if (feed.seq == 0)
            continue;
        claim(count < PUMP_FEEDS_MAX);
        claim(find_row(node, &feed, &tips[count])
            || find_tip(crdt_buffer_bytes(&node->snapshot_tips), &feed, &tips[count])
            || find_tip(crdt_buffer_bytes(&node->staged_tips), &feed, &tips[count]));
        count++;
    }
    qsort(tips, count, sizeof *tips, compare_tips);
    claim(tips_write(ret_tips, tips, count) == CRDT_OK);
}

/* ---- Snapshots ------------------------------------------------------------ */

/* The document of what the store holds. */
static enum crdt_status load(const struct pump_node *node, const struct crdt_options *options,
    struct crdt_document **ret_document)
{
    enum crdt_status status = node->snapshot.size == 0
        ? crdt_open(options, ret_document)
        : crdt_load(options, crdt_buffer_bytes(&node->snapshot), ret_document);
    if (status != CRDT_OK)
        return status;
    for (size_t row = node->snapshot_rows; row < node->row_count; row++) {
        status = crdt_merge(*ret_document, node->rows[row].batch);
        if (status == CRDT_ERR_NOMEM)
            break;
    }
    if (status == CRDT_ERR_NOMEM)
        crdt_close(*ret_document);
    return status == CRDT_ERR_NOMEM ? status : CRDT_OK;
}

static bool is_tip_true(const struct pump_node *node, const struct crdt_document *document,
    const struct tip *tip)
{
    uint8_t message[CORE_SIGNED_BYTES];
    uint8_t signature[CORE_SIGNATURE_BYTES];
    core_signed_message(node->options.cluster_id, tip->batch.head, message);
    pump_sign(tip->batch.origin.key, message, sizeof message, signature);
    if (memcmp(signature, tip->signature, sizeof signature) != 0)
        return false;
    for (size_t index = 0; index < crdt_feed_count(document); index++) {
        struct crdt_feed feed = crdt_feed_at(document, index);
        if (crdt_origin_compare(&feed.origin, &tip->batch.origin) == 0)
            return feed.seq == tip->batch.last_seq
                && memcmp(feed.head, tip->batch.head, CRDT_HASH_BYTES) == 0;
    }
    return false;
}

/* True when what is staged is what its offer said. */
static bool is_staged_true(const struct pump_node *node)
{
    struct crdt_options options;
    crdt_options_init(&options);
    struct crdt_document *document;
    const struct crdt_buffer *bytes = &node->staged_bytes;
    if (node->staged_parts != node->staged.parts || bytes->size != node->staged.bytes
        || memcmp(bytes->data + bytes->size - CRDT_HASH_BYTES, node->staged.hash, CRDT_HASH_BYTES)
            != 0
        || crdt_load(&options, crdt_buffer_bytes(bytes), &document) != CRDT_OK)
        return false;
    size_t feeds = 0;
    for (size_t index = 0; index < crdt_feed_count(document); index++)
        feeds += crdt_feed_at(document, index).seq > 0;
    bool is_true = true;
    struct tips_walk walk = tips_begin(crdt_buffer_bytes(&node->staged_tips));
    struct tip tip;
    while (is_true && tips_next(&walk, &tip)) {
        is_true = is_tip_true(node, document, &tip);
        feeds--;
    }
    crdt_close(document);
    return is_true && feeds == 0;
}

/* True when a feed cannot hold both the batch and what is staged of it. */
static bool is_forked(const struct pump_node *node, const struct crdt_batch *batch)
{
    struct tips_walk walk = tips_begin(crdt_buffer_bytes(&node->staged_tips));
    struct tip tip;
    while (tips_next(&walk, &tip)) {
        if (evidence_contradicts(batch, &tip.batch))
            return true;
    }
    return false;
}

static bool is_staged_forked(const struct pump_node *node)
{
    struct tip tip;
    struct tips_walk walk = tips_begin(crdt_buffer_bytes(&node->snapshot_tips));
    bool is_any = false;
    while (!is_any && tips_next(&walk, &tip))
        is_any = is_forked(node, &tip.batch);
    for (size_t row = 0; !is_any && row < node->row_count; row++) {
        claim(crdt_batch_read(node->rows[row].batch, &tip.batch) == CRDT_OK);
        is_any = is_forked(node, &tip.batch);
    }
    return is_any;
}

/* Merges what is staged and raises the floor to what it brought. */
static enum crdt_status join(struct pump_node *node, struct crdt_document *document)
{
    if (!is_staged_true(node))
        return CRDT_ERR_MALFORMED;
    if (is_staged_forked(node))
        return CRDT_ERR_FORK;
    uint64_t before[PUMP_FEEDS_MAX];
    size_t count = 0;
    struct tips_walk walk = tips_begin(crdt_buffer_bytes(&node->staged_tips));
    struct tip tip;
    while (tips_next(&walk, &tip))
        before[count++] = crdt_applied(document, &tip.batch.origin);
    enum crdt_status status = crdt_merge(document, crdt_buffer_bytes(&node->staged_bytes));
    if (status != CRDT_OK)
        return status;
    walk = tips_begin(crdt_buffer_bytes(&node->staged_tips));
    for (count = 0; tips_next(&walk, &tip); count++) {
        if (tip.batch.last_seq > before[count])
            raise_floor(node, &tip.batch.origin, tip.batch.last_seq);
    }
    return CRDT_OK;
}

static struct core_snapshot describe(const struct pump *pump, const struct pump_node *node)
{
    const struct crdt_buffer *bytes = &node->snapshot;
    struct core_snapshot snapshot = {.bytes = bytes->size,
        .parts = (bytes->size + pump->part_bytes - 1) / pump->part_bytes,
        .tips = crdt_buffer_bytes(&node->snapshot_tips)};
    memcpy(snapshot.hash, bytes->data + bytes->size - CRDT_HASH_BYTES, CRDT_HASH_BYTES);
    return snapshot;
}

static enum crdt_status make(
    struct pump_node *node, const struct core_output *output, struct crdt_document **ret_document)
{
    struct crdt_document *document;
    enum crdt_status status = load(node, output->options, &document);
    if (status != CRDT_OK)
        return status;
    /* Libc's memory: what fails in here fails before anything is durable. */
    struct crdt_buffer bytes;
    crdt_buffer_init(&bytes, NULL);
    struct crdt_buffer tips;
    crdt_buffer_init(&tips, NULL);
    if (output->is_join)
        status = join(node, document);
    if (status == CRDT_OK)
        status = crdt_snapshot(document, &bytes);
    if (status == CRDT_OK) {
        write_tips(node, document, &tips);
        put(&node->snapshot, crdt_buffer_bytes(&bytes));
        put(&node->snapshot_tips, crdt_buffer_bytes(&tips));
        node->snapshot_rows = node->row_count;
    }
    crdt_buffer_close(&bytes);
    crdt_buffer_close(&tips);
    if (status == CRDT_OK && output->is_join)
        *ret_document = document;
    else
        crdt_close(document);
    return status;
}

static void post_snapshot(struct pump_input *item, const struct core_snapshot *snapshot)
{
    item->snapshot = *snapshot;
    item->tips = malloc(snapshot->tips.size + 1);
    claim(item->tips != NULL);
    memcpy(item->tips, snapshot->tips.data, snapshot->tips.size);
    item->snapshot.tips.data = item->tips;
    item->input.snapshot = &item->snapshot;
}

static void snapshot(struct pump *pump, size_t index, const struct core_output *output)
{
    struct pump_node *node = &pump->nodes[index];
    struct pump_input *item = pump_post(pump, index, CORE_SNAPSHOT_DONE, node->build_us);
    item->input.number = output->number;
    claim(output->value == node->newest_number);
    if (!node->is_store_held)
        pump_store(pump, index);
    enum crdt_status status = CRDT_ERR_BUSY;
    if (!node->is_snapshot_failing && node->unstored_count == 0)
        status = make(node, output, &item->document);
    item->input.is_ok = status == CRDT_OK;
    item->input.document = item->document;
    if (status == CRDT_OK) {
        struct core_snapshot made = describe(pump, node);
        post_snapshot(item, &made);
    } else {
        item->input.is_refused = output->is_join && status != CRDT_ERR_BUSY
            && status != CRDT_ERR_NOMEM;
        item->input.reason =
            status == CRDT_ERR_BUSY ? "disk full" : crdt_status_text(status);
    }
}

static void fetch_part(struct pump *pump, size_t index, const struct core_output *output)
{
    struct pump_node *node = &pump->nodes[index];
    struct pump_input *item = pump_post(pump, index, CORE_PART, pump->latency_us);
    item->input.number = output->number;
    if (node->snapshot.size == 0)
        return;
    struct core_snapshot newest = describe(pump, node);
    if (memcmp(newest.hash, output->head, CRDT_HASH_BYTES) != 0)
        return;
    claim(output->value < newest.parts);
    size_t begin = (size_t)output->value * pump->part_bytes;
    size_t size = node->snapshot.size - begin;
    size = size < pump->part_bytes ? size : pump->part_bytes;
    item->input.is_ok = true;
    pump_post_bytes(item, node->snapshot.data + begin, size);
}

/* ---- What is staged ------------------------------------------------------- */

static void unstage(struct pump_node *node)
{
    crdt_buffer_clear(&node->staged_bytes);
    crdt_buffer_clear(&node->staged_tips);
    node->staged = (struct core_snapshot){0};
    node->staged_parts = 0;
}

static void stage(struct pump *pump, size_t index, const struct core_output *output)
{
    struct pump_node *node = &pump->nodes[index];
    struct pump_input *item = pump_post(pump, index, CORE_STAGED, pump->latency_us);
    item->input.number = output->number;
    item->input.is_ok = !node->is_stage_failing;
    if (node->is_stage_failing)
        return;
    if (memcmp(node->staged.hash, output->snapshot->hash, CRDT_HASH_BYTES) != 0) {
        unstage(node);
        node->staged = *output->snapshot;
        put(&node->staged_tips, output->snapshot->tips);
    }
    claim(output->value == node->staged_parts);
    claim(output->bytes.size > 0);
    claim(crdt_buffer_append(&node->staged_bytes, output->bytes.data, output->bytes.size)
        == CRDT_OK);
    node->staged_parts++;
    node->stage_count++;
}

void pump_carry_out_store(struct pump *pump, size_t index, const struct core_output *output)
{
    struct pump_node *node = &pump->nodes[index];
    if (output->kind == CORE_SNAPSHOT)
        snapshot(pump, index, output);
    else if (output->kind == CORE_DROP)
        drop(pump, index, output);
    else if (output->kind == CORE_FETCH_PART)
        fetch_part(pump, index, output);
    else if (output->kind == CORE_STAGE)
        stage(pump, index, output);
    else if (output->kind == CORE_UNSTAGE)
        unstage(node);
    if (output->kind == CORE_DISCARD) {
        crdt_close(output->document);
        node->discard_count++;
    }
}

/* ---- A start -------------------------------------------------------------- */

void pump_replay_floor(struct pump *pump, size_t index)
{
    struct pump_node *node = &pump->nodes[index];
    struct crdt_buffer summary;
    write_floor(node, &summary);
    struct core_input input = {
        .kind = CORE_REPLAY_FLOOR, .bytes = crdt_buffer_bytes(&summary)};
    for (size_t row = 0; row < node->snapshot_rows && row < node->row_count; row++)
        input.size += node->rows[row].batch.size;
    pump_step(pump, index, &input);
    crdt_buffer_close(&summary);
}

size_t pump_replay_snapshot(struct pump *pump, size_t index)
{
    struct pump_node *node = &pump->nodes[index];
    if (node->snapshot.size == 0 || node->snapshot_rows > node->row_count)
        return 0;
    struct core_snapshot facts = describe(pump, node);
    struct core_input input = {.kind = CORE_REPLAY_SNAPSHOT,
        .bytes = crdt_buffer_bytes(&node->snapshot), .snapshot = &facts};
    pump_step(pump, index, &input);
    return core_has_snapshot(node->core) ? node->snapshot_rows : 0;
}

void pump_replay_staged(struct pump *pump, size_t index)
{
    struct pump_node *node = &pump->nodes[index];
    if (node->staged_parts == 0)
        return;
    struct core_snapshot facts = node->staged;
    facts.tips = crdt_buffer_bytes(&node->staged_tips);
    struct core_input input = {.kind = CORE_REPLAY_STAGED, .snapshot = &facts,
        .number = node->staged_parts};
    pump_step(pump, index, &input);
}

void pump_wipe(struct pump *pump, size_t index)
{
    struct pump_node *node = &pump->nodes[index];
    while (node->row_count > 0)
        pump_row_free(&node->rows[--node->row_count]);
    crdt_buffer_clear(&node->snapshot);
    crdt_buffer_clear(&node->snapshot_tips);
    node->snapshot_rows = 0;
    node->floor_count = 0;
    unstage(node);
}
