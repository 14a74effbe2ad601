/* SPDX-License-Identifier: BSD-2-Clause */
/* Blocking: a thread for each connection, which waits in recv(2) and send(2) as the programs of the textbooks do, and
 * one for each socket for datagrams (clerk.c).  The main thread waits for new connections and for the daemon.
 *
 * A thread is a world of its own: an env, a connection, a buffer.  With the others it shares constant settings,
 * counters that are added atomically, the access log behind its lock, and the register of threads behind its own.
 * Deadlines are the socket's time-outs, set anew only when the time left is shorter than what is set: a peer that
 * sends a byte now and then does not move its deadline.
 * A thread that sits in a call is woken by a signal whose handler does nothing but interrupt the call.  The signal
 * may come just before the call, so it is sent again until the thread has answered. */
#include "driver/blocking.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"
#include "core/file.h"
#include "driver/clerk.h"
#include "driver/direct.h"
#include "driver/roster.h"
#include "driver/sock.h"
#include "driver/stage.h"
#include "driver/warm.h"

enum {
    STACK = 128 * 1024,         /* the deepest handler needs a tenth; pages never touched cost nothing */
    INPUT = 16 * 1024,          /* bytes of one receive */
    ACCEPTS = 64,               /* per listener and wakeup: the daemon wants to be heard */
    SEND_LOOKS = 4,             /* within the send timeout: is the peer reading, slowly? */
    WAKE_AGAIN_MS = 20,         /* until every thread has heard */
    HOUSEKEEPING_MS = 1000      /* access lines of threads that wait are written by the main thread */
};

enum wish { WISH_NONE, WISH_DRAIN, WISH_HALT };

struct blocking {
    struct loop    *loop;
    struct roster   places;             /* counts threads, knows shortages; holds no connection */
    struct clerks   clerks;             /* threads for datagrams */
    struct pollfd  *polled;             /* listeners, watches, the bell; -1: a listener of a clerk */
    int             bell[2];            /* a byte: a thread is gone */
    pthread_attr_t  attr;
    bool            complained;         /* about threads that cannot be made */
    pthread_mutex_t lock;               /* guards the register and the wish */
    struct list     threads;
    unsigned        count;
    enum wish       wish;
    int             failed;             /* errno of a wait that cannot work */
};

/* What a thread lets the main thread see of its connection: atomics, since nobody waits for the other. */
struct shown {
    uint64_t received, sent;
    uint32_t state;             /* enum census_state */
};

struct thread {
    struct list            siblings;
    struct blocking       *b;
    const struct listener *listener;
    struct env             env;
    struct conn           *conn;
    struct peer            peer;
    pthread_t              id;
    int                    fd;
    unsigned               receive_ms;  /* as set on the socket; 0: for ever */
    enum wish              heard;
    uint32_t               opened_s;
    struct shown           shown;
    struct direct_load     load;        /* of a file that is read past the page cache */
    char                   input[INPUT];
};

/* ------------------------------------------------- in a thread ------------------------------------------------- */

static void receive_for(struct thread *t, uint64_t ms)
{
    struct timeval tv = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) };
    if (setsockopt(t->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0)
        t->receive_ms = (unsigned)ms;
}

/* The time-out of the socket must not be longer than what is left; when it is shorter we only look at the clock once
 * more, and set it anew. */
static void deadline_arm(struct thread *t, bool was_early)
{
    uint64_t due = conn_due(t->conn), now = t->env.now_ms, left;
    if (due == UINT64_MAX)
        return;
    left = due > now ? due - now : 1;
    if (t->receive_ms == 0 || left < t->receive_ms || was_early)
        receive_for(t, left);
}

