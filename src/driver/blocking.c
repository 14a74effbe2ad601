/* SPDX-License-Identifier: BSD-2-Clause */
/* Blocking: a thread for each connection, which waits in recv(2) and send(2) as the programs of the textbooks do
 * (thread.c), and one for each socket for datagrams (clerk.c).  The main thread, here, waits for new connections and for
 * the daemon.
 *
 * A thread that sits in a call is woken by a signal whose handler does nothing but interrupt the call.  The signal
 * may come just before the call, so it is sent again until the thread has answered. */
#include "driver/blocking.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"
#include "core/tally.h"
#include "driver/clerk.h"
#include "driver/dial.h"
#include "driver/roster.h"
#include "driver/sock.h"
#include "driver/thread.h"

enum {
    STACK = 128 * 1024,         /* the deepest handler needs a tenth; pages never touched cost nothing */
    ACCEPTS = 64,               /* per listener and wakeup: the daemon wants to be heard */
    WAKE_AGAIN_MS = 20          /* until every thread has heard */
};

struct blocking {
    struct loop    *loop;
    struct roster   places;             /* counts threads, knows shortages; holds no connection */
    struct clerks   clerks;             /* threads for datagrams */
    struct pollfd  *polled;             /* listeners, watches, the bell; -1: a listener of a clerk */
    int             bell[2];            /* its other end is the threads' */
    pthread_attr_t  attr;
    struct threads  threads;
    int             failed;             /* errno of a wait that cannot work */
};

static void interrupt_nothing(int number)
{
    (void)number;
}

static int wake_signal(void)
{
    return SIGRTMIN + 3;
}

