/* SPDX-License-Identifier: BSD-2-Clause */
/* HTTP/1.1 over a connection: takes heads and bodies from the input, answers each request as soon as it is
 * complete.  Owns the state of a connection, which holds no buffer: a head is parsed where it lies, and
 * copied only while its body is still on the way.  Knows nothing of sockets.
 *
 *                  whole head, no body or all of it: reply
 *                 .---------------------------------------.
 *                 v   part of a head            reply     |
 *   open ----> IDLE ---------------------> HEAD ----------+
 *                |                          | body not all here
 *                `--------------------------+---> BODY or CHUNKS --- end of body: reply ---> IDLE
 *
 *   A reply without an end ---> EVENTS, until the peer or the worker goes
 *   Instead of a reply: something has to be done first ---> AWAY --- it is done: reply ---> IDLE
 *   From everywhere: a refusal, or a reply with Connection: close ---> LAST: no byte is read as a request again.
 */
#include "proto/http.h"

#include <stdlib.h>

#include "core/rate.h"
#include "proto/http_internal.h"
#include "proto/http_state.h"

/* Begins a span of time when it is another one than runs.  Between requests nothing has to be done: the time
 * begins anew when all output is sent. */
/* hot */
static inline void timer_set(struct conn *c, struct http_state *s, enum http_timer which, unsigned ms)
{
    if (s->timer == which)
        return;
    s->timer = (uint8_t)which;
    conn_timeout(c, ms);
}

/* Who says nothing at all has been silent for a while already when we hear of him. */
static void http_open(struct conn *c)
{
    const struct http_site *site = conn_settings(c);
    struct http_state *s = conn_state(c);
    unsigned held = conn_service(c)->held_ms, half = site->limits.header_ms / 2;
    s->opened_ms = conn_env(c)->now_ms;
    conn_timeout(c, site->limits.header_ms - (held < half ? held : half));
}

/* What is left for the head that begins now: the first one began with the connection. */
static unsigned header_left_ms(struct conn *c, const struct http_state *s)
{
    const struct http_site *site = conn_settings(c);
    uint64_t since = s->timer == TIMER_FIRST ? conn_env(c)->now_ms - s->opened_ms : 0;
    return since < site->limits.header_ms ? site->limits.header_ms - (unsigned)since : 1;
}

static bool head_keep(struct http_state *s, struct span head, uint64_t started_us)
{
    s->head = malloc(head.n);
    if (s->head == NULL)
        return false;
    memcpy(s->head, head.p, head.n);
    s->head_n = head.n;
    s->started_us = started_us;
    return true;
}

/* It may have had credentials in it. */
static void head_drop(struct http_state *s)
{
    if (s->head != NULL)
        explicit_bzero(s->head, s->head_n);
    free(s->head);
    s->head = NULL;
}

static void http_close(struct conn *c)
{
    struct http_state *s = conn_state(c);
    head_drop(s);
    if (s->phase == PHASE_EVENTS)
        http_live_leave(s->live);
}

/* hot */
static inline uint64_t started_now(const struct env *e)
{
    return e->now_us;
}

/* hot */
static inline void exchange_begin(struct http_exchange *x, struct conn *c, const struct http_state *s,
                                  const struct http_request *r)
{
    x->conn = c;
    x->env = conn_env(c);
    x->out = conn_out(c);
    x->site = conn_settings(c);
    x->request = r;
    x->allow.n = x->content_range.n = x->vary.n = x->user.n = 0;
    x->pages = &x->site->pages;
    x->body_bytes = 0;
    x->nth = s->answered;
    x->head_only = r->method == METHOD_HEAD;
    x->last = x->hidden = false;
    x->connection = CONNECTION_PLAIN;
    x->started_us = s->head != NULL ? s->started_us : started_now(x->env);
    x->deferred = NULL;
    x->live = NULL;
    x->fields = NULL;
}

