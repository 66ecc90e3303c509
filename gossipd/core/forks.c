/* Forks: an origin that signed two histories is found, proved and told of.
 *
 *     a batch that contradicts, or a header of a HEADS message, its signature checked
 *       -> the header of the history here: at hand, or FETCH -> proof: stored, told to all
 *
 * HEADS carry what each side follows: they are exchanged when contexts are equal
 * and heads are not, and when a batch's deps name a history unlike the one here.
 * What is found goes to tell.c; what follows from a proof is decided in freeze.c. */
#include "gossipd/core/machine.h"

#include "gossipd/core/memory.h"
#include "gossipd/wire/message.h"

#include <assert.h>
#include <string.h>

static void free_list(struct core *core, struct held *held)
{
    while (held != NULL) {
        struct held *next = held->next;
        held_free(&core->options.memory, held);
        held = next;
    }
}

void forks_close(struct core *core)
{
    free_list(core, core->proving);
    free_list(core, core->seen);
    headers_close(&core->headers);
    proofs_close(&core->proofs);
}

void forks_replay(struct core *core, struct crdt_bytes evidence)
{
    enum crdt_status status = proofs_add(&core->proofs, evidence);
    if (status == CRDT_ERR_NOMEM)
        core->is_replay_short = true;
    else if (status != CRDT_OK)
        core_refuse(core, REFUSED_REPLAY, NULL);
}

/* The feed as it stands here; seq 0 when nothing of it is applied. */
static struct crdt_feed feed_of(const struct core *core, const struct crdt_origin *origin)
{
    for (size_t index = 0; index < crdt_feed_count(core->document); index++) {
        struct crdt_feed feed = crdt_feed_at(core->document, index);
        if (crdt_origin_compare(&feed.origin, origin) == 0)
            return feed;
    }
    return (struct crdt_feed){.origin = *origin};
}

/* ---- From a contradiction to a proof -------------------------------------- */

static struct tip tip_of(const struct held *held)
{
    struct tip tip = {.batch = held->batch};
    memcpy(tip.signature, held->signature, sizeof tip.signature);
    return tip;
}

/* A copy that holds the header alone; NULL when memory is out. Frees `held`. */
static struct held *keep_header(struct core *core, struct held *held)
{
    if (held->is_header)
        return held;
    struct held *copy = held_new(&core->options.memory, held->batch.header.size);
    if (copy != NULL) {
        struct crdt_batch batch = held->batch;
        batch.bytes = batch.header;
        held_fill(copy, &batch);
        memcpy(copy->signature, held->signature, sizeof copy->signature);
        copy->is_header = true;
    } else {
        core_refuse(core, REFUSED_MEMORY, NULL);
    }
    held_free(&core->options.memory, held);
    return copy;
}

/* Compares with what is at hand; true when that was a proof. */
static bool prove_at_once(struct core *core, const struct held *held, uint64_t applied)
{
    struct tip tip = tip_of(held);
    const struct tip *here = headers_find(&core->headers, &held->batch.origin, applied);
    if (here != NULL && evidence_contradicts(&here->batch, &held->batch)) {
        tell_record(core, here, &tip);
        return true;
    }
    for (const struct held *seen = core->seen; seen != NULL; seen = seen->next) {
        if (!evidence_contradicts(&seen->batch, &held->batch))
            continue;
        struct tip other = tip_of(seen);
        tell_record(core, &other, &tip);
        return true;
    }
    return false;
}

/* Verified headers that contradict nothing yet; the oldest gives way. */
static void remember(struct core *core, struct held *held)
{
    held->next = core->seen;
    core->seen = held;
    if (core->seen_count < HEADS_SEEN_MAX) {
        core->seen_count++;
        return;
    }
    struct held **place = &core->seen;
    while ((*place)->next != NULL)
        place = &(*place)->next;
    held_free(&core->options.memory, *place);
    *place = NULL;
}

static void prove_later(struct core *core, struct held *held)
{
    if (core->proving_count == PROVING_MAX) {
        held_free(&core->options.memory, held);
        return;
    }
    struct held **place = &core->proving;
    while (*place != NULL)
        place = &(*place)->next;
    held->next = NULL;
    *place = held;
    core->proving_count++;
}

