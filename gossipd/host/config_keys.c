/* The keys of the configuration. See config_keys.h. */
#include "gossipd/host/config_keys.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gossipd/limits.h"

static bool copy_text(char *field, size_t bytes, const char *text)
{
    size_t size = strlen(text);
    if (size >= bytes) {
        return false;
    }
    memcpy(field, text, size + 1);
    return true;
}

bool config_is_name(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (!isalnum((unsigned char)*at) && strchr("._-", *at) == NULL) {
            return false;
        }
    }
    return text[0] != '\0' && strlen(text) < CORE_NAME_BYTES;
}

static bool parse_name(struct config *config, const char *text, struct failure *failure)
{
    if (config_is_name(text)) {
        return copy_text(config->name, sizeof config->name, text);
    }
    return failure_say(failure, "expected 1 to %d letters, digits, '.', '_' or '-'",
        CORE_NAME_BYTES - 1);
}

static bool parse_any(struct config *config, const char *text, struct failure *failure)
{
    (void)config;
    (void)text;
    (void)failure;
    return true;
}

static bool parse_bind(struct config *config, const char *text, struct failure *failure)
{
    (void)config;
    return text[0] != '\0' || failure_say(failure, "expected an address of this machine, such as "
        "127.0.0.1, or 0.0.0.0 for all of them; port = \"0\" for no clients over TCP");
}

static bool parse_path(struct config *config, const char *text, struct failure *failure)
{
    (void)config;
    return text[0] != '\0' || failure_say(failure, "expected a path");
}

static bool is_port(const char *text)
{
    char *end = NULL;
    errno = 0;
    unsigned long port = strtoul(text, &end, 10);
    return isdigit((unsigned char)text[0]) && *end == '\0' && errno == 0 && port >= 1 &&
        port <= 65535;
}

static bool parse_port(struct config *config, const char *text, struct failure *failure)
{
    bool is_good = strcmp(text, "0") == 0 || is_port(text);
    if (is_good && copy_text(config->port, sizeof config->port, text)) {
        return true;
    }
    return failure_say(failure, "expected a port from 1 to 65535, or 0 for none");
}

bool config_address_parse(const char *text, struct config_address *ret_address)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text || !is_port(colon + 1) ||
        strlen(colon + 1) >= sizeof ret_address->port) {
        return false;
    }
    const char *host = text;
    size_t size = (size_t)(colon - text);
    bool is_bracketed = host[0] == '[' && size > 2 && host[size - 1] == ']';
    if (is_bracketed) {
        host++;
        size -= 2;
    }
    if (size >= sizeof ret_address->host || (!is_bracketed && memchr(host, ':', size) != NULL)) {
        return false;
    }
    memcpy(ret_address->host, host, size);
    ret_address->host[size] = '\0';
    return copy_text(ret_address->port, sizeof ret_address->port, colon + 1);
}

static bool parse_peer_address(struct config *config, const char *text, struct failure *failure)
{
    return config_address_parse(text, &config->peer_address) ||
        failure_say(failure, "expected HOST:PORT, for IPv6 [ADDRESS]:PORT");
}

static bool parse_durability(struct config *config, const char *text, struct failure *failure)
{
    static const char *const names[] = {
        [CORE_ALWAYS] = "always", [CORE_EVERYSEC] = "everysec", [CORE_NO] = "no"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            config->durability = (enum core_durability)i;
            return true;
        }
    }
    return failure_say(failure, "expected always, everysec or no");
}

/* Reads a count of bytes as Redis does: k, m, g are powers of 1000, kb, mb, gb
 * of 1024. */
static bool parse_bytes(const char *text, uint64_t *ret_bytes)
{
    static const struct {
        const char *name;
        uint64_t factor;
    } units[] = {{"", 1}, {"b", 1}, {"k", 1000}, {"kb", 1024}, {"m", 1000000},
        {"mb", 1u << 20}, {"g", 1000000000}, {"gb", 1u << 30}};
    char unit[4] = "";
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || errno != 0 || strlen(end) >= sizeof unit) {
        return false;
    }
    for (size_t i = 0; end[i] != '\0'; i++) {
        unit[i] = (char)tolower((unsigned char)end[i]);
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(unit, units[i].name) == 0 && value <= UINT64_MAX / units[i].factor) {
            *ret_bytes = value * units[i].factor;
            return true;
        }
    }
    return false;
}

