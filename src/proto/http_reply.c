/* SPDX-License-Identifier: BSD-2-Clause */
/* Replies: heads are written by hand into the output queue in one go.  A head is a status line, Date,
 * Connection where it is needed, and the rest; what can be ready made is ready made.  Knows nothing of
 * files. */
#include "proto/http_internal.h"

#include "base/fmt.h"
#include "core/access.h"

#define STATUS_LINE(code, phrase) { code, { "HTTP/1.1 " #code " " phrase "\r\n", sizeof(#code phrase) + 11 } }

static const struct {
    unsigned    status;
    struct span line;
} status_lines[] = {
    STATUS_LINE(200, "OK"), STATUS_LINE(304, "Not Modified"), STATUS_LINE(206, "Partial Content"),
    STATUS_LINE(404, "Not Found"), STATUS_LINE(201, "Created"), STATUS_LINE(202, "Accepted"),
    STATUS_LINE(203, "Non-Authoritative Information"), STATUS_LINE(204, "No Content"),
    STATUS_LINE(205, "Reset Content"), STATUS_LINE(300, "Multiple Choices"),
    STATUS_LINE(301, "Moved Permanently"),
    STATUS_LINE(302, "Found"), STATUS_LINE(303, "See Other"), STATUS_LINE(307, "Temporary Redirect"),
    STATUS_LINE(308, "Permanent Redirect"), STATUS_LINE(400, "Bad Request"), STATUS_LINE(401, "Unauthorized"),
    STATUS_LINE(402, "Payment Required"), STATUS_LINE(403, "Forbidden"),
    STATUS_LINE(405, "Method Not Allowed"),
    STATUS_LINE(406, "Not Acceptable"), STATUS_LINE(408, "Request Timeout"), STATUS_LINE(409, "Conflict"),
    STATUS_LINE(410, "Gone"), STATUS_LINE(411, "Length Required"), STATUS_LINE(412, "Precondition Failed"),
    STATUS_LINE(413, "Content Too Large"), STATUS_LINE(414, "URI Too Long"),
    STATUS_LINE(415, "Unsupported Media Type"), STATUS_LINE(416, "Range Not Satisfiable"),
    STATUS_LINE(417, "Expectation Failed"), STATUS_LINE(418, "I'm a Teapot"),
    STATUS_LINE(421, "Misdirected Request"), STATUS_LINE(422, "Unprocessable Content"),
    STATUS_LINE(423, "Locked"), STATUS_LINE(425, "Too Early"), STATUS_LINE(426, "Upgrade Required"),
    STATUS_LINE(428, "Precondition Required"), STATUS_LINE(429, "Too Many Requests"),
    STATUS_LINE(431, "Request Header Fields Too Large"), STATUS_LINE(451, "Unavailable For Legal Reasons"),
    STATUS_LINE(500, "Internal Server Error"), STATUS_LINE(501, "Not Implemented"),
    STATUS_LINE(502, "Bad Gateway"),
    STATUS_LINE(503, "Service Unavailable"), STATUS_LINE(504, "Gateway Timeout"),
    STATUS_LINE(505, "HTTP Version Not Supported"), STATUS_LINE(507, "Insufficient Storage"),
};

enum {
    STATUS_PREFIX = sizeof "HTTP/1.1 " - 1,    /* before the digits */
    STATUS_TEXT_MAX = 64        /* bytes of "404 Not Found\n" */
};

/* The status line; of a status without a phrase it is written to `to`. */
static struct span line_of(unsigned status, char to[STATUS_TEXT_MAX])
{
    struct span line = http_status_line(status);
    if (line.n > 0)
        return line;
    char *p = http_head_put(to, SPAN("HTTP/1.1 "));
    p += fmt_u64(p, status);
    return (struct span){ to, (size_t)(http_head_put(p, SPAN(" \r\n")) - to) };
}

struct span http_status_line(unsigned status)
{
    for (size_t i = 0; i < sizeof status_lines / sizeof status_lines[0]; i++)
        if (status_lines[i].status == status)
            return status_lines[i].line;
    return (struct span){ NULL, 0 };
}

static void count_reply(const struct http_exchange *x, unsigned status)
{
    struct metric_counts *n = &x->env->count;
    conn_answers(x->conn, x->started_us);
    n->requests++;
    if (status < 300)
        n->responses_2xx++;
    else if (status < 400)
        n->responses_3xx++;
    else if (status < 500)
        n->responses_4xx++;
    else
        n->responses_5xx++;
}

