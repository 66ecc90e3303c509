/* The seam: one switch that dispatches, and time. */
#include "gossipd/core/core.h"

#include "gossipd/core/machine.h"
#include "gossipd/core/memory.h"
#include "gossipd/core/random.h"

#include <assert.h>
#include <string.h>

/* ---- What all deciders use ---------------------------------------------- */

void core_event(struct core *core, enum core_event event, enum core_level level,
    const struct fields *fields)
{
    struct crdt_bytes copy = {.data = "", .size = 1};
    if (fields != NULL && fields->size > 0) {
        struct crdt_bytes text = {.data = fields->data, .size = fields->size + 1};
        if (outputs_copy(&core->outputs, text, &copy) != CRDT_OK)
            copy.data = "";
    }
    struct core_output *output = outputs_add(&core->outputs, CORE_EVENT);
    if (output == NULL)
        return;
    output->event = event;
    output->level = level;
    output->text = copy.data;
}

void core_refuse(struct core *core, enum refusal refusal, const struct peer *peer)
{
    static const char *const reasons[REFUSED_COUNT] = {
        [REFUSED_MALFORMED] = "malformed",
        [REFUSED_VERSION] = "newer-wire-version",
        [REFUSED_SIGNATURE] = "bad-signature",
        [REFUSED_ORIGIN] = "unknown-origin",
        [REFUSED_LINK] = "link-of-unknown-key",
        [REFUSED_MEMORY] = "out-of-memory",
        [REFUSED_FULL] = "too-much-in-flight",
        [REFUSED_REPLAY] = "stored-batch-unusable",
    };
    uint64_t last_us = core->refused_us[refusal];
    core->refusals[refusal]++;
    if (core->refusals[refusal] > 1 && core->now_us - last_us < ALARM_US)
        return;
    core->refused_us[refusal] = core->now_us;
    struct fields fields = {0};
    fields_text(&fields, "reason", reasons[refusal]);
    if (peer != NULL)
        fields_text(&fields, "member", peer->member->name);
    fields_number(&fields, "count", core->refusals[refusal]);
    core_event(core, CORE_EVENT_DROPPED,
        refusal == REFUSED_REPLAY ? CORE_ALARM : CORE_WARNING, &fields);
}

void core_retry_soon(struct core *core)
{
    if (core->retry_us == UINT64_MAX)
        core->retry_us = core->now_us + MEMORY_RETRY_US;
}

void core_changed(struct core *core)
{
    core->version++;
    core->changed_us = core->now_us;
}

struct peer *core_peer_by_key(struct core *core, const uint8_t key[static CRDT_KEY_BYTES])
{
    for (size_t index = 0; index < core->options.peer_count; index++) {
        if (memcmp(core->options.peers[index].key, key, CRDT_KEY_BYTES) == 0)
            return &core->peers[index];
    }
    return NULL;
}

struct peer *core_peer_by_link(struct core *core, uint64_t link)
{
    for (size_t index = 0; index < core->options.peer_count; index++) {
        if (link != 0 && core->peers[index].link == link)
            return &core->peers[index];
    }
    return NULL;
}

const char *core_member_name(struct core *core, const uint8_t key[static CRDT_KEY_BYTES])
{
    if (memcmp(core->options.key, key, CRDT_KEY_BYTES) == 0)
        return core->options.name;
    const struct peer *peer = core_peer_by_key(core, key);
    return peer == NULL ? NULL : peer->member->name;
}

/* ---- Opening and closing ------------------------------------------------- */

bool core_is_running(const struct core *core)
{
    return core->phase == PHASE_WAITING || core->phase == PHASE_SERVING;
}

struct crdt_options core_document_options(struct core *core)
{
    struct crdt_options options;
    crdt_options_init(&options);
    options.memory = core->options.memory;
    memcpy(options.key, core->options.key, CRDT_KEY_BYTES);
    /* Replay comes before the generation is named, so that own batches in the
     * store are no surprise. */
    options.generation = 0;
    options.keep_log = false;
    options.pending_bytes_max = 0;
    for (size_t index = 0; index < sizeof options.hash_seed; index++)
        options.hash_seed[index] = (uint8_t)random_next(&core->random);
    return options;
}

static enum crdt_status open_document(struct core *core)
{
    struct crdt_options options = core_document_options(core);
    return crdt_open(&options, &core->document);
}

enum crdt_status core_load(struct core *core, struct crdt_bytes snapshot)
{
    struct crdt_options options = core_document_options(core);
    struct crdt_document *document;
    enum crdt_status status = crdt_load(&options, snapshot, &document);
    if (status != CRDT_OK)
        return status;
    crdt_close(core->document);
    core->document = document;
    core_changed(core);
    return CRDT_OK;
}

