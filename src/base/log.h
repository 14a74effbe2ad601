/* SPDX-License-Identifier: BSD-2-Clause */
/* The log: one line an event, the same words on every target.  Who decides logs; who fails returns.
 * The target is one of the two mutable variables at file scope that iomuxd has. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

/* Severities of syslog(3), by the names of the configuration. */
enum log_level { LOG_ERROR = 3, LOG_WARN = 4, LOG_NOTICE = 5, LOG_INFO = 6, LOG_DEBUG = 7 };

enum { LOG_LINE_MAX = 10240 };  /* bytes: a greet message of 8 KiB fits whole */

/* What a record is about; any member may be NULL. */
struct log_about {
    const char *event;          /* a stable word for programs: "listening", "ready", "worker-died" */
    const char *service;
    const char *worker;         /* "main.0" */
    const char *model;
    const char *peer;
};

/* Takes one finished line (at most LOG_LINE_MAX bytes of UTF-8, no newline, no control characters) out of the
 * process.  May be called by several threads at once.  It may not log. */
typedef void log_sink(void *arg, enum log_level level, const struct log_about *about, struct span line);

/* Until log_open the target is stderr, plain, at level notice. */
void log_open(log_sink *sink, void *arg, enum log_level level);
void log_set_level(enum log_level level);
bool log_wants(enum log_level level);

/* Writes "text" formatted.  Control characters and what is not UTF-8 are escaped as \xNN, overlong lines are
 * cut with "...".  errno is kept. */
void log_write(enum log_level level, const struct log_about *about, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with ": " and strerror(errno) behind it; returns -1: `return log_errno(...)` reads well. */
int log_errno(enum log_level level, const struct log_about *about, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "error" ... "debug" and back; log_parse_level is false for an unknown word. */
const char *log_level_name(enum log_level level);
bool log_parse_level(const char *name, enum log_level *level);

#endif
