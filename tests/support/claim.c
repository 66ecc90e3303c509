#include "tests/support/claim.h"

#include <stdio.h>
#include <stdlib.h>

static const char *current_note = "";

void claim_note(const char *note)
{
    current_note = note;
}

_Noreturn void claim_broken(const char *file, int line, const char *what)
{
    fflush(stdout);
    fprintf(stderr, "%s:%d: broken: %s\n    %s\n", file, line, what, current_note);
    fflush(stderr);
    abort();
}
