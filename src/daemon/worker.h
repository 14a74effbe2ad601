/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker: one process with one I/O loop and its own listening sockets. */
#ifndef DAEMON_WORKER_H
#define DAEMON_WORKER_H

#include <signal.h>

#include "base/metric.h"
#include "conf/conf.h"
#include "daemon/listen.h"
#include "daemon/logger.h"
#include "daemon/logger_desk.h"
#include "daemon/pool.h"
#include "daemon/priv.h"

struct ledger;

/* What a worker is told by the master that forked it. */
struct worker_start {
    const struct conf   *conf;
    const struct priv   *priv;
    const struct pool   *pool;
    const char          *name;          /* "main.0" */
    struct logger       *logger;
    struct listen_set   *listens;
    unsigned             index;         /* its number, for its sockets in `listens` */
    bool                 again;         /* another process has been this worker before */
    unsigned             connections_max;
    struct metric_slot  *slot;
    const struct ledger *ledger;        /* that the slot is in, */
    int                  ledger_slot;   /* and its number */
    unsigned             generation;    /* that the worker is of */
    struct logger_desk  *desk;          /* the master's, to be entered */
    bool                *notes;         /* service_notes_size; shared by its workers */
    int                  channel;       /* its end */
    int                  inbox;         /* where connections of other workers come in */
    int                  lobby;         /* where it leaves connections for the next daemon; -1: there will be none */
    void               (*abandon)(void *arg, const struct listen_set *kept);    /* closes what is the master's alone */
    void                *abandon_arg;
    const sigset_t      *signals_before;/* all signals are held back over fork; this is to rule again */
};

/* The whole life of a worker, in the process that was forked for it; returns its exit status: 0, or 1 after
 * logging what went wrong. */
int worker_run(const struct worker_start *start);

#endif
