/* Clones of one origin, in random histories: the oracle knows which of them each
 * document follows. What contradicts it is refused, nothing else is, and I12
 * holds. Only of what a snapshot skipped nobody here can tell. */
#include "tests/support/choice.h"
#include "tests/support/claim.h"
#include "tests/support/documents.h"
#include "tests/support/runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLONES = 3, MEMBERS = 4, BATCHES_MAX = 64, STEPS = 60 };

/* What the oracle knows of a document: which of the histories it really holds. */
struct truth {
    unsigned clone;
    uint64_t seq;
    bool is_blind;   /* a snapshot skipped a stretch of any feed: places in it are
                      * unknown, and with them the hash of deps that name one     */
    bool is_spoiled; /* a skip led from one history to another: nobody can tell    */
};

struct clone {
    struct crdt_buffer batches[BATCHES_MAX];
    unsigned count;
};

struct forked {
    struct choice choice;
    struct crdt_document *documents[CLONES + MEMBERS];
    struct truth truths[CLONES + MEMBERS];
    struct clone clones[CLONES];
    uint64_t common; /* the last seq that all histories have                      */
    bool has_skips;  /* snapshots that are ahead are joined too                   */
    unsigned refused;
    unsigned accepted;
};

static enum crdt_status join(struct crdt_document *to, struct crdt_document *from)
{
    struct crdt_buffer snapshot = snapshot_of(from);
    enum crdt_status status = merge(to, &snapshot);
    crdt_buffer_close(&snapshot);
    return status;
}

static struct crdt_origin cloned_origin(void)
{
    return document_origin(1, 7);
}

static void write_some(struct choice *choice, struct crdt_document *document)
{
    static const char *const names[] = {"a", "b", "c"};
    for (uint32_t left_over = 1 + choice_below(choice, 4); left_over > 0; left_over--) {
        struct crdt_path path = PATH(names[choice_below(choice, 3)]);
        const char *name = names[choice_below(choice, 3)];
        switch (choice_below(choice, 4)) {
        case 0:
            clear(document, path, CRDT_ANY);
            break;
        case 1:
            add(document, path, 1);
            break;
        default:
            put(document, path, name);
            break;
        }
    }
    note(document);
}

static void write_clone(struct forked *forked, unsigned index)
{
    struct clone *clone = &forked->clones[index];
    if (clone->count == BATCHES_MAX)
        return;
    write_some(&forked->choice, forked->documents[index]);
    /* Clones that happen to write the same bytes have not parted. */
    put(forked->documents[index], PATH("clone"), (char[]){(char)('0' + index), '\0'});
    clone->batches[clone->count++] = sealed(forked->documents[index]);
    struct crdt_origin origin = cloned_origin();
    forked->truths[index].seq = crdt_applied(forked->documents[index], &origin);
}

static struct crdt_document *clone_of(struct crdt_document *original)
{
    struct crdt_buffer snapshot = snapshot_of(original);
    struct crdt_options options = document_options(1, 0);
    struct crdt_document *clone;
    OK(crdt_load(&options, crdt_buffer_bytes(&snapshot), &clone));
    OK(crdt_set_generation(clone, 7));
    crdt_buffer_close(&snapshot);
    return clone;
}

/* The clones begin with some batches that all of them have. */
static void forked_init(struct forked *forked, uint64_t seed)
{
    *forked = (struct forked){.choice = choice_from_seed(seed)};
    forked->has_skips = choice_below(&forked->choice, 2) == 1;
    struct crdt_document *original = document_new(1, 7);
    struct clone *first = &forked->clones[0];
    for (uint32_t i = choice_below(&forked->choice, 3); i > 0; i--) {
        write_some(&forked->choice, original);
        first->batches[first->count++] = sealed(original);
    }
    struct crdt_origin origin = cloned_origin();
    forked->common = crdt_applied(original, &origin);
    for (unsigned i = 0; i < CLONES; i++) {
        forked->documents[i] = clone_of(original);
        forked->truths[i] = (struct truth){.clone = i, .seq = forked->common};
        for (unsigned j = 0; i > 0 && j < first->count; j++) {
            crdt_buffer_init(&forked->clones[i].batches[j], NULL);
            OK(crdt_buffer_append(&forked->clones[i].batches[j], first->batches[j].data,
                first->batches[j].size));
        }
        forked->clones[i].count = first->count;
    }
    crdt_close(original);
    for (unsigned i = 0; i < MEMBERS; i++)
        forked->documents[CLONES + i] = document_new((uint8_t)(2 + i), 1);
}

