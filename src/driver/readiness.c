/* SPDX-License-Identifier: BSD-2-Clause */
/* Readiness: remember what may be possible, try it, believe EAGAIN.
 *
 * Each connection has two bits, can_read and can_write: true until a call said EAGAIN (or a short read proved the
 * same), true again when the poller hints so.  pump() is the whole life of a connection: flush, resume, receive,
 * until nothing is possible or its turns are used up; then it is queued again, since an edge-triggered poller will
 * not speak of it a second time.
 * Owns the table of descriptors.  Does not know which poller it has. */
#include "driver/readiness.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "core/file.h"
#include "driver/dial.h"
#include "driver/readiness_inner.h"
#include "driver/sock.h"
#include "driver/sock_datagram.h"
#include "driver/warm.h"

enum { TURNS = 8 };             /* receive and flush rounds per connection and wakeup: the others wait */

static struct half *half_of(struct conn *c)
{
    return conn_driver_part(c);
}

static void conn_drop(struct readiness *r, struct conn *c)
{
    struct half *h = half_of(c);
    list_remove(&h->again);
    if (h->added)
        r->poller.ops->remove(&r->poller, c->fd, true);
    r->slots[c->fd] = (struct slot){ 0 };
    roster_remove(&r->roster, c);
    close(c->fd);
    stage_put_back(&r->stages, h->load.stage);
    const struct service *s = c->service;
    conn_free(c);
    dial_tell_over(s, 0);
}

/* Level-triggered pollers must report exactly what can be used. */
/* hot */
static void conn_arm(struct readiness *r, struct conn *c)
{
    struct half *h = half_of(c);
    if (r->poller.ops->edge)
        return;
    unsigned can = (conn_wants_input(c) && !h->can_read ? CAN_READ : 0u) |
                   (c->out.bytes > 0 && !h->can_write && !h->warming ? CAN_WRITE : 0u);
    if (can == h->armed)
        return;
    h->armed = can;
    r->poller.ops->arm(&r->poller, c->fd, c->generation, can);
}

/* A connection that outlives its first turn enters the poller, which may know more than we do by then. */
static void conn_enter(struct readiness *r, struct conn *c)
{
    struct half *h = half_of(c);
    h->added = r->poller.ops->add(&r->poller, c->fd, c->generation) == 0;
    if (h->added)
        return;
    int error = errno;
    if (roster_runs_short(&r->roster)) {
        errno = error;
        log_errno(LOG_ERROR, &r->env->about, "worker %s: cannot watch a connection, which is broken off; others wait",
                  r->env->about.worker);
    }
    conn_abort(c);
}

static void stage_end(struct readiness *r, struct half *h)
{
    if (h->load.ready > 0)
        return;
    stage_put_back(&r->stages, h->load.stage);
    h->load.stage = NULL;
}

static void load_end(struct readiness *r, struct conn *c, ssize_t result)
{
    struct half *h = half_of(c);
    h->loading = false;
    if (c->phase != CONN_OVER && !sock_end_load(c, &h->load, result))
        conn_broke(c);
    stage_end(r, h);
}

static enum sock_flushed load_flush(struct readiness *r, struct conn *c)
{
    struct half *h = half_of(c);
    enum sock_flushed f = sock_flush_load(c, &h->load);
    stage_end(r, h);
    return f;
}

static void park_until_warm(struct readiness *r, struct conn *c)
{
    struct half *h = half_of(c);
    struct outq_item *i = outq_head_file(&c->out);
    struct warm_range range = { .fd = i->file->fd, .offset = i->offset };
    range.n = i->left < SOCK_PIECE ? i->left : SOCK_PIECE;
    h->warmed = true;           /* whatever comes of it, do not ask twice */
    if (r->warm == NULL || warm_ask(r->warm, c, &range) == -1)
        return;
    h->warming = true;
    c->in_flight++;
    r->env->count.cold_reads++;
}

