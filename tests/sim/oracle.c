#include "tests/sim/oracle.h"

#include "tests/sim/array.h"
#include "tests/sim/simulator.h"

#define ORACLE_LIVE_MAX 500    /* longer histories are compared less often        */
#define ORACLE_LONG_STEPS 1000 /* namely once in so many steps of the run         */

/* Who made an operation, the operation, and what it had seen. */
struct deed {
    size_t origin;
    uint64_t seq;
    const struct record *record;
    const struct vector *observed;
};

/* One number for an entry, whatever the order of entries. */
static uint64_t entry_number(const uint64_t facts[static 8])
{
    uint64_t number = 0;
    for (size_t i = 0; i < 8; i++)
        number = record_mix(number, facts[i]);
    return number;
}

static uint64_t oracle_number(
    const struct simulator *sim, const struct oracle_entry *entry)
{
    uint64_t facts[8] = { entry->place.prefixes[entry->place.depth], entry->place.element,
        (uint64_t)entry->type ^ entry->seq << 8,
        sim->registry.origins[entry->origin].origin.generation, entry->version,
        (uint64_t)entry->amount, entry->hlc, entry->value };
    return entry_number(facts);
}

static bool has_seen(const struct deed *deed, const struct oracle_entry *entry)
{
    if (entry->origin == deed->origin)
        return entry->seq < deed->seq;
    return entry->seq <= deed->observed->seq[entry->origin];
}

static bool is_same_leaf(const struct oracle_entry *entry, const struct record *record)
{
    const struct place *place = &record->place;
    return entry->place.depth == place->depth
        && entry->place.prefixes[place->depth] == place->prefixes[place->depth]
        && entry->place.element == place->element && entry->type == record_type(record->code);
}

/* Is the entry at or under the place of a KILL, and of its type? */
static bool is_in_scope(const struct oracle_entry *entry, const struct record *record)
{
    const struct place *place = &record->place;
    if (entry->place.depth < place->depth
        || entry->place.prefixes[place->depth] != place->prefixes[place->depth])
        return false;
    if (record->code == RECORD_KILL_ELEMENT)
        return is_same_leaf(entry, record);
    if (record->code == RECORD_KILL_ANY)
        return true;
    if (record->code == RECORD_KILL_MAP)
        return entry->place.depth > place->depth;
    return entry->place.depth == place->depth && entry->type == record_type(record->code);
}

/* True when the operation ends the entry; a FOLD may change it instead. */
static bool ends(const struct deed *deed, struct oracle_entry *entry)
{
    const struct record *record = deed->record;
    switch (record->code) {
    case RECORD_PUT_REGISTER:
    case RECORD_PUT_ELEMENT:
    case RECORD_PUT_FLAG: return is_same_leaf(entry, record) && has_seen(deed, entry);
    case RECORD_ADD_COUNTER:
    case RECORD_ADD_GCOUNTER:
    case RECORD_NOTE: return false;
    case RECORD_FOLD_COUNTER:
    case RECORD_FOLD_GCOUNTER:
        if (entry->origin != deed->origin || !is_same_leaf(entry, record))
            return false;
        if (entry->seq == record->fold_seq) {
            entry->version = deed->seq;
            entry->amount = record->amount;
        }
        return entry->seq >= record->fold_from && entry->seq < record->fold_seq;
    default: return is_in_scope(entry, record) && has_seen(deed, entry);
    }
}

/* Ends what the operation ends; a FOLD gives what it names another number. */
static void oracle_sweep(
    const struct simulator *sim, struct oracle *oracle, const struct deed *deed)
{
    bool is_fold
        = deed->record->code == RECORD_FOLD_COUNTER || deed->record->code == RECORD_FOLD_GCOUNTER;
    for (size_t i = oracle->count; i > 0; i--) {
        struct oracle_entry *entry = &oracle->entries[i - 1];
        uint64_t number = entry->number;
        if (ends(deed, entry)) {
            oracle->sum -= number;
            *entry = oracle->entries[--oracle->count];
        } else if (is_fold) {
            entry->number = oracle_number(sim, entry);
            oracle->sum += entry->number - number;
        }
    }
}

