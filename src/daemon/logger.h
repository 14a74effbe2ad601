/* SPDX-License-Identifier: BSD-2-Clause */
/* Where log lines go: stderr, a file, or the journal.  Gives base/log its sink. */
#ifndef DAEMON_LOGGER_H
#define DAEMON_LOGGER_H

#include <stdbool.h>
#include <stdio.h>

#include "conf/conf.h"
#include "daemon/report.h"

enum logger_form {
    LOGGER_DATED,               /* time and level before the text */
    LOGGER_PREFIXED,            /* <N> before the text: the reader adds the time (sd-daemon(3)) */
    LOGGER_JOURNAL              /* native entries with fields */
};

struct logger {
    enum logger_form form;
    int              fd;        /* where lines are written */
    const char      *path;      /* a file that can be opened again; NULL: stderr or the journal */
    enum log_level   level;     /* the least important that is written */
    bool             starting;  /* errors go to stderr too: whoever starts the daemon is looking there */
    struct report   *report;    /* NULL: nobody gathers errors */
};

/* For conf_read: can the log go to this target in this build? */
bool logger_check(const char *target, char *why, size_t why_size);

/* Opens the log of the configuration, which must outlive the logger.  -1 after complaining. */
int logger_open(struct logger *l, const struct conf *c, FILE *complaints);

/* Log lines of this process go there from now on: the logger must not move. */
void logger_use(struct logger *l);

/* Nobody may use it any more. */
void logger_close(struct logger *l);

/* Writes a line at once, from a signal handler too; where lines go to the journal, to stderr. */
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
