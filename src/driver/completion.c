/* SPDX-License-Identifier: BSD-2-Clause */
/* Completion: start an operation, go on when it is done.
 *
 * A connection has at most one receive and one send (or file load) in flight.  What they name never moves: input
 * belongs to the engine until it is lent, output stays in its queue until it is sent, a piece of a file is loaded
 * into a stage and sent from there.  Nothing is freed before its last operation came back: to end a connection is
 * to shut it down, wait, and close.
 * Does not know which engine it has. */
#include "driver/completion.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "core/file.h"
#include "driver/completion_inner.h"
#include "driver/dial.h"
#include "driver/sock.h"

enum {
    IOV = 64,                   /* pieces of memory in one send */
    TURNS = 8,                  /* rounds of kept input per report: the others wait */
    LOOK_MS = 10,               /* when going: what has come needs so long to be told, in a pool of threads */
    LOOKS_MAX = 100,            /* ... for a second at most */
    SILENT_LOOKS = 2,           /* ... and this many looks without news mean that there is none */
    EXTRA_SHARE = 16,           /* of what an engine carries: for those who are refused, as much for those who leave */
};

static struct flight *flight_of(struct conn *c)
{
    return conn_driver_part(c);
}

static void flight_land(struct completion *k, struct conn *c)
{
    struct flight *f = flight_of(c);
    k->engine.ops->forget(&k->engine, &f->recv);
    k->engine.ops->forget(&k->engine, &f->send);
    k->engine.ops->close_fd(&k->engine, c->fd);
    stage_put_back(&k->stages, f->load.stage);
    roster_remove(&k->roster, c);
    const struct service *s = c->service;
    conn_free(c);
    dial_tell_over(s, 0);
}

/* hot */
static void send_memory_start(struct completion *k, struct conn *c)
{
    struct flight *f = flight_of(c);
    struct iovec iov[IOV];
    size_t bytes;
    int n = outq_iov(&c->out, iov, IOV, &bytes);
    f->send.kind = OP_SEND;
    f->asked = bytes;
    k->engine.ops->send(&k->engine, &f->send, c->fd, iov, n, bytes < c->out.bytes);
}

static void send_stage_start(struct completion *k, struct conn *c)
{
    struct flight *f = flight_of(c);
    struct iovec iov = { f->load.stage + f->load.at, f->load.ready };
    f->send.kind = OP_SEND;
    f->asked = f->load.ready;
    k->engine.ops->send(&k->engine, &f->send, c->fd, &iov, 1, f->load.ready < c->out.bytes);
}

/* False when there is no memory for a stage. */
static bool load_start(struct completion *k, struct conn *c, const struct outq_item *i)
{
    struct flight *f = flight_of(c);
    if (f->load.stage == NULL)
        f->load.stage = stage_get(&k->stages);
    if (f->load.stage == NULL)
        return false;
    f->send.kind = OP_LOAD;
    sock_plan_load(c, &f->load);
    k->engine.ops->load(&k->engine, &f->send, i->file->fd, f->load.stage, f->load.n, f->load.offset);
    return true;
}

/* hot */
static void send_start(struct completion *k, struct conn *c)
{
    struct flight *f = flight_of(c);
    if (f->sending || c->out.bytes == 0)
        return;
    const struct outq_item *file = outq_head_file(&c->out);
    if (file == NULL)
        send_memory_start(k, c);
    else if (f->load.ready > 0)
        send_stage_start(k, c);
    else if (!load_start(k, c, file)) {
        conn_broke(c);
        return;
    }
    f->sending = true;
    c->in_flight++;
    k->env->count.sends++;
}

/* A receive that goes on by itself must be stopped when bytes come that nobody wants; what comes before it has stopped
 * is kept by the connection.  Not before that: most peers wait for their answer, and to stop and to start again would
 * cost more than the request. */
