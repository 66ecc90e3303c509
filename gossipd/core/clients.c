#include "gossipd/core/clients.h"

#include "gossipd/core/memory.h"
#include "gossipd/limits.h"

#include <assert.h>
#include <string.h>

struct reply {
    struct reply *next;
    uint64_t client;
    uint64_t ordinal;
    size_t count;              /* of replies to writes; 0: these are reads          */
    struct crdt_buffer bytes;
};

static const char not_durable[] = "-IOERR not known to be durable\r\n";

void clients_init(struct clients *clients, const struct crdt_memory *memory)
{
    *clients = (struct clients){.memory = memory};
}

static void reply_free(const struct crdt_memory *memory, struct reply *reply)
{
    crdt_buffer_close(&reply->bytes);
    memory_free(memory, reply, sizeof *reply);
}

static void client_free(const struct crdt_memory *memory, struct client *client)
{
    session_free(client->session);
    memory_free(memory, client, sizeof *client);
}

void clients_close(struct clients *clients)
{
    while (clients->first != NULL) {
        struct reply *reply = clients->first;
        clients->first = reply->next;
        reply_free(clients->memory, reply);
    }
    clients->last = NULL;
    for (size_t index = 0; index < clients->count; index++)
        client_free(clients->memory, clients->items[index]);
    memory_free(
        clients->memory, clients->items, clients->capacity * sizeof *clients->items);
    *clients = (struct clients){.memory = clients->memory};
}

