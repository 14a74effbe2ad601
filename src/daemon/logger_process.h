/* SPDX-License-Identifier: BSD-2-Clause */
/* The logger: one process that writes what all others log.  It lives as long as somebody logs, over all reloads. */
#ifndef DAEMON_LOGGER_PROCESS_H
#define DAEMON_LOGGER_PROCESS_H

#include <signal.h>

#include "conf/conf.h"
#include "daemon/logger_rings.h"
#include "daemon/priv.h"

/* What it is told by the master that forked it. */
struct logger_start {
    struct logger_rings rings;          /* the file is its own from now on; the rest is mapped anew */
    int                 channel;        /* its end */
    int                 bell;           /* to read from: somebody put a record; the end of all others: nobody will */
    int                 errors;         /* where it says what cannot be logged */
    const struct priv  *priv;
    enum conf_sandbox   sandbox;
    const sigset_t     *signals_before; /* all signals are held back over fork; this is to rule again */
};

/* Its whole life, in the process that was forked for it; returns its exit status. */
int logger_process_run(const struct logger_start *start);

#endif
