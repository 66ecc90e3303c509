/* Where tests take their decisions from: a seeded generator, or the bytes of a
 * fuzzer. The same seed or bytes give the same decisions. */
#ifndef SUPPORT_CHOICE_H
#define SUPPORT_CHOICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct choice {
    uint64_t state;
    const uint8_t *bytes; /* NULL: the generator decides                       */
    size_t left;
};

struct choice choice_from_seed(uint64_t seed);
/* `bytes` are borrowed as long as the choice is used. */
struct choice choice_from_bytes(const uint8_t *bytes, size_t size);

/* A number in 0 .. limit - 1; 0 once the bytes are used up. */
uint32_t choice_below(struct choice *choice, uint32_t limit);
uint64_t choice_u64(struct choice *choice);
/* The bytes are used up; never true for a seed. */
bool choice_is_over(const struct choice *choice);

/* The seed of this run: CRDT_TEST_SEED, else one that differs from run to run.
 * Prints it, so that a failure can be repeated. */
uint64_t choice_seed(const char *test_name, bool *ret_is_fixed);
/* CRDT_TEST_RUNS, else `default_runs`. */
unsigned choice_runs(unsigned default_runs);

#endif
