/* Runs commands: what may run, what is queued, and that a command's writes are
 * one transaction, made whole or taken back with its reply. */
#include "gossipd/core/commands/session.h"

#include <assert.h>

#include "gossipd/core/commands/functions.h"
#include "gossipd/core/commands/table.h"
#include "gossipd/core/commands/text.h"
#include "gossipd/core/memory.h"
#include "gossipd/wire/resp.h"

enum crdt_status session_new(
    const struct crdt_memory *memory, uint64_t client, struct session **ret_session)
{
    struct crdt_buffer any;
    crdt_buffer_init(&any, memory); /* resolves an empty hook to the heap's        */
    struct session *session = memory_new(&any.memory, sizeof *session);
    if (session == NULL) {
        return CRDT_ERR_NOMEM;
    }
    session->memory = any.memory;
    session->client = client;
    queue_init(&session->queue, &session->memory);
    *ret_session = session;
    return CRDT_OK;
}

void session_free(struct session *session)
{
    if (session != NULL) {
        struct crdt_memory memory = session->memory;
        queue_close(&session->queue);
        memory_free(&memory, session, sizeof *session);
    }
}

/* ---- What may not run ---- */

static enum crdt_status unknown_command(struct call *call)
{
    struct text text = {.size = 0};
    text_put(&text, "ERR unknown command '");
    text_put_bytes(&text, call->arguments[0], 128);
    text_put(&text, "', with args beginning with: ");
    size_t before = text.size;
    for (size_t i = 1; i < call->argument_count && text.size - before < 128; i++) {
        size_t left = 128 - (text.size - before);
        text_put(&text, "'");
        text_put_bytes(&text, call->arguments[i], left);
        text_put(&text, "' ");
    }
    return call_error(call, text_end(&text));
}

static enum crdt_status unknown_subcommand(struct call *call)
{
    struct text text = {.size = 0};
    text_put(&text, "ERR unknown subcommand '");
    text_put_bytes(&text, call->arguments[1], 128);
    text_put(&text, "'. Try ");
    for (const char *byte = call->command->name; *byte != 0; byte++) {
        char upper[2] = {(char)(*byte >= 'a' && *byte <= 'z' ? *byte - 'a' + 'A' : *byte), 0};
        text_put(&text, upper);
    }
    text_put(&text, " HELP.");
    return call_error(call, text_end(&text));
}

static bool is_arity_right(const struct command *command, size_t argument_count)
{
    size_t wanted = (size_t)(command->arity < 0 ? -command->arity : command->arity);
    return command->arity < 0 ? argument_count >= wanted : argument_count == wanted;
}

const char *session_refusal(const struct command_environment *environment, unsigned flags)
{
    const struct core_options *options = environment->options;
    if ((flags & COMMAND_WRITE) != 0 && environment->write_refusal != NULL) {
        return environment->write_refusal;
    }
    if ((flags & COMMAND_DENYOOM) != 0 && options->maxmemory_bytes > 0 && options->facts != NULL
        && options->facts->used_memory_bytes > options->maxmemory_bytes) {
        return "OOM command not allowed when used memory > 'maxmemory'.";
    }
    return NULL;
}

/* ---- Running ---- */

/* The error for a status that took a command, or a whole EXEC, back. */
static const char *status_error(const struct call *call, enum crdt_status status)
{
    if (status == CRDT_ERR_NOMEM) {
        return "OOM out of memory: nothing was written";
    }
    if (status == CRDT_ERR_AMNESIA || status == CRDT_ERR_GENERATION) {
        return "AMNESIA this node's store lost operations that its peers may know: it goes on "
               "under a new generation, which begins now; nothing was written, try again";
    }
    if (status != CRDT_ERR_LIMIT) {
        return "ERR the document refused the command; nothing was written";
    }
    for (size_t i = 1; i < call->argument_count; i++) {
        if (call->arguments[i].size > CRDT_VALUE_BYTES_MAX) {
            return "ERR string exceeds maximum allowed size (16 MiB, a constant of the wire "
                   "format); nothing was written";
        }
    }
    return "ERR larger than a limit of the wire format allows (key, field and member together "
           "1 MiB, a value 16 MiB, a command or transaction 32 MiB and 1048576 operations); "
           "nothing was written";
}

/* Runs `call` as one unit. On failure nothing of it stays. */
static enum crdt_status run_unit(struct call *call)
{
    size_t reply_before = call->reply->size;
    enum crdt_status status = call->command->run(call);
    struct unit *unit = call->unit;
    if (unit->transaction != NULL) {
        if (status == CRDT_OK) {
            crdt_commit(unit->transaction);
        } else {
            crdt_abort(unit->transaction);
            unit->has_written = false;
        }
        unit->transaction = NULL;
    }
    if (status != CRDT_OK) {
        call->reply->size = reply_before;
    }
    return status;
}

static void multi_end(struct session *session)
{
    queue_close(&session->queue);
    session->is_queueing = false;
    session->is_queue_spoiled = false;
}

/* Runs `call`; when the open batch is what stood in its way, closes that and
 * runs it again. */
