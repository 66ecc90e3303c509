/* Marks: what a store says of itself, by name. For database.c. */
#ifndef GOSSIPD_HOST_DATABASE_MARK_H
#define GOSSIPD_HOST_DATABASE_MARK_H

#include "gossipd/host/store/sql.h"

bool mark_set_int(sqlite3 *handle, const char *name, uint64_t value);
bool mark_set_bytes(sqlite3 *handle, const char *name, const void *data, size_t size);
bool mark_set_text(sqlite3 *handle, const char *name, const char *text);
/* 0 when it is missing. False: it cannot be read. */
bool mark_get_int(sqlite3 *handle, const char *name, uint64_t *ret_value);

/* Whether the mark is there, with exactly these bytes. */
enum mark_match {
    MARK_ABSENT,
    MARK_SAME,
    MARK_OTHER,
    MARK_FAILED, /* it cannot be read                                              */
};
enum mark_match mark_compare(
    sqlite3 *handle, const char *name, const void *data, size_t size);

#endif
