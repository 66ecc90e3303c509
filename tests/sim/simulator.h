/* A whole cluster in one process: N real cores under virtual time, over a
 * simulated network and simulated disks. One seed is one run, byte for byte.
 *
 * It sees of gossipd only the seam, gossipd/core/core.h. */
#ifndef TESTS_SIM_SIMULATOR_H
#define TESTS_SIM_SIMULATOR_H

#include "gossipd/core/core.h"
#include "tests/sim/faults.h"
#include "tests/sim/model.h"
#include "tests/sim/network.h"
#include "tests/sim/node.h"
#include "tests/sim/agenda.h"
#include "tests/sim/registry.h"

/* How long after the last fault all nodes may need to be equal. Start wait 2 s,
 * a silent link 3 s, connect 1 s, a lost message is repaired after 3 s, twice. */
#define CONVERGE_US 20000000
#define VIOLATION_BYTES 1024

struct simulator_options {
    uint64_t seed;
    size_t node_count;          /* 0: the seed chooses 3 to 5                   */
    bool is_traced;
    /* Gets each line of the trace, without a newline. NULL: standard output. */
    void (*trace)(void *context, const char *line);
    void *trace_context;
    /* Gets each whole reply to a client. NULL: nobody. */
    void (*answered)(void *context, size_t node, size_t slot, struct crdt_bytes reply);
    void *answered_context;
    /* Scenarios: no random latencies, no faults, no clients of its own; what
     * the core alarms about is shown, not a violation. */
    bool is_quiet;
    enum core_durability durability; /* of a quiet run                          */
};

struct simulator_stats {
    uint64_t operations;  /* records made by their authors                      */
    uint64_t commands;
    uint64_t steps;
    uint64_t generations;
    uint64_t snapshots;   /* written whole                                       */
    uint64_t loads;       /* restarts that began with one                        */
    uint64_t oracles;     /* states compared with the oracle                    */
    uint64_t references;  /* documents rebuilt from scratch to compare          */
};

/* Equal (C, heads) must have equal states, whoever has them and whenever (I12). */
struct known_state {
    uint8_t context[CRDT_HASH_BYTES];
    uint8_t state[CRDT_HASH_BYTES];
};

struct simulator {
    struct simulator_options options;
    uint64_t random;
    uint64_t now_us;
    uint64_t checksum;          /* of everything that happened                  */
    struct agenda agenda;
    struct node nodes[NODE_COUNT_MAX];
    size_t node_count;
    struct network network;
    struct registry registry;
    struct model model;
    struct faults faults;
    struct simulator_stats stats;
    struct known_state *states;
    size_t state_count;
    size_t state_capacity;
    uint64_t think_us;          /* mean pause of a client                       */
    uint64_t snapshot_bytes;    /* between two snapshots; 0: none                */
    bool has_flushall;          /* this run's clients say FLUSHALL              */
    bool has_long_counters;     /* and seldom remove one                            */
    bool is_calm;               /* clients have stopped                         */
    bool is_model_exact;        /* no lying acknowledgements in this run        */
    bool is_broken;
    char violation[VIOLATION_BYTES];
};

/* Draws the run from its seed and starts the nodes. */
void simulator_open(struct simulator *sim, const struct simulator_options *options);
/* Lets the next event happen. False when there is none or a check has failed. */
bool simulator_next(struct simulator *sim);
/* Runs until the virtual clock has gone on by `us`. */
void simulator_run(struct simulator *sim, uint64_t us);
/* Faults, then calm, then every check of the end. */
void simulator_play(struct simulator *sim);
/* Runs until every node that is up has the same context, at most `us`. */
bool simulator_converge(struct simulator *sim, uint64_t us);
/* Sends a command to a node and runs until its reply; NULL: none came in 10 s.
 * The reply is borrowed until the next question to this node. */
const struct crdt_buffer *simulator_ask(
    struct simulator *sim, size_t node, const struct command *command);
void simulator_close(struct simulator *sim);

/* A number below `bound` from the run's generator. */
uint64_t simulator_random(struct simulator *sim, uint64_t bound);
/* True once in `bound` times. */
bool simulator_chance(struct simulator *sim, uint64_t bound);
/* A time from now: `least` to `most` microseconds; `least` in a quiet run. */
uint64_t simulator_after(struct simulator *sim, uint64_t least, uint64_t most);
/* Mixes what happened into the checksum. */
void simulator_mix(struct simulator *sim, const void *data, size_t size);
void simulator_mix_number(struct simulator *sim, uint64_t number);
/* One line of the trace. */
__attribute__((format(printf, 2, 3))) void simulator_trace(
    struct simulator *sim, const char *format, ...);
/* The first broken rule ends the run. */
__attribute__((format(printf, 2, 3))) void simulator_fail(
    struct simulator *sim, const char *format, ...);

/* "n2b": node 2's second generation. */
struct label {
    char text[16];
};
struct label simulator_label(const struct simulator *sim, size_t origin);

#endif
