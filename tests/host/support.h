/* What the tests of host/ share: a directory that goes away, rows, a disk that
 * fails on demand. */
#ifndef TESTS_HOST_SUPPORT_H
#define TESTS_HOST_SUPPORT_H

#include "gossipd/host/store/database.h"

/* Makes an empty directory; the path lives until the next call. */
const char *support_directory(void);
/* Removes it with all that is in it. */
void support_remove(void);
/* A path in it; lives until the fourth next call. */
const char *support_path(const char *file);
/* Writes a file into it and gives its path. */
const char *support_write(const char *file, const char *text);

/* Ends the bytes of a file as a snapshot ends, with their hash, as an import wants it
 * to be. Returns how many bytes the file has then. */
size_t support_seal(int fd, uint8_t ret_hash[static CRDT_HASH_BYTES]);
#define SUPPORT_SEAL_BYTES (2 + CRDT_HASH_BYTES)

/* The n-th batch of a feed, seqs n and n + 1 of 2 * count; as a STORE output.
 * What it points to is static. */
struct core_output support_store(uint64_t number, uint8_t key, uint64_t first, uint64_t last);
struct core_output support_mark(uint64_t number, enum core_mark mark, uint64_t value);

/* A SQLite VFS over unix-excl. */
#define SUPPORT_VFS "failing"
struct support_disk {
    _Atomic bool is_full; /* writes fail with SQLITE_FULL; changes beside a thread  */
    bool is_fsync_broken; /* fsync fails                                         */
    bool is_fsync_idle;   /* fsync succeeds at once, where no power is lost       */
    unsigned fsyncs;      /* that succeeded                                      */
    unsigned reads_left;  /* the last of so many reads to come fails; 0: none does */
};
extern struct support_disk support_disk;
void support_vfs_register(void);

/* SQLite's memory: the last of so many allocations fails; 0: none does. */
extern unsigned support_sqlite_left;
/* Counts one down; true when it was the last. */
bool support_is_last(unsigned *left);
/* Lets it fail; before SQLite is used for the first time. */
void support_sqlite_memory(void);

#endif
