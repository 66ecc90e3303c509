#include "tests/exhaustive/history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *history_claim_text(enum history_claim claim)
{
    static const char *const texts[CLAIM_COUNT] = {
        "an operation is the same batch whatever way its author came to its context",
        "every state is the oracle's live(C), and so are its reads",
        "every delivery order gives the same state",
        "batches that come early wait, and then give the same state",
        "every snapshot joined anywhere gives the same state",
        "a collected log serves all that is missing, or refuses; the state stays",
    };
    return texts[claim];
}

void history_init(struct history *history)
{
    *history = (struct history){.count = 0};
    oracle_init(&history->oracle);
    for (unsigned i = 0; i < OPS_MAX; i++)
        crdt_buffer_init(&history->ops[i].batch, NULL);
    for (unsigned i = 0; i < SETS_MAX; i++) {
        crdt_buffer_init(&history->states[i].snapshot, NULL);
        crdt_buffer_init(&history->states[i].summary, NULL);
    }
}

void history_close(struct history *history)
{
    for (unsigned i = 0; i < OPS_MAX; i++)
        crdt_buffer_close(&history->ops[i].batch);
    for (unsigned i = 0; i < SETS_MAX; i++) {
        crdt_buffer_close(&history->states[i].snapshot);
        crdt_buffer_close(&history->states[i].summary);
    }
    oracle_entries_close(&history->live);
    oracle_close(&history->oracle);
}

void history_name(struct history *history, const uint8_t keys[REPLICAS])
{
    memcpy(history->keys, keys, sizeof history->keys);
    oracle_close(&history->oracle);
    for (unsigned i = 0; i < REPLICAS; i++) {
        struct crdt_origin origin = history_origin(history, i);
        oracle_origin(&history->oracle, &origin);
    }
}

struct crdt_origin history_origin(const struct history *history, unsigned replica)
{
    struct crdt_origin origin = {.generation = 1};
    memset(origin.key, history->keys[replica], sizeof origin.key);
    return origin;
}

unsigned history_all(const struct history *history)
{
    return (1u << history->count) - 1;
}

bool history_is_closed(const struct history *history, unsigned set)
{
    for (unsigned i = 0; i < history->count; i++)
        if ((set >> i & 1) != 0 && (history->ops[i].seen & ~set) != 0)
            return false;
    return true;
}

unsigned history_newest(const struct history *history, unsigned set)
{
    unsigned newest = set;
    for (unsigned i = 0; i < history->count; i++)
        if ((set >> i & 1) != 0)
            newest &= ~history->ops[i].seen;
    return newest;
}

unsigned history_closure(const struct history *history, unsigned set)
{
    unsigned closure = 0;
    for (unsigned i = 0; i < history->count; i++)
        if ((set >> i & 1) != 0 && (history->ops[i].seen & ~closure) == 0)
            closure |= 1u << i;
    return closure;
}

unsigned history_of(const struct history *history, unsigned replica)
{
    unsigned set = 0;
    for (unsigned i = 0; i < history->count; i++)
        if (history->ops[i].author == replica)
            set |= 1u << i;
    return set;
}

struct oracle_context history_context(const struct history *history, unsigned set)
{
    struct oracle_context context = {{0}};
    for (unsigned i = 0; i < history->count; i++)
        context.seqs[history->ops[i].author] += set >> i & 1;
    return context;
}

/* Time passes once along every chain of causes and nowhere else, so stamps do
 * not depend on who asks, and concurrent ones are equal wherever they can be. */
uint64_t history_now_ms(const struct history_op *op)
{
    return 1000 + 10 * (uint64_t)op->level;
}

static void print_set(const struct history *history, unsigned set)
{
    const char *between = "";
    printf("{");
    for (unsigned i = 0; i < history->count; i++) {
        if ((set >> i & 1) == 0)
            continue;
        printf("%s%u", between, i + 1);
        between = " ";
    }
    printf("}");
}

void history_print(const struct history *history)
{
    for (unsigned i = 0; i < history->count; i++) {
        const struct history_op *op = &history->ops[i];
        printf("#   %u. replica %u (key %u): %s, having seen ", i + 1, op->author,
            history->keys[op->author], letter_text(op->letter));
        print_set(history, op->seen);
        printf("\n");
    }
    printf("# tried: %s: %s ", history->step, history->copy);
    print_set(history, history->from);
    printf(" with ");
    print_set(history, history->with);
    printf("\n");
}

_Noreturn void history_broken(const struct history *history, const char *what)
{
    printf("not ok %u - %s\n# %s; in the history\n", (unsigned)history->claim + 1,
        history_claim_text(history->claim), what);
    history_print(history);
    printf("# exhaustive: 1 difference in %llu histories, %llu comparisons\n",
        (unsigned long long)history->counts.histories,
        (unsigned long long)history->counts.comparisons);
    exit(1);
}
