/* Every allocation fails in turn: each call says NOMEM, leaves the document as
 * it was, works when asked again, and in the end no byte is held. */
#include "tests/support/documents.h"
#include "tests/support/memory.h"
#include "tests/support/runner.h"

#include <string.h>

/* What the calls work on. The victim's memory comes from the hook, that of
 * everything else does not. */
struct scene {
    struct test_memory memory;
    struct crdt_document *victim, *peer;
    struct crdt_transaction *transaction;
    struct crdt_buffer batches[3]; /* of the peer, in order                     */
    struct crdt_buffer peer_snapshot, own_snapshot, summary;
    struct crdt_buffer out;        /* on the hook                               */
};

static struct crdt_options victim_options(struct scene *scene)
{
    struct crdt_options options = document_options(1, 1);
    options.memory = test_memory_hook(&scene->memory);
    return options;
}

static void fill(struct crdt_document *document)
{
    add(document, PATH("n"), 5);
    gadd(document, PATH("g"), 5);
    assign(document, PATH("r"), "before");
    put(document, PATH("s"), "x");
    put(document, PATH("s"), "y");
    enable(document, PATH("f"));
    add(document, PATH("m", "deep", "er"), 5);
}

static void scene_open(struct scene *scene)
{
    memset(scene, 0, sizeof *scene);
    struct crdt_options options = victim_options(scene);
    OK(crdt_open(&options, &scene->victim));
    fill(scene->victim);
    scene->peer = document_new(2, 1);
    sync_to(scene->victim, scene->peer);
    for (int i = 0; i < 2; i++) {
        add(scene->victim, PATH("n"), 4);
        struct crdt_buffer batch = sealed(scene->victim);
        crdt_buffer_close(&batch);
    }
    for (int i = 0; i < 3; i++) {
        fill(scene->peer);
        take(scene->peer, PATH("s"), "x");
        clear(scene->peer, PATH("m"), CRDT_ANY);
        fold(scene->peer, PATH("n"), CRDT_COUNTER, UINT64_MAX);
        scene->batches[i] = sealed(scene->peer);
    }
    scene->peer_snapshot = snapshot_of(scene->peer);
    scene->own_snapshot = snapshot_of(scene->victim);
    scene->summary = summary_of(scene->peer);
    struct crdt_memory hook = test_memory_hook(&scene->memory);
    crdt_buffer_init(&scene->out, &hook);
}

static void scene_close(struct scene *scene)
{
    if (scene->transaction != NULL)
        crdt_abort(scene->transaction);
    crdt_close(scene->victim);
    crdt_close(scene->peer);
    for (int i = 0; i < 3; i++)
        crdt_buffer_close(&scene->batches[i]);
    crdt_buffer_close(&scene->peer_snapshot);
    crdt_buffer_close(&scene->own_snapshot);
    crdt_buffer_close(&scene->summary);
    crdt_buffer_close(&scene->out);
    ck_assert_uint_eq(scene->memory.held, 0);
}

static void begin_transaction(struct scene *scene)
{
    scene->transaction = begin(scene->victim);
}

static void receive_early(struct scene *scene)
{
    OK(merge(scene->victim, &scene->batches[2]));
    OK(merge(scene->victim, &scene->batches[1]));
}

static void write_some(struct scene *scene)
{
    add(scene->victim, PATH("open", "n"), 4);
    put(scene->victim, PATH("open", "s"), "z");
    take(scene->victim, PATH("s"), "x");
}

static enum crdt_status call_open(struct scene *scene)
{
    struct crdt_options options = victim_options(scene);
    struct crdt_document *document = NULL;
    enum crdt_status status = crdt_open(&options, &document);
    crdt_close(document);
    return status;
}

static enum crdt_status call_load(struct scene *scene)
{
    struct crdt_options options = victim_options(scene);
    struct crdt_document *document = NULL;
    enum crdt_status status =
        crdt_load(&options, crdt_buffer_bytes(&scene->peer_snapshot), &document);
    crdt_close(document);
    return status;
}

static enum crdt_status call_begin(struct scene *scene)
{
    return crdt_begin(scene->victim, 1000, &scene->transaction);
}

static enum crdt_status call_counter(struct scene *scene)
{
    return crdt_counter_add(scene->transaction, PATH("n"), 1);
}

static enum crdt_status call_new_counter(struct scene *scene)
{
    return crdt_gcounter_add(scene->transaction, PATH("a", "b", "c", "d"), 1);
}

