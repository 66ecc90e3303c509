/* The configuration file: libConfuse's syntax, our keys. */
#ifndef GOSSIPD_HOST_CONFIG_FILE_H
#define GOSSIPD_HOST_CONFIG_FILE_H

#include "gossipd/host/config.h"

/* Sets what the file says. On failure the text begins with FILE:LINE. */
bool config_file_read(struct config *config, const char *path, struct failure *failure);

#endif
