#include "tests/sim/records.h"

#include "tests/sim/array.h"

/* What is being read. */
struct reading {
    struct registry *registry;
    struct records *records;
    size_t capacity;
    struct crdt_bytes keys[RECORD_DEPTH_MAX + 1]; /* of the path before */
    size_t key_count;
    uint64_t hlc;
    uint64_t first_seq;
    const char *problem;
};

uint64_t record_mix(uint64_t a, uint64_t b)
{
    uint64_t mixed = (a ^ b) * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return (mixed ^ mixed >> 29) + b;
}

uint64_t record_hash(struct crdt_bytes bytes)
{
    const uint8_t *data = bytes.data;
    uint64_t hash = bytes.size + 1;
    for (size_t at = 0; at < bytes.size; at += sizeof(uint64_t)) {
        uint64_t word = 0;
        size_t left = bytes.size - at;
        memcpy(&word, data + at, left < sizeof word ? left : sizeof word);
        hash = record_mix(hash, word);
    }
    return hash;
}

enum crdt_type record_type(unsigned code)
{
    static const enum crdt_type types[] = { CRDT_ANY, CRDT_REGISTER, CRDT_SET, CRDT_FLAG,
        CRDT_COUNTER, CRDT_GCOUNTER, CRDT_COUNTER, CRDT_GCOUNTER, CRDT_ANY, CRDT_REGISTER,
        CRDT_COUNTER, CRDT_GCOUNTER, CRDT_SET, CRDT_FLAG, CRDT_MAP, CRDT_SET, CRDT_ANY };
    return types[code];
}

static void problem(struct reading *reading, const char *text)
{
    if (reading->problem == NULL)
        reading->problem = text;
}

static uint64_t read_uint(struct reading *reading, struct crdt_bytes *input)
{
    uint64_t value = 0;
    if (crdt_read_uint(input, UINT64_MAX, &value) != CRDT_OK)
        problem(reading, "a batch without the number that the format asks for");
    return value;
}

static int64_t read_int(struct reading *reading, struct crdt_bytes *input)
{
    int64_t value = 0;
    if (crdt_read_int(input, &value) != CRDT_OK)
        problem(reading, "a batch without the signed number that the format asks for");
    return value;
}

static struct crdt_bytes read_bytes(struct reading *reading, struct crdt_bytes *input)
{
    struct crdt_bytes bytes = { 0 };
    if (crdt_read_bytes(input, SIZE_MAX, &bytes) != CRDT_OK)
        problem(reading, "a batch without the bytes that the format asks for");
    return bytes;
}

/* Adds increases to `vector`, or takes them off. */
static void read_increases(struct reading *reading, struct crdt_bytes *input,
    struct vector *vector, bool is_taken_off)
{
    const struct records *records = reading->records;
    for (uint64_t left = read_uint(reading, input); left > 0 && reading->problem == NULL; left--) {
        uint64_t index = read_uint(reading, input);
        uint64_t increase = read_uint(reading, input);
        if (index >= records->list_count) {
            problem(reading, "a batch depends on an origin that its feed has not named");
            return;
        }
        uint64_t *seq = &vector->seq[records->list[index]];
        *seq = is_taken_off ? *seq - increase : *seq + increase;
    }
}

/* Deps of the header: what the author had seen at its last record. */
static void read_deps(struct reading *reading, struct crdt_bytes *header, struct vector *vector)
{
    struct records *records = reading->records;
    read_increases(reading, header, vector, false);
    for (uint64_t left = read_uint(reading, header); left > 0 && reading->problem == NULL; left--) {
        struct crdt_origin origin = { .generation = 0 };
        struct crdt_bytes key = read_bytes(reading, header);
        if (key.size != CRDT_KEY_BYTES) {
            problem(reading, "a batch depends on a key of a wrong size");
            return;
        }
        memcpy(origin.key, key.data, CRDT_KEY_BYTES);
        origin.generation = read_uint(reading, header);
        size_t number = registry_origin(reading->registry, &origin);
        if (number == ORIGIN_COUNT_MAX || records->list_count == ORIGIN_COUNT_MAX) {
            problem(reading, "a batch depends on an origin that is no node's");
            return;
        }
        records->list[records->list_count++] = (uint8_t)number;
        vector->seq[number] = read_uint(reading, header);
    }
}

static void read_place(struct reading *reading, struct crdt_bytes *body, struct record *record)
{
    uint64_t shared = read_uint(reading, body);
    uint64_t fresh = read_uint(reading, body);
    if (shared > reading->key_count || shared + fresh > RECORD_DEPTH_MAX) {
        problem(reading, "a path that no client has said");
        return;
    }
    for (size_t i = 0; i < fresh; i++)
        reading->keys[shared + i] = read_bytes(reading, body);
    reading->key_count = (size_t)(shared + fresh);
    struct place *place = &record->place;
    place->depth = reading->key_count;
    if (record->code == RECORD_PUT_ELEMENT || record->code == RECORD_KILL_ELEMENT) {
        if (place->depth == 0) {
            problem(reading, "an element without a key");
            return;
        }
        place->element = record_hash(reading->keys[--place->depth]);
    }
    for (size_t i = 0; i < place->depth; i++)
        place->prefixes[i + 1] = record_mix(place->prefixes[i], record_hash(reading->keys[i]));
}