static enum crdt_status run_command(struct call *call)
{
    const struct command_environment *environment = call->environment;
    enum crdt_status status = run_unit(call);
    if (status == CRDT_ERR_LIMIT && environment->seal != NULL
        && crdt_open_records(environment->document) > 0
        && environment->seal(environment->status_context) == CRDT_OK) {
        status = run_unit(call);
    }
    if (status != CRDT_OK) {
        if (call->command->run == session_exec) {
            multi_end(call->session);
        }
        status = call_error(call, status_error(call, status));
    }
    environment->stats->writes += call->unit->has_written;
    return status;
}

static enum crdt_status multi_push(struct call *call)
{
    struct session *session = call->session;
    enum crdt_status status = queue_push(
        &session->queue, call->command, call->arguments, call->argument_count);
    if (status == CRDT_OK) {
        return resp_simple(call->reply, "QUEUED");
    }
    session->is_queue_spoiled = true;
    return call_error(call, status == CRDT_ERR_LIMIT
            ? "ERR the transaction is too large: its queued commands may hold 32 MiB; EXEC will "
              "refuse it, send DISCARD"
            : "OOM out of memory: the command was not queued");
}

/* Refuses, queues or runs. */
static enum crdt_status dispatch(struct call *call)
{
    struct session *session = call->session;
    const char *refused = NULL;
    call->command = table_find(call->arguments[0]);
    if (call->command == NULL) {
        session->is_queue_spoiled = session->is_queueing;
        return unknown_command(call);
    }
    if (call->command->subcommands != NULL && call->argument_count > 1) {
        const struct command *subcommand
            = table_find_subcommand(call->command, call->arguments[1]);
        if (subcommand == NULL) {
            session->is_queue_spoiled = session->is_queueing;
            return unknown_subcommand(call);
        }
        call->command = subcommand;
    }
    if (!is_arity_right(call->command, call->argument_count)) {
        session->is_queue_spoiled = session->is_queueing;
        return call_arity_error(call);
    }
    refused = session_refusal(call->environment, call->command->flags);
    if (refused != NULL) {
        session->is_queue_spoiled = session->is_queueing;
        return call_error(call, refused);
    }
    if (session->is_queueing && (call->command->flags & COMMAND_AT_ONCE) == 0) {
        return multi_push(call);
    }
    return run_command(call);
}

enum crdt_status session_execute(struct session *session,
    const struct command_environment *environment, const struct crdt_bytes *arguments,
    size_t argument_count, struct crdt_buffer *reply, struct command_result *ret_result)
{
    assert(argument_count > 0);
    struct unit unit = {NULL, false};
    struct call call = {
        .session = session,
        .environment = environment,
        .arguments = arguments,
        .argument_count = argument_count,
        .reply = reply,
        .unit = &unit,
    };
    environment->stats->commands++;
    enum crdt_status status = dispatch(&call);
    if (status != CRDT_OK) {
        return CRDT_ERR_NOMEM;
    }
    assert(unit.transaction == NULL);
    *ret_result = (struct command_result){unit.has_written, call.must_close, call.backup};
    return CRDT_OK;
}

/* ---- MULTI, EXEC, DISCARD ---- */

enum crdt_status session_multi(struct call *call)
{
    if (call->session->is_queueing) {
        return call_error(call, "ERR MULTI calls can not be nested");
    }
    enum crdt_status status = call_ok(call);
    call->session->is_queueing = status == CRDT_OK;
    return status;
}

enum crdt_status session_discard(struct call *call)
{
    if (!call->session->is_queueing) {
        return call_error(call, "ERR DISCARD without MULTI");
    }
    multi_end(call->session);
    return call_ok(call);
}

/* Runs the queued commands as writes of one transaction. */
static enum crdt_status exec_queue(struct call *exec)
{
    struct queue *queue = &exec->session->queue;
    struct call call = *exec;
    size_t offset = 0;
    enum crdt_status status = queue_prepare(queue);
    if (status == CRDT_OK) {
        status = resp_array(exec->reply, queue->count);
    }
    while (status == CRDT_OK
        && (call.command = queue_next(queue, &offset, &call.arguments, &call.argument_count))
            != NULL) {
        status = call.command->run(&call);
    }
    exec->must_close |= call.must_close;
    return status;
}

enum crdt_status session_exec(struct call *call)
{
    struct session *session = call->session;
    struct text text = {.size = 0};
    if (!session->is_queueing) {
        return call_error(call, "ERR EXEC without MULTI");
    }
    const char *refused = session_refusal(call->environment, session->queue.flags);
    if (session->is_queue_spoiled) {
        text_put(&text, "EXECABORT Transaction discarded because of previous errors.");
    } else if (refused != NULL) {
        text_put(&text, "EXECABORT Transaction discarded because of: ");
        text_put(&text, refused);
    }
    enum crdt_status status = text.size > 0 ? call_error(call, text_end(&text)) : exec_queue(call);
    if (status == CRDT_OK) {
        /* A queue that failed may be run once more; see run_command(). */
        multi_end(session);
    }
    return status;
}