static enum crdt_status call_register(struct scene *scene)
{
    return crdt_register_set(scene->transaction, PATH("r"), crdt_text("a value of some length"));
}

static enum crdt_status call_set_add(struct scene *scene)
{
    return crdt_set_add(scene->transaction, PATH("s"), crdt_text("new element, rather long"));
}

static enum crdt_status call_set_add_again(struct scene *scene)
{
    return crdt_set_add(scene->transaction, PATH("s"), crdt_text("x"));
}

static enum crdt_status call_set_remove(struct scene *scene)
{
    return crdt_set_remove(scene->transaction, PATH("s"), crdt_text("x"));
}

static enum crdt_status call_flag(struct scene *scene)
{
    return crdt_flag_enable(scene->transaction, PATH("f", "new"));
}

static enum crdt_status call_fold(struct scene *scene)
{
    return crdt_counter_fold(scene->transaction, PATH("n"), CRDT_COUNTER, 0, UINT64_MAX);
}

/* The first contribution to "n" is the first operation of all. */
static enum crdt_status call_fold_run(struct scene *scene)
{
    return crdt_counter_fold(scene->transaction, PATH("n"), CRDT_COUNTER, 1, UINT64_MAX);
}

static enum crdt_status call_remove(struct scene *scene)
{
    return crdt_remove(scene->transaction, crdt_root(), CRDT_ANY);
}

static enum crdt_status call_note(struct scene *scene)
{
    return crdt_note(scene->transaction);
}

static enum crdt_status call_seal(struct scene *scene)
{
    struct crdt_bytes bytes;
    return crdt_seal(scene->victim, &bytes);
}

static enum crdt_status call_summary(struct scene *scene)
{
    return crdt_summary(scene->victim, &scene->out);
}

static enum crdt_status call_diff(struct scene *scene)
{
    return crdt_diff(scene->victim, crdt_buffer_bytes(&scene->summary), &scene->out);
}

static enum crdt_status call_snapshot(struct scene *scene)
{
    return crdt_snapshot(scene->victim, &scene->out);
}

static enum crdt_status call_digest(struct scene *scene)
{
    struct crdt_digest digest;
    return crdt_digest(scene->victim, &digest);
}

static bool visit_nothing(void *context, const struct crdt_entry *entry)
{
    (void)context;
    return entry != NULL;
}

static enum crdt_status call_visit(struct scene *scene)
{
    return crdt_visit(scene->victim, crdt_root(), visit_nothing, NULL);
}

static enum crdt_status call_gc(struct scene *scene)
{
    struct crdt_bytes summary = crdt_buffer_bytes(&scene->summary);
    return crdt_gc(scene->victim, &summary, 1);
}

static enum crdt_status call_merge(struct scene *scene)
{
    return merge(scene->victim, &scene->batches[0]);
}

static enum crdt_status call_merge_early(struct scene *scene)
{
    return merge(scene->victim, &scene->batches[1]);
}

static enum crdt_status call_merge_snapshot(struct scene *scene)
{
    return merge(scene->victim, &scene->peer_snapshot);
}

static enum crdt_status call_set_generation(struct scene *scene)
{
    return crdt_set_generation(scene->victim, 77);
}

static const struct {
    const char *name;
    void (*prepare)(struct scene *scene);
    enum crdt_status (*call)(struct scene *scene);
} calls[] = {
    {"open", NULL, call_open},
    {"load", NULL, call_load},
    {"begin", NULL, call_begin},
    {"counter_add", begin_transaction, call_counter},
    {"gcounter_add at a new path", begin_transaction, call_new_counter},
    {"register_set", begin_transaction, call_register},
    {"set_add", begin_transaction, call_set_add},
    {"set_add again", begin_transaction, call_set_add_again},
    {"set_remove", begin_transaction, call_set_remove},
    {"flag_enable", begin_transaction, call_flag},
    {"counter_fold", begin_transaction, call_fold},
    {"counter_fold_run", begin_transaction, call_fold_run},
    {"remove", begin_transaction, call_remove},
    {"note", begin_transaction, call_note},
    {"seal", write_some, call_seal},
    {"summary with an open batch", write_some, call_summary},
    {"diff with an open batch", write_some, call_diff},
    {"snapshot with an open batch", write_some, call_snapshot},
    {"digest with an open batch", write_some, call_digest},
    {"visit", write_some, call_visit},
    {"gc", NULL, call_gc},
    {"merge", NULL, call_merge},
    {"merge beside an open batch", write_some, call_merge},
    {"merge that must wait", NULL, call_merge_early},
    {"merge that lets others in", receive_early, call_merge},
    {"merge of a snapshot", NULL, call_merge_snapshot},
    {"merge of a snapshot beside pending", receive_early, call_merge_snapshot},
    {"merge of a snapshot beside an open batch", write_some, call_merge_snapshot},
    {"set_generation", NULL, call_set_generation},
    {"set_generation with an open batch", write_some, call_set_generation},
};

