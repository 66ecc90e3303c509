/* Two or three nodes that keep next to no log, and one of them that was away for
 * too long: what tests about joins begin with. All are about one pump. */
#ifndef TESTS_CORE_APART_H
#define TESTS_CORE_APART_H

#include "tests/core/pump.h"

#define SECOND_US 1000000

extern struct pump pump;

/* Opens nodes that keep next to no log. */
void begin(size_t node_count, enum core_durability durability);
void end(void);
/* Cuts a node off from all others, or heals that. */
void cut(size_t node, bool is_cut);
/* Adds `count` elements to a set, named by a letter and a number from `first` on. */
void add(size_t node, const char *set, char letter, int first, int count);
struct crdt_origin origin_of(size_t node);
/* Where the floor of `node` is in the present feed of node `origin`. */
uint64_t floor_of(size_t node, size_t origin);
bool info_has(size_t node, const char *line);
/* All know the set that a node with every batch would have. */
void check_converged(const char *reply);
/* Node 1 of two is away while node 0 writes 40, removes 10 that both had, and
 * drops; node 1 writes 5 that nobody has. In the end there are 55. */
void drift_apart(void);
/* Node 1 of three is cut off while node 0 writes 60 and drops: it lacks what is gone. */
void leave_one_behind(void);
/* One command with an argument of `size` bytes. */
void set_large(size_t node, size_t size);
/* Lets time pass until node 1 makes a document of what it staged. */
void run_until_building(void);
/* Lets time pass until node 1 has staged so many parts. */
void run_until_staged(uint64_t parts);

#endif
