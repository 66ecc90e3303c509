/* Forks in any order: what any member applied, all apply. */
#include "tests/core/forger.h"
#include "tests/support/choice.h"
#include "tests/support/runner.h"

#include <string.h>

static struct pump pump;

static bool is_frozen(size_t node)
{
    return strstr(pump_ask(&pump, node, "CRDT.FORKS"), "\"frozen\":true") != NULL;
}

#define HISTORY_BATCHES 6
#define DECOYS 3
#define ROUNDS 40

/* One history of a feed and a batch of another, brought to members in any order
 * while they write and lines are cut; and batches in the place of these that wait for
 * ever, since nobody has what they depend on. */
struct story {
    struct choice choice;
    struct crdt_buffer batches[HISTORY_BATCHES];
    struct crdt_buffer decoys[HISTORY_BATCHES * DECOYS];
    struct crdt_bytes other;
};

static void keep(struct crdt_buffer *buffer, struct crdt_bytes bytes)
{
    crdt_buffer_init(buffer, NULL);
    OK(crdt_buffer_append(buffer, bytes.data, bytes.size));
}

/* The decoys that follow the first `count` batches. */
static void make_decoys(struct story *story, size_t count)
{
    struct crdt_bytes bytes;
    for (size_t index = 0; index < DECOYS; index++) {
        struct crdt_document *ghost = forger_new(9);
        struct crdt_document *decoy = forger_new(4);
        OK(crdt_set_generation(decoy, FORGER_GENERATION + 1));
        for (size_t before = 0; before < count; before++)
            OK(crdt_merge(decoy, crdt_buffer_bytes(&story->batches[before])));
        OK(crdt_set_generation(decoy, FORGER_GENERATION));
        for (size_t number = 0; number <= index; number++) {
            forger_set(ghost, "ghost", &bytes);
            OK(crdt_merge(decoy, bytes));
        }
        forger_set(decoy, "decoy", &bytes);
        keep(&story->decoys[count * DECOYS + index], bytes);
        crdt_close(ghost);
        crdt_close(decoy);
    }
}

static void give_any(struct story *story)
{
    size_t node = choice_below(&story->choice, 3);
    struct crdt_origin origin = {.generation = FORGER_GENERATION};
    memset(origin.key, 4, sizeof origin.key);
    uint64_t applied = crdt_applied(core_document(pump.nodes[node].core), &origin);
    if (pump.nodes[node].links[3] == 0)
        return;
    /* The other one only where it is seen to contradict: a member who has applied
     * nothing would follow it. */
    uint32_t kind = choice_below(&story->choice, 8);
    if (applied > 0 && kind == 0)
        forger_give(&pump, node, 3, story->other);
    else if (kind < 4)
        forger_give(&pump, node, 3, crdt_buffer_bytes(
            &story->decoys[choice_below(&story->choice, HISTORY_BATCHES * DECOYS)]));
    else
        forger_give(&pump, node, 3, crdt_buffer_bytes(
            &story->batches[choice_below(&story->choice, HISTORY_BATCHES)]));
}

static void live_any(struct story *story)
{
    static const char *const writes[] = {"INCR n", "SADD s a b", "SREM s a", "SET k yes"};
    for (int round = 0; round < ROUNDS; round++) {
        size_t node = choice_below(&story->choice, 3);
        size_t other = (node + 1) % 3;
        switch (choice_below(&story->choice, 4)) {
        case 0:
            pump_cut(&pump, node, other, choice_below(&story->choice, 2) == 0);
            break;
        case 1:
            pump_ask(&pump, node, writes[choice_below(&story->choice, 4)]);
            break;
        default:
            give_any(story);
        }
        pump_run(&pump, choice_below(&story->choice, 400000));
    }
    for (size_t node = 0; node < 3; node++)
        pump_cut(&pump, node, (node + 1) % 3, false);
    pump_run(&pump, 12000000);
}

/* Node 3 is the member whose key has forked. Batches come over its links, so the others
 * think that it has them; what it has is not looked at. */