char *http_head_put(char *p, struct span s)
{
    if (p == NULL || s.n == 0)
        return p;
    memcpy(p, s.p, s.n);
    return p + s.n;
}

char *http_head_number(char *p, struct span name, uint64_t value)
{
    if (p == NULL)
        return NULL;
    p = http_head_put(p, name);
    p += fmt_u64(p, value);
    return http_head_put(p, SPAN("\r\n"));
}

#define CLOSE_FIELD "Connection: close\r\n"
#define KEEP_ALIVE_FIELD "Connection: keep-alive\r\n"

/* hot */
static inline char *head_begin(struct http_exchange *x, struct span line, size_t n)
{
    char *p = outq_reserve(x->out, line.n + ENV_DATE_SIZE + sizeof KEEP_ALIVE_FIELD + n);
    x->start = p;
    if (p == NULL)
        return NULL;
    p = http_head_put(p, line);
    memcpy(p, x->env->date, ENV_DATE_SIZE);
    p += ENV_DATE_SIZE;
    if (x->connection == CONNECTION_CLOSE)
        p = http_head_put(p, SPAN(CLOSE_FIELD));
    else if (x->connection == CONNECTION_KEEP_ALIVE)
        p = http_head_put(p, SPAN(KEEP_ALIVE_FIELD));
    return x->fields == NULL ? p : http_fields_put(x, p, n);
}

char *http_head_begin(struct http_exchange *x, unsigned status, size_t n)
{
    x->status = status;
    count_reply(x, status);
    char line[STATUS_TEXT_MAX];
    return head_begin(x, line_of(status, line), n);
}

/* hot */
void http_head_end(struct http_exchange *x, char *p)
{
    if (p != NULL)
        outq_commit(x->out, (size_t)(p - x->start));
}

/* The page that replaces the small one, or NULL. */
static const struct http_page *page_find(const struct http_pages *pages, unsigned status)
{
    for (unsigned i = 0; i < pages->count; i++)
        if (pages->v[i].status == status)
            return &pages->v[i];
    return NULL;
}

/* Behind the head: a page of the configuration is copied when it is small, else lent. */
static char *page_put(struct http_exchange *x, char *p, const struct http_page *page)
{
    x->body_bytes = page->body.n;
    if (page->body.n <= HTTP_COPY_MAX)
        return http_head_put(p, page->body);
    http_head_end(x, p);
    if (p != NULL)
        outq_lend(x->out, page->body, NULL);
    return NULL;
}

void http_reply_status(struct http_exchange *x, unsigned status)
{
    char line[STATUS_TEXT_MAX], body[STATUS_TEXT_MAX];
    struct span text = line_of(status, line);
    text = (struct span){ text.p + STATUS_PREFIX, text.n - STATUS_PREFIX - 2 };
    const struct http_page *own = page_find(x->pages, status);
    struct http_page small = { status, SPAN("text/plain; charset=utf-8"), { body, text.n + 1 } };
    const struct http_page *page = own != NULL ? own : &small;
    if (own == NULL)
        http_head_put(http_head_put(body, text), SPAN("\n"));
    size_t copied = page->body.n <= HTTP_COPY_MAX ? page->body.n : 0;
    char *p = http_head_begin(x, status, HTTP_HEAD_MAX + x->allow.n + copied);
    p = http_head_put(p, SPAN("Content-Type: "));
    p = http_head_put(p, page->type);
    p = http_head_put(p, SPAN("\r\n"));
    if (status == 405) {
        p = http_head_put(p, SPAN("Allow: "));
        p = http_head_put(p, x->allow);
        p = http_head_put(p, SPAN("\r\n"));
    }
    if ((status == 429 || status == 503) && !http_fields_say(x, HTTP_SAYS_RETRY))
        p = http_head_put(p, SPAN("Retry-After: 1\r\n"));
    if (status == 416) {
        p = http_head_put(p, SPAN("Content-Range: "));
        p = http_head_put(p, x->content_range);
        p = http_head_put(p, SPAN("\r\n"));
    }
    if (x->vary.n > 0) {
        p = http_head_put(p, SPAN("Vary: "));
        p = http_head_put(p, x->vary);
        p = http_head_put(p, SPAN("\r\n"));
    }
    p = http_head_number(p, SPAN("Content-Length: "), page->body.n);
    p = http_head_put(p, SPAN("\r\n"));
    if (!x->head_only)
        p = page_put(x, p, page);
    http_head_end(x, p);
}

void http_reply_refuse(struct http_exchange *x, unsigned status)
{
    x->last = true;
    x->connection = CONNECTION_CLOSE;
    http_reply_status(x, status);
}

