/* CRDT.BACKUP, CRDT.DIGEST, CRDT.FORKS, CRDT.STATUS and CRDT.UNFREEZE. */
#include "gossipd/core/commands/functions.h"

#include <string.h>

#include "gossipd/core/commands/session.h"
#include "gossipd/core/commands/text.h"
#include "gossipd/limits.h"
#include "gossipd/wire/resp.h"

/* Checks what can be checked here; the copy is the host's work, and so is the
 * reply its success or failure. */
enum crdt_status crdt_backup(struct call *call)
{
    const struct crdt_bytes *path = &call->arguments[1];
    if (call->session->is_queueing) {
        call->session->is_queue_spoiled = true;
        return call_error(call, "ERR CRDT.BACKUP cannot stand in MULTI: ask outside of it");
    }
    bool is_path = path->size > 1 && path->size <= BACKUP_PATH_BYTES_MAX &&
        *(const char *)path->data == '/' && memchr(path->data, 0, path->size) == NULL;
    if (!is_path) {
        return call_error(call, "ERR CRDT.BACKUP: expected the absolute path of a new file on "
                                "the node's machine");
    }
    call->backup = path;
    return CRDT_OK;
}

static void put_hex(const uint8_t hash[static CRDT_HASH_BYTES], char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < CRDT_HASH_BYTES; i++) {
        text[2 * i] = digits[hash[i] >> 4];
        text[2 * i + 1] = digits[hash[i] & 15];
    }
}

/* A digest stands at a batch end. Sealing here, behind the back of the one who
 * stores batches, would lose one, so that one seals. */
enum crdt_status crdt_digest_reply(struct call *call)
{
    const struct command_environment *environment = call->environment;
    struct crdt_digest digest;
    char text[3 * (2 * CRDT_HASH_BYTES + 1)];
    enum crdt_status status = CRDT_OK;
    if (call->unit->transaction != NULL) {
        return call_error(call,
            "ERR CRDT.DIGEST cannot stand after a write in MULTI: ask outside of it");
    }
    if (crdt_open_records(environment->document) > 0) {
        if (environment->seal == NULL) {
            return call_error(call, "ERR CRDT.DIGEST: a batch is open, ask again");
        }
        status = environment->seal(environment->status_context);
    }
    if (status == CRDT_OK) {
        status = crdt_digest(environment->document, &digest);
    }
    if (status != CRDT_OK) {
        return status;
    }
    put_hex(digest.context, text);
    put_hex(digest.heads, text + 2 * CRDT_HASH_BYTES + 1);
    put_hex(digest.state, text + 2 * (2 * CRDT_HASH_BYTES + 1));
    text[2 * CRDT_HASH_BYTES] = ' ';
    text[2 * (2 * CRDT_HASH_BYTES) + 1] = ' ';
    return resp_bulk(call->reply, (struct crdt_bytes){text, sizeof text - 1});
}

/* Replies what `write` appends; NULL: this environment has no cluster. */
static enum crdt_status reply_json(struct call *call,
    enum crdt_status (*write)(void *context, struct crdt_buffer *ret_json))
{
    const struct command_environment *environment = call->environment;
    struct crdt_buffer json;
    if (write == NULL) {
        return call_error(call, "ERR this node keeps no status");
    }
    crdt_buffer_init(&json, &call->session->memory);
    enum crdt_status status = write(environment->status_context, &json);
    if (status == CRDT_OK) {
        status = resp_bulk(call->reply, crdt_buffer_bytes(&json));
    }
    crdt_buffer_close(&json);
    return status;
}

enum crdt_status crdt_status_reply(struct call *call)
{
    return reply_json(call, call->environment->status_json);
}

enum crdt_status crdt_forks_reply(struct call *call)
{
    return reply_json(call, call->environment->forks_json);
}

/* Reads exactly 2 * `count` hexadecimal digits. */
static bool read_hex(const struct crdt_bytes *text, uint8_t *ret_bytes, size_t count)
{
    const char *digits = text->data;
    if (text->size != 2 * count) {
        return false;
    }
    for (size_t i = 0; i < 2 * count; i++) {
        char digit = text_lower(digits[i]);
        bool is_number = digit >= '0' && digit <= '9';
        if (!is_number && (digit < 'a' || digit > 'f')) {
            return false;
        }
        unsigned value = (unsigned)(is_number ? digit - '0' : digit - 'a' + 10);
        ret_bytes[i / 2] = (uint8_t)(i % 2 == 0 ? value << 4 : ret_bytes[i / 2] | value);
    }
    return true;
}

enum crdt_status crdt_unfreeze(struct call *call)
{
    const struct command_environment *environment = call->environment;
    struct crdt_origin origin = {0};
    uint8_t generation[8];
    if (!read_hex(&call->arguments[1], origin.key, CRDT_KEY_BYTES) ||
        !read_hex(&call->arguments[2], generation, sizeof generation)) {
        return call_error(call, "ERR CRDT.UNFREEZE: expected a key of 64 and a generation of 16 "
                                "hexadecimal digits, as CRDT.FORKS prints them");
    }
    if (call->unit->transaction != NULL) {
        return call_error(call, "ERR CRDT.UNFREEZE cannot stand in MULTI: ask outside of it");
    }
    for (size_t i = 0; i < sizeof generation; i++) {
        origin.generation = origin.generation << 8 | generation[i];
    }
    enum crdt_status status = environment->unfreeze == NULL ? CRDT_ERR_NOT_FOUND
        : environment->unfreeze(environment->status_context, &origin);
    if (status == CRDT_ERR_NOT_FOUND) {
        return call_error(call, "ERR CRDT.UNFREEZE: no fork of this origin is known here; "
                                "CRDT.FORKS lists those that are");
    }
    return status == CRDT_OK ? resp_simple(call->reply, "OK") : status;
}
