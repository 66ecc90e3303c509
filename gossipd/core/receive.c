/* A peer's batch, from its arrival until it is applied:
 *
 *     read -> VERIFY -> check -> merge -> journal
 *                         `--> pending --^
 *
 * Nothing in it is believed before its signature is verified, and nothing but
 * a correct signature and its place in its feed decides whether it is applied. */
#include "gossipd/core/machine.h"

#include "gossipd/core/memory.h"

#include <assert.h>
#include <string.h>

static const char signed_prefix[15] = "gossipd batch 1";

void core_signed_message(const uint8_t cluster_id[static CRDT_HASH_BYTES],
    const uint8_t head[static CRDT_HASH_BYTES], uint8_t ret_message[static CORE_SIGNED_BYTES])
{
    memcpy(ret_message, signed_prefix, sizeof signed_prefix);
    memcpy(ret_message + sizeof signed_prefix, cluster_id, CRDT_HASH_BYTES);
    memcpy(ret_message + sizeof signed_prefix + CRDT_HASH_BYTES, head, CRDT_HASH_BYTES);
}

void receive_close(struct core *core)
{
    while (core->verifying_first != NULL) {
        struct held *held = core->verifying_first;
        core->verifying_first = held->next;
        held_free(&core->options.memory, held);
    }
}

/* The one whose signature is being checked already, or NULL. */
static struct held *find_verifying(
    const struct core *core, const struct crdt_batch *batch, bool is_header)
{
    for (struct held *held = core->verifying_first; held != NULL; held = held->next) {
        if (held->is_header == is_header && held->batch.last_seq == batch->last_seq
            && memcmp(held->batch.head, batch->head, sizeof batch->head) == 0)
            return held;
    }
    return NULL;
}

uint64_t receive_bit_of(const struct core *core, const struct peer *peer)
{
    static_assert(MEMBERS_MAX <= 64, "a peer has a bit of held.peers");
    return UINT64_C(1) << (peer - core->peers);
}

/* True when it is here already, and not applied; then this peer stands for it, too. */
static bool is_waiting(
    struct core *core, const struct peer *peer, const struct crdt_batch *batch)
{
    struct held *held = find_verifying(core, batch, false);
    if (held != NULL)
        held->peers |= receive_bit_of(core, peer);
    if (held != NULL || !pending_has(&core->pending, batch))
        return held != NULL;
    pending_credit(&core->pending, batch, receive_bit_of(core, peer));
    return true;
}

static bool contradicts(const struct core *core, const struct crdt_batch *batch)
{
    struct crdt_dot missing;
    return crdt_batch_check(core->document, batch, &missing) == CRDT_ERR_FORK;
}

/* Who sends a batch has it. Without memory for that, its summary will say so. */
static void note_sender(struct core *core, struct peer *peer, const struct crdt_batch *batch)
{
    if (peer_has(peer, &batch->origin, batch->last_seq, core->now_us) != CRDT_OK)
        core_refuse(core, REFUSED_MEMORY, peer);
}

/* True when there is room for one more whose signature is being checked. */
static bool has_room(struct core *core, struct peer *peer, size_t size)
{
    if (core->verifying_bytes + size <= VERIFYING_BYTES_MAX
        && core->journal.bytes + size <= JOURNAL_BYTES_MAX)
        return true;
    core_refuse(core, REFUSED_FULL, peer);
    return false;
}

/* True when the batch is worth the work of checking its signature. */
static bool is_wanted(struct core *core, struct peer *peer, const struct crdt_batch *batch)
{
    if (core_member_name(core, batch->origin.key) == NULL) {
        core_refuse(core, REFUSED_ORIGIN, peer);
        return false;
    }
    bool is_frozen = proofs_frozen(&core->proofs, &batch->origin) != NULL;
    bool is_known = batch->last_seq <= crdt_applied(core->document, &batch->origin);
    bool is_fork = (is_known || is_frozen) && contradicts(core, batch);
    if (is_known && !is_fork)
        note_sender(core, peer, batch);
    /* Of what is proved already no more is needed. */
    if ((is_known && !is_fork) || (is_frozen && is_fork))
        return false;
    if (is_waiting(core, peer, batch))
        return false;
    return has_room(core, peer, batch->bytes.size);
}

