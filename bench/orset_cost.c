/* What one OR-Set costs: every call on a set of 16-byte elements, one operation
 * per transaction, a seal every 1000. Prints nanoseconds per operation, and
 * milliseconds for what is done to the whole set.
 *
 *     build/bench/orset_cost [ELEMENTS]     1,000,000 unless said otherwise */
#include <crdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ELEMENT_BYTES = 16, SEAL_EVERY = 1000 };

static void must(enum crdt_status status, const char *what)
{
    if (status == CRDT_OK)
        return;
    fprintf(stderr, "orset_cost: %s: %s\n", what, crdt_status_text(status));
    exit(1);
}

static double now_ns(void)
{
    struct timespec time;
    timespec_get(&time, TIME_UTC);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* Distinct elements that do not come in order. */
static struct crdt_bytes element_of(size_t index, uint8_t element[static ELEMENT_BYTES])
{
    uint64_t mixed = (index + 1) * UINT64_C(0x9e3779b97f4a7c15);
    memcpy(element, &mixed, sizeof mixed);
    memcpy(element + sizeof mixed, &index, sizeof index);
    return (struct crdt_bytes){element, ELEMENT_BYTES};
}

typedef enum crdt_status write_element(
    struct crdt_transaction *, struct crdt_path, struct crdt_bytes);

static void write_all(
    struct crdt_document *document, size_t count, write_element *write, const char *name)
{
    double start = now_ns();
    for (size_t i = 0; i < count; i++) {
        uint8_t element[ELEMENT_BYTES];
        struct crdt_transaction *transaction;
        must(crdt_begin(document, 1, &transaction), "begin");
        must(write(transaction, crdt_root(), element_of(i, element)), name);
        crdt_commit(transaction);
        struct crdt_bytes batch;
        if (i % SEAL_EVERY == SEAL_EVERY - 1)
            must(crdt_seal(document, &batch), "seal");
    }
    printf("%-9s %6.0f ns each\n", name, (now_ns() - start) / (double)count);
}

static void find_all(const struct crdt_document *document, size_t count)
{
    double start = now_ns();
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t element[ELEMENT_BYTES];
        found += crdt_set_contains(document, crdt_root(), element_of(i, element));
    }
    printf("%-9s %6.0f ns each\n", "contains", (now_ns() - start) / (double)count);
    if (found != count)
        must(CRDT_ERR_NOT_FOUND, "contains");
}

static void print_ms(const char *name, double start, size_t bytes)
{
    printf("%-9s %6.0f ms", name, (now_ns() - start) / 1e6);
    printf(bytes > 0 ? ", %zu bytes\n" : "\n", bytes);
}

int main(int argument_count, char **arguments)
{
    size_t count = argument_count > 1 ? strtoull(arguments[1], NULL, 10) : 1000000;
    struct crdt_options options;
    struct crdt_document *document;
    struct crdt_document *other;
    struct crdt_buffer snapshot = {0};
    struct crdt_buffer summary = {0};
    struct crdt_buffer delta = {0};
    struct crdt_digest digest;
    crdt_options_init(&options);
    options.generation = 1;
    must(crdt_open(&options, &document), "open");
    write_all(document, count, crdt_set_add, "add");
    find_all(document, count);
    double start = now_ns();
    must(crdt_digest(document, &digest), "digest");
    print_ms("digest", start, 0);
    start = now_ns();
    must(crdt_snapshot(document, &snapshot), "snapshot");
    print_ms("snapshot", start, snapshot.size);
    start = now_ns();
    must(crdt_load(&options, crdt_buffer_bytes(&snapshot), &other), "load");
    print_ms("load", start, 0);
    crdt_close(other);
    options.generation = 2;
    must(crdt_open(&options, &other), "open");
    must(crdt_summary(other, &summary), "summary");
    start = now_ns();
    must(crdt_diff(document, crdt_buffer_bytes(&summary), &delta), "diff");
    print_ms("diff", start, delta.size);
    start = now_ns();
    must(crdt_merge(other, crdt_buffer_bytes(&delta)), "merge");
    print_ms("merge", start, 0);
    write_all(document, count, crdt_set_remove, "remove");
    crdt_close(document);
    crdt_close(other);
    crdt_buffer_close(&snapshot);
    crdt_buffer_close(&summary);
    crdt_buffer_close(&delta);
    return 0;
}
