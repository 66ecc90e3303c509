/* Runs the simulator: one seed, a range of seeds, or fresh ones for some
 * minutes. Stops at the first broken rule and says how to see it again. */
#define _XOPEN_SOURCE 700 /* setitimer, sigaltstack, write */
#include <inttypes.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/commit.h"
#include "tests/sim/simulator.h"

#define REPORT_S 5.0
#define SEED_CPU_S 120 /* of one seed: most take some hundredths, under sanitizers a few seconds */
#define REPLAY_BYTES 300
#define ALTERNATE_STACK_BYTES 65536 /* a stack that has overflowed cannot say its seed */

struct run_options {
    uint64_t seed;
    bool has_seed;
    uint64_t seed_count;
    double minutes;
    size_t node_count;
    enum simulator_mode mode;
    bool is_traced;
    bool is_twice;
    bool is_tap;
    const char *seed_path; /* names the seed that runs, for who finds this process dead */
};

struct run_totals {
    uint64_t seeds;
    double simulated_s;
    struct simulator_stats stats;
    uint64_t faults[FAULT_COUNT];
    double started_s;
};

/* Whatever ends the process in the midst of a seed, this says which it was. */
static uint64_t seed_now;
static volatile sig_atomic_t is_playing;
static size_t node_count_now;
static enum simulator_mode mode_now;
static const char *const mode_texts[] = { "drawn", "safety", "liveness" };

static int replay_text(char text[static REPLAY_BYTES])
{
    char nodes[32] = "", mode[32] = "";
    if (node_count_now > 0)
        snprintf(nodes, sizeof nodes, " --nodes %zu", node_count_now);
    if (mode_now != MODE_DRAWN)
        snprintf(mode, sizeof mode, " --mode %s", mode_texts[mode_now]);
    return snprintf(text, REPLAY_BYTES,
        "to see it again: sim_run --seed %" PRIu64 "%s%s --trace   (commit %s)\n", seed_now, nodes,
        mode, simulator_commit);
}

static void print_replay(void)
{
    char text[REPLAY_BYTES];
    (void)replay_text(text);
    fputs(text, stdout);
}

/* To standard error without its buffer: the process may be in any state. */
static void say_seed(const char *what)
{
    char replay[REPLAY_BYTES], text[2 * REPLAY_BYTES];
    (void)replay_text(replay);
    int size = snprintf(
        text, sizeof text, "\nsim: %s in seed %" PRIu64 "\n%s", what, seed_now, replay);
    (void)!write(STDERR_FILENO, text, (size_t)size);
}

static void die_of_signal(int number)
{
    say_seed(number == SIGABRT ? "the core aborted"
            : number == SIGPROF ? "a seed does not end: it has had its time of CPU"
                                : "the process broke down");
    signal(number, SIG_DFL);
    raise(number);
}

/* What runs out of memory calls exit. */
static void say_exit(void)
{
    if (is_playing)
        say_seed("the process gave up");
}

static void catch_deaths(void)
{
    static const int numbers[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGPROF };
    static uint8_t stack[ALTERNATE_STACK_BYTES];
    stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
    (void)sigaltstack(&alternate, NULL);
    struct sigaction action = { .sa_flags = SA_ONSTACK };
    action.sa_handler = die_of_signal;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct sigaction before;
        /* A sanitizer has its own words first, and aborts then. */
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
            (void)sigaction(numbers[i], &action, NULL);
    }
    (void)atexit(say_exit);
}

/* Makes known which seed runs, and how long it may. */
static void begin_seed(const char *path, uint64_t seed)
{
    seed_now = seed;
    is_playing = true;
    struct itimerval limit = { .it_value = { .tv_sec = SEED_CPU_S } };
    (void)setitimer(ITIMER_PROF, &limit, NULL);
    FILE *file = path == NULL ? NULL : fopen(path, "w");
    if (file == NULL)
        return;
    char text[REPLAY_BYTES];
    (void)replay_text(text);
    fputs(text, file);
    fclose(file);
}

