/* SPDX-License-Identifier: BSD-2-Clause */
/* Header fields that a route adds to its replies: laid out before the first request, so that a reply copies them.
 * Only the date of Expires is written anew each time.  Some replies have fields of themselves, and no field comes twice:
 * what the route says is noted here for those that give way, and left out for those that do not. */
#include "proto/http_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "base/fmt.h"
#include "base/scan.h"

#define CACHE_CONTROL "Cache-Control: "
#define MAX_AGE CACHE_CONTROL "max-age="
#define EXPIRES "Expires: "
#define CHALLENGE "WWW-Authenticate: Basic realm=\""
#define CHARSET "\", charset=\"UTF-8\"\r\n"

enum { AROUND = 4 };            /* bytes: ": " and the end of the line */

/* What is said by adding a field of this name. */
static const struct { struct span name; unsigned bit; } sayings[] = {
    { { "Cache-Control", 13 }, HTTP_SAYS_CACHE }, { { "Expires", 7 }, HTTP_SAYS_CACHE },
    { { "Content-Security-Policy", 23 }, HTTP_SAYS_POLICY },
    { { "X-Content-Type-Options", 22 }, HTTP_SAYS_TYPE_OPTIONS },
    { { "Referrer-Policy", 15 }, HTTP_SAYS_REFERRER }, { { "Retry-After", 11 }, HTTP_SAYS_RETRY },
};

/* An HTTP_SAYS bit; 0: nothing that replies have of themselves. */
static unsigned saying_of(const struct http_header *h)
{
    for (size_t i = 0; i < sizeof sayings / sizeof sayings[0]; i++)
        if (span_equal_nocase(span_of(h->name), sayings[i].name))
            return sayings[i].bit;
    return 0;
}

static unsigned sayings_of(const struct http_route_spec *spec)
{
    unsigned bits = spec->cache_control != NULL || spec->expires ? HTTP_SAYS_CACHE : 0u;
    for (unsigned i = 0; i < spec->add_count; i++)
        bits |= saying_of(&spec->add[i]);
    return bits;
}

static bool value_clean(struct span s)
{
    return s.n == 0 || scan_control(s.p, s.p + s.n) == s.p + s.n;
}

static bool name_clean(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!http_is(s.p[i], CLASS_TOKEN))
            return false;
    return s.n > 0;
}

static bool spec_clean(const struct http_route_spec *spec)
{
    for (unsigned i = 0; i < spec->add_count; i++)
        if (!name_clean(span_of(spec->add[i].name)) || !value_clean(span_of(spec->add[i].value)))
            return false;
    return value_clean(span_of(spec->cache_control)) && value_clean(span_of(spec->realm));
}

static size_t room_for(const struct http_route_spec *spec)
{
    size_t n = sizeof MAX_AGE EXPIRES + FMT_U64_MAX + AROUND + span_of(spec->cache_control).n;
    n += sizeof CHALLENGE CHARSET + 2 * span_of(spec->realm).n;
    for (unsigned i = 0; i < spec->add_count; i++)
        n += strlen(spec->add[i].name) + strlen(spec->add[i].value) + AROUND;
    return n;
}

static char *always_put(char *p, const struct http_route_spec *spec, unsigned without)
{
    for (unsigned i = 0; i < spec->add_count; i++) {
        if ((saying_of(&spec->add[i]) & without) != 0)
            continue;
        p = http_head_put(p, span_of(spec->add[i].name));
        p = http_head_put(p, SPAN(": "));
        p = http_head_put(p, span_of(spec->add[i].value));
        p = http_head_put(p, SPAN("\r\n"));
    }
    return p;
}

/* RFC 7617 section 2; the realm is a quoted string. */
static char *challenge_put(char *p, const struct http_route_spec *spec)
{
    if (spec->users == NULL)
        return p;
    p = http_head_put(p, SPAN(CHALLENGE));
    for (const char *c = spec->realm; c != NULL && *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            *p++ = '\\';
        *p++ = *c;
    }
    return http_head_put(p, SPAN(CHARSET));
}

