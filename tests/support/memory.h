/* A memory hook that counts what is held, checks that `old_bytes` tells the
 * truth, and can refuse the n-th request. */
#ifndef SUPPORT_MEMORY_H
#define SUPPORT_MEMORY_H

#include <crdt.h>

struct test_memory {
    size_t held;      /* bytes                                                 */
    size_t peak;      /* bytes                                                 */
    uint64_t requests; /* for new or more bytes                                */
    uint64_t fail_at; /* the request that gets NULL, counted from 1; 0: none   */
};

/* `memory` is borrowed as long as the hook is used. */
struct crdt_memory test_memory_hook(struct test_memory *memory);

#endif