/* A helper loads the next piece; where none can be had the loop waits. */
static void park_until_loaded(struct readiness *r, struct conn *c)
{
    struct half *h = half_of(c);
    h->load.stage = stage_get(&r->stages);
    if (h->load.stage == NULL) {
        conn_broke(c);
        return;
    }
    sock_plan_load(c, &h->load);
    struct warm_range range = { .fd = outq_head_file(&c->out)->file->fd, .offset = h->load.offset, .n = h->load.n,
                                .to = h->load.stage };
    if (r->warm != NULL && warm_ask(r->warm, c, &range) == 0) {
        h->warming = h->loading = true;
        c->in_flight++;
    } else {
        load_end(r, c, warm_load(&range));
    }
}

/* hot */
static void conn_flush(struct readiness *r, struct conn *c)
{
    struct half *h = half_of(c);
    if (c->out.bytes == 0 || !h->can_write || h->warming || c->phase == CONN_OVER)
        return;
    bool trust = h->warmed;
    h->warmed = false;
    switch (h->load.ready > 0 ? load_flush(r, c) : sock_flush(c, trust)) {
    case SOCK_FLUSHED:
    case SOCK_AGAIN:   break;
    case SOCK_BLOCKED: h->can_write = false; break;
    case SOCK_COLD:    park_until_warm(r, c); break;
    case SOCK_DIRECT:  park_until_loaded(r, c); break;
    case SOCK_BROKEN:  conn_broke(c); break;
    }
}

/* hot */
static void conn_receive(struct readiness *r, struct conn *c)
{
    struct half *h = half_of(c);
    ssize_t n = recv(c->fd, r->scratch, READINESS_SCRATCH, 0);
    r->env->count.receives++;
    r->env->count.syscalls++;
    if (n > 0) {
        if (n < READINESS_SCRATCH && r->poller.ops->short_read && !h->gone)
            h->can_read = false;        /* drained, and the poller will tell of more */
        conn_input(c, (struct span){ r->scratch, (size_t)n });
    } else if (n == 0) {
        h->can_read = false;
        conn_eof(c);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        h->can_read = false;
        r->env->count.would_block++;
    } else if (errno != EINTR) {
        conn_broke(c);
    }
}

/* One round: true when there may be more to do at once. */
/* hot */
static bool conn_turn(struct readiness *r, struct conn *c)
{
    struct half *h = half_of(c);
    conn_flush(r, c);
    if (conn_wants_shut(c)) {
        shutdown(c->fd, SHUT_WR);
        conn_shut(c);
    }
    if (conn_over(c))
        return false;
    if (conn_resume(c))
        return true;
    if (h->can_read && conn_wants_input(c)) {
        conn_receive(r, c);
        return true;
    }
    return c->out.bytes > 0 && h->can_write && !h->warming;
}

/* Passes it to an heir; true when it is gone.  The poller must have forgotten it before the heir has it: for some of them
 * what they know belongs to the socket. */
static bool conn_part(struct readiness *r, struct conn *c)
{
    struct half *h = half_of(c);
    if (!roster_parts(&r->roster, c))
        return false;
    if (h->added)
        r->poller.ops->remove(&r->poller, c->fd, false);
    h->added = false;
    h->armed = 0;
    if (!roster_pass(&r->roster, c)) {
        conn_enter(r, c);
        if (!conn_over(c))
            return false;
    }
    conn_drop(r, c);
    return true;
}

/* Does all that can be done for a connection now; false when it is gone. */
/* hot */
static bool conn_pump(struct readiness *r, struct conn *c)
{
    struct half *h = half_of(c);
    int turns = 0;
    conn_count(c);
    while (turns < TURNS && conn_turn(r, c))
        turns++;
    if (!conn_over(c)) {
        if (!h->added)
            conn_enter(r, c);
        roster_touch(&r->roster, c);
    }
    if (conn_over(c)) {
        if (c->in_flight > 0) {
            if (h->added)
                conn_arm(r, c);         /* a broken socket would be reported until the helper answers */
            return true;
        }
        conn_drop(r, c);
        return false;
    }
    if (r->draining && conn_part(r, c))
        return false;
    if (turns < TURNS)
        conn_arm(r, c);
    else if (list_empty(&h->again))
        list_append(&r->again, &h->again);
    return true;
}

