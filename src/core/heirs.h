/* SPDX-License-Identifier: BSD-2-Clause */
/* Heirs: the workers that go on with the connections of one that goes.  Who they are is the daemon's affair; protocols
 * ask whether there are any, drivers hand connections over. */
#ifndef CORE_HEIRS_H
#define CORE_HEIRS_H

#include <stdbool.h>

struct conn;
struct service;

enum heir_answer {
    HEIR_TOOK,                  /* it is another process's now */
    HEIR_BUSY,                  /* not now: try again in a while */
    HEIR_NONE                   /* nobody takes it */
};

/* Threads may call these at the same time. */
struct heirs {
    bool patient;               /* atomic: others serve already, so who is idle need not be sent away */

    /* Is there anybody for connections of this service? */
    bool (*serve)(struct heirs *h, const struct service *s);

    /* Passes a connection that is portable, with its descriptor; the one that is here stays the caller's to close. */
    enum heir_answer (*take)(struct heirs *h, const struct conn *c, int fd);
};

#endif
