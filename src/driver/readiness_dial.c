/* SPDX-License-Identifier: BSD-2-Clause */
/* Connecting, for the readiness driver: a socket that is connecting is in the poller like any other, and when it may be
 * written to the kernel is asked how it went.  The hint may be wrong: then it is asked again with the next. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "driver/dial.h"
#include "driver/readiness_inner.h"

static void dial_forget(struct readiness *r, struct dial *d)
{
    list_remove(&d->siblings);
    r->poller.ops->remove(&r->poller, d->fd, true);
    r->slots[d->fd] = (struct slot){ 0 };
}

static void dial_fail(struct dial *d, int fd, int error)
{
    close(fd);
    d->over(d, error);
}

static int dial_watch(struct readiness *r, struct dial *d, int fd)
{
    if (r->poller.ops->add(&r->poller, fd, ANY_GENERATION) == -1)
        return -1;
    if (!r->poller.ops->edge)
        r->poller.ops->arm(&r->poller, fd, ANY_GENERATION, CAN_WRITE);
    d->fd = fd;
    r->slots[fd] = (struct slot){ .kind = SLOT_DIAL, .dial = d };
    list_append(&r->dials, &d->siblings);
    return 0;
}

void readiness_dial(void *self, struct dial *d)
{
    struct readiness *r = self;
    int fd = dial_socket(d, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd == -1) {
        d->over(d, errno);
        return;
    }
    if (fd >= r->poller.fds_max) {
        dial_fail(d, fd, EMFILE);
        return;
    }
    if (dial_connect(d, fd) == 0) {
        struct peer peer = dial_peer(d);
        readiness_begin(r, &d->service, fd, &peer);
        return;
    }
    if (errno != EINPROGRESS || dial_watch(r, d, fd) == -1)
        dial_fail(d, fd, errno);
}

/* The registration serves the connection too. */
void dial_hint(struct readiness *r, struct dial *d)
{
    int fd = d->fd;
    if (dial_connect(d, fd) == -1) {
        int error = errno;
        if (error == EINPROGRESS)
            return;
        dial_forget(r, d);
        dial_fail(d, fd, error);
        return;
    }
    struct peer peer = dial_peer(d);
    list_remove(&d->siblings);
    readiness_begin_added(r, &d->service, fd, &peer);
}

void dials_end(struct readiness *r)
{
    while (!list_empty(&r->dials)) {
        struct dial *d = LIST_ENTRY(r->dials.next, struct dial, siblings);
        dial_forget(r, d);
        dial_fail(d, d->fd, ECANCELED);
    }
}
