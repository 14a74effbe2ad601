/* SPDX-License-Identifier: BSD-2-Clause */
/* A span is borrowed bytes: a pointer and a length, no terminator, no owner.
 * Whoever makes a span says how long its bytes live. */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct span {
    const char *p;
    size_t      n;
};

/* A span over a string literal, without its terminating NUL. */
#define SPAN(literal) ((struct span){ (literal), sizeof(literal) - 1 })

static inline struct span span_of(const char *string)
{
    return (struct span){ string, string == NULL ? 0 : strlen(string) };
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* ASCII letters compare without case; the locale is always "C" in iomuxd. */
static inline bool span_equal_nocase(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

static inline bool span_starts_with(struct span whole, struct span start)
{
    return whole.n >= start.n && (start.n == 0 || memcmp(whole.p, start.p, start.n) == 0);
}

/* What is left of a span behind its first n bytes; n must not exceed its length. */
static inline struct span span_skip(struct span s, size_t n)
{
    return (struct span){ s.p + n, s.n - n };
}

#endif