bool receive_ask_to_verify(struct core *core, const struct crdt_batch *batch,
    const uint8_t signature[static CORE_SIGNATURE_BYTES])
{
    uint8_t message[CORE_SIGNED_BYTES];
    core_signed_message(core->options.cluster_id, batch->head, message);
    struct crdt_bytes copy;
    struct crdt_bytes bytes = {.data = message, .size = sizeof message};
    if (outputs_copy(&core->outputs, bytes, &copy) != CRDT_OK)
        return false;
    struct core_output *output = outputs_add(&core->outputs, CORE_VERIFY);
    if (output == NULL)
        return false;
    output->number = ++core->newest_verify_id;
    output->bytes = copy;
    memcpy(output->key, batch->origin.key, sizeof output->key);
    memcpy(output->signature, signature, CORE_SIGNATURE_BYTES);
    return true;
}

/* Keeps a copy of the batch until its signature is checked. */
static bool hold(struct core *core, struct peer *peer, const struct crdt_batch *batch,
    const uint8_t signature[static CORE_SIGNATURE_BYTES], bool is_header)
{
    struct held *held = held_new(&core->options.memory, batch->bytes.size);
    if (held == NULL)
        return false;
    held_fill(held, batch);
    memcpy(held->signature, signature, sizeof held->signature);
    held->is_header = is_header;
    held->link = peer->link;
    held->peers = receive_bit_of(core, peer);
    if (!receive_ask_to_verify(core, batch, signature)) {
        held_free(&core->options.memory, held);
        return false;
    }
    held->verify_id = core->newest_verify_id;
    if (core->verifying_last == NULL)
        core->verifying_first = held;
    else
        core->verifying_last->next = held;
    core->verifying_last = held;
    core->verifying_bytes += batch->bytes.size;
    peer->verifying_count++;
    return true;
}

void receive_batch(struct core *core, struct peer *peer, struct crdt_bytes bytes,
    const uint8_t signature[static CORE_SIGNATURE_BYTES])
{
    struct crdt_batch batch;
    enum crdt_status status = crdt_batch_read(bytes, &batch);
    if (status == CRDT_OK && batch.bytes.size != bytes.size)
        status = CRDT_ERR_MALFORMED;
    if (status == CRDT_ERR_VERSION) {
        core_refuse(core, REFUSED_VERSION, peer);
        return;
    }
    if (status != CRDT_OK) {
        core_refuse(core, REFUSED_MALFORMED, peer);
        links_close(core, peer);
        return;
    }
    uint64_t news = core->pending.news;
    if (is_wanted(core, peer, &batch) && !hold(core, peer, &batch, signature, false))
        core_refuse(core, REFUSED_MEMORY, peer);
    /* One more peer stands for what waits: that may be the voucher's last. */
    if (core->pending.news != news)
        receive_retry(core);
}

void receive_header(struct core *core, struct peer *peer, const struct tip *tip)
{
    struct crdt_batch batch = tip->batch;
    batch.bytes = batch.header;
    if (find_verifying(core, &batch, true) != NULL || !has_room(core, peer, batch.bytes.size))
        return;
    if (!hold(core, peer, &batch, tip->signature, true))
        core_refuse(core, REFUSED_MEMORY, peer);
}

/* A stamp from far ahead is accepted in its place, counted and told of: local
 * time never decides what is valid (invariant I11). */
static void watch_clock(struct core *core, const struct held *held, uint64_t seen_before_ms)
{
    uint64_t seen_ms = crdt_seen_ms(core->document);
    if (seen_ms <= seen_before_ms || seen_ms <= core->wall_ms + CLOCK_AHEAD_MS)
        return;
    core->clocks_ahead++;
    if (core->clocks_ahead > 1 && core->now_us - core->clock_ahead_us < CLOCK_ALARM_US)
        return;
    core->clock_ahead_us = core->now_us;
    struct fields fields = {0};
    const struct peer *peer = core_peer_by_key(core, held->batch.origin.key);
    if (peer != NULL)
        fields_text(&fields, "member", peer->member->name);
    fields_hex(&fields, "origin", held->batch.origin.key, CRDT_KEY_BYTES);
    fields_number(&fields, "ahead_s", (seen_ms - core->wall_ms) / 1000);
    fields_number(&fields, "batches", core->clocks_ahead);
    core_event(core, CORE_EVENT_CLOCK_AHEAD, CORE_ALARM, &fields);
}