static void forked_close(struct forked *forked)
{
    for (unsigned i = 0; i < CLONES; i++)
        for (unsigned j = 0; j < forked->clones[i].count; j++)
            crdt_buffer_close(&forked->clones[i].batches[j]);
    for (unsigned i = 0; i < CLONES + MEMBERS; i++)
        crdt_close(forked->documents[i]);
}

/* Do two documents, or a document and a batch's end, hold different operations? */
static bool contradict(const struct forked *forked, struct truth a, struct truth b)
{
    uint64_t least = a.seq < b.seq ? a.seq : b.seq;
    return a.clone != b.clone && least > forked->common;
}

static void follow(struct truth *to, struct truth from)
{
    to->is_spoiled = to->is_spoiled || from.is_spoiled;
    if (from.seq > to->seq) {
        to->clone = from.clone;
        to->seq = from.seq;
    }
}

/* Whether a snapshot of `from` brings operations, of anyone. */
static bool brings_news(struct crdt_document *to, struct crdt_document *from)
{
    for (size_t i = 0; i < crdt_feed_count(from); i++) {
        struct crdt_feed feed = crdt_feed_at(from, i);
        if (feed.seq > crdt_applied(to, &feed.origin))
            return true;
    }
    return false;
}

static void join_some(struct forked *forked, unsigned to, unsigned from)
{
    struct truth *ours = &forked->truths[to];
    struct truth theirs = forked->truths[from];
    bool is_contradiction = contradict(forked, *ours, theirs);
    bool is_ahead = theirs.seq > ours->seq;
    bool has_skipped = brings_news(forked->documents[to], forked->documents[from]);
    if (has_skipped && !forked->has_skips)
        return;
    enum crdt_status status = join(forked->documents[to], forked->documents[from]);
    claim(status == CRDT_OK || status == CRDT_ERR_FORK);
    if (!ours->is_spoiled && !theirs.is_spoiled) {
        if (!is_contradiction)
            claim(status == CRDT_OK);
        else if (!is_ahead && !ours->is_blind)
            claim(status == CRDT_ERR_FORK);
    }
    if (status != CRDT_OK) {
        forked->refused++;
        return;
    }
    forked->accepted++;
    ours->is_spoiled = ours->is_spoiled || is_contradiction;
    ours->is_blind = ours->is_blind || has_skipped;
    follow(ours, theirs);
}

static void pull_some(struct forked *forked, unsigned to, unsigned from)
{
    struct truth *ours = &forked->truths[to];
    struct truth theirs = forked->truths[from];
    struct crdt_buffer summary = summary_of(forked->documents[to]);
    struct crdt_buffer delta;
    crdt_buffer_init(&delta, NULL);
    enum crdt_status status =
        crdt_diff(forked->documents[from], crdt_buffer_bytes(&summary), &delta);
    crdt_buffer_close(&summary);
    if (status == CRDT_OK) {
        status = merge(forked->documents[to], &delta);
        claim(status == CRDT_OK || status == CRDT_ERR_FORK);
        bool is_contradiction = contradict(forked, *ours, theirs);
        bool is_sound = !ours->is_spoiled && !theirs.is_spoiled;
        if (is_sound && !is_contradiction)
            claim(status == CRDT_OK);
        if (is_sound && is_contradiction && theirs.seq > ours->seq)
            claim(status == CRDT_ERR_FORK);
        forked->refused += status == CRDT_ERR_FORK;
        forked->accepted += status == CRDT_OK;
        /* A place that a snapshot skipped may have let deps pass. */
        if (status == CRDT_OK && is_contradiction && ours->is_blind)
            ours->is_spoiled = true;
        if (status == CRDT_OK)
            follow(ours, theirs);
    }
    crdt_buffer_close(&delta);
}