static enum crdt_status open_peers(struct core *core)
{
    size_t count = core->options.peer_count;
    if (count == 0)
        return CRDT_OK;
    core->peers = memory_new(&core->options.memory, count * sizeof *core->peers);
    if (core->peers == NULL)
        return CRDT_ERR_NOMEM;
    for (size_t index = 0; index < count; index++)
        peer_init(&core->peers[index], &core->options.peers[index], &core->options.memory);
    return CRDT_OK;
}

static void open_parts(struct core *core)
{
    const struct crdt_memory *memory = &core->options.memory;
    journal_init(&core->journal, memory);
    pending_init(&core->pending, memory, PENDING_BYTES_MAX);
    clients_init(&core->clients, memory);
    vector_init(&core->claims, memory);
    headers_init(&core->headers, memory);
    proofs_init(&core->proofs, memory);
    vector_init(&core->settled, memory);
    vector_init(&core->floor, memory);
    vector_init(&core->gaps, memory);
    vector_init(&core->newest_context, memory);
    crdt_buffer_init(&core->newest_tips, memory);
    join_open(core);
    crdt_buffer_init(&core->scratch, memory);
    crdt_buffer_init(&core->summary, memory);
    crdt_buffer_init(&core->held, memory);
    crdt_buffer_init(&core->reply, memory);
}

enum crdt_status core_open(const struct core_options *options, struct core **ret_core)
{
    assert(options->peer_count <= MEMBERS_MAX);
    assert(options->memory.reallocate != NULL);
    struct core *core = memory_new(&options->memory, sizeof *core);
    if (core == NULL)
        return CRDT_ERR_NOMEM;
    core->options = *options;
    if (options->fold_count == 0)
        core->options.fold_count = FOLD_COUNT;
    if (options->fold_away_us == 0)
        core->options.fold_away_us = FOLD_AWAY_US;
    core->random = options->seed;
    core->durability = options->durability;
    core->is_generation_burnt = options->is_generation_burnt;
    core->phase = PHASE_REPLAYING;
    core->retry_us = UINT64_MAX;
    core->digest_version = UINT64_MAX;
    core->is_fold_stale = true;
    open_parts(core);
    enum crdt_status status = outputs_init(&core->outputs, &core->options.memory);
    if (status == CRDT_OK)
        status = open_document(core);
    if (status == CRDT_OK)
        status = open_peers(core);
    if (status != CRDT_OK) {
        core_close(core);
        return status;
    }
    *ret_core = core;
    return CRDT_OK;
}

void core_close(struct core *core)
{
    if (core == NULL)
        return;
    struct crdt_memory memory = core->options.memory;
    for (size_t index = 0; core->peers != NULL && index < core->options.peer_count; index++)
        peer_close(&core->peers[index]);
    memory_free(&memory, core->peers, core->options.peer_count * sizeof *core->peers);
    clients_close(&core->clients);
    receive_close(core);
    forks_close(core);
    pending_close(&core->pending);
    journal_close(&core->journal);
    vector_close(&core->claims);
    vector_close(&core->settled);
    vector_close(&core->floor);
    vector_close(&core->gaps);
    vector_close(&core->newest_context);
    crdt_buffer_close(&core->newest_tips);
    drop_close(core);
    join_close(core);
    crdt_buffer_close(&core->scratch);
    crdt_buffer_close(&core->summary);
    crdt_buffer_close(&core->held);
    crdt_buffer_close(&core->reply);
    outputs_close(&core->outputs);
    crdt_close(core->document);
    memory_free(&memory, core, sizeof *core);
}

/* ---- Steps ---------------------------------------------------------------- */

/* The store is in: names the generation, and lets links and then clients come. */
static void serve(struct core *core)
{
    if (!replay_is_whole(core))
        return;
    core->phase = PHASE_OPENING;
    enum crdt_status status = vector_take(&core->journal.durable, core->document);
    if (status == CRDT_OK)
        status = generation_continue(core);
    if (status != CRDT_OK) {
        core_retry_soon(core);
        return;
    }
    core->started_us = core->now_us;
    core->durable_version++;
    core->waiting_until_us = core->now_us;
    /* A node that has written before may have lost some of it, even all. */
    if (core->options.peer_count > 0 && core->options.generation != 0)
        core->waiting_until_us += START_WAIT_US;
    core->phase = PHASE_WAITING;
    for (size_t index = 0; index < core->options.peer_count; index++) {
        core->peers[index].dial_us = core->now_us;
        core->peers[index].since_us = core->now_us;
    }
    join_serve(core);
    drop_serve(core);
    links_tick(core);
}

