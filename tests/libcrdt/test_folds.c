/* Folds that no library writes: of any run, of any amount, nested, overlapping, in
 * any order, signed by their author. Beside removals that have seen a part, and
 * through deltas and snapshots, equal contexts must still be equal states, those
 * that the oracle finds by the definition (invariants I4, I9). */
#include "tests/support/choice.h"
#include "tests/support/claim.h"
#include "tests/support/documents.h"
#include "tests/support/oracle.h"
#include "tests/support/runner.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { BATCHES_MAX = 40, REPLICAS = 3, STEPS = 120, HOSTILE = 0 };

/* Codes of docs/wire-format.md for counters; those of G-counters follow. */
enum { CODE_ADD = 4, CODE_FOLD = 6, CODE_KILL = 10 };

/* Origin HOSTILE forges its feed; the others are documents. Everything stands in
 * two leaves, a counter and a G-counter at the empty path. */
struct plot {
    struct choice *choice;
    struct oracle oracle;
    struct oracle_entries live;
    struct crdt_document *replicas[REPLICAS];
    struct crdt_buffer batches[BATCHES_MAX];
    size_t batch_count;
    uint64_t seq; /* of the forged feed                                        */
    uint8_t head[CRDT_HASH_BYTES];
};

static void numbers(struct crdt_buffer *buffer, size_t count, const uint64_t *values)
{
    for (size_t i = 0; i < count; i++)
        claim(crdt_write_uint(buffer, values[i]) == CRDT_OK);
}
#define NUMBERS(buffer, ...)                                                                       \
    numbers(buffer, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t),                    \
        (const uint64_t[]){__VA_ARGS__})

static void write_hash(struct crdt_buffer *buffer, const struct crdt_buffer *of, size_t bytes)
{
    uint8_t hash[CRDT_HASH_BYTES];
    crypto_generichash(hash, bytes, of->data, of->size, NULL, 0);
    claim(crdt_write_bytes(buffer, (struct crdt_bytes){hash, bytes}) == CRDT_OK);
}

/* The header of a batch that depends on nothing but its own feed. */
static void write_header(const struct plot *plot, const struct crdt_buffer *body,
    uint64_t records, struct crdt_buffer *header)
{
    struct crdt_origin origin = document_origin(7, 1);
    const struct crdt_buffer nothing = {0};
    NUMBERS(header, CRDT_WIRE_MAJOR, CRDT_WIRE_MINOR);
    claim(crdt_write_bytes(header, (struct crdt_bytes){origin.key, CRDT_KEY_BYTES}) == CRDT_OK);
    NUMBERS(header, origin.generation, plot->seq + 1, records);
    if (plot->seq == 0)
        NUMBERS(header, 0);
    else
        claim(crdt_write_bytes(header, (struct crdt_bytes){plot->head, CRDT_HASH_BYTES}) ==
              CRDT_OK);
    NUMBERS(header, 0, 0);
    write_hash(header, &nothing, 16);
    write_hash(header, body, CRDT_HASH_BYTES);
}

/* A run of two or more names before `op`, live or not, told as if it summed up to
 * whatever; else a contribution or, seldom, a removal. */
static void forge_record(
    struct plot *plot, struct crdt_buffer *body, struct oracle_op *op)
{
    struct choice *choice = plot->choice;
    uint64_t is_grow_only = op->type == CRDT_GCOUNTER;
    uint32_t which = choice_below(choice, 100);
    op->amount = 1 + choice_below(choice, 100);
    if (op->seq > 2 && which < 45) {
        op->kind = CRDT_FOLD;
        op->folded = 2 + choice_below(choice, (uint32_t)op->seq - 2);
        op->folded_from = 1 + choice_below(choice, (uint32_t)op->folded - 1);
        NUMBERS(body, CODE_FOLD + is_grow_only, 0, 0, op->seq - op->folded,
            op->folded - op->folded_from, (uint64_t)op->amount);
    } else if (which < 95) {
        op->kind = CRDT_ADD;
        NUMBERS(body, CODE_ADD + is_grow_only, 0, 0, (uint64_t)op->amount);
    } else {
        op->kind = CRDT_KILL;
        NUMBERS(body, CODE_KILL + is_grow_only, 0, 0);
    }
}

static enum crdt_type some_counter(struct plot *plot)
{
    return choice_below(plot->choice, 4) == 0 ? CRDT_GCOUNTER : CRDT_COUNTER;
}

static void forge_batch(struct plot *plot)
{
    struct crdt_buffer body = {0}, header = {0}, *batch = &plot->batches[plot->batch_count];
    if (plot->batch_count == BATCHES_MAX)
        return;
    uint64_t records = 1 + choice_below(plot->choice, 4);
    for (uint64_t i = 1; i <= records; i++) {
        struct oracle_op op = {
            .author = HOSTILE, .seq = plot->seq + i, .type = some_counter(plot)};
        forge_record(plot, &body, &op);
        oracle_append(&plot->oracle, &op);
    }
    write_header(plot, &body, records, &header);
    NUMBERS(batch, 1);
    claim(crdt_write_bytes(batch, crdt_buffer_bytes(&header)) == CRDT_OK);
    claim(crdt_write_bytes(batch, crdt_buffer_bytes(&body)) == CRDT_OK);
    struct crdt_batch read;
    claim(crdt_batch_read(crdt_buffer_bytes(batch), &read) == CRDT_OK);
    memcpy(plot->head, read.head, sizeof plot->head);
    plot->seq += records;
    plot->batch_count++;
    crdt_buffer_close(&header);
    crdt_buffer_close(&body);
}