static void thread_receive(struct thread *t, int flags)
{
    struct conn *c = t->conn;
    ssize_t n = recv(t->fd, t->input, sizeof t->input, flags);
    int error = errno;
    env_turn(&t->env);
    t->env.count.receives++;
    if (n > 0)
        conn_input(c, (struct span){ t->input, (size_t)n });
    else if (n == 0)
        conn_eof(c);
    else if (error == EAGAIN || error == EWOULDBLOCK)
        t->env.count.would_block++;
    else if (error != EINTR)
        conn_broke(c);
    if (n == -1 && flags == 0 && (error == EAGAIN || error == EWOULDBLOCK))
        deadline_arm(t, true);
}

static enum sock_flushed thread_load(struct thread *t)
{
    if (t->load.stage == NULL)
        t->load.stage = stage_alone();
    if (t->load.stage == NULL)
        return SOCK_BROKEN;
    sock_plan_load(t->conn, &t->load);
    ssize_t n = warm_load(&(struct warm_range){ .fd = outq_head_file(&t->conn->out)->file->fd, .n = t->load.n,
                                                .offset = t->load.offset, .to = t->load.stage });
    return sock_end_load(t->conn, &t->load, n) ? SOCK_AGAIN : SOCK_BROKEN;
}

static void thread_send(struct thread *t)
{
    enum sock_flushed f = t->load.ready > 0 ? sock_flush_load(t->conn, &t->load) : sock_flush(t->conn, true);
    if (f == SOCK_DIRECT)
        f = thread_load(t);
    env_turn(&t->env);
    if (f == SOCK_BROKEN)
        conn_broke(t->conn);
    if (t->load.stage != NULL && t->conn->out.bytes == 0) {
        free(t->load.stage);
        t->load.stage = NULL;
    }
}

/* The main thread may have asked for something. */
static void hear_wish(struct thread *t)
{
    enum wish wish;
    pthread_mutex_lock(&t->b->lock);
    wish = t->b->wish;
    bool new = t->heard != wish;
    t->heard = wish;
    pthread_mutex_unlock(&t->b->lock);
    if (!new)
        return;
    t->env.draining = true;
    if (wish == WISH_HALT) {
        conn_abort(t->conn);
        return;
    }
    if (conn_wants_input(t->conn))
        thread_receive(t, MSG_DONTWAIT);
    conn_drain(t->conn);
}

static void thread_show(struct thread *t)
{
    const struct conn *c = t->conn;
    __atomic_store_n(&t->shown.received, c->received, __ATOMIC_RELAXED);
    __atomic_store_n(&t->shown.sent, c->sent, __ATOMIC_RELAXED);
    __atomic_store_n(&t->shown.state, census_state_of(c), __ATOMIC_RELAXED);
}

static void thread_turn(struct thread *t)
{
    struct conn *c = t->conn;
    thread_show(t);
    if (c->out.bytes > 0)
        thread_send(t);
    if (conn_wants_shut(c)) {
        shutdown(t->fd, SHUT_WR);
        conn_shut(c);
    }
    if (conn_over(c))
        return;
    if (conn_resume(c)) {
        if (conn_wants_input(c))
            thread_receive(t, MSG_DONTWAIT);    /* who always has something to say must listen too */
        return;
    }
    if (c->out.bytes > 0)
        return;
    if (conn_wants_input(c)) {
        thread_show(t);
        env_rest(&t->env);
        deadline_arm(t, false);
        thread_receive(t, 0);
    }
}

/* Takes leave: after this the main thread will not touch the descriptor, and the process may end. */
static void thread_leave(struct thread *t)
{
    struct blocking *b = t->b;
    env_rest(&t->env);
    env_free(&t->env);
    free(t->load.stage);
    pthread_mutex_lock(&b->lock);
    list_remove(&t->siblings);
    close(t->fd);
    free(t);
    b->count--;
    (void)!write(b->bell[1], "", 1);    /* full: there are bells enough */
    pthread_mutex_unlock(&b->lock);
}

