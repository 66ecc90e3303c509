/* What pump.c needs of the pretended host. */
#ifndef TESTS_CORE_PUMP_HOST_H
#define TESTS_CORE_PUMP_HOST_H

#include "tests/core/pump.h"

/* An input that arrives after a while; the caller fills it in. */
struct pump_input *pump_post(struct pump *pump, size_t node, enum core_input_kind kind,
    uint64_t delay_us);
void pump_input_free(struct pump_input *item);
void pump_row_free(struct core_row *row);

/* What a crash takes: all that is not durable. */
void pump_forget_unstored(struct pump_node *node);
void pump_end_link(struct pump *pump, size_t a, size_t b);
void pump_carry_out(struct pump *pump, size_t index, const struct core_output *output);
void *pump_grow(void *array, size_t count, size_t item_bytes);
void pump_post_bytes(struct pump_input *item, const void *bytes, size_t size);

/* The part of the store that is snapshots, floors and what is staged. */
void pump_carry_out_store(struct pump *pump, size_t index, const struct core_output *output);
void pump_replay_floor(struct pump *pump, size_t index);
/* Returns of how many rows the snapshot is; 0 when it was not taken. */
size_t pump_replay_snapshot(struct pump *pump, size_t index);
void pump_replay_staged(struct pump *pump, size_t index);

#endif
