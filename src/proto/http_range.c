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
static enum http_range range_suffix(struct span s, uint64_t size, struct http_part *part)
{
    uint64_t n;
    if (!range_number(&s, &n) || s.n > 0)
        return RANGE_NONE;
    if (n == 0)
        return RANGE_UNSATISFIABLE;
    part->n = n < size ? n : size;
    part->first = size - part->n;
    return RANGE_SOME;
}

static enum http_range range_spec(struct span s, uint64_t size, struct http_part *part)
{
    uint64_t last = UINT64_MAX;
    if (s.p[0] == '-')
        return range_suffix(span_skip(s, 1), size, part);
    if (!range_number(&s, &part->first) || s.n == 0 || s.p[0] != '-')
        return RANGE_NONE;
    s = span_skip(s, 1);
    if (s.n > 0 && (!range_number(&s, &last) || s.n > 0 || last < part->first))
        return RANGE_NONE;
    if (part->first >= size)
        return RANGE_UNSATISFIABLE;
    part->n = (last < size ? last + 1 : size) - part->first;
    return RANGE_SOME;
}

/* Do they overlap, or does one begin where the other ends? */
static bool parts_touch(struct http_part a, struct http_part b)
{
    return a.first <= b.first + b.n && b.first <= a.first + a.n;
}

static struct http_part parts_join(struct http_part a, struct http_part b)
{
    uint64_t end = a.first + a.n > b.first + b.n ? a.first + a.n : b.first + b.n;
    uint64_t first = a.first < b.first ? a.first : b.first;
    return (struct http_part){ first, end - first };
}

/* Adds a part, joined with all that it touches, in the place of the first of them.  Those that are there do not touch
 * each other, so what it is joined with brings no more.  False: there are too many. */
static bool parts_add(struct http_parts *parts, struct http_part part)
{
    unsigned kept = 0, at = 0;
    bool joined = false;
    for (unsigned i = 0; i < parts->count; i++) {
        if (!parts_touch(parts->v[i], part)) {
            parts->v[kept++] = parts->v[i];
            continue;
        }
        part = parts_join(parts->v[i], part);
        at = joined ? at : kept++;
        joined = true;
    }
    if (!joined && kept == HTTP_PARTS_MAX)
        return false;
    at = joined ? at : kept++;
    parts->v[at] = part;
    parts->count = kept;
    return true;
}

enum { SPECS_MAX = 256 };       /* of one field: who asks for more parts than that wants to keep somebody busy */

/* A set that is invalid, or would become too many parts, is passed over (RFC 9110 section 14.2). */
enum http_range http_range_parse(struct span value, uint64_t size, struct http_parts *parts)
{
    struct span unit = SPAN("bytes="), spec;
    unsigned specs = 0;
    parts->count = 0;
    if (value.n < unit.n || strncasecmp(value.p, unit.p, unit.n) != 0)
        return RANGE_NONE;
    value = span_skip(value, unit.n);
    while (http_next_element(&value, &spec)) {
        struct http_part part;
        enum http_range asked = range_spec(spec, size, &part);
        if (asked == RANGE_NONE || ++specs > SPECS_MAX)
            return RANGE_NONE;
        if (asked == RANGE_SOME && !parts_add(parts, part))
            return RANGE_NONE;
    }
    if (value.n > 0 || specs == 0)
        return RANGE_NONE;
    if (parts->count == 0)
        return RANGE_UNSATISFIABLE;
    return size > 0 ? RANGE_SOME : RANGE_NONE;  /* of nothing no Content-Range can tell */
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
    return v->strong_date && date_of(r, FIELD_IF_RANGE, now, &when) && when == v->modified_s;
}
