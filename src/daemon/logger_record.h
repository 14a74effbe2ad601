/* SPDX-License-Identifier: BSD-2-Clause */
/* A log line as a record in a ring. */
#ifndef DAEMON_LOGGER_RECORD_H
#define DAEMON_LOGGER_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "base/ring.h"

enum { LOG_RECORD = 2 };                /* its kind; another layout needs another number */

/* Puts a line that is to go to this target.  False: there was no room. */
bool logger_record_put(struct ring *r, uint32_t target, enum log_level level, const struct log_about *about,
                       struct span line);

/* A line as it came out of a ring. */
struct logger_record {
    uint32_t         target;
    enum log_level   level;
    uint64_t         when_ms;           /* by the clock on the wall */
    struct log_about about;             /* in the bytes that were given, */
    struct span      line;              /* and this too */
};

/* Reads one out of bytes, which must stay.  False: it is none. */
bool logger_record_read(struct logger_record *r, const char *bytes, size_t n);

#endif
