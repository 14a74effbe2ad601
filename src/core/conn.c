/* SPDX-License-Identifier: BSD-2-Clause */
/* The connection: hands input to its protocol, keeps what was not taken, holds back input while too much output
 * waits, carries half-closes, deadlines and the end.  Once, here, for all drivers and protocols. */
#include "core/conn_driver.h"
#include "core/conn_entry.h"
#include "core/conn_kept.h"
#include "core/proxy.h"

#include <stdlib.h>
#include <string.h>

enum { KEPT_STEP = 1024 };      /* bytes: kept input grows in such steps, then by half */

static size_t aligned(size_t n)
{
    return (n + 15) & ~(size_t)15;
}

/* After each call into the protocol: what did it do to the output? */
/* hot */
static void settle(struct conn *c, size_t bytes_before)
{
    if (bytes_before == 0)
        c->progress_ms = c->out.env->now_ms;
    if (c->out.bytes > CONN_OUT_HIGH || c->out.items > CONN_ITEMS_HIGH)
        c->paused = true;
    if (c->out.failed)
        conn_abort(c);
}

static uint32_t next_generation(struct env *e)
{
    if (++e->generation == 0)
        e->generation = 1;      /* 0 means "any" to pollers */
    return e->generation;
}

struct conn *conn_blank(struct env *e, const struct service *s, int fd, const struct peer *peer, size_t driver_size)
{
    struct conn *c = calloc(1, sizeof *c + aligned(s->proto->state_size) + driver_size);
    if (c == NULL)
        return NULL;
    c->service = s;
    c->out.env = e;
    c->fd = fd;
    c->peer = *peer;
    c->generation = next_generation(e);
    c->opened_s = (uint32_t)(e->now_ms / 1000);
    e->turn++;                  /* its client may know what was answered to others this turn: nothing older is fresh */
    list_init(&c->siblings);
    return c;
}

struct conn *conn_new(struct env *e, const struct service *s, int fd, const struct peer *peer, size_t driver_size)
{
    struct conn *c = conn_blank(e, s, fd, peer, driver_size);
    if (c == NULL)
        return NULL;
    conn_count(c);
    e->count.accepted++;
    conn_entry_begin(c);
    settle(c, 0);
    return c;
}

void *conn_driver_part(struct conn *c)
{
    return c->state + aligned(c->service->proto->state_size);
}

void *conn_state(struct conn *c)
{
    return c->state;
}

struct outq *conn_out(struct conn *c)
{
    return &c->out;
}

struct env *conn_env(struct conn *c)
{
    return c->out.env;
}

const struct service *conn_service(const struct conn *c)
{
    return c->service;
}

const void *conn_state_const(const struct conn *c)
{
    return c->state;
}

size_t conn_queued(const struct conn *c)
{
    return c->out.bytes;
}

const void *conn_settings(const struct conn *c)
{
    return c->service->settings;
}

const struct peer *conn_peer(const struct conn *c)
{
    return &c->peer;
}

/* hot */
void conn_timeout(struct conn *c, unsigned ms)
{
    c->timeout_ms = ms;
    c->deadline_ms = ms > 0 ? c->out.env->now_ms + ms : 0;
}

void conn_extend(struct conn *c, unsigned ms)
{
    uint64_t most = c->out.env->now_ms + c->timeout_ms;
    if (c->deadline_ms == 0)
        return;
    c->deadline_ms += ms;
    if (c->deadline_ms > most)
        c->deadline_ms = most;
}

void conn_finish(struct conn *c)
{
    if (c->phase == CONN_OPEN)
        c->phase = CONN_ENDING;
}

void conn_finish_now(struct conn *c)
{
    if (c->phase == CONN_OPEN)
        c->no_linger = true;
    conn_finish(c);
}

void conn_abort(struct conn *c)
{
    c->phase = CONN_OVER;
}

