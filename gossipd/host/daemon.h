/* The daemon from its configuration to its exit code. */
#ifndef GOSSIPD_HOST_DAEMON_H
#define GOSSIPD_HOST_DAEMON_H

#include "gossipd/host/config.h"

/* Opens everything, serves until a signal, closes everything. Drops this node's
 * own key from the peers of `config`. Returns the exit code; what goes wrong is
 * in the log. */
int daemon_run(struct config *config);

#endif