/* It gives way: what it has sent is read, then the end. */
static void conn_leave(struct readiness *r, struct conn *c)
{
    half_of(c)->can_read = half_of(c)->gone = true;
    conn_pump(r, c);
}

static void conn_seat(struct readiness *r, struct conn *c)
{
    struct half *h = half_of(c);
    list_init(&h->again);
    h->conn = c;
    h->can_read = h->can_write = true;
    h->gone = c->service->dial != NULL && c->service->dial->type == SOCK_DGRAM;  /* each datagram is a short read */
    r->slots[c->fd] = (struct slot){ .kind = SLOT_CONN, .conn = c };
}

static struct conn *conn_make(struct readiness *r, const struct service *s, int fd, const struct peer *peer)
{
    env_count_for(r->env, s->part);
    struct conn *c = fd < r->poller.fds_max ? conn_new(r->env, s, fd, peer, sizeof(struct half)) : NULL;
    if (c == NULL) {
        r->env->count.refused++;
        close(fd);
        dial_tell_over(s, ENOMEM);
        return NULL;
    }
    conn_seat(r, c);
    roster_add(&r->roster, c);
    return c;
}

void readiness_begin(struct readiness *r, const struct service *s, int fd, const struct peer *peer)
{
    struct conn *idle = roster_yield(&r->roster);
    if (idle != NULL)
        conn_leave(r, idle);
    struct conn *c = conn_make(r, s, fd, peer);
    if (c != NULL)
        conn_pump(r, c);        /* the request is often already here */
}

void readiness_begin_added(struct readiness *r, const struct service *s, int fd, const struct peer *peer)
{
    struct conn *c = conn_make(r, s, fd, peer);
    if (c == NULL) {
        r->poller.ops->remove(&r->poller, fd, true);
        r->slots[fd] = (struct slot){ 0 };
        return;
    }
    half_of(c)->added = true;
    half_of(c)->armed = CAN_WRITE;
    conn_pump(r, c);
}

static void conn_adopt(void *self, const struct service *s, int taken, const struct parcel *p)
{
    struct readiness *r = self;
    struct conn *c = NULL;
    env_count_for(r->env, s->part);
    if (taken < r->poller.fds_max && sock_adopt(taken, SOCK_DOES_NOT_BLOCK) == 0)
        c = conn_unpack(r->env, s, taken, p, sizeof(struct half));
    if (c == NULL) {
        r->env->count.refused++;
        close(taken);
        return;
    }
    conn_seat(r, c);
    roster_adopt(&r->roster, c);
    r->loop->review |= r->draining;     /* it has not heard of that */
    conn_pump(r, c);
}

static void conn_wake(void *self, struct conn *c)
{
    conn_pump(self, c);
}

static void hint_conn(struct readiness *r, struct conn *c, const struct ready *hint)
{
    struct half *h = half_of(c);
    if (hint->generation != ANY_GENERATION && hint->generation != c->generation) {
        r->env->count.stale_events++;
        return;
    }
    h->can_read |= (hint->can & CAN_READ) != 0;
    h->can_write |= (hint->can & CAN_WRITE) != 0;
    h->gone |= (hint->can & PEER_GONE) != 0;
    if (list_empty(&h->again))
        conn_pump(r, c);
}

static void warm_answered(struct readiness *r)
{
    struct conn *c;
    ssize_t result;
    while ((c = warm_answer(r->warm, &result)) != NULL) {
        half_of(c)->warming = false;
        c->in_flight--;
        if (half_of(c)->loading)
            load_end(r, c, result);
        conn_pump(r, c);
    }
}

