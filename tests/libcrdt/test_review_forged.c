/* Batches that no library writes, with hashes that are right: what the format
 * forbids is refused, what a newer minor version may add is read. */
#include "tests/support/documents.h"
#include "tests/support/runner.h"

#include <sodium.h>
#include <string.h>

enum { DEPS_HASH_BYTES = 16, NOTE = 16, MARK = 17 };

static struct crdt_document *reader, *peer;

/* The fields of a batch of key 7, generation 1, and what is in it. */
struct forged {
    uint64_t minor, first_seq, records;
    struct crdt_buffer deps, body, listed; /* `listed`: what the deps hash is over */
    const uint8_t *previous;
    bool has_extra;
};

static struct forged forged_new(uint64_t records)
{
    return (struct forged){.first_seq = 1, .records = records};
}

static void numbers(struct crdt_buffer *buffer, size_t count, const uint64_t *values)
{
    for (size_t i = 0; i < count; i++)
        OK(crdt_write_uint(buffer, values[i]));
}
#define NUMBERS(buffer, ...)                                                                       \
    numbers(buffer, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t),                    \
        (const uint64_t[]){__VA_ARGS__})

static void write_origin(struct crdt_buffer *buffer, const struct crdt_origin *origin)
{
    OK(crdt_write_bytes(buffer, (struct crdt_bytes){origin->key, CRDT_KEY_BYTES}));
    OK(crdt_write_uint(buffer, origin->generation));
}

/* Puts an origin as far as the reader has it into the list that is hashed. */
static void list(struct forged *forged, const struct crdt_origin *origin)
{
    for (size_t i = 0; i < crdt_feed_count(reader); i++) {
        struct crdt_feed feed = crdt_feed_at(reader, i);
        if (crdt_origin_compare(&feed.origin, origin) != 0)
            continue;
        uint8_t number[16] = {0};
        number[7] = (uint8_t)origin->generation;
        number[15] = (uint8_t)feed.seq;
        OK(crdt_buffer_append(&forged->listed, origin->key, CRDT_KEY_BYTES));
        OK(crdt_buffer_append(&forged->listed, number, sizeof number));
        OK(crdt_buffer_append(&forged->listed, feed.head, CRDT_HASH_BYTES));
    }
}

static void write_hash(struct crdt_buffer *buffer, const struct crdt_buffer *of, size_t bytes)
{
    uint8_t hash[CRDT_HASH_BYTES];
    crypto_generichash(hash, bytes, of->data, of->size, NULL, 0);
    OK(crdt_write_bytes(buffer, (struct crdt_bytes){hash, bytes}));
}

/* The bytes of the batch; closes what was forged. */
static struct crdt_buffer forged_bytes(struct forged *forged)
{
    struct crdt_origin origin = document_origin(7, 1);
    struct crdt_buffer header = {0}, batch = {0};
    NUMBERS(&header, CRDT_WIRE_MAJOR, forged->minor);
    write_origin(&header, &origin);
    NUMBERS(&header, forged->first_seq, forged->records);
    if (forged->first_seq > 1)
        OK(crdt_write_bytes(&header, (struct crdt_bytes){forged->previous, CRDT_HASH_BYTES}));
    else
        NUMBERS(&header, 0);
    if (forged->deps.size == 0)
        NUMBERS(&forged->deps, 0, 0);
    OK(crdt_buffer_append(&header, forged->deps.data, forged->deps.size));
    write_hash(&header, &forged->listed, DEPS_HASH_BYTES);
    write_hash(&header, &forged->body, CRDT_HASH_BYTES);
    if (forged->has_extra)
        OK(crdt_write_bytes(&header, crdt_text("a later field")));
    NUMBERS(&batch, 1);
    OK(crdt_write_bytes(&batch, crdt_buffer_bytes(&header)));
    OK(crdt_write_bytes(&batch, crdt_buffer_bytes(&forged->body)));
    crdt_buffer_close(&header);
    crdt_buffer_close(&forged->deps);
    crdt_buffer_close(&forged->body);
    crdt_buffer_close(&forged->listed);
    return batch;
}

