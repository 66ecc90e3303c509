/* Memory that is counted: what INFO calls used_memory is exact. */
#ifndef GOSSIPD_HOST_MEMORY_H
#define GOSSIPD_HOST_MEMORY_H

#include <stdatomic.h>

#include <crdt.h>

/* Counts the bytes asked for through one hook. Threads may share it. */
struct counting_memory {
    atomic_size_t used_bytes;
    atomic_size_t peak_bytes;
};

/* The hook; `counter` must outlive everything allocated through it. */
struct crdt_memory memory_hook(struct counting_memory *counter);

size_t memory_used(const struct counting_memory *counter);
size_t memory_peak(const struct counting_memory *counter);

/* Gives zeroed memory, or NULL. */
void *memory_new(const struct crdt_memory *memory, size_t bytes);
/* Gives memory back; `bytes` is the size asked for. Accepts NULL. */
void memory_free(const struct crdt_memory *memory, void *block, size_t bytes);

#endif
