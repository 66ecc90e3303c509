/* What one step puts out, and the memory it points to, which lives until the
 * next step. */
#ifndef GOSSIPD_CORE_OUTPUTS_H
#define GOSSIPD_CORE_OUTPUTS_H

#include "gossipd/core/core.h"

struct outputs_chunk;

struct outputs {
    const struct crdt_memory *memory;
    struct core_output *items;
    size_t count;
    size_t capacity;
    struct outputs_chunk *chunks; /* newest first; the oldest is kept over steps   */
};

/* Reserves room for a few outputs, so that closing a client can be said also
 * when memory is out. NOMEM. */
CRDT_MUST_CHECK enum crdt_status outputs_init(
    struct outputs *outputs, const struct crdt_memory *memory);
void outputs_close(struct outputs *outputs);

/* Begins a step: forgets all that was put out. */
void outputs_reset(struct outputs *outputs);

/* Appends an output of a kind, else zeroed; NULL when memory is out. The
 * pointer lives until the next call. */
struct core_output *outputs_add(struct outputs *outputs, enum core_output_kind kind);

/* Copies bytes into memory of this step. NOMEM. */
CRDT_MUST_CHECK enum crdt_status outputs_copy(
    struct outputs *outputs, struct crdt_bytes bytes, struct crdt_bytes *ret_copy);

#endif
