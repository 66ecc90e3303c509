/* What a store says of its writer: cluster, key, generation, where it lives. For
 * database.c. */
#ifndef GOSSIPD_HOST_DATABASE_FACTS_H
#define GOSSIPD_HOST_DATABASE_FACTS_H

#include "gossipd/host/store/database.h"
#include "gossipd/host/store/sql.h"

/* Reads them, with `is_new` given, and writes down who uses the store from now on
 * where that is new. False: the store cannot be read or written, or is another
 * cluster's. */
bool database_facts_open(sqlite3 *handle, const char *path,
    const uint8_t cluster_id[static CRDT_HASH_BYTES], const uint8_t key[static CRDT_KEY_BYTES],
    struct database_facts *facts, struct failure *failure);

#endif
