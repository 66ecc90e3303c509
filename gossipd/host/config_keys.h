/* The keys of the configuration: their names, defaults and what they may be. */
#ifndef GOSSIPD_HOST_CONFIG_KEYS_H
#define GOSSIPD_HOST_CONFIG_KEYS_H

#include "gossipd/host/config.h"

struct config_key {
    const char *name;
    const char *value;    /* the default                                        */
    /* Sets the field, or says what was expected. */
    bool (*parse)(struct config *config, const char *text, struct failure *failure);
    const char *help;
};

#define CONFIG_KEY_COUNT 17
extern const struct config_key config_keys[];

/* Whether the text can name a node. */
bool config_is_name(const char *text);

#endif
