/* Every bound of gossipd, in one place, with its unit and its reason. Bounds
 * that decide whether an operation is valid are in crdt.h.
 *
 * Sections: CORE, COMMANDS, WIRE, HOST. */
#ifndef GOSSIPD_LIMITS_H
#define GOSSIPD_LIMITS_H

/* ---- CORE ---- */
#define MEMBERS_MAX 50               /* full mesh: more members want an overlay    */
#define HEARTBEAT_US 1000000         /* comparison with every live peer            */
#define FOLD_AWAY_US 10000000        /* ten heartbeats without an acknowledgement: folds no
                                      * longer wait for the member                 */
#define LINK_CROSSING_US 5000000     /* longer than a dial and its handshake can last */
#define LINK_SILENT_US 3000000       /* three heartbeats missed: the link is dead  */
#define START_WAIT_US 2000000        /* for peers' words on what they know of me, and
                                      * once more for what they say they can show  */
#define BATCH_INTERVAL_US 1000       /* everysec, no: bounds signatures a second   */
#define BATCH_CLOSE_BYTES 65536      /* everysec, no: a batch fits one frame piece */
#define CLOCK_AHEAD_MS 60000         /* a stamp further ahead is not adopted       */
#define CLOCK_ALARM_US 60000000      /* between two events about such stamps       */
#define DIAL_US 700000               /* between dials of a peer that is away: back within 1 s */
#define DIAL_JITTER_US 200000        /* so that two peers do not dial each other in step */
#define SUSPECT_US 5000000           /* a link lost this long makes its member down */
#define QUIET_US 50000               /* after the last change: tell peers what is held here */
#define RELAY_WAIT_US 300000         /* a third party's feed is left to its origin while it grows */
#define RESEND_US 1000000            /* before what was sent in vain is sent once more */
#define SERVE_ROUND_BYTES 1048576    /* served to a peer before it must say what it has */
#define SERVE_FEED_BYTES_MIN 65536   /* of a round for one feed, however many there are */
#define STORE_RETRY_US 1000000       /* between tries of a STORE that failed       */
#define SNAPSHOT_BYTES 67108864      /* default of `snapshot-bytes`: replayed in a second or two */
#define SNAPSHOT_RETRY_US 10000000   /* between tries of a snapshot that failed    */
#define SNAPSHOT_PART_BYTES 1048576  /* a row of the store and a message: commits and
                                      * control frames wait for one of them at most */
#define OFFER_AGAIN_US 2000000       /* between offers to a peer that takes none   */
#define OFFER_BYTES_MAX (UINT64_C(64) << 30) /* of a snapshot: its state lives in memory */
#define OFFER_TIPS_BYTES_MAX CRDT_BATCH_BYTES_MAX /* a message holds them, and names  */
#define OFFER_TELL_US 60000000       /* between two events about what is too large */
#define TRANSFER_IDLE_US 10000000    /* a peer that asks no more has given up      */
#define TRANSFER_BYTES_PER_S 67108864 /* of snapshots to all peers: half a gigabit  */
#define JOIN_ASKS_MAX 4              /* parts on their way: hides 100 ms at 40 MB/s */
#define JOIN_STALLED_US 5000000      /* without a part: ask whoever offers next    */
#define JOIN_RETRY_US 10000000       /* after a join that failed                   */
#define JOIN_BLAME_SHIFT_MAX 6       /* who offered what was refused: 10 s, doubled each
                                      * time, up to eleven minutes                 */
#define JOIN_PART_US 1000000         /* for each part on average; who is slower makes way
                                      * for another who offers                     */
#define JOIN_PATIENCE_MAX 3          /* doublings of that: then one part may take longer
                                      * than JOIN_STALLED_US                       */
#define JOIN_TAIL_BYTES_MAX 67108864 /* batches that came while a join was made, or as
                                      * many bytes as the snapshot has             */
#define JOIN_SLICE_BYTES 262144      /* of them merged in one step: some milliseconds */
#define JOIN_HELD_US 60000000        /* for peers that fetch the snapshot it voids */
#define LOG_TELL_US 60000000         /* between two events about what was dropped  */
#define DROP_OVER_US 1000000         /* the same, while the log is above its budget */
#define DROP_INTERVAL_US 10000000    /* between looks at what may be dropped       */
#define ROW_OVERHEAD_BYTES 64        /* replay work of a batch beside its bytes    */
#define MEMORY_RETRY_US 10000        /* between tries of what lacked memory        */
#define ALWAYS_CLOSE_BYTES 4194304   /* always: an open batch waits no longer for its turn */
#define PENDING_BYTES_MAX 67108864   /* early batches: two of the largest          */
#define HELD_OVERHEAD_BYTES 48       /* of one that waits: the allocator's share, its place */
#define PENDING_KEY_BATCHES_MAX 4096 /* early batches of a member, searched and moved each time
                                      * one comes: some microseconds; more come again */
