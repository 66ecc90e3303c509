/* Explores every history of three replicas up to some length. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/exhaustive/claims.h"
#include "tests/exhaustive/shapes.h"

#include "tests/support/claim.h"

#define REPORT_S 5.0

struct explore_options {
    unsigned op_count;
    unsigned walk_count;  /* up to here walked through, not only tried step by step  */
    unsigned named_count; /* up to here every naming of the replicas, not one        */
    bool is_tap;
};

static struct claims claims;
static double started_s;
static double reported_s;
static const struct shape *shape_now;
static unsigned letters_now[OPS_MAX];
static unsigned walk_count;

static double seconds_now(void)
{
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void print_counts(const struct history_counts *counts)
{
    printf("%" PRIu64 " histories, %" PRIu64 " states of three replicas, %" PRIu64
           " states of one, %" PRIu64 " places walked through, %" PRIu64 " executions, %" PRIu64
           " merges, %" PRIu64 " snapshot joins, %" PRIu64 " collections, %" PRIu64
           " deltas, %" PRIu64 " comparisons, %.0f s\n",
        counts->histories, counts->clusters, counts->replicas, counts->places, counts->executions,
        counts->merges, counts->joins, counts->collections, counts->deltas, counts->comparisons,
        seconds_now() - started_s);
    fflush(stdout);
}

/* An assertion of the library ends the process: this says where. */
static void say_history(int signal_number)
{
    printf("not ok %u - %s\n# an assertion broke, in the history\n",
        (unsigned)claims.history.claim + 1, history_claim_text(claims.history.claim));
    history_print(&claims.history);
    fflush(stdout);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void report(const struct explore_options *options, size_t shape, size_t shape_count)
{
    if (seconds_now() - reported_s < REPORT_S)
        return;
    reported_s = seconds_now();
    printf("%s%u operations, shape %zu of %zu: ", options->is_tap ? "# " : "", shape_now->count,
        shape + 1, shape_count);
    print_counts(&claims.history.counts);
}

static void add_op(struct history *history, unsigned index)
{
    struct history_op *op = &history->ops[index];
    op->author = shape_now->authors[index];
    op->seen = shape_now->seen[index];
    op->seq = 1;
    op->level = 0;
    for (unsigned i = 0; i < index; i++) {
        op->seq += history->ops[i].author == op->author;
        if ((op->seen >> i & 1) != 0 && history->ops[i].level >= op->level)
            op->level = history->ops[i].level + 1;
    }
}

/* Gives the operation `index` every letter, and so on. As deep as the shape. */
static void explore_letters(bool is_named, unsigned index)
{
    struct history *history = &claims.history;
    if (index >= shape_now->count || index >= OPS_MAX) {
        bool is_least = shape_is_least(shape_now, letters_now);
        if (is_named || is_least)
            claims_check(&claims);
        if (is_least && index <= walk_count)
            claims_walk(&claims);
        return;
    }
    bool is_whole = index + 1 == shape_now->count;
    history->count = index + 1;
    add_op(history, index);
    for (unsigned letter = 0; letter < LETTER_COUNT; letter++) {
        history->count = index + 1;
        history->ops[index].letter = letters_now[index] = letter;
        if (is_whole && !is_named && !shape_is_least(shape_now, letters_now))
            continue;
        if (!claims_execute(&claims))
            continue;
        claims_prepare(&claims, is_whole);
        explore_letters(is_named, index + 1);
    }
}

/* With one name for all namesakes, the names still take turns, so that who is
 * the greatest does not hang on who is the first. */
static void explore_shape(const struct shape *shape, bool is_named, size_t turn)
{
    shape_now = shape;
    uint8_t keys[REPLICAS];
    for (unsigned i = 0; i < REPLICAS; i++)
        keys[i] = (uint8_t)(1 + shape_namings[is_named ? 0 : turn % NAMINGS][i]);
    history_name(&claims.history, keys);
    claims.history.count = 0;
    claims_prepare(&claims, false);
    explore_letters(is_named, 0);
}

static void explore(const struct explore_options *options)
{
    for (unsigned count = 1; count <= options->op_count; count++) {
        bool is_named = count <= options->named_count;
        struct shapes shapes;
        shapes_list(&shapes, count, is_named);
        for (size_t i = 0; i < shapes.count; i++) {
            explore_shape(&shapes.items[i], is_named, i);
            report(options, i, shapes.count);
        }
        shapes_close(&shapes);
        printf("%sup to %u operations: ", options->is_tap ? "# " : "", count);
        print_counts(&claims.history.counts);
    }
}

static int usage(FILE *file, int code)
{
    fprintf(file,
        "usage: exhaustive [--ops 1..%u] [--named 0..%u] [--walk 0..%u] [--tap]\n"
        "\n"
        "Plays every history of %u replicas with up to --ops operations (default 3).\n"
        "Of histories that differ only in the replicas' names one is played, except up\n"
        "to --named operations (default 2). Up to --walk operations (default 2) every way\n"
        "is walked step by step too. Stops at the first difference.\n"
        "\n"
        "Exit 0: nothing found. 1: a difference; the history is printed. 64: usage.\n",
        OPS_MAX, OPS_MAX, OPS_MAX, REPLICAS);
    return code;
}

static bool read_options(int count, char **texts, struct explore_options *ret_options)
{
    for (int i = 1; i < count; i++) {
        if (strcmp(texts[i], "--tap") == 0) {
            ret_options->is_tap = true;
            continue;
        }
        unsigned *number_at = NULL;
        if (strcmp(texts[i], "--ops") == 0)
            number_at = &ret_options->op_count;
        else if (strcmp(texts[i], "--named") == 0)
            number_at = &ret_options->named_count;
        else if (strcmp(texts[i], "--walk") == 0)
            number_at = &ret_options->walk_count;
        if (number_at == NULL || i + 1 == count)
            return false;
        char *end = NULL;
        unsigned long number = strtoul(texts[++i], &end, 10);
        if (end == texts[i] || *end != '\0' || number > OPS_MAX)
            return false;
        *number_at = (unsigned)number;
    }
    return ret_options->op_count > 0;
}

int main(int argument_count, char **arguments)
{
    if (argument_count > 1 && strcmp(arguments[1], "--help") == 0)
        return usage(stdout, 0);
    struct explore_options options = {.op_count = 3, .named_count = 2, .walk_count = 2};
    if (!read_options(argument_count, arguments, &options))
        return usage(stderr, 64);
    walk_count = options.walk_count;
    claims_init(&claims);
    signal(SIGABRT, say_history);
    started_s = reported_s = seconds_now();
    if (options.is_tap)
        printf("1..%u\n", CLAIM_COUNT);
    explore(&options);
    for (unsigned i = 0; i < CLAIM_COUNT && options.is_tap; i++)
        printf("ok %u - %s (%" PRIu64 " times)\n", i + 1, history_claim_text((enum history_claim)i),
            claims.history.counts.claims[i]);
    printf("%sexhaustive: 0 differences in ", options.is_tap ? "# " : "");
    print_counts(&claims.history.counts);
    claims_close(&claims);
    return 0;
}
