/* SPDX-License-Identifier: BSD-2-Clause */
/* Clerks.  Each has an env and a buffer of its own; with the others it shares constant settings, counters that are
 * added atomically, and the rate limit, which has its own locks.
 * A clerk that sits in a call is woken by a signal.  The signal may come just before the call, so it is sent again
 * until the thread has ended. */
#include "driver/clerk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"
#include "driver/sock_datagram.h"

enum {
    CLERK_STACK = 128 * 1024,   /* as that of a connection */
    WAKE_AGAIN_NS = 2000000,
    LAST_LETTERS = 4096         /* when going: datagrams that wait in the socket */
};

enum order { ORDER_SERVE, ORDER_END, ORDER_HALT };

struct clerk {
    const struct listener *listener;
    struct env             env;
    struct sock_batch     *batch;
    pthread_t              id;
    enum order             order;       /* atomic: the main thread writes it */
};

static enum order clerk_order(const struct clerk *k)
{
    return __atomic_load_n(&k->order, __ATOMIC_ACQUIRE);
}

/* One datagram; false: there was none, since the thread is wanted, or about an earlier reply there was an error. */
static bool clerk_serve(struct clerk *k, int flags)
{
    const struct listener *l = k->listener;
    if (sock_letter_receive(k->batch, l->fd, &k->env, flags) == -1)
        return false;
    env_turn(&k->env);
    sock_letter_answer(k->batch, l->fd, l->service, &k->env, flags);
    return true;
}

static void *clerk_main(void *arg)
{
    struct clerk *k = arg;
    while (clerk_order(k) == ORDER_SERVE) {
        env_rest(&k->env);
        clerk_serve(k, 0);
    }
    for (int left = LAST_LETTERS; left > 0 && clerk_order(k) == ORDER_END && clerk_serve(k, MSG_DONTWAIT); left--)
        ;
    env_rest(&k->env);
    return NULL;
}

/* Signals are the main thread's, but the one that wakes and what a thread must answer itself. */
static int clerk_thread(struct clerk *k, int wake_signal)
{
    sigset_t all, before;
    pthread_attr_t attr;
    thread_signals(&all);
    sigdelset(&all, wake_signal);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, CLERK_STACK);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&k->id, &attr, clerk_main, k);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    errno = error;
    return error == 0 ? 0 : -1;
}

/* Sockets come non-blocking, as all other models need them. */
static int clerk_start(struct clerk *k, const struct loop *l, const struct listener *listener, int wake_signal)
{
    int flags = fcntl(listener->fd, F_GETFL), error;
    k->listener = listener;
    k->order = ORDER_SERVE;
    k->batch = sock_batch_new(1);
    if (k->batch == NULL || flags == -1 || fcntl(listener->fd, F_SETFL, flags & ~O_NONBLOCK) == -1)
        goto fail;
    env_init(&k->env, l->env->slot);
    k->env.about = l->env->about;
    k->env.shared = true;
    k->env.rate = l->env->rate;
    if (clerk_thread(k, wake_signal) == 0)
        return 0;
    env_free(&k->env);
fail:
    error = errno;
    sock_batch_free(k->batch);
    errno = error;
    return -1;
}

int clerks_start(struct clerks *c, const struct loop *l, int wake_signal)
{
    *c = (struct clerks){ .wake_signal = wake_signal };
    c->v = calloc(l->listener_count + 1, sizeof *c->v);
    if (c->v == NULL)
        return -1;
    for (unsigned i = 0; i < l->listener_count; i++) {
        if (!l->listeners[i].datagram)
            continue;
        if (clerk_start(&c->v[c->count], l, &l->listeners[i], wake_signal) == -1) {
            int error = errno;
            clerks_end(c, NULL);
            errno = error;
            return -1;
        }
        c->count++;
    }
    return 0;
}

static void clerk_join(const struct clerk *k, int wake_signal)
{
    const struct timespec moment = { 0, WAKE_AGAIN_NS };
    while (pthread_tryjoin_np(k->id, NULL) == EBUSY) {
        pthread_kill(k->id, wake_signal);
        nanosleep(&moment, NULL);
    }
}

void clerks_sweep(struct loop *l, const struct listener *one, int fd)
{
    struct sock_batch *batch = sock_batch_new(1);
    for (int left = LAST_LETTERS; batch != NULL && left > 0; left--) {
        if (sock_letter_receive(batch, fd, l->env, MSG_DONTWAIT) == 0)
            sock_letter_answer(batch, fd, one->service, l->env, MSG_DONTWAIT);
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            break;
    }
    sock_batch_free(batch);
}

void clerks_end(struct clerks *c, const struct loop *properly)
{
    for (unsigned i = 0; i < c->count; i++) {
        bool sweeps = properly != NULL && listener_sweeps(properly, c->v[i].listener);
        __atomic_store_n(&c->v[i].order, sweeps ? ORDER_END : ORDER_HALT, __ATOMIC_RELEASE);
    }
    for (unsigned i = 0; i < c->count; i++) {
        clerk_join(&c->v[i], c->wake_signal);
        close(c->v[i].listener->fd);
        env_free(&c->v[i].env);
        sock_batch_free(c->v[i].batch);
    }
    free(c->v);
    *c = (struct clerks){ 0 };
}
