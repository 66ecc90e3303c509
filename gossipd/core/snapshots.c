/* When the state is written down, so that a restart need not replay all and old
 * batches can be dropped. The host makes it, aside, out of what is in the store.
 *
 *     IDLE --enough batches, or a join--> ON (SNAPSHOT) --SNAPSHOT_DONE--> IDLE
 *
 * A snapshot stands for all STOREs put out before it; those that come while it
 * is made belong to the next one. */
#include "gossipd/core/machine.h"

#include "gossipd/wire/tips.h"

#include <assert.h>

void snapshots_count(struct core *core, size_t batch_bytes)
{
    core->tail_bytes += batch_bytes + ROW_OVERHEAD_BYTES;
}

/* A large state is written down less often, so that all snapshots together are
 * at most twice as much writing as the batches between them. */
static uint64_t threshold(const struct core *core)
{
    uint64_t bytes = core->options.snapshot_bytes;
    return bytes > core->newest.bytes / 2 ? bytes : core->newest.bytes / 2;
}

static bool is_wanted(const struct core *core)
{
    bool is_join_made = core->join.state >= JOIN_BUILDING;
    if (core->phase != PHASE_SERVING || core->is_snapshot_on || is_join_made
        || core->options.snapshot_bytes == 0)
        return false;
    return core->must_snapshot || (core->tail_bytes > 0 && core->tail_bytes >= threshold(core));
}

/* When a snapshot that is wanted may be begun. One that is being sent to a peer
 * would be void with the next: that one waits, while the log has room. */
static uint64_t begin_us(const struct core *core)
{
    uint64_t due_us = core->snapshot_retry_us;
    uint64_t busy_us = offer_busy_until_us(core);
    bool has_room = core->tail_bytes <= core->options.log_bytes_max;
    return has_room && busy_us > due_us ? busy_us : due_us;
}

uint64_t snapshots_due_us(const struct core *core)
{
    /* What is due and has no reason to wait was done at the end of the step. */
    return is_wanted(core) && begin_us(core) > core->now_us ? begin_us(core) : UINT64_MAX;
}

/* Nothing of the state may be missing among the STOREs put out before it. */
static bool is_all_put_out(struct core *core)
{
    return own_close(core) == CRDT_OK && core->journal.state == JOURNAL_WORKING
        && core->journal.waiting == NULL;
}

/* What must be in it. The store may have lost what it once said it had: what is put in
 * the place of the newest snapshot then would hide that from the next start. */
static bool copy_context(struct core *core, struct crdt_bytes *ret_context)
{
    struct crdt_buffer context;
    crdt_buffer_init(&context, &core->options.memory);
    enum crdt_status status = crdt_summary(core->document, &context);
    if (status == CRDT_OK)
        status = outputs_copy(&core->outputs, crdt_buffer_bytes(&context), ret_context);
    crdt_buffer_close(&context);
    return status == CRDT_OK;
}

bool snapshots_ask(struct core *core, bool is_join)
{
    assert(!core->is_snapshot_on);
    struct core_output *output = NULL;
    struct crdt_bytes context;
    if (is_all_put_out(core) && copy_context(core, &context))
        output = outputs_add(&core->outputs, CORE_SNAPSHOT);
    if (output == NULL)
        return false;
    output->bytes = context;
    core->build_options = core_document_options(core);
    output->number = ++core->newest_snapshot_id;
    output->value = core->journal.newest_number;
    output->options = &core->build_options;
    output->is_join = is_join;
    core->is_snapshot_on = true;
    core->is_snapshot_join = is_join;
    core->tail_bytes_covered = core->tail_bytes;
    return true;
}

void snapshots_go_on(struct core *core)
{
    if (!is_wanted(core) || begin_us(core) > core->now_us)
        return;
    if (!snapshots_ask(core, false))
        core->snapshot_retry_us = core->now_us + STORE_RETRY_US;
}

/* Reads what is in the newest snapshot. */
static enum crdt_status take_tips(struct core *core, struct crdt_bytes tips)
{
    size_t count;
    enum crdt_status status = tips_check(tips, &count);
    if (status == CRDT_OK)
        status = crdt_buffer_append(&core->newest_tips, tips.data, tips.size);
    if (status != CRDT_OK)
        return status;
    struct tips_walk walk = tips_begin(tips);
    struct tip tip;
    while (status == CRDT_OK && tips_next(&walk, &tip)) {
        /* Their batches may be dropped from now on. */
        headers_keep(&core->headers, &tip.batch, tip.signature);
        status = vector_set(&core->newest_context, &tip.batch.origin, tip.batch.last_seq);
    }
    return status;
}

/* One is durable. If what is in it cannot be kept in mind, nothing can be dropped
 * or offered because of it: another one is made soon. */
static void take_newest(struct core *core, const struct core_snapshot *snapshot)
{
    crdt_buffer_clear(&core->newest_tips);
    vector_clear(&core->newest_context);
    core->newest = (struct core_snapshot){0};
    core->must_snapshot = take_tips(core, snapshot->tips) != CRDT_OK;
    if (core->must_snapshot) {
        vector_clear(&core->newest_context);
        core->snapshot_retry_us = core->now_us + SNAPSHOT_RETRY_US;
        return;
    }
    core->newest = *snapshot;
    core->newest.tips = crdt_buffer_bytes(&core->newest_tips);
}

void snapshots_replay(struct core *core, const struct core_input *input)
{
    assert(core->phase == PHASE_REPLAYING);
    enum crdt_status status = core_load(core, input->bytes);
    core->has_snapshot = status == CRDT_OK;
    core->is_replay_short = status == CRDT_ERR_NOMEM;
    struct fields fields = {0};
    fields_text(&fields, "what", status == CRDT_OK ? "loaded" : "not-loaded");
    fields_number(&fields, "bytes", input->bytes.size);
    if (status == CRDT_OK)
        take_newest(core, input->snapshot);
    else
        fields_text(&fields, "reason", crdt_status_text(status));
    core_event(core, CORE_EVENT_SNAPSHOT, status == CRDT_OK ? CORE_INFO : CORE_ALARM, &fields);
}

static void tell_done(struct core *core, const struct core_input *input)
{
    struct fields fields = {0};
    fields_text(&fields, "what", input->is_ok ? "made" : "failed");
    if (input->is_ok) {
        fields_number(&fields, "bytes", input->snapshot->bytes);
        fields_number(&fields, "behind_it", core->tail_bytes);
    } else {
        fields_text(&fields, "reason", input->reason == NULL ? "not known" : input->reason);
    }
    core_event(core, CORE_EVENT_SNAPSHOT, input->is_ok ? CORE_INFO : CORE_WARNING, &fields);
}

void snapshots_done(struct core *core, const struct core_input *input)
{
    if (!core->is_snapshot_on || input->number != core->newest_snapshot_id) {
        swap_discard(core, input->document);
        return;
    }
    core->is_snapshot_on = false;
    if (input->is_ok) {
        assert(core->tail_bytes >= core->tail_bytes_covered);
        core->tail_bytes -= core->tail_bytes_covered;
        core->snapshots++;
        take_newest(core, input->snapshot);
        core->drop_us = core->now_us;
    } else {
        core->snapshot_retry_us = core->now_us + SNAPSHOT_RETRY_US;
    }
    tell_done(core, input);
    if (core->is_snapshot_join)
        swap_built(core, input);
}

bool core_has_snapshot(const struct core *core)
{
    return core->has_snapshot;
}
