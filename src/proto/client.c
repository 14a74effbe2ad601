/* SPDX-License-Identifier: BSD-2-Clause */
/* Who asks: when the next request is due, what is under way, what came of it.
 * Pure.  Counts go to a sheet that threads share, by atomic additions; all else is the connection's own. */
#include "proto/client.h"

#include "base/clock.h"
#include "base/list.h"
#include "core/conn.h"
#include "proto/client_inner.h"

enum {
    UNKNOWN_LOOK_US = 20000     /* with a thread of its own: is the start known by now? */
};

static uint64_t moment_of(const uint64_t *at)
{
    return __atomic_load_n(at, __ATOMIC_RELAXED);
}

/* What was due before the end of an open loop is sent behind it too: not to do so would leave out what is slow. */
static bool is_over(const struct client_settings *s, uint64_t now_us)
{
    const struct client_times *t = s->plan->times;
    if (moment_of(&s->sheet->over) != 0 || moment_of(&t->stop) != 0)
        return true;
    return s->plan->interval_us == 0 && now_us >= moment_of(&t->end_us);
}

uint64_t client_due_us(const struct client_settings *s)
{
    const struct client_plan *p = s->plan;
    const struct client_course *course = s->course;
    uint64_t start_us = moment_of(&p->times->start_us), due_us;
    if (s->idle || moment_of(&course->left) == 0 || start_us == 0)
        return UINT64_MAX;
    due_us = start_us;
    if (p->interval_us > 0)
        due_us += (uint64_t)(course->phase_us + (double)moment_of(&course->next) * p->interval_us);
    return due_us < moment_of(&p->times->end_us) ? due_us : UINT64_MAX;
}

/* No more is asked on this connection, at least not before an answer has come. */
static bool is_full(const struct client *k, const struct client_settings *s)
{
    return k->count >= s->plan->depth || k->expects_end || (k->has_asked && (s->idle || s->plan->one_each));
}

/* Datagrams that are queued together would be one. */
static bool is_on_its_way(const struct conn *c, const struct client_settings *s)
{
    return s->plan->kind == CLIENT_ECHO_DATAGRAMS && conn_queued(c) > 0;
}

/* An idle connection asks once, whenever that is; what it is told is not measured. */
static bool may_ask(const struct conn *c, const struct client *k, uint64_t now_us)
{
    const struct client_settings *s = client_settings_of(c);
    if (is_full(k, s) || conn_ending(c) || is_on_its_way(c, s))
        return false;
    return s->idle || (client_due_us(s) <= now_us && !is_over(s, now_us));
}

static void note_late(const struct client_settings *s, const struct client *k, uint64_t due_us, uint64_t now_us)
{
    uint64_t since_us = due_us > k->free_us ? due_us : k->free_us;
    if (s->plan->interval_us > 0 && due_us >= moment_of(&s->plan->times->measure_us))
        histogram_add_shared(&s->sheet->late, now_us > since_us ? now_us - since_us : 0);
}

/* The pipeline is a ring. */
static void ask(struct client *k, const struct client_settings *s, uint64_t now_us)
{
    struct client_course *course = s->course;
    uint64_t due_us = s->plan->interval_us > 0 && !s->idle ? client_due_us(s) : now_us;
    k->asked[(k->first + k->count) % s->plan->depth] = (struct client_asked){
        .due_us = due_us, .sent_us = now_us, .until_ms = conn_env(k->conn)->now_ms + s->plan->timeout_ms };
    k->count++;
    k->has_asked = true;
    if (s->idle)
        return;
    note_late(s, k, due_us, now_us);
    __atomic_store_n(&course->next, course->next + 1, __ATOMIC_RELAXED);         /* others look at both */
    if (course->left != UINT64_MAX)
        __atomic_store_n(&course->left, course->left - 1, __ATOMIC_RELAXED);
}

/* A datagram says which it is, so that an answer that comes too late is not taken for another's. */
static void queue_datagram(struct conn *c, const struct client_settings *s)
{
    const struct client_plan *p = s->plan;
    char *to = outq_reserve(conn_out(c), p->request_size < OUTQ_RESERVE_MAX ? p->request_size : OUTQ_RESERVE_MAX);
    uint64_t sequence = ++s->course->sequence;
    if (to == NULL)
        return;
    memcpy(to, p->request.p, p->request_size);
    memcpy(to, &sequence, sizeof sequence < p->request_size ? sizeof sequence : p->request_size);
    outq_commit(conn_out(c), p->request_size);
}