/* hot */
static void dispatch(struct readiness *r, const struct ready *hint)
{
    if (hint->fd < 0 || hint->fd >= r->poller.fds_max)
        return;
    const struct slot *s = &r->slots[hint->fd];
    switch (s->kind) {
    case SLOT_CONN:     hint_conn(r, s->conn, hint); break;
    case SLOT_LISTENER: doorway_accept(r, s->index, READINESS_ACCEPTS); break;
    case SLOT_DATAGRAM:
        if ((hint->can & CAN_READ) != 0)    /* no reply waits to be sent */
            doorway_letters(r, s->index);
        break;
    case SLOT_WATCH:    r->loop->watches[s->index].readable(r->loop->watches[s->index].arg); break;
    case SLOT_WARM:     warm_answered(r); break;
    case SLOT_DIAL:     dial_hint(r, s->dial); break;
    case SLOT_FREE:     r->env->count.stale_events++; break;
    }
}

/* Who stopped on a budget goes on; what a full house or a shortage held back is tried again. */
static void run_again(struct readiness *r)
{
    struct list now;
    list_init(&now);
    list_splice(&now, &r->again);
    while (!list_empty(&now)) {
        struct half *h = LIST_ENTRY(now.next, struct half, again);
        list_remove(&h->again);
        conn_pump(r, h->conn);
    }
    for (unsigned i = 0; i < r->loop->listener_count && !r->draining; i++) {
        if (!doorway_waits(r, i))
            continue;
        if (r->loop->listeners[i].datagram)
            doorway_letters(r, i);
        else
            doorway_accept(r, i, READINESS_ACCEPTS);
    }
}

static bool has_unfinished(struct readiness *r)
{
    bool more = !list_empty(&r->again);
    for (unsigned i = 0; i < r->loop->listener_count && !r->draining; i++)
        more |= doorway_waits(r, i);
    return more;
}

/* Each connection: what has come already is answered, then it hears that the worker is going, or is passed. */
static void conns_drain(struct readiness *r)
{
    struct list all;
    list_init(&all);
    list_splice(&all, &r->roster.conns);
    while (!list_empty(&all)) {
        struct conn *c = LIST_ENTRY(all.next, struct conn, siblings);
        list_remove(&c->siblings);
        list_append(&r->roster.conns, &c->siblings);
        half_of(c)->can_read = true;
        if (!conn_pump(r, c))
            continue;
        conn_drain(c);
        conn_pump(r, c);
    }
}

static void readiness_drain(struct readiness *r)
{
    roster_last_round(&r->roster);
    for (unsigned i = 0; i < r->loop->listener_count; i++)
        doorway_close(r, i);
    loop_tell_shut(r->loop);
    r->draining = true;
    conns_drain(r);
}

/* Ends every connection; those that a helper still reads for go when it answers. */
static void readiness_halt(struct readiness *r)
{
    struct list *conns = &r->roster.conns;
    warm_close(r->warm);
    r->warm = NULL;
    errands_end(r->env);
    dials_end(r);
    while (!list_empty(conns)) {
        struct conn *c = LIST_ENTRY(conns->next, struct conn, siblings);
        conn_abort(c);
        conn_drop(r, c);
    }
}

int readiness_slot(struct readiness *r, int fd, enum slot_kind kind, unsigned index)
{
    if (fd >= r->poller.fds_max) {
        errno = EMFILE;
        return -1;
    }
    r->slots[fd] = (struct slot){ .kind = kind, .index = index };
    if (r->poller.ops->add(&r->poller, fd, ANY_GENERATION) == -1)
        return -1;
    if (!r->poller.ops->edge)
        r->poller.ops->arm(&r->poller, fd, ANY_GENERATION, CAN_READ);
    return 0;
}

/* A level-triggered poller would report what cannot be read now, again and again.  An end it reports once for each time that
 * it is armed, whatever for. */
static void watches_arm(struct readiness *r)
{
    struct loop *l = r->loop;
    for (unsigned i = 0; i < l->watch_count && !r->poller.ops->edge; i++) {
        struct watch *w = &l->watches[i];
        if (w->hushed == watch_pauses(w))
            continue;
        w->hushed = watch_pauses(w);
        r->poller.ops->arm(&r->poller, w->fd, ANY_GENERATION, w->hushed ? 0 : CAN_READ);
    }
    loop_paused_on(l);
}

