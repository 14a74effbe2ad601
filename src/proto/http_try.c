/* SPDX-License-Identifier: BSD-2-Clause */
/* Candidates: where beneath a root a request's file may be, "$path.html" among others.  Only names are made here; who
 * looks them up cannot leave the root, whatever they say.  Pure. */
#include "proto/http_internal.h"

static struct span slash_cut(struct span s)
{
    return s.n > 0 && s.p[0] == '/' ? span_skip(s, 1) : s;
}

struct http_candidate http_candidate_of(const char *text)
{
    struct span variable = SPAN("$path"), before = span_of(text);
    const char *at = strstr(text, variable.p);
    if (at == NULL)
        return (struct http_candidate){ .before = slash_cut(before) };
    before.n = (size_t)(at - text);
    struct span after = span_of(at + variable.n);
    if (before.n > 0 && before.p[before.n - 1] == '/')
        before.n--;             /* the path brings its own */
    return (struct http_candidate){ .before = slash_cut(before), .after = after, .path = true };
}

struct span http_candidate_name(const struct http_candidate *c, struct span name, char *to)
{
    struct span after = c->after;
    if (!c->path)
        return c->before;
    if (name.n == 0 || name.p[name.n - 1] == '/')
        after = slash_cut(after);
    if (c->before.n + 1 + name.n + after.n > HTTP_NAME_MAX)
        return (struct span){ NULL, 0 };
    char *p = http_head_put(to, c->before);
    if (c->before.n > 0)
        *p++ = '/';
    p = http_head_put(p, name);
    p = http_head_put(p, after);
    return (struct span){ to, (size_t)(p - to) };
}