/* A member that was away, or is back with less than it had acknowledged, may remove a
 * part of what was folded, and the fold stands: allowed, and counted (invariant I9). */
static void watch_lesser(struct core *core, const struct crdt_origin *author)
{
    const struct peer *peer = core_peer_by_key(core, author->key);
    struct crdt_origin self = crdt_self(core->document);
    if (peer != NULL
        && peer_is_fold_torn(
            peer, core->document, crdt_acknowledged(core->document, author, &self)))
        core->lesser_batches++;
}

/* A verified batch cannot be used. One with records that only a newer version knows is
 * not kept either: peers bring it again, until this node is upgraded. */
static void refuse_unusable(struct core *core, enum crdt_status status)
{
    enum refusal reason = REFUSED_MALFORMED;
    if (status == CRDT_ERR_NOMEM)
        reason = REFUSED_MEMORY;
    else if (status == CRDT_ERR_VERSION)
        reason = REFUSED_VERSION;
    core_refuse(core, reason, NULL);
}

/* Applies a batch that the document can take now. Takes `held` over. */
static enum crdt_status apply(struct core *core, struct held *held)
{
    uint64_t seen_ms = crdt_seen_ms(core->document);
    enum crdt_status status = journal_reserve(&core->journal, &held->batch.origin);
    if (status == CRDT_OK)
        status = crdt_merge(core->document, held->batch.bytes);
    if (status != CRDT_OK) {
        refuse_unusable(core, status);
        held_free(&core->options.memory, held);
        return status;
    }
    watch_clock(core, held, seen_ms);
    headers_keep(&core->headers, &held->batch, held->signature);
    watch_lesser(core, &held->batch.origin);
    held->wall_ms = core->wall_ms;
    core_changed(core);
    core->is_fold_stale = true;
    snapshots_count(core, held->batch.bytes.size);
    journal_append(&core->journal, held);
    journal_put_out(&core->journal, &core->outputs);
    return CRDT_OK;
}

/* Does with a verified batch what its place in its feed asks for. Takes `held`
 * over, unless it says GAP. */
static enum crdt_status admit(struct core *core, struct held *held)
{
    held->missing.seq = 0;
    enum crdt_status status =
        crdt_batch_check(core->document, &held->batch, &held->missing);
    if (status == CRDT_ERR_AMNESIA) {
        /* Signed by this node's key under the present generation and unknown
         * here: the store has lost own operations. */
        status = generation_begin(core, "a-peer-had-own-batches-that-are-not-here");
        if (status == CRDT_OK)
            status = crdt_batch_check(core->document, &held->batch, &held->missing);
    }
    if (status == CRDT_OK && !freeze_may_apply(core, held))
        status = CRDT_ERR_GAP;
    if (status == CRDT_ERR_GAP)
        return status;
    if (status == CRDT_ERR_FORK) {
        forks_contradicted(core, held);
        return status;
    }
    if (status == CRDT_OK)
        return apply(core, held);
    refuse_unusable(core, status);
    held_free(&core->options.memory, held);
    return status;
}

/* A verified batch has to wait. Takes it over. One that waits already and is of another
 * history is the proof of a fork, before either could be applied: without it the one
 * that came first would stand in the way of what others have applied. */
static void wait(struct core *core, struct held *held)
{
    const struct held *rival = pending_rival(&core->pending, &held->batch);
    if (rival != NULL) {
        forks_waits(core, rival, held);
        pending_credit(&core->pending, &held->batch, held->peers);
    }
    if (proofs_frozen(&core->proofs, &held->batch.origin) != NULL)
        core->pending.news++;
    pending_add(&core->pending, held);
}

/* Where vouching stands: a number that changes with all that it rests on but what a
 * batch itself names. The sum grows while the proofs stay as they are, and when they do
 * not it is another in the upper bits: there are never 2^40 operations. */
static uint64_t vouching_stand(const struct core *core)
{
    uint64_t stand = (1 + core->proofs.changes + core->pending.news) << 40;
    for (size_t index = 0; index < core->proofs.count; index++)
        stand += crdt_applied(core->document, &core->proofs.items[index].origin);
    return stand;
}

/* True when nothing has happened since that batch was last tried that could matter to
 * it: what waits for ever must not take time with every batch that comes. */
