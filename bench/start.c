/* What a start and a late return cost: loading a snapshot, joining it into a
 * document that has half of it, and writing it. The leaves are those of one set,
 * or one register or counter under each key of one map; keys and values have 16
 * bytes. Prints medians in milliseconds of processor time, megabytes of snapshot
 * a second, and what the document weighs after its writes and after a load.
 *
 *     build/bench/start [LEAVES [ROUNDS]]     100,000 and 1,000,000, 5 rounds */
#include <crdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { KEY_BYTES = 16, SEAL_EVERY = 1000, ROUNDS_MAX = 101 };

struct shape {
    const char *name;
    enum crdt_type type;
};

static void must(enum crdt_status status, const char *what)
{
    if (status == CRDT_OK)
        return;
    fprintf(stderr, "start: %s: %s\n", what, crdt_status_text(status));
    exit(1);
}

/* Of this process: what else the machine does is kept out as far as it can be. */
static double now_ms(void)
{
    return (double)clock() * 1e3 / CLOCKS_PER_SEC;
}

/* A heap that knows how much of it is out. */
static void *count_bytes(void *context, void *block, size_t old_bytes, size_t new_bytes)
{
    size_t *bytes = context;
    if (new_bytes == 0) {
        free(block);
        *bytes -= old_bytes;
        return NULL;
    }
    void *resized = realloc(block, new_bytes);
    if (resized != NULL)
        *bytes += new_bytes - old_bytes;
    return resized;
}

static struct crdt_options options_counting(size_t *bytes, uint64_t generation)
{
    struct crdt_options options;
    crdt_options_init(&options);
    options.memory = (struct crdt_memory){.reallocate = count_bytes, .context = bytes};
    options.keep_log = false;
    options.generation = generation;
    return options;
}

static void write_leaf(struct crdt_transaction *transaction, enum crdt_type type, size_t index)
{
    /* Distinct keys that do not come in order. */
    uint8_t key[KEY_BYTES];
    uint64_t mixed = (index + 1) * UINT64_C(0x9e3779b97f4a7c15);
    memcpy(key, &mixed, sizeof mixed);
    memcpy(key + sizeof mixed, &index, sizeof index);
    struct crdt_bytes keys[] = {crdt_text("data"), {key, sizeof key}};
    if (type == CRDT_SET)
        must(crdt_set_add(transaction, (struct crdt_path){keys, 1}, keys[1]), "add");
    else if (type == CRDT_REGISTER)
        must(crdt_register_set(transaction, (struct crdt_path){keys, 2}, keys[1]), "set");
    else
        must(crdt_counter_add(transaction, (struct crdt_path){keys, 2}, (int64_t)index), "count");
}

static void write_leaves(
    struct crdt_document *document, enum crdt_type type, size_t first, size_t end)
{
    struct crdt_bytes batch;
    for (size_t i = first; i < end; i++) {
        struct crdt_transaction *transaction;
        must(crdt_begin(document, 1, &transaction), "begin");
        write_leaf(transaction, type, i);
        crdt_commit(transaction);
        if (i % SEAL_EVERY == SEAL_EVERY - 1)
            must(crdt_seal(document, &batch), "seal");
    }
}

static int compare_times(const void *a, const void *b)
{
    double first = *(const double *)a;
    double second = *(const double *)b;
    return (first > second) - (first < second);
}

static void print_median(const char *name, double *times_ms, size_t rounds, size_t bytes)
{
    qsort(times_ms, rounds, sizeof *times_ms, compare_times);
    double median_ms = times_ms[rounds / 2];
    printf("  %-8s %7.1f ms %7.1f MB/s\n", name, median_ms, (double)bytes / 1e3 / median_ms);
}

static void time_rounds(struct crdt_document *document, struct crdt_bytes half, size_t rounds)
{
    double write_ms[ROUNDS_MAX];
    double load_ms[ROUNDS_MAX];
    double join_ms[ROUNDS_MAX];
    struct crdt_buffer snapshot = {0};
    size_t loaded_bytes = 0;
    for (size_t i = 0; i < rounds; i++) {
        struct crdt_document *other;
        size_t bytes = 0;
        struct crdt_options options = options_counting(&bytes, 0);
        crdt_buffer_close(&snapshot);
        double start = now_ms();
        must(crdt_snapshot(document, &snapshot), "snapshot");
        write_ms[i] = now_ms() - start;
        start = now_ms();
        must(crdt_load(&options, crdt_buffer_bytes(&snapshot), &other), "load");
        load_ms[i] = now_ms() - start;
        loaded_bytes = bytes;
        crdt_close(other);
        must(crdt_load(&options, half, &other), "load half");
        start = now_ms();
        must(crdt_merge(other, crdt_buffer_bytes(&snapshot)), "join");
        join_ms[i] = now_ms() - start;
        crdt_close(other);
    }
    print_median("snapshot", write_ms, rounds, snapshot.size);
    print_median("load", load_ms, rounds, snapshot.size);
    print_median("join", join_ms, rounds, snapshot.size);
    printf("  loaded   %7.1f MB\n", (double)loaded_bytes / 1e6);
    crdt_buffer_close(&snapshot);
}

static void time_shape(const struct shape *shape, size_t count, size_t rounds)
{
    size_t bytes = 0;
    struct crdt_options options = options_counting(&bytes, 1);
    struct crdt_document *document;
    struct crdt_buffer half = {0};
    struct crdt_bytes batch;
    must(crdt_open(&options, &document), "open");
    write_leaves(document, shape->type, 0, count / 2);
    must(crdt_snapshot(document, &half), "snapshot of half");
    write_leaves(document, shape->type, count / 2, count);
    must(crdt_seal(document, &batch), "seal");
    printf("%zu leaves of %s\n  written  %7.1f MB\n", count, shape->name, (double)bytes / 1e6);
    time_rounds(document, crdt_buffer_bytes(&half), rounds);
    crdt_buffer_close(&half);
    crdt_close(document);
}

int main(int argument_count, char **arguments)
{
    static const struct shape shapes[] = {
        {"a set", CRDT_SET}, {"registers", CRDT_REGISTER}, {"counters", CRDT_COUNTER}};
    size_t counts[] = {100000, 1000000};
    size_t count_count = 2;
    size_t rounds = 5;
    if (argument_count > 1) {
        counts[0] = strtoull(arguments[1], NULL, 10);
        count_count = 1;
    }
    if (argument_count > 2)
        rounds = strtoull(arguments[2], NULL, 10);
    if (counts[0] == 0 || rounds == 0 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: start [LEAVES [ROUNDS]], rounds from 1 to %d\n", ROUNDS_MAX);
        return 1;
    }
    for (size_t i = 0; i < count_count; i++)
        for (size_t j = 0; j < sizeof shapes / sizeof shapes[0]; j++)
            time_shape(&shapes[j], counts[i], rounds);
    return 0;
}