/* Answers what cannot be served and makes sure that nothing behind it is read as a request. */
static void exchange_refuse(struct http_exchange *x, struct http_state *s, unsigned status)
{
    http_reply_refuse(x, status);
    http_reply_logged(x);
    s->phase = PHASE_LAST;
    conn_finish(x->conn);
}

static void refuse(struct conn *c, struct http_state *s, const struct http_request *r, unsigned status)
{
    struct http_exchange x;
    s->answered++;
    exchange_begin(&x, c, s, r);
    exchange_refuse(&x, s, status);
}

static void respond(struct http_exchange *x, const struct http_ready *ready)
{
    unsigned status = ready->status < 300 ? http_precondition_bare(x) : 0;
    if (status == 304)
        http_head_end(x, http_head_put(http_head_begin(x, 304, 2), SPAN("\r\n")));
    else if (status != 0)
        http_reply_status(x, status);
    else
        http_reply_ready(x, ready);
}

/* hot.  What the head alone says against a request, wherever it goes: a status, 0: nothing. */
static inline unsigned method_refusal(struct http_exchange *x)
{
    const struct http_request *r = x->request;
    if (r->expect == EXPECT_UNKNOWN)
        return 417;
    if (r->method == METHOD_UNKNOWN)
        return 501;
    if (r->method != METHOD_CONNECT)
        return 0;
    x->allow = x->site->allow;
    return 405;
}

/* Has it to be found out first who asks? */
static inline bool unknown_yet(const struct http_exchange *x, const struct http_route *route)
{
    return route->auth != NULL && x->user.n == 0;
}

/* hot.  The same for a path that is decoded and clean; 0: the route answers. */
static inline unsigned path_refusal(struct http_exchange *x, struct span path, const struct http_route **route)
{
    unsigned method = x->request->method;
    *route = http_route_find(x->site, x->request, path);
    if (*route == NULL)
        return 404;
    http_exchange_adopt(x, *route);
    if ((*route)->guard != NULL && !http_guard_admits((*route)->guard, conn_peer(x->conn)))
        return 403;
    if ((*route)->auth != NULL && http_auth_look(x, (*route)->auth) != 0)
        return 401;
    if (unknown_yet(x, *route))
        return 0;
    return ((*route)->methods & 1u << method) == 0 ? 405 : 0;
}

/* hot.  `path` is decoded and clean. */
static void answer_path(struct http_exchange *x, struct span path)
{
    const struct http_route *route;
    unsigned status = path_refusal(x, path, &route);
    if (status != 0)
        http_reply_status(x, status);
    else if (unknown_yet(x, route))
        http_auth_defer(x, route);
    else if (x->request->method == METHOD_OPTIONS)
        http_reply_options(x, route->allow);
    else if (route->live != NULL)
        http_live_reply(x, route, path);
    else if (route->location != NULL)
        http_location_reply(x, route->location, route->ready.status, path);
    else if (route->kind != HTTP_ROUTE_ROOT)
        respond(x, &route->ready);
    else
        http_file_answer(x, route, path);
}

static void answer_encoded(struct http_exchange *x)
{
    char decoded[HTTP_PATH_MAX];
    struct span path;
    unsigned status = http_path_decode(x->request->path, decoded, &path);
    if (status != 0) {
        http_reply_refuse(x, status);
        return;
    }
    x->hidden = http_path_hidden(path);
    answer_path(x, path);
}

/* hot */
static inline void answer_request(struct http_exchange *x)
{
    const struct http_request *r = x->request;
    unsigned status = method_refusal(x);
    if (status != 0 && r->method == METHOD_CONNECT)
        http_reply_refuse(x, status);   /* what follows could be anything */
    else if (status != 0)
        http_reply_status(x, status);
    else if (r->asterisk)
        http_reply_options(x, x->site->allow);
    else if (r->plain)
        answer_path(x, r->path);
    else
        answer_encoded(x);
}

/* What the head of a request that expects 100 (Continue) says against it.  Such a request must hear that at once (RFC
 * 9110 section 10.1.1). */
