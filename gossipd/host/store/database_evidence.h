/* Evidence of forks in the store: a table of one row for each forked origin, with
 * the two signed headers as they came, so that anyone can check them. See
 * wire/evidence.h for what they prove. */
#ifndef GOSSIPD_HOST_DATABASE_EVIDENCE_H
#define GOSSIPD_HOST_DATABASE_EVIDENCE_H

#include <sqlite3.h>

#include "gossipd/host/log.h"
#include "gossipd/host/store/row.h"
#include "gossipd/wire/evidence.h"

/* Makes the table where it is missing. */
bool database_evidence_open(sqlite3 *handle);
/* Puts the evidence in the place of what there is of its origin; none: that goes.
 * Inside a transaction. */
bool database_evidence_set(sqlite3 *handle, const struct row *row);
/* Gives every row, as CORE_REPLAY_EVIDENCE wants it; the bytes live until `visit`
 * returns. A row that is not one, or a store that has no such table, is passed over. */
bool database_evidence_replay(sqlite3 *handle,
    void (*visit)(void *context, struct crdt_bytes evidence), void *context,
    struct failure *failure);

/* Opens the store of a stopped node to look at its evidence, and reads which cluster
 * it belongs to. The caller closes the handle, also after a failure. */
bool database_evidence_open_file(const char *path, uint8_t ret_cluster_id[static CRDT_HASH_BYTES],
    sqlite3 **ret_handle, struct failure *failure);

/* Does the evidence hold: two validly signed headers of one origin that contradict
 * each other? `evidence` as it was given by a replay. */
enum evidence_verdict {
    EVIDENCE_PROVES,
    EVIDENCE_IS_SINGLE,  /* one header, validly signed: proves nothing by itself    */
    EVIDENCE_IS_FORGED,  /* a signature does not fit                               */
    EVIDENCE_IS_BROKEN,  /* not evidence at all                                    */
};
enum evidence_verdict evidence_check(
    struct crdt_bytes evidence, const uint8_t cluster_id[static CRDT_HASH_BYTES]);

#endif
