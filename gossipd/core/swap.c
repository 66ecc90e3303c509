/* The side of a join that follows its fetching (invariant I7). The host makes a
 * document aside: what is in the store, and the staged snapshot. Once it is
 * durable it is the truth, for a restart would load it; what is left is to bring
 * it up to date with the batches that came meanwhile, in slices, and to put it in
 * the place of the present one between two inputs. */
#include "gossipd/core/machine.h"

#include "gossipd/wire/evidence.h"
#include "gossipd/wire/tips.h"

#include <assert.h>
#include <string.h>

static void tell(struct core *core, const char *what, enum core_level level, const char *reason)
{
    struct fields fields = {0};
    fields_text(&fields, "what", what);
    fields_hex(&fields, "snapshot", core->join.snapshot.hash, 8);
    fields_number(&fields, "bytes", core->join.snapshot.bytes);
    if (reason != NULL)
        fields_text(&fields, "reason", reason);
    core_event(core, CORE_EVENT_JOIN, level, &fields);
}

void swap_discard(struct core *core, struct crdt_document *document)
{
    if (document == NULL)
        return;
    struct core_output *output = outputs_add(&core->outputs, CORE_DISCARD);
    if (output != NULL)
        output->document = document;
    else
        crdt_close(document);
}

/* ---- What comes while the document is made -------------------------------- */

void swap_drop_tail(struct core *core)
{
    struct join *join = &core->join;
    while (join->tail_first != NULL) {
        struct held *held = join->tail_first;
        join->tail_first = held->next;
        held_free(&core->options.memory, held);
    }
    join->tail_last = NULL;
    join->tail_bytes = 0;
}

/* A large state takes longer to make, and more comes meanwhile. */
static uint64_t tail_bytes_max(const struct join *join)
{
    uint64_t bytes = join->snapshot.bytes;
    return bytes > JOIN_TAIL_BYTES_MAX ? bytes : JOIN_TAIL_BYTES_MAX;
}

void swap_keep(struct core *core, struct held *held)
{
    struct join *join = &core->join;
    bool is_needed = join->state >= JOIN_BUILDING && !join->is_tail_lost && !held->is_mark
        && !held->is_joined && held->number > join->number;
    if (is_needed && join->tail_bytes + held->batch.bytes.size > tail_bytes_max(join)) {
        join->is_tail_lost = true;
        swap_drop_tail(core);
    }
    if (!is_needed || join->is_tail_lost) {
        held_free(&core->options.memory, held);
        return;
    }
    held->next = NULL;
    if (join->tail_last == NULL)
        join->tail_first = held;
    else
        join->tail_last->next = held;
    join->tail_last = held;
    join->tail_bytes += held->batch.bytes.size;
}

/* ---- Making it ------------------------------------------------------------ */

/* How the floor will rise: below what the snapshot brings beyond what is here,
 * there are no batches. */
static enum crdt_status take_raised(struct core *core)
{
    struct join *join = &core->join;
    vector_clear(&join->raised);
    struct tips_walk walk = tips_begin(join->snapshot.tips);
    struct tip tip;
    enum crdt_status status = CRDT_OK;
    while (status == CRDT_OK && tips_next(&walk, &tip)) {
        if (tip.batch.last_seq > crdt_applied(core->document, &tip.batch.origin))
            status = vector_set(&join->raised, &tip.batch.origin, tip.batch.last_seq);
    }
    return status;
}

void swap_begin(struct core *core)
{
    struct join *join = &core->join;
    /* The open batch belongs to what is here: it is closed first. */
    if (own_close(core) != CRDT_OK || take_raised(core) != CRDT_OK
        || !snapshots_ask(core, true)) {
        join->retry_us = core->now_us + STORE_RETRY_US;
        return;
    }
    join->state = JOIN_BUILDING;
    join->number = core->journal.newest_number;
    join->is_tail_lost = false;
    join->is_own_forked = false;
    for (struct held *held = core->journal.first; held != NULL; held = held->next)
        held->is_joined = false;
}

