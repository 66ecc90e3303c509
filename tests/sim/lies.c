/* What a bad member says of snapshots. Each lie is one that a receiver can tell:
 * by a bound, by the hash, by a signature. */
#include <string.h>

#include "tests/sim/adversary.h"
#include "tests/sim/array.h"
#include "tests/sim/simulator.h"
#include "tests/sim/transfer.h"

enum offer_lie {
    OFFER_FEWER_BYTES,
    OFFER_MORE_BYTES,
    OFFER_MORE_PARTS,
    OFFER_HUGE,
    OFFER_OTHER_HASH,
    OFFER_BAD_SIGNATURE,
    OFFER_BAD_TIPS,
    OFFER_NO_PARTS,
    OFFER_LIE_COUNT,
};

enum part_lie {
    PART_FLIPPED,
    PART_EMPTY,
    PART_LONGER,
    PART_SHORTER,
    PART_OTHER_NUMBER,
    PART_OTHER_HASH,
    PART_GONE,
    PART_LIE_COUNT,
};

static void lie_in_offer(
    struct simulator *sim, enum offer_lie lie, struct core_snapshot *offer, uint8_t *tips)
{
    switch (lie) {
    case OFFER_FEWER_BYTES: offer->bytes = 1 + simulator_random(sim, offer->bytes); break;
    case OFFER_MORE_BYTES: offer->bytes += 1 + simulator_random(sim, 1000); break;
    case OFFER_MORE_PARTS: offer->parts += 1 + simulator_random(sim, 10); break;
    case OFFER_HUGE: offer->bytes = UINT64_MAX - simulator_random(sim, 2); break;
    case OFFER_OTHER_HASH: offer->hash[simulator_random(sim, CRDT_HASH_BYTES)] ^= 1; break;
    case OFFER_BAD_SIGNATURE: tips[offer->tips.size - 1 - simulator_random(sim, 64)] ^= 1; break;
    case OFFER_BAD_TIPS: tips[simulator_random(sim, offer->tips.size)] ^= 1; break;
    case OFFER_NO_PARTS: offer->parts = simulator_random(sim, 2) * offer->bytes + 1; break;
    case OFFER_LIE_COUNT: break;
    }
}

bool adversary_offer(struct simulator *sim, size_t node, size_t other)
{
    const struct disk *disk = &sim->nodes[node].disk;
    if (sim->nodes[node].core == NULL || disk->snapshot.bytes == NULL
        || disk->snapshot.tips_size < CORE_SIGNATURE_BYTES)
        return false;
    enum offer_lie lie = (enum offer_lie)simulator_random(sim, OFFER_LIE_COUNT);
    struct core_snapshot offer = disk_snapshot_told(disk);
    uint8_t *tips = array_copy(offer.tips.data, offer.tips.size);
    offer.tips.data = tips;
    lie_in_offer(sim, lie, &offer, tips);
    struct crdt_buffer buffer;
    crdt_buffer_init(&buffer, NULL);
    transfer_write_offer(&buffer, &offer);
    bool has_link = network_inject(sim, node, other, crdt_buffer_bytes(&buffer));
    if (has_link)
        simulator_trace(sim, "LIE in offer %d n%zu to n%zu", (int)lie, node + 1, other + 1);
    crdt_buffer_close(&buffer);
    free(tips);
    return has_link;
}

static void lie_in_part(
    struct simulator *sim, enum part_lie lie, struct transfer_part *part, uint8_t *bytes)
{
    switch (lie) {
    case PART_FLIPPED:
        bytes[simulator_random(sim, part->bytes.size)]
            ^= (uint8_t)(1u << simulator_random(sim, 8));
        break;
    case PART_EMPTY: part->bytes.size = 0; break;
    case PART_LONGER: part->bytes.size++; break;
    case PART_SHORTER: part->bytes.size--; break;
    case PART_OTHER_NUMBER: part->part += 1 + simulator_random(sim, 5); break;
    case PART_OTHER_HASH: part->hash[0] ^= 1; break;
    case PART_GONE:
        part->is_gone = true;
        part->bytes.size = 0;
        break;
    case PART_LIE_COUNT: break;
    }
}

bool adversary_garble(struct simulator *sim, size_t node, size_t to, struct crdt_bytes sent)
{
    struct transfer_part part;
    if (!transfer_read_part(sent, &part) || part.is_gone)
        return false;
    enum part_lie lie = (enum part_lie)simulator_random(sim, PART_LIE_COUNT);
    uint8_t *bytes = malloc(part.bytes.size + 1);
    if (bytes == NULL)
        exit(2);
    memcpy(bytes, part.bytes.data, part.bytes.size);
    bytes[part.bytes.size] = 7;
    part.bytes.data = bytes;
    lie_in_part(sim, lie, &part, bytes);
    struct crdt_buffer buffer;
    crdt_buffer_init(&buffer, NULL);
    transfer_write_part(&buffer, &part);
    bool is_sent = network_inject(sim, node, to, crdt_buffer_bytes(&buffer));
    if (is_sent) {
        sim->nodes[node].part_lies--;
        sim->faults.counts[FAULT_LIE_PART]++;
        sim->has_poison = true;
        simulator_trace(sim, "LIE in part %d n%zu to n%zu", (int)lie, node + 1, to + 1);
    }
    crdt_buffer_close(&buffer);
    free(bytes);
    return is_sent;
}
