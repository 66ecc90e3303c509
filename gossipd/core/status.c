/* Facts about members and convergence, as JSON and as lines of INFO. */
#include "gossipd/core/status.h"

#include "gossipd/core/commands/text.h"
#include "gossipd/core/machine.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char *state_name(enum peer_state state)
{
    switch (state) {
    case PEER_UP:
        return "up";
    case PEER_SUSPECT:
        return "suspect";
    case PEER_DOWN:
        return "down";
    }
    return "down";
}

static bool is_converged(const struct core *core)
{
    for (size_t index = 0; index < core->options.peer_count; index++) {
        if (!sync_is_equal(core, &core->peers[index]))
            return false;
    }
    return true;
}

static uint64_t lag_ms(struct core *core)
{
    uint64_t oldest_us = core->now_us;
    for (size_t index = 0; index < core->options.peer_count; index++) {
        struct peer *peer = &core->peers[index];
        if (peer->link == 0)
            continue;
        uint64_t since_us = peer_lacking_since(peer, core->document, core->now_us);
        if (since_us < oldest_us)
            oldest_us = since_us;
    }
    return (core->now_us - oldest_us) / 1000;
}

static json_t *text_or_unknown(const char *text)
{
    json_t *json = json_string(text);
    return json != NULL ? json : json_string("?");
}

static json_t *member_json(const char *name, const char *state, uint64_t missing_here,
    uint64_t missing_there, uint64_t since_ms, bool is_blocking)
{
    return json_pack("{s:o, s:s, s:I, s:I, s:I, s:b}", "name", text_or_unknown(name), "state",
        state, "missing_here", (json_int_t)missing_here, "missing_there", (json_int_t)missing_there,
        "since_ms", (json_int_t)since_ms, "blocks_log", is_blocking);
}

/* Says so when an origin of the member is frozen. */
static bool mark_frozen(const struct core *core, const uint8_t *key, json_t *member)
{
    return !freeze_is_member(core, key)
        || json_object_set_new(member, "frozen", json_true()) == 0;
}

static json_t *members_json(const struct core *core)
{
    json_t *members = json_array();
    json_t *self = member_json(
        core->options.name, "up", 0, 0, (core->now_us - core->started_us) / 1000, false);
    /* jansson refuses NULL and frees what it took, so that only the whole needs
     * to be looked at. */
    bool is_ok = json_object_set_new(self, "self", json_true()) == 0
        && mark_frozen(core, core->options.key, self);
    is_ok = json_array_append_new(members, self) == 0 && is_ok;
    for (size_t index = 0; index < core->options.peer_count; index++) {
        const struct peer *peer = &core->peers[index];
        json_t *member = member_json(peer->member->name, state_name(peer->state),
            peer_missing_here(peer, core->document), peer_missing_there(peer, core->document),
            (core->now_us - peer->since_us) / 1000, drop_is_blocked_by(core, peer));
        is_ok = json_object_set_new(member, "equal", json_boolean(sync_is_equal(core, peer))) == 0
            && mark_frozen(core, peer->member->key, member) && is_ok;
        is_ok = json_array_append_new(members, member) == 0 && is_ok;
    }
    if (is_ok)
        return members;
    json_decref(members);
    return NULL;
}

static void write_hex(const uint8_t *bytes, size_t count, char *ret_hex)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t index = 0; index < count; index++) {
        ret_hex[2 * index] = digits[bytes[index] >> 4];
        ret_hex[2 * index + 1] = digits[bytes[index] & 15];
    }
    ret_hex[2 * count] = '\0';
}

static void digest_hex(const struct core *core, char ret_hex[static 4 * CRDT_HASH_BYTES + 1])
{
    uint8_t both[2 * CRDT_HASH_BYTES] = {0};
    if (core->digest_version == core->version) {
        memcpy(both, core->digest.context, CRDT_HASH_BYTES);
        memcpy(both + CRDT_HASH_BYTES, core->digest.heads, CRDT_HASH_BYTES);
    }
    write_hex(both, sizeof both, ret_hex);
}

/* Appends the text of `json`, NULL for lack of memory, and frees it. */
static enum crdt_status dump(json_t *json, struct crdt_buffer *ret_json)
{
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (text == NULL)
        return CRDT_ERR_NOMEM;
    enum crdt_status status = crdt_buffer_append(ret_json, text, strlen(text));
    free(text);
    return status;
}

enum crdt_status status_json(void *context, struct crdt_buffer *ret_json)
{
    struct core *core = context;
    /* What is still open belongs to the answer. Where it cannot be closed now,
     * as inside a transaction, the answer is: not converged. */
    if (own_close(core) == CRDT_OK)
        (void)!sync_digest(core);
    char digest[4 * CRDT_HASH_BYTES + 1];
    digest_hex(core, digest);
    struct fields generation = {0};
    fields_hex64(&generation, "", crdt_self(core->document).generation);
    json_t *status = json_pack("{s:b, s:s, s:I, s:s, s:o}", "converged", is_converged(core),
        "digest", digest, "lag_ms", (json_int_t)lag_ms(core), "generation",
        generation.data + 1, "members", members_json(core));
    return dump(status, ret_json);
}