/* The place of the client, or where it would have to be put. */
static size_t find(const struct clients *clients, uint64_t id)
{
    size_t low = 0;
    size_t high = clients->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (clients->items[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct client *clients_find(const struct clients *clients, uint64_t id)
{
    size_t index = find(clients, id);
    if (index == clients->count || clients->items[index]->id != id)
        return NULL;
    return clients->items[index];
}

struct client *clients_get(struct clients *clients, uint64_t id)
{
    struct client *client = clients_find(clients, id);
    if (client != NULL)
        return client;
    void *items = clients->items;
    bool is_grown = memory_grow(clients->memory, &items, &clients->capacity,
        clients->count + 1, sizeof *clients->items);
    clients->items = items;
    if (!is_grown)
        return NULL;
    client = memory_new(clients->memory, sizeof *client);
    if (client == NULL)
        return NULL;
    client->id = id;
    if (session_new(clients->memory, id, &client->session) != CRDT_OK) {
        memory_free(clients->memory, client, sizeof *client);
        return NULL;
    }
    size_t index = find(clients, id);
    memmove(clients->items + index + 1, clients->items + index,
        (clients->count - index) * sizeof *clients->items);
    clients->items[index] = client;
    clients->count++;
    return client;
}

void clients_remove(struct clients *clients, uint64_t id)
{
    size_t index = find(clients, id);
    if (index == clients->count || clients->items[index]->id != id)
        return;
    /* What waits for it stays in the line and finds nobody when its turn comes. */
    client_free(clients->memory, clients->items[index]);
    clients->count--;
    memmove(clients->items + index, clients->items + index + 1,
        (clients->count - index) * sizeof *clients->items);
}

static enum crdt_status put_out(
    struct outputs *outputs, uint64_t client, struct crdt_bytes bytes)
{
    struct crdt_bytes copy;
    enum crdt_status status = outputs_copy(outputs, bytes, &copy);
    if (status != CRDT_OK)
        return status;
    struct core_output *output = outputs_add(outputs, CORE_REPLY);
    if (output == NULL)
        return CRDT_ERR_NOMEM;
    output->client = client;
    output->bytes = copy;
    return CRDT_OK;
}

/* Adds to the newest entry of the client when it shares its fate. */
static struct reply *entry_for(
    struct clients *clients, struct client *client, bool is_write, uint64_t ordinal)
{
    struct reply *newest = client->newest;
    if (newest != NULL && newest->ordinal == ordinal && (newest->count > 0) == is_write)
        return newest;
    struct reply *reply = memory_new(clients->memory, sizeof *reply);
    if (reply == NULL)
        return NULL;
    reply->client = client->id;
    reply->ordinal = ordinal;
    crdt_buffer_init(&reply->bytes, clients->memory);
    return reply;
}

static enum crdt_status enqueue(struct clients *clients, struct client *client,
    struct crdt_bytes bytes, bool is_write, uint64_t ordinal)
{
    if (bytes.size > CLIENT_WAITING_BYTES_MAX - client->waiting_bytes)
        return CRDT_ERR_LIMIT;
    struct reply *reply = entry_for(clients, client, is_write, ordinal);
    if (reply == NULL)
        return CRDT_ERR_NOMEM;
    enum crdt_status status = crdt_buffer_append(&reply->bytes, bytes.data, bytes.size);
    if (status != CRDT_OK) {
        if (reply != client->newest)
            reply_free(clients->memory, reply);
        return status;
    }
    client->waiting_bytes += bytes.size;
    if (is_write)
        reply->count++;
    if (reply == client->newest)
        return CRDT_OK;
    assert(clients->last == NULL || clients->last->ordinal <= ordinal);
    if (clients->last == NULL)
        clients->first = reply;
    else
        clients->last->next = reply;
    clients->last = reply;
    client->newest = reply;
    client->waiting_count++;
    return CRDT_OK;
}

enum crdt_status clients_reply(struct clients *clients, struct outputs *outputs,
    struct client *client, struct crdt_bytes bytes, bool is_write, uint64_t ordinal,
    uint64_t durable_ordinal)
{
    if (client->waiting_count == 0 && ordinal <= durable_ordinal)
        return put_out(outputs, client->id, bytes);
    /* Behind others of its client it waits as long as the line's end does. */
    if (clients->last != NULL && ordinal < clients->last->ordinal)
        ordinal = clients->last->ordinal;
    return enqueue(clients, client, bytes, is_write, ordinal);
}

void clients_finish(struct clients *clients, struct outputs *outputs, struct client *client)
{
    client->must_close = true;
    if (client->waiting_count == 0)
        clients_drop(clients, outputs, client);
}

void clients_drop(struct clients *clients, struct outputs *outputs, struct client *client)
{
    struct core_output *output = outputs_add(outputs, CORE_CLOSE_CLIENT);
    if (output != NULL)
        output->client = client->id;
    clients_remove(clients, client->id);
}

static enum crdt_status put_out_failed(struct outputs *outputs, const struct reply *reply)
{
    if (reply->count == 0)
        return put_out(outputs, reply->client, crdt_buffer_bytes(&reply->bytes));
    for (size_t index = 0; index < reply->count; index++) {
        enum crdt_status status = put_out(outputs, reply->client, crdt_text(not_durable));
        if (status != CRDT_OK)
            return status;
    }
    return CRDT_OK;
}

/* Takes the first entry out of the line and puts it out. */
static void release_first(struct clients *clients, struct outputs *outputs, bool has_failed)
{
    struct reply *reply = clients->first;
    clients->first = reply->next;
    if (clients->first == NULL)
        clients->last = NULL;
    struct client *client = clients_find(clients, reply->client);
    if (client != NULL) {
        if (client->newest == reply)
            client->newest = NULL;
        client->waiting_count--;
        client->waiting_bytes -= reply->bytes.size;
        enum crdt_status status = has_failed
            ? put_out_failed(outputs, reply)
            : put_out(outputs, reply->client, crdt_buffer_bytes(&reply->bytes));
        bool is_last = client->must_close && client->waiting_count == 0;
        if (status != CRDT_OK || is_last)
            clients_drop(clients, outputs, client);
    }
    reply_free(clients->memory, reply);
}

void clients_release(struct clients *clients, struct outputs *outputs, uint64_t durable_ordinal)
{
    while (clients->first != NULL && clients->first->ordinal <= durable_ordinal)
        release_first(clients, outputs, false);
}

void clients_release_failed(struct clients *clients, struct outputs *outputs)
{
    while (clients->first != NULL)
        release_first(clients, outputs, true);
}