/* Looks for what contradicts a header that is validly signed. Takes it over. */
static void prove(struct core *core, struct held *held)
{
    const struct crdt_batch *batch = &held->batch;
    const struct crdt_feed feed = feed_of(core, &batch->origin);
    bool is_here = batch->last_seq == feed.seq
        && memcmp(batch->head, feed.head, CRDT_HASH_BYTES) == 0;
    if (is_here || proofs_frozen(&core->proofs, &batch->origin) != NULL
        || prove_at_once(core, held, feed.seq)) {
        held_free(&core->options.memory, held);
        return;
    }
    bool is_comparable = feed.seq > 0 && batch->first_seq <= feed.seq + 1;
    held = keep_header(core, held);
    if (held != NULL && is_comparable)
        prove_later(core, held);
    else if (held != NULL)
        remember(core, held);
}

void forks_contradicted(struct core *core, struct held *held)
{
    const struct crdt_batch *batch = &held->batch;
    const struct crdt_feed feed = feed_of(core, &batch->origin);
    struct tip tip = tip_of(held);
    bool follows = batch->first_seq == feed.seq + 1
        && (feed.seq == 0 || memcmp(batch->previous, feed.head, CRDT_HASH_BYTES) == 0);
    if (batch->header.size > HEADER_KEEP_BYTES) {
        tell_oversized(core, &tip);
    } else if (follows) {
        /* Its place is right: what its deps name is another history of others. */
        struct peer *peer = core_peer_by_link(core, held->link);
        tell_record(core, &tip, NULL);
        if (peer != NULL)
            forks_ask(core, peer);
    } else {
        prove(core, held);
        return;
    }
    held_free(&core->options.memory, held);
}

void forks_waits(
    struct core *core, const struct held *waiting, const struct held *held)
{
    struct tip here = tip_of(waiting);
    struct tip other = tip_of(held);
    tell_record(core, &here, &other);
}

void forks_verified(struct core *core, struct held *held)
{
    struct crdt_origin self = crdt_self(core->document);
    if (crdt_origin_compare(&self, &held->batch.origin) == 0
        && held->batch.last_seq > crdt_applied(core->document, &self)
        && generation_begin(core, "a-peer-knows-own-batches-that-are-not-here") != CRDT_OK)
        core_refuse(core, REFUSED_MEMORY, NULL);
    prove(core, held);
}

/* ---- HEADS ---------------------------------------------------------------- */

static bool is_interesting(struct core *core, const struct tip *tip)
{
    const struct crdt_batch *batch = &tip->batch;
    if (core_member_name(core, batch->origin.key) == NULL
        || batch->header.size > HEADER_KEEP_BYTES
        || proofs_frozen(&core->proofs, &batch->origin) != NULL)
        return false;
    const struct crdt_feed feed = feed_of(core, &batch->origin);
    return batch->last_seq != feed.seq
        || memcmp(batch->head, feed.head, CRDT_HASH_BYTES) != 0;
}

void forks_take_heads(struct core *core, struct peer *peer, struct crdt_bytes tips)
{
    size_t count;
    if (tips_check(tips, &count) != CRDT_OK) {
        core_refuse(core, REFUSED_MALFORMED, peer);
        links_close(core, peer);
        return;
    }
    struct tip tip;
    size_t left = HEADS_VERIFY_MAX;
    struct tips_walk walk = tips_begin(tips);
    while (left > 0 && tips_next(&walk, &tip)) {
        if (!is_interesting(core, &tip))
            continue;
        left--;
        receive_header(core, peer, &tip);
    }
    if (left < HEADS_VERIFY_MAX)
        forks_ask(core, peer);
}

void forks_ask(struct core *core, struct peer *peer)
{
    if (peer->heads_us != 0 && core->now_us - peer->heads_us < PROOF_US)
        return;
    peer->heads_us = core->now_us;
    peer->owes_heads = true;
}

/* True when the header may be shown: it is of the newest batch, which is durable. */
static bool is_current(const struct core *core, const struct tip *tip)
{
    const struct crdt_batch *batch = &tip->batch;
    return batch->last_seq > 0
        && batch->last_seq == crdt_applied(core->document, &batch->origin)
        && batch->last_seq <= vector_get(&core->journal.durable, &batch->origin);
}