static bool parse_maxmemory(struct config *config, const char *text, struct failure *failure)
{
    return parse_bytes(text, &config->maxmemory_bytes) ||
        failure_say(failure, "expected a size such as 1048576, 512mb or 2gb; 0 for no limit");
}

static bool parse_snapshot(struct config *config, const char *text, struct failure *failure)
{
    return parse_bytes(text, &config->snapshot_bytes) ||
        failure_say(failure, "expected a size such as 64mb; 0 for no snapshots");
}

static bool parse_log_budget(struct config *config, const char *text, struct failure *failure)
{
    return parse_bytes(text, &config->log_bytes_max) ||
        failure_say(failure, "expected a size such as 512mb or 2gb");
}

static bool parse_unacked(struct config *config, const char *text, struct failure *failure)
{
    return parse_bytes(text, &config->unacked_bytes_max) ||
        failure_say(failure, "expected a size such as 256mb or 1gb");
}

static bool parse_bulk(struct config *config, const char *text, struct failure *failure)
{
    uint64_t bytes = 0;
    if (!parse_bytes(text, &bytes) || bytes < 1024 || bytes > CRDT_VALUE_BYTES_MAX) {
        return failure_say(failure, "expected a size from 1kb to 16mb, the largest value");
    }
    config->bulk_bytes_max = (size_t)bytes;
    return true;
}

static bool parse_clients(struct config *config, const char *text, struct failure *failure)
{
    uint64_t count = 0;
    if (!parse_bytes(text, &count) || count < 1 || count > CLIENTS_MAX) {
        return failure_say(failure, "expected a number from 1 to %d", CLIENTS_MAX);
    }
    config->clients_max = (size_t)count;
    return true;
}

static bool parse_history(struct config *config, const char *text, struct failure *failure)
{
    char *end = NULL;
    if (strcmp(text, "all") == 0 || strcmp(text, "none") == 0) {
        config->history_ms = text[0] == 'a' ? UINT64_MAX : 0;
        return true;
    }
    errno = 0;
    unsigned long days = strtoul(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || errno != 0 || days == 0 || days > HISTORY_DAYS_MAX ||
        strcmp(end, "d") != 0) {
        return failure_say(failure, "expected all, none, or a number of days such as 30d, up to "
            "%dd", HISTORY_DAYS_MAX);
    }
    config->history_ms = days * UINT64_C(86400000);
    return true;
}

const struct config_key config_keys[] = {
    {"name", NULL, parse_name, "this node's name; default: the host name"},
    {"cluster", "", parse_any, "the cluster's name: the same on all members, needed with peers"},
    {"dir", "./gossipd-data", parse_path, "where key, store and socket lie"},
    {"bind", "127.0.0.1", parse_bind, "address for clients over TCP"},
    {"port", "6379", parse_port, "port for clients over TCP; 0: none"},
    {"unixsocket", "", parse_any, "socket for clients; default: DIR/gossipd.sock"},
    {"peer-address", "0.0.0.0:16379", parse_peer_address, "where other members connect to"},
    {"peer-source", "", parse_any, "address that connections to members come from"},
    {"http-address", "127.0.0.1:9379", parse_any, "accepted; not served yet"},
    {"durability", "always", parse_durability,
        "always: reply after fsync; everysec: fsync each second; no: never"},
    {"history", "30d", parse_history,
        "batches that all members have stay so long: all, none, or days (30d)"},
    {"snapshot-bytes", "64mb", parse_snapshot,
        "batches between two snapshots of the state, for fast restarts; 0: none"},
    {"log-budget", "1gb", parse_log_budget,
        "bytes of batches; above, the oldest go, and who lacks them gets a snapshot"},
    {"unacked-log", "256mb", parse_unacked,
        "bytes above log-budget for own batches that no other member has yet"},
    {"maxclients", "10000", parse_clients, "clients at a time"},
    {"maxmemory", "0", parse_maxmemory, "refuse writes of clients above; 0: no limit"},
    {"proto-max-bulk-len", "16mb", parse_bulk, "longest argument of a command"},
};
static_assert(
    sizeof config_keys / sizeof config_keys[0] == CONFIG_KEY_COUNT, "all keys are counted");
