/* SPDX-License-Identifier: BSD-2-Clause */
/* Preconditions and ranges, RFC 9110 sections 13 and 14: what a client says about what it has.  Pure. */
#include "proto/http_internal.h"

#include "base/fmt.h"

/* Digits at the start of *s, saturated; false: there are none. */
static bool range_number(struct span *s, uint64_t *value)
{
    size_t n = 0;
    *value = 0;
    for (; n < s->n && s->p[n] >= '0' && s->p[n] <= '9'; n++) {
        unsigned digit = (unsigned char)s->p[n] - '0';
        *value = *value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *value * 10 + digit;
    }
    *s = span_skip(*s, n);
    return n > 0;
}

/* "-N": the last N bytes. */
static enum http_range range_suffix(struct span s, uint64_t size, uint64_t *first, uint64_t *last)
{
    uint64_t n;
    if (!range_number(&s, &n) || s.n > 0)
        return RANGE_NONE;
    if (n == 0)
        return RANGE_UNSATISFIABLE;
    if (size == 0)
        return RANGE_NONE;      /* satisfiable, but no Content-Range can say so */
    *first = n < size ? size - n : 0;
    *last = size - 1;
    return RANGE_ONE;
}

static enum http_range range_spec(struct span s, uint64_t size, uint64_t *first, uint64_t *last)
{
    if (s.p[0] == '-')
        return range_suffix(span_skip(s, 1), size, first, last);
    if (!range_number(&s, first) || s.n == 0 || s.p[0] != '-')
        return RANGE_NONE;
    s = span_skip(s, 1);
    *last = UINT64_MAX;
    if (s.n > 0 && (!range_number(&s, last) || s.n > 0 || *last < *first))
        return RANGE_NONE;
    if (*first >= size)
        return RANGE_UNSATISFIABLE;
    if (*last >= size)
        *last = size - 1;
    return RANGE_ONE;
}

enum http_range http_range_parse(struct span value, uint64_t size, uint64_t *first, uint64_t *last)
{
    struct span unit = SPAN("bytes="), spec, more;
    if (value.n < unit.n || strncasecmp(value.p, unit.p, unit.n) != 0)
        return RANGE_NONE;
    value = span_skip(value, unit.n);
    if (!http_next_element(&value, &spec))
        return RANGE_NONE;
    if (http_next_element(&value, &more))
        return RANGE_NONE;      /* several ranges are answered whole, RFC 9110 section 14.2 */
    return range_spec(spec, size, first, last);
}

static bool etag_weak(struct span etag)
{
    return etag.n > 2 && etag.p[0] == 'W' && etag.p[1] == '/';
}

static bool etag_valid(struct span etag)
{
    return etag.n >= 2 && etag.p[0] == '"' && etag.p[etag.n - 1] == '"';
}

/* RFC 9110 section 8.8.3.2. */
static bool etag_equal(struct span a, struct span b, bool weakly)
{
    if (!weakly && (etag_weak(a) || etag_weak(b)))
        return false;
    a = etag_weak(a) ? span_skip(a, 2) : a;
    b = etag_weak(b) ? span_skip(b, 2) : b;
    return etag_valid(a) && span_equal(a, b);
}

/* Does any line of this field name the entity tag? */
static bool etag_listed(const struct http_request *r, enum http_field field, struct span etag, bool weakly)
{
    struct span fields = r->fields, list, element;
    while (http_next_field(&fields, field, &list)) {
        if (span_equal(list, SPAN("*")))
            return true;        /* something is there, or this would not be asked */
        while (http_next_element(&list, &element))
            if (etag_equal(element, etag, weakly))
                return true;
    }
    return false;
}

/* A date field that came once and is a date; else it is ignored (RFC 9110 sections 13.1.3, 13.1.4). */
static bool date_of(const struct http_request *r, enum http_field field, time_t now, time_t *when)
{
    return http_has(r, field) && (r->repeated & FIELD_BIT(field)) == 0 &&
           fmt_parse_http_date(r->value[field], now, when);
}

unsigned http_precondition(const struct http_request *r, const struct http_validator *v, time_t now)
{
    bool reads = r->method == METHOD_GET || r->method == METHOD_HEAD;
    time_t when;
    if (http_has(r, FIELD_IF_MATCH)) {
        if (!etag_listed(r, FIELD_IF_MATCH, v->etag, false))
            return 412;
    } else if (v->modified_s != -1 && date_of(r, FIELD_IF_UNMODIFIED_SINCE, now, &when) &&
               v->modified_s > when) {
        return 412;
    }
    if (http_has(r, FIELD_IF_NONE_MATCH)) {
        if (etag_listed(r, FIELD_IF_NONE_MATCH, v->etag, true))
            return reads ? 304 : 412;
    } else if (reads && v->modified_s != -1 && date_of(r, FIELD_IF_MODIFIED_SINCE, now, &when) &&
               v->modified_s <= when) {
        return 304;
    }
    return 0;
}

bool http_if_range(const struct http_request *r, const struct http_validator *v, time_t now)
{
    time_t when;
    if (!http_has(r, FIELD_IF_RANGE))
        return true;
    struct span value = r->value[FIELD_IF_RANGE];
    if ((r->repeated & FIELD_BIT(FIELD_IF_RANGE)) != 0)
        return false;
    if (value.n > 0 && (value.p[0] == '"' || value.p[0] == 'W'))
        if (value.p[0] == '"' || etag_weak(value))
            return etag_equal(value, v->etag, false);
    return v->strong && date_of(r, FIELD_IF_RANGE, now, &when) && when == v->modified_s;
}