bool conn_ending(const struct conn *c)
{
    return c->phase != CONN_OPEN;
}

bool conn_keep(struct conn *c, struct span in)
{
    struct conn_kept *k = c->kept;
    size_t have = k != NULL ? k->n : 0, need = have + in.n;
    if (k == NULL || need > k->room) {
        size_t room = need + need / 2;
        room = room < KEPT_STEP ? KEPT_STEP : room;
        k = realloc(k, sizeof *k + room);
        if (k == NULL)
            return false;
        k->room = room;
        c->kept = k;
    }
    memcpy(k->data + have, in.p, in.n);
    k->n = need;
    return true;
}

static void forget_kept(struct conn *c)
{
    free(c->kept);
    c->kept = NULL;
}

/* What is kept of a message that is not complete. */
static size_t message_max(const struct conn *c)
{
    return c->header_due ? PROXY_HEADER_MAX : c->service->message_max;
}

/* Hands bytes to the protocol while it takes them and may go on; returns how many it took. */
/* hot */
static size_t feed(struct conn *c, struct span in)
{
    const struct proto *proto = c->service->proto;
    size_t total = 0;
    while (total < in.n && c->phase == CONN_OPEN && !c->paused && c->errand == NULL) {
        size_t before = c->out.bytes;
        struct span rest = span_skip(in, total);
        size_t used = c->header_due ? conn_entry_header(c, rest) : proto->input(c, rest);
        settle(c, before);
        total += used;
        if (used == 0 && c->phase == CONN_OPEN) {
            if (in.n - total > message_max(c))
                conn_abort(c);
            break;
        }
    }
    return total;
}

/* Bytes behind the last message of a peer that had announced to send no more: it may well send on. */
static void distrust(struct conn *c)
{
    c->no_linger = false;
}

static void feed_kept(struct conn *c)
{
    struct conn_kept *k = c->kept;
    size_t used = feed(c, (struct span){ k->data, k->n });
    if (c->phase != CONN_OPEN) {
        if (used < k->n)
            distrust(c);
        forget_kept(c);
    } else if (used == k->n) {
        forget_kept(c);
    } else if (used > 0) {
        k->n -= used;
        memmove(k->data, k->data + used, k->n);
    }
}

/* What is asked after an answer must not rest on what was checked before that answer, be it in the same turn. */
/* hot */
static void renew(const struct conn *c, struct env *e)
{
    if (c->sent_turn == (uint32_t)e->turn)
        e->turn++;
}

/* hot */
void conn_input(struct conn *c, struct span in)
{
    c->out.env->count.bytes_received += in.n;
    c->received += in.n;
    renew(c, c->out.env);
    if (c->phase != CONN_OPEN)
        return;
    if (c->kept == NULL) {
        size_t used = feed(c, in);
        if (used == in.n)
            return;
        if (c->phase != CONN_OPEN)
            distrust(c);
        else if (!conn_keep(c, span_skip(in, used)))
            conn_abort(c);
        return;
    }
    if (!conn_keep(c, in)) {
        conn_abort(c);
        return;
    }
    if (!c->paused)
        feed_kept(c);
}

/* It was to give way, and that ended its input, but a message had begun to come just then: it is told to come again. */
static bool is_cut_off(const struct conn *c)
{
    return c->leaving && c->service->proto->idle != NULL && (c->kept != NULL || !c->service->proto->idle(c));
}

/* The protocol hears of the end once it has seen all that came before. */
static void tell_eof(struct conn *c)
{
    if (!c->eof || c->eof_told || c->paused || c->errand != NULL || c->phase != CONN_OPEN)
        return;
    size_t before = c->out.bytes;
    c->eof_told = true;
    if (!c->opened)
        conn_finish_now(c);
    else if (is_cut_off(c))
        conn_refuse(c);
    else if (c->service->proto->eof != NULL)
        c->service->proto->eof(c);
    else
        conn_finish(c);
    settle(c, before);
}

