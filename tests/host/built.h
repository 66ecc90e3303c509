/* A real store with real batches, and snapshots built of it: what the tests of
 * assembly and verify share. */
#ifndef TESTS_HOST_BUILT_H
#define TESTS_HOST_BUILT_H

#include "gossipd/host/store/assembly.h"
#include "gossipd/host/counting.h"
#include "gossipd/host/store/import.h"
#include "tests/host/feeds.h"

extern struct crdt_memory memory;
extern struct database *database;
extern struct feeds_node a, b;  /* who write                                        */
extern struct feeds_node here;  /* has merged all that this store got               */
extern struct choice choice;
extern struct failure failure;
extern atomic_bool is_given_up;
extern uint64_t newest_number;

void built_setup(void);
void built_teardown(void);

struct database *open_store(const char *file);
void put_output(struct database *into, const struct core_output *output);
/* Lets `node` write and the store have it; `reader`, which may be NULL, merges. */
void put(struct database *into, struct feeds_node *node, struct feeds_node *reader);
/* Lets any of the three write, and `here` have all of it. */
void put_some(size_t count);

/* Notes the place of a snapshot. */
void place(struct database *in, uint64_t number);
struct assembly_order order_of(const char *file, uint64_t number, bool is_join);
enum import_result bring_in(struct database *into, const struct assembly_order *order,
    const struct assembly *assembly);
/* Builds a snapshot of a store and brings it in. */
void make_snapshot(struct database *of, const char *file, uint64_t number);

/* The newest snapshot has these bytes, which go. */
void expect_newest(struct database *in, struct crdt_buffer wanted);
/* The newest tips name every feed of the reference, signed. */
void expect_tips(struct database *in, const struct feeds_node *reference);
/* Nothing is wrong with a store that is closed. */
void expect_whole(const char *file);

#endif