static void tell_any(uint64_t seed)
{
    struct crdt_bytes bytes;
    struct story story = {.choice = choice_from_seed(seed)};
    struct crdt_document *left = forger_new(4);
    struct crdt_document *right = forger_new(4);
    pump_open(&pump, 4, CORE_ALWAYS, seed);
    pump_run(&pump, 2500000);
    for (size_t index = 0; index < HISTORY_BATCHES; index++) {
        forger_set(left, "left", &bytes);
        keep(&story.batches[index], bytes);
    }
    for (size_t index = 0; index < HISTORY_BATCHES; index++)
        make_decoys(&story, index);
    forger_set(right, "right", &story.other);
    live_any(&story);
    const char *first = pump_ask(&pump, 0, "CRDT.DIGEST");
    char digest[256];
    strncpy(digest, first, sizeof digest - 1);
    digest[sizeof digest - 1] = '\0';
    bool is_first_frozen = is_frozen(0);
    for (size_t node = 0; node < 3; node++) {
        ck_assert_msg(strcmp(digest, pump_ask(&pump, node, "CRDT.DIGEST")) == 0,
            "seed %llu: node %zu has not converged", (unsigned long long)seed, node);
        ck_assert_msg(is_frozen(node) == is_first_frozen
                && strstr(pump_ask(&pump, node, "GET right"), "yes") == NULL,
            "seed %llu: node %zu", (unsigned long long)seed, node);
    }
    for (size_t index = 0; index < HISTORY_BATCHES; index++)
        crdt_buffer_close(&story.batches[index]);
    for (size_t index = 0; index < HISTORY_BATCHES * DECOYS; index++)
        crdt_buffer_close(&story.decoys[index]);
    crdt_close(left);
    crdt_close(right);
    pump_close(&pump);
}

START_TEST(whatever_any_member_applied_all_apply_in_any_order)
{
    bool is_fixed;
    uint64_t seed = choice_seed("core_forks", &is_fixed);
    for (uint64_t count = 0; count < (is_fixed ? 1 : 60); count++)
        tell_any(seed + count);
}
END_TEST

START_TEST(heads_of_any_bytes_never_crash_and_prove_nothing)
{
    bool is_fixed;
    struct choice choice = choice_from_seed(choice_seed("core_forks", &is_fixed));
    struct crdt_bytes bytes;
    struct crdt_batch batch;
    struct crdt_document *author = forger_new(2);
    struct crdt_buffer frame;
    crdt_buffer_init(&frame, NULL);
    forger_set(author, "left", &bytes);
    OK(crdt_batch_read(bytes, &batch));
    pump_open(&pump, 2, CORE_ALWAYS, 46);
    pump_run(&pump, 2500000);
    /* A row of one tip, as tips.h has it, with bytes changed; its signature fits nothing. */
    struct crdt_buffer tips;
    crdt_buffer_init(&tips, NULL);
    uint8_t signature[CORE_SIGNATURE_BYTES] = {0};
    OK(crdt_write_uint(&tips, 1));
    OK(crdt_write_bytes(&tips, batch.header));
    OK(crdt_write_bytes(&tips, (struct crdt_bytes){signature, sizeof signature}));
    for (int round = 0; round < 2000; round++) {
        crdt_buffer_clear(&frame);
        OK(crdt_write_uint(&frame, 8));
        OK(crdt_write_bytes(&frame, crdt_buffer_bytes(&tips)));
        for (uint32_t flips = choice_below(&choice, 3); flips > 0; flips--)
            frame.data[choice_below(&choice, (uint32_t)frame.size)] ^=
                (uint8_t)(1 + choice_below(&choice, 255));
        pump_frame(&pump, 0, 1, frame.data, frame.size);
        pump_run(&pump, 500);
        while (pump.nodes[0].links[1] == 0)
            pump_run(&pump, 500000);
        pump_run(&pump, 1000);
    }
    ck_assert_str_eq(pump_ask(&pump, 0, "CRDT.FORKS"), "$2\r\n[]\r\n");
    ck_assert_str_eq(pump_ask(&pump, 0, "SET k yes"), "+OK\r\n");
    pump_run(&pump, 3000000);
    ck_assert(pump_is_equal(&pump));
    crdt_buffer_close(&tips);
    crdt_buffer_close(&frame);
    crdt_close(author);
    pump_close(&pump);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core_forks_any");
    TCase *tests = tcase_create("core_forks_any");
    tcase_set_timeout(tests, 100);
    tcase_add_test(tests, whatever_any_member_applied_all_apply_in_any_order);
    tcase_add_test(tests, heads_of_any_bytes_never_crash_and_prove_nothing);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
