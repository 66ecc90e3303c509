/* The configuration: one file and the same keys as flags, checked whole before
 * any port is opened. */
#ifndef GOSSIPD_HOST_CONFIG_H
#define GOSSIPD_HOST_CONFIG_H

#include "gossipd/core/core.h"
#include "gossipd/host/log.h"

#define CONFIG_HOST_BYTES 256
#define CONFIG_PORT_BYTES 8
#define CONFIG_KEYS_MAX 24 /* keys outside of sections                          */

/* HOST:PORT, taken apart. */
struct config_address {
    char host[CONFIG_HOST_BYTES];
    char port[CONFIG_PORT_BYTES];
};

struct config {
    char name[CORE_NAME_BYTES];
    const char *cluster;             /* "" when none is set                     */
    const char *dir;
    const char *bind;
    char port[CONFIG_PORT_BYTES];
    const char *unixsocket;
    struct config_address peer_address;
    const char *peer_source;         /* "" when none is set                     */
    enum core_durability durability;
    size_t clients_max;
    uint64_t maxmemory_bytes;
    uint64_t snapshot_bytes;
    uint64_t history_ms;             /* UINT64_MAX: for ever                    */
    uint64_t log_bytes_max;
    uint64_t unacked_bytes_max;
    size_t bulk_bytes_max;
    struct core_peer *peers;         /* parallel to `peer_addresses`            */
    struct config_address *peer_addresses;
    size_t peer_count;
    struct core_setting settings[CONFIG_KEYS_MAX]; /* every key, for CONFIG GET  */
    size_t setting_count;
    char *values[CONFIG_KEYS_MAX];   /* owned; parallel to the keys             */
    bool is_explicit[CONFIG_KEYS_MAX];
    bool has_file;                   /* -c was given                            */
    char place[CONFIG_HOST_BYTES + 32]; /* "FILE:LINE" of the last peer          */
};

enum config_result {
    CONFIG_DONE,
    CONFIG_HELP,    /* --help was asked for                                     */
    CONFIG_VERSION, /* --version was asked for                                  */
    CONFIG_BAD,     /* `failure` has file, line and what was expected           */
};

/* Reads flags, and the file that -c names. Flags win over the file. A config
 * that came back is closed with config_close(), whatever the result was. */
enum config_result config_read(
    int count, char **arguments, struct config *ret_config, struct failure *failure);
void config_close(struct config *config);

/* Drops the peer with this key: one file may list all members. True: it was there. */
bool config_drop_self(struct config *config, const uint8_t key[static CRDT_KEY_BYTES]);

/* Whether the file or a flag sets `name`. */
bool config_is_explicit(const struct config *config, const char *name);

/* The text of --help. */
void config_help_print(void);

/* For the file reader: sets one key; false says what was expected. */
bool config_apply(
    struct config *config, const char *name, const char *text, struct failure *failure);
/* Adds a member. */
bool config_add_peer(struct config *config, const char *name, const char *key,
    const char *address, struct failure *failure);
/* The names of all keys outside of sections; NULL past the last. */
const char *config_key(size_t index);

/* Takes HOST:PORT or [HOST]:PORT apart. */
bool config_address_parse(const char *text, struct config_address *ret_address);

#endif
