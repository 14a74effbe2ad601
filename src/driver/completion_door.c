/* SPDX-License-Identifier: BSD-2-Clause */
/* The doors of the completion driver: a listener each, with an accept in flight while there is a place in the house. */
#include <errno.h>
#include <sys/socket.h>

#include "driver/completion_inner.h"
#include "driver/sock.h"

enum {
    WIDE_MIN = 128,             /* a smaller limit of connections is kept to the letter: they are let in one by one */
    NARROW_SHARE = 8,           /* doors are counted in shares of the limit: with less room than so many eighths */
    NARROW_BELOW = 2,           /* one is let in at a time; */
    WIDE_FROM = 3               /* from so many on as many as come */
};

static void door_open(struct completion *k, struct door *d)
{
    if (d->accepting || d->listener->datagram)
        return;
    d->accepting = true;
    d->cancelled = false;
    d->many = k->wide;
    k->accepting++;
    k->in_flight++;
    k->engine.ops->accept(&k->engine, &d->op, d->listener->fd, d->many);
}

void door_shut(struct completion *k, struct door *d)
{
    if (!d->accepting || d->cancelled)
        return;
    d->cancelled = true;
    k->engine.ops->cancel(&k->engine, &d->op);
}

/* For ever, once nothing is in flight on the listener. */
static void door_close(struct completion *k, struct door *d)
{
    if (d->accepting || d->closed)
        return;
    d->closed = true;
    k->engine.ops->close_fd(&k->engine, d->listener->fd);
}

/* Nobody can be asked to stop in the middle of a queue.  So while the limit is near, each door lets in one at a time;
 * what was let in before that is served, and the limit may be exceeded by what waited in the queues of the listeners
 * at that moment, less the room that was kept. */
static void width_follow(struct completion *k)
{
    unsigned max = k->loop->connections_max, share = max / NARROW_SHARE;
    unsigned room = max > k->roster.count ? max - k->roster.count : 0;
    if (max < WIDE_MIN || room < NARROW_BELOW * share)
        k->wide = false;
    else if (room >= WIDE_FROM * share)
        k->wide = true;
}

void doors_follow(struct completion *k)
{
    width_follow(k);
    for (unsigned i = 0; i < k->loop->listener_count; i++) {
        struct door *d = &k->doors[i];
        bool place = !k->draining && roster_has_place(&k->roster, d->listener);
        place && (!d->accepting || d->many == k->wide) ? door_open(k, d) : door_shut(k, d);
    }
}

void doors_sweep(void *self, const struct listener *l, int from)
{
    struct completion *k = self;
    struct peer peer;
    int fd, room = l->datagram ? 0 : ROSTER_LAST_ACCEPTS;
    windows_sweep(&k->windows, l, from);
    while (room-- > 0 && k->roster.count < k->loop->connections_max && (fd = sock_accept(from, SOCK_CLOEXEC, &peer)) != -1)
        completion_begin(k, l->service, fd, &peer);
}

/* An accept that is called back may have been told of somebody whom nobody else was told of: the kernel wakes only one
 * of those who wait on a socket. */
static void door_glean(struct completion *k, struct door *d)
{
    if (!d->accepting && !d->closed && !k->halting)
        doors_sweep(k, d->listener, d->listener->fd);
    door_close(k, d);
}

void door_report(struct completion *k, const struct done *d)
{
    struct door *door = d->op->owner;
    if (!d->more) {
        door->accepting = false;
        k->accepting--;
        k->in_flight--;
    }
    if (k->draining)
        door_glean(k, door);
    if (d->result >= 0 && k->halting) {
        k->engine.ops->close_fd(&k->engine, d->result);
    } else if (d->result >= 0) {
        roster_accepted(&k->roster);
        completion_begin(k, door->listener->service, d->result, &d->peer);
    } else if (d->result != -ECANCELED) {
        (void)roster_accept_failed(&k->roster, door->listener, -d->result);
    }
}

static void door_sweep(struct completion *k, struct door *d)
{
    if (listener_sweeps(k->loop, d->listener))
        doors_sweep(k, d->listener, d->listener->fd);
    door_shut(k, d);
    door_close(k, d);
}

void doors_close(struct completion *k)
{
    for (unsigned i = 0; i < k->loop->listener_count; i++)
        if (!k->loop->listeners[i].datagram)
            door_sweep(k, &k->doors[i]);
    windows_end_datagrams(&k->windows, k->loop);
}