/* Back to where all is staged, unless that is at fault. What fails twice for want of
 * disk or memory gives room; but not once a restart would load it: then the document
 * has to follow. */
static void fail(struct core *core, const struct core_input *input)
{
    struct join *join = &core->join;
    const char *reason = input->reason == NULL ? "not known" : input->reason;
    tell(core, input->is_refused ? "refused" : "failed",
        input->is_refused ? CORE_ALARM : CORE_WARNING, reason);
    swap_drop_tail(core);
    join->state = JOIN_READY;
    join->failures++;
    join->retry_us = core->now_us + JOIN_RETRY_US;
    if (input->is_refused)
        join_refuse(core);
    else if (join->failures >= 2 && !join->is_durable)
        join_end(core);
}

void swap_built(struct core *core, const struct core_input *input)
{
    struct join *join = &core->join;
    assert(join->state == JOIN_BUILDING);
    assert(input->is_ok == (input->document != NULL));
    if (!input->is_ok) {
        fail(core, input);
        return;
    }
    join->document = input->document;
    join->is_durable = true;
    join->state = JOIN_TAKING;
    join->retry_us = core->now_us;
}

/* What the joined snapshot brought is below the floor, and will be durable here
 * with the swap: room is made for that. Said again as often as memory is out. */
static enum crdt_status take_floor(struct core *core)
{
    struct join *join = &core->join;
    enum crdt_status status = CRDT_OK;
    for (size_t index = 0; status == CRDT_OK && index < join->raised.count; index++) {
        const struct crdt_dot *raised = &join->raised.items[index];
        status = drop_raise_floor(core, &raised->origin, raised->seq);
    }
    struct tips_walk walk = tips_begin(join->snapshot.tips);
    struct tip tip;
    while (status == CRDT_OK && tips_next(&walk, &tip))
        status = journal_reserve(&core->journal, &tip.batch.origin);
    return status;
}

/* What is durable is acknowledged, and a removal made here afterwards has to have
 * seen it (invariant I9): so not before the swap. */
static void take_durable(struct core *core)
{
    struct vector *durable = &core->journal.durable;
    struct tips_walk walk = tips_begin(core->join.snapshot.tips);
    struct tip tip;
    while (tips_next(&walk, &tip)) {
        if (tip.batch.last_seq > vector_get(durable, &tip.batch.origin))
            vector_update(durable, &tip.batch.origin, tip.batch.last_seq);
    }
    core->durable_version++;
}

/* ---- Catching up ---------------------------------------------------------- */

/* The snapshot's history is followed from the swap on. Its tip was found signed when
 * it was built; without one that contradicts, the batch names another history of
 * somebody else's feed. */
static void keep_evidence(struct core *core, const struct held *held)
{
    struct tip other = {.batch = held->batch};
    memcpy(other.signature, held->signature, sizeof other.signature);
    struct tips_walk walk = tips_begin(core->join.snapshot.tips);
    struct tip tip;
    while (tips_next(&walk, &tip)) {
        if (!evidence_contradicts(&tip.batch, &held->batch))
            continue;
        tell_record(core, &tip, &other);
        return;
    }
    tell_record(core, &other, NULL);
}

/* What contradicts the snapshot is passed over: a restart, which loads it and
 * replays the batches behind it, would do the same. */
static enum crdt_status merge(struct core *core, const struct held *held)
{
    struct join *join = &core->join;
    enum crdt_status status = crdt_merge(join->document, held->batch.bytes);
    if (status == CRDT_OK || status == CRDT_ERR_NOMEM)
        return status;
    struct crdt_origin self = crdt_self(core->document);
    if (crdt_origin_compare(&held->batch.origin, &self) == 0)
        join->is_own_forked = true;
    core_refuse(core, REFUSED_REPLAY, NULL);
    if (status == CRDT_ERR_FORK)
        keep_evidence(core, held);
    return CRDT_OK;
}

/* Merges batches for some milliseconds at most; true in `ret_is_done` when none
 * is left. */