static char *fresh_put(char *p, const struct http_route_spec *spec, unsigned without)
{
    if ((without & HTTP_SAYS_CACHE) != 0)
        return p;
    if (spec->cache_control != NULL) {
        p = http_head_put(p, SPAN(CACHE_CONTROL));
        p = http_head_put(p, span_of(spec->cache_control));
        p = http_head_put(p, SPAN("\r\n"));
    } else if (spec->expires) {
        p = http_head_number(p, SPAN(MAX_AGE), spec->expires_s);
    }
    return spec->expires ? http_head_put(p, SPAN(EXPIRES)) : p;
}

static unsigned fixed_status(const struct http_route_spec *spec)
{
    return spec->kind == HTTP_ROUTE_RESPOND || spec->kind == HTTP_ROUTE_STATUS ? spec->status : 0;
}

/* `without`: HTTP_SAYS bits of what is left out. */
static struct http_fields *fields_new(const struct http_route_spec *spec, unsigned without)
{
    struct http_fields *f = calloc(1, sizeof *f);
    char *memory = malloc(room_for(spec));
    if (f == NULL || memory == NULL) {
        free(memory);
        free(f);
        return NULL;
    }
    char *challenge = always_put(memory, spec, without), *fresh = challenge_put(challenge, spec);
    char *end = fresh_put(fresh, spec, without);
    *f = (struct http_fields){ .always = { memory, (size_t)(challenge - memory) },
                               .challenge = { challenge, (size_t)(fresh - challenge) },
                               .fresh = { fresh, (size_t)(end - fresh) },
                               .expires = spec->expires && end > fresh, .expires_s = spec->expires_s,
                               .fixed = fixed_status(spec), .removed = spec->removed, .says = sayings_of(spec) & ~without,
                               .memory = memory };
    return f;
}

int http_fields_make(struct http_route *r, const struct http_route_spec *spec)
{
    if (spec->add_count == 0 && spec->removed == 0 && spec->cache_control == NULL && !spec->expires &&
        spec->users == NULL)
        return 0;
    if (!spec_clean(spec)) {
        errno = EINVAL;
        return -1;
    }
    r->fields = fields_new(spec, 0);
    if (r->fields == NULL || spec->kind != HTTP_ROUTE_LIVE)
        return r->fields != NULL ? 0 : -1;
    r->live_fields = fields_new(spec, HTTP_SAYS_LIVE);
    return r->live_fields != NULL ? 0 : -1;
}

void http_fields_free(struct http_fields *f)
{
    if (f != NULL)
        free(f->memory);
    free(f);
}

/* What the route is there for: files and what it was made to answer with, whatever its status, and redirects (RFC 9111
 * section 3 has them kept if that is said).  RFC 9110 section 15.4.5 has a 304 repeat what the 200 would say. */
static bool may_be_kept(const struct http_fields *f, unsigned status)
{
    return status == 200 || status == 206 || status == f->fixed || (status >= 301 && status <= 308);
}

static void expires_put(struct outq *out, time_t when)
{
    char line[FMT_HTTP_DATE_SIZE + 2];
    fmt_http_date(line, when);
    memcpy(line + FMT_HTTP_DATE_SIZE, "\r\n", 2);
    outq_put(out, (struct span){ line, sizeof line });
}

char *http_fields_put(struct http_exchange *x, char *p, size_t n)
{
    const struct http_fields *f = x->fields;
    http_head_end(x, p);
    outq_put(x->out, f->always);
    if (x->status == 401)
        outq_put(x->out, f->challenge);
    if (may_be_kept(f, x->status)) {
        outq_put(x->out, f->fresh);
        if (f->expires)
            expires_put(x->out, x->env->now_s + (time_t)f->expires_s);
    }
    x->start = outq_reserve(x->out, n);
    return x->start;
}