/* A message holds what fits; the next one to this peer goes on from there. */
static void send_heads(struct core *core, struct peer *peer)
{
    const struct headers *headers = &core->headers;
    peer->owes_heads = false;
    if (headers->count == 0)
        return;
    struct tip *tips = memory_new(&core->options.memory, headers->count * sizeof *tips);
    if (tips == NULL) {
        core_refuse(core, REFUSED_MEMORY, peer);
        return;
    }
    size_t count = 0;
    size_t bytes = 0;
    size_t index = peer->heads_index < headers->count ? peer->heads_index : 0;
    for (; index < headers->count && bytes < HEADS_BYTES_MAX; index++) {
        if (!is_current(core, &headers->items[index].tip))
            continue;
        tips[count++] = headers->items[index].tip;
        bytes += headers->items[index].tip.batch.header.size + sizeof tips->signature;
    }
    peer->heads_index = index;
    (void)!tell_tips(core, peer, tips, count);
    memory_free(&core->options.memory, tips, headers->count * sizeof *tips);
}

/* ---- What the store must be asked for ------------------------------------- */

static void fetch(struct core *core, const struct crdt_origin *origin, uint64_t seq)
{
    struct core_output *output = outputs_add(&core->outputs, CORE_FETCH);
    if (output == NULL) {
        core_retry_soon(core);
        return;
    }
    output->number = ++core->newest_fetch_id;
    output->from = (struct crdt_dot){.origin = *origin, .seq = seq};
    output->bytes_max = 1; /* one batch */
    core->forks_fetch_id = output->number;
}

/* Asks for the next header that HEADS lack; false when there is none. */
static bool fetch_header(struct core *core)
{
    for (; core->collect_index < crdt_feed_count(core->document); core->collect_index++) {
        struct crdt_feed feed = crdt_feed_at(core->document, core->collect_index);
        if (feed.seq == 0 || headers_find(&core->headers, &feed.origin, feed.seq) != NULL
            || feed.seq > vector_get(&core->journal.durable, &feed.origin))
            continue;
        core->is_collecting = true;
        fetch(core, &feed.origin, feed.seq);
        return true;
    }
    return false;
}

static bool is_owing(const struct core *core)
{
    for (size_t index = 0; index < core->options.peer_count; index++) {
        if (core->peers[index].owes_heads)
            return true;
    }
    return false;
}

void forks_go_on(struct core *core)
{
    if (core->phase < PHASE_WAITING || core->phase >= PHASE_STOPPING)
        return;
    tell_go_on(core);
    if (core->forks_fetch_id != 0)
        return;
    if (core->proving != NULL) {
        const struct crdt_batch *batch = &core->proving->batch;
        uint64_t applied = crdt_applied(core->document, &batch->origin);
        core->is_collecting = false;
        fetch(core, &batch->origin, batch->last_seq < applied ? batch->last_seq : applied);
        return;
    }
    if (!is_owing(core) || fetch_header(core))
        return;
    core->collect_index = 0;
    for (size_t index = 0; index < core->options.peer_count; index++) {
        struct peer *peer = &core->peers[index];
        if (peer->owes_heads && peer->link != 0)
            send_heads(core, peer);
        peer->owes_heads = false;
    }
}

static void collect(struct core *core, const struct crdt_batch *batch, const struct tip *tip)
{
    core->collect_index++;
    if (batch != NULL && batch->last_seq == crdt_applied(core->document, &batch->origin))
        headers_keep(&core->headers, batch, tip->signature);
}

static void prove_fetched(struct core *core, const struct tip *here)
{
    struct held *held = core->proving;
    core->proving = held->next;
    core->proving_count--;
    struct tip tip = tip_of(held);
    /* What was dropped here, or is not here yet, still has to be proved by what others
     * show of it. */
    uint64_t applied = feed_of(core, &tip.batch.origin).seq;
    if (here != NULL && evidence_contradicts(&here->batch, &held->batch)) {
        tell_record(core, here, &tip);
    } else if ((here == NULL || held->batch.last_seq > applied)
        && !prove_at_once(core, held, applied)) {
        remember(core, held);
        return;
    }
    held_free(&core->options.memory, held);
}

bool forks_fetched(struct core *core, const struct core_input *input)
{
    if (core->forks_fetch_id == 0 || input->number != core->forks_fetch_id)
        return false;
    core->forks_fetch_id = 0;
    struct tip tip;
    bool has_tip = input->is_ok && input->row_count > 0
        && crdt_batch_read(input->rows[0].batch, &tip.batch) == CRDT_OK;
    if (has_tip)
        memcpy(tip.signature, input->rows[0].signature, sizeof tip.signature);
    if (core->is_collecting)
        collect(core, has_tip ? &tip.batch : NULL, &tip);
    else
        prove_fetched(core, has_tip ? &tip : NULL);
    return true;
}