static void *thread_main(void *arg)
{
    struct thread *t = arg;
    t->conn = conn_new(&t->env, t->listener->service, t->fd, &t->peer, 0);
    while (t->conn != NULL && !conn_over(t->conn)) {
        hear_wish(t);
        thread_turn(t);
        if (!conn_over(t->conn) && conn_due(t->conn) <= t->env.now_ms)
            conn_expired(t->conn);
    }
    conn_free(t->conn);
    thread_leave(t);
    return NULL;
}

/* ---------------------------------------------- in the main thread ---------------------------------------------- */

static void interrupt_nothing(int number)
{
    (void)number;
}

static int wake_signal(void)
{
    return SIGRTMIN + 3;
}

static struct thread *thread_new(struct blocking *b, const struct listener *l, int fd, const struct peer *peer)
{
    struct thread *t = malloc(sizeof *t);
    const struct env *e = b->loop->env;
    if (t == NULL)
        return NULL;
    t->b = b;
    t->listener = l;
    t->fd = fd;
    t->peer = *peer;
    t->receive_ms = 0;
    t->heard = WISH_NONE;
    t->shown = (struct shown){ 0 };
    t->opened_s = (uint32_t)(e->now_ms / 1000);
    t->load = (struct direct_load){ 0 };
    list_init(&t->siblings);
    env_init(&t->env, e->slot);
    t->env.blocks.spare_max = t->env.items.spare_max = 4;
    t->env.about = e->about;
    t->env.access = e->access;
    t->env.draining = e->draining;
    return t;
}

/* Signals are the main thread's, but the one that wakes and what a thread must answer itself. */
static int thread_start(struct blocking *b, struct thread *t)
{
    sigset_t all, before;
    thread_signals(&all);
    sigdelset(&all, wake_signal());
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_mutex_lock(&b->lock);
    int error = pthread_create(&t->id, &b->attr, thread_main, t);
    if (error == 0) {
        list_append(&b->threads, &t->siblings);
        b->count++;
    }
    pthread_mutex_unlock(&b->lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return error == 0 ? 0 : -1;
}

static void conn_refuse(struct blocking *b, int fd, struct thread *t)
{
    struct env *e = b->loop->env;
    if (!b->complained)
        log_errno(LOG_ERROR, &e->about, "worker %s: no thread for a connection, which is refused, as will be others",
                  e->about.worker);
    b->complained = true;
    e->count.refused++;
    free(t);
    close(fd);
}

static void thread_begin(struct blocking *b, const struct listener *l, int fd, const struct peer *peer)
{
    const unsigned ms = l->service->send_timeout_ms / SEND_LOOKS;
    struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000 * 1000) };
    struct thread *t = thread_new(b, l, fd, peer);
    if (ms > 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    if (t == NULL || thread_start(b, t) == -1)
        conn_refuse(b, fd, t);
    else
        b->complained = false;
}

static void show_places(const struct blocking *b)
{
    struct metric_slot *slot = b->loop->env->slot;
    if (slot != NULL)
        __atomic_store_n(&slot->active, b->places.count, __ATOMIC_RELAXED);
}