static void oracle_apply(
    const struct simulator *sim, struct oracle *oracle, const struct deed *deed)
{
    const struct record *record = deed->record;
    if (record->code != RECORD_ADD_COUNTER && record->code != RECORD_ADD_GCOUNTER)
        oracle_sweep(sim, oracle, deed);
    if (record->code > RECORD_ADD_GCOUNTER)
        return;
    oracle->entries = array_reserve(
        oracle->entries, oracle->count, &oracle->capacity, sizeof *oracle->entries);
    struct oracle_entry *entry = &oracle->entries[oracle->count++];
    *entry = (struct oracle_entry){ .place = record->place,
        .type = record_type(record->code),
        .origin = deed->origin,
        .seq = deed->seq,
        .version = deed->seq,
        .amount = record->amount,
        .hlc = record->hlc,
        .value = record->value };
    entry->number = oracle_number(sim, entry);
    oracle->sum += entry->number;
}

const struct records *oracle_records(
    struct simulator *sim, struct known_origin *origin, struct known_batch *batch)
{
    if (batch->records != NULL)
        return batch->records;
    const struct records *before = NULL;
    if (batch->first_seq > 1)
        before = oracle_records(sim, origin, batch - 1);
    if (batch->first_seq > 1 && before == NULL)
        return NULL;
    const char *problem = NULL;
    batch->records = records_read(&sim->registry,
        (struct crdt_bytes){ batch->bytes, batch->size }, before, &problem);
    if (problem != NULL)
        simulator_fail(sim, "n%zu: %s", origin->node + 1, problem);
    return batch->records;
}

/* The next batch of a feed, if all that it had seen is in. */
static bool oracle_step(struct simulator *sim, struct oracle *oracle, size_t origin)
{
    struct known_batch *batch
        = registry_batch(&sim->registry, origin, oracle->applied.seq[origin] + 1);
    if (batch == NULL)
        return false;
    const struct records *records
        = oracle_records(sim, &sim->registry.origins[origin], batch);
    if (records == NULL)
        return false;
    const struct vector *last = &records->observed[records->observed_count - 1];
    for (size_t i = 0; i < sim->registry.origin_count; i++)
        if (last->seq[i] > oracle->applied.seq[i])
            return false;
    for (size_t i = 0; i < records->count; i++)
        oracle_apply(sim, oracle, &(struct deed){ .origin = origin,
            .seq = batch->first_seq + i,
            .record = &records->items[i],
            .observed = &records->observed[records->items[i].segment] });
    oracle->applied.seq[origin] = batch->last_seq;
    return true;
}

/* Brings the oracle to the context of its node; false when a batch is not known. */
static bool oracle_advance(struct simulator *sim, size_t node)
{
    struct oracle *oracle = &sim->nodes[node].oracle;
    const struct vector *context = &sim->nodes[node].context;
    bool has_moved = true, is_there = false;
    while (has_moved && !is_there && !sim->is_broken) {
        has_moved = false;
        is_there = true;
        for (size_t i = 0; i < sim->registry.origin_count; i++) {
            while (oracle->applied.seq[i] < context->seq[i] && oracle_step(sim, oracle, i))
                has_moved = true;
            is_there = is_there && oracle->applied.seq[i] == context->seq[i];
        }
    }
    return is_there && !sim->is_broken;
}

struct seen {
    uint64_t sum;
    size_t count;
};

