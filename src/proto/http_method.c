/* SPDX-License-Identifier: BSD-2-Clause */
/* Which methods a route answers, and how Allow names them. */
#include "proto/http_internal.h"

/* In the order in which Allow names them. */
static const struct {
    struct span      name;
    enum http_method method;
} served[] = {
    { { "GET", 3 }, METHOD_GET }, { { "HEAD", 4 }, METHOD_HEAD }, { { "POST", 4 }, METHOD_POST },
    { { "PUT", 3 }, METHOD_PUT }, { { "DELETE", 6 }, METHOD_DELETE }, { { "PATCH", 5 }, METHOD_PATCH },
    { { "OPTIONS", 7 }, METHOD_OPTIONS },
};

enum { SERVED = sizeof served / sizeof served[0] };

#define METHOD_BIT(method) (1u << (method))
enum {
    READING = METHOD_BIT(METHOD_GET) | METHOD_BIT(METHOD_HEAD) | METHOD_BIT(METHOD_OPTIONS),
    ANY = READING | METHOD_BIT(METHOD_POST) | METHOD_BIT(METHOD_PUT) | METHOD_BIT(METHOD_DELETE) |
          METHOD_BIT(METHOD_PATCH)
};

static unsigned methods_of_kind(enum http_route_kind kind)
{
    switch (kind) {
    case HTTP_ROUTE_ROOT:
    case HTTP_ROUTE_LIVE:
        return READING;
    case HTTP_ROUTE_RESPOND:
        return READING | METHOD_BIT(METHOD_POST);
    case HTTP_ROUTE_REDIRECT:
    case HTTP_ROUTE_STATUS:
        break;
    }
    return ANY;
}

static unsigned method_bit(struct span name)
{
    for (int i = 0; i < SERVED; i++)
        if (span_equal(name, served[i].name))
            return METHOD_BIT(served[i].method);
    return 0;
}

unsigned http_methods_of(const struct http_route_spec *spec)
{
    unsigned could = methods_of_kind(spec->kind), methods = METHOD_BIT(METHOD_OPTIONS);
    if (spec->method_count == 0)
        return could;
    for (unsigned i = 0; i < spec->method_count; i++) {
        unsigned bit = method_bit(span_of(spec->methods[i]));
        if ((bit & could) == 0)
            return 0;
        methods |= bit;
    }
    if ((methods & METHOD_BIT(METHOD_GET)) != 0)
        methods |= METHOD_BIT(METHOD_HEAD);     /* RFC 9110 section 9.3.2 */
    return methods;
}

struct span http_allow_write(char to[HTTP_ALLOW_MAX], unsigned methods)
{
    char *p = to;
    for (int i = 0; i < SERVED; i++) {
        if ((methods & METHOD_BIT(served[i].method)) == 0)
            continue;
        if (p > to)
            p = http_head_put(p, SPAN(", "));
        p = http_head_put(p, served[i].name);
    }
    return (struct span){ to, (size_t)(p - to) };
}