static double seconds_now(void)
{
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Everything as "number words" and, for faults, "word number": scripts/sim.sh
 * adds up the lines of several processes. */
static void print_totals(const struct run_totals *totals)
{
    double elapsed = seconds_now() - totals->started_s;
    double rate = elapsed > 0 ? 1 / elapsed : 0;
    const struct simulator_stats *stats = &totals->stats;
    printf("%" PRIu64 " seeds, %" PRIu64 " operations, %.0f simulated seconds, %.0f s,"
           " %.0f operations/s, %.1f seeds/s, %" PRIu64 " steps, %" PRIu64 " generations,"
           " %" PRIu64 " states against the oracle, %" PRIu64 " references, %" PRIu64
           " with Ed25519, %" PRIu64 " snapshots, %" PRIu64 " starts from one, %" PRIu64
           " members lost for good, %" PRIu64 " offers, %" PRIu64 " parts, %" PRIu64
           " joins, %" PRIu64 " joins refused, %" PRIu64 " starts with staged parts, %" PRIu64
           " drops, %" PRIu64 " batches dropped, %" PRIu64
           " unequal once more, %" PRIu64 " of %d more rounds, %" PRIu64
           " of %d rounds beside a bad disk, %" PRIu64 " of %d rounds; faults:",
        totals->seeds, stats->operations, totals->simulated_s, elapsed,
        (double)stats->operations * rate, (double)totals->seeds * rate, stats->steps,
        stats->generations, stats->oracles, stats->references, stats->ed25519, stats->snapshots,
        stats->loads, stats->lost, stats->offers, stats->parts, stats->joins,
        stats->joins_refused, stats->resumed, stats->drops, stats->dropped, stats->agains,
        stats->again, AGAIN_ROUNDS, stats->rounds_beside, CONVERGE_ROUNDS_BESIDE_DISK,
        stats->rounds, CONVERGE_ROUNDS);
    for (size_t i = 0; i < FAULT_COUNT; i++)
        printf(" %s %" PRIu64, fault_text((enum fault)i), totals->faults[i]);
    printf("\n");
    fflush(stdout);
}

/* Plays one seed. False when a rule was broken. */
static bool run_once(const struct run_options *options, uint64_t seed,
    struct run_totals *totals, uint64_t *ret_checksum)
{
    static struct simulator sim;
    struct simulator_options chosen = { .seed = seed,
        .mode = options->mode,
        .node_count = options->node_count,
        .is_traced = options->is_traced };
    begin_seed(options->seed_path, seed);
    simulator_open(&sim, &chosen);
    simulator_play(&sim);
    bool is_good = !sim.is_broken;
    if (!is_good && !options->is_traced)
        printf("%sseed %" PRIu64 ", %.6f s: %s\n", options->is_tap ? "# " : "", seed,
            (double)sim.now_us / 1e6, sim.violation);
    simulator_close(&sim);
    is_playing = false;
    if (is_good && sim.is_broken)
        printf("seed %" PRIu64 ", at the end: %s\n", seed, sim.violation);
    totals->seeds++;
    totals->simulated_s += (double)sim.now_us / 1e6;
    totals->stats.operations += sim.stats.operations;
    totals->stats.commands += sim.stats.commands;
    totals->stats.steps += sim.stats.steps;
    totals->stats.generations += sim.stats.generations;
    totals->stats.references += sim.stats.references;
    totals->stats.snapshots += sim.stats.snapshots;
    totals->stats.loads += sim.stats.loads;
    totals->stats.oracles += sim.stats.oracles;
    totals->stats.ed25519 += sim.stats.ed25519;
    totals->stats.lost += sim.stats.lost;
    totals->stats.offers += sim.stats.offers;
    totals->stats.parts += sim.stats.parts;
    totals->stats.joins += sim.stats.joins;
    totals->stats.joins_refused += sim.stats.joins_refused;
    totals->stats.resumed += sim.stats.resumed;
    totals->stats.drops += sim.stats.drops;
    totals->stats.dropped += sim.stats.dropped;
    totals->stats.agains += sim.stats.agains;
    if (totals->stats.again < sim.stats.again)
        totals->stats.again = sim.stats.again;
    if (totals->stats.rounds_beside < sim.stats.rounds_beside)
        totals->stats.rounds_beside = sim.stats.rounds_beside;
    if (totals->stats.rounds < sim.stats.rounds)
        totals->stats.rounds = sim.stats.rounds;
    for (size_t i = 0; i < FAULT_COUNT; i++)
        totals->faults[i] += sim.faults.counts[i];
    *ret_checksum = sim.checksum;
    return !sim.is_broken;
}

static bool run_seed(
    const struct run_options *options, uint64_t seed, struct run_totals *totals)
{
    uint64_t checksum = 0, again = 0;
    bool is_good = run_once(options, seed, totals, &checksum);
    if (is_good && options->is_twice) {
        is_good = run_once(options, seed, totals, &again) && checksum == again;
        if (checksum != again)
            printf("%sseed %" PRIu64 ": run twice, two checksums: %016" PRIx64 " %016" PRIx64
                   "\n", options->is_tap ? "# " : "", seed, checksum, again);
    }
    if (options->is_tap)
        printf("%s %" PRIu64 " - seed %" PRIu64 "%s keeps every invariant%s\n",
            is_good ? "ok" : "not ok", totals->seeds / (options->is_twice ? 2 : 1), seed,
            options->has_seed ? "" : " (fresh)",
            options->is_twice ? " and replays byte for byte" : "");
    else if (options->minutes <= 0)
        printf("seed %" PRIu64 " %s checksum %016" PRIx64 "\n", seed,
            is_good ? "good" : "BROKEN", checksum);
    if (!is_good) {
        printf("%s", options->is_tap ? "# " : "");
        print_replay();
    }
    fflush(stdout);
    return is_good;
}

static int run(const struct run_options *options)
{
    struct run_totals totals = { .started_s = seconds_now() };
    double reported = totals.started_s;
    if (options->is_tap)
        printf("1..%" PRIu64 "\n", options->seed_count);
    for (uint64_t i = 0;; i++) {
        double elapsed = seconds_now() - totals.started_s;
        if (options->minutes > 0 ? elapsed > options->minutes * 60 : i >= options->seed_count)
            break;
        uint64_t seed = options->seed + i;
        if (!options->has_seed)
            randombytes_buf(&seed, sizeof seed);
        if (!run_seed(options, seed, &totals)) {
            printf("%ssim: 1 violation in %" PRIu64 " seeds\n", options->is_tap ? "# " : "",
                totals.seeds);
            return 1;
        }
        if (options->minutes > 0 && seconds_now() - reported >= REPORT_S) {
            reported = seconds_now();
            print_totals(&totals);
        }
    }
    printf("%ssim: 0 violations in ", options->is_tap ? "# " : "");
    print_totals(&totals);
    return 0;
}

static int usage(FILE *file, int code)
{
    fputs("usage: sim_run [--seed N] [--seeds COUNT] [--minutes M] [--nodes 3..5]\n"
          "               [--mode safety|liveness] [--trace] [--twice] [--tap]\n"
          "               [--seed-file PATH]\n"
          "\n"
          "Runs whole clusters of real cores under virtual time and checks the invariants\n"
          "of design.md after every step.\n"
          "\n"
          "  --seed N       the first seed; without it every seed is fresh\n"
          "  --seeds COUNT  how many seeds, N, N + 1 ... (default 1)\n"
          "  --minutes M    seeds until M minutes are over; a line every 5 s\n"
          "  --nodes K      3 to 5; without it the seed chooses\n"
          "  --mode safety    faults to the end, the invariants after every step\n"
          "  --mode liveness  then faults end, but for members that never come back; the\n"
          "                   others converge in time. Without it the seed chooses.\n"
          "  --trace        print all that happens\n"
          "  --twice        run each seed twice: both must be the same, byte for byte\n"
          "  --tap          report as TAP\n"
          "  --seed-file PATH  keeps in this file how to see the seed again that runs\n"
          "\n"
          "A seed that breaks the process, or that takes more than 120 s of CPU, is printed\n"
          "as well.\n"
          "\n"
          "Exit 0: nothing found. 1: a rule was broken; the seed is printed. 64: usage.\n",
        file);
    return code;
}

/* Reads the number behind an option. */
static bool read_number(int count, char **texts, int *at, double *ret_number)
{
    if (*at + 1 >= count)
        return false;
    char *end = NULL;
    *ret_number = strtod(texts[++*at], &end);
    return end != texts[*at] && *end == '\0' && *ret_number >= 0;
}

static bool read_mode(int count, char **texts, int *at, struct run_options *ret_options)
{
    const char *text = *at + 1 < count ? texts[++*at] : "";
    for (int i = MODE_SAFETY; i <= MODE_LIVENESS; i++)
        if (strcmp(text, mode_texts[i]) == 0) {
            ret_options->mode = (enum simulator_mode)i;
            return true;
        }
    return false;
}

static bool read_options(int count, char **texts, struct run_options *ret_options)
{
    for (int i = 1; i < count; i++) {
        double number = 0;
        if (strcmp(texts[i], "--trace") == 0) {
            ret_options->is_traced = true;
        } else if (strcmp(texts[i], "--twice") == 0) {
            ret_options->is_twice = true;
        } else if (strcmp(texts[i], "--tap") == 0) {
            ret_options->is_tap = true;
        } else if (strcmp(texts[i], "--mode") == 0 && read_mode(count, texts, &i, ret_options)) {
            continue;
        } else if (strcmp(texts[i], "--seed") == 0 && i + 1 < count) {
            ret_options->seed = strtoull(texts[++i], NULL, 10);
            ret_options->has_seed = true;
        } else if (strcmp(texts[i], "--seed-file") == 0 && i + 1 < count) {
            ret_options->seed_path = texts[++i];
        } else if (strcmp(texts[i], "--seeds") == 0 && read_number(count, texts, &i, &number)) {
            ret_options->seed_count = (uint64_t)number;
        } else if (strcmp(texts[i], "--minutes") == 0
            && read_number(count, texts, &i, &number)) {
            ret_options->minutes = number;
        } else if (strcmp(texts[i], "--nodes") == 0 && read_number(count, texts, &i, &number)
            && number >= 3 && number <= NODE_COUNT_MAX) {
            ret_options->node_count = (size_t)number;
        } else {
            fprintf(stderr, "sim_run: cannot use '%s'\n", texts[i]);
            return false;
        }
    }
    return true;
}

int main(int argument_count, char **arguments)
{
    if (argument_count > 1 && strcmp(arguments[1], "--help") == 0)
        return usage(stdout, 0);
    struct run_options options = { .seed_count = 1 };
    if (!read_options(argument_count, arguments, &options))
        return usage(stderr, 64);
    if (sodium_init() < 0)
        return 2;
    node_count_now = options.node_count;
    mode_now = options.mode;
    catch_deaths();
    return run(&options);
}
