/* SPDX-License-Identifier: BSD-2-Clause */
/* Connections that a loop makes, instead of accepting them: for programs that ask. */
#ifndef DRIVER_DIAL_H
#define DRIVER_DIAL_H

#include <sys/socket.h>

#include "base/list.h"
#include "core/conn.h"
#include "driver/engine.h"

/* Handed to loop.connect, and the driver's until `over` is called.  When the connection is there its service hears of
 * it as of one that was accepted. */
struct dial {
    struct service         service;     /* its `dial` is this one */
    const struct sockaddr *to, *from;   /* from == NULL: whichever address the kernel takes */
    socklen_t              to_size, from_size;
    int                    type;        /* SOCK_STREAM; SOCK_DGRAM: each send is a datagram, each receive another */
    unsigned               attempts;    /* SYNs that are sent again before it fails; 0: as many as the system does */

    /* The connection could not be made (errno), or it was made and is gone (0).  Not from within loop.connect on models
     * with one thread, but for want of descriptors or memory; on the model blocking from the connection's thread.  It
     * may not call loop.connect. */
    void                 (*over)(struct dial *d, int error);

    /* The driver's. */
    struct list siblings;
    struct op   op;
    int         fd;
};

/* A socket for it, with the flags of socket(2); -1 with errno. */
int dial_socket(const struct dial *d, int flags);

/* Is it connected?  Starts it, or asks again: 0, or -1 with errno, which is EINPROGRESS while it is under way. */
int dial_connect(const struct dial *d, int fd);

struct peer dial_peer(const struct dial *d);

/* A connection of this service is gone, or was never made. */
static inline void dial_tell_over(const struct service *s, int error)
{
    if (s->dial != NULL)
        s->dial->over(s->dial, error);
}

#endif
