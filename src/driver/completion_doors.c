/* SPDX-License-Identifier: BSD-2-Clause */
/* Doors: the operations that accept, opened and shut as the house fills, and what becomes of who comes in. */
#include <errno.h>
#include <stdlib.h>
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

static void door_shut(struct completion *k, struct door *d)
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

/* Doors follow the house: open while there is a place, wide while there is room.  A door that is open in the wrong way
 * is shut, and opened again when it has come back. */
void doors_follow(struct completion *k)
{
    width_follow(k);
    for (unsigned i = 0; i < k->loop->listener_count; i++) {
        struct door *d = &k->doors[i];
        bool place = !k->draining && roster_has_place(&k->roster, d->listener);
        place && (!d->accepting || d->many == k->wide) ? door_open(k, d) : door_shut(k, d);
    }
}

static void flight_seat(struct completion *k, struct conn *c)
{
    struct flight *f = flight_of(c);
    f->recv = (struct op){ .kind = OP_RECV, .owner = c };
    f->send = (struct op){ .kind = OP_SEND, .owner = c };
    k->told = false;            /* when the worker is going: this one has to hear of it yet */
    flight_advance(k, c);
}

static void flight_begin(struct completion *k, const struct listener *l, int fd, const struct peer *peer)
{
    (void)roster_yield(&k->roster);     /* its receive comes back with the end */
    struct conn *c = conn_new(k->env, l->service, fd, peer, sizeof(struct flight));
    if (c == NULL) {
        k->env->count.refused++;
        k->engine.ops->close_fd(&k->engine, fd);
        return;
    }
    roster_add(&k->roster, c);
    flight_seat(k, c);
}

/* An engine that carries no more tells so, as a full house would. */
void flights_adopt(void *self, const struct service *s, int taken, const struct parcel *p)
{
    struct completion *k = self;
    const struct span words = s->proto->refusal;
    struct conn *c = NULL;
    if (k->engine.ops->adopted != NULL)
        k->engine.ops->adopted(&k->engine);
    bool room = k->roster.count < k->engine.connections_max;
    if (room && sock_adopt(taken, SOCK_BLOCKS) == 0)
        c = conn_unpack(k->env, s, taken, p, sizeof(struct flight));
    if (c == NULL) {
        k->env->count.refused++;
        if (!room && words.n > 0)
            (void)send(taken, words.p, words.n, MSG_DONTWAIT | MSG_NOSIGNAL);
        k->engine.ops->close_fd(&k->engine, taken);
        return;
    }
    roster_adopt(&k->roster, c);
    flight_seat(k, c);
}

/* Whoever waits is served, up to so many. */
void flights_sweep(void *self, const struct listener *l, int from)
{
    struct completion *k = self;
    struct peer peer;
    int fd, room = l->datagram ? 0 : ROSTER_LAST_ACCEPTS;
    windows_sweep(&k->windows, l, from);
    while (room-- > 0 && k->roster.count < k->loop->connections_max && (fd = sock_accept(from, SOCK_CLOEXEC, &peer)) != -1)
        flight_begin(k, l, fd, &peer);
}

/* An accept that is called back may have been told of somebody whom nobody else was told of: the kernel wakes only one
 * of those who wait on a socket. */
static void door_glean(struct completion *k, struct door *d)
{
    if (!d->accepting && !d->closed && !k->halting)
        flights_sweep(k, d->listener, d->listener->fd);
    door_close(k, d);
}

void doors_report(struct completion *k, const struct done *d)
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
        flight_begin(k, door->listener, d->result, &d->peer);
    } else if (d->result != -ECANCELED) {
        (void)roster_accept_failed(&k->roster, door->listener, -d->result);
    }
}

static void door_sweep(struct completion *k, struct door *d)
{
    if (listener_sweeps(k->loop, d->listener))
        flights_sweep(k, d->listener, d->listener->fd);
    door_shut(k, d);
    door_close(k, d);
}

/* What waits in the backlog is served, unless others do, then nobody is let in. */
void doors_close(struct completion *k)
{
    for (unsigned i = 0; i < k->loop->listener_count; i++)
        if (!k->loop->listeners[i].datagram)
            door_sweep(k, &k->doors[i]);
    windows_end_datagrams(&k->windows, k->loop);
}

int doors_open(struct completion *k)
{
    const struct loop *l = k->loop;
    k->doors = calloc(l->listener_count + 1, sizeof *k->doors);
    if (k->doors == NULL)
        return -1;
    for (unsigned i = 0; i < l->listener_count; i++) {
        k->doors[i].op = (struct op){ .kind = OP_ACCEPT, .owner = &k->doors[i] };
        k->doors[i].listener = &l->listeners[i];
    }
    return 0;
}

void doors_shut(struct completion *k)
{
    for (unsigned i = 0; i < k->loop->listener_count; i++)
        door_shut(k, &k->doors[i]);
}
