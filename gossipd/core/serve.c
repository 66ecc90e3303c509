/* What a peer lacks is sent to it, as its origin signed it: own new batches at
 * once, everything else in rounds. A round goes once through the feeds and
 * sends at most SERVE_ROUND_BYTES; it ends with a COMPARE, whose answer, given
 * after all of it was handled there, begins the next. So the receiver sets the
 * pace, and every feed moves in every round, whatever waits for what. */
#include "gossipd/core/machine.h"

#include "gossipd/wire/message.h"

#include <assert.h>
#include <string.h>

static bool send_batch(struct core *core, struct peer *peer, const struct crdt_batch *batch,
    const uint8_t signature[static CORE_SIGNATURE_BYTES])
{
    struct message message = {.kind = MESSAGE_BATCH, .as.batch = {.batch = batch->bytes}};
    memcpy(message.as.batch.signature, signature, CORE_SIGNATURE_BYTES);
    if (peer_sent(peer, &batch->origin, batch->last_seq) == CRDT_OK)
        return sync_send(core, peer, &message, true);
    core_refuse(core, REFUSED_MEMORY, peer);
    return false;
}

void serve_own(struct core *core, struct held *held)
{
    held->is_sent = true;
    for (size_t index = 0; index < core->options.peer_count; index++) {
        struct peer *peer = &core->peers[index];
        if (peer->link == 0 || !peer->has_summary)
            continue;
        /* Whoever lacks older ones too gets this one in a round. */
        if (peer_cursor(peer, &held->batch.origin) + 1 == held->batch.first_seq)
            send_batch(core, peer, &held->batch, held->signature);
    }
}

static bool is_linked(const struct core *core, const uint8_t key[static CRDT_KEY_BYTES])
{
    for (size_t index = 0; index < core->options.peer_count; index++) {
        if (memcmp(core->options.peers[index].key, key, CRDT_KEY_BYTES) == 0)
            return core->peers[index].link != 0;
    }
    return false;
}

/* A third party's feed is left to its origin while that reaches the peer; else
 * every node would send every batch to every other. One that is not even linked
 * here is taken for gone: when two members hold what it sent last with holes in
 * turn, each turn would wait. */
static bool is_my_turn(const struct core *core, const struct peer *peer,
    const struct crdt_origin *origin)
{
    if (!peer->has_summary || memcmp(origin->key, core->options.key, CRDT_KEY_BYTES) == 0)
        return true;
    /* What a peer has lost of its own it cannot send to itself. */
    if (memcmp(origin->key, peer->member->key, CRDT_KEY_BYTES) == 0)
        return true;
    if (!is_linked(core, origin->key))
        return true;
    uint64_t sent = vector_get(&peer->sent, origin);
    if (sent > 0 && sent >= vector_get(&peer->said, origin))
        return true;
    return core->now_us - vector_get(&peer->advanced_us, origin) >= RELAY_WAIT_US;
}

/* The batch after the peer's cursor, if it is here and on its way into the
 * store; NULL when it is not. */
static struct held *find_in_journal(
    const struct core *core, const struct crdt_origin *origin, uint64_t first_seq)
{
    struct held *held = core->journal.first;
    for (; held != NULL; held = held->next) {
        if (!held->is_mark && held->batch.first_seq == first_seq
            && crdt_origin_compare(&held->batch.origin, origin) == 0)
            break;
    }
    bool may_be_sent = held != NULL && (held->ordinal == 0 || held->is_sent);
    return may_be_sent ? held : NULL;
}

static void spend(struct peer *peer, size_t bytes)
{
    peer->has_served = true;
    peer->feed_bytes_left -= bytes < peer->feed_bytes_left ? bytes : peer->feed_bytes_left;
}

static bool fetch(struct core *core, struct peer *peer, const struct crdt_origin *origin,
    uint64_t seq)
{
    struct core_output *output = outputs_add(&core->outputs, CORE_FETCH);
    if (output == NULL)
        return false;
    output->number = ++core->newest_fetch_id;
    output->from = (struct crdt_dot){.origin = *origin, .seq = seq};
    output->bytes_max = peer->feed_bytes_left;
    peer->fetch_id = output->number;
    peer->fetch_from = output->from;
    return true;
}

/* Serves the feed at hand; true while it waits for the store. */
static bool serve_feed(struct core *core, struct peer *peer, const struct crdt_origin *origin)
{
    while (peer->feed_bytes_left > 0) {
        uint64_t cursor = peer_cursor(peer, origin);
        if (cursor < vector_get(&core->journal.durable, origin))
            return fetch(core, peer, origin, cursor + 1);
        const struct held *held = find_in_journal(core, origin, cursor + 1);
        if (held == NULL || !send_batch(core, peer, &held->batch, held->signature))
            return false;
        spend(peer, held->batch.bytes.size);
    }
    return false;
}

static bool is_lacking_there(
    const struct core *core, const struct peer *peer, const struct crdt_feed *feed)
{
    /* Below the floor it gets a snapshot, and batches of its own only: what it lost
     * of them it must hear of before it writes again (invariant I1). */
    if (peer->is_below_floor
        && memcmp(feed->origin.key, peer->member->key, CRDT_KEY_BYTES) != 0)
        return false;
    return feed->seq > peer_cursor(peer, &feed->origin)
        && is_my_turn(core, peer, &feed->origin);
}

