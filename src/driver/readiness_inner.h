/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the readiness driver share: its connections, its table of descriptors, its doorways. */
#ifndef DRIVER_READINESS_INNER_H
#define DRIVER_READINESS_INNER_H

#include "driver/direct.h"
#include "driver/driver.h"
#include "driver/poller.h"
#include "driver/roster.h"
#include "driver/stage.h"

enum {
    READINESS_ACCEPTS = 64,             /* per listener and wakeup */
    READINESS_SCRATCH = 64 * 1024,      /* bytes of one receive */
    READINESS_HINTS = 512
};

struct dial;
struct sock_batch;
struct warm;

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

enum slot_kind { SLOT_FREE, SLOT_CONN, SLOT_LISTENER, SLOT_DATAGRAM, SLOT_WATCH, SLOT_WARM, SLOT_DIAL };

struct slot {
    enum slot_kind kind;
    unsigned       index;       /* of the listener or watch */
    union {
        struct conn *conn;
        struct dial *dial;
    };
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
    struct list    dials;       /* connections that are being made */
    struct ready   hints[READINESS_HINTS];
    char           scratch[READINESS_SCRATCH];    /* input is lent from here */
};

/* readiness.c: a connection begins, and does all that can be done at once. */
void readiness_begin(struct readiness *r, const struct service *s, int fd, const struct peer *peer);

/* The same when the poller knows the descriptor, armed for CAN_WRITE. */
void readiness_begin_added(struct readiness *r, const struct service *s, int fd, const struct peer *peer);

/* The descriptor is in the table, and what can be read there is reported; -1 with errno. */
int  readiness_slot(struct readiness *r, int fd, enum slot_kind kind, unsigned index);

/* readiness_dial.c: as loop.connect; one of them may be connected; all of them are given up. */
void readiness_dial(void *self, struct dial *d);
void dial_hint(struct readiness *r, struct dial *d);
void dials_end(struct readiness *r);

/* readiness_door.c: listeners, by their index. */
int  doorway_open(struct readiness *r, unsigned index);
void doorway_accept(struct readiness *r, unsigned index, int budget);
void doorway_letters(struct readiness *r, unsigned index);

/* Can somebody be let in who has not been yet?  Datagrams need no place in the house. */
bool doorway_waits(struct readiness *r, unsigned index);

/* A level-triggered poller would report a listener that may not be used, again and again. */
void doorways_arm(struct readiness *r);

/* Whoever waits is served, whether there is a place or not, unless descriptors run out.  As loop.sweep. */
void doorway_sweep(void *self, const struct listener *l, int fd);

/* What waits on a listener is served, if nobody else does, then nobody is let in. */
void doorway_close(struct readiness *r, unsigned index);

#endif
