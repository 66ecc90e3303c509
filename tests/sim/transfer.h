/* What is said of snapshots: offers, parts and tips, read and written a second
 * time by the words of docs/wire-format.md, section 6. Unlike the core's, this
 * writer also makes what no correct node sends. */
#ifndef TESTS_SIM_TRANSFER_H
#define TESTS_SIM_TRANSFER_H

#include "gossipd/core/core.h"

struct transfer_part {
    uint8_t hash[CRDT_HASH_BYTES];
    uint64_t part;
    bool is_gone;
    struct crdt_bytes bytes;
};

struct transfer_tip {
    struct crdt_batch batch; /* of its header                                    */
    uint8_t signature[CORE_SIGNATURE_BYTES];
};

struct transfer_tips {
    struct transfer_tip *items;
    size_t count;
};

/* False when the message is something else. What is read points into `bytes`. */
bool transfer_read_offer(struct crdt_bytes bytes, struct core_snapshot *ret_offer);
bool transfer_read_part(struct crdt_bytes bytes, struct transfer_part *ret_part);
/* False when it is not a row of tips. The items are the caller's. */
bool transfer_read_tips(struct crdt_bytes bytes, struct transfer_tips *ret_tips);
/* The tip that ends a feed as it stands; NULL: it is not there. */
const struct transfer_tip *transfer_find_tip(
    const struct transfer_tips *tips, const struct crdt_feed *feed);

void transfer_write_offer(struct crdt_buffer *buffer, const struct core_snapshot *offer);
void transfer_write_part(struct crdt_buffer *buffer, const struct transfer_part *part);
/* `tips` need not be sorted: they are now. */
void transfer_write_tips(struct crdt_buffer *buffer, struct transfer_tips *tips);

#endif
