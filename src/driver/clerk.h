/* SPDX-License-Identifier: BSD-2-Clause */
/* The datagrams of the model blocking: a thread for each socket, which waits in recvmsg(2), answers with sendmsg(2),
 * and waits again.  A clerk is no connection: there is one from the start to the end of the loop, whatever the limit. */
#ifndef DRIVER_CLERK_H
#define DRIVER_CLERK_H

#include <stdbool.h>

#include "driver/driver.h"

struct clerks {
    struct clerk *v;
    unsigned      count;
    int           wake_signal;
};

/* Starts one for each listener for datagrams; -1 with errno, and then none runs.  wake_signal has a handler that does
 * nothing but interrupt calls. */
int clerks_start(struct clerks *c, const struct loop *l, int wake_signal);

/* In the main thread: answers what waits in another socket. */
void clerks_sweep(struct loop *l, const struct listener *one, int fd);

/* Ends them, closes their sockets.  With a loop that drains, what waits there is answered before, where the loop is to
 * do so; NULL: nothing is. */
void clerks_end(struct clerks *c, const struct loop *properly);

#endif
