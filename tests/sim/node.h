/* A node: one real core, its clock, its disk, its clients. node_step() is the
 * only place that calls core_step(). */
#ifndef TESTS_SIM_NODE_H
#define TESTS_SIM_NODE_H

#include "gossipd/core/core.h"
#include "tests/sim/disk.h"
#include "tests/sim/agenda.h"
#include "tests/sim/faults.h"
#include "tests/sim/oracle.h"
#include "tests/sim/registry.h"
#include "tests/sim/workload.h"

#define VERIFYING_MAX 4096    /* signatures that one node has checked at once     */
#define VERIFYING_SAME_MAX 2 /* of one batch: the batch, and its header as a tip  */
#define HELD_BYTES_MIN (8u << 20) /* of memory, whatever there is: a round for each peer */
#define HELD_FACTOR 12       /* beside, per byte of all batches                   */
#define STOP_US 5000000     /* SIGTERM is done within this                       */

/* A signature that is being checked. */
struct verifying {
    uint64_t number;
    uint64_t name;     /* hash of the message and the signature                   */
};

struct node {
    uint8_t key[CRDT_KEY_BYTES];
    uint8_t secret[64];          /* of an Ed25519 key                           */
    bool is_ed25519;
    struct core *core;
    size_t held_bytes;           /* by the core, through its memory hook        */
    bool is_serving;
    bool is_stopping;
    unsigned loss;               /* liveness.c: it never comes back; 0: it does */
    bool is_doomed;              /* crashes amid the outputs of its next step   */
    enum fault doom;             /* and as what that counts                     */
    enum trap trap;              /* will be doomed when it comes there          */
    unsigned part_lies;          /* of parts of snapshots that it sends next    */
    bool is_joining;             /* the joined snapshot is durable, C lags behind it */
    bool is_stranger_to[NODE_COUNT_MAX]; /* not in the configuration of that one */
    uint64_t incarnation;
    enum core_durability durability;
    int64_t clock_offset_ms;
    int64_t drift_ppm;           /* of its wall clock since `drift_from_us`     */
    uint64_t drift_from_us;
    uint64_t busy_until_us;      /* its inputs wait                             */
    uint64_t slow_until_us;      /* each input keeps it busy for a while        */
    uint64_t input_us;           /* likewise, for good; 0: not                   */
    uint64_t away_until_us;      /* it is absent, at most so long                */
    uint64_t started_us;
    uint64_t monotonic_offset_us;
    struct disk disk;
    struct core_peer peers[NODE_COUNT_MAX];
    size_t peer_nodes[NODE_COUNT_MAX]; /* which node peers[i] is                */
    size_t peer_count;
    struct core_facts facts;
    uint64_t link_number;
    uint64_t client_number;
    struct client clients[CLIENT_COUNT];
    uint64_t tick;               /* the newest; older ones are void             */
    unsigned idle_ticks;         /* in a row, without output, asking for more   */
    unsigned generations;        /* begun so far                                */

    /* What the checks remember. */
    uint64_t stamped_ms_min, stamped_ms_max; /* its clock since its batch was begun */
    uint64_t stamp;              /* of its newest register since its document was loaded */
    struct verifying verifying[VERIFYING_MAX];
    size_t verifying_count;
    size_t self;                 /* own origin; ORIGIN_COUNT_MAX: none          */
    struct vector context;
    struct vector durable;       /* what it ever had on disk, also what was lost */
    struct vector durable_before;/* that, when it was last started              */
    uint64_t acked_us[NODE_COUNT_MAX]; /* when each last acknowledged, or this started */
    struct vector floor;         /* as the core was told                        */
    struct oracle oracle;
    size_t feeds[ORIGIN_COUNT_MAX]; /* feed index -> origin                     */
    size_t feed_count;
    const struct crdt_document *document; /* that the feeds are of              */
};

void node_start(struct simulator *sim, size_t node);
/* Gives the core one input, checks it, executes its outputs. Time is filled in. */
void node_step(struct simulator *sim, size_t node, struct core_input *input);
/* SIGKILL or power loss. */
void node_crash(struct simulator *sim, size_t node);
/* SIGTERM. */
void node_stop(struct simulator *sim, size_t node);
/* Frees the core without any ceremony. */
void node_close(struct simulator *sim, size_t node);
/* What a right clock shows. */
uint64_t node_true_ms(const struct simulator *sim);
uint64_t node_wall_ms(const struct simulator *sim, size_t node);
/* Own operations that are in S, the open batch included. */
uint64_t node_own_seq(const struct node *node);

/* Starts a node that is down in a while; scenarios start theirs by hand. */
void node_restart_later(struct simulator *sim, size_t node);
/* EVENT_STOPPED: checks that everything is on disk, then closes. */
void node_stopped(struct simulator *sim, size_t node);
/* The events of this room. */
void node_tick(struct simulator *sim, const struct event *event);
void node_fetched(struct simulator *sim, const struct event *event);
void node_verified(struct simulator *sim, const struct event *event);

#endif