#define PENDING_KEY_FEEDS_MAX 64     /* of a member that have some, tried again with every
                                      * batch of anybody: far more than restarts at once */
#define VERIFYING_BYTES_MAX 67108864 /* batches whose signature is being checked: likewise */
#define JOURNAL_BYTES_MAX 134217728  /* not durable yet; above, peers' batches are refused */
#define EVIDENCE_BYTES_MAX 67108864  /* of forks: two of the largest headers and more */
#define EVIDENCE_MAX 64              /* forked origins: each is searched for a batch */
#define EVIDENCE_KEY_MAX 16          /* of one member: whoever forks always must not leave
                                      * others' forks without proof                */
#define CLAIMS_UNKNOWN_MAX 1024      /* origins that a peer says it has and nobody has shown:
                                      * more are taken up as these come           */
#define HEADER_KEEP_BYTES 262144     /* a header that names 5000 new origins       */
#define HEADS_BYTES_MAX 1048576      /* one HEADS message: some thousand feeds     */
#define HEADS_VERIFY_MAX 64          /* signatures checked for one of them: some 5 ms */
#define HEADS_SEEN_MAX 64            /* headers that wait for their contradiction  */
#define PROOFS_ROUND_US 1000000      /* told in one go, then the links are others'  */
#define PROOFS_BYTES_PER_S 1048576   /* told to a peer in a round: two of the largest proofs */
#define PROOFS_AGAIN_US 5000000      /* between words on forks to a peer that is not equal */
#define PROVING_MAX 64               /* headers to be compared with the store      */
#define CLIENT_WAITING_BYTES_MAX 67108864 /* replies of one client that wait for durability */
#define PROOF_US 60000000            /* between proofs of an equal state to one peer */
#define PROOF_BYTES_MAX 33554432     /* of memory in use: above, hashing would stop the loop */
#define ALARM_US 1000000             /* between two events of one kind of refusal  */
#define EVENT_TEXT_BYTES 512         /* one line of the log                        */

/* ---- COMMANDS ---- */
#define QUEUE_BYTES_MAX (32u << 20)  /* MULTI: more could not commit as one batch  */
#define CLIENT_NAME_BYTES_MAX 128    /* CLIENT SETNAME, SETINFO: shown in a line   */
#define ERROR_TEXT_BYTES 512         /* an error reply with what it quotes         */
#define FOLD_COUNT 64                /* contributions that make folding worth it   */
#define BACKUP_PATH_BYTES_MAX 4000   /* PATH_MAX with room for the draft's ending  */
#define RENDER_LEVELS_MAX 7          /* CRDT.GET: hiredis 0.14 reads 8 levels      */

/* ---- WIRE ---- */
#define FRAME_PIECE_BYTES_MAX 65536  /* control frames pass between pieces         */
/* A message between cores: the largest batch, its signature and the tokens. */
#define MESSAGE_BYTES_MAX (CRDT_BATCH_BYTES_MAX + 1024)
#define INLINE_BYTES_MAX 65536       /* Redis's limit on an inline command         */
#define RESP_ARGUMENTS_MAX 1048576   /* of one command: Redis's own number         */
#define RESP_KEEP_BYTES 65536        /* an idle client keeps at most this much     */
#define FRAME_CONTROL_BYTES_MAX (4u << 20) /* requests and summaries are far below    */
#define FRAME_BULK_BYTES_MAX (CRDT_BATCH_BYTES_MAX + (64u << 10)) /* a batch and its signature */
#define FRAME_KEEP_BYTES (128u << 10) /* a larger buffer goes back once it is empty   */
#define HANDSHAKE_BYTES_MAX 512      /* a HELLO is below 200; room for newer minors   */

/* ---- HOST ---- */
#define LOG_LINE_BYTES_MAX 2048        /* a longer line is cut                       */
#define LOG_LINES_PER_SECOND 200     /* strangers must not fill the disk with lines;
                                      * alarms are counted by themselves            */
