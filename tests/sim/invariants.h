/* What must hold, checked from outside: through the seam, the bytes of batches
 * and the read-only document. Names are those of design.md, section 2. */
#ifndef TESTS_SIM_INVARIANTS_H
#define TESTS_SIM_INVARIANTS_H

#include "gossipd/core/core.h"
#include "tests/sim/disk.h"
#include "tests/sim/registry.h"

struct simulator;

/* After a step, before its outputs are executed: I1 on every STORE, I2 and I3
 * on the context, then S of a sample. */
void invariants_step(struct simulator *sim, size_t node, const struct core_outputs *outputs);
/* A message leaves: nothing own in it may be lost by a crash (I1). */
void invariants_send(struct simulator *sim, size_t node, struct crdt_bytes bytes);
/* A batch has become durable on a node. */
void invariants_durable(struct simulator *sim, size_t node, const struct disk_item *item);
/* A batch was reported STORED. */
void invariants_reported(struct simulator *sim, size_t node, const struct disk_item *item);
/* A node is back: what it promised is there. */
void invariants_restarted(struct simulator *sim, size_t node);
/* S of a node equals that of a reference document made from the same batches
 * in another order (I4, I5, I8). False when not all of them are known. */
bool invariants_reference(struct simulator *sim, size_t node);
/* The same C on every node that is up. */
bool invariants_converged(const struct simulator *sim);
/* Every promise kept, everywhere. */
void invariants_promises(struct simulator *sim);
/* Reads everything that the model knows through commands, on every node, and
 * compares; compares CRDT.DIGEST. */
void invariants_values(struct simulator *sim);

/* ---- invariants_log.c: I6 and I7 ---- */

/* A snapshot, joined or not, is durable, with the floor that it brought. */
void invariants_snapshot(struct simulator *sim, size_t node);
/* What a core says may go is not more than it can know. */
void invariants_drop(struct simulator *sim, size_t node, const struct core_drop *drop);
/* A batch goes, with `log_bytes` still there, itself included. */
void invariants_dropped(
    struct simulator *sim, size_t node, const struct disk_item *item, uint64_t log_bytes);
/* The joined document is in the place of the old one. */
void invariants_joined(struct simulator *sim, size_t node);
/* An offer leaves: of a snapshot that this node has, and that helps. */
void invariants_offered(struct simulator *sim, size_t node, struct crdt_bytes bytes);

/* ---- invariants_bounds.c: I11, floods ---- */

/* Before a step: the latest that the clock has shown since the open batch began. */
void invariants_clock(struct simulator *sim, size_t node);
/* The stamps of a new batch of the node's own (I11). */
void invariants_stamps(struct simulator *sim, size_t node, const struct known_batch *batch);
/* A VERIFY, and its answer. */
void invariants_verify(struct simulator *sim, size_t node, const struct core_output *output);
void invariants_verified(struct simulator *sim, size_t node, uint64_t number);
/* The memory of a core after a step. */
void invariants_held(struct simulator *sim, size_t node);

/* state.c: BLAKE2b of all live entries in canonical order; false: no memory. */
bool state_hash(const struct crdt_document *document, uint8_t ret_hash[static CRDT_HASH_BYTES]);
/* The first entry that differs, in words. */
void state_difference(const struct crdt_document *a, const struct crdt_document *b, char *ret_text,
    size_t text_bytes);

#endif