static void listener_serve(struct blocking *b, const struct listener *l, int from, int budget)
{
    while (budget-- > 0 && roster_has_place(&b->places)) {
        struct peer peer;
        int fd = sock_accept(from, SOCK_CLOEXEC, &peer);
        if (fd == -1 && roster_accept_failed(&b->places, l, errno))
            return;
        if (fd == -1)
            continue;
        roster_accepted(&b->places);
        b->places.count++;
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

static void threads_survey(void *self, struct census *c)
{
    struct blocking *b = self;
    uint32_t now_s = (uint32_t)(b->loop->env->now_ms / 1000);
    pthread_mutex_lock(&b->lock);
    for (const struct list *l = b->threads.next; l != &b->threads; l = l->next) {
        const struct thread *t = LIST_ENTRY(l, struct thread, siblings);
        struct census_row row = { .peer = t->peer, .age_s = now_s - t->opened_s,
                                  .state = __atomic_load_n(&t->shown.state, __ATOMIC_RELAXED),
                                  .received = __atomic_load_n(&t->shown.received, __ATOMIC_RELAXED),
                                  .sent = __atomic_load_n(&t->shown.sent, __ATOMIC_RELAXED) };
        snprintf(row.service, sizeof row.service, "%s", t->listener->service->name);
        census_add(c, &row);
    }
    pthread_mutex_unlock(&b->lock);
}

static void hush(const struct blocking *b)
{
    char bells[256];
    while (read(b->bell[0], bells, sizeof bells) > 0)
        ;
}

static void count_threads(struct blocking *b)
{
    pthread_mutex_lock(&b->lock);
    b->places.count = b->count;
    pthread_mutex_unlock(&b->lock);
    show_places(b);
}

/* True when a thread has not heard of the wish yet. */
static bool threads_wake(struct blocking *b)
{
    bool deaf = false;
    pthread_mutex_lock(&b->lock);
    for (struct list *l = b->threads.next; l != &b->threads; l = l->next) {
        struct thread *t = LIST_ENTRY(l, struct thread, siblings);
        if (t->heard == b->wish)
            continue;
        deaf = true;
        if (b->wish == WISH_HALT)
            shutdown(t->fd, SHUT_RDWR);
        pthread_kill(t->id, wake_signal());
    }
    pthread_mutex_unlock(&b->lock);
    return deaf;
}

static void wish_for(struct blocking *b, enum wish wish)
{
    pthread_mutex_lock(&b->lock);
    b->wish = wish;
    pthread_mutex_unlock(&b->lock);
}

static int wait_ms(const struct blocking *b, bool deaf)
{
    int ms = roster_wait_ms(&b->places), most = deaf ? WAKE_AGAIN_MS : HOUSEKEEPING_MS;
    bool bounded = deaf || b->loop->env->access != NULL;
    return bounded && (ms < 0 || ms > most) ? most : ms;
}

/* Waits and does what there is to do; `accepting`: for new connections too. */
static void blocking_turn(struct blocking *b, bool accepting, bool deaf)
{
    const struct loop *l = b->loop;
    bool place = accepting && roster_has_place(&b->places);
    for (unsigned i = 0; i < l->listener_count; i++)
        b->polled[i].events = place ? POLLIN : 0;
    int n = poll(b->polled, l->listener_count + l->watch_count + 1, wait_ms(b, deaf));
    if (n == -1 && errno != EINTR)
        b->failed = errno;
    env_turn(l->env);
    l->env->count.wakeups++;
    hush(b);
    count_threads(b);
    for (unsigned i = 0; n > 0 && i < l->listener_count; i++)
        if (place && b->polled[i].revents != 0)
            listener_serve(b, &l->listeners[i], l->listeners[i].fd, ACCEPTS);
    for (unsigned i = 0; n > 0 && i < l->watch_count; i++)
        if (b->polled[l->listener_count + i].revents != 0)
            l->watches[i].readable(l->watches[i].arg);
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
    wish_for(b, WISH_DRAIN);
    count_threads(b);
    while (l->phase == LOOP_DRAIN && b->places.count > 0) {
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
    struct blocking b = { .loop = l, .bell = { -1, -1 }, .lock = PTHREAD_MUTEX_INITIALIZER };
    (void)ops;
    list_init(&b.threads);
    roster_open(&b.places, l);
    int result = blocking_open(&b), error;
    if (result == 0) {
        l->self = &b;
        l->survey = threads_survey;
        l->surveyed = &b;
        l->sweep = threads_sweep;
        l->ready(l->arg);
        while (l->phase == LOOP_RUN && b.failed == 0)
            blocking_turn(&b, true, false);
        if (b.failed != 0)
            l->phase = LOOP_HALT;
        threads_drain(&b);
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
