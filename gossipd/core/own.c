/* Own batches: when they are closed, how they are signed, when they may leave;
 * what the store says; the way to a clean stop. */
#include "gossipd/core/machine.h"

#include <assert.h>
#include <string.h>

uint64_t own_due_us(const struct core *core)
{
    if (crdt_open_records(core->document) == 0)
        return UINT64_MAX;
    if (core->retry_us != UINT64_MAX)
        return core->retry_us;
    size_t bytes = crdt_open_bytes(core->document);
    if (core->durability == CORE_ALWAYS) {
        bool is_turn = core->journal.own_count == 0 || bytes >= ALWAYS_CLOSE_BYTES;
        return is_turn ? 0 : UINT64_MAX;
    }
    return bytes >= BATCH_CLOSE_BYTES ? 0 : core->closed_us + BATCH_INTERVAL_US;
}

uint64_t own_ordinal(const struct core *core)
{
    bool is_open = crdt_open_records(core->document) > 0;
    return core->journal.newest_ordinal + (is_open ? 1 : 0);
}

enum crdt_status own_mark(struct core *core, enum core_mark mark, uint64_t value)
{
    struct held *held = held_new(&core->options.memory, 0);
    if (held == NULL)
        return CRDT_ERR_NOMEM;
    held->is_mark = true;
    held->mark = mark;
    held->value = value;
    journal_append(&core->journal, held);
    journal_put_out(&core->journal, &core->outputs);
    return CRDT_OK;
}

/* Before the first own batch leaves ahead of its durability, the store must
 * durably say so. */
static bool ask_to_go_ahead(struct core *core)
{
    if (core->durability == CORE_ALWAYS || core->options.peer_count == 0)
        return false;
    if (core->ahead != AHEAD_CLEAR)
        return true;
    if (own_mark(core, CORE_MARK_AHEAD, 1) != CRDT_OK)
        return false;
    core->ahead = AHEAD_ASKED;
    return true;
}

/* Closes the open batch into `held`, which has room for it. */
static enum crdt_status seal_into(struct core *core, struct held *held)
{
    struct crdt_bytes bytes;
    enum crdt_status status = crdt_seal(core->document, &bytes);
    if (status != CRDT_OK)
        return status;
    struct crdt_batch batch;
    status = crdt_batch_read(bytes, &batch);
    assert(status == CRDT_OK);
    assert(batch.bytes.size == bytes.size);
    held_fill(held, &batch);
    uint8_t message[CORE_SIGNED_BYTES];
    core_signed_message(core->options.cluster_id, batch.head, message);
    core->options.crypto.sign(
        core->options.crypto.context, message, sizeof message, held->signature);
    return CRDT_OK;
}

/* Offers to the links what may go before it is durable; nothing while the store
 * fails, when nobody can say whether it ever will be. */
static void send_early(struct core *core)
{
    if (core->ahead != AHEAD_SET || core->journal.state != JOURNAL_WORKING)
        return;
    for (struct held *held = core->journal.first; held != NULL; held = held->next) {
        if (held->ordinal == 0 || held->is_sent)
            continue;
        if (!held->may_go_early)
            return;
        held->is_sent = true;
        serve_own(core, held);
    }
}

enum crdt_status own_close(struct core *core)
{
    if (crdt_open_records(core->document) == 0)
        return CRDT_OK;
    /* Room is made before the batch is closed, since afterwards there is no way
     * back: twice the estimate, and the deps, which it need not include. */
    size_t room = 2 * crdt_open_bytes(core->document)
        + 64 * crdt_feed_count(core->document) + 4096;
    struct crdt_origin self = crdt_self(core->document);
    struct held *held = held_new(&core->options.memory, room);
    enum crdt_status status = held == NULL ? CRDT_ERR_NOMEM : CRDT_OK;
    if (status == CRDT_OK)
        status = journal_reserve(&core->journal, &self);
    if (status == CRDT_OK)
        status = seal_into(core, held);
    if (status != CRDT_OK) {
        held_free(&core->options.memory, held);
        if (status == CRDT_ERR_NOMEM)
            core_retry_soon(core);
        return status;
    }
    held->wall_ms = core->wall_ms;
    held->ordinal = core->journal.newest_ordinal + 1;
    held->may_go_early = ask_to_go_ahead(core);
    core->closed_us = core->now_us;
    core_changed(core);
    headers_keep(&core->headers, &held->batch, held->signature);
    snapshots_count(core, held->batch.bytes.size);
    journal_append(&core->journal, held);
    journal_put_out(&core->journal, &core->outputs);
    send_early(core);
    return CRDT_OK;
}

