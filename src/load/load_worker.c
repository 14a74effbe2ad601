/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker of iomux-load: seats, each with one connection after another, and a loop that is told before each wait what
 * has become due.
 *
 *   IDLE -> RAMP -> READY ------------> RUN ----------> DRAIN ---------> (end)
 *   idle ones    the others   the start       the end           all are answered,
 *   are there    are there    is known        has come          or it is given up
 *
 * On the model blocking seats are given back by threads, so that list is atomic; all else is the main thread's. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "core/env.h"
#include "driver/dial.h"
#include "driver/driver.h"
#include "driver/model.h"
#include "load/load.h"
#include "load/load_alarm.h"

enum {
    DIALS = 64,                 /* connections that are being made at a time before it begins: a backlog is finite */
    TICK_US = 10000,            /* so often it is looked whether the next phase has come, */
    RUN_TICK_US = 50000,        /* or, while it runs, whether it is to stop */
    PAUSE_US = 100000,          /* before a connection that could not be made is tried again; */
    PAUSE_MOST_US = 1000000,    /* with each failure twice as long, up to this */
    BARREN_US = 10000,          /* before the next, where the last one brought no answer */
    ANSWER_ROOM = 128 * 1024    /* bytes of a head that comes in pieces */
};

enum phase { PHASE_IDLE, PHASE_RAMP, PHASE_READY, PHASE_RUN, PHASE_DRAIN };

struct seat {
    struct dial            dial;
    struct client_settings settings;
    struct client_course   course;
    struct load_worker    *worker;
    struct seat           *next;        /* among those that were given back */
    struct heap_node       again;       /* when it is dialled */
    uint64_t               answers;     /* when it was last dialled */
    unsigned               failures;    /* in a row */
    int                    error;       /* of the last dial */
};

struct load_worker {
    struct load       *load;
    struct load_slot  *slot;
    unsigned           index;
    struct proto       proto;
    struct seat       *seats;
    unsigned           idle_count, count;       /* idle ones first */
    struct seat       *back;            /* atomic */
    struct heap        again;           /* seats to be dialled */
    struct heap        due;             /* connections that want to be woken */
    uint64_t           dialled, failed;
    uint64_t           done;            /* connections made, requests sent and answered, when that last changed: */
    uint64_t           done_us;
    enum phase         phase;
    uint64_t           look_us;         /* when to look at the phase again */
    uint64_t           give_up_us;      /* PHASE_DRAIN: then */
    struct env         env;
    struct loop        loop;
    struct load_alarm  alarm;
    struct watch       watch;
    char               name[16];
};

static const struct client_times *times_of(const struct load_worker *w)
{
    return &w->load->page->times;
}

static uint64_t shared_get(const uint64_t *at)
{
    return __atomic_load_n(at, __ATOMIC_RELAXED);
}

