/* SPDX-License-Identifier: BSD-2-Clause */
/* A site: its routes and the replies that are made before the first request.
 * Owns the memory of both; constant once made. */
#include "proto/http_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "base/fmt.h"
#include "base/scan.h"

enum { STATUS_LINE_SIZE = sizeof "HTTP/1.1 299 \r\n" - 1 };

/* What a ready reply is made of. */
struct ready_parts {
    struct span line, type, location, allow, body;
    unsigned    status;
    bool        linked;         /* the location stands behind the body as a line of its own */
};

static char *field_put(char *p, struct span name, struct span value)
{
    if (value.p == NULL)
        return p;
    p = http_head_put(p, name);
    p = http_head_put(p, value);
    return http_head_put(p, SPAN("\r\n"));
}

/* RFC 9110 sections 6.4.1 and 8.6: these have no content, and no Content-Length. */
static bool status_is_bare(unsigned status)
{
    return status == 204 || status == 304;
}

static char *line_put(char *p, const struct ready_parts *parts)
{
    if (parts->line.n > 0)
        return http_head_put(p, parts->line);
    p = http_head_put(p, SPAN("HTTP/1.1 "));    /* a status without a phrase */
    p += fmt_u64(p, parts->status);
    return http_head_put(p, SPAN(" \r\n"));
}

/* Lays out line, fields and a small body in one piece of memory. */
static int ready_make(struct http_route *r, const struct ready_parts *parts)
{
    bool bare = status_is_bare(parts->status);
    bool copied = parts->linked || parts->body.n <= HTTP_COPY_MAX;
    size_t link = parts->linked ? parts->location.n + 1 : 0, body = parts->body.n + link;
    size_t room = parts->line.n + STATUS_LINE_SIZE + parts->type.n + parts->location.n + parts->allow.n +
                  HTTP_HEAD_MAX + (copied ? body : 0);
    char *p = malloc(room);
    r->memory = p;
    if (p == NULL)
        return -1;
    p = line_put(p, parts);
    r->ready = (struct http_ready){ .status = parts->status, .copied = copied, .body = parts->body };
    r->ready.line = (struct span){ r->memory, (size_t)(p - r->memory) };
    r->ready.rest.p = p;
    if (!bare) {
        p = field_put(p, SPAN("Content-Type: "), parts->type);
        p = http_head_number(p, SPAN("Content-Length: "), body);
    }
    p = field_put(p, SPAN("Location: "), parts->location);
    p = field_put(p, SPAN("Allow: "), parts->allow);
    p = http_head_put(p, SPAN("\r\n"));
    r->ready.head_n = (size_t)(p - r->ready.rest.p);
    p = copied ? http_head_put(p, parts->body) : p;
    if (parts->linked) {
        p = http_head_put(p, parts->location);
        p = http_head_put(p, SPAN("\n"));
    }
    r->ready.body.n = body;
    r->ready.rest.n = (size_t)(p - r->ready.rest.p);
    return 0;
}

/* "404 Not Found\n", made of the status line; it must outlive the site's making only. */
static struct span status_text(struct span line, char *to)
{
    size_t prefix = sizeof "HTTP/1.1 " - 1;
    if (line.n == 0)
        return SPAN("");
    char *p = http_head_put(to, (struct span){ line.p + prefix, line.n - prefix - 2 });
    *p++ = '\n';
    return (struct span){ to, (size_t)(p - to) };
}

static void page_take(const struct http_pages *pages, unsigned status, struct ready_parts *parts)
{
    for (unsigned i = pages->count; i-- > 0;)
        if (pages->v[i].status == status) {
            parts->type = pages->v[i].type;
            parts->body = pages->v[i].body;
        }
}

static bool field_clean(struct span s)
{
    return s.n == 0 || scan_control(s.p, s.p + s.n) == s.p + s.n;
}

static int route_ready(struct http_route *r, const struct http_route_spec *spec)
{
    char text[HTTP_HEAD_MAX];
    struct ready_parts parts = { .status = spec->status, .line = http_status_line(spec->status) };
    if (r->kind == HTTP_ROUTE_RESPOND) {
        parts.type = spec->type != NULL ? span_of(spec->type) : SPAN("text/plain; charset=utf-8");
        parts.body = spec->body;
    } else {
        parts.type = SPAN("text/plain; charset=utf-8");
        parts.body = status_text(parts.line, text);
    }
    if (r->kind == HTTP_ROUTE_STATUS)
        page_take(&spec->pages, spec->status, &parts);
    if (r->kind == HTTP_ROUTE_REDIRECT) {
        parts.location = span_of(spec->to);
        parts.linked = true;
    }
    if (spec->status == 405)
        parts.allow = r->allow;
    if (status_is_bare(spec->status) || spec->status == 205)
        parts.body = SPAN("");
    if (spec->status < 200 || spec->status > 599 || !field_clean(parts.type) ||
        !field_clean(parts.location)) {
        errno = EINVAL;
        return -1;
    }
    return ready_make(r, &parts);
}

