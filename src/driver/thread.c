/* SPDX-License-Identifier: BSD-2-Clause */
/* A thread of the model blocking: it waits in recv(2) and send(2) as the programs of the textbooks do.
 *
 * A thread is a world of its own: an env, a connection, a buffer.  With the others it shares constant settings,
 * counters that are added atomically, the ring of access records behind its lock, and the register of threads behind
 * its own.  Deadlines are the socket's time-outs, set anew only when the time left is shorter than what is set: a peer
 * that sends a byte now and then does not move its deadline. */
#include "driver/thread.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "core/file.h"
#include "core/heirs.h"
#include "driver/dial.h"
#include "driver/roster.h"
#include "driver/sock.h"
#include "driver/stage.h"
#include "driver/warm.h"

static void house_ring(const struct threads *h)
{
    (void)!write(h->bell, "", 1);       /* full: there are bells enough */
}

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

/* Before it waits: may it give way?  The main thread looks for somebody when the house is full. */
static void idle_begin(struct thread *t)
{
    uint64_t since = conn_idle_since(t->conn);
    if (since == 0)
        return;
    pthread_mutex_lock(&t->house->lock);
    __atomic_store_n(&t->idle_since, since, __ATOMIC_RELAXED);
    idlers_note(&t->house->idlers, &t->idle);
    pthread_mutex_unlock(&t->house->lock);
    if (__atomic_load_n(&t->house->shut, __ATOMIC_RELAXED))     /* said before the lock was taken to look for somebody */
        house_ring(t->house);
}

/* Something came. */
static void idle_end(struct thread *t)
{
    __atomic_store_n(&t->idle_since, 0, __ATOMIC_RELAXED);
}

