/* SPDX-License-Identifier: BSD-2-Clause */
/* Windows: operations that only say "there is something to read".  Owns them and the buffers for datagrams, and
 * closes the sockets for datagrams; the daemon's descriptors are the daemon's. */
#include "driver/windows.h"

#include <stdlib.h>
#include <unistd.h>

#include "driver/sock_datagram.h"

struct window {
    struct op              op;
    struct watch          *watch;       /* NULL: it is a listener's */
    const struct listener *letters;
    int                    fd;          /* of the one or the other */
    bool                   asked;       /* the operation is under way */
    bool                   shut;
};

static void window_ask(struct windows *w, struct window *one)
{
    w->in_flight++;
    one->asked = true;
    w->engine->ops->watch(w->engine, &one->op, one->fd);
}

static void window_shut(struct windows *w, struct window *one)
{
    if (one->shut)
        return;
    one->shut = true;
    if (one->asked)
        w->engine->ops->cancel(w->engine, &one->op);
}

static bool window_letters(struct windows *w, const struct window *one)
{
    return sock_serve_datagrams(w->batch, one->letters->fd, one->letters->service, w->env);
}

void windows_sweep(struct windows *w, const struct listener *l, int fd)
{
    if (l->datagram)
        sock_sweep_datagrams(w->batch, fd, l->service, w->env);
}

static void window_make(struct windows *w, struct watch *watch, const struct listener *letters, int fd)
{
    struct window *one = &w->v[w->count++];
    *one = (struct window){ .op = { .kind = OP_WATCH, .owner = one }, .watch = watch, .letters = letters,
                            .fd = fd };
    window_ask(w, one);
}

int windows_open(struct windows *w, const struct loop *l, struct engine *e)
{
    bool letters = false;
    *w = (struct windows){ .env = l->env, .engine = e };
    for (unsigned i = 0; i < l->listener_count; i++)
        letters |= l->listeners[i].datagram;
    w->v = calloc(l->watch_count + l->listener_count + 1, sizeof *w->v);
    w->batch = letters ? sock_batch_new(SOCK_LETTERS) : NULL;
    if (w->v == NULL || (letters && w->batch == NULL))
        return -1;
    for (unsigned i = 0; i < l->watch_count; i++)
        window_make(w, &l->watches[i], NULL, l->watches[i].fd);
    for (unsigned i = 0; i < l->listener_count; i++)
        if (l->listeners[i].datagram)
            window_make(w, NULL, &l->listeners[i], l->listeners[i].fd);
    return 0;
}

void windows_report(struct windows *w, const struct done *d)
{
    struct window *one = d->op->owner;
    if (!d->more) {
        w->in_flight--;
        one->asked = false;
    }
    if (one->shut)
        return;
    if (one->watch != NULL)
        one->watch->readable(one->watch->arg);
    else
        window_letters(w, one);
    if (!one->asked && (one->watch == NULL || !watch_pauses(one->watch)))
        window_ask(w, one);
}

void windows_resume(struct windows *w, struct loop *l)
{
    for (unsigned i = 0; i < w->count; i++) {
        struct window *one = &w->v[i];
        if (one->watch != NULL && !one->asked && !one->shut && !watch_pauses(one->watch))
            window_ask(w, one);
    }
    loop_paused_on(l);
}

void windows_end_datagrams(struct windows *w, const struct loop *l)
{
    for (unsigned i = 0; i < w->count; i++) {
        struct window *one = &w->v[i];
        if (one->letters == NULL || one->shut)
            continue;
        if (listener_sweeps(l, one->letters))
            windows_sweep(w, one->letters, one->fd);
        window_shut(w, one);
        close(one->letters->fd);
    }
}

void windows_shut(struct windows *w)
{
    for (unsigned i = 0; i < w->count; i++)
        window_shut(w, &w->v[i]);
}

void windows_forget(struct windows *w)
{
    for (unsigned i = 0; i < w->count; i++)
        w->engine->ops->forget(w->engine, &w->v[i].op);
}

void windows_free(struct windows *w)
{
    sock_batch_free(w->batch);
    free(w->v);
}
