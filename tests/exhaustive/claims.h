/* What is claimed of one history: every last step into having all of it gives
 * the state that the oracle says. Its smaller closed sets are histories of their
 * own, so trying every last step of every history tries every way there is. */
#ifndef EXHAUSTIVE_CLAIMS_H
#define EXHAUSTIVE_CLAIMS_H

#include "tests/exhaustive/copies.h"
#include "tests/exhaustive/seen.h"

/* Everything that the claims need of one history. Large: keep it static. */
struct claims {
    struct history history;
    struct copy copies[SETS_MAX][COPY_COUNT];
    struct copy scratch;
    struct crdt_buffer found; /* a snapshot to compare                         */
    struct crdt_buffer summary;
    struct crdt_buffer delta;
    struct seen seen;   /* states of a replica, counted once             */
    struct seen walked; /* places of one walk */
};

void claims_init(struct claims *claims);
void claims_close(struct claims *claims);

/* Executes the last operation of the history, whose author, seen and letter are
 * set, at its author. False: it makes no operation, so there is no such history.
 * `is_whole`: it will not be continued. */
bool claims_execute(struct claims *claims);
/* Makes the copies of every closed set that has the last operation and is not
 * the whole: `is_whole` false makes those of the whole too. */
void claims_prepare(struct claims *claims, bool is_whole);
/* Puts the whole history to the test. */
void claims_check(struct claims *claims);
/* After that: walks through every place on every way there. Much slower. */
void claims_walk(struct claims *claims);

/* Parts. `copy` must be at the whole history: compares it with all others. */
void claims_compare(struct claims *claims, struct copy *copy);
void claims_serve(struct claims *claims, struct copy *copy);
/* Drops from its log what both sets have. */
void claims_collect(struct history *history, struct copy *copy, unsigned one, unsigned other);
void claims_check_waiting(struct claims *claims);
void claims_check_serving(struct claims *claims);
void claims_check_reads(struct claims *claims, const struct crdt_document *document);

#endif