static bool has_same_state(struct crdt_document *a, struct crdt_document *b)
{
    struct crdt_digest x, y;
    OK(crdt_digest(a, &x));
    OK(crdt_digest(b, &y));
    return memcmp(x.state, y.state, sizeof x.state) == 0;
}

/* One call with its `n`-th request refused. True when there were fewer. A retry
 * must bring what a twin has that never failed. A call may do without what it
 * was refused, so OK is an answer too; the batch may then be written otherwise. */
static bool survives(size_t index, uint64_t n)
{
    struct scene scene, twin;
    scene_open(&scene);
    scene_open(&twin);
    if (calls[index].prepare != NULL) {
        calls[index].prepare(&scene);
        calls[index].prepare(&twin);
    }
    scene.memory.fail_at = scene.memory.requests + n;
    enum crdt_status status = calls[index].call(&scene);
    bool has_failed = scene.memory.requests >= scene.memory.fail_at;
    scene.memory.fail_at = 0;
    ck_assert_msg(status == CRDT_OK || (has_failed && status == CRDT_ERR_NOMEM),
        "%s, request %u: %s", calls[index].name, (unsigned)n, crdt_status_text(status));
    if (status != CRDT_OK) {
        ck_assert_uint_eq(scene.out.size, 0);
        OK(calls[index].call(&scene));
    }
    OK(calls[index].call(&twin));
    if (scene.transaction != NULL) {
        crdt_commit(scene.transaction);
        crdt_commit(twin.transaction);
        scene.transaction = twin.transaction = NULL;
    }
    /* A failed assignment may have used up a stamp. */
    bool is_equal = calls[index].call == call_register
                        ? reads(scene.victim, PATH("r"), "a value of some length")
                    : has_failed && status == CRDT_OK
                        ? has_same_state(scene.victim, twin.victim)
                        : is_same(scene.victim, twin.victim);
    ck_assert_msg(is_equal, "%s, request %u: not as the twin", calls[index].name, (unsigned)n);
    ck_assert_uint_eq(crdt_pending_bytes(scene.victim), crdt_pending_bytes(twin.victim));
    scene_close(&scene);
    scene_close(&twin);
    return !has_failed;
}

START_TEST(call_survives_every_failing_allocation)
{
    uint64_t n = 1;
    while (!survives((size_t)_i, n)) {
        n++;
        ck_assert_uint_lt(n, 5000);
    }
}
END_TEST

/* Right after the failure, before any retry: the snapshot is as before. */
START_TEST(failed_call_leaves_the_snapshot_bytes)
{
    for (uint64_t n = 1; n < 5000; n++) {
        struct scene scene;
        scene_open(&scene);
        struct crdt_buffer before = snapshot_of(scene.victim);
        if (calls[_i].prepare == begin_transaction)
            begin_transaction(&scene);
        scene.memory.fail_at = scene.memory.requests + n;
        enum crdt_status status = calls[_i].call(&scene);
        bool has_failed = scene.memory.requests >= scene.memory.fail_at;
        scene.memory.fail_at = 0;
        if (status == CRDT_ERR_NOMEM) {
            if (scene.transaction != NULL)
                crdt_commit(scene.transaction);
            scene.transaction = NULL;
            struct crdt_buffer after = snapshot_of(scene.victim);
            ck_assert_msg(buffer_equals(&before, &after), "%s, request %u", calls[_i].name,
                (unsigned)n);
            crdt_buffer_close(&after);
        }
        crdt_buffer_close(&before);
        scene_close(&scene);
        if (!has_failed)
            return;
    }
    ck_abort_msg("%s never succeeds", calls[_i].name);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("torture");
    TCase *tests = tcase_create("torture");
    tcase_set_timeout(tests, 120);
    int count = (int)(sizeof calls / sizeof calls[0]);
    tcase_add_loop_test(tests, call_survives_every_failing_allocation, 0, count);
    tcase_add_loop_test(tests, failed_call_leaves_the_snapshot_bytes, 0, count);
    suite_add_tcase(suite, tests);
    return runner_run(suite);
}