/* The last candidate may be a status. */
static void route_try(struct http_route *r, const struct http_route_spec *spec)
{
    uint64_t status;
    r->try_status = 404;
    for (unsigned i = 0; i < spec->try_count; i++) {
        struct span text = span_of(spec->try[i]);
        if (text.n > 1 && text.p[0] == '=' && fmt_parse_u64(span_skip(text, 1), 599, &status)) {
            r->try_status = (unsigned)status;
            return;
        }
        r->try[r->try_count++] = http_candidate_of(spec->try[i]);
    }
}

static int route_root(struct http_route *r, const struct http_route_spec *spec)
{
    r->root = spec->root;
    r->cut = spec->alias ? r->path.n : 0;
    r->dotfiles = spec->dotfiles;
    r->autoindex = (uint8_t)spec->autoindex;
    r->index = calloc((size_t)spec->index_count + 1, sizeof *r->index);
    r->try = calloc((size_t)spec->try_count + 1, sizeof *r->try);
    if (r->index == NULL || r->try == NULL)
        return -1;
    r->index_count = spec->index_count;
    for (unsigned i = 0; i < spec->index_count; i++)
        r->index[i] = span_of(spec->index[i]);
    r->coding_count = (uint8_t)spec->coding_count;
    for (unsigned i = 0; i < spec->coding_count; i++)
        r->codings[i] = (uint8_t)spec->codings[i];
    route_try(r, spec);
    return 0;
}

/* One with variables is made for each request. */
static int route_redirect(struct http_route *r, const struct http_route_spec *spec)
{
    if (strchr(spec->to, '$') == NULL)
        return route_ready(r, spec);
    if (!field_clean(span_of(spec->to)) || http_status_line(spec->status).n == 0) {
        errno = EINVAL;
        return -1;
    }
    r->ready.status = spec->status;
    r->location = http_location_new(span_of(spec->to));
    return r->location == NULL ? -1 : 0;
}

static int route_make(struct http_route *r, const struct http_route_spec *spec)
{
    *r = (struct http_route){ .path = span_of(spec->path), .kind = spec->kind, .pages = spec->pages };
    r->methods = http_methods_of(spec);
    r->allow = http_allow_write(r->allow_text, r->methods);
    if (r->methods == 0) {
        errno = EINVAL;
        return -1;
    }
    if (spec->net_count > 0 || spec->closed) {
        r->guard = http_guard_new(spec->nets, spec->net_count, spec->closed);
        if (r->guard == NULL)
            return -1;
    }
    if (spec->users != NULL) {
        r->auth = http_auth_new(spec->users, spec->user_count);
        if (r->auth == NULL)
            return -1;
    }
    if (http_fields_make(r, spec) == -1)
        return -1;
    switch (spec->kind) {
    case HTTP_ROUTE_ROOT:
        return route_root(r, spec);
    case HTTP_ROUTE_REDIRECT:
        return route_redirect(r, spec);
    case HTTP_ROUTE_LIVE:
        r->live = spec->live;
        return 0;
    case HTTP_ROUTE_RESPOND:
    case HTTP_ROUTE_STATUS:
        break;
    }
    return route_ready(r, spec);
}

struct http_site *http_site_new(const char *service_name, const struct http_route_spec *routes,
                                unsigned count, const struct http_limits *limits, const struct mime *mime)
{
    struct http_site *s = calloc(1, sizeof *s + count * sizeof s->routes[0]);
    if (s == NULL)
        return NULL;
    s->name = service_name;
    s->limits = *limits;
    s->mime = mime;
    int rc = 0;
    unsigned methods = 0;
    for (unsigned i = 0; i < count && rc == 0; i++) {
        s->count++;
        rc = route_make(&s->routes[i], &routes[i]);
        methods |= s->routes[i].methods;
    }
    s->allow = http_allow_write(s->allow_text, methods | 1u << METHOD_OPTIONS);
    if (rc == 0 && http_table_make(&s->table, routes, s->routes, count) == 0)
        return s;
    int error = errno;
    http_site_free(s);
    errno = error;
    return NULL;
}

void http_site_free(struct http_site *s)
{
    if (s == NULL)
        return;
    for (unsigned i = 0; i < s->count; i++) {
        free(s->routes[i].memory);
        free(s->routes[i].index);
        http_location_free(s->routes[i].location);
        http_fields_free(s->routes[i].fields);
        http_fields_free(s->routes[i].live_fields);
        free(s->routes[i].try);
        http_guard_free(s->routes[i].guard);
        http_auth_free(s->routes[i].auth);
    }
    http_table_free(&s->table);
    free(s);
}

void http_site_pages(struct http_site *s, struct http_pages pages)
{
    s->pages = pages;
}

size_t http_message_max(const struct http_limits *l)
{
    return (size_t)l->request_line + 2 + l->header_bytes + 2 + 1;
}
