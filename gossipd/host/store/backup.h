/* A copy of the store as one file, made in steps while the store is in use.
 *
 * The copy grows under the name PATH.partial and gets its own name when it is
 * whole and durable; a file that is there already is never touched.
 */
#ifndef GOSSIPD_HOST_BACKUP_H
#define GOSSIPD_HOST_BACKUP_H

#include "gossipd/host/log.h"

struct sqlite3;
struct backup;

/* Begins to copy the database behind `source` to `path`, mode 0600. `last_sql`,
 * if not NULL, is run on the copy before it gets its name. What `source` itself
 * writes in the meantime comes along. */
bool backup_begin(struct sqlite3 *source, const char *path, const char *last_sql,
    struct backup **ret_backup, struct failure *failure);

enum backup_result { BACKUP_MORE, BACKUP_DONE, BACKUP_FAILED };
/* Copies the next BACKUP_STEP_PAGES and makes them durable, so that no step is
 * much longer than another. */
enum backup_result backup_step(struct backup *backup, struct failure *failure);

/* Bytes of the copy so far. */
uint64_t backup_bytes(const struct backup *backup);

/* Removes the copy unless it is done. Accepts NULL. */
void backup_free(struct backup *backup);

#endif
