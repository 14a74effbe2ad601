/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the driver for readiness share: readiness.c (connections, listeners, the loop) and readiness_load.c
 * (output whose bytes must be fetched first). */
#ifndef DRIVER_READINESS_INNER_H
#define DRIVER_READINESS_INNER_H

#include "driver/direct.h"
#include "driver/poller.h"
#include "driver/roster.h"
#include "driver/sock.h"
#include "driver/sock_datagram.h"
#include "driver/stage.h"
#include "driver/warm.h"

enum {
    READINESS_SCRATCH = 64 * 1024,      /* bytes of one receive */
    READINESS_HINTS = 512
};

/* The driver's part of a connection. */
struct half {
    struct list  again;
    struct conn *conn;
    bool can_read, can_write;
    bool gone;                  /* the peer shut down or broke: a short read proves nothing */
    bool added;                 /* the poller knows it */
    bool warming;               /* parked until a helper has read the next file range */
    bool warmed;                /* just read: send it without asking again */
    bool loading;               /* warming, into load.stage */
    struct direct_load load;    /* of a file that is read past the page cache */
    unsigned armed;             /* what a level-triggered poller was asked to report */
};

enum slot_kind { SLOT_FREE, SLOT_CONN, SLOT_LISTENER, SLOT_DATAGRAM, SLOT_WATCH, SLOT_WARM };

struct slot {
    enum slot_kind kind;
    unsigned       index;       /* of the listener or watch */
    struct conn   *conn;
};

/* The driver's part of a listener. */
struct doorway {
    bool pending;               /* its socket has not said EAGAIN yet */
    bool armed;                 /* a level-triggered poller is asked to report it */
};

struct readiness {
    struct loop   *loop;
    struct env    *env;
    struct poller  poller;
    struct roster  roster;
    struct warm   *warm;
    struct stage_pool stages;   /* where helpers load files that are read past the page cache */
    struct slot   *slots;       /* by descriptor */
    struct sock_batch *batch;   /* NULL: no listener is for datagrams */
    struct doorway *doorways;   /* by listener */
    bool           draining;
    int            failed;      /* errno of a wait that cannot work */
    struct list    again;       /* stopped on their budget, not on EAGAIN */
    struct ready   hints[READINESS_HINTS];
    char           scratch[READINESS_SCRATCH];    /* input is lent from here */
};

static inline struct half *half_of(struct conn *c)
{
    return conn_driver_part(c);
}

/* The next range of a file is not in the page cache: parked until a helper has read it. */
void half_await_cache(struct readiness *r, struct conn *c);

/* It is to be read past the page cache: a helper loads the next piece, which is then sent by the last of these; where no
 * helper can be had the loop waits. */
void half_await_load(struct readiness *r, struct conn *c);
enum sock_flushed half_load_flush(struct readiness *r, struct conn *c);

/* A helper has answered; the connection is pumped next. */
void half_loaded(struct readiness *r, struct conn *c, ssize_t result);

#endif