/* A thread may call this. */
static void seat_give_back(struct dial *d, int error)
{
    struct seat *s = LIST_ENTRY(d, struct seat, dial);
    s->error = error;
    s->next = __atomic_load_n(&s->worker->back, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&s->worker->back, &s->next, s, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
}

static void seat_dial_at(struct load_worker *w, struct seat *s, uint64_t at_us)
{
    if (at_us != UINT64_MAX && heap_set(&w->again, &s->again, at_us) == -1)
        w->loop.phase = LOOP_HALT;
}

static void seat_failed(struct load_worker *w, struct seat *s, uint64_t now_us)
{
    uint64_t pause_us = (uint64_t)PAUSE_US << (s->failures < 4 ? s->failures : 4);
    w->failed++;
    s->failures++;
    if (s->error == ECANCELED || w->phase == PHASE_DRAIN)
        return;
    __atomic_fetch_add(s->error == ECONNREFUSED ? &w->slot->sheet.refused : &w->slot->sheet.unreachable, 1,
                       __ATOMIC_RELAXED);
    seat_dial_at(w, s, now_us + (pause_us < PAUSE_MOST_US ? pause_us : PAUSE_MOST_US));
}

/* Its connection has ended: when is it to make the next? */
static void seat_next(struct load_worker *w, struct seat *s, uint64_t now_us)
{
    bool waits = w->phase < PHASE_RUN && !w->load->plan.one_each;       /* a server may not wait for ever with it */
    uint64_t due_us = waits ? now_us : client_due_us(&s->settings);
    bool barren = s->answers == s->course.answers;
    s->failures = 0;
    if (s->settings.idle)
        due_us = now_us + PAUSE_US;     /* a server that is full would let go another for it at once */
    if (w->phase == PHASE_DRAIN || due_us == UINT64_MAX)
        return;
    if (barren && due_us < now_us + BARREN_US)
        due_us = now_us + BARREN_US;
    seat_dial_at(w, s, due_us);
}

static void seats_take_back(struct load_worker *w, uint64_t now_us)
{
    struct seat *s = __atomic_exchange_n(&w->back, NULL, __ATOMIC_ACQUIRE);
    while (s != NULL) {
        struct seat *next = s->next;
        if (s->error != 0)
            seat_failed(w, s, now_us);
        else
            seat_next(w, s, now_us);
        s = next;
    }
}

static uint64_t dials_under_way(const struct load_worker *w)
{
    return w->dialled - w->failed - shared_get(&w->slot->sheet.connects);
}

static void seats_dial(struct load_worker *w, uint64_t now_us)
{
    const uint64_t most = w->phase < PHASE_RUN ? DIALS : UINT64_MAX;    /* then those that ask are as many as was said */
    struct heap_node *top;
    while ((top = heap_top(&w->again)) != NULL && top->key <= now_us && dials_under_way(w) < most) {
        struct seat *s = LIST_ENTRY(top, struct seat, again);
        heap_remove(&w->again, top);
        s->answers = s->course.answers;
        w->dialled++;
        w->loop.connect(w->loop.self, &s->dial);
    }
}

static void seats_begin(struct load_worker *w, unsigned from, unsigned to, uint64_t at_us)
{
    for (unsigned i = from; i < to; i++)
        seat_dial_at(w, &w->seats[i], at_us);
}

/* Is each of them there, or has it failed once? */
static bool seats_settled(const struct load_worker *w, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        if (!__atomic_load_n(&w->seats[i].course.settled, __ATOMIC_RELAXED) && w->seats[i].failures == 0)
            return false;
    return true;
}

static bool seats_have_sent_all(const struct load_worker *w)
{
    for (unsigned i = w->idle_count; i < w->count; i++)
        if (client_due_us(&w->seats[i].settings) != UINT64_MAX)
            return false;
    return true;
}

static uint64_t time_spent(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

static void cpu_take(struct load_worker *w, uint64_t now_us, uint64_t sign)
{
    struct rusage u = { 0 };
    getrusage(RUSAGE_SELF, &u);
    w->slot->user_us += sign * time_spent(u.ru_utime);
    w->slot->system_us += sign * time_spent(u.ru_stime);
    *(sign == 1 ? &w->slot->end_us : &w->slot->begin_us) = now_us;
}

static void phase_run(struct load_worker *w)
{
    uint64_t start_us = shared_get(&times_of(w)->start_us);
    w->phase = PHASE_RUN;
    client_due_start(&w->due, start_us);
    for (unsigned i = w->idle_count; i < w->count && w->load->plan.one_each; i++)
        seat_dial_at(w, &w->seats[i], client_due_us(&w->seats[i].settings));
}

static void phase_drain(struct load_worker *w, uint64_t now_us)
{
    w->phase = PHASE_DRAIN;
    if (w->slot->begin_us == 0)
        cpu_take(w, now_us, (uint64_t)-1);      /* it ended before it was to be measured */
    if (w->slot->end_us == 0)
        cpu_take(w, now_us, 1);
    w->give_up_us = now_us + (uint64_t)w->load->plan.timeout_ms * 1000;
    __atomic_store_n(&w->slot->sheet.over, 1, __ATOMIC_RELEASE);
    while (heap_top(&w->again) != NULL)
        heap_remove(&w->again, heap_top(&w->again));
}

/* In an open loop what was due before the end is still to be sent, for as long as an answer may take. */
static bool run_is_over(const struct load_worker *w, uint64_t now_us)
{
    const struct load *l = w->load;
    uint64_t end_us = shared_get(&times_of(w)->end_us);
    if (shared_get(&times_of(w)->stop) != 0)
        return true;
    if (now_us >= end_us)
        return l->plan.interval_us == 0 || seats_have_sent_all(w) || now_us - end_us >= (uint64_t)l->plan.timeout_ms * 1000;
    return l->options->requests > 0 && seats_have_sent_all(w) && shared_get(&w->slot->sheet.waiting) == 0;
}

static uint64_t requests_left(const struct load_worker *w)
{
    uint64_t n = 0;
    for (unsigned i = w->idle_count; i < w->count; i++)
        n += shared_get(&w->seats[i].course.left);
    return n;
}

/* Has everybody who is to ask tried in vain to connect? */
static bool seats_are_lost(const struct load_worker *w)
{
    for (unsigned i = w->idle_count; i < w->count; i++)
        if (w->seats[i].failures == 0 && shared_get(&w->seats[i].course.left) > 0)
            return false;
    return true;
}

/* Without an end by the clock nothing else would end what waits for a server that is no more. */
static bool run_is_vain(struct load_worker *w, uint64_t now_us)
{
    const struct client_sheet *s = &w->slot->sheet;
    uint64_t done = shared_get(&s->connects) + shared_get(&s->sent) + shared_get(&s->answered);
    if (done != w->done || w->done_us == 0) {
        w->done = done;
        w->done_us = now_us;
    }
    if (shared_get(&times_of(w)->end_us) != UINT64_MAX || shared_get(&s->waiting) > 0 || !seats_are_lost(w))
        return false;
    return now_us - w->done_us >= (uint64_t)w->load->plan.timeout_ms * 1000;
}

static void run_give_up(struct load_worker *w, uint64_t now_us)
{
    fprintf(stderr, "iomux-load: worker %u could not connect for %g s, and gives up: %llu requests were not sent\n", w->index,
            w->load->options->timeout_s, (unsigned long long)requests_left(w));
    phase_drain(w, now_us);
}

static void ramp_end(struct load_worker *w)
{
    w->phase = PHASE_READY;
    for (unsigned i = 0; i < w->idle_count; i++)
        w->slot->idle_open += __atomic_load_n(&w->seats[i].course.settled, __ATOMIC_RELAXED);
    __atomic_store_n(&w->slot->ready, 1, __ATOMIC_RELEASE);
}

static void ramp_begin(struct load_worker *w, uint64_t now_us)
{
    w->phase = PHASE_RAMP;
    if (!w->load->plan.one_each)
        seats_begin(w, w->idle_count, w->count, now_us);
}

static void run_follow(struct load_worker *w, uint64_t now_us)
{
    if (w->slot->begin_us == 0 && now_us >= shared_get(&times_of(w)->measure_us))
        cpu_take(w, now_us, (uint64_t)-1);
    if (w->slot->end_us == 0 && now_us >= shared_get(&times_of(w)->end_us))
        cpu_take(w, now_us, 1);
    if (run_is_over(w, now_us))
        phase_drain(w, now_us);
    else if (run_is_vain(w, now_us))
        run_give_up(w, now_us);
}

/* Those that ask are made when no worker has idle ones to make any more: a server lets go who says nothing for long. */
static bool all_rested(const struct load_worker *w)
{
    for (unsigned i = 0; i < w->load->options->workers; i++)
        if (__atomic_load_n(&w->load->page->slots[i].rested, __ATOMIC_ACQUIRE) == 0)
            return false;
    return true;
}

static void phase_follow(struct load_worker *w, uint64_t now_us)
{
    bool stop = shared_get(&times_of(w)->stop) != 0;
    switch (w->phase) {
    case PHASE_IDLE:
        if (stop || seats_settled(w, 0, w->idle_count))
            __atomic_store_n(&w->slot->rested, 1, __ATOMIC_RELEASE);
        if (stop || all_rested(w))
            ramp_begin(w, now_us);
        break;
    case PHASE_RAMP:
        if (stop || w->load->plan.one_each || seats_settled(w, w->idle_count, w->count))
            ramp_end(w);
        break;
    case PHASE_READY:
        if (shared_get(&times_of(w)->start_us) != 0)
            phase_run(w);
        break;
    case PHASE_RUN:
        run_follow(w, now_us);
        break;
    case PHASE_DRAIN:
        if (shared_get(&w->slot->sheet.waiting) == 0 || now_us >= w->give_up_us)
            w->loop.phase = LOOP_HALT;
        break;
    }
}

static uint64_t first_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The next time that the phase may change. */
static uint64_t next_look(const struct load_worker *w, uint64_t now_us)
{
    const struct client_times *t = times_of(w);
    uint64_t at_us = now_us + (w->phase == PHASE_RUN && w->load->options->requests == 0 ? RUN_TICK_US : TICK_US);
    if (w->phase != PHASE_RUN)
        return at_us;
    if (w->slot->begin_us == 0)
        at_us = first_of(at_us, shared_get(&t->measure_us));
    return now_us < shared_get(&t->end_us) ? first_of(at_us, shared_get(&t->end_us)) : at_us;
}

static void alarm_follow(struct load_worker *w, uint64_t now_us)
{
    const struct heap_node *due = heap_top(&w->due), *again = heap_top(&w->again);
    uint64_t at_us = w->look_us;
    if (due != NULL)
        at_us = first_of(at_us, due->key);
    if (again != NULL)          /* one that is due waits for another to end */
        at_us = first_of(at_us, again->key > now_us ? again->key : now_us + TICK_US);
    load_alarm_set(&w->alarm, at_us);
}

/* Before each wait. */
/* hot */
static void worker_rest(void *arg)
{
    struct load_worker *w = arg;
    struct conn *c;
    uint64_t now_us = clock_monotonic_us();
    if (__atomic_load_n(&w->back, __ATOMIC_RELAXED) != NULL)
        seats_take_back(w, now_us);
    if (now_us >= w->look_us) {
        phase_follow(w, now_us);
        w->look_us = next_look(w, now_us);
    }
    while ((c = client_due_next(&w->due, now_us)) != NULL)
        w->loop.wake(w->loop.self, c);
    if (heap_top(&w->again) != NULL)
        seats_dial(w, now_us);
    alarm_follow(w, now_us);
}

static void worker_ready(void *arg)
{
    struct load_worker *w = arg;
    if (w->loop.connections_max >= w->count) {
        seats_begin(w, 0, w->idle_count, clock_monotonic_us());
        return;
    }
    fprintf(stderr, "iomux-load: the model %s carries at most %u connections for each worker here, not %u\n",
            w->load->model->name, w->loop.connections_max, w->count);
    w->loop.phase = LOOP_HALT;
}

/* Who of all is this worker's: every so manieth. */
static unsigned share_of(const struct load_worker *w, unsigned all)
{
    unsigned workers = w->load->options->workers;
    return all / workers + (w->index < all % workers);
}

/* `nth` of all active ones: their times are spread evenly, and so are the requests there are. */
static void seat_pace(struct seat *s, const struct load *l, unsigned nth)
{
    const struct load_options *o = l->options;
    s->course.left = o->requests == 0 ? UINT64_MAX : o->requests / o->connections + (nth < o->requests % o->connections);
    if (o->rate > 0)
        s->course.phase_us = (double)nth * 1e6 / o->rate;
}

static void seat_make(struct load_worker *w, unsigned at)
{
    const struct load_target *t = w->load->target;
    struct seat *s = &w->seats[at];
    bool idle = at < w->idle_count;
    unsigned nth = (idle ? at : at - w->idle_count) * w->load->options->workers + w->index;
    unsigned timeout_ms = w->load->plan.timeout_ms;
    s->worker = w;
    s->settings = (struct client_settings){ .plan = &w->load->plan, .sheet = &w->slot->sheet, .course = &s->course,
                                            .idle = idle };
    s->dial = (struct dial){ .to = (const struct sockaddr *)&t->to, .to_size = t->to_size,
                             .type = t->kind == CLIENT_ECHO_DATAGRAMS ? SOCK_DGRAM : SOCK_STREAM,
                             .attempts = timeout_ms < 3000 ? 1 : timeout_ms < 7000 ? 2 : 3, .over = seat_give_back };
    s->dial.service = (struct service){ .name = "load", .proto = &w->proto, .settings = &s->settings,
                                        .message_max = ANSWER_ROOM, .send_timeout_ms = timeout_ms, .dial = &s->dial };
    if (t->source_count > 0) {
        s->dial.from = (const struct sockaddr *)&t->sources[(at + w->index) % t->source_count];
        s->dial.from_size = t->source_size;
    }
    if (!idle)
        seat_pace(s, w->load, nth);
}

static int worker_make(struct load_worker *w)
{
    const struct load_options *o = w->load->options;
    w->idle_count = share_of(w, o->idle);
    w->count = w->idle_count + share_of(w, o->connections);
    w->proto = client_proto(&w->load->plan);
    w->seats = calloc(w->count, sizeof *w->seats);
    if (w->seats == NULL)
        return -1;
    for (unsigned i = 0; i < w->count; i++)
        seat_make(w, i);
    env_init(&w->env, &w->slot->metric);
    snprintf(w->name, sizeof w->name, "load.%u", w->index);
    w->env.about = (struct log_about){ .worker = w->name, .model = w->load->model->name };
    w->env.due = &w->due;
    return load_alarm_open(&w->alarm, strcmp(w->load->model->family, "signal-driven") == 0);
}

static int seats_run(struct load_worker *w)
{
    w->watch = (struct watch){ .fd = w->alarm.fd, .readable = load_alarm_rang, .arg = &w->alarm };
    w->loop = (struct loop){ .env = &w->env, .watches = &w->watch, .watch_count = w->alarm.fd != -1,
                             .connections_max = w->count, .dials = true,
                             .ready = worker_ready, .rest = worker_rest, .arg = w };
    return w->load->model->driver->run(&w->loop, w->load->model->ops);
}

int load_worker_run(struct load *l, unsigned index)
{
    struct load_worker *w = calloc(1, sizeof *w);
    int status = EXIT_FAILURE;
    if (w == NULL)
        return EXIT_FAILURE;
    w->load = l;
    w->index = index;
    w->slot = &l->page->slots[index];
    if (worker_make(w) == -1 || seats_run(w) == -1)
        fprintf(stderr, "iomux-load: worker %u cannot run: %s\n", index, strerror(errno));
    else if (w->phase == PHASE_DRAIN)
        status = EXIT_SUCCESS;
    metric_publish(&w->env.slot->total, &w->env.count, true);
    heap_free(&w->again);
    heap_free(&w->due);
    env_free(&w->env);
    load_alarm_close(&w->alarm);
    free(w->seats);
    free(w);
    return status;
}
