/* What a wrong clock and a flood may do: stamps (I11), what is history, how many
 * signatures are being checked and how much memory a node holds. */
#include "tests/sim/invariants.h"

#include <string.h>

#include "tests/sim/records.h"
#include "tests/sim/simulator.h"

#define STAMP_AHEAD_MS 60000 /* docs/semantics.md: further ahead nobody stamps by himself */

void invariants_clock(struct simulator *sim, size_t node)
{
    struct node *self = &sim->nodes[node];
    const struct crdt_document *document = core_document(self->core);
    bool is_open = crdt_open_records(document) > 0;
    uint64_t closed = self->self == ORIGIN_COUNT_MAX ? 0 : self->context.seq[self->self];
    if (closed > 0)
        is_open |= registry_batch(&sim->registry, self->self, closed) == NULL;
    uint64_t wall_ms = node_wall_ms(sim, node);
    if (!is_open || self->stamped_ms_max < wall_ms)
        self->stamped_ms_max = wall_ms;
    if (!is_open || self->stamped_ms_min > wall_ms)
        self->stamped_ms_min = wall_ms;
}

/* No stamp is further ahead of the clock, and each is above the one before, unless
 * that was: the clock has been set back. */
static void stamps_judge(
    struct simulator *sim, size_t node, const struct record *record, uint64_t seq)
{
    struct node *self = &sim->nodes[node];
    uint64_t stamp_ms = record->hlc >> 16;
    /* A counter that overflows runs into the milliseconds. */
    if (stamp_ms > self->stamped_ms_max + STAMP_AHEAD_MS + 1)
        simulator_fail(sim, "n%zu: I11: stamps its operation %llu with %llu ms, its clock showed"
            " %llu at most", node + 1, (unsigned long long)seq, (unsigned long long)stamp_ms,
            (unsigned long long)self->stamped_ms_max);
    bool was_ahead = self->stamp >> 16 > self->stamped_ms_min + STAMP_AHEAD_MS;
    if (record->hlc <= self->stamp && !was_ahead)
        simulator_fail(sim, "n%zu: I11: stamps its operation %llu with %llu, and one before it"
            " with %llu", node + 1, (unsigned long long)seq, (unsigned long long)record->hlc,
            (unsigned long long)self->stamp);
    self->stamp = record->hlc;
}

void invariants_stamps(struct simulator *sim, size_t node, const struct known_batch *batch)
{
    const struct records *records = batch->records;
    for (size_t i = 0; records != NULL && i < records->count && !sim->is_broken; i++)
        if (records->items[i].code == RECORD_PUT_REGISTER)
            stamps_judge(sim, node, &records->items[i], batch->first_seq + i);
}

void invariants_verify(struct simulator *sim, size_t node, const struct core_output *output)
{
    struct node *self = &sim->nodes[node];
    uint64_t name = record_mix(record_hash(output->bytes),
        record_hash((struct crdt_bytes){ output->signature, CORE_SIGNATURE_BYTES }));
    size_t same = 0;
    for (size_t i = 0; i < self->verifying_count; i++)
        same += self->verifying[i].name == name;
    /* Every offer that shows an own tip has it checked. */
    bool is_own = memcmp(output->key, self->key, CRDT_KEY_BYTES) == 0;
    if (same >= VERIFYING_SAME_MAX && !is_own)
        simulator_fail(sim, "n%zu: checks one signature %zu times at once", node + 1, same + 1);
    if (self->verifying_count == VERIFYING_MAX) {
        simulator_fail(sim, "n%zu: checks more than %d signatures at once", node + 1,
            VERIFYING_MAX);
        return;
    }
    self->verifying[self->verifying_count++]
        = (struct verifying){ .number = output->number, .name = name };
}

void invariants_verified(struct simulator *sim, size_t node, uint64_t number)
{
    struct node *self = &sim->nodes[node];
    for (size_t i = 0; i < self->verifying_count; i++)
        if (self->verifying[i].number == number) {
            self->verifying[i] = self->verifying[--self->verifying_count];
            return;
        }
}

/* All that a core may know is the batches that there are; some are there several
 * times, as entries, headers, in the journal and in messages. */
void invariants_held(struct simulator *sim, size_t node)
{
    uint64_t known = 0;
    for (size_t i = 0; i < sim->registry.origin_count; i++)
        known += sim->registry.origins[i].bytes;
    if (sim->nodes[node].held_bytes > HELD_BYTES_MIN + HELD_FACTOR * known)
        simulator_fail(sim, "n%zu: holds %zu bytes, and all batches together have %llu",
            node + 1, sim->nodes[node].held_bytes, (unsigned long long)known);
}
