/* The language of the scenarios: one line is one thing that someone does to a
 * cluster, and what it prints is what an onlooker sees. */
#ifndef TESTS_SIM_SCRIPT_H
#define TESTS_SIM_SCRIPT_H

#include "tests/sim/simulator.h"

#define SCRIPT_WORDS_MAX 32
#define SCRIPT_FILTERS_MAX 12

struct script {
    struct simulator sim;
    bool is_open;
    struct crdt_buffer output;  /* of the block at hand                         */
    bool is_sorted;             /* the reply is a set: show it in order         */
    char filters[SCRIPT_FILTERS_MAX][24]; /* words of the trace to show         */
    size_t filter_count;
};

void script_open(struct script *script);
/* Does one line. What is wrong with a line is printed, too. */
void script_line(struct script *script, const char *line);
void script_close(struct script *script);

/* Appends a reply as people read it. */
void script_reply(struct script *script, struct crdt_bytes reply);
__attribute__((format(printf, 2, 3))) void script_print(
    struct script *script, const char *format, ...);

#endif