static bool is_in_vain(
    const struct core *core, const struct held *held, uint64_t applied, uint64_t stand)
{
    /* What contradicts the history here is to be told of, whatever it waits for. */
    if (held->batch.first_seq <= applied)
        return false;
    if (held->missing.seq > 0) {
        if (held->missing.seq <= crdt_applied(core->document, &held->missing.origin))
            return false;
        if (proofs_frozen(&core->proofs, &held->missing.origin) == NULL)
            return true;
    }
    return held->tried == stand;
}

/* True when it need not wait any more: it can be applied, or has to be refused. */
static bool is_ready(struct core *core, struct held *held, uint64_t stand)
{
    uint64_t applied = crdt_applied(core->document, &held->batch.origin);
    if (held->batch.last_seq <= applied || is_in_vain(core, held, applied, stand))
        return false;
    held->missing.seq = 0;
    enum crdt_status status =
        crdt_batch_check(core->document, &held->batch, &held->missing);
    if (status == CRDT_ERR_GAP)
        freeze_vouch(core, held);
    bool must_wait
        = status == CRDT_ERR_GAP || (status == CRDT_OK && !freeze_may_apply(core, held));
    if (must_wait)
        held->tried = stand;
    return !must_wait;
}

/* Tries the pending batches that would come next in a feed, one for each history: some
 * may wait for ever. At most one for each peer. True when one is not pending any more. */
static bool try_pending(struct core *core, size_t index, uint64_t stand)
{
    struct crdt_origin origin = core->pending.feeds[index].origin;
    uint64_t applied = crdt_applied(core->document, &origin);
    if (!pending_trim(&core->pending, index, applied))
        return false;
    size_t ready = pending_ready(&core->pending, index, applied);
    for (size_t place = 0; place < ready; place++) {
        if (!is_ready(core, core->pending.feeds[index].items[place], stand))
            continue;
        struct held *held = pending_take(&core->pending, index, place);
        if (admit(core, held) == CRDT_ERR_GAP)
            wait(core, held);
        return true;
    }
    return false;
}

/* As long as anything moves: each move takes at least one batch out of a bounded
 * buffer, or lets one be applied. */
void receive_retry(struct core *core)
{
    bool has_moved = true;
    while (has_moved || core->has_vouched) {
        has_moved = false;
        core->has_vouched = false;
        uint64_t stand = vouching_stand(core);
        size_t index = 0;
        while (index < core->pending.feed_count) {
            size_t count_before = core->pending.feed_count;
            if (try_pending(core, index, stand)) {
                has_moved = true;
                stand = vouching_stand(core);
            } else if (core->pending.feed_count == count_before) {
                index++;
            }
        }
    }
}

static struct held *take_verifying(struct core *core, uint64_t id)
{
    struct held **place = &core->verifying_first;
    struct held *before = NULL;
    while (*place != NULL && (*place)->verify_id != id) {
        before = *place;
        place = &(*place)->next;
    }
    struct held *held = *place;
    if (held == NULL)
        return NULL;
    *place = held->next;
    if (core->verifying_last == held)
        core->verifying_last = before;
    held->next = NULL;
    core->verifying_bytes -= held->batch.bytes.size;
    return held;
}

void receive_verified(struct core *core, uint64_t id, bool is_ok)
{
    struct held *held = take_verifying(core, id);
    if (held == NULL)
        return;
    struct peer *peer = core_peer_by_link(core, held->link);
    if (peer != NULL) {
        assert(peer->verifying_count > 0);
        peer->verifying_count--;
    }
    if (!is_ok) {
        /* A correct peer has verified what it passes on. */
        core_refuse(core, REFUSED_SIGNATURE, peer);
        held_free(&core->options.memory, held);
        if (peer != NULL)
            links_close(core, peer);
        return;
    }
    if (peer != NULL && !held->is_header)
        note_sender(core, peer, &held->batch);
    if (held->is_header)
        forks_verified(core, held);
    else if (held->batch.last_seq <= crdt_applied(core->document, &held->batch.origin)
        && !contradicts(core, &held->batch))
        held_free(&core->options.memory, held);
    else if (admit(core, held) == CRDT_ERR_GAP)
        wait(core, held);
    receive_retry(core);
    if (peer != NULL)
        sync_caught_up(core, peer);
}
