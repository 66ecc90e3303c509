/* Tells damage from what passes. See verify_fault.h. */
#include "gossipd/host/store/verify_fault.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

/* Says so and is true. */
static bool passes(struct failure *failure, int code, const char *what_to_do)
{
    failure_say(failure, "%s: %s", sqlite3_errstr(code), what_to_do);
    return true;
}

bool verify_fault_passes(int code, struct failure *ret_why)
{
    if (code == SQLITE_IOERR_NOMEM || (code & 0xff) == SQLITE_NOMEM) {
        failure_say(ret_why, "%s", VERIFY_MEMORY);
        return true;
    }
    switch (code & 0xff) {
    /* Nothing failed, so what was read makes no sense. */
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
    /* SQLite understands its own tables no more. */
    case SQLITE_ERROR:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH: return false;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        failure_say(ret_why, "another process has it open, maybe a gossipd: stop that first, or "
            "verify a backup made with `gossipctl backup`");
        return true;
    case SQLITE_IOERR:
        return passes(ret_why, code, "the disk cannot be read, which says nothing about what is "
            "on it; look at `dmesg`, copy the file to another disk and verify the copy; if it "
            "cannot be copied either, restore a backup");
    default: break;
    }
    return passes(ret_why, code, "look at the path, its permissions and its disk");
}

bool verify_fault_line_passes(const char *line, struct failure *ret_why)
{
    static const char unread[] = "unable to get the page. error code=";
    const char *found = strstr(line, unread);
    if (found != NULL) {
        return verify_fault_passes((int)strtol(found + sizeof unread - 1, NULL, 10), ret_why);
    }
    /* A page of the free list; a number that no page has is called by another name. */
    return strstr(line, "failed to get page") != NULL &&
        verify_fault_passes(SQLITE_IOERR, ret_why);
}
