/* SPDX-License-Identifier: BSD-2-Clause */
/* Redirects to places that depend on the request: $host, $path and $query.  What a client sends can neither end the
 * field nor lead to another host than the text names: a place begins with a path, with a URL of http or https, or
 * with $path, which begins with one slash. */
#include "proto/http_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "base/template.h"

enum variable { VARIABLE_HOST, VARIABLE_PATH, VARIABLE_QUERY, LITERAL };

/* In the order of enum variable. */
const char *const http_location_names[] = { "host", "path", "query", NULL };

struct location_piece {
    struct span literal;        /* LITERAL */
    uint8_t     variable;       /* enum variable */
};

struct http_location {
    bool                  needs_host;
    unsigned              count;
    struct location_piece pieces[];
};

static bool starts_nocase(struct span s, struct span start)
{
    return s.n >= start.n && strncasecmp(s.p, start.p, start.n) == 0;
}

/* Bytes of "http://" or "https://" at the start, 0: there is none. */
static size_t scheme_length(struct span s)
{
    struct span http = SPAN("http://"), https = SPAN("https://");
    if (starts_nocase(s, http))
        return http.n;
    return starts_nocase(s, https) ? https.n : 0;
}

static size_t slashes(struct span s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] == '/')
        n++;
    return n;
}

/* What is wrong with a text and the variable behind it, if the place begins with them. */
static const char *begin_fault(struct span text, enum variable next)
{
    size_t scheme = scheme_length(text), slash = slashes(text);
    size_t host_at = scheme > 0 ? scheme : slash > 1 ? 2 : 0;
    struct span host = span_skip(text, host_at);
    if (scheme == 0 && slash == 0)
        return "must begin with a path, with $path, with http:// or with https://";
    if (host_at > 0 && (host.n > 0 ? host.p[0] == '/' || host.p[0] == '?' : next != VARIABLE_HOST))
        return "must have a host behind its //";
    if (host_at == 0 && text.n == 1 && next == VARIABLE_PATH)
        return "would name another host: $path begins with a slash of its own";
    return NULL;
}

static bool has_variable(struct span text)
{
    struct span piece;
    enum template_kind kind;
    while ((kind = template_next(&text, &piece)) == TEMPLATE_TEXT)
        ;
    return kind == TEMPLATE_VARIABLE;
}

static enum variable variable_of(enum template_kind kind, struct span name)
{
    int at = kind == TEMPLATE_VARIABLE ? template_find(http_location_names, name) : -1;
    return at >= 0 ? (enum variable)at : LITERAL;
}

const char *http_location_fault(struct span text)
{
    struct span first, second;
    if (!has_variable(text))
        return NULL;            /* it is sent as it stands */
    enum template_kind kind = template_next(&text, &first);
    if (variable_of(kind, first) == VARIABLE_PATH)
        return NULL;
    if (kind != TEMPLATE_TEXT)
        return begin_fault(SPAN(""), LITERAL);
    kind = template_next(&text, &second);
    return begin_fault(first, variable_of(kind, second));
}

static unsigned pieces_count(struct span text)
{
    struct span piece;
    unsigned n = 0;
    for (enum template_kind kind; (kind = template_next(&text, &piece)) != TEMPLATE_END && kind != TEMPLATE_BAD;)
        n++;
    return n;
}

struct http_location *http_location_new(struct span text)
{
    struct span piece;
    enum template_kind kind;
    if (template_fault(text, http_location_names, &piece, &kind) || http_location_fault(text) != NULL) {
        errno = EINVAL;
        return NULL;
    }
    struct http_location *l = calloc(1, sizeof *l + pieces_count(text) * sizeof l->pieces[0]);
    if (l == NULL)
        return NULL;
    while ((kind = template_next(&text, &piece)) != TEMPLATE_END) {
        enum variable variable = variable_of(kind, piece);
        l->pieces[l->count++] = (struct location_piece){ piece, (uint8_t)variable };
        l->needs_host |= variable == VARIABLE_HOST;
    }
    return l;
}

void http_location_free(struct http_location *l)
{
    free(l);
}

/* ---- the reply ---- */

/* What the pieces are filled with. */
struct filling {
    struct span host, path, query;
};

enum { ENCODE_PIECE = 256 };    /* bytes that are encoded at a time */

/* Queues text with what may not stand in a URL encoded; `out` NULL: only counts.  Returns the number of bytes. */
static size_t encoded_put(struct outq *out, struct span text, size_t (*encode)(char *to, struct span s))
{
    size_t total = 0;
    while (text.n > 0) {
        char piece[3 * ENCODE_PIECE];
        size_t n = text.n < ENCODE_PIECE ? text.n : ENCODE_PIECE;
        size_t encoded = encode(piece, (struct span){ text.p, n });
        if (out != NULL)
            outq_put(out, (struct span){ piece, encoded });
        total += encoded;
        text = span_skip(text, n);
    }
    return total;
}

static size_t plain_put(struct outq *out, struct span text)
{
    if (out != NULL)
        outq_put(out, text);
    return text.n;
}

static size_t location_put(struct outq *out, const struct http_location *l, const struct filling *f)
{
    size_t total = 0;
    for (unsigned i = 0; i < l->count; i++) {
        switch ((enum variable)l->pieces[i].variable) {
        case VARIABLE_HOST:
            total += plain_put(out, f->host);
            break;
        case VARIABLE_PATH:
            total += encoded_put(out, f->path, http_path_encode);
            break;
        case VARIABLE_QUERY:
            total += encoded_put(out, f->query, http_query_encode);
            break;
        case LITERAL:
            total += plain_put(out, l->pieces[i].literal);
            break;
        }
    }
    return total;
}

/* "301 Moved Permanently" */
static struct span status_phrase(unsigned status)
{
    struct span line = http_status_line(status), version = SPAN("HTTP/1.1 ");
    return (struct span){ line.p + version.n, line.n - version.n - 2 };
}

void http_location_reply(struct http_exchange *x, const struct http_location *l, unsigned status, struct span path)
{
    struct filling f = { http_host(x->request), path, x->request->query };
    struct span phrase = status_phrase(status);
    if (l->needs_host && f.host.n == 0) {
        http_reply_status(x, 400);      /* of HTTP/1.0, which need not say it */
        return;
    }
    size_t body_n = phrase.n + 1 + location_put(NULL, l, &f) + 1;
    char *p = http_head_begin(x, status, HTTP_HEAD_MAX);
    p = http_head_put(p, SPAN("Content-Type: text/plain; charset=utf-8\r\n"));
    p = http_head_number(p, SPAN("Content-Length: "), body_n);
    p = http_head_put(p, SPAN("Location: "));
    http_head_end(x, p);
    location_put(x->out, l, &f);
    outq_put(x->out, SPAN("\r\n\r\n"));
    if (x->head_only)
        return;
    x->body_bytes = body_n;
    outq_put(x->out, phrase);
    outq_put(x->out, SPAN("\n"));
    location_put(x->out, l, &f);
    outq_put(x->out, SPAN("\n"));
}
