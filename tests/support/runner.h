/* The main of every test program: one suite, reported as TAP. */
#ifndef SUPPORT_RUNNER_H
#define SUPPORT_RUNNER_H

#include <check.h>

/* Runs the suite and returns the exit status of the program. */
int runner_run(Suite *suite);

/* Words of every suite that uses the library. A macro, so that Check reports
 * the line of the test. */
#define OK(call) ck_assert_int_eq((call), CRDT_OK)

#endif
