#include "tests/sim/network.h"

#include "tests/sim/adversary.h"
#include "tests/sim/array.h"
#include "tests/sim/folds.h"
#include "tests/sim/invariants.h"
#include "tests/sim/simulator.h"

static struct link *network_find(struct simulator *sim, uint64_t id)
{
    for (size_t i = 0; i < sim->network.count; i++)
        if (sim->network.links[i].id == id)
            return &sim->network.links[i];
    return NULL;
}

/* The open side of `node` that its core calls `number`. */
static struct link *network_side(
    struct simulator *sim, size_t node, uint64_t number, size_t *ret_side)
{
    for (size_t i = 0; i < sim->network.count; i++)
        for (size_t side = 0; side < 2; side++) {
            struct link *link = &sim->network.links[i];
            if (link->nodes[side] == node && link->numbers[side] == number
                && link->is_open[side]) {
                *ret_side = side;
                return link;
            }
        }
    return NULL;
}

static void network_plan_dial(
    struct simulator *sim, size_t node, size_t peer, bool is_again)
{
    size_t target = sim->nodes[node].peer_nodes[peer];
    simulator_trace(sim, "n%zu CONNECT n%zu", node + 1, target + 1);
    bool is_cut = sim->network.is_cut[node][target] || sim->network.is_cut[target][node];
    agenda_add(&sim->agenda,
        (struct event){ .kind = is_cut ? EVENT_DIAL_FAILED : EVENT_DIAL, .node = node,
            .at_us = is_cut ? simulator_after(sim, 1000000, 1000000)
                            : simulator_after(sim, 1000, 5000),
            .incarnation = sim->nodes[node].incarnation, .peer = target, .is_ok = is_again });
}

void network_dial(struct simulator *sim, size_t node, size_t peer)
{
    network_plan_dial(sim, node, peer, false);
}

void network_dial_again(struct simulator *sim, size_t node, size_t peer)
{
    network_plan_dial(sim, node, peer, true);
}

static void network_tell_up(struct simulator *sim, const struct link *link, size_t side)
{
    size_t node = link->nodes[side];
    simulator_trace(sim, "n%zu LINK_UP %llu n%zu", node + 1,
        (unsigned long long)link->numbers[side], link->nodes[1 - side] + 1);
    struct core_input input
        = { .kind = CORE_LINK_UP, .link = link->numbers[side], .is_initiator = side == 0 };
    memcpy(input.key, sim->nodes[link->nodes[1 - side]].key, CRDT_KEY_BYTES);
    node_step(sim, node, &input);
}

void network_dialled(struct simulator *sim, const struct event *event)
{
    struct network *network = &sim->network;
    size_t node = event->node, target = event->peer;
    bool is_cut = network->is_cut[node][target] || network->is_cut[target][node];
    if (is_cut || sim->nodes[target].core == NULL || sim->nodes[target].is_stopping) {
        struct event failed = *event;
        failed.kind = EVENT_DIAL_FAILED;
        failed.at_us = is_cut ? simulator_after(sim, 1000000, 1000000) : sim->now_us;
        agenda_add(&sim->agenda, failed);
        return;
    }
    if (event->is_ok && network_links(sim, target, node) > 0)
        sim->faults.counts[FAULT_SECOND_LINK]++;
    network->links = array_reserve(
        network->links, network->count, &network->capacity, sizeof *network->links);
    uint64_t arrives = simulator_after(sim, 200, 2000);
    network->links[network->count++] = (struct link){ .id = ++network->id,
        .nodes = { node, target },
        .numbers = { ++sim->nodes[node].link_number, ++sim->nodes[target].link_number },
        .is_open = { true, true },
        .arrives_us = { arrives, sim->now_us } };
    agenda_add(&sim->agenda, (struct event){ .kind = EVENT_UP, .at_us = arrives, .node = node,
        .incarnation = event->incarnation, .link = network->id, .side = 0 });
    struct link link = network->links[network->count - 1];
    if (sim->now_us >= sim->nodes[target].busy_until_us)
        network_tell_up(sim, &link, 1);
    else
        agenda_add(&sim->agenda, (struct event){ .kind = EVENT_UP,
            .at_us = sim->nodes[target].busy_until_us, .node = target,
            .incarnation = sim->nodes[target].incarnation, .link = network->id, .side = 1 });
}