/* hot */
void http_reply_ready(struct http_exchange *x, const struct http_ready *ready)
{
    size_t n = x->head_only ? ready->head_n : ready->rest.n;
    x->status = ready->status;
    count_reply(x, ready->status);
    x->body_bytes = x->head_only ? 0 : ready->body.n;
    if (n <= HTTP_COPY_MAX + HTTP_HEAD_MAX) {
        char *p = head_begin(x, ready->line, n);
        if (p == NULL)
            return;
        memcpy(p, ready->rest.p, n);
        http_head_end(x, p + n);
    } else {
        http_head_end(x, head_begin(x, ready->line, 0));
        outq_lend(x->out, (struct span){ ready->rest.p, n }, NULL);
    }
    if (!ready->copied && x->body_bytes > 0)
        outq_lend(x->out, ready->body, NULL);
}

void http_reply_options(struct http_exchange *x, struct span allow)
{
    char *p = http_head_begin(x, 204, HTTP_HEAD_MAX);
    p = http_head_put(p, SPAN("Allow: "));
    p = http_head_put(p, allow);
    p = http_head_put(p, SPAN("\r\n\r\n"));
    http_head_end(x, p);
}

enum { ENCODE_PIECE = 256 };    /* bytes of a path that are encoded at a time */

/* A folder without its '/': RFC 9110 section 10.2.2 allows a relative reference.  The path is clean, so it
 * cannot begin with "//" and name another host. */
void http_reply_moved(struct http_exchange *x, struct span path)
{
    struct span text = SPAN("301 Moved Permanently\n");
    char *p = http_head_begin(x, 301, HTTP_HEAD_MAX);
    p = http_head_put(p, SPAN("Content-Type: text/plain; charset=utf-8\r\n"));
    p = http_head_number(p, SPAN("Content-Length: "), text.n);
    p = http_head_put(p, SPAN("Location: "));
    http_head_end(x, p);
    while (path.n > 0) {
        char piece[3 * ENCODE_PIECE];
        size_t n = path.n < ENCODE_PIECE ? path.n : ENCODE_PIECE;
        outq_put(x->out, (struct span){ piece, http_path_encode(piece, (struct span){ path.p, n }) });
        path = span_skip(path, n);
    }
    outq_put(x->out, SPAN("/"));
    outq_put(x->out, x->request->query);
    outq_put(x->out, SPAN("\r\n\r\n"));
    x->body_bytes = x->head_only ? 0 : text.n;
    if (!x->head_only)
        outq_put(x->out, text);
}

void http_reply_continue(struct outq *q)
{
    outq_put(q, SPAN("HTTP/1.1 100 Continue\r\n\r\n"));
}

_Static_assert(sizeof(struct access) + ACCESS_TEXT_MAX <= ENV_BLOCK_SIZE, "an access record fits a block");

/* Copies at most `max` bytes to *p and moves it on. */
static uint16_t log_text(char **p, struct span s, size_t max)
{
    size_t n = s.n < max ? s.n : max;
    if (n > 0)
        memcpy(*p, s.p, n);
    *p += n;
    return (uint16_t)n;
}

static uint16_t log_field(char **p, const struct http_request *r, enum http_field field, size_t max)
{
    return http_has(r, field) ? log_text(p, r->value[field], max) : 0;
}

void http_reply_logged(struct http_exchange *x)
{
    const struct http_request *r = x->request;
    if (x->env->access == NULL)
        return;
    struct access *a = block_get(&x->env->blocks);
    if (a == NULL)
        return;                 /* the reply matters more than its line */
    char *p = a->text;
    a->peer = *conn_peer(x->conn);
    a->when_s = x->env->now_s;
    a->started_us = x->started_us;
    a->body_bytes = x->body_bytes;
    a->service = x->site->name;
    a->status = x->status;
    a->nth = x->nth;
    a->method_n = log_text(&p, r->method_text, ACCESS_METHOD_MAX);
    a->target_n = log_text(&p, r->target, ACCESS_TARGET_MAX);
    a->version_n = log_text(&p, r->version, ACCESS_VERSION_MAX);
    a->referer_n = log_field(&p, r, FIELD_REFERER, ACCESS_REFERER_MAX);
    a->agent_n = log_field(&p, r, FIELD_USER_AGENT, ACCESS_AGENT_MAX);
    a->host_n = log_field(&p, r, FIELD_HOST, ACCESS_HOST_MAX);
    a->user_n = log_text(&p, x->user, ACCESS_USER_MAX);
    outq_mark(x->out, a);
}