static unsigned early_refusal(struct http_exchange *x)
{
    char decoded[HTTP_PATH_MAX];
    const struct http_route *route;
    struct span path = x->request->path;
    unsigned status = method_refusal(x);
    if (status != 0 || x->request->asterisk)
        return status;
    if (!x->request->plain)
        status = http_path_decode(x->request->path, decoded, &path);
    if (status != 0)
        return status;
    status = path_refusal(x, path, &route);
    bool hides = status == 0 && !unknown_yet(x, route) && route->kind == HTTP_ROUTE_ROOT && x->request->method != METHOD_OPTIONS &&
                 http_file_hides(route, path);
    return hides ? 404 : status;
}

/* What follows a CONNECT must never be read as a request: its refusal ends the connection. */
static bool is_held(struct http_exchange *x)
{
    const struct peer *p = conn_peer(x->conn);
    if (x->request->method == METHOD_CONNECT || !peer_has_address(p) ||
        rate_allows(x->env->request_rate, p, x->env->now_ms))
        return false;
    x->env->count.requests_held++;
    return true;
}

void http_answer(struct http_exchange *x)
{
    answer_request(x);
}

/* Sends the errand of this exchange away; without memory for the head that must be kept, the reply is 503. */
static void exchange_leave(struct http_exchange *x, struct http_state *s)
{
    const struct http_request *r = x->request;
    struct http_errand *e = x->deferred;
    size_t n = (size_t)(r->fields.p + r->fields.n + 2 - r->method_text.p);
    if (s->head == NULL && !head_keep(s, (struct span){ r->method_text.p, n }, x->started_us)) {
        e->errand.free(&e->errand);
        x->deferred = NULL;
        http_reply_status(x, 503);
        return;
    }
    s->phase = PHASE_AWAY;
    conn_errand(x->conn, &e->errand);
}

/* hot */
static inline void exchange_open(struct http_exchange *x, struct conn *c, const struct http_state *s,
                                 const struct http_request *r)
{
    exchange_begin(x, c, s, r);
    const struct http_limits *limits = &x->site->limits;
    x->last = !r->keep_alive || (x->env->draining && !conn_has_heir(c)) || (limits->requests > 0 && s->answered >= limits->requests);
    if (x->last)
        x->connection = CONNECTION_CLOSE;
    else if (r->minor == 0)
        x->connection = CONNECTION_KEEP_ALIVE;
}

/* The reply is written, or waits for an errand. */
/* hot */
static void exchange_close(struct http_exchange *x, struct http_state *s)
{
    struct conn *c = x->conn;
    if (x->deferred != NULL)
        exchange_leave(x, s);
    if (x->deferred != NULL)
        return;
    http_reply_logged(x);
    s->skipped = false;
    if (x->live != NULL) {
        s->phase = PHASE_EVENTS;
        s->live = x->live;
        http_live_follow(c);
        return;
    }
    if (!x->last) {
        s->phase = PHASE_IDLE;
        timer_set(c, s, TIMER_IDLE, x->site->limits.idle_ms);
        return;
    }
    s->phase = PHASE_LAST;
    if (x->request->keep_alive)
        conn_finish(c);
    else
        conn_finish_now(c);
}

/* hot */
static void answer(struct conn *c, struct http_state *s, const struct http_request *r)
{
    struct http_exchange x;
    s->answered++;
    exchange_open(&x, c, s, r);
    if (x.env->request_rate != NULL && is_held(&x))
        http_reply_status(&x, 429);
    else
        answer_request(&x);
    exchange_close(&x, s);
}

/* Drops what belongs to the body: 1 complete, 0 more to come, -STATUS refused. *taken: bytes of the input. */
static int body_feed(struct http_state *s, struct span in, const struct http_limits *limits, size_t *taken)
{
    if (s->phase == PHASE_CHUNKS)
        return http_chunk_feed(&s->chunk, in, limits, taken);
    *taken = s->body_left < in.n ? (size_t)s->body_left : in.n;
    s->body_left -= *taken;
    return s->body_left == 0;
}