static size_t feed_share(const struct core *core, const struct peer *peer)
{
    size_t count = 0;
    for (size_t index = 0; index < crdt_feed_count(core->document); index++) {
        struct crdt_feed feed = crdt_feed_at(core->document, index);
        count += is_lacking_there(core, peer, &feed);
    }
    size_t share = SERVE_ROUND_BYTES / (count == 0 ? 1 : count);
    return share > SERVE_FEED_BYTES_MIN ? share : SERVE_FEED_BYTES_MIN;
}

static void next_feed(const struct core *core, struct peer *peer)
{
    assert(peer->feeds_left > 0);
    peer->feeds_left--;
    peer->feed_index++;
    peer->feed_bytes_left = peer->feeds_left == 0 ? 0 : feed_share(core, peer);
}

/* Goes on with a round, feed by feed, until it waits for the store or ends. */
static void go_on(struct core *core, struct peer *peer)
{
    while (peer->feeds_left > 0) {
        size_t count = crdt_feed_count(core->document);
        struct crdt_feed feed = crdt_feed_at(core->document, peer->feed_index % count);
        if (is_lacking_there(core, peer, &feed) && serve_feed(core, peer, &feed.origin))
            return;
        next_feed(core, peer);
    }
    peer->is_serving = false;
    if (peer->has_served)
        sync_compare(core, peer);
}

void serve_round(struct core *core, struct peer *peer)
{
    if (peer->is_serving || peer->link == 0)
        return;
    peer->is_below_floor = offer_instead(core, peer);
    peer->is_serving = true;
    peer->has_served = false;
    peer->feeds_left = crdt_feed_count(core->document);
    peer->feed_bytes_left = feed_share(core, peer);
    go_on(core, peer);
}

/* Sends the rows that go on where the cursor stands; true when there were any. Where that
 * is within a row the peer has another history, and by this batch learns of the fork. */
static bool send_rows(struct core *core, struct peer *peer, const struct core_input *input)
{
    bool has_sent = false;
    for (size_t index = 0; index < input->row_count; index++) {
        const struct core_row *row = &input->rows[index];
        struct crdt_batch batch;
        if (crdt_batch_read(row->batch, &batch) != CRDT_OK)
            return has_sent;
        if (crdt_origin_compare(&batch.origin, &peer->fetch_from.origin) != 0
            || batch.first_seq > peer_cursor(peer, &batch.origin) + 1
            || batch.last_seq <= peer_cursor(peer, &batch.origin))
            continue;
        /* The store may show rows before they are durable. */
        if (batch.last_seq > vector_get(&core->journal.durable, &batch.origin)
            && find_in_journal(core, &batch.origin, batch.first_seq) == NULL)
            return has_sent;
        if (!send_batch(core, peer, &batch, row->signature))
            return has_sent;
        spend(peer, row->batch.size);
        has_sent = true;
    }
    return has_sent;
}

static void tell_gap(struct core *core, const struct crdt_dot *from, uint64_t end)
{
    struct fields fields = {0};
    fields_text(&fields, "what", "batches-missing-in-the-store");
    fields_hex(&fields, "origin", from->origin.key, CRDT_KEY_BYTES);
    fields_hex64(&fields, "generation", from->origin.generation);
    fields_number(&fields, "from", from->seq);
    fields_number(&fields, "to", end);
    fields_text(&fields, "do", "nothing for these, who lacks them is offered the snapshot that"
        " has them; gossipctl verify says what else is damaged");
    core_event(core, CORE_EVENT_LOG, CORE_WARNING, &fields);
}

/* Nothing was dropped there, and FETCH asks for what is durable only: the disk has
 * lost what the peer lacks next. When the newest snapshot has all of that, whoever
 * lacks it is below a floor like any other. */
static void take_gap(struct core *core, const struct crdt_dot *from, uint64_t seq_behind)
{
    uint64_t newest = vector_get(&core->newest_context, &from->origin);
    uint64_t end = seq_behind == 0 ? newest : seq_behind - 1;
    if (end < from->seq || end > newest || end <= vector_get(&core->gaps, &from->origin))
        return;
    /* Without memory it is found again in the next round. */
    if (vector_set(&core->gaps, &from->origin, end) == CRDT_OK)
        tell_gap(core, from, end);
}

void serve_fetched(struct core *core, const struct core_input *input)
{
    struct peer *peer = NULL;
    for (size_t index = 0; index < core->options.peer_count && peer == NULL; index++) {
        if (core->peers[index].fetch_id == input->number)
            peer = &core->peers[index];
    }
    if (peer == NULL || input->number == 0 || peer->link == 0)
        return;
    peer->fetch_id = 0;
    if (input->is_ok && input->row_count == 0)
        take_gap(core, &peer->fetch_from, input->seq_behind);
    bool has_sent = input->is_ok && send_rows(core, peer, input);
    /* A feed of which nothing could be sent is left for the next round. */
    if (!has_sent)
        next_feed(core, peer);
    go_on(core, peer);
}