void conn_eof(struct conn *c)
{
    c->eof = true;
    tell_eof(c);
}

void conn_answers(struct conn *c, uint64_t since_us)
{
    c->asked_us += since_us;
    c->asked++;
}

/* Requests that wait together are taken as one, but for their mean. */
/* hot */
static void answers_note(struct conn *c, bool whole)
{
    const struct env *e = c->out.env;
    struct metric_part *part = c->service->part;
    uint64_t since = c->asked_us / c->asked, us = e->sent_us > since ? e->sent_us - since : 0;
    bool first = whole || c->begun == 0;
    if (part != NULL && first)
        metric_time(&part->times.first_byte, us, c->asked - c->begun, !e->shared);
    if (part != NULL && whole)
        metric_time(&part->times.request, us, c->asked, !e->shared);
    c->begun = c->asked;
    if (whole)
        c->asked_us = c->asked = c->begun = 0;
}

/* hot */
void conn_sent(struct conn *c, size_t n)
{
    struct env *e = c->out.env;
    outq_advance(&c->out, n);
    e->count.bytes_sent += n;
    c->sent += n;
    c->sent_turn = (uint32_t)e->turn;
    if (conn_is_timed(c) && (c->begun == 0 || c->out.bytes == 0))
        answers_note(c, c->out.bytes == 0);
    conn_sent_now(c);
}

/* hot */
void conn_sent_now(struct conn *c)
{
    uint64_t now = c->out.env->now_ms;
    c->progress_ms = now;
    if (c->out.bytes == 0 && c->timeout_ms > 0)
        c->deadline_ms = now + c->timeout_ms;
}

void conn_moving(struct conn *c)
{
    c->progress_ms = c->out.env->now_ms;
}

static bool make_room(struct conn *c)
{
    size_t before = c->out.bytes;
    if (c->service->proto->room == NULL || c->phase != CONN_OPEN || !c->opened)
        return false;
    if (c->out.env->draining && conn_has_heir(c))
        return false;           /* silent at last, it can be passed; the heir goes on */
    c->service->proto->room(c);
    settle(c, before);
    return c->out.bytes != before || c->phase != CONN_OPEN;
}

/* Input and EOF that came while nobody wanted them. */
static void catch_up(struct conn *c)
{
    if (c->kept != NULL && !c->paused)
        feed_kept(c);
    tell_eof(c);
}

void conn_offer_kept(struct conn *c)
{
    catch_up(c);
}

bool conn_work(struct conn *c)
{
    struct errand *e = c->errand;
    if (e == NULL || e->away || e->work == NULL)
        return false;
    e->work(e);
    e->work = NULL;             /* it is done */
    return true;
}

static void errand_end(struct conn *c)
{
    struct errand *e = c->errand;
    size_t before = c->out.bytes;
    conn_work(c);               /* if nobody has */
    c->errand = NULL;
    if (c->phase == CONN_OPEN) {
        conn_timeout(c, c->timeout_ms);
        c->service->proto->back(c, e);
        settle(c, before);
    }
    e->free(e);
    catch_up(c);
}

/* hot */
bool conn_resume(struct conn *c)
{
    if (c->errand != NULL) {
        if (c->errand->away)
            return false;
        errand_end(c);
        return true;
    }
    if (c->out.bytes > CONN_OUT_LOW || c->out.items > CONN_ITEMS_LOW || c->phase != CONN_OPEN)
        return false;
    if (!c->paused)
        return make_room(c);
    c->paused = false;
    catch_up(c);
    return true;
}

void conn_broke(struct conn *c)
{
    if (c->phase == CONN_OPEN || c->out.bytes > 0)
        c->out.env->count.resets++;
    conn_abort(c);
}

