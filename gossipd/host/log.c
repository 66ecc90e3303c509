/* The log. See log.h. */
#include "gossipd/host/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "gossipd/limits.h"

/* Shared by all threads, as stderr is. */
static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static time_t log_second;
static unsigned log_lines[2]; /* of alarms, and of all else                      */
static unsigned log_suppressed;

static const char *level_name(enum core_level level)
{
    switch (level) {
    case CORE_INFO: return "info";
    case CORE_WARNING: return "warning";
    case CORE_ALARM: return "alarm";
    }
    return "unknown";
}

static LOG_PRINTF(3, 0) size_t append(
    char *line, size_t used, const char *format, va_list arguments)
{
    int size = vsnprintf(line + used, LOG_LINE_BYTES_MAX - used, format, arguments);
    if (size < 0) {
        return used;
    }
    size_t end = used + (size_t)size;
    return end < LOG_LINE_BYTES_MAX - 1 ? end : LOG_LINE_BYTES_MAX - 2;
}

static LOG_PRINTF(3, 4) size_t append_text(char *line, size_t used, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    used = append(line, used, format, arguments);
    va_end(arguments);
    return used;
}

static size_t append_head(
    char *line, const struct timespec *now, enum core_level level, const char *event)
{
    struct tm utc;
    char time_text[32] = "?";
    if (gmtime_r(&now->tv_sec, &utc) != NULL) {
        strftime(time_text, sizeof time_text, "%Y-%m-%dT%H:%M:%S", &utc);
    }
    return append_text(line, 0, "time=%s.%03ldZ level=%s event=%s", time_text,
        now->tv_nsec / 1000000, level_name(level), event);
}

/* Foreign bytes must not start a line of their own or move a terminal. */
static void write_line(char *line, size_t used)
{
    for (size_t i = 0; i < used; i++) {
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f) {
            line[i] = '?';
        }
    }
    line[used] = '\n';
    ssize_t written = write(STDERR_FILENO, line, used + 1);
    /* There is nowhere to say that the log cannot be written. */
    (void)written;
}

/* Whether one more line fits into this second. What strangers can bring about must
 * not keep an alarm from being read. */
static bool take_turn(
    const struct timespec *now, enum core_level level, unsigned *ret_suppressed)
{
    unsigned *lines = &log_lines[level == CORE_ALARM ? 0 : 1];
    *ret_suppressed = 0;
    if (now->tv_sec != log_second) {
        *ret_suppressed = log_suppressed;
        log_second = now->tv_sec;
        log_lines[0] = 0;
        log_lines[1] = 0;
        log_suppressed = 0;
    }
    if (*lines >= LOG_LINES_PER_SECOND) {
        log_suppressed++;
        return false;
    }
    (*lines)++;
    return true;
}

void log_write(enum core_level level, const char *event, const char *format, ...)
{
    char line[LOG_LINE_BYTES_MAX];
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    unsigned suppressed = 0;
    pthread_mutex_lock(&log_mutex);
    bool is_allowed = take_turn(&now, level, &suppressed);
    if (suppressed > 0) {
        size_t used = append_head(line, &now, CORE_WARNING, "log-suppressed");
        write_line(line, append_text(line, used, " lines=%u", suppressed));
    }
    if (is_allowed) {
        size_t used = append_head(line, &now, level, event);
        if (format[0] != '\0') {
            used = append_text(line, used, " ");
            va_list arguments;
            va_start(arguments, format);
            used = append(line, used, format, arguments);
            va_end(arguments);
        }
        write_line(line, used);
    }
    pthread_mutex_unlock(&log_mutex);
}

bool failure_say(struct failure *failure, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(failure->text, sizeof failure->text, format, arguments);
    va_end(arguments);
    return false;
}