void network_dial_failed(struct simulator *sim, const struct event *event)
{
    simulator_trace(sim, "n%zu CONNECT n%zu failed", event->node + 1, event->peer + 1);
    struct core_input input
        = { .kind = CORE_LINK_DOWN, .link = ++sim->nodes[event->node].link_number };
    memcpy(input.key, sim->nodes[event->peer].key, CRDT_KEY_BYTES);
    node_step(sim, event->node, &input);
}

void network_up(struct simulator *sim, const struct event *event)
{
    struct link *link = network_find(sim, event->link);
    if (link == NULL || !link->is_open[event->side])
        return;
    struct link copy = *link;
    network_tell_up(sim, &copy, event->side);
}

/* Forgets links that nobody holds any more. */
static void network_sweep(struct network *network)
{
    size_t left = 0;
    for (size_t i = 0; i < network->count; i++)
        if (network->links[i].is_open[0] || network->links[i].is_open[1])
            network->links[left++] = network->links[i];
    network->count = left;
}

/* Tells the other side that this one is gone, unless a cut hides it. */
static bool network_tell_down(struct simulator *sim, struct link *link, size_t side)
{
    size_t from = link->nodes[1 - side], to = link->nodes[side];
    if (!link->is_open[side] || link->is_dead || sim->network.is_cut[from][to])
        return false;
    uint64_t at = simulator_after(sim, 200, 2000);
    if (at < link->arrives_us[side])
        at = link->arrives_us[side];
    link->arrives_us[side] = at;
    agenda_add(&sim->agenda, (struct event){ .kind = EVENT_DOWN, .at_us = at, .node = to,
        .incarnation = sim->nodes[to].incarnation, .link = link->id, .side = side });
    return true;
}

void network_down(struct simulator *sim, const struct event *event)
{
    struct link *link = network_find(sim, event->link);
    if (link == NULL || !link->is_open[event->side])
        return;
    link->is_open[event->side] = false;
    uint64_t number = link->numbers[event->side];
    size_t other = link->nodes[1 - event->side];
    (void)network_tell_down(sim, link, 1 - event->side);
    network_sweep(&sim->network);
    simulator_trace(sim, "n%zu LINK_DOWN %llu n%zu", event->node + 1,
        (unsigned long long)number, other + 1);
    struct core_input input = { .kind = CORE_LINK_DOWN, .link = number };
    memcpy(input.key, sim->nodes[other].key, CRDT_KEY_BYTES);
    node_step(sim, event->node, &input);
}

void network_close_link(struct simulator *sim, size_t node, uint64_t number)
{
    size_t side = 0;
    struct link *link = network_side(sim, node, number, &side);
    simulator_trace(sim, "n%zu CLOSE_LINK %llu", node + 1, (unsigned long long)number);
    if (link == NULL)
        return;
    link->is_open[side] = false;
    (void)network_tell_down(sim, link, 1 - side);
    network_sweep(&sim->network);
}

void network_crash(struct simulator *sim, size_t node)
{
    for (size_t i = 0; i < sim->network.count; i++)
        for (size_t side = 0; side < 2; side++) {
            struct link *link = &sim->network.links[i];
            if (link->nodes[side] != node || !link->is_open[side])
                continue;
            link->is_open[side] = false;
            (void)network_tell_down(sim, link, 1 - side);
        }
    network_sweep(&sim->network);
}

bool network_reset(struct simulator *sim, size_t index)
{
    struct link *link = &sim->network.links[index];
    bool is_told = network_tell_down(sim, link, 0);
    is_told |= network_tell_down(sim, link, 1);
    return is_told;
}

static bool network_fault(struct simulator *sim, unsigned rate, enum fault fault)
{
    if (rate == 0 || simulator_random(sim, 1000) >= rate)
        return false;
    sim->faults.counts[fault]++;
    return true;
}

/* Puts a message on its way; in order unless a fault says otherwise. */
static void network_post(
    struct simulator *sim, struct link *link, size_t side, struct crdt_bytes bytes)
{
    struct network *network = &sim->network;
    uint64_t at = simulator_after(sim, 200, 2000);
    if (network_fault(sim, network->delay, FAULT_DELAY))
        at = simulator_after(sim, 10000, 2000000);
    if (!network_fault(sim, network->reordering, FAULT_REORDERING)) {
        if (at < link->arrives_us[side])
            at = link->arrives_us[side];
        link->arrives_us[side] = at;
    }
    uint8_t *copy = array_copy(bytes.data, bytes.size);
    if (bytes.size > 0 && network_fault(sim, network->corruption, FAULT_CORRUPTION)) {
        copy[simulator_random(sim, bytes.size)] ^= (uint8_t)(1u << simulator_random(sim, 8));
        sim->is_model_exact = false;
    }
    agenda_add(&sim->agenda, (struct event){ .kind = EVENT_FRAME, .at_us = at,
        .node = link->nodes[side], .incarnation = sim->nodes[link->nodes[side]].incarnation,
        .link = link->id, .side = side, .bytes = copy, .size = bytes.size,
        .is_ok = network->flood == 1 });
}