/* Part of a body came.  Its deadline moves as far as the bytes are worth, but never beyond a whole body timeout from
 * now: who is slower than the rate loses that time bit by bit, and who is silent has no more of it. */
static void body_moves(struct conn *c, struct http_state *s, size_t n, unsigned rate)
{
    if (rate == 0)
        return;
    uint64_t worth = (uint64_t)n * 1000 + s->body_rest, ms = worth / rate;
    s->body_rest = (uint32_t)(worth % rate);
    conn_extend(c, ms < UINT32_MAX ? (unsigned)ms : UINT32_MAX);
}

static void body_begin(struct http_state *s, const struct http_request *r)
{
    s->body_rest = 0;
    if (r->chunked) {
        s->phase = PHASE_CHUNKS;
        s->chunk = (struct http_chunk){ 0 };
    } else {
        s->phase = PHASE_BODY;
        s->body_left = r->length;
    }
}

/* The client may wait for word before it sends the body.  False: the word is a refusal; whether a body follows all the
 * same cannot be known, so nothing that follows is read. */
static bool expectation_met(struct conn *c, struct http_state *s, const struct http_request *r)
{
    struct http_exchange x;
    exchange_begin(&x, c, s, r);
    unsigned status = early_refusal(&x);
    if (status == 0) {
        http_reply_continue(x.out);
        return true;
    }
    x.nth = ++s->answered;
    exchange_refuse(&x, s, status);
    return false;
}

/* A head of head_n bytes is at the front of the input, and a body belongs to it.  Returns how much is
 * taken. */
static size_t take_head_with_body(struct conn *c, const struct http_request *r, struct span in, size_t head_n)
{
    struct http_state *s = conn_state(c);
    const struct http_site *site = conn_settings(c);
    size_t taken = 0;
    if (r->length > site->limits.body_bytes) {
        refuse(c, s, r, 413);
        return in.n;
    }
    if (r->expect != EXPECT_NOTHING && !expectation_met(c, s, r))
        return in.n;
    body_begin(s, r);
    int done = body_feed(s, span_skip(in, head_n), &site->limits, &taken);
    if (done < 0)
        refuse(c, s, r, (unsigned)-done);
    else if (done > 0)
        answer(c, s, r);
    else if (!head_keep(s, (struct span){ in.p, head_n }, started_now(conn_env(c))))
        refuse(c, s, r, 503);
    else
        timer_set(c, s, TIMER_BODY, site->limits.body_ms);
    return head_n + taken;
}

/* hot */
static size_t take_head(struct conn *c, struct http_state *s, struct span in)
{
    const struct http_site *site = conn_settings(c);
    struct http_request r;
    if (in.p[0] == '\r' && !s->skipped) {
        if (in.n < 2)
            return 0;
        s->skipped = in.p[1] == '\n';
        if (s->skipped)
            return 2;           /* RFC 9112 section 2.2 */
    }
    if (s->phase == PHASE_HEAD && !http_seek(&s->seek, in, &site->limits))
        return 0;
    long n = http_parse(&r, in, &site->limits);
    if (n > 0 && r.length == 0 && !r.chunked) {
        answer(c, s, &r);
        return (size_t)n;
    }
    if (n > 0)
        return take_head_with_body(c, &r, in, (size_t)n);
    if (n < 0) {
        refuse(c, s, &r, (unsigned)-n);
        return in.n;
    }
    if (s->phase == PHASE_IDLE) {
        unsigned left_ms = header_left_ms(c, s);
        s->phase = PHASE_HEAD;
        s->seek = (struct http_seek){ 0 };
        timer_set(c, s, TIMER_HEADER, left_ms);
    }
    return 0;
}

