/* SPDX-License-Identifier: BSD-2-Clause */
/* A poller that a test scripts.  Each wait of the driver calls `step`, which moves the peers' ends of real
 * sockets, looks at what the driver has done, and says what to hint.  Whatever a driver may not ask of a
 * poller fails the test: to add twice, to arm or remove what was not added, to arm an edge-triggered one,
 * a wrong generation. */
#ifndef TESTS_FAKE_POLLER_H
#define TESTS_FAKE_POLLER_H

#include "driver/poller.h"

enum { FAKE_FDS = 8192, FAKE_HINTS = 64 };

struct fake_entry {
    bool     added;
    uint32_t generation;
    unsigned armed;
};

struct fake_poller {
    struct poller_ops ops;              /* given to the driver; first, so that open finds the fake */
    void            (*step)(struct fake_poller *f, int timeout_ms);
    void             *arg;
    int               open_errno;       /* the next open fails so */
    int               add_errno;        /* the next add of a connection fails so */
    int               wait_errno;       /* the wait whose step sets it fails so */

    struct fake_entry entries[FAKE_FDS];
    int               fds_max;
    int               last_added;       /* descriptor */
    int               timeout_ms;       /* of this wait */
    unsigned          conn_adds, conn_removes, arms, waits, idle_waits;
    bool              is_open;

    struct ready      hints[FAKE_HINTS];
    int               hint_count;
};

/* With the two words that pollers differ by. */
void fake_poller_make(struct fake_poller *f, bool edge, bool short_read);

/* From `step`: hint about a descriptor, with the generation that it was added with. */
void fake_hint(struct fake_poller *f, int fd, unsigned can);
void fake_hint_as(struct fake_poller *f, int fd, unsigned can, uint32_t generation);

#endif