static int readiness_open(struct readiness *r)
{
    const struct loop *l = r->loop;
    r->slots = calloc((size_t)r->poller.fds_max, sizeof *r->slots);
    r->doorways = calloc(l->listener_count + 1, sizeof *r->doorways);
    r->warm = warm_open();
    if (r->slots == NULL || r->doorways == NULL || r->warm == NULL || stage_pool_open(&r->stages) == -1)
        return -1;
    if (readiness_slot(r, warm_fd(r->warm), SLOT_WARM, 0) == -1)
        return -1;
    for (unsigned i = 0; i < l->watch_count; i++)
        if (readiness_slot(r, l->watches[i].fd, SLOT_WATCH, i) == -1)
            return -1;
    for (unsigned i = 0; i < l->listener_count; i++)
        if (doorway_open(r, i) == -1)
            return -1;
    return 0;
}

static void readiness_turn(struct readiness *r)
{
    struct loop *l = r->loop;
    loop_tell_rest(l);
    int n = r->poller.ops->wait(&r->poller, r->hints, READINESS_HINTS, has_unfinished(r) ? 0 : roster_wait_ms(&r->roster));
    struct conn *c;
    if (n == -1 && errno != EINTR)
        r->failed = errno;
    env_turn(r->env);
    r->env->count.wakeups++;
    r->env->count.syscalls += r->poller.calls;
    r->poller.calls = 0;
    r->env->count.events += n > 0 ? (uint64_t)n : 0;
    for (int i = 0; i < n; i++)
        dispatch(r, &r->hints[i]);
    while ((c = errand_back(r->env)) != NULL)
        conn_pump(r, c);
    run_again(r);
    while ((c = roster_expire(&r->roster)) != NULL)
        conn_pump(r, c);
    doorways_arm(r);
    if (l->reclaim && !r->draining && r->poller.ops->reclaim != NULL)
        r->poller.ops->reclaim(&r->poller);
    l->reclaim = false;
    loop_read_on(l);
    if (l->paused)
        watches_arm(r);
    if (l->phase == LOOP_DRAIN && !r->draining)
        readiness_drain(r);
    else if (r->draining && roster_reviews(&r->roster))
        conns_drain(r);
    if (l->phase == LOOP_DRAIN && r->env->now_ms >= l->drain_deadline_ms)
        l->phase = LOOP_HALT;
    env_rest(r->env);
}

static bool readiness_lasts(const struct readiness *r)
{
    if (r->failed != 0 || r->loop->phase == LOOP_HALT)
        return false;
    return !r->draining || r->roster.count > 0;
}

static int serve_all(struct readiness *r)
{
    if (readiness_open(r) == -1)
        return -1;
    r->loop->self = r;
    r->loop->sweep = doorway_sweep;
    r->loop->adopt = conn_adopt;
    r->loop->connect = readiness_dial;
    r->loop->wake = conn_wake;
    r->loop->ready(r->loop->arg);
    while (readiness_lasts(r))
        readiness_turn(r);
    readiness_halt(r);
    env_rest(r->env);
    errno = r->failed;
    return r->failed == 0 ? 0 : -1;
}

static int readiness_run(struct loop *l, const void *ops)
{
    struct readiness *r = calloc(1, sizeof *r);
    if (r == NULL)
        return -1;
    r->loop = l;
    r->env = l->env;
    r->poller = (struct poller){ .ops = ops, .fds_max = roster_descriptors_max(l), .interval_us = l->poll_interval_us };
    list_init(&r->again);
    list_init(&r->dials);
    roster_open(&r->roster, l);
    int result = r->poller.ops->open(&r->poller), error;
    if (result == 0) {
        result = serve_all(r);
        error = errno;
        r->poller.ops->close(&r->poller);
        errno = error;
    }
    error = errno;
    warm_close(r->warm);
    stage_pool_close(&r->stages);
    roster_close(&r->roster);
    sock_batch_free(r->batch);
    free(r->doorways);
    free(r->slots);
    free(r);
    errno = error;
    return result;
}

const struct driver driver_readiness = { .name = "readiness", .run = readiness_run };