/* One batch of a clone, which the document may have or not; it never has to wait. */
static void deliver_some(struct forked *forked, unsigned to, unsigned from)
{
    struct clone *clone = &forked->clones[from];
    if (clone->count == 0)
        return;
    struct truth *ours = &forked->truths[to];
    struct crdt_batch batch;
    unsigned index = choice_below(&forked->choice, clone->count);
    OK(crdt_batch_read(crdt_buffer_bytes(&clone->batches[index]), &batch));
    while (batch.first_seq > ours->seq + 1)
        OK(crdt_batch_read(crdt_buffer_bytes(&clone->batches[--index]), &batch));
    struct truth theirs = {.clone = from, .seq = batch.last_seq};
    bool is_contradiction = contradict(forked, *ours, theirs);
    struct crdt_dot missing;
    enum crdt_status status = crdt_batch_check(forked->documents[to], &batch, &missing);
    enum crdt_status merged = crdt_merge(forked->documents[to], batch.bytes);
    claim(merged == status);
    claim(status == CRDT_OK || status == CRDT_ERR_FORK);
    if (!ours->is_spoiled) {
        if (!is_contradiction)
            claim(status == CRDT_OK);
        else if (!ours->is_blind)
            claim(status == CRDT_ERR_FORK);
    }
    if (status == CRDT_OK)
        follow(ours, theirs);
}

/* Invariant I12, for all whom no skipped stretch has fooled. */
static void compare_all(struct forked *forked)
{
    struct crdt_digest digests[CLONES + MEMBERS];
    for (unsigned i = 0; i < CLONES + MEMBERS; i++)
        OK(crdt_digest(forked->documents[i], &digests[i]));
    for (unsigned i = 0; i < CLONES + MEMBERS; i++)
        for (unsigned j = 0; j < i; j++)
            if (!forked->truths[i].is_spoiled && !forked->truths[j].is_spoiled &&
                memcmp(digests[i].context, digests[j].context, CRDT_HASH_BYTES) == 0 &&
                memcmp(digests[i].heads, digests[j].heads, CRDT_HASH_BYTES) == 0)
                ck_assert_mem_eq(digests[i].state, digests[j].state, CRDT_HASH_BYTES);
}

static void forked_step(struct forked *forked)
{
    struct choice *choice = &forked->choice;
    unsigned member = CLONES + choice_below(choice, MEMBERS);
    unsigned clone = choice_below(choice, CLONES);
    unsigned other = choice_below(choice, CLONES + MEMBERS);
    switch (choice_below(choice, 6)) {
    case 0:
        write_clone(forked, clone);
        break;
    case 1: {
        write_some(choice, forked->documents[member]);
        struct crdt_buffer bytes = sealed(forked->documents[member]);
        crdt_buffer_close(&bytes);
        break;
    }
    case 2:
        if (other != member)
            join_some(forked, member, other);
        break;
    case 3:
        deliver_some(forked, member, clone);
        break;
    default:
        /* A clone that hears of more than it has would stop writing. */
        if (other < CLONES)
            deliver_some(forked, member, other);
        else if (other != member)
            pull_some(forked, member, other);
        break;
    }
}

static void run_forked(uint64_t seed, unsigned *refused, unsigned *accepted)
{
    static char text[60];
    snprintf(text, sizeof text, "repeat with CRDT_TEST_SEED=%llu", (unsigned long long)seed);
    claim_note(text);
    struct forked *forked = malloc(sizeof *forked);
    forked_init(forked, seed);
    for (unsigned i = 0; i < STEPS; i++) {
        forked_step(forked);
        compare_all(forked);
    }
    *refused += forked->refused;
    *accepted += forked->accepted;
    forked_close(forked);
    free(forked);
    claim_note("");
}

START_TEST(documents_with_equal_context_and_heads_are_equal_whatever_was_cloned)
{
    bool is_fixed;
    uint64_t seed = choice_seed("forked", &is_fixed);
    unsigned runs = is_fixed ? 1 : choice_runs(200);
    unsigned refused = 0;
    unsigned accepted = 0;
    for (unsigned i = 0; i < runs; i++)
        run_forked(seed + i, &refused, &accepted);
    /* Both must happen, or nothing was tested. */
    ck_assert(runs < 100 || refused > runs / 4);
    ck_assert(runs < 100 || accepted > runs);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("forked_random");
    TCase *tests = tcase_create("forked_random");
    tcase_set_timeout(tests, 300);
    tcase_add_test(
        tests, documents_with_equal_context_and_heads_are_equal_whatever_was_cloned);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
