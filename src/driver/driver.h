/* SPDX-License-Identifier: BSD-2-Clause */
/* A driver moves bytes between sockets and connections.  It is given a loop: listeners, descriptors to watch
 * for the daemon, limits; and runs it in its own natural way until it is told to end. */
#ifndef DRIVER_DRIVER_H
#define DRIVER_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/census.h"
#include "core/conn.h"
#include "core/env.h"
#include "core/parcel.h"

struct dial;

/* A listening socket of this worker, or a socket for datagrams; non-blocking. */
struct listener {
    int                   fd;
    bool                  datagram;     /* served by service->datagram */
    const struct service *service;
    const char           *text;         /* as configured, for log lines */
    const bool           *gone;         /* others write it: nobody else accepts here; NULL: nobody ever does */
};

/* A descriptor that the daemon wants to hear of: its channel to the master, its signal pipe. */
struct watch {
    int      fd;
    void   (*readable)(void *arg);      /* called by the loop's main thread; reads until EAGAIN, or says loop.unread, or ... */
    void    *arg;
    uint64_t again_ms;                  /* ... sets this, and loop.paused: what is there cannot be read now, and nobody is to
                                         * say so before that time; 0: it can; UINT64_MAX: it never will be */
    bool     hushed;                    /* the driver's: it does not listen to it now */
};

enum loop_phase {
    LOOP_RUN,                           /* serving */
    LOOP_DRAIN,                         /* serve what waits in the backlog, unless others do, close the listeners, finish
                                         * what is there, then end */
    LOOP_HALT                           /* end at once */
};

struct loop {
    struct env            *env;
    const struct listener *listeners;
    unsigned               listener_count;
    struct watch          *watches;
    unsigned               watch_count;
    unsigned               connections_max;
    unsigned               poll_interval_us;    /* nonblocking: the pause between sweeps over all sockets */
    enum loop_phase        phase;               /* set by watches */
    bool                   passed;              /* LOOP_DRAIN: others accept on the listeners that are not gone */
    bool                   reclaim;             /* set by watches: somebody else had taken the listeners' signals */
    bool                   unread;              /* set by watches: one stopped before EAGAIN; all are called again */
    bool                   paused;              /* set by watches: one of them is not to be called for a while */
    bool                   review;              /* set by watches, LOOP_DRAIN: who has heirs is to be found out again */
    uint64_t               drain_deadline_ms;   /* LOOP_DRAIN becomes LOOP_HALT then */
    void                 (*ready)(void *arg);   /* called once, when the loop accepts connections, */
    void                 (*shut)(void *arg);    /* and once, when it drains and accepts no more; NULL: nobody asks */
    void                 (*rest)(void *arg);    /* called before each wait; NULL: nobody asks */
    void                  *arg;
    bool                   dials;               /* connections are made: what that needs is allowed */

    /* The driver's, for watches to call while it runs. */
    void                 (*survey)(void *surveyed, struct census *c);   /* lists all connections */
    void                  *surveyed;
    void                  *self;
    void                 (*sweep)(void *self, const struct listener *l, int fd);    /* serves what waits on another
                                                         * socket as if it were that of l, once; fd stays the caller's */
    void                 (*adopt)(void *self, const struct service *s, int taken, const struct parcel *p);
                                                        /* goes on with a connection of another worker */
    bool                 (*holds)(void *self);          /* it could not now, so let them wait; NULL: it always can */
    void                 (*connect)(void *self, struct dial *d);    /* makes a connection (driver/dial.h) */
    void                 (*wake)(void *self, struct conn *c);       /* it has something to say unasked; it may be gone
                                                         * behind this.  NULL: it has a thread, and wakes by itself */
};

/* Is this one not to be listened to now? */
static inline bool watch_pauses(const struct watch *w)
{
    return w->again_ms != 0;
}

/* Are connections of other workers to wait where they are? */
static inline bool loop_holds(const struct loop *l)
{
    return l->holds != NULL && l->holds(l->self);
}

/* Calls all, or only those whose pause is over. */
static inline void loop_call_watches(struct loop *l, bool all)
{
    for (unsigned i = 0; i < l->watch_count; i++) {
        struct watch *w = &l->watches[i];
        bool due = w->again_ms != 0 && w->again_ms <= l->env->now_ms;
        if (!due && (!all || w->again_ms != 0))
            continue;
        w->again_ms = 0;
        w->readable(w->arg);
    }
}

/* For drivers, in each turn. */
static inline void loop_read_on(struct loop *l)
{
    bool all = l->unread;
    if (!all && !l->paused)
        return;
    l->unread = false;
    loop_call_watches(l, all);
}

/* For drivers, behind loop_read_on while loop.paused, when they have stopped to listen to those that pause and listen to
 * the others: is somebody still to be called later? */
static inline void loop_paused_on(struct loop *l)
{
    l->paused = false;
    for (unsigned i = 0; i < l->watch_count; i++)
        l->paused |= watch_pauses(&l->watches[i]);
}

/* For drivers that drain, when all listeners are closed. */
static inline void loop_tell_shut(struct loop *l)
{
    void (*shut)(void *arg) = l->shut;
    l->shut = NULL;
    if (shut != NULL)
        shut(l->arg);
}

/* Is what waits on a listener this worker's to serve when it goes? */
static inline bool listener_sweeps(const struct loop *l, const struct listener *one)
{
    return l->phase == LOOP_DRAIN && (!l->passed || one->gone == NULL || *one->gone);
}

/* For drivers, before each wait. */
static inline void loop_tell_rest(const struct loop *l)
{
    if (l->rest != NULL)
        l->rest(l->arg);
}

struct driver {
    const char *name;
    /* Runs until the phase says otherwise and everything is given back; 0, or -1 with errno when it cannot
     * start.  `ops` is the model's poller or engine, or NULL. */
    int (*run)(struct loop *l, const void *ops);
};

#endif
