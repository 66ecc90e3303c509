/* A disk that loses power, as a SQLite VFS over unix-excl.
 *
 * Every write since the last fsync of its file is kept beside what the file held
 * then. At a chosen operation the power goes: of what was not synced, some is
 * dropped, some torn into sectors, some reordered; then the files are made to be
 * what a disk could hold. Or the process is killed there: the files stay as they
 * are, and so does what a power cut could still take from them.
 *
 * One database at a time; nothing is really synced, so that hundreds of cuts
 * cost seconds.
 */
#ifndef TESTS_HOST_POWERLOSS_H
#define TESTS_HOST_POWERLOSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POWERLOSS_VFS "powerloss"
#define POWERLOSS_SECTOR_BYTES 512

enum powerloss_end { POWERLOSS_CUT, POWERLOSS_KILL };

/* Forgets all files; the next ones are new. */
void powerloss_begin(uint64_t seed);
/* Lets the end come at the `operations`-th operation from now, counted in
 * writes, truncations, syncs and deletions. `on_end` is called at that moment. */
void powerloss_arm(
    uint64_t operations, enum powerloss_end end, void (*on_end)(void *context), void *context);
bool powerloss_has_come(void);
/* When the database is closed: gives the files what the end left of them; when it
 * has not come yet, it comes now. */
void powerloss_apply(void);
void powerloss_free(void);

/* What has been done to files that were not synced, over all ends. */
struct powerloss_counts {
    unsigned cuts;
    unsigned kills;
    unsigned dropped;
    unsigned torn;
    unsigned reordered;
};
extern struct powerloss_counts powerloss_counts;

#endif
