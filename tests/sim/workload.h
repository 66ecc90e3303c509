/* Clients: they send commands, know what was promised to them, and hold the
 * node to it. */
#ifndef TESTS_SIM_WORKLOAD_H
#define TESTS_SIM_WORKLOAD_H

#include "gossipd/core/core.h"
#include "tests/sim/model.h"

struct simulator;
struct node;

#define CLIENT_COUNT 4        /* per node; the last one asks for the checks      */
#define CLIENT_ASKING (CLIENT_COUNT - 1)
#define OUTSTANDING_MAX 32    /* pipelined commands of one client                */
#define EFFECTS_MAX 512       /* of one EXEC                                     */
#define ARGUMENTS_MAX 48
#define FIELD_COUNT_MAX 40    /* of a set or hash that the model knows            */
#define PORTION_MAX 20        /* elements or fields in one command               */
#define ARGUMENT_BYTES 64

/* A command as text. */
struct command {
    char arguments[ARGUMENTS_MAX][ARGUMENT_BYTES];
    size_t count;
};

/* A command whose reply has not come. */
struct outstanding {
    size_t origin;      /* what its reply must wait for in `always`: own operations */
    uint64_t seq;       /* of this origin up to here                            */
    bool has_written;
    bool is_always;
    char echo[ARGUMENT_BYTES]; /* exact bytes expected; empty: anything         */
};

struct client {
    uint64_t number;    /* 0: not connected                                     */
    struct outstanding outstanding[OUTSTANDING_MAX];
    size_t outstanding_count;
    struct crdt_buffer reply; /* bytes not parsed yet                           */
    bool is_in_multi;
    struct effect effects[EFFECTS_MAX]; /* of the command, or of the MULTI so far */
    size_t effect_count;
    uint64_t sums;                      /* before it: see workload_sums()         */
    unsigned multi_left;                /* commands until EXEC                    */
    struct crdt_buffer answer; /* the newest whole reply                        */
    uint64_t answers;          /* how many whole replies have come              */
};

/* Sends a command as client `slot`. `effects` are what it means if it makes
 * records. */
void workload_send(struct simulator *sim, size_t node, size_t slot,
    const struct command *command, const struct effect *effects, size_t effect_count);
/* One step of a random client. */
void workload_think(struct simulator *sim, size_t node, size_t slot);
/* Tells the clients of a node that it serves, or is gone. */
void workload_serve(struct simulator *sim, size_t node);
void workload_crash(struct simulator *sim, size_t node);
/* The core has run a client's command; `observed` is what the node had seen
 * just before. */
void workload_executed(struct simulator *sim, size_t node, const struct core_input *input,
    const struct vector *observed);
/* Bytes came for a client. */
void workload_reply(
    struct simulator *sim, size_t node, uint64_t number, struct crdt_bytes bytes);
/* A client hangs up; another takes its slot. False when it asked for nothing. */
bool workload_gone(struct simulator *sim, size_t node, size_t slot);
/* Own operations above `seq` of origin `from` are now of origin `to`. */
void workload_move(struct node *node, size_t from, uint64_t seq, size_t to);
/* Draws a random command and what it means. */
void command_draw(struct simulator *sim, struct command *command, struct effect *effects,
    size_t *ret_effect_count);
/* Appends an argument, printf-like. */
__attribute__((format(printf, 2, 3))) void command_add(
    struct command *command, const char *format, ...);

/* Size of the first whole RESP reply in `bytes`; 0: not whole; SIZE_MAX: not RESP. */
size_t reply_size(const uint8_t *bytes, size_t size);

#endif
