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
#define QUEUE_BYTES_MAX (32u << 20)  /* MULTI: more could not commit as one batch  */
#define CLIENT_NAME_BYTES_MAX 128    /* CLIENT SETNAME, SETINFO: shown in a line   */
#define ERROR_TEXT_BYTES 512         /* an error reply with what it quotes         */
#define FOLD_COUNT 64                /* contributions that make folding worth it   */
#define RENDER_LEVELS_MAX 7          /* CRDT.GET: hiredis 0.14 reads 8 levels      */

/* ---- WIRE ---- */
#define FRAME_PIECE_BYTES_MAX 65536  /* control frames pass between pieces         */
#define INLINE_BYTES_MAX 65536       /* Redis's limit on an inline command         */
#define RESP_ARGUMENTS_MAX 1048576   /* of one command: Redis's own number         */
#define RESP_KEEP_BYTES 65536        /* an idle client keeps at most this much     */
#define FRAME_CONTROL_BYTES_MAX (4u << 20) /* requests and summaries are far below    */
#define FRAME_BULK_BYTES_MAX (CRDT_BATCH_BYTES_MAX + (64u << 10)) /* a batch and its signature */
#define FRAME_KEEP_BYTES (128u << 10) /* a larger buffer goes back once it is empty   */
#define HANDSHAKE_BYTES_MAX 512      /* a HELLO is below 200; room for newer minors   */

/* ---- HOST ---- */

#endif
