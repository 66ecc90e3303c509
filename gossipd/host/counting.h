/* Memory that is counted: what INFO calls used_memory is exact. */
#ifndef GOSSIPD_HOST_COUNTING_H
#define GOSSIPD_HOST_COUNTING_H

#include <stdatomic.h>

#include <crdt.h>

/* Counts the bytes asked for through one hook. Threads may share it. */
struct counting_memory {
    atomic_size_t used_bytes;
    atomic_size_t peak_bytes;
};

/* The hook; `counter` must outlive everything allocated through it. */
struct crdt_memory counting_hook(struct counting_memory *counter);

size_t counting_used(const struct counting_memory *counter);
size_t counting_peak(const struct counting_memory *counter);

#endif
