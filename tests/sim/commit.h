/* Which commit was built: a seed means a run of one commit. */
#ifndef TESTS_SIM_COMMIT_H
#define TESTS_SIM_COMMIT_H

/* As `git describe` says it; "unknown" outside a checkout. */
extern const char simulator_commit[];

#endif
