/* The configuration. See config.h. */
#include "gossipd/host/config.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gossipd/host/config_file.h"
#include "gossipd/host/config_keys.h"
#include "gossipd/host/identity.h"
#include "gossipd/limits.h"

static_assert(CONFIG_KEY_COUNT < CONFIG_KEYS_MAX, "every key has its place in struct config");

const char *config_key(size_t index)
{
    return index < CONFIG_KEY_COUNT ? config_keys[index].name : NULL;
}

static size_t key_find(const char *name)
{
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        if (strcmp(config_keys[i].name, name) == 0) {
            return i;
        }
    }
    return CONFIG_KEY_COUNT;
}

static bool key_set(struct config *config, size_t index, const char *text, struct failure *failure)
{
    struct failure expected = {{0}};
    if (!config_keys[index].parse(config, text, &expected)) {
        return failure_say(
            failure, "%s = \"%s\": %s", config_keys[index].name, text, expected.text);
    }
    char *copy = strdup(text);
    if (copy == NULL) {
        return failure_say(failure, "out of memory");
    }
    free(config->values[index]);
    config->values[index] = copy;
    return true;
}

bool config_apply(
    struct config *config, const char *name, const char *text, struct failure *failure)
{
    size_t index = key_find(name);
    if (index == CONFIG_KEY_COUNT) {
        return failure_say(
            failure, "there is no key \"%s\"; `gossipd --help` lists all keys", name);
    }
    config->is_explicit[index] = true;
    return key_set(config, index, text, failure);
}

bool config_is_explicit(const struct config *config, const char *name)
{
    size_t index = key_find(name);
    assert(index < CONFIG_KEY_COUNT);
    return config->is_explicit[index];
}

static bool check_peer(const struct config *config, const struct core_peer *peer,
    struct failure *failure)
{
    if (config->peer_count >= MEMBERS_MAX) {
        return failure_say(failure, "expected at most %d peers", MEMBERS_MAX);
    }
    for (size_t i = 0; i < config->peer_count; i++) {
        if (memcmp(config->peers[i].key, peer->key, CRDT_KEY_BYTES) == 0) {
            return failure_say(failure, "peers \"%s\" and \"%s\" have the same key: each member "
                "needs a key of its own", config->peers[i].name, peer->name);
        }
    }
    return true;
}

static bool push_peer(struct config *config, const struct core_peer *peer,
    const struct config_address *address, struct failure *failure)
{
    size_t count = config->peer_count + 1;
    struct core_peer *peers = realloc(config->peers, count * sizeof *peers);
    if (peers != NULL) {
        config->peers = peers;
    }
    struct config_address *addresses =
        realloc(config->peer_addresses, count * sizeof *addresses);
    if (addresses != NULL) {
        config->peer_addresses = addresses;
    }
    if (peers == NULL || addresses == NULL) {
        return failure_say(failure, "out of memory");
    }
    peers[count - 1] = *peer;
    addresses[count - 1] = *address;
    config->peer_count = count;
    return true;
}

bool config_add_peer(struct config *config, const char *name, const char *key,
    const char *address, struct failure *failure)
{
    struct core_peer peer = {{0}, {0}};
    struct config_address where;
    if (!config_is_name(name)) {
        return failure_say(failure, "peer \"%s\": expected a name of 1 to %d letters, digits, "
            "'.', '_' or '-'", name, CORE_NAME_BYTES - 1);
    }
    memcpy(peer.name, name, strlen(name) + 1);
    if (key == NULL || !identity_key_parse(key, peer.key)) {
        return failure_say(failure, "peer \"%s\": expected key = \"64 hexadecimal digits\", as "
            "`gossipctl pubkey` prints them on that node", name);
    }
    if (address == NULL || !config_address_parse(address, &where)) {
        return failure_say(failure, "peer \"%s\": expected address = \"HOST:PORT\", for IPv6 "
            "\"[ADDRESS]:PORT\"", name);
    }
    return check_peer(config, &peer, failure) && push_peer(config, &peer, &where, failure);
}

static bool set_defaults(struct config *config, struct failure *failure)
{
    char host[CORE_NAME_BYTES] = "";
    if (gethostname(host, sizeof host - 1) != 0 || !config_is_name(host)) {
        memcpy(host, "node", sizeof "node");
    }
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        const char *value = config_keys[i].value != NULL ? config_keys[i].value : host;
        if (!key_set(config, i, value, failure)) {
            return false;
        }
    }
    return true;
}

static const char *value_of(const struct config *config, const char *name)
{
    size_t index = key_find(name);
    assert(index < CONFIG_KEY_COUNT);
    return config->values[index];
}

/* The socket lies in `dir` unless it is set. */
static bool set_socket(struct config *config, struct failure *failure)
{
    if (value_of(config, "unixsocket")[0] != '\0') {
        return true;
    }
    char path[4096];
    int size = snprintf(path, sizeof path, "%s/gossipd.sock", value_of(config, "dir"));
    if (size < 0 || (size_t)size >= sizeof path) {
        return failure_say(failure, "dir: expected a shorter path");
    }
    return key_set(config, key_find("unixsocket"), path, failure);
}