static void recv_stop(struct completion *k, struct conn *c)
{
    struct flight *f = flight_of(c);
    if (!f->flowing || f->stopping || c->eof)
        return;
    f->stopping = true;
    k->engine.ops->cancel(&k->engine, &f->recv);
}

/* Most connections that make one request have ended when it is answered: the first receive does not go on by itself,
 * or it would have to be brought back. */
/* hot */
static void recv_follow(struct completion *k, struct conn *c)
{
    struct flight *f = flight_of(c);
    if (f->receiving || !conn_wants_input(c))
        return;
    f->receiving = true;
    c->in_flight++;
    k->env->count.receives++;
    k->engine.ops->recv(&k->engine, &f->recv, c->fd, f->met);
}

/* When the worker is going: passes it to an heir, or makes its receive come back first; what that brings is served
 * before.  True when it is gone.  *waits: nothing is to be started on it. */
static bool flight_part(struct completion *k, struct conn *c, bool *waits)
{
    struct flight *f = flight_of(c);
    *waits = roster_awaits_heir(&k->roster, c);
    if (f->sending || !roster_parts(&k->roster, c))
        return false;
    if (f->receiving && !f->stopping) {
        f->stopping = true;
        k->engine.ops->recall(&k->engine, &f->recv, c->fd);
    }
    *waits = f->receiving;
    if (f->receiving)
        return false;
    if (roster_pass(&k->roster, c)) {
        flight_land(k, c);
        return true;
    }
    *waits = roster_awaits_heir(&k->roster, c);
    return false;
}

/* It is over: freed if nothing is in flight, else shut down so that what is in flight comes back. */
static void conn_land(struct completion *k, struct conn *c)
{
    struct flight *f = flight_of(c);
    if (c->in_flight == 0) {
        flight_land(k, c);
    } else if (!f->shutting) {
        f->shutting = true;
        shutdown(c->fd, SHUT_RDWR);
        dial_end(k, c);
    }
}

/* Starts whatever a connection can use now; false when it is gone. */
/* hot */
static bool conn_advance(struct completion *k, struct conn *c)
{
    conn_count(c);
    bool waits = false;
    for (int i = 0; i < TURNS && conn_resume(c); i++)
        ;
    if (k->draining && flight_part(k, c, &waits))
        return false;
    if (conn_wants_shut(c)) {
        shutdown(c->fd, SHUT_WR);
        conn_shut(c);
    }
    if (!conn_over(c)) {
        send_start(k, c);
        if (!waits)
            recv_follow(k, c);
        roster_touch(&k->roster, c);
    }
    if (!conn_over(c))
        return true;
    bool stays = c->in_flight > 0;
    conn_land(k, c);
    return stays;
}

/* hot */
static void on_recv(struct completion *k, struct conn *c, const struct done *d)
{
    struct flight *f = flight_of(c);
    f->flowing = d->more;
    f->met |= d->result > 0;
    if (!d->more) {
        f->receiving = f->stopping = false;
        c->in_flight--;
    }
    if (f->shutting || c->phase == CONN_OVER)
        return;
    if (d->result > 0 && !conn_wants_input(c))
        recv_stop(k, c);
    if (d->result > 0)
        conn_input(c, (struct span){ d->data, (size_t)d->result });
    else if (d->result == 0)
        conn_eof(c);
    else if (d->result != -EINTR && d->result != -EAGAIN && d->result != -ENOBUFS && d->result != -ECANCELED)
        conn_broke(c);
    else
        k->env->count.would_block++;
}

static void on_sent(struct completion *k, struct conn *c, size_t n)
{
    struct flight *f = flight_of(c);
    if (f->load.ready > 0)
        direct_sent(&f->load, n);
    conn_sent(c, n);
    if (n < f->asked)
        sock_note_blocked(c);
    if (c->out.bytes == 0) {
        stage_put_back(&k->stages, f->load.stage);      /* an idle connection owns no buffer */
        f->load.stage = NULL;
    }
}

