#include "tests/host/built.h"

#include <string.h>

#include "gossipd/host/store/database_snapshot.h"
#include "gossipd/host/store/draft.h"
#include "gossipd/host/store/tips_table.h"
#include "gossipd/host/store/verify.h"
#include "tests/host/support.h"
#include "tests/support/runner.h"

static struct counting_memory counting;
struct crdt_memory memory;
struct database *database;
struct feeds_node a, b;
struct feeds_node here;
struct choice choice;
struct failure failure;
atomic_bool is_given_up;
uint64_t newest_number;

struct database *open_store(const char *file)
{
    struct database *opened = NULL;
    struct database_facts facts;
    ck_assert_msg(database_open(support_path(file), SUPPORT_VFS, feeds_cluster_id,
                      here.identity.key, &opened, &facts, &failure), "%s", failure.text);
    return opened;
}

void built_setup(void)
{
    bool is_fixed = false;
    memory = counting_hook(&counting);
    choice = choice_from_seed(choice_seed("assembly", &is_fixed));
    support_directory();
    support_vfs_register();
    feeds_node_open(&a, 1);
    feeds_node_open(&b, 2);
    feeds_node_open(&here, 3);
    newest_number = 0;
    database = open_store("store.db");
}

void built_teardown(void)
{
    database_close(database);
    feeds_node_close(&a);
    feeds_node_close(&b);
    feeds_node_close(&here);
    support_remove();
    ck_assert_uint_eq(counting_used(&counting), 0);
}

void put_output(struct database *into, const struct core_output *output)
{
    struct row *row = row_new(&memory, output, CORE_ALWAYS);
    ck_assert_msg(database_write(into, row, 1, true, &failure) == DATABASE_DONE, "%s",
        failure.text);
    row_free(&memory, row);
}

/* Lets `node` write and the store have it; `reader`, which may be NULL, merges. */
void put(struct database *into, struct feeds_node *node, struct feeds_node *reader)
{
    struct core_output output = feeds_write(node, &choice, ++newest_number);
    put_output(into, &output);
    if (reader != NULL && reader != node) {
        feeds_merge(reader, output.bytes);
    }
}

void put_some(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct feeds_node *writers[] = {&a, &b, &here};
        put(database, writers[choice_below(&choice, 3)], &here);
    }
}

void place(struct database *in, uint64_t number)
{
    const struct core_output output = {.kind = CORE_SNAPSHOT, .number = number};
    put_output(in, &output);
}

struct assembly_order order_of(const char *file, uint64_t number, bool is_join)
{
    struct assembly_order order = {.path = support_path(file), .vfs = SUPPORT_VFS,
        .number = number, .is_join = is_join, .options = feeds_options(), .memory = memory,
        .fd = draft_open(support_path(file)), .is_given_up = &is_given_up};
    ck_assert_int_ge(order.fd, 0);
    order.options.memory = memory;
    memcpy(order.cluster_id, feeds_cluster_id, sizeof order.cluster_id);
    return order;
}

enum import_result bring_in(struct database *into, const struct assembly_order *order,
    const struct assembly *assembly)
{
    struct import_order import_order = {.number = order->number,
        .snapshot = assembly->snapshot, .raised = assembly->raised,
        .raised_count = assembly->raised_count};
    struct import *import = import_new(&memory, &import_order, order->fd);
    enum import_result result = IMPORT_MORE;
    while (result == IMPORT_MORE) {
        result = import_step(import, into, &failure);
    }
    import_free(import);
    return result;
}

/* Builds a snapshot of a store and brings it in. */
void make_snapshot(struct database *of, const char *file, uint64_t number)
{
    struct assembly assembly;
    place(of, number);
    struct assembly_order order = order_of(file, number, false);
    ck_assert_msg(assembly_build(&order, &assembly, &failure), "%s", failure.text);
    ck_assert_ptr_null(assembly.document);
    ck_assert_int_eq(bring_in(of, &order, &assembly), IMPORT_DONE);
    assembly_close(&assembly);
}

void expect_newest(struct database *in, struct crdt_buffer wanted)
{
    struct database_snapshot newest;
    struct crdt_buffer bytes;
    crdt_buffer_init(&bytes, NULL);
    ck_assert(database_snapshot_newest(database_handle(in), &newest));
    ck_assert(database_snapshot_read(database_handle(in), &newest, &bytes, &failure));
    ck_assert_uint_eq(bytes.size, wanted.size);
    ck_assert_mem_eq(bytes.data, wanted.data, bytes.size);
    ck_assert_mem_eq(newest.hash, bytes.data + bytes.size - CRDT_HASH_BYTES, CRDT_HASH_BYTES);
    crdt_buffer_close(&bytes);
    crdt_buffer_close(&wanted);
}

void expect_tips(struct database *in, const struct feeds_node *reference)
{
    struct database_snapshot newest;
    struct crdt_buffer bytes;
    struct tips_table table;
    crdt_buffer_init(&bytes, NULL);
    tips_table_init(&table, &memory);
    ck_assert(database_snapshot_newest(database_handle(in), &newest));
    ck_assert(database_snapshot_tips(database_handle(in), &newest, &bytes, &failure));
    ck_assert_int_eq(tips_table_put_row(&table, crdt_buffer_bytes(&bytes)), CRDT_OK);
    ck_assert(tips_table_fits(&table, reference->document));
    for (size_t i = 0; i < table.count; i++) {
        ck_assert(tip_is_signed(&table.tips[i], feeds_cluster_id));
    }
    tips_table_close(&table);
    crdt_buffer_close(&bytes);
}

void expect_whole(const char *file)
{
    struct verify_report report;
    enum verify_result result =
        verify_store(support_path(file), NULL, NULL, &report, NULL, &failure);
    ck_assert_msg(result == VERIFY_WHOLE, "%s", failure.text);
}