static void queue_requests(struct conn *c, const struct client_settings *s, unsigned n)
{
    const struct client_plan *p = s->plan;
    if (p->kind == CLIENT_ECHO_DATAGRAMS) {
        queue_datagram(c, s);
    } else if (p->kind == CLIENT_HTTP) {
        outq_lend(conn_out(c), (struct span){ p->request.p, n * p->request_size }, NULL);
    } else {
        while (n-- > 0)
            outq_lend(conn_out(c), p->request, NULL);
    }
}

/* Says when it wants to be woken.  Before the start is known that is at the end of time, and client_due_start moves it
 * forward. */
static void note_due(struct conn *c, struct client *k, uint64_t now_us)
{
    const struct client_settings *s = client_settings_of(c);
    struct heap *due = conn_env(c)->due;
    bool unknown = moment_of(&s->plan->times->start_us) == 0;
    uint64_t at_us = client_due_us(s);
    if (due == NULL)
        return;
    bool never = s->idle || is_full(k, s) || conn_ending(c) || is_on_its_way(c, s);
    if (never || (!unknown && (at_us == UINT64_MAX || is_over(s, now_us))))
        heap_remove(due, &k->due);
    else if ((k->due.at == 0 || k->due.key != at_us) && heap_set(due, &k->due, at_us) == -1)
        conn_abort(c);
}

/* hot */
void client_speak(struct conn *c, uint64_t now_us)
{
    struct client *k = conn_state(c);
    const struct client_settings *s = client_settings_of(c);
    unsigned n = 0, most = s->plan->kind == CLIENT_ECHO_DATAGRAMS ? 1 : s->plan->depth;
    while (n < most && may_ask(c, k, now_us)) {
        ask(k, s, now_us);
        n++;
    }
    if (n > 0) {
        if (k->count == n)
            conn_timeout(c, s->plan->timeout_ms);
        client_count(&s->sheet->sent, n);
        client_count(&s->sheet->waiting, n);
        queue_requests(c, s, n);
    }
    note_due(c, k, now_us);
}

/* Answers of a stream come in order: each may take its time from when it is the next.  Datagrams do not wait for each
 * other. */
void client_wait(struct conn *c)
{
    const struct client *k = conn_state_const(c);
    const struct client_plan *p = client_settings_of(c)->plan;
    uint64_t until_ms = k->asked[k->first].until_ms, now_ms = conn_env(c)->now_ms;
    unsigned ms = p->timeout_ms;
    if (p->kind == CLIENT_ECHO_DATAGRAMS)
        ms = until_ms > now_ms ? (unsigned)(until_ms - now_ms) : 1;
    conn_timeout(c, k->count > 0 ? ms : 0);
}

static struct client_asked take_oldest(struct conn *c, struct client *k, uint64_t now_us)
{
    const struct client_settings *s = client_settings_of(c);
    struct client_asked asked = k->asked[k->first];
    if (k->count == s->plan->depth)
        k->free_us = now_us;
    k->first = (k->first + 1) % s->plan->depth;
    k->count--;
    client_count(&s->sheet->waiting, (uint64_t)-1);
    client_wait(c);
    return asked;
}

/* An answer that came is part of the latencies, right or wrong. */
static void measure(const struct client_settings *s, const struct client_asked *asked, uint64_t now_us, uint64_t bytes)
{
    const struct client_times *t = s->plan->times;
    uint64_t begin_us = moment_of(&t->measure_us), end_us = moment_of(&t->end_us);
    struct client_sheet *sheet = s->sheet;
    if (s->idle || begin_us == 0)
        return;
    if (now_us >= begin_us && now_us < end_us)
        client_count(&sheet->in_time, 1);
    if (asked->due_us < begin_us || asked->due_us >= end_us)
        return;
    client_count(&sheet->measured, 1);
    client_count(&sheet->bytes, bytes);
    histogram_add_shared(&sheet->latency, now_us > asked->due_us ? now_us - asked->due_us : 0);
    histogram_add_shared(&sheet->service, now_us > asked->sent_us ? now_us - asked->sent_us : 0);
    __atomic_store_n(&sheet->last_us, now_us, __ATOMIC_RELAXED);
}

