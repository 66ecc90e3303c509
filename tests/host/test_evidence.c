/* Proofs of forks in the store, and whether they hold. */
#include "gossipd/host/store/database_evidence.h"

#include <sqlite3.h>
#include <string.h>

#include "gossipd/host/counting.h"
#include "gossipd/host/identity.h"
#include "tests/host/support.h"
#include "tests/support/runner.h"

static const uint8_t cluster_id[CRDT_HASH_BYTES] = {1};
static struct counting_memory counting;
static struct crdt_memory memory;
static struct identity identity;
static struct database *database;
static struct database_facts facts;
static struct failure failure;
static struct crdt_buffer found;
static unsigned found_count;

static void open_again(void)
{
    database_close(database);
    database = NULL;
    if (!database_open(support_path("store.db"), NULL, cluster_id, identity.key, &database,
            &facts, &failure)) {
        ck_abort_msg("%s", failure.text);
    }
}

static void setup(void)
{
    memory = counting_hook(&counting);
    const char *dir = support_directory();
    crdt_buffer_init(&found, NULL);
    if (!identity_create(dir, &identity, &failure)) {
        ck_abort_msg("%s", failure.text);
    }
    open_again();
}

static void teardown(void)
{
    database_close(database);
    database = NULL;
    identity_close(&identity);
    crdt_buffer_close(&found);
    support_remove();
    ck_assert_uint_eq(counting_used(&counting), 0);
}

/* A first batch of this key that sets `name`, its header kept in `header`. */
static void sign(const char *name, struct crdt_buffer *header, struct tip *ret_tip)
{
    struct crdt_options options;
    struct crdt_document *document;
    struct crdt_transaction *transaction;
    struct crdt_bytes key = crdt_text(name);
    struct crdt_path path = {.keys = &key, .count = 1};
    struct crdt_bytes bytes;
    crdt_options_init(&options);
    memcpy(options.key, identity.key, CRDT_KEY_BYTES);
    options.generation = UINT64_C(0xfedcba9876543210);
    OK(crdt_open(&options, &document));
    OK(crdt_begin(document, 1, &transaction));
    OK(crdt_register_set(transaction, path, key));
    crdt_commit(transaction);
    OK(crdt_seal(document, &bytes));
    OK(crdt_batch_read(bytes, &ret_tip->batch));
    OK(crdt_buffer_append(header, ret_tip->batch.header.data, ret_tip->batch.header.size));
    ret_tip->batch.header = crdt_buffer_bytes(header);
    uint8_t message[CORE_SIGNED_BYTES];
    core_signed_message(cluster_id, ret_tip->batch.head, message);
    identity_sign(&identity, message, sizeof message, ret_tip->signature);
    crdt_close(document);
}

/* Appends evidence, a proof or single, with good or bad signatures. */
static struct crdt_origin make(struct crdt_buffer *bytes, bool is_proof, bool is_forged)
{
    struct crdt_buffer headers[2];
    struct evidence evidence = {.found_ms = 1700000000000, .is_proof = is_proof};
    crdt_buffer_init(&headers[0], NULL);
    crdt_buffer_init(&headers[1], NULL);
    sign("left", &headers[0], &evidence.here);
    sign("right", &headers[1], &evidence.other);
    evidence.other.signature[3] ^= is_forged ? 1 : 0;
    crdt_buffer_clear(bytes);
    OK(evidence_write(bytes, &evidence));
    crdt_buffer_close(&headers[0]);
    crdt_buffer_close(&headers[1]);
    return evidence.here.batch.origin;
}

static void store(const struct crdt_origin *origin, struct crdt_bytes bytes)
{
    const struct core_output output = {
        .kind = CORE_STORE_EVIDENCE, .number = 1, .origin = *origin, .bytes = bytes};
    struct row *row = row_new(&memory, &output, CORE_ALWAYS);
    ck_assert_ptr_nonnull(row);
    ck_assert_int_eq(database_write(database, row, 1, true, &failure), DATABASE_DONE);
    row_free(&memory, row);
}

static void find(void *context, struct crdt_bytes evidence)
{
    (void)context;
    found_count++;
    crdt_buffer_clear(&found);
    OK(crdt_buffer_append(&found, evidence.data, evidence.size));
}

static unsigned replay(void)
{
    found_count = 0;
    ck_assert(database_evidence_replay(database_handle(database), find, NULL, &failure));
    return found_count;
}

START_TEST(a_proof_comes_back_byte_for_byte_until_it_is_forgotten)
{
    struct crdt_buffer bytes;
    crdt_buffer_init(&bytes, NULL);
    ck_assert_uint_eq(replay(), 0);
    for (int is_proof = 0; is_proof < 2; is_proof++) {
        struct crdt_origin origin = make(&bytes, is_proof == 1, false);
        store(&origin, crdt_buffer_bytes(&bytes));
        open_again();
        ck_assert_uint_eq(replay(), 1);
        ck_assert_uint_eq(found.size, bytes.size);
        ck_assert_mem_eq(found.data, bytes.data, bytes.size);
    }
    struct crdt_origin origin = make(&bytes, true, false);
    origin.generation++;
    store(&origin, (struct crdt_bytes){0});
    ck_assert_uint_eq(replay(), 1);
    origin.generation--;
    store(&origin, (struct crdt_bytes){0});
    open_again();
    ck_assert_uint_eq(replay(), 0);
    crdt_buffer_close(&bytes);
}
END_TEST

START_TEST(a_proof_holds_only_with_both_signatures_and_in_its_cluster)
{
    static const uint8_t other_cluster[CRDT_HASH_BYTES] = {2};
    struct crdt_buffer bytes;
    crdt_buffer_init(&bytes, NULL);
    make(&bytes, true, false);
    ck_assert_int_eq(evidence_check(crdt_buffer_bytes(&bytes), cluster_id), EVIDENCE_PROVES);
    ck_assert_int_eq(
        evidence_check(crdt_buffer_bytes(&bytes), other_cluster), EVIDENCE_IS_FORGED);
    bytes.size--;
    ck_assert_int_eq(evidence_check(crdt_buffer_bytes(&bytes), cluster_id), EVIDENCE_IS_BROKEN);
    make(&bytes, true, true);
    ck_assert_int_eq(evidence_check(crdt_buffer_bytes(&bytes), cluster_id), EVIDENCE_IS_FORGED);
    make(&bytes, false, false);
    ck_assert_int_eq(evidence_check(crdt_buffer_bytes(&bytes), cluster_id), EVIDENCE_IS_SINGLE);
    crdt_buffer_close(&bytes);
}
END_TEST

START_TEST(a_store_of_before_has_no_evidence_and_gets_the_table)
{
    ck_assert_int_eq(sqlite3_exec(database_handle(database), "DROP TABLE evidence", NULL, NULL,
        NULL), SQLITE_OK);
    ck_assert_uint_eq(replay(), 0);
    open_again();
    struct crdt_buffer bytes;
    crdt_buffer_init(&bytes, NULL);
    struct crdt_origin origin = make(&bytes, true, false);
    store(&origin, crdt_buffer_bytes(&bytes));
    ck_assert_uint_eq(replay(), 1);
    crdt_buffer_close(&bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("evidence");
    TCase *tests = tcase_create("evidence");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_proof_comes_back_byte_for_byte_until_it_is_forgotten);
    tcase_add_test(tests, a_proof_holds_only_with_both_signatures_and_in_its_cluster);
    tcase_add_test(tests, a_store_of_before_has_no_evidence_and_gets_the_table);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
