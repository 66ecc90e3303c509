/* What the store holds comes in, before SERVE. What cannot be read is refused and told
 * of, and peers bring it again; where memory was out, or what was dropped is in no
 * snapshot, the rest is not served: that would be to lose what was acknowledged. */
#include "gossipd/core/machine.h"

static void replay_rows(struct core *core, const struct core_input *input)
{
    for (size_t index = 0; index < input->row_count; index++) {
        snapshots_count(core, input->rows[index].batch.size);
        core->log_bytes += input->rows[index].batch.size;
        enum crdt_status status = crdt_merge(core->document, input->rows[index].batch);
        if (status == CRDT_OK)
            continue;
        if (status == CRDT_ERR_NOMEM) {
            core->is_replay_short = true;
            return;
        }
        /* Whatever the store has lost may be own operations. */
        core->is_generation_burnt = true;
        core_refuse(core, REFUSED_REPLAY, NULL);
    }
    core_changed(core);
}

void replay_take(struct core *core, const struct core_input *input)
{
    /* Once memory was out nothing more is taken. */
    if (core->is_replay_short)
        return;
    if (input->kind == CORE_REPLAY_FLOOR)
        drop_replay(core, input);
    else if (input->kind == CORE_REPLAY_SNAPSHOT)
        snapshots_replay(core, input);
    else if (input->kind == CORE_REPLAY_STAGED)
        join_replay(core, input);
    else if (input->kind == CORE_REPLAY_EVIDENCE)
        forks_replay(core, input->bytes);
    else
        replay_rows(core, input);
}

static void refuse_to_serve(struct core *core, const char *reason, const char *action)
{
    core->phase = PHASE_STOPPED;
    struct fields fields = {0};
    fields_text(&fields, "reason", reason);
    fields_text(&fields, "action", action);
    core_event(core, CORE_EVENT_UNUSABLE, CORE_ALARM, &fields);
}

bool replay_is_whole(struct core *core)
{
    if (core->is_replay_short) {
        refuse_to_serve(core, "out of memory before all of the store was loaded",
            "give the process more memory and start it again: the store is untouched");
        return false;
    }
    /* What stood below the floor is neither in a snapshot nor in batches. */
    if (!drop_is_floor_covered(core)) {
        refuse_to_serve(core, "batches before the log floor are gone and the newest"
            " snapshot does not have all of them",
            "restore a backup with gossipctl restore, or start with"
            " node.key in an empty directory: the other members bring the data");
        return false;
    }
    return true;
}

bool core_lacks_memory(const struct core *core)
{
    return core->is_replay_short;
}
