/* SPDX-License-Identifier: BSD-2-Clause */
/* A generation: one configuration, and everything that was made for it: pools, listening sockets, log files, workers.
 * The daemon starts with one.  A reload makes another beside it, and when that is whole the old one goes.
 *
 *   STARTING --(all workers ready: listen_succeed)--> SERVING --(a newer one serves)--> LEAVING --(empty)--> freed
 *       \________________________ something failed ________________________________________^
 */
#ifndef DAEMON_GENERATION_H
#define DAEMON_GENERATION_H

#include <stdbool.h>
#include <time.h>

#include "base/list.h"
#include "conf/conf.h"
#include "daemon/crew.h"
#include "daemon/listen.h"
#include "daemon/logger.h"
#include "daemon/logger_desk.h"
#include "daemon/pool.h"
#include "daemon/priv.h"
#include "daemon/report.h"

enum {
    /* Workers end by themselves at `timeouts.drain`; who is still there so long after that hangs. */
    GENERATION_GRACE_MS = 2000
};

enum generation_phase {
    GENERATION_STARTING,                /* not all workers have been ready yet */
    GENERATION_SERVING,                 /* who dies is started again */
    GENERATION_LEAVING                  /* all were told to drain */
};

struct generation {
    struct list           siblings;     /* all generations, the oldest first */
    unsigned              number;       /* from 1 */
    enum generation_phase phase;
    bool                  failed;       /* it never served */
    bool                  stranded;     /* ... and sockets that it has alone are still open: connections may wait there */
    struct conf          *conf;
    struct priv           priv;
    struct logger         logger;
    struct report        *report;       /* what went wrong while it started */
    int                   access_fd;    /* -1: no access log, or it is the journal */
    struct logger_desk   *desk;
    int                   target;       /* of its lines and access lines; -1: none yet */
    struct pool_set       pools;
    struct listen_set     listens;
    struct shared         notes;        /* what its workers have said */
    struct crew           crew;
    struct crew           leaving;      /* processes that make place for others of this crew, and the time they have is
                                         * each one's own */
    uint64_t              began_ms;
    time_t                began_s;      /* the same by the clock on the wall */
};

/* What it is made with. */
struct generation_sources {
    struct listen_sources listens;
    struct ledger         *ledger;
    struct logger_desk    *desk;
    int                   lobby;        /* where its workers leave connections for the next daemon; -1: there will be none */
    unsigned long         descriptors;  /* that a process may have */
    void                (*abandon)(void *arg, const struct listen_set *kept);
    void                 *abandon_arg;
};

/* With a configuration, which is taken over, and an empty report.  NULL with errno, and then nothing was taken. */
struct generation *generation_new(unsigned number, struct conf *taken);

/* Opens everything; nobody is started.  -1 after complaining, in the log and, of what keeps the log from being
 * opened, to `complaints`.  What was opened by then is still there. */
int generation_open(struct generation *g, const struct generation_sources *from, FILE *complaints);

/* What all its workers are told, once everything else is there. */
void generation_equip(struct generation *g, const struct generation_sources *from, unsigned connections_max);

/* Closes and frees it; no worker may live. */
void generation_free(struct generation *g);

/* In a worker: closes what is not its own; `kept` is left alone. */
void generation_abandon(struct generation *g, const struct listen_set *kept);

/* May the worker in this place start now?  In each pool the first one goes ahead, and before it those of the earlier
 * pools: what fails in one would fail in those behind it, and is said once. */
bool generation_may_start(const struct generation *g, unsigned at);

unsigned generation_alive(const struct generation *g);

/* Nobody lives, and nothing of its is left for others. */
bool generation_is_over(const struct generation *g);
bool generation_is_ready(const struct generation *g);
void generation_tell(struct generation *g, const struct channel_message *m);

/* Everybody is to go. */
void generation_drain(struct generation *g, enum channel_drain how, uint64_t now_ms);

/* ... at once. */
void generation_hurry(struct generation *g, uint64_t now_ms);
void generation_kill(struct generation *g);

/* ", model epoll", or of several pools "; main: 2 of 2, model epoll; trial: ..." */
void generation_describe(const struct generation *g, char *text, size_t size);

/* Its model if it has only one, else NULL: for log lines. */
const char *generation_model(const struct generation *g);

#endif
