/* Invariant I1: a dot names one operation for ever. Whoever may have lost own
 * operations goes on under a new random generation. */
#include "gossipd/core/machine.h"
#include "gossipd/core/random.h"

#include <string.h>

static uint64_t draw(struct core *core)
{
    uint64_t generation;
    do {
        generation = random_next(&core->random);
    } while (generation == 0 || generation == crdt_self(core->document).generation);
    return generation;
}

static void tell(struct core *core, uint64_t generation, const char *cause)
{
    struct fields fields = {0};
    fields_hex64(&fields, "generation", generation);
    fields_text(&fields, "cause", cause);
    core_event(core, CORE_EVENT_GENERATION, CORE_INFO, &fields);
}

enum crdt_status generation_begin(struct core *core, const char *cause)
{
    /* The mark is made first: a generation that the store does not know of must
     * not be used. */
    struct held *mark = held_new(&core->options.memory, 0);
    if (mark == NULL)
        return CRDT_ERR_NOMEM;
    uint64_t previous = crdt_self(core->document).generation;
    uint64_t generation = draw(core);
    enum crdt_status status = crdt_set_generation(core->document, generation);
    if (status != CRDT_OK) {
        held_free(&core->options.memory, mark);
        return status;
    }
    core->previous_generation = previous;
    mark->is_mark = true;
    mark->mark = CORE_MARK_GENERATION;
    mark->value = generation;
    journal_append(&core->journal, mark);
    journal_put_out(&core->journal, &core->outputs);
    core->is_fold_stale = true;
    tell(core, generation, cause);
    return CRDT_OK;
}

/* The own generation that wrote last before the present one wrote anything, as far as
 * signed batches say: the one that has seen the others; 0: none. */
static uint64_t find_previous(const struct core *core)
{
    struct crdt_origin last = {.generation = 0};
    for (size_t index = 0; index < crdt_feed_count(core->document); index++) {
        struct crdt_feed feed = crdt_feed_at(core->document, index);
        if (feed.seq == 0 || feed.origin.generation == core->options.generation
            || memcmp(feed.origin.key, core->options.key, CRDT_KEY_BYTES) != 0)
            continue;
        if (last.generation == 0
            || crdt_acknowledged(core->document, &feed.origin, &last) > 0)
            last = feed.origin;
    }
    return last.generation;
}

/* Names the generation in the store, and before it, while it has not begun, the one that
 * its first batch has to name. */
static enum crdt_status name_stored(struct core *core)
{
    struct crdt_origin stored = {.generation = core->options.generation};
    memcpy(stored.key, core->options.key, sizeof stored.key);
    enum crdt_status status = CRDT_OK;
    if (crdt_applied(core->document, &stored) == 0)
        core->previous_generation = find_previous(core);
    if (core->previous_generation != 0)
        status = crdt_set_generation(core->document, core->previous_generation);
    if (status == CRDT_OK)
        status = crdt_set_generation(core->document, stored.generation);
    return status;
}

enum crdt_status generation_continue(struct core *core)
{
    bool is_first = core->options.generation == 0;
    enum crdt_status status = is_first ? CRDT_OK : name_stored(core);
    if (status != CRDT_OK || (!is_first && !core->is_generation_burnt))
        return status;
    status = generation_begin(core, is_first ? "first-start" : "own-batches-may-be-lost");
    /* The mark *ahead* spoke of the generation that has ended. Should this not
     * be said for lack of memory, the next start begins one more generation. */
    if (status == CRDT_OK && !is_first)
        (void)!own_mark(core, CORE_MARK_AHEAD, 0);
    return status;
}

enum crdt_status generation_name(const struct core *core, struct crdt_document *document)
{
    struct crdt_origin self = crdt_self(core->document);
    /* Until its first batch is there, which says what it follows, that has to be
     * known: the one before is named before. */
    bool has_begun = crdt_applied(document, &self) > 0;
    enum crdt_status status = CRDT_OK;
    if (!has_begun && core->previous_generation != 0)
        status = crdt_set_generation(document, core->previous_generation);
    if (status == CRDT_OK)
        status = crdt_set_generation(document, self.generation);
    return status;
}

/* True when nothing that this peer said of this node's feeds is missing here. */
static bool confirms(const struct core *core, const struct peer *peer)
{
    if (peer->link == 0 || !peer->has_summary)
        return false;
    for (size_t index = 0; index < peer->said.count; index++) {
        const struct crdt_dot *said = &peer->said.items[index];
        if (memcmp(said->origin.key, core->options.key, CRDT_KEY_BYTES) == 0
            && said->seq > crdt_applied(core->document, &said->origin))
            return false;
    }
    return true;
}

bool generation_is_doubted(const struct core *core)
{
    struct crdt_origin self = crdt_self(core->document);
    uint64_t applied = crdt_applied(core->document, &self);
    for (size_t index = 0; index < core->options.peer_count; index++) {
        if (vector_get(&core->peers[index].said, &self) > applied)
            return true;
    }
    return false;
}

bool generation_is_confirmed(const struct core *core)
{
    bool is_confirmed = false;
    for (size_t index = 0; index < core->options.peer_count; index++) {
        const struct peer *peer = &core->peers[index];
        /* Its word is on its way, and may be another one. */
        if (peer->link != 0 && !peer->has_summary)
            return false;
        is_confirmed = is_confirmed || confirms(core, peer);
    }
    return is_confirmed && !generation_is_doubted(core);
}
