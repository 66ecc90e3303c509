/* A claim of a test. What does not hold is printed, with the note that says how
 * to repeat it, and ends the process: also outside Check, under a fuzzer. */
#ifndef SUPPORT_CLAIM_H
#define SUPPORT_CLAIM_H

#include <stdbool.h>

/* Text printed with every broken claim: seed, step. Borrowed. */
void claim_note(const char *note);
_Noreturn void claim_broken(const char *file, int line, const char *what);

/* A macro, so that the place and the words of the claim can be printed. */
#define claim(condition) ((condition) ? (void)0 : claim_broken(__FILE__, __LINE__, #condition))

#endif
