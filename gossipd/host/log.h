/* The log: one line per event on stderr, key=value, and sentences about what
 * failed. Threads may share it. */
#ifndef GOSSIPD_HOST_LOG_H
#define GOSSIPD_HOST_LOG_H

#include <stdbool.h>

#include "gossipd/core/core.h"

/* Lets the compiler check the arguments of a format. */
#if defined(__GNUC__)
#define LOG_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define LOG_PRINTF(text, first)
#endif

/* Writes `time=... level=... event=NAME` and what the format adds: key=value
 * pairs, or "". Beyond LOG_LINES_PER_SECOND lines, alarms and others each, they are
 * counted, not written. */
void log_write(enum core_level level, const char *event, const char *format, ...)
    LOG_PRINTF(3, 4);

#define FAILURE_BYTES 1024
/* Why something could not be done: what, where, and what to do about it. */
struct failure {
    char text[FAILURE_BYTES];
};

/* Sets the text; returns false, so that a caller can return it. */
bool failure_say(struct failure *failure, const char *format, ...) LOG_PRINTF(2, 3);

#endif