/* Signals are the main thread's, but the one that wakes and what a thread must answer itself. */
static int thread_start(struct blocking *b, struct thread *t)
{
    sigset_t all, before;
    thread_signals(&all);
    sigdelset(&all, wake_signal());
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_mutex_lock(&b->threads.lock);
    int error = pthread_create(&t->id, &b->attr, thread_main, t);
    if (error == 0) {
        list_append(&b->threads.all, &t->siblings);
        b->threads.count++;
        b->threads.refused += t->extra;
    }
    pthread_mutex_unlock(&b->threads.lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return error == 0 ? 0 : -1;
}

/* It hears of that as of a full house, and the others wait where they are. */
static void conn_refuse_unstarted(struct blocking *b, const struct service *s, int fd, struct thread *t)
{
    struct env *e = b->loop->env;
    int error = errno;
    if (roster_runs_short(&b->places)) {
        errno = error;
        log_errno(LOG_ERROR, &e->about, "worker %s: no thread for a connection, which is refused; others wait", e->about.worker);
    }
    e->count.refused++;
    thread_free(t);
    sock_say_last(fd, s->proto->refusal);
    close(fd);
}

/* Under the lock.  So many may be on their way out, no more. */
static struct thread *thread_to_leave(struct blocking *b)
{
    return b->threads.leaving < b->places.extra_max ? thread_oldest(&b->threads) : NULL;
}

static bool has_place(struct blocking *b, const struct listener *l)
{
    if (roster_pauses(&b->places))
        return false;
    if (!roster_is_full(&b->places) || roster_can_refuse(&b->places, l))
        return true;
    pthread_mutex_lock(&b->threads.lock);
    bool has = thread_to_leave(b) != NULL;
    pthread_mutex_unlock(&b->threads.lock);
    return has;
}

/* The thread that has been idle for the longest time reads what has come, then the end. */
static void thread_yield(struct blocking *b)
{
    pthread_mutex_lock(&b->threads.lock);
    struct thread *t = thread_to_leave(b);
    if (t != NULL)
        thread_leave_asked(t);
    pthread_mutex_unlock(&b->threads.lock);
    if (t == NULL)
        return;
    b->places.leaving++;
    b->loop->env->count.gave_way++;
    roster_tell_full(&b->places);
}

/* Is there a place for one more?  Without one it is told so if there are words for that, else let in after all. */
static bool is_beyond(struct blocking *b, const struct listener *l)
{
    if (roster_is_full(&b->places))
        thread_yield(b);
    if (!roster_is_full(&b->places) || l->service->proto->refusal.n == 0)
        return false;
    b->loop->env->count.refused_full++;
    roster_tell_full(&b->places);
    return true;
}

/* Will it be refused since its address has enough?  Behind a proxy that is not known yet. */
static bool is_one_too_many(const struct blocking *b, const struct listener *l, const struct peer *peer)
{
    struct tally *tally = b->loop->env->tally;
    return tally != NULL && l->service->proxy == NULL && tally_is_full(tally, peer);
}

static void thread_begin(struct blocking *b, const struct listener *l, int fd, const struct peer *peer)
{
    bool crowded = is_one_too_many(b, l, peer), beyond = !crowded && is_beyond(b, l);
    if (crowded && b->places.refused >= b->places.extra_max) {
        b->loop->env->count.refused_address++;
        close(fd);
        return;
    }
    struct thread *t = thread_new(&b->threads, l->service, fd, peer, b->loop->env);
    sock_send_for(fd, l->service);
    if (t != NULL) {
        t->beyond = beyond;
        t->extra = beyond || crowded;
    }
    if (t == NULL || thread_start(b, t) == -1) {
        conn_refuse_unstarted(b, l->service, fd, t);
        return;
    }
    b->places.count++;
    b->places.refused += beyond || crowded;
}

/* The thread connects itself. */
static void thread_connect(void *self, struct dial *d)
{
    struct blocking *b = self;
    int fd = dial_socket(d, SOCK_CLOEXEC);
    struct peer peer = dial_peer(d);
    struct thread *t = fd != -1 ? thread_new(&b->threads, &d->service, fd, &peer, b->loop->env) : NULL;
    if (t != NULL)
        sock_send_for(fd, &d->service);
    if (t != NULL && thread_start(b, t) == 0) {
        b->places.count++;
        return;
    }
    int error = errno;
    thread_free(t);
    if (fd != -1)
        close(fd);
    d->over(d, error);
}

static void show_places(const struct blocking *b)
{
    struct metric_slot *slot = b->loop->env->slot;
    if (slot != NULL)
        __atomic_store_n(&slot->active, b->places.count, __ATOMIC_RELAXED);
}

static void thread_adopt(void *self, const struct service *s, int taken, const struct parcel *p)
{
    struct blocking *b = self;
    struct thread *t = thread_new(&b->threads, s, taken, &p->peer, b->loop->env);
    if (t == NULL || thread_take(t, p) == -1 || thread_start(b, t) == -1) {
        conn_refuse_unstarted(b, s, taken, t);
        return;
    }
    b->places.count++;
    show_places(b);
}

static bool threads_hold(void *self)
{
    const struct blocking *b = self;
    return roster_pauses(&b->places);
}

static void listener_serve(struct blocking *b, const struct listener *l, int from, int budget)
{
    env_count_for(b->loop->env, l->service->part);
    while (budget-- > 0 && has_place(b, l)) {
        struct peer peer;
        b->loop->env->count.syscalls++;
        int fd = sock_accept(from, SOCK_CLOEXEC, &peer);
        if (fd == -1 && roster_accept_failed(&b->places, l, errno))
            return;
        if (fd == -1)
            continue;
        roster_accepted(&b->places);
        thread_begin(b, l, fd, &peer);
        show_places(b);
    }
}

static void threads_sweep(void *self, const struct listener *l, int fd)
{
    struct blocking *b = self;
    if (l->datagram)
        clerks_sweep(b->loop, l, fd);
    else
        listener_serve(b, l, fd, ROSTER_LAST_ACCEPTS);
}

static void hush(const struct blocking *b)
{
    char bells[256];
    while (read(b->bell[0], bells, sizeof bells) > 0)
        ;
}

static void count_threads(struct blocking *b)
{
    pthread_mutex_lock(&b->threads.lock);
    b->places.count = b->threads.count;
    b->places.refused = b->threads.refused;
    b->places.leaving = b->threads.leaving;
    pthread_mutex_unlock(&b->threads.lock);
    show_places(b);
}

/* True when a thread has not heard of the wish yet. */
static bool threads_wake(struct blocking *b)
{
    bool deaf = false;
    pthread_mutex_lock(&b->threads.lock);
    for (struct list *l = b->threads.all.next; l != &b->threads.all; l = l->next) {
        struct thread *t = LIST_ENTRY(l, struct thread, siblings);
        if (t->heard == b->threads.wish)
            continue;
        deaf = true;
        if (b->threads.wish % WISHES == WISH_HALT && !t->passed)
            shutdown(t->fd, SHUT_RDWR);
        pthread_kill(t->id, wake_signal());
    }
    pthread_mutex_unlock(&b->threads.lock);
    return deaf;
}

/* A wish that is the same as before is another one all the same. */
static void wish_for(struct blocking *b, enum wish wish)
{
    unsigned again = (b->threads.wish / WISHES + 1) * WISHES;
    __atomic_store_n(&b->threads.wish, again + wish, __ATOMIC_RELEASE);
}

static int wait_ms(const struct blocking *b, bool deaf)
{
    int ms = roster_wait_ms(&b->places);
    return deaf && (ms < 0 || ms > WAKE_AGAIN_MS) ? WAKE_AGAIN_MS : ms;
}

/* Which listeners are polled now. */
static void listeners_choose(struct blocking *b, bool accepting)
{
    const struct loop *l = b->loop;
    bool shut = false;
    __atomic_store_n(&b->threads.shut, accepting && roster_is_full(&b->places), __ATOMIC_RELAXED);
    for (unsigned i = 0; i < l->listener_count; i++) {
        bool stream = accepting && !l->listeners[i].datagram, place = stream && has_place(b, &l->listeners[i]);
        b->polled[i].events = place ? POLLIN : 0;
        shut |= stream && !place;
    }
    if (!shut)
        __atomic_store_n(&b->threads.shut, false, __ATOMIC_RELAXED);
}

/* One that pauses is not polled. */
static void watches_choose(struct blocking *b)
{
    struct loop *l = b->loop;
    for (unsigned i = 0; i < l->watch_count; i++)
        b->polled[l->listener_count + i].fd = watch_pauses(&l->watches[i]) ? -1 : l->watches[i].fd;
    loop_paused_on(l);
}

/* Waits and does what there is to do; `accepting`: for new connections too. */
static void blocking_turn(struct blocking *b, bool accepting, bool deaf)
{
    struct loop *l = b->loop;
    listeners_choose(b, accepting);
    if (l->paused)
        watches_choose(b);
    loop_tell_rest(l);
    int n = poll(b->polled, l->listener_count + l->watch_count + 1, wait_ms(b, deaf));
    if (n == -1 && errno != EINTR)
        b->failed = errno;
    env_turn(l->env);
    l->env->count.wakeups++;
    l->env->count.syscalls++;
    hush(b);
    count_threads(b);
    for (unsigned i = 0; n > 0 && i < l->listener_count; i++)
        if (b->polled[i].events != 0 && b->polled[i].revents != 0)
            listener_serve(b, &l->listeners[i], l->listeners[i].fd, ACCEPTS);
    for (unsigned i = 0; n > 0 && i < l->watch_count; i++)
        if (b->polled[l->listener_count + i].revents != 0)
            l->watches[i].readable(l->watches[i].arg);
    loop_read_on(l);
    env_rest(l->env);
}

static void threads_drain(struct blocking *b)
{
    struct loop *l = b->loop;
    roster_last_round(&b->places);
    for (unsigned i = 0; i < l->listener_count; i++) {
        if (b->polled[i].fd == -1)
            continue;
        if (listener_sweeps(l, &l->listeners[i]))
            listener_serve(b, &l->listeners[i], l->listeners[i].fd, ROSTER_LAST_ACCEPTS);
        b->polled[i].fd = -1;
        close(l->listeners[i].fd);
    }
    clerks_end(&b->clerks, l);
    loop_tell_shut(l);
    wish_for(b, WISH_DRAIN);
    count_threads(b);
    while (l->phase == LOOP_DRAIN && b->places.count > 0) {
        if (roster_reviews(&b->places))
            wish_for(b, WISH_DRAIN);
        blocking_turn(b, false, threads_wake(b));
        if (l->env->now_ms >= l->drain_deadline_ms)
            l->phase = LOOP_HALT;
    }
    wish_for(b, WISH_HALT);
    while (b->places.count > 0)
        blocking_turn(b, false, threads_wake(b));
}

static int blocking_open(struct blocking *b)
{
    const struct loop *l = b->loop;
    struct sigaction action = { .sa_handler = interrupt_nothing };
    unsigned n = 0;
    b->polled = calloc(l->listener_count + l->watch_count + 1, sizeof *b->polled);
    if (b->polled == NULL || pipe2(b->bell, O_CLOEXEC | O_NONBLOCK) == -1)
        return -1;
    threads_open(&b->threads, b->bell[1]);
    for (unsigned i = 0; i < l->listener_count; i++)
        b->polled[n++].fd = l->listeners[i].datagram ? -1 : l->listeners[i].fd;
    for (unsigned i = 0; i < l->watch_count; i++)
        b->polled[n++] = (struct pollfd){ .fd = l->watches[i].fd, .events = POLLIN };
    b->polled[n] = (struct pollfd){ .fd = b->bell[0], .events = POLLIN };
    pthread_attr_init(&b->attr);
    pthread_attr_setstacksize(&b->attr, STACK);
    pthread_attr_setdetachstate(&b->attr, PTHREAD_CREATE_DETACHED);
    return sigaction(wake_signal(), &action, NULL) == 0 ? clerks_start(&b->clerks, l, wake_signal()) : -1;
}

static int blocking_run(struct loop *l, const void *ops)
{
    struct blocking b = { .loop = l, .bell = { -1, -1 } };
    (void)ops;
    roster_open(&b.places, l);
    l->env->shared = true;              /* threads count in the same places */
    int result = blocking_open(&b), error;
    if (result == 0) {
        l->survey = threads_survey;
        l->surveyed = &b.threads;       /* cppcheck-suppress autoVariables ; nobody asks when this is over */
        l->self = &b;                   /* cppcheck-suppress autoVariables */
        l->sweep = threads_sweep;
        l->adopt = thread_adopt;
        l->holds = threads_hold;
        l->connect = thread_connect;
        l->ready(l->arg);
        while (l->phase == LOOP_RUN && b.failed == 0)
            blocking_turn(&b, true, false);
        if (b.failed != 0)
            l->phase = LOOP_HALT;
        threads_drain(&b);
        threads_close(&b.threads);
        pthread_attr_destroy(&b.attr);
        result = b.failed == 0 ? 0 : -1;
        errno = b.failed;
    }
    error = errno;
    roster_close(&b.places);
    if (b.bell[0] != -1) {
        close(b.bell[0]);
        close(b.bell[1]);
    }
    free(b.polled);
    errno = error;
    return result;
}

const struct driver driver_blocking = { .name = "blocking", .run = blocking_run };