/* Counted back: the last of a FOLD's run from its own seq, the first from the last. */
static void read_run(struct reading *reading, struct crdt_bytes *body, struct record *record)
{
    uint64_t seq = reading->first_seq + reading->records->count - 1;
    record->fold_seq = seq - read_uint(reading, body);
    record->fold_from = record->fold_seq - read_uint(reading, body);
    if (record->fold_from == 0 || record->fold_from >= record->fold_seq
        || record->fold_seq >= seq)
        problem(reading, "a fold of what are no two earlier operations");
}

static void read_record(struct reading *reading, struct crdt_bytes *body, unsigned code)
{
    struct records *records = reading->records;
    records->items
        = array_reserve(records->items, records->count, &reading->capacity, sizeof(struct record));
    struct record *record = &records->items[records->count++];
    *record = (struct record){ .code = code, .segment = records->observed_count - 1 };
    if (code == RECORD_NOTE)
        return;
    read_place(reading, body, record);
    if (code == RECORD_FOLD_COUNTER || code == RECORD_FOLD_GCOUNTER)
        read_run(reading, body, record);
    if (code >= RECORD_ADD_COUNTER && code <= RECORD_FOLD_GCOUNTER)
        record->amount = read_int(reading, body);
    if (code == RECORD_PUT_REGISTER) {
        reading->hlc += (uint64_t)read_int(reading, body);
        record->hlc = reading->hlc;
        record->value = record_hash(read_bytes(reading, body));
    }
}

static struct vector *add_observed(struct records *records, const struct vector *vector)
{
    void *grown = realloc(
        records->observed, (records->observed_count + 1) * sizeof *records->observed);
    if (grown == NULL)
        exit(2);
    records->observed = grown;
    records->observed[records->observed_count] = *vector;
    return &records->observed[records->observed_count++];
}

/* The body twice: what the marks add comes off first, then on again, one by one. */
static void read_body(struct reading *reading, struct crdt_bytes body, struct vector last)
{
    struct records *records = reading->records;
    add_observed(records, &last);
    while (body.size > 0 && reading->problem == NULL) {
        unsigned code = (unsigned)read_uint(reading, &body);
        if (code == RECORD_MARK) {
            struct vector increase = { 0 };
            read_increases(reading, &body, &increase, false);
            for (size_t i = 0; i < records->observed_count; i++)
                for (size_t j = 0; j < ORIGIN_COUNT_MAX; j++)
                    records->observed[i].seq[j] -= increase.seq[j];
            add_observed(records, &last);
        } else if (code >= 1 && code <= RECORD_NOTE) {
            read_record(reading, &body, code);
        } else {
            problem(reading, "a record of an unknown code");
        }
    }
}

static void read_batch(
    struct reading *reading, struct crdt_bytes bytes, const struct records *before)
{
    struct crdt_bytes header, body;
    struct vector last = { 0 };
    if (before != NULL) {
        last = before->observed[before->observed_count - 1];
        memcpy(reading->records->list, before->list, sizeof before->list);
        reading->records->list_count = before->list_count;
    }
    (void)read_uint(reading, &bytes);
    header = read_bytes(reading, &bytes);
    body = read_bytes(reading, &bytes);
    for (int i = 0; i < 2; i++)
        (void)read_uint(reading, &header);
    (void)read_bytes(reading, &header);
    (void)read_uint(reading, &header);
    reading->first_seq = read_uint(reading, &header);
    uint64_t count = read_uint(reading, &header);
    if (reading->first_seq == 1)
        (void)read_uint(reading, &header);
    else
        (void)read_bytes(reading, &header);
    if (reading->problem == NULL)
        read_deps(reading, &header, &last);
    if (reading->problem == NULL)
        read_body(reading, body, last);
    if (reading->problem == NULL && reading->records->count != count)
        problem(reading, "a batch does not have the records that its header says");
}

struct records *records_read(struct registry *registry, struct crdt_bytes bytes,
    const struct records *before, const char **ret_problem)
{
    struct records *records = calloc(1, sizeof *records);
    if (records == NULL)
        exit(2);
    struct reading reading = { .registry = registry, .records = records };
    read_batch(&reading, bytes, before);
    if (reading.problem == NULL)
        return records;
    *ret_problem = reading.problem;
    records_free(records);
    return NULL;
}

void records_free(struct records *records)
{
    if (records == NULL)
        return;
    free(records->items);
    free(records->observed);
    free(records);
}
