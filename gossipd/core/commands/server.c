/* Commands about the connection and the server. */
#include "gossipd/core/commands/functions.h"

#include "gossipd/core/commands/client.h"
#include "gossipd/core/commands/session.h"
#include "gossipd/core/commands/text.h"
#include "gossipd/wire/number.h"
#include "gossipd/wire/resp.h"

enum crdt_status server_ping(struct call *call)
{
    if (call->argument_count > 2) {
        return call_arity_error(call);
    }
    return call->argument_count == 2 ? resp_bulk(call->reply, call->arguments[1])
                                     : resp_simple(call->reply, "PONG");
}

enum crdt_status server_echo(struct call *call)
{
    return resp_bulk(call->reply, call->arguments[1]);
}

enum crdt_status server_quit(struct call *call)
{
    call->must_close = true;
    return call_ok(call);
}

enum crdt_status server_select(struct call *call)
{
    int64_t database;
    if (!number_parse(call->arguments[1], &database)) {
        return call_not_integer(call);
    }
    if (database > INT32_MAX || database < INT32_MIN) {
        return call_error(call,
            "ERR value is out of range, value must between -2147483648 and 2147483647");
    }
    return database == 0 ? call_ok(call) : call_error(call, "ERR DB index is out of range");
}

enum crdt_status server_time(struct call *call)
{
    uint64_t parts[2] = {call->environment->wall_ms / 1000,
        call->environment->wall_ms % 1000 * 1000};
    enum crdt_status status = resp_array(call->reply, 2);
    for (size_t i = 0; i < 2 && status == CRDT_OK; i++) {
        char digits[NUMBER_TEXT_BYTES];
        size_t size = number_format_unsigned(parts[i], digits);
        status = resp_bulk(call->reply, (struct crdt_bytes){digits, size});
    }
    return status;
}

/* ---- AUTH and HELLO ---- */

#define WRONG_PASSWORD "WRONGPASS invalid username-password pair or user is disabled."

/* There is one user, "default", and as in Redis without a configured password
 * any password opens it. */
enum crdt_status server_auth(struct call *call)
{
    if (call->argument_count > 3) {
        return call_syntax_error(call);
    }
    if (call->argument_count == 2) {
        return call_error(call,
            "ERR AUTH <password> called without any password configured for the default user. "
            "Are you sure your configuration is correct?");
    }
    struct crdt_bytes user = call->arguments[1];
    /* User names have a case, so this is no word_is(). */
    bool is_default = text_equals(user, "default");
    return is_default ? call_ok(call) : call_error(call, WRONG_PASSWORD);
}

static enum crdt_status hello_option_error(struct call *call, size_t index)
{
    struct text text = {.size = 0};
    text_put(&text, "ERR Syntax error in HELLO option '");
    text_put_bytes(&text, call->arguments[index], 128);
    text_put(&text, "'");
    return call_error(call, text_end(&text));
}

static enum crdt_status hello_reply(struct call *call)
{
    struct crdt_buffer *reply = call->reply;
    static const char *const start[] = {"server", "redis", "version", "7.0.0", "proto"};
    static const char *const end[] = {"mode", "standalone", "role", "master", "modules"};
    enum crdt_status status = resp_array(reply, 14);
    for (size_t i = 0; i < 5 && status == CRDT_OK; i++) {
        status = resp_bulk(reply, crdt_text(start[i]));
    }
    if (status == CRDT_OK) {
        status = resp_integer(reply, 2);
    }
    if (status == CRDT_OK) {
        status = resp_bulk(reply, crdt_text("id"));
    }
    if (status == CRDT_OK) {
        status = resp_integer(reply, (int64_t)call->session->client);
    }
    for (size_t i = 0; i < 5 && status == CRDT_OK; i++) {
        status = resp_bulk(reply, crdt_text(end[i]));
    }
    return status == CRDT_OK ? resp_array(reply, 0) : status;
}

enum crdt_status server_hello(struct call *call)
{
    int64_t protocol;
    size_t name_index = 0;
    if (call->argument_count > 1 && !number_parse(call->arguments[1], &protocol)) {
        return call_error(call, "ERR Protocol version is not an integer or out of range");
    }
    if (call->argument_count > 1 && protocol != 2) {
        return call_error(call, "NOPROTO unsupported protocol version");
    }
    for (size_t i = 2; i < call->argument_count; i++) {
        size_t more = call->argument_count - 1 - i;
        if (argument_is(call, i, "auth") && more >= 2) {
            if (!text_equals(call->arguments[i + 1], "default")) {
                return call_error(call, WRONG_PASSWORD);
            }
            i += 2;
        } else if (argument_is(call, i, "setname") && more >= 1) {
            name_index = ++i;
        } else {
            return hello_option_error(call, i);
        }
    }
    if (name_index > 0) {
        const char *refused = client_name_set(call->session->name, call->arguments[name_index]);
        if (refused != NULL) {
            return call_error(call, refused);
        }
    }
    return hello_reply(call);
}
