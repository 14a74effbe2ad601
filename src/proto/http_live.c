/* SPDX-License-Identifier: BSD-2-Clause */
/* The status of the daemon as a small site: its page with what belongs to it, /metrics, /status.json, and /events, an
 * answer that goes on and says once a second what /status.json does (server-sent events, WHATWG HTML section 9.2).
 * What is said is made by the daemon, in an errand since it adds up much.  Knows no word of it. */
#include "proto/http_internal.h"

#include <stdlib.h>

enum {
    EVENT_MS = 1000,            /* between two events */
    WATCHERS_MAX = 32           /* streams of events in one process: each has everything added up once a second */
};

struct live_errand {
    struct http_errand       http;
    const struct http_live  *live;
    const struct http_route *route;
    enum http_live_kind      kind;
    char                    *text;      /* NULL: there was no memory for it */
    size_t                   n;
};

static struct live_errand *live_errand_of(struct errand *e)
{
    return (struct live_errand *)(void *)e;
}

static void live_work(struct errand *errand)
{
    struct live_errand *e = live_errand_of(errand);
    e->text = e->live->make(e->live->arg, e->kind == HTTP_LIVE_EVENTS ? HTTP_LIVE_STATUS : e->kind, &e->n);
}

static void live_free(struct errand *errand)
{
    free(live_errand_of(errand)->text);
    free(errand);
}

static struct live_errand *live_errand_new(const struct http_live *live, enum http_live_kind kind)
{
    struct live_errand *e = calloc(1, sizeof *e);
    if (e == NULL)
        return NULL;
    e->http.errand.work = live_work;
    e->http.errand.free = live_free;
    e->live = live;
    e->kind = kind;
    return e;
}

/* They hold whatever the route says: with less the page would not work, and with more it would say what is not meant
 * for it.  What has one of these names in the route's own fields is left out (HTTP_SAYS_LIVE). */
#define LIVE_CACHE "Cache-Control: no-store\r\n"
#define LIVE_FIELDS "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n" LIVE_CACHE
#define LIVE_POLICY \
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " \
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"

enum { LIVE_FIELDS_MAX = 640 };

/* The fields of an answer.  From here on the route says nothing that they do. */
static size_t fields_put(struct http_exchange *x, const struct http_route *route, char *to, struct span type,
                         const uint64_t *length)
{
    x->fields = route->live_fields;
    char *p = http_head_put(to, SPAN("Content-Type: "));
    p = http_head_put(p, type);
    p = http_head_put(p, SPAN("\r\n" LIVE_FIELDS LIVE_POLICY));
    if (length != NULL)
        p = http_head_number(p, SPAN("Content-Length: "), *length);
    return (size_t)(http_head_put(p, SPAN("\r\n")) - to);
}

static void text_send(struct http_exchange *x, struct live_errand *e)
{
    static const struct span types[] = {
        [HTTP_LIVE_METRICS] = { "text/plain; version=0.0.4; charset=utf-8", 40 },
        [HTTP_LIVE_STATUS] = { "application/json", 16 }
    };
    char fields[LIVE_FIELDS_MAX];
    struct file *file = file_of_bytes(e->text, e->n);
    if (file == NULL) {
        http_reply_status(x, 503);
        return;
    }
    e->text = NULL;
    uint64_t length = file->size;
    x->status = 200;
    size_t n = fields_put(x, e->route, fields, types[e->kind], &length);
    http_content_send(x, (struct span){ fields, n }, file, (struct http_part){ 0, length });
}

/* ---- events ---- */

/* Counts one more; false: there are enough. */
static bool watcher_enter(const struct http_live *live)
{
    if (__atomic_fetch_add(live->watchers, 1, __ATOMIC_RELAXED) < WATCHERS_MAX)
        return true;
    http_live_leave(live);
    return false;
}

void http_live_leave(const struct http_live *live)
{
    __atomic_fetch_sub(live->watchers, 1, __ATOMIC_RELAXED);
}

static void event_put(struct outq *q, struct live_errand *e)
{
    struct file *file = file_of_bytes(e->text, e->n);
    if (file == NULL)
        return;                 /* there will be another */
    e->text = NULL;
    outq_put(q, SPAN("data: "));
    outq_lend(q, (struct span){ file->bytes, e->n }, file);
    outq_put(q, SPAN("\n\n"));
}

