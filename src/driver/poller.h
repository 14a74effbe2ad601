/* SPDX-License-Identifier: BSD-2-Clause */
/* A poller says who may be ready.  Its answer is a hint: it may be wrong, never missing; what was ready when it was
 * added is hinted at in the next wait.  Pollers differ by two words and nothing else:
 *
 *   edge        hints come unasked, once for each change; arm is never called
 *   short_read  a read that came back short proves the socket empty, unless PEER_GONE was hinted
 */
#ifndef DRIVER_POLLER_H
#define DRIVER_POLLER_H

#include <stdbool.h>
#include <stdint.h>

enum { CAN_READ = 1, CAN_WRITE = 2, PEER_GONE = 4 };

enum { ANY_GENERATION = 0 };    /* in a hint: the kernel cannot tell which user of the descriptor it means */

struct ready {
    int      fd;
    unsigned can;
    uint32_t generation;        /* as given to add, or ANY_GENERATION */
};

struct poller {
    const struct poller_ops *ops;
    void *self;
    int   fds_max;              /* descriptors are below this */
    uint64_t calls;             /* system calls that it has made; the driver takes them */
    unsigned interval_us;       /* of a poller that does not wait: its pause between sweeps */
};

struct poller_ops {
    const char *name;
    bool   edge, short_read;
    int  (*open)(struct poller *p);                                 /* -1 with errno */
    int  (*add)(struct poller *p, int fd, uint32_t generation);     /* -1 with errno; armed for nothing */
    void (*arm)(struct poller *p, int fd, uint32_t generation, unsigned can);   /* level pollers: report exactly this */
    /* Before close(2); `closing`: it follows at once and ends the socket, nobody holds a duplicate. */
    void (*remove)(struct poller *p, int fd, bool closing);
    /* Waits at most timeout_ms (-1: for ever, 0: not at all) for hints; 0 or more, -1 with errno (EINTR). */
    int  (*wait)(struct poller *p, struct ready *out, int max, int timeout_ms);
    void (*reclaim)(struct poller *p);  /* optional: another process has had the hints of some sockets, and is gone */
    void (*close)(struct poller *p);
};

#endif
