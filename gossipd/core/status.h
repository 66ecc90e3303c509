/* What is told about the cluster as this node sees it.
 *
 * CRDT.STATUS is one JSON object:
 *
 *     converged   all members are up, and the last word of each equals what is
 *                 here now, the open batch included
 *     digest      hashes of context and heads, hex, without a blank between;
 *                 zeros while memory is out
 *     lag_ms      age of the oldest operation known to exist at a member that is
 *                 up and not applied here; 0 when there is none
 *     generation  of this node, 16 hexadecimal digits
 *     members     this node first, marked "self": true, then the peers in the
 *                 order of the configuration: name; state, one of up, suspect
 *                 (link lost less than 5 s ago), down; missing_here and
 *                 missing_there, operations that one side is known to have and
 *                 the other not; since_ms, for how long it is in that state;
 *                 blocks_log, true when batches are kept because it has not
 *                 acknowledged what the newest durable snapshot has
 *                 frozen, only when true: one of its origins has forked
 *
 * The JSON of CRDT.FORKS: an array of
 *
 *     origin, generation   of the feed, in hexadecimal digits
 *     seq                  where its two histories part, as far as is proved
 *     head_a, head_b       hash of a batch here, and of one of the other history;
 *                          the latter is empty while nothing is proved
 *     found_ms             since 1970
 *     frozen               whether it is proved, and so the feed frozen
 *     member               name of its member; null: none any more
 */
#ifndef GOSSIPD_CORE_STATUS_H
#define GOSSIPD_CORE_STATUS_H

#include <crdt.h>

/* For the environment of commands; `context` is the core. */
enum crdt_status status_json(void *context, struct crdt_buffer *ret_json);
enum crdt_status status_info(void *context, struct crdt_buffer *ret_lines);
/* The JSON of CRDT.FORKS. */
enum crdt_status status_forks(void *context, struct crdt_buffer *ret_json);

#endif