/* It has no length, and ends with its connection (RFC 9112 section 6.3). */
static void events_begin(struct http_exchange *x, struct live_errand *e)
{
    char fields[LIVE_FIELDS_MAX];
    if (!x->head_only && !watcher_enter(e->live)) {
        http_reply_status(x, 503);
        return;
    }
    size_t n = fields_put(x, e->route, fields, SPAN("text/event-stream"), NULL);
    x->last = true;
    x->connection = CONNECTION_CLOSE;
    char *p = http_head_begin(x, 200, n);
    http_head_end(x, http_head_put(p, (struct span){ fields, n }));
    if (x->head_only)
        return;
    x->live = e->live;
    outq_put(x->out, SPAN("retry: 1000\n\n"));
    event_put(x->out, e);
}

void http_live_follow(struct conn *c)
{
    conn_timeout(c, EVENT_MS);
}

/* What a connection of events waits for runs out once a second. */
void http_live_tick(struct conn *c, const struct http_live *live)
{
    struct live_errand *e = conn_env(c)->draining ? NULL : live_errand_new(live, HTTP_LIVE_EVENTS);
    if (e == NULL)
        conn_finish_now(c);     /* the client asks again */
    else
        conn_errand(c, &e->http.errand);
}

void http_live_event(struct conn *c, struct errand *back)
{
    struct live_errand *e = live_errand_of(back);
    event_put(conn_out(c), e);
    http_live_follow(c);
}

/* ---- the answer to a request ---- */

static void live_answer(struct http_exchange *x, struct http_errand *errand)
{
    struct live_errand *e = live_errand_of(&errand->errand);
    http_exchange_adopt(x, e->route);
    if (e->text == NULL)
        http_reply_status(x, 503);
    else if (e->kind == HTTP_LIVE_EVENTS)
        events_begin(x, e);
    else
        text_send(x, e);
}

static void live_defer(struct http_exchange *x, const struct http_route *route, enum http_live_kind kind)
{
    struct live_errand *e = live_errand_new(route->live, kind);
    if (e == NULL) {
        http_reply_status(x, 503);
        return;
    }
    e->route = route;
    e->http.answer = live_answer;
    http_defer(x, &e->http);
}

static void part_send(struct http_exchange *x, const struct http_route *route, const struct http_live_part *part)
{
    char fields[LIVE_FIELDS_MAX];
    uint64_t length = part->body.n;
    size_t n = fields_put(x, route, fields, part->type, &length);
    char *p = http_head_begin(x, 200, n);
    http_head_end(x, http_head_put(p, (struct span){ fields, n }));
    x->body_bytes = x->head_only ? 0 : part->body.n;
    if (!x->head_only)
        outq_lend(x->out, part->body, NULL);
}

/* Sends what the conditions of the request want in place of the answer that there is; false: nothing. */
static bool condition_answered(struct http_exchange *x, const struct http_route *route)
{
    unsigned status = http_precondition_bare(x);
    if (status == 304) {
        x->fields = route->live_fields;
        http_head_end(x, http_head_put(http_head_begin(x, 304, LIVE_FIELDS_MAX), SPAN(LIVE_CACHE "\r\n")));
    } else if (status != 0) {
        http_reply_status(x, status);
    }
    return status != 0;
}

/* The name behind the path of the route. */
static void live_named(struct http_exchange *x, const struct http_route *route, struct span name)
{
    static const struct { struct span name; enum http_live_kind kind; } made[] = {
        { { "metrics", 7 }, HTTP_LIVE_METRICS }, { { "status.json", 11 }, HTTP_LIVE_STATUS },
        { { "events", 6 }, HTTP_LIVE_EVENTS }
    };
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        if (span_equal(name, made[i].name)) {
            if (!condition_answered(x, route))
                live_defer(x, route, made[i].kind);
            return;
        }
    }
    for (unsigned i = 0; i < route->live->part_count; i++) {
        if (span_equal(name, route->live->parts[i].name)) {
            if (!condition_answered(x, route))
                part_send(x, route, &route->live->parts[i]);
            return;
        }
    }
    http_reply_status(x, 404);
}

void http_live_reply(struct http_exchange *x, const struct http_route *route, struct span path)
{
    struct span rest = span_skip(path, route->path.n);
    bool slash = route->path.p[route->path.n - 1] == '/';
    if (!slash && rest.n == 0)
        http_reply_moved(x, path);      /* what the page refers to lies beneath it */
    else
        live_named(x, route, slash ? rest : span_skip(rest, 1));
}