/* hot */
void client_answered(struct conn *c, uint64_t now_us, uint64_t bytes)
{
    struct client *k = conn_state(c);
    const struct client_settings *s = client_settings_of(c);
    struct client_asked asked = take_oldest(c, k, now_us);
    client_count(&s->sheet->answered, 1);
    s->course->answers++;
    measure(s, &asked, now_us, bytes);
    if (s->idle)
        __atomic_store_n(&s->course->settled, true, __ATOMIC_RELAXED);
}

void client_lose(struct conn *c, uint64_t now_us)
{
    (void)take_oldest(c, conn_state(c), now_us);
    client_count(&client_settings_of(c)->sheet->timeout, 1);
}

static void forget_asked(struct client *k, const struct client_settings *s)
{
    client_count(&s->sheet->waiting, (uint64_t)-(uint64_t)k->count);
    k->count = 0;
}

void client_fail(struct conn *c, uint64_t *counter)
{
    struct client *k = conn_state(c);
    client_count(counter, k->count);
    forget_asked(k, client_settings_of(c));
    conn_abort(c);
}

void client_open(struct conn *c)
{
    struct client *k = conn_state(c);
    const struct client_settings *s = client_settings_of(c);
    uint64_t now_us = clock_monotonic_us();
    k->conn = c;
    k->free_us = now_us;
    client_count(&s->sheet->connects, 1);
    if (!s->idle)
        __atomic_store_n(&s->course->settled, true, __ATOMIC_RELAXED);
    client_speak(c, now_us);
}

/* hot */
void client_room(struct conn *c)
{
    const struct client *k = conn_state(c);
    const struct client_settings *s = client_settings_of(c);
    if (k->count < s->plan->depth && !s->idle)
        client_speak(c, clock_monotonic_us());
}

/* The server closes: its right where nothing is under way. */
void client_eof(struct conn *c)
{
    const struct client *k = conn_state(c);
    const struct client_settings *s = client_settings_of(c);
    if (k->count > 0)
        client_fail(c, &s->sheet->closed);
    else
        conn_abort(c);
}

void client_close(struct conn *c)
{
    struct client *k = conn_state(c);
    const struct client_settings *s = client_settings_of(c);
    bool ended = is_over(s, clock_monotonic_us());
    if (conn_env(c)->due != NULL)
        heap_remove(conn_env(c)->due, &k->due);
    client_count(ended ? &s->sheet->unanswered : &s->sheet->reset, k->count);
    if (s->idle && !ended)
        client_count(&s->sheet->idle_lost, 1);
    forget_asked(k, s);
}

/* Nothing under way: the server was to close, and did not. */
void client_expired(struct conn *c)
{
    const struct client_settings *s = client_settings_of(c);
    client_fail(c, &s->sheet->timeout);
}

uint64_t client_speaks_us(const struct conn *c)
{
    const struct client *k = conn_state_const(c);
    const struct client_settings *s = client_settings_of(c);
    if (s->idle || is_full(k, s))
        return UINT64_MAX;
    if (moment_of(&s->plan->times->start_us) == 0)
        return clock_monotonic_us() + UNKNOWN_LOOK_US;
    return is_over(s, clock_monotonic_us()) ? UINT64_MAX : client_due_us(s);
}

struct proto client_proto(const struct client_plan *plan)
{
    static const struct proto *const kinds[] = { &client_http, &client_echo, &client_echo_datagrams };
    struct proto p = *kinds[plan->kind];
    p.state_size = sizeof(struct client) + plan->depth * sizeof(struct client_asked);
    return p;
}

struct conn *client_due_next(struct heap *due, uint64_t now_us)
{
    struct heap_node *top = heap_top(due);
    if (top == NULL || top->key > now_us)
        return NULL;
    heap_remove(due, top);
    return LIST_ENTRY(top, struct client, due)->conn;
}

void client_due_start(struct heap *due, uint64_t start_us)
{
    for (size_t i = 1; i <= due->count; i++)
        if (due->v[i]->key == UINT64_MAX)
            due->v[i]->key = start_us;  /* all of them: the order stays */
}
