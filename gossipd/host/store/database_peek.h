/* A look at a store before anything is made or opened. */
#ifndef GOSSIPD_HOST_DATABASE_PEEK_H
#define GOSSIPD_HOST_DATABASE_PEEK_H

#include <stdbool.h>

/* Whether there is no file at `path`, or a store that holds neither a batch nor a
 * snapshot. One that cannot be read counts as full. Changes nothing. */
bool database_is_empty(const char *path);

#endif
