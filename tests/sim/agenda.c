#include "tests/sim/agenda.h"

#include "tests/sim/array.h"

static bool agenda_is_before(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void agenda_swap(struct agenda *agenda, size_t a, size_t b)
{
    struct event kept = agenda->items[a];
    agenda->items[a] = agenda->items[b];
    agenda->items[b] = kept;
}

void agenda_add(struct agenda *agenda, struct event event)
{
    agenda->items
        = array_reserve(agenda->items, agenda->count, &agenda->capacity, sizeof *agenda->items);
    event.order = agenda->order++;
    size_t at = agenda->count++;
    agenda->items[at] = event;
    while (at > 0 && agenda_is_before(&agenda->items[at], &agenda->items[(at - 1) / 2])) {
        agenda_swap(agenda, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

bool agenda_take(struct agenda *agenda, struct event *ret_event)
{
    if (agenda->count == 0)
        return false;
    *ret_event = agenda->items[0];
    agenda->items[0] = agenda->items[--agenda->count];
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2; child++)
            if (child < agenda->count
                && agenda_is_before(&agenda->items[child], &agenda->items[least]))
                least = child;
        if (least == at)
            return true;
        agenda_swap(agenda, at, least);
        at = least;
    }
}

uint64_t agenda_next_us(const struct agenda *agenda)
{
    return agenda->count == 0 ? UINT64_MAX : agenda->items[0].at_us;
}

void agenda_close(struct agenda *agenda)
{
    for (size_t i = 0; i < agenda->count; i++)
        free(agenda->items[i].bytes);
    free(agenda->items);
    *agenda = (struct agenda){ 0 };
}
