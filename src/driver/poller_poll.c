/* SPDX-License-Identifier: BSD-2-Clause */
/* poll(2): one array says for each descriptor what to wait for, and the kernel writes beside it what happened.
 * The whole array goes into the kernel and is walked there and here at every call, so the cost of a wait grows with
 * all connections, not with the active ones. */
#include <poll.h>
#include <stdlib.h>

#include "driver/poller.h"
#include "driver/poller_table.h"

#ifndef POLLRDHUP
#define POLLRDHUP 0             /* then a short read proves nothing: see short_read below */
#endif

struct poll_self {
    struct pollfd *fds;         /* dense */
    int           *place;       /* of a descriptor in fds */
    uint32_t      *generations; /* beside fds */
    int            count;
    int            next;        /* where to look first: who is late in the array must not starve */
};

static void po_close(struct poller *p)
{
    struct poll_self *s = p->self;
    free(s->fds);
    free(s->place);
    free(s->generations);
    free(s);
}

static int po_open(struct poller *p)
{
    struct poll_self *s = calloc(1, sizeof *s);
    size_t max = (size_t)p->fds_max;
    if (s == NULL)
        return -1;
    p->self = s;
    s->fds = malloc(max * sizeof *s->fds);
    s->place = malloc(max * sizeof *s->place);
    s->generations = malloc(max * sizeof *s->generations);
    if (s->fds == NULL || s->place == NULL || s->generations == NULL) {
        po_close(p);
        return -1;
    }
    return 0;
}

static int po_add(struct poller *p, int fd, uint32_t generation)
{
    struct poll_self *s = p->self;
    s->fds[s->count] = (struct pollfd){ .fd = fd };
    s->generations[s->count] = generation;
    s->place[fd] = s->count++;
    return 0;
}

/* A negative descriptor is skipped by the kernel: else POLLHUP and POLLERR would be reported for ever to somebody who
 * wants nothing now. */
static void po_arm(struct poller *p, int fd, uint32_t generation, unsigned can)
{
    struct poll_self *s = p->self;
    struct pollfd *f = &s->fds[s->place[fd]];
    (void)generation;
    f->fd = can != 0 ? fd : -1 - fd;
    f->events = (short)((can & CAN_READ ? POLLIN | POLLRDHUP : 0) | (can & CAN_WRITE ? POLLOUT : 0));
}

static int po_owner(const struct pollfd *f)
{
    return f->fd >= 0 ? f->fd : -1 - f->fd;
}

static void po_remove(struct poller *p, int fd, bool closing)
{
    struct poll_self *s = p->self;
    int hole = s->place[fd], last = --s->count;
    (void)closing;
    s->fds[hole] = s->fds[last];
    s->generations[hole] = s->generations[last];
    s->place[po_owner(&s->fds[hole])] = hole;
}

static unsigned po_can(short e)
{
    return (e & (POLLIN | POLLRDHUP | POLLERR | POLLHUP) ? CAN_READ : 0u) |
           (e & (POLLOUT | POLLERR | POLLHUP) ? CAN_WRITE : 0u) |
           (e & (POLLRDHUP | POLLERR | POLLHUP) ? PEER_GONE : 0u);
}

static int po_wait(struct poller *p, struct ready *out, int max, int timeout_ms)
{
    struct poll_self *s = p->self;
    p->calls++;
    int left = poll(s->fds, (nfds_t)s->count, timeout_ms), n = 0;
    if (left < 0)
        return -1;
    for (int i = 0; i < s->count && left > 0 && n < max; i++) {
        int at = (s->next + i) % s->count;
        const struct pollfd *f = &s->fds[at];
        if (f->fd < 0 || f->revents == 0)
            continue;
        out[n++] = (struct ready){ .fd = f->fd, .can = po_can(f->revents), .generation = s->generations[at] };
        if (n == max)
            s->next = at + 1;
        left--;
    }
    return n;
}

const struct poller_ops poller_poll = {
    .name = "poll", .edge = false, .short_read = POLLRDHUP != 0,
    .open = po_open, .add = po_add, .arm = po_arm, .remove = po_remove, .wait = po_wait, .close = po_close,
};
