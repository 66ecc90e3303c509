#include "tests/core/commands/site.h"

#include <string.h>

#include "gossipd/limits.h"
#include "gossipd/wire/resp.h"
#include "tests/support/claim.h"

static enum crdt_status seal(void *context)
{
    struct site *site = context;
    struct crdt_bytes batch;
    site->seals++;
    return crdt_seal(site->document, &batch);
}

static enum crdt_status status_text(void *context, struct crdt_buffer *ret_text)
{
    (void)context;
    return crdt_buffer_append(ret_text, "members:1\r\n", 11);
}

static const struct core_setting settings[] = {
    {"port", "6379"}, {"maxclients", "100"}, {"durability", "stale"}};

void site_open(struct site *site, uint8_t key)
{
    *site = (struct site){.durability = CORE_ALWAYS, .random = key};
    struct crdt_memory hook = test_memory_hook(&site->memory);
    struct crdt_options options = document_options(key, key);
    options.memory = hook;
    claim(crdt_open(&options, &site->document) == CRDT_OK);
    claim(session_new(&hook, key, &site->session) == CRDT_OK);
    site->options = (struct core_options){
        .memory = hook, .facts = &site->facts, .settings = settings, .setting_count = 3};
    site->facts = (struct core_facts){.used_memory_bytes = 1536 << 10, .process_id = 42};
    site->environment = (struct command_environment){
        .document = site->document,
        .wall_ms = 1700000000123,
        .monotonic_us = 7000000,
        .started_monotonic_us = 2000000,
        .options = &site->options,
        .durability = &site->durability,
        .random = &site->random,
        .stats = &site->stats,
        .folds = {.count = FOLD_COUNT},
        .status_json = status_text,
        .status_info = status_text,
        .status_context = site,
        .seal = seal,
    };
    crdt_buffer_init(&site->reply, &hook);
}

void site_close(struct site *site)
{
    crdt_buffer_close(&site->reply);
    session_free(site->session);
    crdt_close(site->document);
    claim(site->memory.held == 0);
}

enum crdt_status site_execute(
    struct site *site, const struct crdt_bytes *arguments, size_t argument_count)
{
    crdt_buffer_clear(&site->reply);
    site->environment.wall_ms++;
    return session_execute(site->session, &site->environment, arguments, argument_count,
        &site->reply, &site->result);
}

const char *site_say(struct site *site, const char *command)
{
    struct resp_reader reader;
    const struct crdt_bytes *arguments;
    const char *error;
    size_t count;
    resp_reader_init(&reader, NULL, 1 << 20);
    claim(resp_reader_feed(&reader, command, strlen(command)) == CRDT_OK);
    claim(resp_reader_feed(&reader, "\n", 1) == CRDT_OK);
    claim(resp_reader_next(&reader, &arguments, &count, &error) == RESP_COMMAND);
    claim(site_execute(site, arguments, count) == CRDT_OK);
    claim(crdt_buffer_append(&site->reply, "", 1) == CRDT_OK);
    resp_reader_close(&reader);
    return (const char *)site->reply.data;
}

void site_sync(struct site *a, struct site *b)
{
    sync_both(a->document, b->document);
}
