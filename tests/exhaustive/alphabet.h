/* What a replica of an exhaustive history may do in one operation: everything
 * that counters, registers, sets and maps know, at "a" and at "a"/"b". */
#ifndef EXHAUSTIVE_ALPHABET_H
#define EXHAUSTIVE_ALPHABET_H

#include "tests/support/oracle.h"

#define LETTER_COUNT 20u

const char *letter_text(unsigned letter);

/* Fills in what the operation `letter`, the `index`-th of its history, is for
 * the oracle; author, seq, deps and stamp are there already. `oracle` holds what
 * was before; `live` is what lives under the deps. False: it makes no operation
 * there, or the same as another letter. */
bool letter_describe(
    unsigned letter, unsigned index, const struct oracle_entries *live, struct oracle_op *op);
/* Makes this letter nothing only because another one does the same? */
bool letter_is_part(unsigned letter);
/* Writes what was described. */
enum crdt_status letter_write(
    unsigned letter, const struct oracle_op *op, struct crdt_transaction *transaction);
/* The path of the letter. */
struct crdt_path letter_path(unsigned letter);

#endif