/* One thing has become durable. */
static void handle_stored(struct core *core, struct held *held)
{
    if (held->is_mark && !held->is_evidence && held->mark == CORE_MARK_AHEAD) {
        if (held->value == 1)
            core->ahead = AHEAD_SET;
        else if (core->ahead == AHEAD_CLEARING)
            core->ahead = AHEAD_CLEAR;
    }
    if (held->ordinal != 0 && !held->is_sent)
        serve_own(core, held);
    /* Without memory an older word stays true. What a swap brought counts once the
     * removals that were on their way then, which had not seen it, are durable. */
    if (held->ordinal != 0 && held->ordinal >= core->swapped_ordinal)
        (void)!vector_copy(&core->settled, &core->journal.durable);
    core->log_bytes += held->batch.bytes.size;
    swap_keep(core, held);
}

void own_stored(struct core *core, uint64_t number)
{
    bool has_failed = core->journal.state != JOURNAL_WORKING;
    for (;;) {
        struct held *held = journal_take_stored(&core->journal, number);
        if (held == NULL)
            break;
        handle_stored(core, held);
    }
    core->durable_version++;
    core->is_fold_stale = true;
    if (has_failed && core->journal.state == JOURNAL_WORKING) {
        core_event(core, CORE_EVENT_STORE_BACK, CORE_INFO, NULL);
        journal_put_out(&core->journal, &core->outputs);
    }
    send_early(core);
    clients_release(&core->clients, &core->outputs, core->journal.durable_ordinal);
    own_go_on_stopping(core);
}

static void remember_refusal(struct core *core, const char *reason)
{
    static const char begin[] = "IOERR the last write could not be stored: ";
    size_t room = sizeof core->write_refusal - sizeof begin;
    size_t size = strlen(reason) < room ? strlen(reason) : room;
    memcpy(core->write_refusal, begin, sizeof begin - 1);
    memcpy(core->write_refusal + sizeof begin - 1, reason, size);
    core->write_refusal[sizeof begin - 1 + size] = '\0';
}

void own_store_failed(struct core *core, uint64_t number, const char *reason)
{
    bool is_first = core->journal.state == JOURNAL_WORKING;
    reason = reason == NULL ? "the reason is not known" : reason;
    journal_fail(&core->journal, number, core->now_us);
    remember_refusal(core, reason);
    clients_release_failed(&core->clients, &core->outputs);
    if (!is_first)
        return;
    struct fields fields = {0};
    fields_text(&fields, "reason", reason);
    fields_number(&fields, "waiting_bytes", core->journal.bytes);
    core_event(core, CORE_EVENT_STORE_FAILED, CORE_ALARM, &fields);
}

void own_retry_store(struct core *core)
{
    if (core->journal.state == JOURNAL_FAILED && core->journal.retry_us <= core->now_us)
        journal_retry(&core->journal, &core->outputs);
    else
        journal_put_out(&core->journal, &core->outputs);
}

void own_go_on_stopping(struct core *core)
{
    if (core->phase != PHASE_STOPPING)
        return;
    if (own_close(core) != CRDT_OK || core->journal.first != NULL)
        return;
    if (core->ahead == AHEAD_SET) {
        /* Everything is durable: the next start may go on as it was. */
        if (own_mark(core, CORE_MARK_AHEAD, 0) == CRDT_OK)
            core->ahead = AHEAD_CLEARING;
        else
            core_retry_soon(core);
        return;
    }
    core->phase = PHASE_STOPPED;
    core_event(core, CORE_EVENT_STOPPED, CORE_INFO, NULL);
}
