/* The CLIENT commands. The core knows of a client what the client said; its
 * address is the host's and is not shown. */
#include "gossipd/core/commands/client.h"

#include <string.h>

#include "gossipd/core/commands/functions.h"
#include "gossipd/core/commands/help.h"
#include "gossipd/core/commands/session.h"
#include "gossipd/core/commands/table.h"
#include "gossipd/core/commands/text.h"
#include "gossipd/wire/resp.h"

const char *client_name_set(char name[static CLIENT_NAME_BYTES_MAX + 1], struct crdt_bytes bytes)
{
    const char *text = bytes.data;
    if (bytes.size > CLIENT_NAME_BYTES_MAX) {
        return "ERR Client names cannot be longer than 128 bytes.";
    }
    for (size_t i = 0; i < bytes.size; i++) {
        if (text[i] < '!' || text[i] > '~') {
            return "ERR Client names cannot contain spaces, newlines or special characters.";
        }
    }
    if (bytes.size > 0) {
        memcpy(name, text, bytes.size);
    }
    name[bytes.size] = 0;
    return NULL;
}

enum crdt_status client_id(struct call *call)
{
    return resp_integer(call->reply, (int64_t)call->session->client);
}

enum crdt_status client_getname(struct call *call)
{
    struct crdt_bytes name = crdt_text(call->session->name);
    return name.size > 0 ? resp_bulk(call->reply, name) : resp_null(call->reply);
}

static enum crdt_status set_name(struct call *call, char *name, size_t index)
{
    const char *refused = client_name_set(name, call->arguments[index]);
    return refused != NULL ? call_error(call, refused) : call_ok(call);
}

enum crdt_status client_setname(struct call *call)
{
    return set_name(call, call->session->name, 2);
}

enum crdt_status client_setinfo(struct call *call)
{
    if (argument_is(call, 2, "lib-name")) {
        return set_name(call, call->session->library_name, 3);
    }
    if (argument_is(call, 2, "lib-ver")) {
        return set_name(call, call->session->library_version, 3);
    }
    struct text text = {.size = 0};
    text_put(&text, "ERR Unrecognized option '");
    text_put_bytes(&text, call->arguments[2], 128);
    text_put(&text, "'");
    return call_error(call, text_end(&text));
}

/* One line as CLIENT LIST has it. */
static void put_line(struct lines *lines, const struct call *call)
{
    const struct session *session = call->session;
    lines_text(lines, "id=");
    lines_number(lines, session->client);
    lines_text(lines, " name=");
    lines_text(lines, session->name);
    lines_text(lines, session->is_queueing ? " flags=x db=0 multi=" : " flags=N db=0 multi=");
    if (session->is_queueing) {
        lines_number(lines, session->queue.count);
    } else {
        lines_text(lines, "-1");
    }
    lines_text(lines, " multi-mem=");
    lines_number(lines, session->queue.bytes.size);
    lines_text(lines, " cmd=");
    lines_text(lines, call->command->name);
    lines_text(lines, " user=default lib-name=");
    lines_text(lines, session->library_name);
    lines_text(lines, " lib-ver=");
    lines_text(lines, session->library_version);
    lines_text(lines, " resp=2\n");
}

enum crdt_status client_info(struct call *call)
{
    struct crdt_buffer buffer;
    crdt_buffer_init(&buffer, &call->session->memory);
    struct lines lines = {&buffer, CRDT_OK};
    put_line(&lines, call);
    enum crdt_status status = lines.status;
    if (status == CRDT_OK) {
        status = resp_bulk(call->reply, crdt_buffer_bytes(&buffer));
    }
    crdt_buffer_close(&buffer);
    return status;
}

/* A session sees no other: the list is the asking client. */
enum crdt_status client_list(struct call *call)
{
    bool is_normal = call->argument_count == 4 && argument_is(call, 2, "type")
        && argument_is(call, 3, "normal");
    return call->argument_count == 2 || is_normal ? client_info(call) : call_syntax_error(call);
}

enum crdt_status client_help(struct call *call)
{
    static const char *const lines[] = {
        "CLIENT <subcommand> [<arg> ...]. Subcommands are:",
        "GETNAME -- the name of this connection.",
        "ID -- its number.",
        "INFO, LIST -- a line about it; other connections are not listed.",
        "SETINFO lib-name|lib-ver <text> -- what library this client uses.",
        "SETNAME <name> -- names this connection.",
        NULL,
    };
    return help_reply(call, lines);
}
