#include "tests/core/apart.h"

#include "tests/support/runner.h"

#include <stdio.h>
#include <string.h>

struct pump pump;

void begin(size_t node_count, enum core_durability durability)
{
    pump_open(&pump, node_count, durability, 46);
    for (size_t node = 0; node < node_count; node++) {
        struct core_options *options = &pump.nodes[node].options;
        options->snapshot_bytes = 1000;
        options->history_ms = UINT64_MAX;
        options->log_bytes_max = 500;
        options->unacked_bytes_max = 0;
        pump_restart(&pump, node, SIZE_MAX);
    }
    pump_run(&pump, 2500000);
}

void end(void)
{
    pump_close(&pump);
}

void cut(size_t node, bool is_cut)
{
    for (size_t other = 0; other < pump.node_count; other++) {
        if (other != node)
            pump_cut(&pump, node, other, is_cut);
    }
}

void add(size_t node, const char *set, char letter, int first, int count)
{
    for (int index = first; index < first + count; index++) {
        char words[64];
        snprintf(words, sizeof words, "SADD %s %c%03d", set, letter, index);
        pump_ask(&pump, node, words);
    }
}

struct crdt_origin origin_of(size_t node)
{
    return crdt_self(core_document(pump.nodes[node].core));
}

uint64_t floor_of(size_t node, size_t origin)
{
    struct crdt_origin key = origin_of(origin);
    return pump_floor(&pump.nodes[node], &key);
}

bool info_has(size_t node, const char *line)
{
    return strstr(pump_ask(&pump, node, "INFO crdt"), line) != NULL;
}

void check_converged(const char *reply)
{
    ck_assert(pump_is_equal(&pump));
    for (size_t node = 0; node < pump.node_count; node++) {
        ck_assert_str_eq(pump_ask(&pump, node, "SCARD s"), reply);
        ck_assert_uint_eq(pump.nodes[node].events[CORE_EVENT_FORK], 0);
        ck_assert_uint_eq(pump.nodes[node].events[CORE_EVENT_DIVERGED], 0);
    }
}

void drift_apart(void)
{
    add(0, "s", 'a', 0, 20);
    pump_run(&pump, 2 * SECOND_US);
    cut(1, true);
    for (int index = 0; index < 10; index++) {
        char words[32];
        snprintf(words, sizeof words, "SREM s a%03d", index);
        ck_assert_str_eq(pump_ask(&pump, 0, words), ":1\r\n");
    }
    add(0, "s", 'b', 0, 40);
    add(1, "s", 'c', 0, 5);
    pump_run(&pump, 30 * SECOND_US);
    ck_assert_uint_gt(floor_of(0, 0), 20);
}

void run_until_building(void)
{
    for (int ms = 0; ms < 20000 && !info_has(1, "crdt_join_state:building\r\n"); ms++)
        pump_run(&pump, 1000);
    ck_assert(info_has(1, "crdt_join_state:building\r\n"));
}

void leave_one_behind(void)
{
    begin(3, CORE_ALWAYS);
    add(0, "s", 'a', 0, 20);
    pump_run(&pump, 2 * SECOND_US);
    cut(1, true);
    add(0, "s", 'b', 0, 60);
    pump_run(&pump, 30 * SECOND_US);
}

void set_large(size_t node, size_t size)
{
    struct crdt_buffer words;
    crdt_buffer_init(&words, NULL);
    ck_assert_int_eq(CRDT_OK, crdt_buffer_append(&words, "SET large ", 10));
    while (words.size < 10 + size)
        ck_assert_int_eq(CRDT_OK, crdt_buffer_append(&words, "0123456789abcdef", 16));
    ck_assert_int_eq(CRDT_OK, crdt_buffer_append(&words, "", 1));
    ck_assert_str_eq(pump_ask(&pump, node, (const char *)words.data), "+OK\r\n");
    crdt_buffer_close(&words);
}

void run_until_staged(uint64_t parts)
{
    for (int ms = 0; ms < 20000 && pump.nodes[1].staged_parts < parts; ms++)
        pump_run(&pump, 1000);
    ck_assert_uint_ge(pump.nodes[1].staged_parts, parts);
}
