/* Which faults a run has, and when. Every seed draws a subset of the kinds and
 * their rates, since some bugs hide behind too many faults. */
#ifndef TESTS_SIM_FAULTS_H
#define TESTS_SIM_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct crdt_origin;
struct disk;
struct network;
struct simulator;

#define ORIGINS_LEFT_MIN 20 /* room for the generations that the end may need */
#define AMNESIA_QUIET_US 4000000 /* longer than a start waits for a peer's word */

#define FAULT_MAP(X)                                                          \
    X(FAULT_CRASH, "crash")                                                   \
    X(FAULT_STOP, "stop")                                                     \
    X(FAULT_CUT_NODE, "cut")                                                  \
    X(FAULT_CUT_PAIR, "cut-pair")                                             \
    X(FAULT_CUT_ONE_WAY, "cut-one-way")                                       \
    X(FAULT_HEAL, "heal")                                                     \
    X(FAULT_STORE_FAIL, "disk-full")                                          \
    X(FAULT_STORE_MEND, "store-mend")                                         \
    X(FAULT_DISK_ERROR, "disk-error")                                         \
    X(FAULT_CLOCK_BACK, "clock-back")                                         \
    X(FAULT_CLOCK_YEAR, "clock-year")                                         \
    X(FAULT_CLOCK_DRIFT, "clock-drift")                                       \
    X(FAULT_CLIENT_GONE, "client-gone")                                       \
    X(FAULT_LINK_RESET, "link-reset")                                         \
    X(FAULT_SECOND_LINK, "second-link")                                       \
    X(FAULT_RESTORE, "restore")                                               \
    X(FAULT_AMNESIA, "amnesia")                                               \
    X(FAULT_LOST_WRITE, "lost-write")                                         \
    X(FAULT_HOLE, "hole")                                                     \
    X(FAULT_CLONE, "clone")                                                   \
    X(FAULT_CLONES, "clones")                                                 \
    X(FAULT_BACKUP, "backup")                                                 \
    X(FAULT_ABSENT, "absent-year")                                            \
    X(FAULT_LEAVE, "absent-member")                                           \
    X(FAULT_CRASH_TRANSFER, "crash-in-transfer")                              \
    X(FAULT_CRASH_JOIN, "crash-in-join")                                      \
    X(FAULT_CRASH_DROP, "crash-in-drop")                                      \
    X(FAULT_OFFERER_GONE, "offerer-gone")                                     \
    X(FAULT_SPLIT, "split")                                                   \
    X(FAULT_BRIDGE, "bridge")                                                 \
    X(FAULT_RING, "ring")                                                     \
    X(FAULT_STAR, "star")                                                     \
    X(FAULT_DEAF, "deaf")                                                     \
    X(FAULT_FLAP, "flap")                                                     \
    X(FAULT_STALL, "stall")                                                   \
    X(FAULT_SLOW, "slow")                                                     \
    X(FAULT_POISON, "poison")                                                 \
    X(FAULT_LIE_OFFER, "lie-in-offer")                                        \
    X(FAULT_LIE_PART, "lie-in-part")                                          \
    X(FAULT_FLOOD, "flood")                                                   \
    X(FAULT_LOSS, "loss")                                                     \
    X(FAULT_DUPLICATION, "duplicate")                                         \
    X(FAULT_REORDERING, "reorder")                                            \
    X(FAULT_DELAY, "delay")                                                   \
    X(FAULT_CORRUPTION, "corrupt")                                            \
    X(FAULT_DEAD_LINK, "dead-link")                                           \
    X(FAULT_LATE_WORD, "late-word")                                           \
    X(FAULT_THIN, "thin-mesh")                                                \
    X(FAULT_SLOW_FOR_GOOD, "slow-for-good")

enum fault {
#define FAULT_ENUM(name, text) name,
    FAULT_MAP(FAULT_ENUM)
#undef FAULT_ENUM
};
/* Where a node can be made to crash: just there, or in its next step. */
enum trap {
    TRAP_NONE,
    TRAP_STAGE,        /* it keeps a part of a peer's snapshot                    */
    TRAP_SERVE,        /* it reads a part of its own for a peer                   */
    TRAP_JOIN,         /* it begins to make a join                                */
    TRAP_JOIN_DURABLE, /* which is durable, and the core does not know            */
    TRAP_JOIN_DONE,    /* the core learns it                                      */
    TRAP_SWAP,         /* the joined document takes the place of the old one      */
    TRAP_DROP,
    TRAP_DROP_DURABLE,
};

#define FAULT_LAST_DRAWN FAULT_FLOOD /* those above happen to messages, beside others, or last */
#define FAULT_COUNT (FAULT_SLOW_FOR_GOOD + 1)

struct faults {
    unsigned weights[FAULT_COUNT]; /* of the kinds that happen at a moment       */
    uint64_t pause_us;             /* mean time between two of them              */
    uint64_t quiet_until_us;       /* none happens before                       */
    uint64_t counts[FAULT_COUNT];  /* how many happened                          */
};

const char *fault_text(enum fault fault);
/* Draws the faults of this run. */
void faults_draw(struct simulator *sim);
/* Lets one happen and plans the next. */
void faults_happen(struct simulator *sim);
/* Sets a trap for a crash in a phase of the fault's; it counts when it springs. False:
 * nothing has happened yet. */
bool faults_set_trap(struct simulator *sim, enum fault fault, size_t node);
/* The node crashes in its next step that has outputs: then it counts. */
void faults_doom(struct simulator *sim, size_t node, enum fault fault);
/* A node comes to a place where it may have to crash. */
void faults_spring(struct simulator *sim, size_t node, enum trap trap);
/* How far a store keeps a feed for sure: behind a hole nothing may be of use. */
uint64_t faults_kept(const struct disk *disk, size_t feed);
/* The store of a node is not the newest one: promises hold as far as they are
 * kept elsewhere, or with `counts_self` there. */
void faults_forget(struct simulator *sim, size_t node, bool counts_self);
/* Nothing can be used twice if a store lacks something behind the host's back. */
bool faults_is_amnesia_safe(struct simulator *sim, size_t node);
/* Has cuts of the network beyond `before`, where both ends run? */
bool faults_has_new_cut(const struct simulator *sim, const struct network *before);
/* Nobody says for a while what it knows of a node that has forgotten, nor does
 * anything else happen. */
void faults_delay_word(struct simulator *sim, size_t node);
/* Ends all of them: mends disks, heals cuts, restarts nodes. */
void faults_end(struct simulator *sim);

#endif