static void thread_receive(struct thread *t, int flags)
{
    struct conn *c = t->conn;
    ssize_t n = recv(t->fd, t->input, sizeof t->input, flags);
    int error = errno;
    env_turn(&t->env);
    t->env.count.receives++;
    t->env.count.syscalls++;
    if (n >= 0)
        idle_end(t);            /* who was only interrupted is idle as before */
    if (n > 0) {
        conn_input(c, (struct span){ t->input, (size_t)n });
    } else if (n == 0) {
        c->leaving = __atomic_load_n(&t->leaving, __ATOMIC_ACQUIRE);
        conn_eof(c);
    }
    if (n == -1 && (error == EAGAIN || error == EWOULDBLOCK))
        t->env.count.would_block++;
    else if (n == -1 && error != EINTR)
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

/* A call may go on for long while the peer reads slowly: its bytes are news when it returns, not when it began. */
static void thread_send(struct thread *t)
{
    size_t before = t->conn->out.bytes;
    enum sock_flushed f = t->load.ready > 0 ? sock_flush_load(t->conn, &t->load) : sock_flush(t->conn, true);
    if (f == SOCK_DIRECT)
        f = thread_load(t);
    env_turn(&t->env);
    if (t->conn->out.bytes < before)
        conn_sent_now(t->conn);
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
    unsigned wish = __atomic_load_n(&t->house->wish, __ATOMIC_ACQUIRE);
    if (t->heard == wish)
        return;
    pthread_mutex_lock(&t->house->lock);
    t->heard = wish;
    pthread_mutex_unlock(&t->house->lock);
    t->env.draining = true;
    t->pass_after_ms = 0;
    if (wish % WISHES == WISH_HALT) {
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
    if (memcmp(&t->peer, &c->peer, sizeof t->peer) == 0)
        return;
    pthread_mutex_lock(&t->house->lock);
    t->peer = c->peer;
    pthread_mutex_unlock(&t->house->lock);
}

void threads_survey(void *arg, struct census *c)
{
    struct threads *h = arg;
    uint32_t now_s = (uint32_t)(clock_monotonic_ms() / 1000);
    pthread_mutex_lock(&h->lock);
    for (const struct list *l = h->all.next; l != &h->all; l = l->next) {
        const struct thread *t = LIST_ENTRY(l, struct thread, siblings);
        struct census_row row = { .peer = t->peer, .age_s = now_s - t->opened_s,
                                  .state = __atomic_load_n(&t->shown.state, __ATOMIC_RELAXED),
                                  .received = __atomic_load_n(&t->shown.received, __ATOMIC_RELAXED),
                                  .sent = __atomic_load_n(&t->shown.sent, __ATOMIC_RELAXED) };
        snprintf(row.service, sizeof row.service, "%s", t->service->name);
        census_add(c, &row);
    }
    pthread_mutex_unlock(&h->lock);
}

/* What an heir has is his: under the lock, so that the main thread shuts down none that was passed. */
static enum heir_answer thread_pass(struct thread *t)
{
    struct threads *h = t->house;
    enum heir_answer answer = HEIR_NONE;
    pthread_mutex_lock(&h->lock);
    if (__atomic_load_n(&h->wish, __ATOMIC_RELAXED) % WISHES != WISH_HALT)
        answer = t->env.heirs->take(t->env.heirs, t->conn, t->fd);
    t->passed = answer == HEIR_TOOK;
    if (t->passed)
        idlers_forget(&h->idlers, &t->idle);
    pthread_mutex_unlock(&h->lock);
    return answer;
}

/* When the worker goes: passes the connection to an heir.  True when it is gone. */
static bool thread_part(struct thread *t)
{
    struct conn *c = t->conn;
    uint64_t now = t->env.now_ms;
    if (now < t->pass_after_ms || !conn_has_heir(c) || !conn_portable(c))
        return false;
    switch (thread_pass(t)) {
    case HEIR_TOOK:
        conn_taken(c);
        return true;
    case HEIR_BUSY:
        t->busy_since_ms = t->busy_since_ms != 0 ? t->busy_since_ms : now;
        t->pass_after_ms = now + roster_pass_pause(t->busy_since_ms, now);
        receive_for(t, t->pass_after_ms - now);
        break;
    case HEIR_NONE:
        break;
    }
    return false;
}

/* An errand takes its time: it is seen meanwhile.  False: there is none that has to be done. */
static bool thread_work(struct thread *t)
{
    if (t->conn->errand == NULL)
        return false;
    thread_show(t);
    if (!conn_work(t->conn))
        return false;
    env_turn(&t->env);
    return true;
}

/* Who speaks unasked waits in ppoll(2) for his time to come, or for his deadline if that is earlier: a time-out of the socket
 * is as coarse as a tick.  True when something can be received first, or nothing else is to be waited for. */
static bool thread_waits(struct thread *t)
{
    const struct proto *proto = t->service->proto;
    uint64_t at_us = proto->speaks_us != NULL ? proto->speaks_us(t->conn) : UINT64_MAX, now_us, until_us;
    uint64_t due_ms = conn_due(t->conn);
    struct pollfd p = { .fd = t->fd, .events = POLLIN };
    if (at_us == UINT64_MAX)
        return true;
    now_us = clock_monotonic_us();
    if (at_us <= now_us)
        return false;
    until_us = due_ms < at_us / 1000 ? due_ms * 1000 : at_us;
    uint64_t left_us = until_us > now_us ? until_us - now_us : 0;
    struct timespec left = { (time_t)(left_us / 1000000), (long)(left_us % 1000000 * 1000) };
    int n = ppoll(&p, 1, &left, NULL);
    env_turn(&t->env);
    return n > 0;
}

static void thread_turn(struct thread *t)
{
    struct conn *c = t->conn;
    if (c->out.bytes > 0) {
        thread_show(t);
        conn_look(c);
        if (c->out.bytes > CONN_OUT_LOW)
            env_publish(&t->env);       /* it may be long before the next chance */
        thread_send(t);
    }
    if (conn_wants_shut(c)) {
        shutdown(t->fd, SHUT_WR);
        conn_shut(c);
    }
    if (conn_over(c) || (t->env.draining && thread_part(t)))
        return;
    if (thread_work(t))
        return;                 /* to hear whether this answer is to be the last */
    if (conn_resume(c)) {
        if (conn_wants_input(c))
            thread_receive(t, MSG_DONTWAIT);    /* who always has something to say must listen too */
        return;
    }
    if (c->out.bytes > 0)
        return;
    if (conn_wants_input(c) && thread_waits(t)) {
        thread_show(t);
        conn_look(c);
        env_rest(&t->env);
        deadline_arm(t, false);
        idle_begin(t);
        thread_receive(t, 0);
    }
}

/* Takes leave: after this the main thread will not touch the descriptor, and the process may end. */
static void thread_leave(struct thread *t, int error)
{
    struct threads *h = t->house;
    env_rest(&t->env);
    env_free(&t->env);
    free(t->load.stage);
    pthread_mutex_lock(&h->lock);
    list_remove(&t->siblings);
    idlers_forget(&h->idlers, &t->idle);
    h->count--;
    h->refused -= t->extra;
    h->leaving -= t->leaving;
    close(t->fd);
    dial_tell_over(t->service, error);
    free(t);
    house_ring(h);
    pthread_mutex_unlock(&h->lock);
}

static void thread_unpack(struct thread *t)
{
    if (sock_adopt(t->fd, SOCK_BLOCKS) == 0)
        t->conn = conn_unpack(&t->env, t->service, t->fd, &t->parcel->parcel, 0);
    free(t->parcel);
    t->parcel = NULL;
    if (t->conn == NULL)
        t->env.count.refused++;
    else
        sock_send_for(t->fd, t->service);
    env_rest(&t->env);          /* it is counted before it waits for its peer */
}

/* Who makes connections waits for them here; 0 or errno. */
static int thread_dial(struct thread *t)
{
    const struct dial *d = t->service->dial;
    while (d != NULL && dial_connect(d, t->fd) == -1) {
        int error = errno;
        if (__atomic_load_n(&t->house->wish, __ATOMIC_ACQUIRE) % WISHES == WISH_HALT)
            return ECANCELED;   /* it was shut down */
        if (error != EINPROGRESS)
            return error;
    }
    env_turn(&t->env);
    return 0;
}

void *thread_main(void *arg)
{
    struct thread *t = arg;
    int error = thread_dial(t);
    t->conn = NULL;
    if (t->parcel != NULL)
        thread_unpack(t);
    else if (error == 0)
        t->conn = conn_new(&t->env, t->service, t->fd, &t->peer, 0);
    if (t->conn != NULL && t->beyond && !t->conn->refused)
        conn_refuse(t->conn);
    while (t->conn != NULL && !conn_over(t->conn)) {
        hear_wish(t);
        thread_turn(t);
        if (!conn_over(t->conn) && conn_due(t->conn) <= t->env.now_ms)
            conn_expired(t->conn);
    }
    conn_free(t->conn);
    thread_leave(t, error);
    return NULL;
}

struct thread *thread_new(struct threads *h, const struct service *s, int fd, const struct peer *peer,
                          const struct env *e)
{
    struct thread *t = malloc(sizeof *t);
    if (t == NULL)
        return NULL;
    t->house = h;
    t->service = s;
    t->parcel = NULL;
    t->busy_since_ms = t->pass_after_ms = 0;
    t->fd = fd;
    t->peer = *peer;
    t->opened_s = (uint32_t)(e->now_ms / 1000);
    t->shown = (struct thread_shown){ 0 };
    t->receive_ms = 0;
    t->heard = WISH_NONE;
    t->beyond = t->extra = t->leaving = t->passed = false;
    t->idle = (struct heap_node){ 0 };
    t->idle_since = 0;
    t->load = (struct direct_load){ 0 };
    list_init(&t->siblings);
    env_init(&t->env, e->slot);
    t->env.shared = true;
    t->env.blocks.spare_max = t->env.items.spare_max = 4;
    t->env.about = e->about;
    t->env.access = e->access;
    t->env.verified = e->verified;
    t->env.request_rate = e->request_rate;
    t->env.tally = e->tally;
    t->env.heirs = e->heirs;
    t->env.draining = e->draining;
    return t;
}

int thread_take(struct thread *t, const struct parcel *p)
{
    struct thread_parcel *copy = malloc(sizeof *copy + p->proto.n + p->state.n + p->kept.n);
    char *at;
    if (copy == NULL)
        return -1;
    at = copy->bytes;
    copy->parcel = *p;
    copy->parcel.proto.p = at;
    at = mempcpy(at, p->proto.p, p->proto.n);
    copy->parcel.state.p = at;
    at = mempcpy(at, p->state.p, p->state.n);
    copy->parcel.kept.p = at;
    memcpy(at, p->kept.p, p->kept.n);
    copy->parcel.service = SPAN("");
    t->parcel = copy;
    t->peer = p->peer;
    t->opened_s = p->opened_s;
    return 0;
}

void thread_free(struct thread *t)
{
    if (t == NULL)
        return;
    free(t->parcel);
    free(t);
}

static struct thread *thread_of_idle(const struct heap_node *node)
{
    return LIST_ENTRY(node, struct thread, idle);
}

static uint64_t thread_idle_since(const struct heap_node *node)
{
    const struct thread *t = thread_of_idle(node);
    return t->leaving ? 0 : __atomic_load_n(&t->idle_since, __ATOMIC_RELAXED);
}

void threads_open(struct threads *h, int bell)
{
    *h = (struct threads){ .lock = PTHREAD_MUTEX_INITIALIZER, .idlers.since = thread_idle_since, .bell = bell };
    list_init(&h->all);
}

void threads_close(struct threads *h)
{
    idlers_free(&h->idlers);
}

/* As roster_oldest. */
struct thread *thread_oldest(struct threads *h)
{
    struct heap_node *node;
    while ((node = idlers_oldest(&h->idlers)) != NULL) {
        if (!roster_input_waits(thread_of_idle(node)->fd))
            return thread_of_idle(node);
        idlers_forget(&h->idlers, node);
    }
    return NULL;
}

void thread_leave_asked(struct thread *t)
{
    idlers_forget(&t->house->idlers, &t->idle);
    __atomic_store_n(&t->leaving, true, __ATOMIC_RELEASE);
    t->house->leaving++;
    shutdown(t->fd, SHUT_RD);
}