/* hot */
uint64_t conn_due(const struct conn *c)
{
    if (conn_over(c))
        return UINT64_MAX;      /* it waits for what is in flight, and nobody is late */
    if (c->out.bytes > 0 && c->phase != CONN_LINGERING) {
        unsigned ms = c->service->send_timeout_ms;
        return ms > 0 ? c->progress_ms + ms : UINT64_MAX;
    }
    return c->deadline_ms > 0 && c->errand == NULL ? c->deadline_ms : UINT64_MAX;
}

void conn_expired(struct conn *c)
{
    size_t before = c->out.bytes;
    if (c->phase == CONN_LINGERING) {
        c->phase = CONN_OVER;
        return;
    }
    c->deadline_ms = 0;
    c->timeout_ms = 0;
    if (before > 0 || c->phase != CONN_OPEN || !c->opened || c->service->proto->expired == NULL)
        conn_abort(c);
    else
        c->service->proto->expired(c);
    c->hasty = c->phase != CONN_OPEN;
    c->out.env->count.timeouts += c->hasty;     /* else the protocol only wanted to be woken */
    settle(c, before);
}

void conn_drain(struct conn *c)
{
    if (c->phase != CONN_OPEN || conn_has_heir(c))
        return;
    size_t before = c->out.bytes;
    if (!c->opened)
        conn_finish_now(c);
    else if (c->service->proto->drain != NULL)
        c->service->proto->drain(c);
    else
        conn_finish(c);
    settle(c, before);
}

/* hot */
bool conn_wants_input(const struct conn *c)
{
    if (c->eof)
        return false;
    return (c->phase == CONN_OPEN && !c->paused && c->errand == NULL) || c->phase == CONN_LINGERING;
}

/* hot */
bool conn_wants_shut(const struct conn *c)
{
    return c->phase == CONN_ENDING && c->out.bytes == 0 && !c->no_linger && !c->eof;
}

void conn_shut(struct conn *c)
{
    c->phase = CONN_LINGERING;
    conn_timeout(c, c->hasty ? CONN_LINGER_SHORT_MS : CONN_LINGER_MS);
}

static bool conn_is_idle(const struct conn *c)
{
    const struct proto *proto = c->service->proto;
    if (c->phase != CONN_OPEN || c->out.bytes > 0 || c->kept != NULL || c->errand != NULL || !c->opened)
        return false;
    return proto->idle == NULL || proto->idle(c);
}

/* hot */
void conn_look(struct conn *c)
{
    bool idle = conn_is_idle(c);
    if (idle == c->resting)
        return;
    c->resting = idle;
    c->out.env->count.rested += idle;
    c->out.env->count.roused += !idle;
}

uint64_t conn_idle_since(const struct conn *c)
{
    const struct proto *proto = c->service->proto;
    if (c->phase != CONN_OPEN || c->out.bytes > 0 || c->kept != NULL || c->errand != NULL || !c->opened || c->eof)
        return 0;
    return proto->idle != NULL && proto->idle(c) ? c->progress_ms : 0;
}

/* hot */
bool conn_over(const struct conn *c)
{
    switch ((enum conn_phase)c->phase) {
    case CONN_OPEN:      return false;
    case CONN_ENDING:    return c->out.bytes == 0 && (c->no_linger || c->eof);
    case CONN_LINGERING: return c->eof;
    case CONN_OVER:      break;
    }
    return true;
}

void conn_dispose(struct conn *c)
{
    if (c->errand != NULL)
        c->errand->free(c->errand);
    outq_clear(&c->out);
    forget_kept(c);
    free(c);
}

void conn_free(struct conn *c)
{
    if (c == NULL)
        return;
    conn_count(c);
    if (c->opened && c->service->proto->close != NULL)
        c->service->proto->close(c);
    conn_entry_end(c);
    if (c->passed)
        c->out.env->count.passed_on++;
    else
        c->out.env->count.closed++;
    c->out.env->count.roused += c->resting;
    c->out.env->count.bytes_dropped += c->out.bytes;
    conn_dispose(c);
}
