/* Every bound of gossipd, in one place, with its unit and its reason. Bounds
 * that decide whether an operation is valid are in crdt.h.
 *
 * Sections: CORE, COMMANDS, WIRE, HOST. */
#ifndef GOSSIPD_LIMITS_H
#define GOSSIPD_LIMITS_H

/* ---- CORE ---- */
#define MEMBERS_MAX 50               /* full mesh: more members want an overlay    */
#define HEARTBEAT_US 1000000         /* comparison with every live peer            */
#define LINK_SILENT_US 3000000       /* three heartbeats missed: the link is dead  */
#define START_WAIT_US 2000000        /* for a peer's word on what it knows of me   */
#define BATCH_INTERVAL_US 1000       /* everysec, no: bounds signatures a second   */
#define BATCH_CLOSE_BYTES 65536      /* everysec, no: a batch fits one frame piece */
#define CLOCK_AHEAD_MS 60000         /* a stamp further ahead is not adopted       */

/* ---- COMMANDS ---- */

/* ---- WIRE ---- */
#define FRAME_PIECE_BYTES_MAX 65536  /* control frames pass between pieces         */
#define INLINE_BYTES_MAX 65536       /* Redis's limit on an inline command         */

/* ---- HOST ---- */

#endif
