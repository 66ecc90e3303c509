/* The agenda: what is going to happen, in order of virtual time. Events of one
 * moment happen in the order in which they were added: a run is one sequence. */
#ifndef TESTS_SIM_AGENDA_H
#define TESTS_SIM_AGENDA_H

#include <crdt.h>

enum event_kind {
    EVENT_TICK,        /* the core's deadline; `number`: which, older ones are void */
    EVENT_FLUSH,       /* the disk has finished; `number`: items it was given  */
    EVENT_DIAL,        /* a dialled peer answers, or not; `peer`               */
    EVENT_DIAL_FAILED,
    EVENT_UP,          /* the side of a link that dialled learns that it is up */
    EVENT_DOWN,        /* a side of a link learns that it is gone              */
    EVENT_FRAME,       /* a message reaches a side of a link                   */
    EVENT_FETCHED,
    EVENT_SNAPSHOT,    /* a snapshot is written, or not; `number`: which       */
    EVENT_SNAPSHOT_DONE, /* and this is reported                               */
    EVENT_DROP,        /* batches are dropped                                  */
    EVENT_DROPPED,     /* and this is reported                                 */
    EVENT_PART,        /* a part of a snapshot is read; `bytes`: its hash      */
    EVENT_STAGED,      /* a part was kept, or not                              */
    EVENT_VERIFIED,
    EVENT_THINK,       /* a client sends its next command; `number`: its slot  */
    EVENT_RESTART,
    EVENT_STOP_LATE,   /* a clean stop took too long                           */
    EVENT_FAULT,       /* time for the next fault                              */
    EVENT_FLAP,        /* a link goes up or down; `number`: how often still    */
};

struct event {
    uint64_t at_us;
    uint64_t order;
    enum event_kind kind;
    size_t node;
    uint64_t incarnation; /* of the node; what was meant for an earlier one is void */
    uint64_t number;
    uint64_t link;
    size_t side;
    size_t peer;
    struct crdt_dot from; /* FETCHED */
    size_t bytes_max;
    bool is_ok;           /* VERIFIED and other answers */
    uint64_t part;        /* PART */
    const char *reason;   /* SNAPSHOT_DONE */
    uint8_t *bytes;       /* FRAME, PART: owned by the event */
    size_t size;
};

struct agenda {
    struct event *items; /* a binary heap */
    size_t count;
    size_t capacity;
    uint64_t order;
};

/* Takes over `event.bytes`. */
void agenda_add(struct agenda *agenda, struct event event);
/* Gives the next one; its bytes are the caller's. False when there is none. */
bool agenda_take(struct agenda *agenda, struct event *ret_event);
/* When the next one happens; UINT64_MAX when there is none. */
uint64_t agenda_next_us(const struct agenda *agenda);
void agenda_close(struct agenda *agenda);

#endif
