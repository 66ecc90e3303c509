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

/* How many heartbeat rounds after the last fault all nodes may need to be equal.
 * A round is a second: start wait 2, a silent link 3, connect 1, a member that
 * still stands still 4, a lost message is repaired after 3, twice: 20 with the
 * rest. Who is below a floor waits for an offer 2, for a source that is gone 5, lets
 * others fetch its own snapshot before it voids it 10, tries twice what a lie has spoilt
 * and then another one, 10 each, the last of them with others fetching again, 10. */
#define CONVERGE_ROUNDS 67
/* A member whose disk never works again asks for snapshots for ever, and whoever wants
 * to join lets it, for a minute each time: JOIN_HELD_US, and one join may lead to
 * another. */
#define CONVERGE_ROUNDS_BESIDE_DISK (CONVERGE_ROUNDS + 120)
#define ROUND_US UINT64_C(1000000)
#define CONVERGE_US (CONVERGE_ROUNDS * ROUND_US)
/* What members that are equal do by themselves, folds and notes, goes over links that
 * are up: rounds until they are equal again. Beside a bad disk they may get to know of
 * what it has so late that all of it begins anew. */
#define AGAIN_ROUNDS 10
#define VIOLATION_BYTES 1024
#define SIMULATOR_CLUSTER_BYTE 7 /* fills the cluster id                          */

/* In safety runs the faults go on to the end; in liveness runs some last for ever
 * and the others end; else the seed chooses: mostly all of them end. */
enum simulator_mode { MODE_DRAWN, MODE_SAFETY, MODE_LIVENESS };

struct simulator_options {
    enum simulator_mode mode;
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
    uint64_t joins;       /* joined snapshots made durable                       */
    uint64_t joins_refused; /* staged ones that were not what they claimed, or no disk */
    uint64_t resumed;     /* starts that found staged parts                      */
    uint64_t offers;      /* sent                                                */
    uint64_t parts;       /* of snapshots, read for peers                        */
    uint64_t drops;       /* transactions that dropped something                 */
    uint64_t dropped;     /* batches                                             */
    uint64_t oracles;     /* states compared with the oracle                    */
    uint64_t ed25519;     /* 1: signatures are real                             */
    uint64_t lost;        /* members that never came back                       */
    uint64_t rounds;      /* of heartbeats until all were equal                 */
    uint64_t rounds_beside; /* likewise, beside a disk that never works again    */
    uint64_t again;       /* once more, after that: the most of them             */
    uint64_t agains;      /* runs in which this was needed                       */
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
    struct disk spares[NODE_COUNT_MAX]; /* the other copies of cloned stores    */
    struct disk backups[NODE_COUNT_MAX]; /* older copies of stores              */
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
    uint64_t part_bytes;        /* of one part of a snapshot, but its last       */
    uint64_t drop_rows;         /* in one transaction of a DROP                  */
    uint64_t history_ms, log_bytes_max, unacked_bytes_max; /* see core.h         */
    uint64_t fold_count, fold_away_us; /* likewise                               */
    uint64_t portion_max;       /* elements or fields in one command            */
    uint64_t multi_max;         /* commands in one MULTI                        */
    uint64_t field_count;       /* of the sets and hashes                       */
    bool has_flushall;          /* this run's clients say FLUSHALL              */
    bool has_long_counters;     /* and seldom remove one                            */
    bool is_calm;               /* clients have stopped                         */
    bool is_model_exact;        /* no acknowledgement has lied so far           */
    bool has_poison;            /* a member has been bad: alarms are right      */
    uint64_t skipped_us;        /* nothing ran for so long                      */
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
