#include "tests/exhaustive/copies.h"

#include "tests/support/claim.h"

#include <string.h>

const char *copy_text(unsigned kind)
{
    static const char *const texts[COPY_COUNT] = {
        "a reader fed in order, at",
        "a reader fed newest first, at",
        "a reader that joined a snapshot, at",
        "a document loaded from a snapshot, at",
        "replica 0 at",
        "replica 1 at",
        "replica 2 at",
    };
    return texts[kind];
}

static struct {
    uint64_t floors[REPLICAS];
    unsigned set;
} saves[ARENA_SAVES_MAX];
static unsigned save_count;

void copy_save(const struct copy *copy)
{
    arena_save(&copy->arena);
    memcpy(saves[save_count].floors, copy->floors, sizeof copy->floors);
    saves[save_count++].set = copy->set;
}

void copy_restore(struct copy *copy)
{
    arena_restore(&copy->arena);
    memcpy(copy->floors, saves[save_count - 1].floors, sizeof copy->floors);
    copy->set = saves[save_count - 1].set;
}

void copy_forget(void)
{
    arena_forget();
    save_count--;
}

void copy_deliver(struct history *history, struct copy *copy, unsigned op)
{
    history->counts.merges++;
    enum crdt_status status =
        crdt_merge(copy->document, crdt_buffer_bytes(&history->ops[op].batch));
    if (status != CRDT_OK)
        history_broken(history, crdt_status_text(status));
    copy->set = history_closure(history, copy->set | 1u << op);
}

void copy_join(struct history *history, struct copy *copy, unsigned set)
{
    history->counts.joins++;
    enum crdt_status status =
        crdt_merge(copy->document, crdt_buffer_bytes(&history->states[set].snapshot));
    if (status != CRDT_OK)
        history_broken(history, crdt_status_text(status));
    struct oracle_context own = history_context(history, copy->set);
    struct oracle_context other = history_context(history, set);
    for (unsigned i = 0; i < REPLICAS; i++)
        if (other.seqs[i] > own.seqs[i])
            copy->floors[i] = other.seqs[i];
    copy->set |= set;
}

struct crdt_bytes copy_execute(struct history *history, struct copy *copy,
    const struct history_op *op, const struct oracle_op *described)
{
    history->counts.executions++;
    struct crdt_transaction *transaction;
    struct crdt_bytes batch;
    enum crdt_status status = crdt_begin(copy->document, history_now_ms(op), &transaction);
    if (status == CRDT_OK) {
        status = letter_write(op->letter, described, transaction);
        crdt_commit(transaction);
    }
    if (status == CRDT_OK)
        status = crdt_seal(copy->document, &batch);
    if (status != CRDT_OK)
        history_broken(history, crdt_status_text(status));
    return batch;
}

static void open_copy(uint8_t key, uint64_t generation, struct copy *copy)
{
    struct crdt_options options;
    crdt_options_init(&options);
    memset(options.key, key, sizeof options.key);
    options.generation = generation;
    options.memory = arena_hook(&copy->arena);
    claim(crdt_open(&options, &copy->document) == CRDT_OK);
}

static void load_copy(const struct history *history, unsigned set, uint8_t key, struct copy *copy)
{
    struct crdt_options options;
    crdt_options_init(&options);
    memset(options.key, key, sizeof options.key);
    options.memory = arena_hook(&copy->arena);
    struct crdt_bytes snapshot = crdt_buffer_bytes(&history->states[set].snapshot);
    claim(crdt_load(&options, snapshot, &copy->document) == CRDT_OK);
    struct oracle_context context = history_context(history, set);
    memcpy(copy->floors, context.seqs, sizeof copy->floors);
    copy->set = set;
}

static void feed_forward(struct history *history, unsigned set, struct copy *copy)
{
    for (unsigned i = 0; i < history->count; i++)
        if ((set >> i & 1) != 0)
            copy_deliver(history, copy, i);
}

static void feed_backward(struct history *history, unsigned set, struct copy *copy)
{
    while (copy->set != set)
        for (unsigned i = history->count; i-- > 0;) {
            if ((set & ~copy->set & 1u << i) == 0 || (history->ops[i].seen & ~copy->set) != 0)
                continue;
            copy_deliver(history, copy, i);
            break;
        }
}

static unsigned greatest(unsigned set)
{
    unsigned index = 0;
    while (set >> (index + 1) != 0)
        index++;
    return index;
}

/* What a replica did and received until it had `set`: its own operations each at
 * its own context, the others as soon as they are needed. */
static void live_through(struct history *history, unsigned set, unsigned replica, struct copy *copy)
{
    unsigned order[OPS_MAX];
    unsigned count = 0;
    for (unsigned left = set; left != 0; left &= ~(1u << order[count++])) {
        unsigned newest = history_newest(history, left);
        unsigned others = newest & ~history_of(history, replica);
        order[count] = greatest(others != 0 ? others : newest);
    }
    while (count > 0) {
        unsigned index = order[--count];
        const struct history_op *op = &history->ops[index];
        if (op->author != replica) {
            copy_deliver(history, copy, index);
            continue;
        }
        claim(copy->set == op->seen);
        struct crdt_bytes batch = copy_execute(history, copy, op, &history->oracle.ops[index]);
        claim(oracle_bytes_are_equal(batch, crdt_buffer_bytes(&op->batch)));
        copy->set |= 1u << index;
    }
}

void copy_make(struct history *history, unsigned set, unsigned kind, uint8_t key, struct copy *copy)
{
    arena_clear(&copy->arena);
    memset(copy->floors, 0, sizeof copy->floors);
    copy->set = 0;
    if (kind == COPY_LOADED) {
        load_copy(history, set, key, copy);
        return;
    }
    open_copy(key, kind >= COPY_LIFE ? 1 : 0, copy);
    if (kind == COPY_FORWARD)
        feed_forward(history, set, copy);
    else if (kind == COPY_BACKWARD)
        feed_backward(history, set, copy);
    else if (kind >= COPY_LIFE)
        live_through(history, set, kind - COPY_LIFE, copy);
    else if (set != 0) {
        feed_forward(history, set & ~(1u << greatest(history_newest(history, set))), copy);
        copy_join(history, copy, set);
    }
}
