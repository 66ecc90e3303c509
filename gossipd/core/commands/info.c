/* INFO: what the node counts, in Redis's sections and names where it has them. */
#include "gossipd/core/commands/functions.h"

#include "gossipd/core/commands/config.h"
#include "gossipd/core/commands/session.h"
#include "gossipd/core/commands/text.h"
#include "gossipd/wire/resp.h"

#define GOSSIPD_VERSION "0.1.0"
/* What clients that look for features may count on. */
#define REDIS_VERSION "7.0.0"

static struct core_facts facts(const struct call *call)
{
    const struct core_facts *facts = call->environment->options->facts;
    return facts != NULL ? *facts : (struct core_facts){.process_id = 0};
}

static void put_server(struct lines *lines, const struct call *call)
{
    const struct command_environment *environment = call->environment;
    const char *port = config_setting(call, "port");
    uint64_t uptime = (environment->monotonic_us - environment->started_monotonic_us) / 1000000;
    lines_field(lines, "redis_version", REDIS_VERSION);
    lines_field(lines, "gossipd_version", GOSSIPD_VERSION);
    lines_field(lines, "redis_mode", "standalone");
    lines_field_number(lines, "arch_bits", sizeof(void *) * 8);
    lines_field_number(lines, "process_id", facts(call).process_id);
    lines_field(lines, "tcp_port", port != NULL ? port : "0");
    lines_field_number(lines, "uptime_in_seconds", uptime);
    lines_field_number(lines, "uptime_in_days", uptime / 86400);
}

static void put_clients(struct lines *lines, const struct call *call)
{
    const char *most = config_setting(call, "maxclients");
    lines_field_number(lines, "connected_clients", facts(call).connected_clients);
    if (most != NULL) {
        lines_field(lines, "maxclients", most);
    }
}

static void put_memory(struct lines *lines, const struct call *call)
{
    struct core_facts now = facts(call);
    lines_field_number(lines, "used_memory", now.used_memory_bytes);
    lines_field_human(lines, "used_memory_human", now.used_memory_bytes);
    lines_field_number(lines, "used_memory_peak", now.used_memory_peak_bytes);
    lines_field_human(lines, "used_memory_peak_human", now.used_memory_peak_bytes);
    lines_field_number(lines, "used_memory_store", now.used_memory_store_bytes);
    lines_field_number(lines, "maxmemory", call->environment->options->maxmemory_bytes);
    lines_field(lines, "maxmemory_policy", "noeviction");
}

static void put_persistence(struct lines *lines, const struct call *call)
{
    lines_field(lines, "durability", config_durability(call));
    lines_field_number(lines, "store_bytes", facts(call).store_bytes);
    lines_field_number(lines, "writes_refused", call->environment->write_refusal != NULL);
}

static void put_stats(struct lines *lines, const struct call *call)
{
    const struct command_stats *stats = call->environment->stats;
    lines_field_number(lines, "total_connections_received", facts(call).total_connections);
    lines_field_number(lines, "total_commands_processed", stats->commands);
    lines_field_number(lines, "total_writes_processed", stats->writes);
    lines_field_number(lines, "total_error_replies", stats->errors);
}

static void put_replication(struct lines *lines, const struct call *call)
{
    (void)call;
    /* Every node takes writes; its peers are in the section Crdt. */
    lines_field(lines, "role", "master");
    lines_field_number(lines, "connected_slaves", 0);
}

static void put_keyspace(struct lines *lines, const struct call *call)
{
    struct crdt_bytes data = crdt_text("data");
    struct crdt_path path = {&data, 1};
    size_t keys = crdt_count(call->environment->document, path, CRDT_MAP);
    if (keys > 0) {
        lines_text(lines, "db0:keys=");
        lines_number(lines, keys);
        lines_text(lines, ",expires=0,avg_ttl=0\r\n");
    }
}

static void put_crdt(struct lines *lines, const struct call *call)
{
    const struct command_environment *environment = call->environment;
    if (environment->status_info != NULL && lines->status == CRDT_OK) {
        lines->status = environment->status_info(environment->status_context, lines->buffer);
    }
}

static const struct section {
    const char *name;  /* as asked for                                             */
    const char *title; /* as shown                                                 */
    void (*put)(struct lines *lines, const struct call *call);
} sections[] = {
    {"server", "# Server\r\n", put_server},
    {"clients", "# Clients\r\n", put_clients},
    {"memory", "# Memory\r\n", put_memory},
    {"persistence", "# Persistence\r\n", put_persistence},
    {"stats", "# Stats\r\n", put_stats},
    {"replication", "# Replication\r\n", put_replication},
    {"keyspace", "# Keyspace\r\n", put_keyspace},
    {"crdt", "# Crdt\r\n", put_crdt},
};

static bool is_asked(const struct call *call, const char *name)
{
    for (size_t i = 1; i < call->argument_count; i++) {
        if (argument_is(call, i, name) || argument_is(call, i, "all")
            || argument_is(call, i, "default") || argument_is(call, i, "everything")) {
            return true;
        }
    }
    return call->argument_count == 1;
}

enum crdt_status info_all(struct call *call)
{
    struct crdt_buffer buffer;
    crdt_buffer_init(&buffer, &call->session->memory);
    struct lines lines = {&buffer, CRDT_OK};
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        if (is_asked(call, sections[i].name)) {
            lines_text(&lines, buffer.size > 0 ? "\r\n" : "");
            lines_text(&lines, sections[i].title);
            sections[i].put(&lines, call);
        }
    }
    enum crdt_status status = lines.status;
    if (status == CRDT_OK) {
        status = resp_bulk(call->reply, crdt_buffer_bytes(&buffer));
    }
    crdt_buffer_close(&buffer);
    return status;
}
