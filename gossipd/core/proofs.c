#include "gossipd/core/proofs.h"

#include "gossipd/core/memory.h"
#include "gossipd/limits.h"

#include <assert.h>
#include <string.h>

void proofs_init(struct proofs *proofs, const struct crdt_memory *memory)
{
    *proofs = (struct proofs){.memory = memory};
}

void proofs_close(struct proofs *proofs)
{
    for (size_t index = 0; index < proofs->count; index++)
        memory_free(proofs->memory, proofs->items[index].data, proofs->items[index].size);
    memory_free(proofs->memory, proofs->items, proofs->capacity * sizeof *proofs->items);
    *proofs = (struct proofs){.memory = proofs->memory};
}

static size_t count_of_key(
    const struct proofs *proofs, const uint8_t key[static CRDT_KEY_BYTES])
{
    size_t count = 0;
    for (size_t index = 0; index < proofs->count; index++)
        count += memcmp(proofs->items[index].origin.key, key, CRDT_KEY_BYTES) == 0;
    return count;
}

static enum crdt_status check_room(
    struct proofs *proofs, const struct crdt_origin *origin, size_t size)
{
    const struct proof *old = proofs_find(proofs, origin);
    size_t bytes = proofs->bytes - (old == NULL ? 0 : old->size) + size;
    if (bytes > EVIDENCE_BYTES_MAX
        || (old == NULL
            && (proofs->count == EVIDENCE_MAX
                || count_of_key(proofs, origin->key) >= EVIDENCE_KEY_MAX)))
        return CRDT_ERR_LIMIT;
    void *items = proofs->items;
    bool has_room = memory_grow(proofs->memory, &items, &proofs->capacity,
        proofs->count + 1, sizeof *proofs->items);
    proofs->items = items;
    return has_room ? CRDT_OK : CRDT_ERR_NOMEM;
}

enum crdt_status proofs_add(struct proofs *proofs, struct crdt_bytes bytes)
{
    struct evidence evidence;
    enum crdt_status status = evidence_read(bytes, &evidence);
    if (status != CRDT_OK)
        return status;
    struct crdt_origin origin = evidence.here.batch.origin;
    status = check_room(proofs, &origin, bytes.size);
    if (status != CRDT_OK)
        return status;
    uint8_t *data = memory_new(proofs->memory, bytes.size);
    if (data == NULL)
        return CRDT_ERR_NOMEM;
    memcpy(data, bytes.data, bytes.size);
    struct crdt_bytes copy = {.data = data, .size = bytes.size};
    status = evidence_read(copy, &evidence);
    assert(status == CRDT_OK);
    proofs_remove(proofs, &origin);
    proofs->items[proofs->count++] = (struct proof){
        .origin = origin,
        .number = ++proofs->newest,
        .evidence = evidence,
        .data = data,
        .size = bytes.size};
    proofs->bytes += bytes.size;
    proofs->changes++;
    return CRDT_OK;
}

bool proofs_remove(struct proofs *proofs, const struct crdt_origin *origin)
{
    struct proof *proof = proofs_find(proofs, origin);
    if (proof == NULL)
        return false;
    proofs->bytes -= proof->size;
    memory_free(proofs->memory, proof->data, proof->size);
    size_t index = (size_t)(proof - proofs->items);
    proofs->changes++;
    proofs->count--;
    memmove(proof, proof + 1, (proofs->count - index) * sizeof *proof);
    return true;
}

struct proof *proofs_find(const struct proofs *proofs, const struct crdt_origin *origin)
{
    for (size_t index = 0; index < proofs->count; index++) {
        if (crdt_origin_compare(&proofs->items[index].origin, origin) == 0)
            return &proofs->items[index];
    }
    return NULL;
}

struct proof *proofs_frozen(const struct proofs *proofs, const struct crdt_origin *origin)
{
    struct proof *proof = proofs_find(proofs, origin);
    return proof != NULL && proof->evidence.is_proof ? proof : NULL;
}

size_t proofs_frozen_count(const struct proofs *proofs)
{
    size_t count = 0;
    for (size_t index = 0; index < proofs->count; index++)
        count += proofs->items[index].evidence.is_proof;
    return count;
}

const struct proof *proofs_single(
    const struct proofs *proofs, const uint8_t key[static CRDT_KEY_BYTES])
{
    bool must_be_own = count_of_key(proofs, key) >= EVIDENCE_KEY_MAX;
    for (size_t index = 0; index < proofs->count; index++) {
        const struct proof *proof = &proofs->items[index];
        bool is_own = memcmp(proof->origin.key, key, CRDT_KEY_BYTES) == 0;
        if (!proof->evidence.is_proof && (is_own || !must_be_own))
            return proof;
    }
    return NULL;
}

uint64_t proofs_newest(const struct proofs *proofs)
{
    for (size_t index = proofs->count; index > 0; index--) {
        if (proofs->items[index - 1].evidence.is_proof)
            return proofs->items[index - 1].number;
    }
    return 0;
}