static void must_say(enum crdt_status status, struct forged forged)
{
    struct crdt_buffer before = snapshot_of(reader);
    struct crdt_buffer batch = forged_bytes(&forged);
    ck_assert_int_eq(merge(reader, &batch), status);
    struct crdt_buffer after = snapshot_of(reader);
    ck_assert_int_eq(buffer_equals(&before, &after), status != CRDT_OK);
    crdt_buffer_close(&before);
    crdt_buffer_close(&after);
    crdt_buffer_close(&batch);
}

static void setup(void)
{
    reader = document_new(1, 1);
    peer = document_new(2, 1);
    add(peer, PATH("n"), 1);
    add(peer, PATH("m"), 1);
    sync_to(peer, reader);
}

static void teardown(void)
{
    crdt_close(reader);
    crdt_close(peer);
}

/* A batch that depends on the peer as far as the reader has it. */
static struct forged dependent(uint64_t records, uint64_t seq)
{
    struct crdt_origin origin = document_origin(2, 1);
    struct forged forged = forged_new(records);
    NUMBERS(&forged.deps, 0, 1);
    write_origin(&forged.deps, &origin);
    NUMBERS(&forged.deps, seq);
    list(&forged, &origin);
    return forged;
}

START_TEST(mark_stands_between_records)
{
    struct forged forged = dependent(2, 2);
    NUMBERS(&forged.body, MARK, 1, 0, 1, NOTE, NOTE);
    must_say(CRDT_ERR_MALFORMED, forged);
    forged = dependent(2, 2);
    NUMBERS(&forged.body, NOTE, NOTE, MARK, 1, 0, 1);
    must_say(CRDT_ERR_MALFORMED, forged);
    forged = dependent(2, 2);
    NUMBERS(&forged.body, NOTE, MARK, 1, 0, 1, MARK, 1, 0, 1, NOTE);
    must_say(CRDT_ERR_MALFORMED, forged);
    forged = dependent(2, 2);
    NUMBERS(&forged.body, NOTE, MARK, 1, 0, 3, NOTE);
    must_say(CRDT_ERR_MALFORMED, forged);
    forged = dependent(2, 2);
    NUMBERS(&forged.body, NOTE, MARK, 1, 1, 1, NOTE);
    must_say(CRDT_ERR_MALFORMED, forged);
    forged = dependent(2, 2);
    NUMBERS(&forged.body, NOTE, MARK, 1, 0, 2, NOTE);
    must_say(CRDT_OK, forged);
}
END_TEST

START_TEST(mark_does_not_go_below_the_batch_before)
{
    struct crdt_origin origin = document_origin(2, 1), own = document_origin(7, 1);
    struct forged forged = dependent(1, 2);
    NUMBERS(&forged.body, NOTE);
    must_say(CRDT_OK, forged);
    add(peer, PATH("o"), 1);
    sync_to(peer, reader);
    uint8_t head[CRDT_HASH_BYTES];
    for (size_t i = 0; i < crdt_feed_count(reader); i++) {
        struct crdt_feed feed = crdt_feed_at(reader, i);
        if (crdt_origin_compare(&feed.origin, &own) == 0)
            memcpy(head, feed.head, sizeof head);
    }
    for (uint64_t taken_back = 2; taken_back > 0; taken_back--) {
        forged = forged_new(2);
        forged.first_seq = 2;
        forged.previous = head;
        NUMBERS(&forged.deps, 1, 0, 1, 0);
        list(&forged, &origin);
        NUMBERS(&forged.body, NOTE, MARK, 1, 0, taken_back, NOTE);
        must_say(taken_back == 1 ? CRDT_OK : CRDT_ERR_MALFORMED, forged);
    }
}
END_TEST

