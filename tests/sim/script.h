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

/* The line in words. */
struct words {
    char text[SCRIPT_WORDS_MAX][ARGUMENT_BYTES];
    size_t count;
};

struct words words_split(const char *line);
/* The node that a word names, 1 and up; NODE_COUNT_MAX when it is none. */
size_t words_node(const struct script *script, const struct words *words, size_t at);
/* What stands behind "name=" in a word; NULL when no word has it. */
const char *words_value(const struct words *words, const char *name);
enum core_durability words_durability(
    const struct words *words, enum core_durability otherwise);

void script_open(struct script *script);
/* Does one line. What is wrong with a line is printed, too. */
void script_line(struct script *script, const char *line);
void script_close(struct script *script);

/* Runs until the node serves. */
void script_serve(struct script *script, size_t node);
/* cut 3, cut 1 3, cut 1 -> 3; heal, heal 3. */
void script_cut(struct script *script, const struct words *words);
void script_heal(struct script *script, const struct words *words);
/* A line about one node. False: no such word. */
bool script_node(struct script *script, const struct words *words, size_t node);

/* Appends a reply as people read it. */
void script_reply(struct script *script, struct crdt_bytes reply);
__attribute__((format(printf, 2, 3))) void script_print(
    struct script *script, const char *format, ...);

#endif
