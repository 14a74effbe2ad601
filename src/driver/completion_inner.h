/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the completion driver share: its connections, its doors, its engine. */
#ifndef DRIVER_COMPLETION_INNER_H
#define DRIVER_COMPLETION_INNER_H

#include "driver/direct.h"
#include "driver/driver.h"
#include "driver/engine.h"
#include "driver/roster.h"
#include "driver/stage.h"
#include "driver/windows.h"

struct dial;

enum { COMPLETION_REPORTS = 256 };

/* The driver's part of a connection. */
struct flight {
    struct op recv, send;       /* send is a load while a piece of a file is fetched */
    struct direct_load load;
    size_t    asked;            /* bytes of the send in flight */
    bool      receiving, sending;
    bool      met;              /* something was received */
    bool      flowing;          /* the receive reports again and again, wanted or not */
    bool      stopping;         /* ... and was cancelled, since it is not wanted now */
    bool      shutting;         /* shut down to bring its operations back */
};

struct door {
    struct op              op;
    const struct listener *listener;
    bool                   accepting, cancelled;
    bool                   many;        /* ... goes on by itself, and takes all that waits */
    bool                   closed;      /* its listener: the worker is going */
};

struct completion {
    struct loop   *loop;
    struct env    *env;
    struct engine  engine;
    struct roster  roster;
    struct stage_pool stages;
    struct door   *doors;       /* by listener; one for datagrams stays shut */
    struct windows windows;
    unsigned       in_flight;   /* operations of doors, and to connect */
    unsigned       accepting;   /* of these, waiting for somebody */
    struct list    dials;       /* connections that are being made */
    bool           wide;        /* the limit is so far away that doors let in many at once */
    bool           draining, halting;
    bool           told;        /* every connection knows that the worker is going */
    int            failed;      /* errno of a wait that cannot work */
    struct done    reports[COMPLETION_REPORTS];
};

/* completion.c: a connection begins. */
void completion_begin(struct completion *k, const struct service *s, int fd, const struct peer *peer);

/* completion_dial.c: as loop.connect; one came back; all of them are to come back. */
void completion_dial(void *self, struct dial *d);
void dial_report(struct completion *k, const struct done *done);
void dials_cancel(struct completion *k);

/* A connection was shut down; a socket for datagrams does not end its operations when that happens. */
void dial_end(struct completion *k, struct conn *c);

/* completion_door.c: doors follow the house: open while there is a place, wide while there is room.  A door that is
 * open in the wrong way is shut, and opened again when it has come back. */
void doors_follow(struct completion *k);
void door_shut(struct completion *k, struct door *d);

/* An accept came back. */
void door_report(struct completion *k, const struct done *d);

/* Whoever waits is served, up to so many.  As loop.sweep. */
void doors_sweep(void *self, const struct listener *l, int from);

/* What waits in the backlog is served, unless others do, then nobody is let in. */
void doors_close(struct completion *k);

#endif
