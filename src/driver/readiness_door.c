/* SPDX-License-Identifier: BSD-2-Clause */
/* The doorways of the readiness driver: its listeners, from which connections are accepted until one says EAGAIN or a
 * budget is used up, and its sockets for datagrams. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "driver/readiness_inner.h"
#include "driver/sock.h"
#include "driver/sock_datagram.h"

void doorway_accept(struct readiness *r, unsigned index, int budget)
{
    const struct listener *l = &r->loop->listeners[index];
    env_count_for(r->env, l->service->part);
    r->doorways[index].pending = true;  /* until accept says otherwise */
    while (budget-- > 0 && roster_has_place(&r->roster, l)) {
        struct peer peer;
        r->env->count.syscalls++;
        int fd = sock_accept(l->fd, SOCK_NONBLOCK | SOCK_CLOEXEC, &peer);
        if (fd == -1) {
            int error = errno;
            if (!roster_accept_failed(&r->roster, l, error))
                continue;
            r->doorways[index].pending = error != EAGAIN && error != EWOULDBLOCK;
            return;
        }
        roster_accepted(&r->roster);
        readiness_begin(r, l->service, fd, &peer);
    }
}

void doorway_letters(struct readiness *r, unsigned index)
{
    const struct listener *l = &r->loop->listeners[index];
    env_count_for(r->env, l->service->part);
    r->doorways[index].pending = sock_serve_datagrams(r->batch, l->fd, l->service, r->env);
}

bool doorway_waits(struct readiness *r, unsigned index)
{
    const struct listener *l = &r->loop->listeners[index];
    return r->doorways[index].pending && (l->datagram || roster_has_place(&r->roster, l));
}

void doorways_arm(struct readiness *r)
{
    if (r->poller.ops->edge || r->draining)
        return;
    for (unsigned i = 0; i < r->loop->listener_count; i++) {
        const struct listener *l = &r->loop->listeners[i];
        bool wanted = l->datagram || roster_has_place(&r->roster, l);
        if (wanted != r->doorways[i].armed)
            r->poller.ops->arm(&r->poller, l->fd, ANY_GENERATION, wanted ? CAN_READ : 0);
        r->doorways[i].armed = wanted;
    }
}

void doorway_sweep(void *self, const struct listener *l, int fd)
{
    struct readiness *r = self;
    struct peer peer;
    int left = ROSTER_LAST_ACCEPTS, got;
    if (l->datagram)
        sock_sweep_datagrams(r->batch, fd, l->service, r->env);
    while (!l->datagram && left-- > 0 && (got = sock_accept(fd, SOCK_NONBLOCK | SOCK_CLOEXEC, &peer)) != -1)
        readiness_begin(r, l->service, got, &peer);
    r->loop->review |= r->draining;     /* they have not heard of that */
}

void doorway_close(struct readiness *r, unsigned index)
{
    const struct listener *l = &r->loop->listeners[index];
    if (listener_sweeps(r->loop, l) && l->datagram)
        doorway_sweep(r, l, l->fd);
    else if (listener_sweeps(r->loop, l))
        doorway_accept(r, index, ROSTER_LAST_ACCEPTS);
    r->poller.ops->remove(&r->poller, l->fd, false);
    r->slots[l->fd] = (struct slot){ 0 };
    close(l->fd);
}

int doorway_open(struct readiness *r, unsigned index)
{
    const struct listener *l = &r->loop->listeners[index];
    if (l->datagram && r->batch == NULL && (r->batch = sock_batch_new(SOCK_LETTERS)) == NULL)
        return -1;
    r->doorways[index] = (struct doorway){ .pending = true, .armed = true };
    return readiness_slot(r, l->fd, l->datagram ? SLOT_DATAGRAM : SLOT_LISTENER, index);
}