/* hot */
static void on_send(struct completion *k, struct conn *c, const struct done *d)
{
    struct flight *f = flight_of(c);
    f->sending = false;
    c->in_flight--;
    if (f->shutting || c->phase == CONN_OVER)
        return;
    if (d->result == -EINTR || d->result == -EAGAIN)
        k->env->count.would_block++;
    else if (f->send.kind == OP_LOAD ? !sock_end_load(c, &f->load, d->result) : d->result <= 0)
        conn_broke(c);
    else if (f->send.kind == OP_SEND)
        on_sent(k, c, (size_t)d->result);
}

static void flight_start(struct completion *k, struct conn *c)
{
    struct flight *f = flight_of(c);
    f->recv = (struct op){ .kind = OP_RECV, .owner = c };
    f->send = (struct op){ .kind = OP_SEND, .owner = c };
    k->told = false;            /* when the worker is going: this one has to hear of it yet */
    conn_advance(k, c);
}

void completion_begin(struct completion *k, const struct service *s, int fd, const struct peer *peer)
{
    (void)roster_yield(&k->roster);     /* its receive comes back with the end */
    env_count_for(k->env, s->part);
    struct conn *c = conn_new(k->env, s, fd, peer, sizeof(struct flight));
    if (c == NULL) {
        k->env->count.refused++;
        k->engine.ops->close_fd(&k->engine, fd);
        dial_tell_over(s, ENOMEM);
        return;
    }
    roster_add(&k->roster, c);
    flight_start(k, c);
}

/* Beyond what an engine carries there is none, and newcomers are to be told that the house is full. */
static bool has_room_to_adopt(struct completion *k)
{
    struct engine *e = &k->engine;
    if (e->ops->adopted == NULL)
        return true;
    bool carried = e->ops->adopted(e);
    return carried && k->roster.count + k->roster.extra_max < e->connections_max;
}

/* It was let in elsewhere, be the house full or not; but an engine that has no room at all tells so, as a full house
 * would. */
static void flight_adopt(void *self, const struct service *s, int taken, const struct parcel *p)
{
    struct completion *k = self;
    struct conn *c = NULL;
    env_count_for(k->env, s->part);
    bool room = has_room_to_adopt(k);
    if (room && sock_adopt(taken, SOCK_BLOCKS) == 0)
        c = conn_unpack(k->env, s, taken, p, sizeof(struct flight));
    if (c == NULL) {
        k->env->count.refused++;
        if (!room)
            sock_say_last(taken, s->proto->refusal);
        k->engine.ops->close_fd(&k->engine, taken);
        return;
    }
    roster_adopt(&k->roster, c);
    flight_start(k, c);
}

static void conn_wake_advance(void *self, struct conn *c)
{
    conn_advance(self, c);
}

/* hot */
static void on_done(struct completion *k, const struct done *d)
{
    switch (d->op->kind) {
    case OP_ACCEPT:
        door_report(k, d);
        return;
    case OP_CONNECT:
        dial_report(k, d);
        return;
    case OP_WATCH:
        windows_report(&k->windows, d);
        return;
    case OP_RECV:
        conn_count(d->op->owner);
        on_recv(k, d->op->owner, d);
        break;
    case OP_SEND:
    case OP_LOAD:
        conn_count(d->op->owner);
        on_send(k, d->op->owner, d);
        break;
    }
    conn_advance(k, d->op->owner);
}

/* Returns how many reports there were. */
static int wait_and_serve(struct completion *k, int timeout_ms)
{
    int n = k->engine.ops->wait(&k->engine, k->reports, COMPLETION_REPORTS, timeout_ms);
    if (n == -1 && errno != EINTR)
        k->failed = errno;
    env_turn(k->env);
    if (k->engine.strained != 0)
        engine_tell_strain(&k->engine, k->env);
    k->env->count.wakeups++;
    k->env->count.syscalls += k->engine.calls;
    k->engine.calls = 0;
    k->env->count.events += n > 0 ? (uint64_t)n : 0;
    for (int i = 0; i < n; i++)
        on_done(k, &k->reports[i]);
    return n;
}

