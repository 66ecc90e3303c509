#include "gossipd/core/journal.h"

#include "gossipd/limits.h"

#include <assert.h>
#include <string.h>

void journal_init(struct journal *journal, const struct crdt_memory *memory)
{
    *journal = (struct journal){.memory = memory, .retry_us = UINT64_MAX};
    vector_init(&journal->durable, memory);
}

void journal_close(struct journal *journal)
{
    while (journal->first != NULL) {
        struct held *held = journal->first;
        journal->first = held->next;
        held_free(journal->memory, held);
    }
    journal->last = NULL;
    vector_close(&journal->durable);
}

enum crdt_status journal_reserve(struct journal *journal, const struct crdt_origin *origin)
{
    uint64_t durable = vector_get(&journal->durable, origin);
    return vector_set(&journal->durable, origin, durable);
}

void journal_append(struct journal *journal, struct held *held)
{
    assert(held->number == 0);
    held->next = NULL;
    if (journal->last == NULL)
        journal->first = held;
    else
        journal->last->next = held;
    journal->last = held;
    if (journal->waiting == NULL)
        journal->waiting = held;
    journal->bytes += held->batch.bytes.size;
    if (held->ordinal == 0)
        return;
    assert(held->ordinal == journal->newest_ordinal + 1);
    journal->newest_ordinal = held->ordinal;
    journal->own_count++;
}

static void describe(struct core_output *output, const struct held *held)
{
    output->number = held->number;
    if (held->is_evidence) {
        output->bytes = held->batch.bytes;
        output->origin = held->batch.origin;
        output->wall_ms = held->wall_ms;
        return;
    }
    if (held->is_mark) {
        output->mark = held->mark;
        output->value = held->value;
        return;
    }
    output->bytes = held->batch.bytes;
    memcpy(output->signature, held->signature, sizeof output->signature);
    output->origin = held->batch.origin;
    output->first_seq = held->batch.first_seq;
    output->last_seq = held->batch.last_seq;
    output->wall_ms = held->wall_ms;
    memcpy(output->previous, held->batch.previous, sizeof output->previous);
    memcpy(output->head, held->batch.head, sizeof output->head);
}

static void put_out(struct journal *journal, struct outputs *outputs)
{
    for (; journal->waiting != NULL; journal->waiting = journal->waiting->next) {
        struct held *held = journal->waiting;
        assert(held->number == 0);
        enum core_output_kind kind = held->is_evidence ? CORE_STORE_EVIDENCE
            : held->is_mark ? CORE_STORE_MARK : CORE_STORE;
        struct core_output *output = outputs_add(outputs, kind);
        if (output == NULL)
            return;
        held->number = ++journal->newest_number;
        describe(output, held);
    }
}

void journal_put_out(struct journal *journal, struct outputs *outputs)
{
    if (journal->state == JOURNAL_WORKING)
        put_out(journal, outputs);
}

void journal_retry(struct journal *journal, struct outputs *outputs)
{
    assert(journal->state == JOURNAL_FAILED);
    put_out(journal, outputs);
    journal->state = JOURNAL_TRYING;
    journal->retry_us = UINT64_MAX;
    /* Nothing to try with: what comes next is the try. */
    if (journal->first == NULL)
        journal->state = JOURNAL_WORKING;
}

struct held *journal_take_stored(struct journal *journal, uint64_t number)
{
    struct held *held = journal->first;
    if (held == NULL || held->number == 0 || held->number > number)
        return NULL;
    if (journal->state == JOURNAL_TRYING)
        journal->state = JOURNAL_WORKING;
    journal->first = held->next;
    if (journal->first == NULL)
        journal->last = NULL;
    held->next = NULL;
    journal->bytes -= held->batch.bytes.size;
    if (!held->is_mark)
        vector_update(&journal->durable, &held->batch.origin, held->batch.last_seq);
    if (held->ordinal != 0) {
        assert(held->ordinal == journal->durable_ordinal + 1);
        journal->durable_ordinal = held->ordinal;
        journal->own_count--;
    }
    return held;
}

void journal_fail(struct journal *journal, uint64_t number, uint64_t now_us)
{
    journal->waiting = NULL;
    for (struct held *held = journal->first; held != NULL; held = held->next) {
        if (held->number != 0 && held->number < number)
            continue;
        held->number = 0;
        if (journal->waiting == NULL)
            journal->waiting = held;
    }
    journal->state = JOURNAL_FAILED;
    journal->retry_us = now_us + STORE_RETRY_US;
}