static json_t *fork_json(struct core *core, const struct proof *proof)
{
    const struct evidence *evidence = &proof->evidence;
    char origin[2 * CRDT_KEY_BYTES + 1];
    char head_a[2 * CRDT_HASH_BYTES + 1];
    char head_b[2 * CRDT_HASH_BYTES + 1] = "";
    struct fields generation = {0};
    const char *member = core_member_name(core, proof->origin.key);
    write_hex(proof->origin.key, CRDT_KEY_BYTES, origin);
    fields_hex64(&generation, "", proof->origin.generation);
    write_hex(evidence->here.batch.head, CRDT_HASH_BYTES, head_a);
    if (evidence->is_proof)
        write_hex(evidence->other.batch.head, CRDT_HASH_BYTES, head_b);
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:I, s:b, s:o}", "origin", origin,
        "generation", generation.data + 1, "seq", (json_int_t)evidence_seq(evidence),
        "head_a", head_a, "head_b", head_b, "found_ms", (json_int_t)evidence->found_ms,
        "frozen", evidence->is_proof, "member",
        member == NULL ? json_null() : text_or_unknown(member));
}

enum crdt_status status_forks(void *context, struct crdt_buffer *ret_json)
{
    struct core *core = context;
    json_t *forks = json_array();
    bool is_ok = forks != NULL;
    for (size_t index = 0; index < core->proofs.count; index++)
        is_ok = json_array_append_new(forks, fork_json(core, &core->proofs.items[index])) == 0
            && is_ok;
    if (!is_ok) {
        json_decref(forks);
        forks = NULL;
    }
    return dump(forks, ret_json);
}

static uint64_t refusals(const struct core *core)
{
    uint64_t count = 0;
    for (size_t index = 0; index < REFUSED_COUNT; index++)
        count += core->refusals[index];
    return count;
}

static const char *durability_name(enum core_durability durability)
{
    switch (durability) {
    case CORE_ALWAYS:
        return "always";
    case CORE_EVERYSEC:
        return "everysec";
    case CORE_NO:
        return "no";
    }
    return "no";
}

static const char *join_name(enum join_state state)
{
    switch (state) {
    case JOIN_NONE:
        return "none";
    case JOIN_FETCHING:
        return "fetching";
    case JOIN_READY:
    case JOIN_BUILDING:
        return "building";
    case JOIN_TAKING:
    case JOIN_CATCHING_UP:
        return "catching-up";
    }
    return "none";
}

/* The members for whom batches are kept, joined by commas. */
static void write_blocking(struct lines *lines, const struct core *core)
{
    bool is_first = true;
    lines_text(lines, "crdt_log_blocked_by:");
    for (size_t index = 0; index < core->options.peer_count; index++) {
        const struct peer *peer = &core->peers[index];
        if (!drop_is_blocked_by(core, peer))
            continue;
        lines_text(lines, is_first ? "" : ",");
        lines_text(lines, peer->member->name);
        is_first = false;
    }
    lines_text(lines, "\r\n");
}

static void write_log_and_joins(struct lines *lines, const struct core *core)
{
    lines_field_number(lines, "crdt_log_bytes", core->log_bytes);
    lines_field_number(lines, "crdt_log_floor_raised", core->floor_raised);
    write_blocking(lines, core);
    lines_field_number(lines, "crdt_joins", core->joins);
    lines_field(lines, "crdt_join_state", join_name(core->join.state));
    lines_field_number(lines, "crdt_transfers_served", core->transfers_served);
}

enum crdt_status status_info(void *context, struct crdt_buffer *ret_lines)
{
    struct core *core = context;
    struct lines lines = {.buffer = ret_lines, .status = CRDT_OK};
    uint64_t up_count = 0;
    for (size_t index = 0; index < core->options.peer_count; index++)
        up_count += core->peers[index].state == PEER_UP;
    struct crdt_origin self = crdt_self(core->document);
    struct fields generation = {0};
    fields_hex64(&generation, "", self.generation);
    lines_field(&lines, "crdt_generation", generation.data + 1);
    lines_field_number(&lines, "crdt_own_seq", crdt_applied(core->document, &self));
    lines_field(&lines, "crdt_durability", durability_name(core->durability));
    lines_field_number(&lines, "crdt_members", core->options.peer_count + 1);
    lines_field_number(&lines, "crdt_members_up", up_count + 1);
    lines_field_number(&lines, "crdt_lag_ms", lag_ms(core));
    lines_field_number(&lines, "crdt_feeds", crdt_feed_count(core->document));
    lines_field_number(&lines, "crdt_pending_bytes", core->pending.bytes);
    lines_field_number(&lines, "crdt_pending_evicted", core->pending.evicted);
    lines_field_number(&lines, "crdt_verifying_bytes", core->verifying_bytes);
    lines_field_number(&lines, "crdt_not_durable_bytes", core->journal.bytes);
    lines_field_number(&lines, "crdt_snapshots", core->snapshots);
    lines_field_number(&lines, "crdt_snapshot_bytes", core->newest.bytes);
    lines_field_number(&lines, "crdt_snapshot_in_progress", core->is_snapshot_on);
    lines_field_number(&lines, "crdt_replay_bytes", core->tail_bytes);
    write_log_and_joins(&lines, core);
    lines_field_number(&lines, "crdt_refused", refusals(core));
    lines_field_number(&lines, "crdt_forks", core->forks);
    lines_field_number(&lines, "crdt_frozen", proofs_frozen_count(&core->proofs));
    lines_field_number(&lines, "crdt_clocks_ahead", core->clocks_ahead);
    lines_field_number(&lines, "crdt_lesser_batches", core->lesser_batches);
    return lines.status;
}
