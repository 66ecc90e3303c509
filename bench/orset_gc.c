/* Does an OR-Set forget? A million adds and a million removes on three replicas,
 * then gc at the stable frontier. Fails when the memory held is not within 64 KiB
 * of what it was before, or the snapshot not within 100 bytes of that of a
 * document that did one add and one remove per origin.
 *
 *     orset_gc [ADDS]
 */
#include <crdt.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REPLICAS 3
#define ROUND 10000            /* operations between two exchanges              */
#define HELD_MORE_MAX 65536    /* bytes                                         */
#define SNAPSHOT_MORE_MAX 100  /* bytes                                         */

static size_t held, peak;

static void *count(void *context, void *block, size_t old_bytes, size_t new_bytes)
{
    (void)context;
    held += new_bytes - old_bytes;
    if (held > peak)
        peak = held;
    if (new_bytes > 0)
        return realloc(block, new_bytes);
    free(block);
    return NULL;
}

static void check(enum crdt_status status, const char *what)
{
    if (status == CRDT_OK)
        return;
    fprintf(stderr, "orset_gc: %s: %s\n", what, crdt_status_text(status));
    exit(1);
}

static void open_all(struct crdt_document *documents[REPLICAS])
{
    for (unsigned i = 0; i < REPLICAS; i++) {
        struct crdt_options options;
        crdt_options_init(&options);
        options.memory.reallocate = count;
        memset(options.key, (int)i + 1, sizeof options.key);
        options.generation = i + 1;
        check(crdt_open(&options, &documents[i]), "open");
    }
}

static void close_all(struct crdt_document *documents[REPLICAS])
{
    for (unsigned i = 0; i < REPLICAS; i++)
        crdt_close(documents[i]);
}

/* Brings everything to everyone. */
static void exchange(struct crdt_document *documents[REPLICAS])
{
    struct crdt_buffer summary, delta;
    crdt_buffer_init(&summary, NULL);
    crdt_buffer_init(&delta, NULL);
    for (unsigned to = 0; to < REPLICAS; to++) {
        for (unsigned from = 0; from < REPLICAS; from++) {
            if (from == to)
                continue;
            crdt_buffer_clear(&summary);
            crdt_buffer_clear(&delta);
            check(crdt_summary(documents[to], &summary), "summary");
            check(crdt_diff(documents[from], crdt_buffer_bytes(&summary), &delta), "diff");
            check(crdt_merge(documents[to], crdt_buffer_bytes(&delta)), "merge");
        }
    }
    crdt_buffer_close(&summary);
    crdt_buffer_close(&delta);
}

/* 16 bytes, different for every number. */
static void write_one(struct crdt_transaction *transaction, uint64_t number, bool is_add)
{
    uint64_t words[2] = {number, ~number};
    struct crdt_bytes element = {words, sizeof words};
    check(is_add ? crdt_set_add(transaction, crdt_root(), element)
                 : crdt_set_remove(transaction, crdt_root(), element),
        is_add ? "add" : "remove");
}

/* Element n is added by replica n % 3 and removed by the next one. */
static void run_phase(struct crdt_document *documents[REPLICAS], uint64_t total, bool is_add)
{
    for (uint64_t start = 0; start < total; start += ROUND) {
        uint64_t end = start + ROUND < total ? start + ROUND : total;
        for (unsigned i = 0; i < REPLICAS; i++) {
            struct crdt_transaction *transaction;
            check(crdt_begin(documents[i], 1000, &transaction), "begin");
            for (uint64_t number = start; number < end; number++)
                if ((number + (is_add ? 0 : 1)) % REPLICAS == i)
                    write_one(transaction, number, is_add);
            crdt_commit(transaction);
        }
        exchange(documents);
        if (end % 200000 == 0 || end == total)
            printf("  %s %llu of %llu, %zu elements, %zu bytes held\n",
                is_add ? "added" : "removed", (unsigned long long)end,
                (unsigned long long)total, crdt_count(documents[0], crdt_root(), CRDT_SET), held);
        fflush(stdout);
    }
}

/* Forgets what all have: the stable frontier. */
static void collect(struct crdt_document *documents[REPLICAS])
{
    struct crdt_buffer summaries[REPLICAS];
    struct crdt_bytes bytes[REPLICAS];
    for (unsigned i = 0; i < REPLICAS; i++) {
        crdt_buffer_init(&summaries[i], NULL);
        check(crdt_summary(documents[i], &summaries[i]), "summary");
        bytes[i] = crdt_buffer_bytes(&summaries[i]);
    }
    for (unsigned i = 0; i < REPLICAS; i++)
        check(crdt_gc(documents[i], bytes, REPLICAS), "gc");
    for (unsigned i = 0; i < REPLICAS; i++)
        crdt_buffer_close(&summaries[i]);
}

static size_t snapshot_bytes(struct crdt_document *document)
{
    struct crdt_buffer snapshot;
    crdt_buffer_init(&snapshot, NULL);
    check(crdt_snapshot(document, &snapshot), "snapshot");
    size_t size = snapshot.size;
    crdt_buffer_close(&snapshot);
    return size;
}

/* Runs both phases and gc on three new documents. */
static void run(uint64_t total, size_t *ret_before, size_t *ret_after, size_t *ret_snapshot)
{
    struct crdt_document *documents[REPLICAS];
    open_all(documents);
    *ret_before = held;
    run_phase(documents, total, true);
    run_phase(documents, total, false);
    collect(documents);
    *ret_after = held;
    *ret_snapshot = 0;
    for (unsigned i = 0; i < REPLICAS; i++) {
        size_t size = snapshot_bytes(documents[i]);
        if (size > *ret_snapshot)
            *ret_snapshot = size;
        if (crdt_count(documents[i], crdt_root(), CRDT_SET) != 0)
            check(CRDT_ERR_MALFORMED, "elements are left");
    }
    close_all(documents);
}

int main(int argc, char **argv)
{
    uint64_t total = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    if (total < REPLICAS) {
        fprintf(stderr, "usage: orset_gc [ADDS], at least %d\n", REPLICAS);
        return 64;
    }
    size_t before, after, snapshot, small_before, small_after, small_snapshot;
    printf("one add and one remove per origin:\n");
    run(REPLICAS, &small_before, &small_after, &small_snapshot);
    peak = 0;
    clock_t start = clock();
    printf("%llu adds, then as many removes:\n", (unsigned long long)total);
    run(total, &before, &after, &snapshot);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    size_t more = after > before ? after - before : 0;
    size_t longer = snapshot > small_snapshot ? snapshot - small_snapshot : 0;
    printf("held before %zu, at most %zu, after gc %zu bytes: %zu more, allowed %d\n", before,
        peak, after, more, HELD_MORE_MAX);
    printf("snapshot %zu bytes, of the small document %zu: %zu more, allowed %d\n", snapshot,
        small_snapshot, longer, SNAPSHOT_MORE_MAX);
    bool is_good = more <= HELD_MORE_MAX && longer <= SNAPSHOT_MORE_MAX && held == 0;
    printf("%s in %.1f s\n", is_good ? "holds" : "DOES NOT HOLD", seconds);
    return is_good ? 0 : 1;
}
