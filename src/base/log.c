/* SPDX-License-Identifier: BSD-2-Clause */
/* Log lines: formatted, made harmless, handed to a sink.  Owns the target, one of the two mutable variables
 * at file scope.  Knows stderr, which is the target until somebody names another; the time is the sink's. */
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/fmt.h"
#include "base/utf8.h"

/* "2026-11-22T07:54:07.123Z notice text" */
static void log_to_stderr(void *arg, enum log_level level, const struct log_about *about, struct span line)
{
    (void)arg;
    (void)about;
    char head[FMT_TIMESTAMP_SIZE + sizeof " notice "];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    fmt_timestamp(head, now.tv_sec, (unsigned)(now.tv_nsec / 1000000));
    int n = snprintf(head + FMT_TIMESTAMP_SIZE, sizeof head - FMT_TIMESTAMP_SIZE, " %s ",
                     log_level_name(level));
    struct iovec parts[] = {
        { head, FMT_TIMESTAMP_SIZE + (size_t)n },
        { (char *)line.p, line.n },
        { "\n", 1 },
    };
    /* One call, so that lines of several processes do not mix; there is nobody to tell when it fails. */
    ssize_t written = writev(STDERR_FILENO, parts, 3);
    (void)written;
}

static struct {
    log_sink      *sink;
    void          *arg;
    enum log_level level;
} log_target = { log_to_stderr, NULL, LOG_NOTICE };

void log_open(log_sink *sink, void *arg, enum log_level level)
{
    log_target.sink = sink;
    log_target.arg = arg;
    log_set_level(level);
}

/* The level may change while other threads log. */
void log_set_level(enum log_level level)
{
    __atomic_store_n(&log_target.level, level, __ATOMIC_RELAXED);
}

bool log_wants(enum log_level level)
{
    return level <= __atomic_load_n(&log_target.level, __ATOMIC_RELAXED);
}

/* The length of the leading part that can stand in a line as it is. */
static size_t clean_length(const char *text, size_t n)
{
    size_t at = 0;
    while (at < n) {
        size_t step = utf8_printable(text + at, text + n);
        if (step == 0)
            break;
        at += step;
    }
    return at;
}

/* One character, or one byte as \xNN; returns the length of what stands for *step bytes of input. */
static size_t log_escape(const char *p, const char *end, char out[4], size_t *step)
{
    *step = utf8_printable(p, end);
    if (*step > 0) {
        memcpy(out, p, *step);
        return *step;
    }
    unsigned char byte = (unsigned char)*p;
    out[0] = '\\';
    out[1] = 'x';
    out[2] = "0123456789abcdef"[byte >> 4];
    out[3] = "0123456789abcdef"[byte & 15];
    *step = 1;
    return 4;
}

static struct span cut_mark(void)
{
    return SPAN("...");
}

/* Copies with escapes as much as fits, and "..." when that is not all or the text was `cut` already. */
static size_t log_escaped(char *line, size_t room, struct span text, bool cut)
{
    size_t at = 0, n = 0, safe = 0;     /* safe: up to here there is room for the mark */
    while (at < text.n) {
        size_t step;
        char out[4];
        size_t more = log_escape(text.p + at, text.p + text.n, out, &step);
        if (n + more > room)
            break;
        memcpy(line + n, out, more);
        n += more;
        at += step;
        if (n + cut_mark().n <= room)
            safe = n;
    }
    if (at == text.n && !cut)
        return n;
    memcpy(line + safe, cut_mark().p, cut_mark().n);
    return safe + cut_mark().n;
}

/* The rare line that is not clean or too long, apart so that the usual one needs half the stack. */
__attribute__((noinline))
static void log_hand_over_escaped(enum log_level level, const struct log_about *about, struct span text,
                                  bool cut)
{
    char line[LOG_LINE_MAX];
    size_t n = log_escaped(line, sizeof line, text, cut);
    log_target.sink(log_target.arg, level, about, (struct span){ line, n });
}

static void log_hand_over(enum log_level level, const struct log_about *about, struct span text, bool cut)
{
    static const struct log_about nothing = { 0 };
    if (about == NULL)
        about = &nothing;
    if (!cut && clean_length(text.p, text.n) == text.n)
        log_target.sink(log_target.arg, level, about, text);
    else
        log_hand_over_escaped(level, about, text, cut);
}

/* Formats; with_errno: ": " and the text of errno go behind it. */
__attribute__((format(printf, 3, 0)))
static void log_format(enum log_level level, const struct log_about *about, const char *format, va_list args,
                       bool with_errno)
{
    int saved = errno;
    char text[LOG_LINE_MAX + 1];
    int n = vsnprintf(text, sizeof text, format, args);
    if (n >= 0 && (size_t)n < sizeof text && with_errno) {
        errno = saved;
        int more = snprintf(text + n, sizeof text - (size_t)n, ": %m");
        n = more < 0 ? more : n + more;
    }
    if (n < 0)                  /* a wide character that is none; the format at least is ours */
        n = snprintf(text, sizeof text, "%s", format);
    bool cut = (size_t)n >= sizeof text;
    /* Half a character at the cut does no harm: escaped it does not fit in front of the "...". */
    size_t length = cut ? sizeof text - 1 : (size_t)n;
    log_hand_over(level, about, (struct span){ text, length }, cut);
    errno = saved;
}

void log_write(enum log_level level, const struct log_about *about, const char *format, ...)
{
    if (!log_wants(level))
        return;
    va_list args;
    va_start(args, format);
    log_format(level, about, format, args, false);
    va_end(args);
}

int log_errno(enum log_level level, const struct log_about *about, const char *format, ...)
{
    if (!log_wants(level))
        return -1;
    va_list args;
    va_start(args, format);
    log_format(level, about, format, args, true);
    va_end(args);
    return -1;
}

const char *log_level_name(enum log_level level)
{
    switch (level) {
    case LOG_ERROR:  return "error";
    case LOG_WARN:   return "warn";
    case LOG_NOTICE: return "notice";
    case LOG_INFO:   return "info";
    case LOG_DEBUG:  return "debug";
    }
    return "?";
}

bool log_parse_level(const char *name, enum log_level *level)
{
    for (enum log_level l = LOG_ERROR; l <= LOG_DEBUG; l++) {
        if (strcmp(name, log_level_name(l)) == 0) {
            *level = l;
            return true;
        }
    }
    return false;
}