static void tick(struct core *core)
{
    if (core->retry_us <= core->now_us) {
        core->retry_us = UINT64_MAX;
        receive_retry(core);
    }
    if (core->phase == PHASE_OPENING)
        serve(core);
    own_retry_store(core);
    if (own_due_us(core) <= core->now_us && own_close(core) != CRDT_OK)
        core_retry_soon(core);
    links_tick(core);
    offer_go_on(core);
    join_tick(core);
    own_go_on_stopping(core);
}

static void stop(struct core *core)
{
    if (core->phase >= PHASE_STOPPING)
        return;
    core->phase = PHASE_STOPPING;
    own_go_on_stopping(core);
}

static void take_verified(struct core *core, const struct core_input *input)
{
    if (!join_verified(core, input->number, input->is_ok))
        receive_verified(core, input->number, input->is_ok);
}

static void take_fetched(struct core *core, const struct core_input *input)
{
    if (!forks_fetched(core, input))
        serve_fetched(core, input);
}

static void dispatch(struct core *core, const struct core_input *input)
{
    switch (input->kind) {
    case CORE_REPLAY_FLOOR:
    case CORE_REPLAY_SNAPSHOT:
    case CORE_REPLAY:
    case CORE_REPLAY_STAGED:
    case CORE_REPLAY_EVIDENCE:
        replay_take(core, input);
        break;
    case CORE_SERVE:
        serve(core);
        break;
    case CORE_TICK:
        tick(core);
        break;
    case CORE_FRAME:
        sync_frame(core, input);
        break;
    case CORE_LINK_UP:
        links_up(core, input);
        break;
    case CORE_LINK_DOWN:
        links_down(core, input->link);
        break;
    case CORE_COMMAND:
        perform_command(core, input);
        break;
    case CORE_CLIENT_GONE:
        clients_remove(&core->clients, input->client);
        break;
    case CORE_STORED:
        own_stored(core, input->number);
        break;
    case CORE_STORE_FAILED:
        own_store_failed(core, input->number, input->reason);
        break;
    case CORE_FETCHED:
        take_fetched(core, input);
        break;
    case CORE_VERIFIED:
        take_verified(core, input);
        break;
    case CORE_BACKED_UP:
        perform_backed_up(core, input);
        break;
    case CORE_SNAPSHOT_DONE:
        snapshots_done(core, input);
        break;
    case CORE_DROPPED:
        drop_done(core, input);
        break;
    case CORE_PART:
        offer_fetched(core, input);
        break;
    case CORE_STAGED:
        join_staged(core, input);
        break;
    case CORE_STOP:
        stop(core);
        break;
    }
}

/* Writes may begin once nobody can know own operations that are missing here, or
 * nobody has said so in time. Who has said so is given time to show them, too. */
static void begin_serving_if_due(struct core *core)
{
    if (core->phase != PHASE_WAITING)
        return;
    bool is_late = core->now_us >= core->waiting_until_us;
    if (!is_late && !generation_is_confirmed(core))
        return;
    if (is_late && !core->has_waited_for_proof && generation_is_doubted(core)) {
        core->has_waited_for_proof = true;
        core->waiting_until_us = core->now_us + START_WAIT_US;
        return;
    }
    core->phase = PHASE_SERVING;
    core_event(core, CORE_EVENT_SERVING, CORE_INFO, NULL);
}

void core_step(struct core *core, const struct core_input *input, struct core_outputs *ret_outputs)
{
    assert(input->monotonic_us >= core->now_us);
    core->now_us = input->monotonic_us;
    core->wall_ms = input->wall_ms;
    outputs_reset(&core->outputs);
    dispatch(core, input);
    begin_serving_if_due(core);
    freeze_go_on(core);
    forks_go_on(core);
    join_go_on(core);
    snapshots_go_on(core);
    drop_go_on(core);
    ret_outputs->items = core->outputs.items;
    ret_outputs->count = core->outputs.count;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t core_deadline_us(const struct core *core)
{
    if (core->phase == PHASE_REPLAYING || core->phase == PHASE_STOPPED)
        return UINT64_MAX;
    uint64_t due_us = least(core->retry_us, own_due_us(core));
    due_us = least(due_us, links_due_us(core));
    due_us = least(due_us, snapshots_due_us(core));
    due_us = least(due_us, drop_due_us(core));
    due_us = least(due_us, offer_due_us(core));
    due_us = least(due_us, join_due_us(core));
    if (core->phase == PHASE_WAITING)
        due_us = least(due_us, core->waiting_until_us);
    if (core->journal.state == JOURNAL_FAILED)
        due_us = least(due_us, core->journal.retry_us);
    else if (core->journal.state == JOURNAL_WORKING && core->journal.waiting != NULL)
        due_us = least(due_us, core->now_us + MEMORY_RETRY_US);
    return due_us;
}

enum core_durability core_durability(const struct core *core)
{
    return core->durability;
}

const struct crdt_document *core_document(const struct core *core)
{
    return core->document;
}
