/* A client's command: run at once on the document; the reply leaves when what
 * it tells of may be relied on. */
#include "gossipd/core/machine.h"

#include <string.h>

#include "gossipd/wire/resp.h"

static enum crdt_status seal(void *context)
{
    return own_close(context);
}

/* Why writes are refused; NULL when they are not. */
static const char *write_refusal(const struct core *core)
{
    if (core->phase < PHASE_SERVING)
        return "LOADING waiting for what the other members know of this one";
    if (core->phase > PHASE_SERVING)
        return "ERR the server is stopping";
    if (core->journal.state != JOURNAL_WORKING)
        return core->write_refusal;
    const struct core_facts *facts = core->options.facts;
    if (facts != NULL && facts->is_disk_short)
        return "IOERR the disk is nearly full, and the store needs what is left: make room";
    return NULL;
}

/* Which own contributions are known for good to all who might remove them (invariant
 * I9). This node is one of them: after a crash its next generation may have a part
 * only of what others have of the one before. Members that are away are not waited
 * for where the run begins that they have seen nothing of. */
static struct fold_bounds fold_bounds(struct core *core)
{
    if (!core->is_fold_stale)
        return core->folds;
    struct crdt_origin self = crdt_self(core->document);
    uint64_t seq = core->options.peer_count == 0 ? UINT64_MAX
                                                 : vector_get(&core->journal.durable, &self);
    struct fold_bounds folds = {.run_seq = seq, .count = core->options.fold_count};
    bool is_any_away = false;
    for (size_t index = 0; index < core->options.peer_count; index++) {
        struct peer *peer = &core->peers[index];
        uint64_t acknowledged = peer_acknowledged(peer, core->document, core->now_us);
        if (acknowledged < seq)
            seq = acknowledged;
        if (!peer->is_fold_away && acknowledged < folds.run_seq)
            folds.run_seq = acknowledged;
        if (peer->is_fold_away && peer->run_after > folds.run_after)
            folds.run_after = peer->run_after;
        is_any_away = is_any_away || peer->is_fold_away;
    }
    folds.exact_seq = seq;
    if (folds.run_after < seq)
        folds.run_after = seq;
    if (!is_any_away)
        folds.run_seq = 0;
    core->folds = folds;
    core->is_fold_stale = false;
    return folds;
}

static void note_folded_run(struct core *core)
{
    for (size_t index = 0; index < core->options.peer_count; index++) {
        struct peer *peer = &core->peers[index];
        if (peer->is_fold_away)
            peer_folded_run(peer, core->folds.run_after, core->folds.run_seq);
    }
}

static struct command_environment environment_of(struct core *core)
{
    return (struct command_environment){
        .document = core->document,
        .wall_ms = core->wall_ms,
        .monotonic_us = core->now_us,
        .started_monotonic_us = core->started_us,
        .options = &core->options,
        .durability = &core->durability,
        .random = &core->random,
        .stats = &core->stats,
        .write_refusal = write_refusal(core),
        .folds = fold_bounds(core),
        .scan_epoch = core->scan_epoch,
        .status_json = status_json,
        .status_info = status_info,
        .forks_json = status_forks,
        .unfreeze = freeze_lift,
        .seal = seal,
        .status_context = core,
    };
}

/* The own batch that a reply computed now waits for; 0 for none. */
static uint64_t awaited_ordinal(const struct core *core)
{
    if (core->durability != CORE_ALWAYS || core->journal.state != JOURNAL_WORKING)
        return 0;
    return own_ordinal(core);
}

/* A batch that is half full makes room while nobody has to wait for it; one
 * that folds a counter could not move to a new generation, should one begin. */
static void close_if_due(struct core *core)
{
    if (crdt_open_records(core->document) <= CRDT_BATCH_RECORDS_MAX / 2
        && crdt_open_bytes(core->document) <= CRDT_BATCH_BYTES_MAX / 2
        && crdt_open_folds(core->document) == 0)
        return;
    if (own_close(core) != CRDT_OK)
        core_retry_soon(core);
}

/* What was told to clients ahead of the store would be missing in it. */
static enum crdt_status refuse_backup(struct core *core, struct client *client)
{
    crdt_buffer_clear(&core->reply);
    enum crdt_status status = resp_error(&core->reply, "ERR backup: the store fails, and"
        " acknowledged writes are not in it yet: mend the disk (CRDT.STATUS says what is"
        " wrong), then ask again");
    if (status != CRDT_OK)
        return status;
    return clients_reply(&core->clients, &core->outputs, client,
        crdt_buffer_bytes(&core->reply), false, 0, core->journal.durable_ordinal);
}