#define CLIENT_READ_BYTES 16384      /* one read: as Redis, fair between clients    */
#define CLIENT_COMMANDS_PER_TURN 1000 /* per client and loop turn, then the others   */
#define CLIENT_TURN_US 2000          /* likewise: slow commands, as a link's turn   */
#define CLIENT_KEEPALIVE_S 300       /* Redis's tcp-keepalive: who is gone frees its slot */
#define CLIENT_QUERY_BYTES_MAX (64u << 20) /* beside one bulk; Redis's default is 1 GiB */
#define CLIENT_OUTPUT_SOFT_BYTES (1u << 20) /* above, nothing more is read from it      */
#define CLIENT_OUTPUT_HARD_BYTES (256u << 20) /* one huge reply fits; a slow reader goes */
#define CLIENT_KEEP_BYTES 16384      /* larger buffers of an idle client go back    */
#define CLIENT_IDLE_US 1000000       /* silent for this long is idle                */
#define CLIENT_LINGER_US 2000000    /* half-closed: the last replies may still come */
#define CLIENTS_MAX 65535            /* a slot number has 16 bits                   */
#define DESCRIPTORS_RESERVED 128     /* for links, the store and logs beside clients */
#define ACCEPTS_PER_TURN 128         /* so that a storm of clients delays nobody    */
#define LINKS_MAX 256                /* both directions for every member, and spare */
#define LINKS_HALF_OPEN_MAX 64       /* strangers' links before they prove a key    */
#define LINK_READ_BYTES 65536        /* one read: one frame piece                   */
#define LINK_READ_BYTES_MIN 4096     /* power of two below: some 25 of the smallest batches */
#define LINK_TURN_US 2000            /* the handling of one read: then the others   */
#define LINK_WRITE_BYTES 131072      /* one write: two frame pieces                 */
#define LINK_WRITES_PER_TURN 16      /* 2 MiB per link and loop turn                */
#define LINK_BULK_BYTES_MAX (16u << 20) /* above, bulk is dropped: comparison repairs */
#define LINK_QUEUE_BYTES_MAX (64u << 20) /* above, the link is closed                  */
#define TWIN_TURN_US 2000000         /* a link of one key stays so long: time to be served */
#define TWIN_LINKS 8                 /* so many in the window mean two processes    */
#define TWIN_WINDOW_US 60000000      /* one alarm a minute                          */
#define LINK_CONNECT_S 1.0           /* reconnect within one second                 */
#define LINK_QUIET_US 60000000       /* between log lines about one absent member, or knocks */
#define LINK_HANDSHAKE_S 3.0         /* as long as a silent link lives              */
#define STORE_GROUP_BYTES (16u << 20) /* one transaction: bounds the write-ahead log */
#define STORE_QUEUE_BYTES_MAX (64u << 20) /* above, nothing more is read from anyone   */
#define STORE_SYNC_MS 1000           /* everysec: what its name says                */
#define SWEEP_RETRY_MS 1000          /* a sweep that failed: the disk may have room again */
#define STORE_FREE_BYTES_MIN 67108864 /* kept for drops: the write-ahead log grows so far */
#define STORE_FREE_DIVISOR 8         /* of a small disk: no more than this part of it */
#define CHECKPOINT_PAGES 1000        /* of the write-ahead log: SQLite's own default */
#define CHECKPOINT_TELL_US 60000000  /* between two words on one that failed         */
#define STORE_BUSY_MS 1000           /* a copy by `sqlite3` may hold a lock so long */
#define DROP_ROWS 500                /* rows in one transaction of a DROP: some 5 ms */
#define ASSEMBLY_SLICE_BYTES 1048576 /* of batches, between which a build lets go of the store */
#define BUILDER_NICE 10              /* of the thread that builds: the loop goes first */
#define HISTORY_DAYS_MAX 36500       /* a century: the product in milliseconds fits   */
#define BACKUP_STEP_PAGES 256        /* 1 MiB: commits wait for one step at most    */
#define VERIFY_PROGRESS_ROWS 1000    /* some 100 ms: a person wants a word a second */
#define FETCH_ROWS_MAX 4096          /* rows in one answer                          */
#define CACHE_BYTES_MAX (1u << 20)   /* newest batches, answered without the disk   */
#define CACHE_ROWS_MAX 4096          /* of them: bounds the search                  */
#define STOP_S 5.0                   /* SIGTERM to exit                             */
#define FACTS_S 0.1                  /* how often the slow facts are taken anew     */

#endif