/* Checks what no single key can, and fills in the fields that are plain text. */
static bool finish(struct config *config, struct failure *failure)
{
    if (!set_socket(config, failure)) {
        return false;
    }
    config->cluster = value_of(config, "cluster");
    config->dir = value_of(config, "dir");
    config->bind = value_of(config, "bind");
    config->unixsocket = value_of(config, "unixsocket");
    config->peer_source = value_of(config, "peer-source");
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        config->settings[i] = (struct core_setting){config_keys[i].name, config->values[i]};
    }
    config->setting_count = CONFIG_KEY_COUNT;
    if (config->peer_count > 0 && config->cluster[0] == '\0') {
        return failure_say(failure, "%s: a peer is configured but no cluster: expected "
            "cluster = \"NAME\", the same on all members", config->place);
    }
    return true;
}

/* Takes `--KEY VALUE` or `--KEY=VALUE` at `*index`. */
static bool read_flag(
    struct config *config, int count, char **arguments, int *index, struct failure *failure)
{
    const char *flag = arguments[*index];
    const char *equals = strchr(flag, '=');
    char name[64];
    size_t size = equals != NULL ? (size_t)(equals - flag) - 2 : strlen(flag) - 2;
    if (size >= sizeof name) {
        return failure_say(failure, "%s: there is no such flag; see gossipd --help", flag);
    }
    memcpy(name, flag + 2, size);
    name[size] = '\0';
    if (key_find(name) == CONFIG_KEY_COUNT) {
        return failure_say(failure, "--%s: there is no such flag; see gossipd --help", name);
    }
    if (equals == NULL && *index + 1 >= count) {
        return failure_say(failure, "--%s: expected a value behind it", name);
    }
    const char *text = equals != NULL ? equals + 1 : arguments[++*index];
    struct failure expected = {{0}};
    return config_apply(config, name, text, &expected) ||
        failure_say(failure, "--%s", expected.text);
}

/* First the file, so that flags win wherever they stand. */
static bool read_files(
    struct config *config, int count, char **arguments, struct failure *failure)
{
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "-c") != 0) {
            bool takes_value = strncmp(arguments[i], "--", 2) == 0 &&
                strchr(arguments[i], '=') == NULL;
            i += takes_value ? 1 : 0;
            continue;
        }
        if (config->has_file || i + 1 >= count) {
            return failure_say(failure, "-c: expected one configuration file");
        }
        config->has_file = true;
        if (!config_file_read(config, arguments[++i], failure)) {
            return false;
        }
    }
    return true;
}

static bool read_flags(
    struct config *config, int count, char **arguments, struct failure *failure)
{
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "-c") == 0) {
            i++;
        } else if (strncmp(arguments[i], "--", 2) != 0) {
            return failure_say(failure, "%s: expected -c FILE or --KEY VALUE; see gossipd --help",
                arguments[i]);
        } else if (!read_flag(config, count, arguments, &i, failure)) {
            return false;
        }
    }
    return true;
}

enum config_result config_read(
    int count, char **arguments, struct config *ret_config, struct failure *failure)
{
    *ret_config = (struct config){0};
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--help") == 0 || strcmp(arguments[i], "-h") == 0) {
            return CONFIG_HELP;
        }
        if (strcmp(arguments[i], "--version") == 0) {
            return CONFIG_VERSION;
        }
    }
    bool is_good = set_defaults(ret_config, failure) &&
        read_files(ret_config, count, arguments, failure) &&
        read_flags(ret_config, count, arguments, failure) && finish(ret_config, failure);
    return is_good ? CONFIG_DONE : CONFIG_BAD;
}

void config_close(struct config *config)
{
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        free(config->values[i]);
    }
    free(config->peers);
    free(config->peer_addresses);
    *config = (struct config){0};
}

bool config_drop_self(struct config *config, const uint8_t key[static CRDT_KEY_BYTES])
{
    for (size_t i = 0; i < config->peer_count; i++) {
        if (memcmp(config->peers[i].key, key, CRDT_KEY_BYTES) == 0) {
            size_t behind = config->peer_count - i - 1;
            memmove(&config->peers[i], &config->peers[i + 1], behind * sizeof *config->peers);
            memmove(&config->peer_addresses[i], &config->peer_addresses[i + 1],
                behind * sizeof *config->peer_addresses);
            config->peer_count--;
            return true;
        }
    }
    return false;
}

void config_help_print(void)
{
    fputs("usage: gossipd [-c FILE] [--KEY VALUE ...] [--help] [--version]\n\n"
          "An active-active store that speaks the Redis protocol: every node takes reads and\n"
          "writes, cut off or not, and all nodes converge to the same state.\n\n"
          "Links between nodes are signed but NOT ENCRYPTED yet: use loopback or a private\n"
          "network only. Clients are not authenticated: keep `bind` on loopback.\n\n"
          "Without a file and flags it runs a single node in ./gossipd-data.\n\n"
          "Keys, in the file (KEY = \"VALUE\") or as flags:\n",
        stdout);
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        const char *value = config_keys[i].value != NULL ? config_keys[i].value : "";
        bool has_value = value[0] != '\0';
        printf("  --%-19s %s%s%s%s\n", config_keys[i].name, config_keys[i].help,
            has_value ? " [" : "", value, has_value ? "]" : "");
    }
    fputs("\nEvery other member stands in the file as a section:\n"
          "  peer berlin {\n"
          "    key = \"64 hexadecimal digits\"     # gossipctl pubkey --dir DIR, on that node\n"
          "    address = \"10.0.0.2:16379\"\n"
          "  }\n"
          "A section with this node's own key is ignored, so all members can share one file.\n\n"
          "SIGTERM stops it: it replies to what is durable and exits 0 within 5 seconds.\n"
          "Exit codes: 0 stopped, 1 cannot start or stop, 70 the disk failed to fsync, or\n"
          "out of memory: to be started again.\n",
        stdout);
}