static uint64_t document_number(const struct crdt_entry *entry)
{
    const struct crdt_path *path = &entry->path;
    uint64_t prefix = 0;
    for (size_t i = 0; i < path->count; i++)
        prefix = record_mix(prefix, record_hash(path->keys[i]));
    bool is_register = entry->type == CRDT_REGISTER;
    uint64_t facts[8] = { prefix, entry->element == NULL ? 0 : record_hash(*entry->element),
        (uint64_t)entry->type ^ entry->dot.seq << 8, entry->dot.origin.generation,
        entry->version, (uint64_t)entry->amount, entry->hlc,
        is_register ? record_hash(entry->value) : 0 };
    return entry_number(facts);
}

static bool see_entry(void *context, const struct crdt_entry *entry)
{
    struct seen *seen = context;
    seen->sum += document_number(entry);
    seen->count++;
    return true;
}

/* Names one entry that only one side has. */
struct search {
    const struct oracle *oracle;
    bool *is_found;      /* per entry of the oracle */
    bool has_stranger;
    char text[200];
};

static bool search_entry(void *context, const struct crdt_entry *entry)
{
    struct search *search = context;
    uint64_t number = document_number(entry);
    for (size_t i = 0; i < search->oracle->count; i++)
        if (search->oracle->entries[i].number == number) {
            search->is_found[i] = true;
            return true;
        }
    if (search->has_stranger)
        return true;
    search->has_stranger = true;
    const struct crdt_bytes *last
        = entry->path.count == 0 ? NULL : &entry->path.keys[entry->path.count - 1];
    snprintf(search->text, sizeof search->text,
        "an entry at .../%.*s of type %d, generation %016llx seq %llu, version %llu,"
        " should not be there as it is",
        last == NULL ? 0 : (int)(last->size < 20 ? last->size : 20),
        last == NULL ? "" : (const char *)last->data, (int)entry->type,
        (unsigned long long)entry->dot.origin.generation, (unsigned long long)entry->dot.seq,
        (unsigned long long)entry->version);
    return true;
}

static void oracle_explain(struct simulator *sim, size_t node)
{
    struct oracle *oracle = &sim->nodes[node].oracle;
    struct search search = { .oracle = oracle,
        .is_found = calloc(oracle->count + 1, sizeof(bool)) };
    if (search.is_found == NULL)
        exit(2);
    (void)!crdt_visit(core_document(sim->nodes[node].core), crdt_root(), search_entry, &search);
    char lost[100] = "nothing";
    for (size_t i = 0; i < oracle->count; i++)
        if (!search.is_found[i]) {
            const struct oracle_entry *entry = &oracle->entries[i];
            snprintf(lost, sizeof lost, "%s %llu of type %d",
                simulator_label(sim, entry->origin).text, (unsigned long long)entry->seq,
                (int)entry->type);
            break;
        }
    simulator_fail(sim, "n%zu: I4: the state is not what its batches mean: lacks %s; %s",
        node + 1, lost, search.has_stranger ? search.text : "has nothing too much");
    free(search.is_found);
}

bool oracle_compare(struct simulator *sim, size_t node, bool is_due)
{
    struct node *self = &sim->nodes[node];
    struct oracle *oracle = &self->oracle;
    if (crdt_open_records(core_document(self->core)) > 0 || !oracle_advance(sim, node))
        return false;
    bool is_long = oracle->count > ORACLE_LIVE_MAX;
    if (is_long && !is_due && sim->stats.steps - oracle->compared_step < ORACLE_LONG_STEPS)
        return true;
    oracle->compared_step = sim->stats.steps;
    sim->stats.oracles++;
    struct seen seen = { 0 };
    if (crdt_visit(core_document(self->core), crdt_root(), see_entry, &seen) != CRDT_OK)
        return true;
    if (seen.sum != oracle->sum || seen.count != oracle->count)
        oracle_explain(sim, node);
    return true;
}

void oracle_reset(struct oracle *oracle)
{
    oracle->applied = (struct vector){ 0 };
    oracle->count = 0;
    oracle->sum = 0;
}

void oracle_close(struct oracle *oracle)
{
    free(oracle->entries);
    *oracle = (struct oracle){ 0 };
}