/* Each connection is passed, or, if it is to be told, hears that the worker is going. */
static void flights_drain(struct completion *k, bool tell)
{
    struct list all;
    list_init(&all);
    list_splice(&all, &k->roster.conns);
    while (!list_empty(&all)) {
        struct conn *c = LIST_ENTRY(all.next, struct conn, siblings);
        list_remove(&c->siblings);
        list_append(&k->roster.conns, &c->siblings);
        if (tell)
            conn_drain(c);
        conn_advance(k, c);
    }
}

/* Who has waited for a helper, or for a time that has come, goes on. */
static void flights_follow(struct completion *k)
{
    struct conn *c;
    while ((c = errand_back(k->env)) != NULL)
        conn_advance(k, c);
    while ((c = roster_expire(&k->roster)) != NULL)
        conn_advance(k, c);
}

static void watches_follow(struct completion *k)
{
    loop_read_on(k->loop);
    if (k->loop->paused)
        windows_resume(&k->windows, k->loop);
}

/* Receives that can be answered come back in these rounds, and are served; a pool of threads may be slow.  All else goes
 * on meanwhile: who waits for an heir that was busy would be heard by nobody, and an errand that is not taken back ends
 * every wait at once.  A wait that was cut short says nothing about silence. */
static void take_what_came(struct completion *k)
{
    unsigned rounds = LOOKS_MAX, silent = 0;
    while (rounds-- > 0 && silent < SILENT_LOOKS && k->roster.count > 0) {
        int due_ms = roster_wait_ms(&k->roster);
        bool whole = due_ms < 0 || due_ms >= LOOK_MS;
        bool heard = wait_and_serve(k, whole ? LOOK_MS : due_ms) > 0;
        flights_follow(k);
        watches_follow(k);
        if (roster_reviews(&k->roster))
            flights_drain(k, false);
        if (heard || (whole && roster_hears_more(&k->roster)))
            silent = 0;
        else
            silent += whole;
    }
}

/* What has come already is answered before they are told. */
static void completion_drain(struct completion *k)
{
    if (!k->draining) {
        roster_last_round(&k->roster);
        doors_close(k);
    }
    k->draining = true;
    flights_drain(k, false);
    take_what_came(k);
    k->told = true;
    flights_drain(k, true);
}

static void completion_turn(struct completion *k)
{
    struct loop *l = k->loop;
    loop_tell_rest(l);
    wait_and_serve(k, roster_wait_ms(&k->roster));
    flights_follow(k);
    for (unsigned i = 0; l->reclaim && i < l->listener_count; i++)
        door_shut(k, &k->doors[i]);     /* and it is opened again, and looks */
    l->reclaim = false;
    doors_follow(k);
    watches_follow(k);
    if (l->phase == LOOP_DRAIN && !k->told)
        completion_drain(k);
    else if (k->draining && roster_reviews(&k->roster))
        flights_drain(k, true);
    if (k->draining && k->accepting == 0)
        loop_tell_shut(l);
    if (l->phase == LOOP_DRAIN && k->env->now_ms >= l->drain_deadline_ms)
        l->phase = LOOP_HALT;
    env_rest(k->env);
}

static bool completion_lasts(const struct completion *k)
{
    if (k->failed != 0 || k->loop->phase == LOOP_HALT)
        return false;
    return !k->draining || k->roster.count > 0 || k->accepting > 0;
}