static enum crdt_status catch_up(struct core *core, size_t bytes_max, bool *ret_is_done)
{
    struct join *join = &core->join;
    size_t bytes = 0;
    while (join->tail_first != NULL && bytes < bytes_max) {
        struct held *held = join->tail_first;
        enum crdt_status status = merge(core, held);
        if (status != CRDT_OK)
            return status;
        bytes += held->batch.bytes.size;
        join->tail_bytes -= held->batch.bytes.size;
        join->tail_first = held->next;
        if (held->next == NULL)
            join->tail_last = NULL;
        held_free(&core->options.memory, held);
    }
    struct held *held = core->journal.first;
    for (; held != NULL && bytes < bytes_max; held = held->next) {
        if (held->is_mark || held->is_joined)
            continue;
        enum crdt_status status = merge(core, held);
        if (status != CRDT_OK)
            return status;
        bytes += held->batch.bytes.size;
        held->is_joined = true;
    }
    *ret_is_done = bytes < bytes_max;
    return CRDT_OK;
}

/* ---- The swap ------------------------------------------------------------- */

/* The new document goes on under the present generation, if it knows no more of
 * it than this node does. */
static enum crdt_status name_generation(struct core *core)
{
    struct join *join = &core->join;
    struct crdt_origin self = crdt_self(core->document);
    bool is_lost =
        crdt_applied(join->document, &self) > crdt_applied(core->document, &self);
    enum crdt_status status = CRDT_OK;
    if (is_lost || join->is_own_forked)
        status = generation_begin(core, "a-snapshot-had-own-operations-that-are-not-here");
    if (status != CRDT_OK)
        return status;
    join->is_own_forked = false;
    return generation_name(core, join->document);
}

static void swap(struct core *core, struct core_output *discard)
{
    struct join *join = &core->join;
    discard->document = core->document;
    core->document = join->document;
    join->document = NULL;
    take_durable(core);
    core->swapped_ordinal = core->journal.newest_ordinal;
    if (join->source != NULL)
        join->source->blames = 0;
    join->patience = 0;
    core->joins++;
    core->scan_epoch++;
    core->is_fold_stale = true;
    core_changed(core);
    tell(core, "joined", CORE_INFO, NULL);
    join_end(core);
    receive_retry(core);
    for (size_t index = 0; index < core->options.peer_count; index++) {
        if (core->peers[index].link != 0)
            sync_summarize(core, &core->peers[index], false);
    }
}

/* All in one step: the open batch is closed and merged as well. */
static enum crdt_status finish(struct core *core)
{
    bool is_done;
    enum crdt_status status = own_close(core);
    if (status == CRDT_OK)
        status = catch_up(core, SIZE_MAX, &is_done);
    if (status == CRDT_OK)
        status = name_generation(core);
    if (status != CRDT_OK)
        return status;
    struct core_output *discard = outputs_add(&core->outputs, CORE_DISCARD);
    if (discard == NULL)
        return CRDT_ERR_NOMEM;
    swap(core, discard);
    return CRDT_OK;
}

/* The document is durable, but what came after it is not all in memory: once
 * more, from the store. */
static void build_again(struct core *core)
{
    struct join *join = &core->join;
    tell(core, "built-again", CORE_WARNING, "too many batches came while it was made");
    swap_discard(core, join->document);
    join->document = NULL;
    join->state = JOIN_READY;
    join->ready_us = core->now_us;
    join->retry_us = core->now_us;
}

void swap_go_on(struct core *core)
{
    struct join *join = &core->join;
    if (join->retry_us > core->now_us)
        return;
    enum crdt_status status = CRDT_OK;
    bool is_done = false;
    if (join->state == JOIN_TAKING)
        status = take_floor(core);
    if (status == CRDT_OK && join->is_tail_lost) {
        build_again(core);
        return;
    }
    if (status == CRDT_OK) {
        join->state = JOIN_CATCHING_UP;
        status = catch_up(core, JOIN_SLICE_BYTES, &is_done);
    }
    if (status == CRDT_OK && is_done)
        status = finish(core);
    if (status != CRDT_OK)
        join->retry_us = core->now_us + MEMORY_RETRY_US;
}
