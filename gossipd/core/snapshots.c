/* When the state is written down, so that a restart loads it and replays only
 * what came after. The bytes are the host's affair: it takes them from a copy of
 * the process while this one goes on.
 *
 *     IDLE --enough batches--> ON (SNAPSHOT) --SNAPSHOT_DONE--> IDLE
 *
 * A snapshot stands for all STOREs put out before it; those that come while it
 * is made belong to the next one. */
#include "gossipd/core/machine.h"

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
    if (core->phase == PHASE_STOPPING)
        return bytes / SNAPSHOT_STOP_DIVISOR;
    return bytes > core->snapshot_bytes / 2 ? bytes : core->snapshot_bytes / 2;
}

static bool is_wanted(const struct core *core)
{
    bool is_running = core->phase == PHASE_SERVING || core->phase == PHASE_STOPPING;
    return is_running && !core->is_snapshot_on && core->options.snapshot_bytes > 0
        && core->tail_bytes > 0 && core->tail_bytes >= threshold(core);
}

uint64_t snapshots_due_us(const struct core *core)
{
    if (core->phase == PHASE_STOPPING && core->is_snapshot_on)
        return core->stopping_us + SNAPSHOT_STOP_US;
    /* What is due and has no reason to wait was done at the end of the step. */
    bool has_to_wait = core->snapshot_retry_us > core->now_us;
    return is_wanted(core) && has_to_wait ? core->snapshot_retry_us : UINT64_MAX;
}

/* Nothing of the state may be missing among the STOREs put out before it. */
static bool is_all_put_out(struct core *core)
{
    return own_close(core) == CRDT_OK && core->journal.state == JOURNAL_WORKING
        && core->journal.waiting == NULL;
}

void snapshots_go_on(struct core *core)
{
    if (!is_wanted(core) || core->snapshot_retry_us > core->now_us)
        return;
    struct core_output *output = NULL;
    if (is_all_put_out(core))
        output = outputs_add(&core->outputs, CORE_SNAPSHOT);
    if (output == NULL) {
        core->snapshot_retry_us = core->now_us + STORE_RETRY_US;
        return;
    }
    output->number = ++core->newest_snapshot_id;
    output->value = core->journal.newest_number;
    core->is_snapshot_on = true;
    core->tail_bytes_covered = core->tail_bytes;
}

bool snapshots_are_done(struct core *core)
{
    assert(core->phase == PHASE_STOPPING);
    if (core->now_us - core->stopping_us >= SNAPSHOT_STOP_US)
        return true;
    if (!core->is_snapshot_on && core->snapshot_retry_us <= core->now_us)
        snapshots_go_on(core);
    return !core->is_snapshot_on;
}

void snapshots_replay(struct core *core, struct crdt_bytes snapshot)
{
    assert(core->phase == PHASE_REPLAYING);
    enum crdt_status status = core_load(core, snapshot);
    core->has_snapshot = status == CRDT_OK;
    struct fields fields = {0};
    fields_text(&fields, "what", status == CRDT_OK ? "loaded" : "not-loaded");
    fields_number(&fields, "bytes", snapshot.size);
    if (status == CRDT_OK)
        core->snapshot_bytes = snapshot.size;
    else
        fields_text(&fields, "reason", crdt_status_text(status));
    core_event(core, CORE_EVENT_SNAPSHOT, status == CRDT_OK ? CORE_INFO : CORE_ALARM, &fields);
}

void snapshots_done(struct core *core, const struct core_input *input)
{
    if (!core->is_snapshot_on || input->number != core->newest_snapshot_id)
        return;
    core->is_snapshot_on = false;
    struct fields fields = {0};
    fields_text(&fields, "what", input->is_ok ? "made" : "failed");
    if (input->is_ok) {
        assert(core->tail_bytes >= core->tail_bytes_covered);
        core->tail_bytes -= core->tail_bytes_covered;
        core->snapshot_bytes = input->size;
        core->snapshots++;
        fields_number(&fields, "bytes", input->size);
        fields_number(&fields, "behind_it", core->tail_bytes);
    } else {
        core->snapshot_retry_us = core->now_us + SNAPSHOT_RETRY_US;
        fields_text(&fields, "reason", input->reason == NULL ? "not known" : input->reason);
    }
    core_event(core, CORE_EVENT_SNAPSHOT, input->is_ok ? CORE_INFO : CORE_WARNING, &fields);
    own_go_on_stopping(core);
}

enum crdt_status core_snapshot(struct core *core, struct crdt_buffer *ret_snapshot)
{
    assert(crdt_open_records(core->document) == 0);
    return crdt_snapshot(core->document, ret_snapshot);
}

bool core_has_snapshot(const struct core *core)
{
    return core->has_snapshot;
}
