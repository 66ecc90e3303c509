/* Errands to the store. See errand.h. */
#include "gossipd/host/store/errand.h"

#include <assert.h>
#include <string.h>

#include "gossipd/core/memory.h"
#include "gossipd/host/store/database_floor.h"
#include "gossipd/host/store/database_snapshot.h"
#include "gossipd/host/store/database_stage.h"

static bool copy_drop(struct errand *errand, const struct core_drop *drop)
{
    size_t bytes = drop->feed_count * sizeof *drop->feeds;
    errand->drop = *drop;
    errand->drop.feeds = NULL;
    if (drop->feed_count > 0) {
        errand->drop.feeds = memory_new(&errand->memory, bytes);
        if (errand->drop.feeds == NULL) {
            return false;
        }
        memcpy(errand->drop.feeds, drop->feeds, bytes);
    }
    return true;
}

static bool copy_stage(struct errand *errand, const struct core_output *output)
{
    const struct crdt_bytes tips = output->snapshot->tips;
    errand->snapshot = *output->snapshot;
    if (crdt_buffer_append(&errand->tips, tips.data, tips.size) != CRDT_OK ||
        crdt_buffer_append(&errand->bytes, output->bytes.data, output->bytes.size) != CRDT_OK) {
        return false;
    }
    errand->snapshot.tips = crdt_buffer_bytes(&errand->tips);
    return true;
}

static bool copy(struct errand *errand, const struct core_output *output)
{
    errand->part = output->value;
    errand->from = output->from;
    errand->bytes_max = output->bytes_max;
    memcpy(errand->snapshot.hash, output->head, sizeof errand->snapshot.hash);
    if (output->kind == CORE_FETCH) {
        errand->fetched = fetched_new(&errand->memory, errand->id);
        return errand->fetched != NULL;
    }
    return output->kind == CORE_DROP ? copy_drop(errand, output->drop)
        : output->kind == CORE_STAGE ? copy_stage(errand, output)
                                     : true;
}

struct errand *errand_new(const struct crdt_memory *memory, const struct core_output *output)
{
    struct errand *errand = memory_new(memory, sizeof *errand);
    if (errand == NULL) {
        return NULL;
    }
    errand->memory = *memory;
    errand->kind = output->kind;
    errand->id = output->number;
    crdt_buffer_init(&errand->tips, memory);
    crdt_buffer_init(&errand->bytes, memory);
    if (!copy(errand, output)) {
        errand_free(errand);
        return NULL;
    }
    return errand;
}

void errand_free(struct errand *errand)
{
    if (errand == NULL) {
        return;
    }
    struct crdt_memory memory = errand->memory;
    crdt_buffer_close(&errand->tips);
    crdt_buffer_close(&errand->bytes);
    fetched_free(errand->fetched);
    if (errand->drop.feeds != NULL) {
        memory_free(&memory, errand->drop.feeds,
            errand->drop.feed_count * sizeof *errand->drop.feeds);
    }
    memory_free(&memory, errand, sizeof *errand);
}

void errand_queue_init(struct errand_queue *queue)
{
    *queue = (struct errand_queue){.end = &queue->first};
}

void errand_queue_add(struct errand_queue *queue, struct errand *errand, uint64_t after)
{
    errand->after = after;
    *queue->end = errand;
    queue->end = &errand->next;
}

struct errand *errand_queue_take(struct errand_queue *queue, uint64_t taken)
{
    struct errand *errands = queue->first;
    struct errand **end = &queue->first;
    while (*end != NULL && (*end)->after <= taken) {
        end = &(*end)->next;
    }
    if (end == &queue->first) {
        return NULL;
    }
    queue->first = *end;
    *end = NULL;
    if (queue->first == NULL) {
        queue->end = &queue->first;
    }
    return errands;
}

static enum database_result do_fetch(struct errand *errand, struct database *database)
{
    if (!database_fetch(
            database, &errand->from, errand->bytes_max, errand->fetched, &errand->reason)) {
        log_write(CORE_ALARM, "fetch-failed", "error=\"%s\"", errand->reason.text);
    }
    errand->is_ok = errand->fetched->is_ok;
    return DATABASE_DONE;
}

static enum database_result do_fetch_part(struct errand *errand, struct database *database)
{
    errand->is_ok = database_snapshot_part(
        database_handle(database), errand->snapshot.hash, errand->part, &errand->bytes);
    return DATABASE_DONE;
}

static enum database_result do_drop(struct errand *errand, struct database *database)
{
    size_t count = 0;
    enum database_result result = database_drop(
        database, &errand->drop, &errand->memory, &errand->has_more, &errand->reason);
    errand->is_ok = result == DATABASE_DONE &&
        (database_floor_read(database_handle(database), &errand->bytes, &count) ||
            failure_say(&errand->reason, "the floor cannot be read"));
    errand->size = database_log_bytes(database);
    return result;
}

struct staging {
    struct errand *errand;
    bool is_next;
};

static bool stage(sqlite3 *handle, void *context)
{
    struct staging *staging = context;
    struct errand *errand = staging->errand;
    return database_stage_add(handle, &errand->snapshot, errand->part,
        crdt_buffer_bytes(&errand->bytes), &staging->is_next);
}

static bool unstage(sqlite3 *handle, void *context)
{
    (void)context;
    return database_stage_clear(handle);
}

static enum database_result do_stage(struct errand *errand, struct database *database)
{
    struct staging staging = {errand, true};
    enum database_result result =
        database_transact(database, stage, &staging, false, &errand->reason);
    if (!staging.is_next) {
        failure_say(&errand->reason, "the parts before it are not staged");
    }
    errand->is_ok = result == DATABASE_DONE;
    return result;
}

static enum database_result do_unstage(struct errand *errand, struct database *database)
{
    enum database_result result =
        database_transact(database, unstage, NULL, false, &errand->reason);
    if (result == DATABASE_FAILED) {
        log_write(CORE_WARNING, "unstage-failed", "error=\"%s\"", errand->reason.text);
    }
    return result;
}

enum database_result errand_do(struct errand *errand, struct database *database)
{
    switch ((unsigned)errand->kind) {
    case CORE_FETCH: return do_fetch(errand, database);
    case CORE_FETCH_PART: return do_fetch_part(errand, database);
    case CORE_DROP: return do_drop(errand, database);
    case CORE_STAGE: return do_stage(errand, database);
    case CORE_UNSTAGE: return do_unstage(errand, database);
    default: assert(false); return DATABASE_FAILED;
    }
}

bool errand_input(const struct errand *errand, struct core_input *ret_input)
{
    *ret_input = (struct core_input){.number = errand->id, .is_ok = errand->is_ok,
        .has_more = errand->has_more, .size = errand->size, .reason = errand->reason.text};
    switch ((unsigned)errand->kind) {
    case CORE_FETCH:
        ret_input->kind = CORE_FETCHED;
        ret_input->rows = errand->fetched->rows;
        ret_input->row_count = errand->fetched->row_count;
        ret_input->seq_behind = errand->fetched->seq_behind;
        return true;
    case CORE_FETCH_PART:
        ret_input->kind = CORE_PART;
        ret_input->bytes = crdt_buffer_bytes(&errand->bytes);
        return true;
    case CORE_DROP:
        ret_input->kind = CORE_DROPPED;
        ret_input->bytes = crdt_buffer_bytes(&errand->bytes);
        return true;
    case CORE_STAGE: ret_input->kind = CORE_STAGED; return true;
    default: return false;
    }
}