START_TEST(deps_name_an_origin_once_and_never_the_author)
{
    struct crdt_origin origin = document_origin(2, 1), own = document_origin(7, 1);
    struct forged forged = forged_new(1);
    NUMBERS(&forged.deps, 0, 2);
    for (int i = 0; i < 2; i++) {
        write_origin(&forged.deps, &origin);
        NUMBERS(&forged.deps, 2);
        list(&forged, &origin);
    }
    NUMBERS(&forged.body, NOTE);
    must_say(CRDT_ERR_MALFORMED, forged);
    forged = forged_new(1);
    NUMBERS(&forged.deps, 0, 1);
    write_origin(&forged.deps, &own);
    NUMBERS(&forged.deps, 1);
    NUMBERS(&forged.body, NOTE);
    must_say(CRDT_ERR_MALFORMED, forged);
}
END_TEST

START_TEST(newer_minor_version_may_add_header_fields)
{
    struct forged forged = forged_new(1);
    forged.has_extra = true;
    NUMBERS(&forged.body, NOTE);
    must_say(CRDT_ERR_MALFORMED, forged);
    forged = forged_new(1);
    forged.minor = 1;
    forged.has_extra = true;
    NUMBERS(&forged.body, NOTE);
    must_say(CRDT_OK, forged);
}
END_TEST

START_TEST(batch_ends_below_the_greatest_seq)
{
    static const uint8_t previous[CRDT_HASH_BYTES];
    for (uint64_t over = 0; over < 2; over++) {
        struct forged forged = forged_new(2);
        forged.first_seq = CRDT_SEQ_MAX - 2 + over;
        forged.previous = previous;
        NUMBERS(&forged.body, NOTE, NOTE);
        struct crdt_buffer bytes = forged_bytes(&forged);
        struct crdt_batch batch;
        ck_assert_int_eq(crdt_batch_read(crdt_buffer_bytes(&bytes), &batch),
            over == 0 ? CRDT_OK : CRDT_ERR_MALFORMED);
        crdt_buffer_close(&bytes);
    }
}
END_TEST

START_TEST(unknown_record_of_a_newer_version_applies_nothing)
{
    struct forged forged = forged_new(2);
    NUMBERS(&forged.body, NOTE, MARK + 1);
    must_say(CRDT_ERR_VERSION, forged);
    forged = forged_new(2);
    NUMBERS(&forged.body, NOTE, 0);
    must_say(CRDT_ERR_MALFORMED, forged);
}
END_TEST

/* Three contributions and a fold of them, to a reader who knows nothing. */
static void fold_must_say(enum crdt_status status, uint64_t distance, uint64_t span)
{
    struct forged forged = forged_new(4);
    forged.first_seq = 1;
    NUMBERS(&forged.body, 4, 0, 0, 5, 4, 0, 0, 6, 4, 0, 0, 7, 6, 0, 0, distance, span, 18);
    struct crdt_document *kept = reader;
    reader = document_new(1, 1);
    must_say(status, forged);
    crdt_close(reader);
    reader = kept;
}

START_TEST(fold_names_a_run_of_two_or_more_before_it)
{
    for (uint64_t distance = 0; distance <= 5; distance++)
        for (uint64_t span = 0; span <= 5; span++) {
            bool is_run = distance >= 1 && span >= 1 && distance + span <= 3;
            fold_must_say(is_run ? CRDT_OK : CRDT_ERR_MALFORMED, distance, span);
        }
    fold_must_say(CRDT_ERR_MALFORMED, 1, UINT64_MAX);
    fold_must_say(CRDT_ERR_MALFORMED, UINT64_MAX, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("review_forged");
    TCase *forged = tcase_create("forged");
    tcase_add_checked_fixture(forged, setup, teardown);
    tcase_add_test(forged, mark_stands_between_records);
    tcase_add_test(forged, mark_does_not_go_below_the_batch_before);
    tcase_add_test(forged, deps_name_an_origin_once_and_never_the_author);
    tcase_add_test(forged, newer_minor_version_may_add_header_fields);
    tcase_add_test(forged, batch_ends_below_the_greatest_seq);
    tcase_add_test(forged, unknown_record_of_a_newer_version_applies_nothing);
    tcase_add_test(forged, fold_names_a_run_of_two_or_more_before_it);
    suite_add_tcase(suite, forged);
    return runner_run(suite);
}
