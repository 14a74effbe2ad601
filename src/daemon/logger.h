/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the log lines of a process go: into its ring, from which the logger (daemon/logger_process) writes them to stderr,
 * a file, or the journal.  Without a ring they are written at once: when the daemon starts, and what is urgent.  Gives
 * base/log its sink. */
#ifndef DAEMON_LOGGER_H
#define DAEMON_LOGGER_H

#include <stdbool.h>
#include <stdio.h>

#include "base/metric.h"
#include "base/ring.h"
#include "conf/conf.h"
#include "daemon/logger_rings.h"
#include "daemon/report.h"

struct logger {
    struct ring     *ring;      /* this process's; NULL: lines are written at once */
    uint32_t         target;    /* of what is put into it */
    uint64_t        *dropped;   /* a counter of lines for which it had no room; NULL: nobody counts */
    enum logger_form form;
    int              fd;        /* where lines are written at once */
    const char      *path;      /* a file that can be opened again; NULL: stderr or the journal */
    enum log_level   level;     /* the least important that is written */
    bool             starting;  /* errors go to stderr too: whoever starts the daemon is looking there */
    struct report   *report;    /* NULL: nobody gathers errors */
};

/* For conf_read: can a log go to this target in this build? */
bool logger_check(const char *target, char *why, size_t why_size);

/* Opens the log of the configuration, which must outlive the logger.  -1 after complaining. */
int logger_open(struct logger *l, const struct conf *c, FILE *complaints);

/* Log lines of this process go there from now on: the logger must not move. */
void logger_use(struct logger *l);

/* stderr, in a way that never waits for who reads it. */
int logger_stderr(void);

/* Nobody may use it any more. */
void logger_close(struct logger *l);

/* Writes a line at once, past the ring, from a signal handler too; where lines go to the journal, to stderr. */
void logger_urgent(const struct logger *l, enum log_level level, struct span line);

/* Opens the file, if there is one, anew after it was renamed; -1 with errno, and the old one stays. */
int logger_reopen(struct logger *l);

/* Goes on with this descriptor, which is taken over. */
void logger_adopt(struct logger *l, int taken);

/* Makes `fd` name what `taken` does.  The number stays, so nobody who knows it must be told. */
void logger_replace(int fd, int taken);

/* A file to append lines to, made when it is not there, readable by its owner and group; -1 with errno. */
int logger_file(const char *path);

#endif