static enum crdt_status put_out_backup(
    struct core *core, struct client *client, struct crdt_bytes path)
{
    /* What was acknowledged before is stored before, or no backup is made. */
    enum crdt_status status = own_close(core);
    if (status == CRDT_OK && core->journal.state != JOURNAL_WORKING
        && core->durability != CORE_ALWAYS)
        return refuse_backup(core, client);
    struct crdt_bytes copy;
    crdt_buffer_clear(&core->scratch);
    if (status == CRDT_OK)
        status = crdt_buffer_append(&core->scratch, path.data, path.size);
    if (status == CRDT_OK)
        status = crdt_buffer_append(&core->scratch, "", 1);
    if (status == CRDT_OK)
        status = outputs_copy(&core->outputs, crdt_buffer_bytes(&core->scratch), &copy);
    if (status != CRDT_OK)
        return status;
    struct core_output *output = outputs_add(&core->outputs, CORE_BACKUP);
    if (output == NULL)
        return CRDT_ERR_NOMEM;
    output->client = client->id;
    output->path = copy.data;
    return CRDT_OK;
}

/* The reply comes when the store says so. */
static enum crdt_status write_backup_reply(struct core *core, const struct core_input *input)
{
    if (input->is_ok)
        return resp_simple(&core->reply, "OK");
    const char *reason = input->reason == NULL ? "the reason is not known" : input->reason;
    crdt_buffer_clear(&core->scratch);
    enum crdt_status status = crdt_buffer_append(&core->scratch, "ERR backup: ", 12);
    if (status == CRDT_OK)
        status = crdt_buffer_append(&core->scratch, reason, strlen(reason) + 1);
    if (status == CRDT_OK)
        status = resp_error(&core->reply, (const char *)core->scratch.data);
    return status;
}

void perform_backed_up(struct core *core, const struct core_input *input)
{
    struct client *client = clients_find(&core->clients, input->client);
    if (client == NULL)
        return;
    crdt_buffer_clear(&core->reply);
    enum crdt_status status = write_backup_reply(core, input);
    if (status == CRDT_OK)
        status = clients_reply(&core->clients, &core->outputs, client,
            crdt_buffer_bytes(&core->reply), false, 0, core->journal.durable_ordinal);
    if (status != CRDT_OK)
        clients_drop(&core->clients, &core->outputs, client);
}

/* What a client sent was no command: said in its turn, then that client goes. */
static void refuse_bytes(struct core *core, struct client *client, const char *reason)
{
    crdt_buffer_clear(&core->reply);
    crdt_buffer_clear(&core->scratch);
    enum crdt_status status = crdt_buffer_append(&core->scratch, "ERR ", 4);
    if (status == CRDT_OK)
        status = crdt_buffer_append(&core->scratch, reason, strlen(reason) + 1);
    if (status == CRDT_OK)
        status = resp_error(&core->reply, (const char *)core->scratch.data);
    if (status == CRDT_OK)
        status = clients_reply(&core->clients, &core->outputs, client,
            crdt_buffer_bytes(&core->reply), false, awaited_ordinal(core),
            core->journal.durable_ordinal);
    if (status == CRDT_OK)
        clients_finish(&core->clients, &core->outputs, client);
    else
        clients_drop(&core->clients, &core->outputs, client);
}

void perform_command(struct core *core, const struct core_input *input)
{
    struct client *client = clients_get(&core->clients, input->client);
    if (client == NULL) {
        struct core_output *output = outputs_add(&core->outputs, CORE_CLOSE_CLIENT);
        if (output != NULL)
            output->client = input->client;
        return;
    }
    if (client->must_close)
        return;
    if (input->reason != NULL) {
        refuse_bytes(core, client, input->reason);
        return;
    }
    bool has_folded_run = false;
    struct command_environment environment = environment_of(core);
    environment.has_folded_run = &has_folded_run;
    struct command_result result = {0};
    crdt_buffer_clear(&core->reply);
    enum crdt_status status = session_execute(client->session, &environment,
        input->arguments, input->argument_count, &core->reply, &result);
    if (has_folded_run)
        note_folded_run(core);
    if (status == CRDT_OK && result.backup != NULL)
        status = put_out_backup(core, client, *result.backup);
    else if (status == CRDT_OK)
        status = clients_reply(&core->clients, &core->outputs, client,
            crdt_buffer_bytes(&core->reply), result.has_written, awaited_ordinal(core),
            core->journal.durable_ordinal);
    if (status != CRDT_OK)
        clients_drop(&core->clients, &core->outputs, client);
    else if (result.must_close)
        clients_finish(&core->clients, &core->outputs, client);
    close_if_due(core);
}
