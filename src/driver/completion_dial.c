/* SPDX-License-Identifier: BSD-2-Clause */
/* Connecting, for the completion driver: one more operation, which brings a connection when it is done. */
#include <errno.h>
#include <sys/socket.h>

#include "driver/completion_inner.h"
#include "driver/dial.h"

static void dial_start(struct completion *k, struct dial *d)
{
    list_append(&k->dials, &d->siblings);
    k->in_flight++;
    k->engine.ops->connect(&k->engine, &d->op, d->fd, d->to, d->to_size);
}

void completion_dial(void *self, struct dial *d)
{
    struct completion *k = self;
    d->fd = dial_socket(d, SOCK_CLOEXEC);
    if (d->fd == -1) {
        d->over(d, errno);
        return;
    }
    d->op = (struct op){ .kind = OP_CONNECT, .owner = d };
    dial_start(k, d);
}

/* It came back without having been tried: the engine was strained, or a signal came.  To a socket for datagrams the kernel
 * says the same when there is no port left, and to a Unix socket when the queue is full, and that would go on. */
static bool is_undone(const struct dial *d, const struct done *done)
{
    bool strained = d->type == SOCK_STREAM && d->to->sa_family != AF_UNIX && done->result == -EAGAIN;
    return strained || done->result == -EINTR;
}

void dial_report(struct completion *k, const struct done *done)
{
    struct dial *d = done->op->owner;
    list_remove(&d->siblings);
    k->in_flight--;
    if (is_undone(d, done) && !k->halting) {
        dial_start(k, d);
        return;
    }
    k->engine.ops->forget(&k->engine, &d->op);
    if (done->result == 0 && !k->halting) {
        struct peer peer = dial_peer(d);
        completion_begin(k, &d->service, d->fd, &peer);
        return;
    }
    k->engine.ops->close_fd(&k->engine, d->fd);
    d->over(d, done->result == 0 ? ECANCELED : -done->result);
}

void dials_cancel(struct completion *k)
{
    for (struct list *l = k->dials.next; l != &k->dials; l = l->next)
        k->engine.ops->cancel(&k->engine, &LIST_ENTRY(l, struct dial, siblings)->op);
}

/* What a driver receives from a socket for datagrams is cancelled; engines whose receives end with the socket do nothing
 * there. */
void dial_end(struct completion *k, struct conn *c)
{
    const struct dial *d = c->service->dial;
    struct flight *f = conn_driver_part(c);
    if (d != NULL && d->type == SOCK_DGRAM && f->receiving)
        k->engine.ops->cancel(&k->engine, &f->recv);
}
