/* The tables of a store, in the words in which SQLite keeps them. A store that holds
 * anything else was made or changed by someone else: a trigger would change what is
 * stored behind our back. */
#ifndef GOSSIPD_HOST_DATABASE_SCHEMA_H
#define GOSSIPD_HOST_DATABASE_SCHEMA_H

#include "gossipd/host/log.h"
#include "gossipd/host/store/sql.h"

#define SCHEMA_BATCH \
    "CREATE TABLE batch (place INTEGER PRIMARY KEY, key BLOB NOT NULL, " \
    "generation INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, " \
    "previous BLOB NOT NULL, head BLOB NOT NULL, bytes BLOB NOT NULL, " \
    "signature BLOB NOT NULL, applied_ms INTEGER NOT NULL)"
#define SCHEMA_BATCH_FEED "CREATE INDEX batch_feed ON batch (key, generation, first)"
#define SCHEMA_MARK "CREATE TABLE mark (name TEXT PRIMARY KEY, value) WITHOUT ROWID"
/* Numbers of snapshots are never used again (AUTOINCREMENT), so that parts left
 * over from one cannot become parts of another. */
#define SCHEMA_SNAPSHOT \
    "CREATE TABLE snapshot (id INTEGER PRIMARY KEY AUTOINCREMENT, " \
    "number INTEGER NOT NULL, place INTEGER NOT NULL, log_bytes INTEGER NOT NULL, " \
    "bytes INTEGER, parts INTEGER, hash BLOB, tips BLOB)"
#define SCHEMA_SNAPSHOT_PART \
    "CREATE TABLE snapshot_part (id INTEGER NOT NULL, part INTEGER NOT NULL, " \
    "bytes BLOB NOT NULL)"
#define SCHEMA_SNAPSHOT_PART_ORDER \
    "CREATE INDEX snapshot_part_order ON snapshot_part (id, part)"
/* Written before snapshots had tips. */
#define SCHEMA_SNAPSHOT_BEFORE \
    "CREATE TABLE snapshot (id INTEGER PRIMARY KEY AUTOINCREMENT, " \
    "number INTEGER NOT NULL, place INTEGER NOT NULL, bytes INTEGER)"
#define SCHEMA_FLOOR \
    "CREATE TABLE floor (key BLOB NOT NULL, generation INTEGER NOT NULL, " \
    "seq INTEGER NOT NULL, PRIMARY KEY (key, generation)) WITHOUT ROWID"
#define SCHEMA_STAGE \
    "CREATE TABLE stage (id INTEGER PRIMARY KEY AUTOINCREMENT, " \
    "hash BLOB NOT NULL, bytes INTEGER NOT NULL, parts INTEGER NOT NULL, " \
    "tips BLOB NOT NULL, staged INTEGER NOT NULL)"
#define SCHEMA_EVIDENCE \
    "CREATE TABLE evidence (key BLOB NOT NULL, generation INTEGER NOT NULL, " \
    "seq INTEGER NOT NULL, header_a BLOB NOT NULL, signature_a BLOB NOT NULL, " \
    "header_b BLOB, signature_b BLOB, found_ms INTEGER NOT NULL, " \
    "PRIMARY KEY (key, generation)) WITHOUT ROWID"

/* Whether the store holds nothing but these. SQL_ABSENT: something else is there, and
 * `failure` says what; SQL_FAILED: it cannot be read. */
enum sql_answer database_schema_check(sqlite3 *handle, struct failure *failure);

#endif
