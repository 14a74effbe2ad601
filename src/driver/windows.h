/* SPDX-License-Identifier: BSD-2-Clause */
/* What a completion driver only watches, to read it itself: the descriptors of the daemon, and sockets for datagrams.
 * An engine is asked anew each time, so what a budget left unread is reported again. */
#ifndef DRIVER_WINDOWS_H
#define DRIVER_WINDOWS_H

#include <stdbool.h>

#include "driver/driver.h"
#include "driver/engine.h"

struct windows {
    struct env        *env;
    struct engine     *engine;
    struct window     *v;
    unsigned           count;
    unsigned           in_flight;       /* operations */
    struct sock_batch *batch;           /* NULL: there is no socket for datagrams */
};

/* Opens one for each watch and each listener for datagrams; -1 with errno. */
int windows_open(struct windows *w, const struct loop *l, struct engine *e);

/* An OP_WATCH came back. */
void windows_report(struct windows *w, const struct done *d);

/* While loop.paused: asks again for watches whose pause is over. */
void windows_resume(struct windows *w, struct loop *l);

/* Answers the datagrams that wait in a socket which is no window's, if it is for datagrams. */
void windows_sweep(struct windows *w, const struct listener *l, int fd);

/* Answers the datagrams that wait, unless others do, and closes their sockets. */
void windows_end_datagrams(struct windows *w, const struct loop *l);

/* Brings every operation back. */
void windows_shut(struct windows *w);

/* Before the engine is closed, when nothing is in flight; and behind that. */
void windows_forget(struct windows *w);
void windows_free(struct windows *w);

#endif
