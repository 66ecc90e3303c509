#include "tests/sim/queue.h"

#include "tests/sim/array.h"

static bool queue_is_before(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void queue_swap(struct queue *queue, size_t a, size_t b)
{
    struct event kept = queue->items[a];
    queue->items[a] = queue->items[b];
    queue->items[b] = kept;
}

void queue_add(struct queue *queue, struct event event)
{
    queue->items
        = array_reserve(queue->items, queue->count, &queue->capacity, sizeof *queue->items);
    event.order = queue->order++;
    size_t at = queue->count++;
    queue->items[at] = event;
    while (at > 0 && queue_is_before(&queue->items[at], &queue->items[(at - 1) / 2])) {
        queue_swap(queue, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

bool queue_take(struct queue *queue, struct event *ret_event)
{
    if (queue->count == 0)
        return false;
    *ret_event = queue->items[0];
    queue->items[0] = queue->items[--queue->count];
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2; child++)
            if (child < queue->count
                && queue_is_before(&queue->items[child], &queue->items[least]))
                least = child;
        if (least == at)
            return true;
        queue_swap(queue, at, least);
        at = least;
    }
}

uint64_t queue_next_us(const struct queue *queue)
{
    return queue->count == 0 ? UINT64_MAX : queue->items[0].at_us;
}

void queue_close(struct queue *queue)
{
    for (size_t i = 0; i < queue->count; i++)
        free(queue->items[i].bytes);
    free(queue->items);
    *queue = (struct queue){ 0 };
}
