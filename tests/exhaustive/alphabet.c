#include "tests/exhaustive/alphabet.h"

#include "tests/support/claim.h"

#include <string.h>

static const struct crdt_bytes keys[] = {{"a", 1}, {"b", 1}};
static const struct crdt_bytes element = {"e", 1};

/* Which of its own contributions a replica folds. */
enum part {
    ALL,
    FIRST_TWO,
    LAST_TWO,
};

struct letter {
    const char *text;
    enum crdt_kind kind;
    enum crdt_type type;
    unsigned key_count;
    bool has_element;
    enum part part; /* FOLD                                                       */
};

static const struct letter letters[LETTER_COUNT] = {
    {"assign a", CRDT_PUT, CRDT_REGISTER, 1, false, ALL},
    {"assign a/b", CRDT_PUT, CRDT_REGISTER, 2, false, ALL},
    {"put e into a", CRDT_PUT, CRDT_SET, 1, true, ALL},
    {"put e into a/b", CRDT_PUT, CRDT_SET, 2, true, ALL},
    {"add to a", CRDT_ADD, CRDT_COUNTER, 1, false, ALL},
    {"add to a/b", CRDT_ADD, CRDT_COUNTER, 2, false, ALL},
    {"remove key a", CRDT_KILL, CRDT_ANY, 1, false, ALL},
    {"remove key a/b", CRDT_KILL, CRDT_ANY, 2, false, ALL},
    {"remove map a", CRDT_KILL, CRDT_MAP, 1, false, ALL},
    {"remove all", CRDT_KILL, CRDT_ANY, 0, false, ALL},
    {"reset a", CRDT_KILL, CRDT_COUNTER, 1, false, ALL},
    {"reset a/b", CRDT_KILL, CRDT_COUNTER, 2, false, ALL},
    {"take e from a", CRDT_KILL, CRDT_SET, 1, true, ALL},
    {"take e from a/b", CRDT_KILL, CRDT_SET, 2, true, ALL},
    {"fold a", CRDT_FOLD, CRDT_COUNTER, 1, false, ALL},
    {"fold a/b", CRDT_FOLD, CRDT_COUNTER, 2, false, ALL},
    {"fold the first two of a", CRDT_FOLD, CRDT_COUNTER, 1, false, FIRST_TWO},
    {"fold the first two of a/b", CRDT_FOLD, CRDT_COUNTER, 2, false, FIRST_TWO},
    {"fold the last two of a", CRDT_FOLD, CRDT_COUNTER, 1, false, LAST_TWO},
    {"fold the last two of a/b", CRDT_FOLD, CRDT_COUNTER, 2, false, LAST_TWO},
};

const char *letter_text(unsigned letter)
{
    return letters[letter].text;
}

struct crdt_path letter_path(unsigned letter)
{
    return (struct crdt_path){keys, letters[letter].key_count};
}

bool letter_is_part(unsigned letter)
{
    return letters[letter].part != ALL;
}

/* The author's own contributions at the path, least seq first. */
static size_t own_contributions(
    const struct oracle_entries *live, const struct oracle_op *op, const struct oracle_entry **own)
{
    size_t count = 0;
    for (size_t i = 0; i < live->count; i++) {
        const struct oracle_entry *entry = &live->items[i];
        if (entry->put->author != op->author || entry->put->type != op->type ||
            !oracle_path_is_equal(&entry->put->path, &op->path))
            continue;
        size_t at = count++;
        for (; at > 0 && own[at - 1]->put->seq > entry->put->seq; at--)
            own[at] = own[at - 1];
        own[at] = entry;
    }
    return count;
}

static bool describe_fold(enum part part, const struct oracle_entries *live, struct oracle_op *op)
{
    const struct oracle_entry *own[ORACLE_ORIGINS_MAX];
    claim(live->count <= ORACLE_ORIGINS_MAX);
    size_t count = own_contributions(live, op, own);
    if (count < 2 || (part != ALL && count == 2))
        return false;
    size_t first = part == LAST_TWO ? count - 2 : 0;
    size_t last = part == FIRST_TWO ? 1 : count - 1;
    for (size_t i = first; i <= last; i++)
        op->amount += own[i]->amount;
    op->folded_from = own[first]->put->seq;
    op->folded = own[last]->put->seq;
    return true;
}

bool letter_describe(
    unsigned letter, unsigned index, const struct oracle_entries *live, struct oracle_op *op)
{
    const struct letter *what = &letters[letter];
    op->kind = what->kind;
    op->type = what->type;
    op->path = (struct oracle_path){.count = what->key_count};
    memcpy(op->path.keys, keys, sizeof keys);
    op->has_element = what->has_element;
    op->element = element;
    if (what->kind == CRDT_FOLD)
        return describe_fold(what->part, live, op);
    if (what->kind == CRDT_ADD)
        for (op->amount = 1; index > 0; index--)
            op->amount *= 10;
    if (what->type == CRDT_REGISTER) {
        op->value[0] = (uint8_t)('1' + index);
        op->value_bytes = 1;
    }
    if (what->kind != CRDT_KILL)
        return true;
    for (size_t i = 0; i < live->count; i++)
        if (oracle_is_in_scope(op, live->items[i].put))
            return true;
    return false;
}

enum crdt_status letter_write(
    unsigned letter, const struct oracle_op *op, struct crdt_transaction *transaction)
{
    const struct letter *what = &letters[letter];
    struct crdt_path path = letter_path(letter);
    if (what->kind == CRDT_ADD)
        return crdt_counter_add(transaction, path, op->amount);
    if (what->kind == CRDT_FOLD)
        return crdt_counter_fold(transaction, path, what->type,
            what->part == LAST_TWO ? op->folded_from - 1 : 0,
            what->part == FIRST_TWO ? op->folded : CRDT_SEQ_MAX);
    if (what->kind == CRDT_KILL)
        return what->has_element ? crdt_set_remove(transaction, path, element)
                                 : crdt_remove(transaction, path, what->type);
    if (what->type == CRDT_SET)
        return crdt_set_add(transaction, path, element);
    struct crdt_bytes value = {op->value, op->value_bytes};
    return crdt_register_set(transaction, path, value);
}
