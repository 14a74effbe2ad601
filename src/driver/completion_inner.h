/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the driver for completion share: completion.c (connections, the loop) and completion_doors.c
 * (listeners and who comes in). */
#ifndef DRIVER_COMPLETION_INNER_H
#define DRIVER_COMPLETION_INNER_H

#include "driver/direct.h"
#include "driver/engine.h"
#include "driver/roster.h"
#include "driver/stage.h"
#include "driver/windows.h"

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
    unsigned       in_flight;   /* operations of doors */
    unsigned       accepting;   /* of these, waiting for somebody */
    bool           wide;        /* the limit is so far away that doors let in many at once */
    bool           draining, halting;
    bool           told;        /* every connection knows that the worker is going */
    int            failed;      /* errno of a wait that cannot work */
    struct done    reports[COMPLETION_REPORTS];
};

static inline struct flight *flight_of(struct conn *c)
{
    return conn_driver_part(c);
}

/* Starts whatever a connection can use now; false when it is gone. */
bool flight_advance(struct completion *k, struct conn *c);

int  doors_open(struct completion *k);

/* Doors follow the house: open while there is a place, wide while there is room. */
void doors_follow(struct completion *k);
void doors_report(struct completion *k, const struct done *d);

/* What waits in the backlog is served, unless others do, then nobody is let in. */
void doors_close(struct completion *k);

/* Accepts that are under way come back. */
void doors_shut(struct completion *k);

/* As in struct loop. */
void flights_sweep(void *self, const struct listener *l, int from);
void flights_adopt(void *self, const struct service *s, int taken, const struct parcel *p);

#endif