void network_send(struct simulator *sim, size_t node, const struct core_output *output)
{
    struct network *network = &sim->network;
    size_t side = 0;
    struct link *link = network_side(sim, node, output->link, &side);
    if (link == NULL)
        return;
    size_t to = link->nodes[1 - side];
    simulator_trace(sim, "n%zu SEND %llu n%zu %s %zu bytes", node + 1,
        (unsigned long long)output->link, to + 1, output->is_bulk ? "bulk" : "word",
        output->bytes.size);
    invariants_send(sim, node, output->bytes);
    invariants_offered(sim, node, output->bytes);
    if (network->is_cut[node][to] && !link->is_judged) {
        link->is_judged = true;
        link->is_dead = simulator_chance(sim, 2);
        sim->faults.counts[FAULT_DEAD_LINK] += link->is_dead;
    }
    if (network->is_cut[node][to] || link->is_dead)
        return;
    /* The other end is gone and could not say so: the first message finds out. */
    if (!link->is_open[1 - side]) {
        (void)network_tell_down(sim, link, side);
        return;
    }
    if (sim->nodes[node].part_lies > 0 && adversary_garble(sim, node, to, output->bytes))
        return;
    if (network_fault(sim, network->loss, FAULT_LOSS)
        || (output->is_bulk && network_fault(sim, network->bulk_loss, FAULT_LOSS)))
        return;
    network_post(sim, link, 1 - side, output->bytes);
    if (network_fault(sim, network->duplication, FAULT_DUPLICATION))
        network_post(sim, link, 1 - side, output->bytes);
    for (; network->flood > 0; network->flood--)
        network_post(sim, link, 1 - side, output->bytes);
}

bool network_inject(struct simulator *sim, size_t node, size_t other, struct crdt_bytes bytes)
{
    for (size_t i = 0; i < sim->network.count; i++)
        for (size_t side = 0; side < 2; side++) {
            struct link *link = &sim->network.links[i];
            if (link->nodes[side] != node || link->nodes[1 - side] != other
                || !link->is_open[0] || !link->is_open[1] || link->is_dead
                || sim->network.is_cut[node][other])
                continue;
            network_post(sim, link, 1 - side, bytes);
            return true;
        }
    return false;
}

void network_frame(struct simulator *sim, const struct event *event)
{
    struct link *link = network_find(sim, event->link);
    if (link == NULL || !link->is_open[event->side])
        return;
    simulator_trace(sim, "n%zu FRAME %llu n%zu %zu bytes", event->node + 1,
        (unsigned long long)link->numbers[event->side], link->nodes[1 - event->side] + 1,
        event->size);
    folds_heard(sim, event->node, link->nodes[1 - event->side],
        (struct crdt_bytes){ event->bytes, event->size });
    sim->faults.counts[FAULT_FLOOD] += event->is_ok; /* its last copy */
    struct core_input input = { .kind = CORE_FRAME,
        .link = link->numbers[event->side],
        .bytes = { event->bytes, event->size } };
    node_step(sim, event->node, &input);
}

bool network_has_dead_link(const struct network *network, size_t node)
{
    for (size_t i = 0; i < network->count; i++) {
        const struct link *link = &network->links[i];
        if (link->is_dead && (link->nodes[0] == node || link->nodes[1] == node))
            return true;
    }
    return false;
}

size_t network_links(const struct simulator *sim, size_t node, size_t peer)
{
    size_t count = 0;
    for (size_t i = 0; i < sim->network.count; i++)
        for (size_t side = 0; side < 2; side++) {
            const struct link *link = &sim->network.links[i];
            count += link->nodes[side] == node && link->nodes[1 - side] == peer
                && link->is_open[side];
        }
    return count;
}

void network_free(struct network *network)
{
    free(network->links);
    *network = (struct network){ 0 };
}
