/* What a reader is told, against the oracle's entries. */
#include "tests/exhaustive/claims.h"

#include "tests/support/claim.h"

#include <string.h>

struct expected {
    unsigned types;
    size_t counts[CRDT_TYPE_COUNT];
    int64_t sum;
    const struct oracle_op *winner;
};

static bool is_greater(
    const struct oracle *oracle, const struct oracle_op *a, const struct oracle_op *b)
{
    if (a->hlc != b->hlc)
        return a->hlc > b->hlc;
    int order = crdt_origin_compare(&oracle->origins[a->author], &oracle->origins[b->author]);
    return order != 0 ? order > 0 : a->seq > b->seq;
}

/* Each type has one key or element at most, so a map and a set count 0 or 1. */
static struct expected expect(const struct history *history, const struct oracle_path *path)
{
    struct expected expected = {.types = 0};
    for (size_t i = 0; i < history->live.count; i++) {
        const struct oracle_entry *entry = &history->live.items[i];
        const struct oracle_op *put = entry->put;
        if (!oracle_path_is_under(&put->path, path))
            continue;
        enum crdt_type type = put->path.count > path->count ? CRDT_MAP : put->type;
        expected.types |= 1u << type;
        if (type == CRDT_MAP || type == CRDT_SET)
            expected.counts[type] = 1;
        else
            expected.counts[type]++;
        if (type == CRDT_COUNTER)
            expected.sum += entry->amount;
        if (type == CRDT_REGISTER &&
            (expected.winner == NULL || is_greater(&history->oracle, put, expected.winner)))
            expected.winner = put;
    }
    return expected;
}

static void check_path(
    struct history *history, const struct crdt_document *document, const struct oracle_path *path)
{
    struct expected expected = expect(history, path);
    struct crdt_path place = {path->keys, path->count};
    if (crdt_types(document, place) != expected.types)
        history_broken(history, "other types are read than live");
    for (enum crdt_type type = CRDT_REGISTER; type <= CRDT_MAP; type++)
        if (crdt_count(document, place, type) != expected.counts[type])
            history_broken(history, "another count is read than lives");
    if (crdt_counter_value(document, place) != expected.sum)
        history_broken(history, "another sum is read than lives");
    struct crdt_bytes value = {NULL, 0};
    enum crdt_status status = crdt_register_get(document, place, &value);
    if ((status == CRDT_OK) != (expected.winner != NULL))
        history_broken(history, "a register is read that does not live, or the reverse");
    if (status != CRDT_OK)
        return;
    struct crdt_bytes winner = {expected.winner->value, expected.winner->value_bytes};
    if (!oracle_bytes_are_equal(value, winner))
        history_broken(history, "another value wins than the greatest (hlc, origin, seq)");
}

void claims_check_reads(struct claims *claims, const struct crdt_document *document)
{
    struct oracle_path path = {.keys = {crdt_text("a"), crdt_text("b")}};
    for (path.count = 0; path.count <= 2; path.count++)
        check_path(&claims->history, document, &path);
}