/* Brings every operation back, then everything is free. */
static void completion_halt(struct completion *k)
{
    struct list all;
    k->halting = true;
    for (unsigned i = 0; i < k->loop->listener_count; i++)
        door_shut(k, &k->doors[i]);
    windows_shut(&k->windows);
    dials_cancel(k);
    errands_end(k->env);
    list_init(&all);
    list_splice(&all, &k->roster.conns);
    while (!list_empty(&all)) {
        struct conn *c = LIST_ENTRY(all.next, struct conn, siblings);
        list_remove(&c->siblings);
        list_append(&k->roster.conns, &c->siblings);
        conn_abort(c);
        conn_land(k, c);
    }
    while ((k->in_flight + k->windows.in_flight > 0 || k->roster.count > 0) && k->failed == 0)
        wait_and_serve(k, -1);
}

static int completion_open(struct completion *k)
{
    const struct loop *l = k->loop;
    k->doors = calloc(l->listener_count + 1, sizeof *k->doors);
    if (k->doors == NULL || windows_open(&k->windows, l, &k->engine) == -1)
        return -1;
    for (unsigned i = 0; i < l->listener_count; i++) {
        k->doors[i].op = (struct op){ .kind = OP_ACCEPT, .owner = &k->doors[i] };
        k->doors[i].listener = &l->listeners[i];
    }
    doors_follow(k);
    return 0;
}

static void completion_close(struct completion *k)
{
    for (unsigned i = 0; k->doors != NULL && i < k->loop->listener_count; i++)
        k->engine.ops->forget(&k->engine, &k->doors[i].op);
    windows_forget(&k->windows);
    k->engine.ops->close(&k->engine);
    windows_free(&k->windows);
    free(k->doors);
}

/* What an engine is to carry: those who are refused or give way come on top. */
static unsigned engine_load(const struct completion *k, unsigned connections)
{
    return connections + 2 * k->roster.extra_max;
}

/* An engine may carry fewer connections than were asked for; the others wait in the backlog. */
static void limit_adopt(struct completion *k)
{
    struct loop *l = k->loop;
    unsigned most = k->engine.connections_max, asked = l->connections_max;
    if (most >= engine_load(k, asked))
        return;
    if (k->roster.extra_max > most / EXTRA_SHARE + 1)
        k->roster.extra_max = most / EXTRA_SHARE + 1;
    l->connections_max = most > 2 * k->roster.extra_max ? most - 2 * k->roster.extra_max : 1;
    if (l->connections_max >= asked) {
        l->connections_max = asked;
        return;
    }
    log_write(LOG_NOTICE, &k->env->about, "worker %s: the model %s carries at most %u connections here, not %u",
              k->env->about.worker, k->engine.ops->name, l->connections_max, asked);
}

static int serve_until_told(struct completion *k)
{
    limit_adopt(k);
    if (completion_open(k) == -1)
        return -1;
    k->loop->self = k;
    k->loop->sweep = doors_sweep;
    k->loop->adopt = flight_adopt;
    k->loop->connect = completion_dial;
    k->loop->wake = conn_wake_advance;
    k->loop->ready(k->loop->arg);
    while (completion_lasts(k))
        completion_turn(k);
    completion_halt(k);
    env_rest(k->env);
    errno = k->failed;
    return k->failed == 0 ? 0 : -1;
}

static int completion_run(struct loop *l, const void *ops)
{
    struct completion *k = calloc(1, sizeof *k);
    if (k == NULL)
        return -1;
    k->loop = l;
    k->env = l->env;
    list_init(&k->dials);
    roster_open(&k->roster, l);
    k->engine = (struct engine){ .ops = ops, .connections_max = engine_load(k, l->connections_max),
                                .dials = l->dials };
    int result = stage_pool_open(&k->stages), error;
    k->engine.load_memory = stage_memory(&k->stages);
    if (result == 0)
        result = k->engine.ops->open(&k->engine);
    if (result == 0) {
        result = serve_until_told(k);
        error = errno;
        completion_close(k);
        errno = error;
    }
    error = errno;
    roster_close(&k->roster);
    stage_pool_close(&k->stages);
    free(k);
    errno = error;
    return result;
}

const struct driver driver_completion = { .name = "completion", .run = completion_run };