static struct oracle_context context_of(const struct plot *plot, unsigned replica)
{
    struct oracle_context context = {{0}};
    for (unsigned i = 0; i <= REPLICAS; i++)
        context.seqs[i] = crdt_applied(plot->replicas[replica], &plot->oracle.origins[i]);
    return context;
}

/* Adds or removes: one batch, if there is anything to do. */
static void write_honestly(struct plot *plot, unsigned replica)
{
    struct crdt_document *document = plot->replicas[replica];
    struct oracle_op op = {.author = 1 + replica, .type = some_counter(plot)};
    op.deps = context_of(plot, replica);
    op.seq = op.deps.seqs[op.author] + 1;
    if (choice_below(plot->choice, 3) == 0) {
        op.kind = CRDT_KILL;
        clear(document, crdt_root(), op.type);
    } else {
        op.kind = CRDT_ADD;
        op.amount = 1 + choice_below(plot->choice, 100);
        (op.type == CRDT_COUNTER ? add : gadd)(document, crdt_root(), op.amount);
    }
    if (crdt_open_records(document) == 0)
        return;
    struct crdt_buffer batch = sealed(document);
    crdt_buffer_close(&batch);
    oracle_append(&plot->oracle, &op);
}

/* A batch of the forged feed, which may come early and then waits, or what another
 * replica has: a delta, else or at random its snapshot. */
static void receive(struct plot *plot, unsigned replica)
{
    struct crdt_document *document = plot->replicas[replica];
    struct crdt_document *from =
        plot->replicas[(replica + 1 + choice_below(plot->choice, REPLICAS - 1)) % REPLICAS];
    uint32_t which = choice_below(plot->choice, 10);
    if (which < 6 && plot->batch_count > 0) {
        claim(merge(document,
                  &plot->batches[choice_below(plot->choice, (uint32_t)plot->batch_count)]) ==
              CRDT_OK);
        return;
    }
    struct crdt_buffer summary = summary_of(document), bytes = {0};
    enum crdt_status status = CRDT_ERR_BELOW_FLOOR;
    if (which < 8)
        status = crdt_diff(from, crdt_buffer_bytes(&summary), &bytes);
    if (status == CRDT_ERR_BELOW_FLOOR)
        status = crdt_snapshot(from, &bytes);
    claim(status == CRDT_OK);
    claim(merge(document, &bytes) == CRDT_OK);
    crdt_buffer_close(&summary);
    crdt_buffer_close(&bytes);
}

static void check(struct plot *plot, unsigned replica)
{
    struct oracle_context context = context_of(plot, replica);
    oracle_live(&plot->oracle, &context, &plot->live);
    const char *difference =
        oracle_difference(&plot->oracle, plot->replicas[replica], &plot->live);
    if (difference != NULL) {
        fprintf(stderr, "replica %u: %s\n", replica, difference);
        claim_broken(__FILE__, __LINE__, "S == live(C)");
    }
}

/* Everybody gets everything, the forged feed from its last batch back. */
static void heal(struct plot *plot)
{
    for (unsigned i = 0; i < REPLICAS; i++)
        for (size_t k = plot->batch_count; k > 0; k--)
            claim(merge(plot->replicas[i], &plot->batches[k - 1]) == CRDT_OK);
    for (unsigned i = 1; i <= REPLICAS; i++)
        for (unsigned k = 0; k < REPLICAS; k++) {
            struct crdt_buffer snapshot = snapshot_of(plot->replicas[i % REPLICAS]);
            claim(merge(plot->replicas[k], &snapshot) == CRDT_OK);
            crdt_buffer_close(&snapshot);
            check(plot, k);
        }
    for (unsigned i = 1; i < REPLICAS; i++)
        claim(is_same(plot->replicas[0], plot->replicas[i]));
}

static void run_plot(uint64_t seed)
{
    struct choice choice = choice_from_seed(seed);
    struct plot plot = {.choice = &choice};
    struct crdt_origin origin = document_origin(7, 1);
    oracle_init(&plot.oracle);
    oracle_origin(&plot.oracle, &origin);
    for (uint8_t i = 0; i < REPLICAS; i++) {
        plot.replicas[i] = document_new(i + 1, 1);
        origin = document_origin(i + 1, 1);
        oracle_origin(&plot.oracle, &origin);
    }
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned replica = choice_below(&choice, REPLICAS);
        uint32_t which = choice_below(&choice, 10);
        if (which < 3)
            forge_batch(&plot);
        else if (which < 5)
            write_honestly(&plot, replica);
        else
            receive(&plot, replica);
        check(&plot, replica);
    }
    heal(&plot);
    for (unsigned i = 0; i < REPLICAS; i++)
        crdt_close(plot.replicas[i]);
    for (size_t i = 0; i < plot.batch_count; i++)
        crdt_buffer_close(&plot.batches[i]);
    oracle_close(&plot.oracle);
    oracle_entries_close(&plot.live);
}

START_TEST(forged_folds_of_any_run_mean_the_same_everywhere)
{
    static char text[80];
    bool is_fixed;
    uint64_t seed = choice_seed("forged_folds", &is_fixed);
    unsigned runs = is_fixed ? 1 : choice_runs(2000);
    for (unsigned i = 0; i < runs; i++) {
        snprintf(text, sizeof text, "repeat with CRDT_TEST_SEED=%llu",
            (unsigned long long)(seed + i));
        claim_note(text);
        run_plot(seed + i);
    }
    claim_note("");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("folds");
    TCase *tests = tcase_create("folds");
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, forged_folds_of_any_run_mean_the_same_everywhere);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