/* The request whose body is on its way; without one, a request of which nothing is known. */
static void request_recall(const struct http_state *s, const struct http_site *site, struct http_request *r)
{
    struct span head = SPAN("");
    if (s->head != NULL)
        head = (struct span){ s->head, s->head_n };
    http_parse(r, head, &site->limits);
}

static size_t take_body(struct conn *c, struct http_state *s, struct span in)
{
    const struct http_site *site = conn_settings(c);
    struct http_request r;
    size_t taken;
    int done = body_feed(s, in, &site->limits, &taken);
    if (done == 0) {
        body_moves(c, s, taken, site->limits.body_rate);
        return taken;
    }
    request_recall(s, site, &r);
    if (done > 0)
        answer(c, s, &r);
    else
        refuse(c, s, &r, (unsigned)-done);
    if (s->phase != PHASE_AWAY)
        head_drop(s);
    return taken;
}

/* The errand of the request in s->head is done. */
static void http_back(struct conn *c, struct errand *back)
{
    struct http_state *s = conn_state(c);
    struct http_errand *e = (struct http_errand *)(void *)back;
    struct http_request r;
    struct http_exchange x;
    if (s->phase == PHASE_EVENTS) {
        http_live_event(c, back);
        return;
    }
    request_recall(s, conn_settings(c), &r);
    exchange_open(&x, c, s, &r);
    x.user = e->user;
    e->answer(&x, e);
    exchange_close(&x, s);
    if (s->phase != PHASE_AWAY)
        head_drop(s);
}

/* hot */
static size_t http_input(struct conn *c, struct span in)
{
    struct http_state *s = conn_state(c);
    switch ((enum http_phase)s->phase) {
    case PHASE_IDLE:
    case PHASE_HEAD:
        return take_head(c, s, in);
    case PHASE_BODY:
    case PHASE_CHUNKS:
        return take_body(c, s, in);
    case PHASE_AWAY:            /* no input comes */
    case PHASE_EVENTS:          /* none is expected */
    case PHASE_LAST:
        break;
    }
    return in.n;
}

/* The request that was begun will not be completed. */
static void give_up(struct conn *c, struct http_state *s, unsigned status)
{
    struct http_request r;
    request_recall(s, conn_settings(c), &r);
    refuse(c, s, &r, status);
}

static void http_eof(struct conn *c)
{
    struct http_state *s = conn_state(c);
    if (s->phase != PHASE_IDLE && s->phase != PHASE_EVENTS && s->phase != PHASE_LAST)
        give_up(c, s, 400);
    conn_finish_now(c);
}

static void http_expired(struct conn *c)
{
    struct http_state *s = conn_state(c);
    if (s->phase == PHASE_EVENTS)
        http_live_tick(c, s->live);
    else if (s->phase == PHASE_IDLE)
        conn_finish_now(c);
    else
        give_up(c, s, 408);
}

/* In the middle of a request: its reply will be the last, since env->draining is set.  So will be the next one of who
 * is idle, if there is time for it. */
static void http_drain(struct conn *c)
{
    struct http_state *s = conn_state(c);
    if (s->phase == PHASE_EVENTS || (s->phase == PHASE_IDLE && !conn_may_stay(c)))
        conn_finish_now(c);
}

static bool http_idle(const struct conn *c)
{
    const struct http_state *s = conn_state_const(c);
    return s->phase == PHASE_IDLE && s->answered > 0 && !s->skipped;
}

/* Without a body, so that it is right for HEAD too, and without Date, which needs not be in a 5xx (RFC 9110 section
 * 6.6.1): it is the same for everybody. */
#define NO_PLACE "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

const struct proto proto_http = {
    .name = "http", .state_size = sizeof(struct http_state), .peer_speaks_first = true,
    .refusal = { NO_PLACE, sizeof NO_PLACE - 1 }, .idle = http_idle,
    .open = http_open, .input = http_input, .eof = http_eof, .expired = http_expired, .drain = http_drain,
    .back = http_back, .close = http_close,
    .portable = http_portable, .pack = http_pack, .unpack = http_unpack
};
