/* What follows from the proof of a fork: the origin is frozen. Its batches are not
 * taken directly any more, only as far as a batch of an origin that is not frozen
 * names them in its deps: a voucher, vouch.c. Whoever has applied more than its own newest
 * batch names says so with a NOTE. So what one correct member has applied, all
 * will apply, and the rest nobody. Links and other generations of the member go
 * on. Local, and lifted by CRDT.UNFREEZE. */
#include "gossipd/core/machine.h"

#include <string.h>

/* Own operations under a generation with two histories would be frozen by all. */
static void leave_generation(struct core *core)
{
    struct crdt_origin self = crdt_self(core->document);
    if (proofs_frozen(&core->proofs, &self) == NULL)
        return;
    if (generation_begin(core, "own-feed-has-forked") != CRDT_OK)
        core_retry_soon(core);
}

static bool has_more_than_noted(const struct core *core)
{
    struct crdt_origin self = crdt_self(core->document);
    for (size_t index = 0; index < core->proofs.count; index++) {
        const struct proof *proof = &core->proofs.items[index];
        if (proof->evidence.is_proof
            && crdt_applied(core->document, &proof->origin)
                > crdt_acknowledged(core->document, &self, &proof->origin))
            return true;
    }
    return false;
}

static enum crdt_status write_note(struct core *core)
{
    struct crdt_transaction *transaction;
    enum crdt_status status = crdt_begin(core->document, core->wall_ms, &transaction);
    if (status != CRDT_OK)
        return status;
    status = crdt_note(transaction);
    if (status != CRDT_OK) {
        crdt_abort(transaction);
        return status;
    }
    crdt_commit(transaction);
    return own_close(core);
}

void freeze_go_on(struct core *core)
{
    if (core->proofs.count == 0 || core->phase < PHASE_WAITING
        || core->phase >= PHASE_STOPPING)
        return;
    leave_generation(core);
    bool may_write = core->phase == PHASE_SERVING && core->journal.state == JOURNAL_WORKING;
    if (!may_write || core->options.peer_count == 0 || !has_more_than_noted(core))
        return;
    /* What is open may say it already. */
    enum crdt_status status = own_close(core);
    if (status == CRDT_OK && has_more_than_noted(core))
        status = write_note(core);
    if (status != CRDT_OK)
        core_retry_soon(core);
}

bool freeze_is_member(const struct core *core, const uint8_t key[static CRDT_KEY_BYTES])
{
    for (size_t index = 0; index < core->proofs.count; index++) {
        const struct proof *proof = &core->proofs.items[index];
        if (proof->evidence.is_proof && memcmp(proof->origin.key, key, CRDT_KEY_BYTES) == 0)
            return true;
    }
    return false;
}

enum crdt_status freeze_lift(void *context, const struct crdt_origin *origin)
{
    struct core *core = context;
    if (proofs_find(&core->proofs, origin) == NULL)
        return CRDT_ERR_NOT_FOUND;
    enum crdt_status status = tell_store(core, origin, (struct crdt_bytes){0});
    if (status != CRDT_OK)
        return status;
    proofs_remove(&core->proofs, origin);
    receive_retry(core);
    return CRDT_OK;
}
