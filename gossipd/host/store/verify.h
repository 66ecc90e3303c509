/* Looks at a store nobody uses: is every batch above the floor there, signed by
 * its origin, chained to the one before? Where nothing was dropped: is it stored
 * behind all that it depends on, and is the newest snapshot what the batches make?
 * Where something was: does the newest snapshot have it, signed tip by signed tip,
 * and do the batches behind it fit?
 *
 * Only reads. Trusts nothing in the file but SQLite's own format.
 */
#ifndef GOSSIPD_HOST_VERIFY_H
#define GOSSIPD_HOST_VERIFY_H

#include "gossipd/host/log.h"

struct sqlite3;

struct verify_report {
    uint64_t batches;
    uint64_t operations;
    uint64_t feeds;
    uint64_t dropped_feeds;     /* so many have lost batches to the floor          */
    struct crdt_digest digest;  /* of the document after all batches            */
    uint8_t key[CRDT_KEY_BYTES]; /* of the node that wrote the store; zeros when
                                  * it does not say                             */
};

enum verify_result {
    VERIFY_WHOLE,
    VERIFY_BROKEN, /* the failure says which row, what is wrong, what to do      */
    VERIFY_CANNOT, /* it is in use, cannot be read, or memory is out: the failure
                    * says which, and nothing about the store                   */
};

/* Verifies the store or backup in the file `path`. `progress`, which may be
 * NULL, is called now and then. With `ret_handle` not NULL a whole store stays
 * open, read only, for the caller to close with sqlite3_close(). */
enum verify_result verify_store(const char *path,
    void (*progress)(void *context, uint64_t done, uint64_t total), void *context,
    struct verify_report *ret_report, struct sqlite3 **ret_handle, struct failure *failure);

#endif
